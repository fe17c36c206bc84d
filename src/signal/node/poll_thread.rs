//! A poll thread: a function that is called for each chunk of an input, on a thread of its own.

use super::state::State;
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::input::Received;
use crate::signal::shared::SharedInput;

/// What a poll thread tells beside chunks.
#[derive(Debug)]
pub enum Event<'a> {
    /// The input has ended; the thread ends.
    Ended,
    /// Something came that was no chunk of the stream; the thread goes on.
    Malformed(&'a Error),
    /// The thread ends by this error: of the function for chunks, mostly.
    Failed(&'a Error),
}

/// What a poll thread does behind a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It takes the next one.
    GoOn,
    /// It stops, as if somebody else had stopped it.
    Stop,
}

/// Functions of a poll thread. They are called on that thread, one at a time.
pub trait Callback: Send {
    /// A chunk came. An error ends the thread.
    fn chunk(&mut self, received: Received) -> Result<Then>;

    /// Something else happened.
    fn event(&mut self, _event: Event<'_>) {}
}

impl<F: FnMut(&Received) -> Result<()> + Send> Callback for F {
    fn chunk(&mut self, received: Received) -> Result<Then> {
        self(&received).map(|()| Then::GoOn)
    }
}

struct Poll<C>(C);

impl<C: Callback> Work for Poll<C> {
    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()> {
        if self.0.chunk(received)? == Then::Stop {
            stop.now();
        }
        Ok(())
    }

    fn failed(&mut self, error: &Error) {
        self.0.event(Event::Malformed(error));
    }

    fn ended(&mut self, state: &State) {
        match state {
            State::Failed(error) => self.0.event(Event::Failed(error)),
            _ => self.0.event(Event::Ended),
        }
    }
}

/// A poll thread, not started yet. For the chunks of an output, connect an input to it first.
pub fn poll_thread(input: SharedInput, callback: impl Callback + 'static) -> Result<Node> {
    Node::new(input, Vec::new(), Box::new(Poll(callback)))
}
