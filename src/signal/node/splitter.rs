//! A channel splitter: of each chunk, some channels each to several outputs, at the same indices.
//!
//! Channels are the second axis of a chunk, behind time. What is selected is a view of the chunk's memory where the channels lie at equal steps, and a copy where not: in the
//! process, one input that keeps a chunk of two channels keeps all of them.

use std::sync::Arc;

use super::outlet::{Outlet, pump_all};
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::filter::{Channels, Filter, Frames};
use crate::signal::input::Received;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

/// Channels of an output, in the order that they are to have. The same may be there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The output's name, for messages.
    pub name: String,
    /// Their numbers.
    pub channels: Vec<usize>,
}

impl Selection {
    /// What the output carries, of an input of those params, or of an output [like](super::like::like) it: shape, and what is said of each channel.
    ///
    /// # Errors
    /// `Invalid`: there are no channels, or one that the stream has not.
    pub fn params(&self, input: &Params) -> Result<Params> {
        self.fit(input).map(|(_, params)| params)
    }

    fn fit(&self, input: &Params) -> Result<(Channels, Params)> {
        let (mut filter, mut params) = (Channels::of_axis(1, &self.channels), input.clone());
        let told = |e: Error| {
            Error::new(e.kind(), format!("channel splitter: output {:?}: {}", self.name, e.message()))
        };
        filter.fit(&mut params).map_err(told)?;
        Ok((filter, params))
    }
}

/// An output, and what goes there.
struct Part {
    selection: Selection,
    filter: Channels,
    output: Arc<Params>,
}

struct Split {
    parts: Vec<Part>,
    outlets: Vec<Outlet>,
}

impl Work for Split {
    fn connect(&mut self, input: &Params) -> Result<()> {
        let mut filters = Vec::new();
        for Part { selection, output, .. } in &self.parts {
            let (filter, made) = selection.fit(input)?;
            if (made.frame_shape(), &made.dtype) != (output.frame_shape(), &output.dtype) {
                return Err(Error::invalid(format!(
                    "channel splitter: output {:?} must have frames of shape {:?} and type {} (got {:?} and {})",
                    selection.name,
                    made.frame_shape(),
                    made.dtype,
                    output.frame_shape(),
                    output.dtype
                )));
            }
            filters.push(filter);
        }
        self.parts.iter_mut().zip(filters).for_each(|(part, filter)| part.filter = filter);
        Ok(())
    }

    fn begin(&mut self, stop: &Stop) -> Result<()> {
        pump_all(&mut self.outlets, stop).map(drop)
    }

    fn restart(&mut self, stop: &Stop) -> Result<()> {
        self.outlets.iter_mut().for_each(Outlet::push_begin);
        pump_all(&mut self.outlets, stop).map(drop)
    }

    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()> {
        for (part, outlet) in self.parts.iter_mut().zip(&mut self.outlets) {
            let frames = Frames::shared(received.chunk.clone())?;
            if let Some(selected) = part.filter.apply(frames)? {
                outlet.push(selected.into_chunk()?);
            }
        }
        pump_all(&mut self.outlets, stop).map(drop)
    }

    fn finish(&mut self, stop: &Stop) -> Result<bool> {
        self.outlets.iter_mut().for_each(Outlet::push_flush);
        pump_all(&mut self.outlets, stop)
    }
}

/// A channel splitter, not started yet: to each output its channels of the input.
///
/// # Errors
/// `Invalid`: there is no output, a channel that the input has not, or an output that does not fit its channels.
pub fn splitter(input: SharedInput, outputs: Vec<(Selection, SharedOutput)>) -> Result<Node> {
    if outputs.is_empty() {
        return Err(Error::invalid("channel splitter: there must be at least one output (got none)"));
    }
    let part = |(selection, output): &(Selection, SharedOutput)| {
        let filter = Channels::of_axis(1, &selection.channels);
        Part { selection: selection.clone(), filter, output: output.params() }
    };
    let parts = outputs.iter().map(part).collect();
    let outlets = outputs.iter().map(|(_, output)| Outlet::new(output.clone())).collect();
    let outputs = outputs.into_iter().map(|(_, output)| output).collect();
    Node::new(input, outputs, Box::new(Split { parts, outlets }))
}
