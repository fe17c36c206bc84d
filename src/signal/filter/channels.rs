//! Some elements of an axis, in any order.

use serde_json::Value;

use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::array::{self, Layout};
use crate::signal::params::Params;

/// Bytes that are gathered at once, so that what is read several times is still in the cache.
const BLOCK: usize = 256 << 10;

/// Takes some elements of an axis: channels mostly. Each as often as it is named, in the order in which they are named.
///
/// No frame is copied if the elements have equal distances, as `0, 1, 2` or `6, 4, 2` have: inputs within the process then share the memory of all channels.
/// Of any type. Where the params tell about channels (`channel_info`, `nb_channel`), they tell about those that are left.
pub struct Channels {
    axis: Option<usize>,
    indices: Vec<usize>,
    /// The axis, once known, and the elements, those in one run that have equal distances.
    fitted: Option<(usize, Vec<Run>)>,
}

/// Elements that have equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: usize,
    step: isize,
    count: usize,
}

impl Channels {
    /// Elements `indices` of the last axis.
    pub fn new(indices: &[usize]) -> Self {
        Self { axis: None, indices: indices.to_vec(), fitted: None }
    }

    /// Elements `indices` of an axis, which is not 0: that is time.
    pub fn of_axis(axis: usize, indices: &[usize]) -> Self {
        Self { axis: Some(axis), ..Self::new(indices) }
    }
}

/// The elements in as few runs as a look at the next one makes of them.
fn runs(indices: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for &index in indices {
        if let Some(Run { start, step, count }) = runs.last_mut() {
            let last = start.wrapping_add_signed((*count as isize - 1).wrapping_mul(*step));
            let next = (index as isize).wrapping_sub(last as isize);
            if next != 0 && (*count == 1 || next == *step) {
                (*step, *count) = (next, *count + 1);
                continue;
            }
        }
        runs.push(Run { start: index, step: 1, count: 1 });
    }
    runs
}

impl Filter for Channels {
    fn name(&self) -> &str {
        "channels"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let (axes, shape) = (params.shape.len(), &params.shape);
        let axis = self.axis.unwrap_or(axes - 1);
        if axis == 0 || axis >= axes {
            let rule = "axis must be one behind the first, which is time";
            return Err(Error::invalid(format!("{rule} (got {axis} of a stream of shape {shape:?})")));
        }
        if self.indices.is_empty() {
            return Err(Error::invalid("there must be at least one channel (got none)"));
        }
        let count = shape[axis] as usize;
        if let Some(index) = self.indices.iter().find(|&&index| index >= count) {
            return Err(Error::invalid(format!(
                "channels must be below {count}, which axis {axis} has (got {index})"
            )));
        }
        params.shape[axis] = self.indices.len() as i64;
        if axis == axes - 1 {
            choose_info(params, &self.indices, count);
        }
        self.fitted = Some((axis, runs(&self.indices)));
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        let Some((axis, runs)) = &self.fitted else {
            return Err(Error::state("it was not fitted to a stream"));
        };
        let (layout, index) = (frames.layout(), frames.index());
        if let &[Run { start, step, count }] = &runs[..] {
            let layout = layout.slice(*axis, start, step, count)?;
            return frames.view(layout, index).map(Some);
        }
        let mut shape = layout.shape().to_vec();
        shape[*axis] = self.indices.len();
        let target = Layout::c_order(layout.item(), &shape)?;
        let rows = frames.frames();
        let at_once = (BLOCK / (target.size() / rows.max(1)).max(1)).max(1);
        let from = frames.as_ptr();
        let fill = |to: *mut u8| {
            for first in (0..rows).step_by(at_once) {
                let part = first..rows.min(first + at_once);
                let (near, far) = (layout.rows(part.clone()), target.rows(part));
                let mut at = 0;
                for &Run { start, step, count } in runs {
                    let (near, far) =
                        (near.slice(*axis, start, step, count)?, far.slice(*axis, at, 1, count)?);
                    at += count;
                    // SAFETY: parts of what can be read, and of what is made.
                    unsafe { array::copy(from, &near, to, &far) };
                }
            }
            Ok(())
        };
        // SAFETY: the runs have all elements of the axis that is made.
        unsafe { frames.made(target.clone(), fill) }.map(Some)
    }
}

/// Of what the params tell about `count` channels, what is about those of `indices`.
fn choose_info(params: &mut Params, indices: &[usize], count: usize) {
    if let Some(number) = params.extra.get_mut("nb_channel") {
        *number = indices.len().into();
    }
    match params.extra.get_mut("channel_info") {
        Some(Value::Array(all)) if all.len() == count => {
            *all = indices.iter().map(|&index| all[index].clone()).collect();
        }
        // It was not about these channels.
        Some(_) => {
            params.extra.remove("channel_info");
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_equal_distances() {
        let run = |start, step, count| Run { start, step, count };
        assert_eq!(runs(&[3]), [run(3, 1, 1)]);
        assert_eq!(runs(&[2, 3, 4]), [run(2, 1, 3)]);
        assert_eq!(runs(&[6, 4, 2, 0]), [run(6, -2, 4)]);
        assert_eq!(runs(&[1, 1, 1]), [run(1, 1, 1); 3]);
        assert_eq!(runs(&[0, 5, 6, 7]), [run(0, 5, 2), run(6, 1, 2)]);
    }
}
