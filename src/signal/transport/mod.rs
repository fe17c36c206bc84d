//! How chunks travel from an output to its inputs.
//!
//! | file | what it is |
//! |---|---|
//! | [`inproc`] | within the process: references to the same memory |
//! | [`shm`] | between processes of a host: a ring in shared memory |
//! | [`zmq`] | between processes and hosts: as pyacq has it |

pub mod inproc;
mod name;
pub mod shm;

pub mod zmq;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::chunk::Chunk;
use super::params::Params;
use crate::error::{Error, Result};
use crate::ring::Wait;

/// What became of a chunk that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Inputs that it went to, where the transport knows them.
    pub inputs: u64,
    /// Frames that were dropped for inputs that were too slow, summed over them, where the transport knows that. These see a gap.
    pub dropped_frames: u64,
    /// It did not go to all inputs within the time: with the policy to block; the same chunk may be published again, and goes then to those only that
    /// have not got it.
    pub timed_out: bool,
}

/// An input, as its output sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputInfo {
    /// Unique within the output.
    pub id: u64,
    /// Chunks that wait for it.
    pub lag_chunks: u64,
    /// Frames that wait for it.
    pub lag_frames: u64,
    /// Frames that were dropped for it.
    pub dropped_frames: u64,
}

/// The output's end.
pub trait Publisher: Send {
    /// Gives a chunk to all inputs, waiting for slow ones as long as `wait` allows where the policy is to block.
    fn publish(&mut self, chunk: &Chunk, wait: Wait) -> Result<Published>;

    /// The stream is of these params, not of those that this end was made for: filters change them. Called before anything is published; adds nothing to
    /// them. Nothing needs to be done where chunks are published as they are.
    fn adapt(&mut self, _params: &Params) -> Result<()> {
        Ok(())
    }

    /// Adds to the params what an input needs to find this end.
    fn describe(&self, params: &mut Params);

    /// How many inputs there are now.
    fn input_count(&mut self) -> Result<u64>;

    /// The inputs, to be looked at also while this publishes; `None` where the transport does not know them.
    fn input_list(&self) -> Option<Arc<dyn InputList>> {
        None
    }

    /// Whether it keeps no reference to the memory of a chunk once `publish` has returned.
    fn copies(&self) -> bool {
        false
    }

    /// The next chunk may begin at frame 0 again.
    fn reset_index(&mut self) {}
}

/// An output's inputs, as any thread may look at them.
pub trait InputList: Send + Sync {
    /// How far each is behind.
    fn inputs(&self) -> Vec<InputInfo>;
}

/// A chunk must have a time axis, lie within its memory, and not begin before frame 0: what comes from the caller is not believed.
pub(super) fn check_chunk(chunk: &Chunk) -> Result<()> {
    let Some(&frames) = chunk.layout.shape().first() else {
        return Err(Error::invalid("a chunk must have at least one axis, time (got none)"));
    };
    if frames as u64 > chunk.index {
        let reason = format!("a chunk of {frames} frames cannot end at index {}", chunk.index);
        return Err(Error::invalid(reason));
    }
    let (end, size) = (chunk.layout.extent().end, chunk.data.len());
    if end > size {
        return Err(Error::invalid(format!(
            "a chunk's elements must lie within its {size} bytes (they end at byte {end})"
        )));
    }
    Ok(())
}

/// Why there is no chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum NoChunk {
    /// There is none, and the call was not to wait.
    Empty,
    /// There was none for as long as the call might wait.
    TimedOut,
    /// The output is gone, and there will be no more.
    Ended,
    /// What came is no chunk of this stream, or the transport failed.
    Failed(Error),
}

/// The input's end.
pub trait Subscriber: Send {
    /// Takes the next chunk.
    fn receive(&mut self, wait: Wait) -> Result<Chunk, NoChunk>;

    /// A descriptor that is readable when it may be worth calling `receive` (level-triggered where the transport can do so; the docs of each say).
    fn fd(&self) -> Result<BorrowedFd<'_>>;
}
