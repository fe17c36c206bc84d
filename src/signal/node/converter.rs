//! A converter: the same chunks at the same indices through an output of other params: another transport, compression, or type of elements
//! (converted as [`Cast`] does).

use std::sync::Arc;

use super::outlet::Outlet;
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::filter::{Cast, Filter, Frames};
use crate::signal::input::Received;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

struct Convert {
    /// Where the types differ.
    cast: Option<Cast>,
    outlet: Outlet,
    output: Arc<Params>,
}

impl Work for Convert {
    fn connect(&mut self, input: &Params) -> Result<()> {
        let (from, to) = (input.frame_shape(), self.output.frame_shape());
        if from != to {
            return Err(Error::invalid(format!(
                "stream converter: the output must have frames of shape {from:?} (got {to:?})"
            )));
        }
        let mut cast = Cast::to(self.output.dtype.clone());
        let told = |e: Error| Error::new(e.kind(), format!("stream converter: {}", e.message()));
        cast.fit(&mut input.clone()).map_err(told)?;
        self.cast = (input.dtype != self.output.dtype).then_some(cast);
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
        let chunk = match &mut self.cast {
            None => Some(received.chunk),
            Some(cast) => cast.apply(Frames::shared(received.chunk)?)?.map(Frames::into_chunk).transpose()?,
        };
        if let Some(chunk) = chunk {
            self.outlet.push(chunk);
        }
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
/// `Invalid`: the output's frames have another shape, or a type that those of the input cannot be converted to.
pub fn converter(input: SharedInput, output: SharedOutput) -> Result<Node> {
    let params = output.source().clone();
    let work = Convert { cast: None, outlet: Outlet::new(output.clone()), output: params };
    Node::new(input, vec![output], Box::new(work))
}
