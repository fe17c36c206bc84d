//! The elements of a frame, with other axes.

use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::array::{Layout, MAX_AXES, c_strides};
use crate::signal::params::Params;

/// Gives frames other axes: their elements in C order, as numpy's `reshape` has it. Copied only where a frame's elements are in another order in memory.
///
/// What the params tell about channels stays if the last axis is as long as before.
pub struct Reshape {
    shape: Vec<i64>,
    frame: Vec<usize>,
}

impl Reshape {
    /// Frames of this shape, without the axis of time; one number may be -1, which stands for as many as there are.
    pub fn new(shape: &[i64]) -> Self {
        Self { shape: shape.to_vec(), frame: Vec::new() }
    }
}

impl Filter for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let (old, shape) = (params.frame_shape(), &self.shape);
        let elements: usize = old.iter().product();
        let unknown = shape.iter().filter(|&&count| count == -1).count();
        if unknown > 1 || shape.iter().any(|&count| count < 1 && count != -1) || shape.len() >= MAX_AXES {
            let rule = format!(
                "shape must have positive numbers, at most {} of them, of which one may be -1",
                MAX_AXES - 1
            );
            return Err(Error::invalid(format!("{rule} (got {shape:?})")));
        }
        let mut known = shape.iter().filter(|&&count| count > 0);
        let known =
            known.try_fold(1usize, |product, &count| product.checked_mul(usize::try_from(count).ok()?));
        let rest = known.filter(|known| elements.is_multiple_of(*known)).map(|known| elements / known);
        let Some(rest) = rest.filter(|&rest| unknown == 1 || rest == 1) else {
            let rule = format!("shape must have the {elements} elements that a frame of shape {old:?} has");
            return Err(Error::invalid(format!("{rule} (got {shape:?})")));
        };
        self.frame = shape.iter().map(|&count| if count == -1 { rest } else { count as usize }).collect();
        if old.last() != self.frame.last() {
            params.extra.remove("channel_info");
            params.extra.remove("nb_channel");
        }
        if old.len() != self.frame.len() {
            params.axisorder = None;
        }
        params.shape.truncate(1);
        params.shape.extend(self.frame.iter().map(|&count| count as i64));
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        let item = frames.layout().item();
        let within = c_strides(item, frames.frame_shape())?;
        let steps = frames.layout().strides()[1..].iter().zip(within).zip(frames.frame_shape());
        let frame_is_dense =
            steps.into_iter().all(|((&stride, dense), &count)| count == 1 || stride == dense);
        let frames = if frame_is_dense { frames } else { frames.in_c_order()? };
        let (layout, index) = (frames.layout(), frames.index());
        let shape = [&[frames.frames()], &self.frame[..]].concat();
        let strides = [&layout.strides()[..1], &c_strides(item, &self.frame)?].concat();
        let layout = Layout::new(item, layout.offset(), &shape, &strides)?;
        frames.view(layout, index).map(Some)
    }
}
