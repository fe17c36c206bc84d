//! A converter: the same chunks at the same indices through an output of other params: another transport, compression, or type of elements.

use std::sync::Arc;

use super::outlet::Outlet;
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::input::Received;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

struct Convert {
    outlet: Outlet,
    output: Arc<Params>,
}

impl Work for Convert {
    fn check(&self, input: &Params) -> Result<()> {
        let (from, to) = (input.frame_shape(), self.output.frame_shape());
        if from != to || input.dtype != self.output.dtype {
            let (from_type, to_type) = (&input.dtype, &self.output.dtype);
            return Err(Error::invalid(format!(
                "stream converter: the output must have frames of shape {from:?} and type {from_type} (got {to:?} and {to_type})"
            )));
        }
        Ok(())
    }

    fn begin(&mut self, stop: &Stop) -> Result<()> {
        self.outlet.pump(stop).map(drop)
    }

    fn restart(&mut self, stop: &Stop) -> Result<()> {
        self.outlet.push_begin();
        self.outlet.pump(stop).map(drop)
    }

    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()> {
        self.outlet.push(received.chunk);
        self.outlet.pump(stop).map(drop)
    }

    fn finish(&mut self, stop: &Stop) -> Result<bool> {
        self.outlet.push_flush();
        self.outlet.pump(stop)
    }
}

/// A converter, not started yet.
///
/// # Errors
/// `Invalid`: the output's frames have another shape.
pub fn converter(input: SharedInput, output: SharedOutput) -> Result<Node> {
    let params = output.params();
    let work = Convert { outlet: Outlet::new(output.clone()), output: params };
    Node::new(input, vec![output], Box::new(work))
}
