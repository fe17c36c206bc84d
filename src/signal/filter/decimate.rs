//! Every n-th frame.

use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::params::Params;

/// Takes every n-th frame: those whose index is a multiple of n, which is then their new index times n.
///
/// So what is taken does not depend on where chunks begin and end, on gaps, or on when an input joined. An index behind the last frame becomes
/// itself over n, rounded up; a gap, too, is where it was, and is none if no frame was in it that would have been taken. There is no low-pass
/// filter in it: what is faster than half of the new rate must not be in the signal. Nothing is copied: inputs within the process share the memory of all
/// frames.
pub struct Decimate {
    every: usize,
}

impl Decimate {
    /// Every `every`-th frame; 1: all.
    ///
    /// # Errors
    /// It is 0.
    pub fn new(every: usize) -> Result<Self> {
        match every {
            0 => Err(Error::invalid("every must be at least 1 (got 0)")),
            every => Ok(Self { every }),
        }
    }
}

impl Filter for Decimate {
    fn name(&self) -> &str {
        "decimate"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        params.sample_rate /= self.every as f64;
        let frames = &mut params.shape[0];
        // Of a multiple of n, any n-th part is as long; of other lengths not.
        *frames = match i64::try_from(self.every) {
            Ok(every) if *frames > 0 && *frames % every == 0 => *frames / every,
            _ => -1,
        };
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        let every = self.every as u64;
        let (start, count) = (frames.start(), frames.frames());
        let Some(first) = start.checked_next_multiple_of(every).filter(|&first| first < frames.index())
        else {
            return Ok(None);
        };
        let skipped = (first - start) as usize;
        let left = (count - skipped).div_ceil(self.every);
        let step = isize::try_from(self.every).unwrap_or(isize::MAX);
        let layout = frames.layout().slice(0, skipped, step, left)?;
        frames.view(layout, first / every + left as u64).map(Some)
    }
}
