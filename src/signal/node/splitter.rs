//! A channel splitter: of each chunk, some channels each to several outputs, at the same indices.
//!
//! Channels are the second axis of a chunk, behind time. What is selected is a view of the chunk's memory where the channels lie at equal steps, and a copy where not: in the
//! process, one input that keeps a chunk of two channels keeps all of them.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::outlet::{Outlet, pump_all};
use super::stop::Stop;
use super::thread::{Node, Work};
use crate::error::{Error, Result};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::input::Received;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

/// Channels by their number, in the order that they are to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Vec<usize>);

impl Selection {
    /// At least one channel; the same may occur twice.
    ///
    /// # Errors
    /// `Invalid`: there is none, or one that a stream of these params has not.
    pub fn new(name: &str, channels: &[usize], params: &Params) -> Result<Self> {
        let Some(&count) = params.frame_shape().first() else {
            let shape = &params.shape;
            return Err(Error::invalid(format!(
                "channel splitter: the input must have channels behind the axis of time (got shape {shape:?})"
            )));
        };
        if channels.is_empty() {
            return Err(Error::invalid(format!(
                "channel splitter: output {name:?} must have at least one channel (got none)"
            )));
        }
        if let Some(channel) = channels.iter().find(|&&channel| channel >= count) {
            return Err(Error::invalid(format!(
                "channel splitter: channels of output {name:?} must be less than {count} (got {channel})"
            )));
        }
        Ok(Self(channels.to_vec()))
    }

    /// What an output of these channels carries, of an input of those params, or of an output [like](super::like::like) it: shape, and what is said of each channel.
    pub fn params(&self, input: &Params) -> Params {
        let mut params = input.clone();
        params.shape[0] = -1;
        if let Some(count) = params.shape.get_mut(1) {
            *count = self.0.len() as i64;
        }
        if let Some(count) = params.extra.get_mut("nb_channel") {
            *count = self.0.len().into();
        }
        if let Some(Value::Array(info)) = params.extra.get_mut("channel_info") {
            *info = self.0.iter().map(|&channel| info.get(channel).cloned().unwrap_or(Value::Null)).collect();
        }
        params
    }

    /// From one channel to the next, if that is always the same.
    fn step(&self) -> Option<isize> {
        let step = |pair: &[usize]| pair[1] as isize - pair[0] as isize;
        let first = self.0.windows(2).next().map_or(1, step);
        // A step of 0 has elements twice: no transport takes a view like that.
        (first != 0 && self.0.windows(2).all(|pair| step(pair) == first)).then_some(first)
    }

    /// Ranges of channels that follow each other.
    fn runs(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for &channel in &self.0 {
            match runs.last_mut() {
                Some(run) if run.end == channel => run.end += 1,
                _ => runs.push(channel..channel + 1),
            }
        }
        runs
    }

    /// These channels of a chunk.
    pub fn of(&self, chunk: &Chunk) -> Result<Chunk> {
        let layout = &chunk.layout;
        if let Some(step) = self.step() {
            let mut shape = layout.shape().to_vec();
            shape[1] = self.0.len();
            let mut strides = layout.strides().to_vec();
            let first = strides[1] * self.0[0] as isize;
            strides[1] *= step;
            let offset = if layout.is_empty() { 0 } else { layout.offset().wrapping_add_signed(first) };
            let layout = Layout::new(layout.item(), offset, &shape, &strides)?;
            return Ok(Chunk { index: chunk.index, layout, data: chunk.data.clone() });
        }
        let mut shape = layout.shape().to_vec();
        shape[1] = self.0.len();
        let target = Layout::c_order(layout.item(), &shape)?;
        let mut data = vec![0; target.size()];
        let mut done = 0;
        for run in self.runs() {
            let (from, to) = (channels(layout, run.clone())?, channels(&target, done..done + run.len())?);
            // SAFETY: both lie within their memory, as parts of layouts that do.
            unsafe { array::copy(chunk.data.as_ptr(), &from, data.as_mut_ptr(), &to) };
            done += run.len();
        }
        Ok(Chunk { index: chunk.index, layout: target, data: data.into() })
    }
}

/// The part of a layout that is in the range along the second axis.
fn channels(layout: &Layout, range: Range<usize>) -> Result<Layout> {
    let mut shape = layout.shape().to_vec();
    shape[1] = range.len();
    let first = layout.strides()[1] * range.start as isize;
    let offset = if layout.is_empty() { 0 } else { layout.offset().wrapping_add_signed(first) };
    Layout::new(layout.item(), offset, &shape, layout.strides())
}

struct Split {
    selections: Vec<(Selection, Arc<Params>)>,
    outlets: Vec<Outlet>,
    /// Channels that the input must have.
    channels: usize,
}

impl Work for Split {
    fn check(&self, input: &Params) -> Result<()> {
        let count = input.frame_shape().first().copied().unwrap_or(0);
        if count != self.channels {
            return Err(Error::invalid(format!(
                "channel splitter: the input must have {} channels (got {count})",
                self.channels
            )));
        }
        for (selection, output) in &self.selections {
            let expected = selection.params(input);
            if (expected.frame_shape(), &expected.dtype) != (output.frame_shape(), &output.dtype) {
                return Err(Error::invalid(format!(
                    "channel splitter: an output must have frames of shape {:?} and type {} (got {:?} and {})",
                    expected.frame_shape(),
                    expected.dtype,
                    output.frame_shape(),
                    output.dtype
                )));
            }
        }
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
        for ((selection, _), outlet) in self.selections.iter().zip(&mut self.outlets) {
            outlet.push(selection.of(&received.chunk)?);
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
/// `Invalid`: there is no output, or one does not fit its channels.
pub fn splitter(input: SharedInput, outputs: Vec<(Selection, SharedOutput)>) -> Result<Node> {
    if outputs.is_empty() {
        return Err(Error::invalid("channel splitter: there must be at least one output (got none)"));
    }
    let channels = input.params().frame_shape().first().copied().unwrap_or(0);
    let selections = outputs.iter().map(|(selection, output)| (selection.clone(), output.params())).collect();
    let outlets = outputs.iter().map(|(_, output)| Outlet::new(output.clone())).collect();
    let outputs = outputs.into_iter().map(|(_, output)| output).collect();
    Node::new(input, outputs, Box::new(Split { selections, outlets, channels }))
}
