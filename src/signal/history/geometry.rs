//! How the frames of a history lie in memory.
//!
//! Plain values; any thread. Invariant: `lap` is at least the frames that are asked for, and `lap * step` bytes are whole pages.

use super::HistoryConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::array::{self, Layout};
use crate::signal::numpy::fill_element;
use crate::sys::mirror::page_size;

/// Where frames are: `blocks` blocks, in each of which time runs through `lap` steps of `step` bytes, twice in a row.
#[derive(Debug)]
pub(super) struct Geometry {
    /// Frames of a lap of the ring.
    pub lap: usize,
    /// Bytes from one moment to the next.
    pub step: usize,
    /// Axes outside of time make blocks.
    pub blocks: usize,
    /// Of the ring and what follows it: `2 * lap` frames.
    pub layout: Layout,
    /// An element of a frame that nobody sent.
    pub fill: Vec<u8>,
}

impl Geometry {
    pub fn new(config: &HistoryConfig) -> Result<Self> {
        let HistoryConfig { dtype, frame_shape, frames, .. } = config;
        let axes = frame_shape.len() + 1;
        let default: Vec<usize> = (0..axes).collect();
        let order = config.axisorder.as_ref().unwrap_or(&default);
        array::check_order(axes, order)?;
        if *frames == 0 {
            return Err(Error::invalid("frames must be at least 1 (got 0)"));
        }
        let item = dtype.size();
        // Axes inside of time make the bytes of a step in time, axes outside the number of blocks.
        let time = order.iter().position(|&axis| axis == 0).unwrap_or(0);
        let count = |axes: &[usize]| {
            axes.iter().try_fold(1usize, |count, &axis| count.checked_mul(frame_shape[axis - 1]))
        };
        let too_large =
            || Error::new(ErrorKind::NoMemory, format!("a history of {frames} frames is too large"));
        let step = count(&order[time + 1..]).and_then(|n| n.checked_mul(item)).ok_or_else(too_large)?;
        let blocks = count(&order[..time]).ok_or_else(too_large)?;
        if step == 0 || blocks == 0 {
            return Err(Error::invalid("a frame must have at least one byte"));
        }
        let whole = page_size() / gcd(page_size(), step);
        let lap = frames.checked_next_multiple_of(whole).ok_or_else(too_large)?;
        let doubled = lap.checked_mul(2).ok_or_else(too_large)?;
        let shape: Vec<usize> = [doubled].iter().chain(frame_shape).copied().collect();
        let layout = Layout::ordered(item, &shape, order)?;
        Ok(Self { lap, step, blocks, layout, fill: fill_element(dtype, config.fill) })
    }

    /// Bytes of the ring, each once.
    pub fn size(&self) -> usize {
        self.layout.size() / 2
    }

    /// Where frame `index` is in the ring.
    pub fn position(&self, index: i64) -> usize {
        // Not more than there is memory for, so it fits.
        index.rem_euclid(self.lap as i64) as usize
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
