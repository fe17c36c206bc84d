//! A chunk resizer: chunks of exactly so many frames, at the indices that they had.
//!
//! Chunks begin where the stream does: right behind the one before, or, after a gap, with the first frame that came. So those before a gap, at a stop and at the end may
//! be shorter: nothing is held back there, and nothing invented.

use std::sync::Arc;

use super::outlet::Outlet;
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::chunker::{Chunker, Length};
use crate::signal::input::Received;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

struct Resize {
    chunker: Chunker,
    outlet: Outlet,
    output: Arc<Params>,
}

impl Resize {
    fn flush(&mut self) {
        let Self { chunker, outlet, .. } = self;
        chunker.flush(&mut |chunk| outlet.push(chunk));
    }
}

impl Work for Resize {
    fn connect(&mut self, input: &Params) -> Result<()> {
        let (from, to) = (input.frame_shape(), self.output.frame_shape());
        if from != to || input.dtype != self.output.dtype {
            let (from_type, to_type) = (&input.dtype, &self.output.dtype);
            return Err(Error::invalid(format!(
                "chunk resizer: the output must have frames of shape {from:?} and type {from_type} (got {to:?} and {to_type})"
            )));
        }
        Ok(())
    }

    fn begin(&mut self, stop: &Stop) -> Result<()> {
        self.outlet.pump(stop).map(drop)
    }

    fn restart(&mut self, stop: &Stop) -> Result<()> {
        self.flush();
        self.outlet.push_begin();
        self.outlet.pump(stop).map(drop)
    }

    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()> {
        let Self { chunker, outlet, .. } = self;
        chunker.push(received.chunk, &mut |chunk| outlet.push(chunk));
        outlet.pump(stop).map(drop)
    }

    fn finish(&mut self, stop: &Stop) -> Result<bool> {
        self.flush();
        self.outlet.push_flush();
        self.outlet.pump(stop)
    }
}

/// A chunk resizer, not started yet: `frames` is the length of its chunks.
///
/// # Errors
/// `Invalid`: `frames` is 0, or the output's frames are of another shape or type.
pub fn resizer(input: SharedInput, output: SharedOutput, frames: usize) -> Result<Node> {
    if frames == 0 {
        return Err(Error::invalid("chunk resizer: frames must be at least 1 (got 0)"));
    }
    let params = output.source().clone();
    let chunker = Chunker::new(Length::Exactly(frames));
    let work = Resize { chunker, outlet: Outlet::new(output.clone()), output: params };
    Node::new(input, vec![output], Box::new(work))
}
