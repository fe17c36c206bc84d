//! Rows as frames of a signal stream. The player's thread sends; its turns with the output are short, so that others may look at it.

use super::pace::Pace;
use super::params::stream_params;
use super::player::{Plan, SLICE, Shared};
use crate::dataset::rows_in_order;
use crate::error::{Error, Result};
use crate::ring::{GetError, Wait};
use crate::signal::array::Layout;
use crate::signal::output::Sent;
use crate::signal::shared::SharedOutput;

/// Frames are sent that often at least, where the rate allows.
const CHUNK_SECONDS: f64 = 0.02;

pub(super) struct StreamTarget {
    output: SharedOutput,
    item: usize,
    frame_shape: Vec<usize>,
}

impl StreamTarget {
    pub(super) fn new(plan: &Plan, output: SharedOutput) -> Result<Self> {
        let (params, source) = (stream_params(&plan.dataset)?, output.source().clone());
        let (rows, frames) = (params.frame_size(), source.frame_size());
        if params.frame_shape() != source.frame_shape() || params.dtype.size() != source.dtype.size() {
            return Err(Error::invalid(format!(
                "the output must have frames of shape {:?} and type {}, {rows} bytes, as dataset {} (got {:?} and {}, {frames} bytes)",
                params.frame_shape(),
                params.dtype,
                plan.dataset.name(),
                source.frame_shape(),
                source.dtype
            )));
        }
        Ok(Self { output, item: params.dtype.size(), frame_shape: params.frame_shape() })
    }

    pub(super) fn output(&self) -> &SharedOutput {
        &self.output
    }

    /// Plays all. False: it is to stop.
    pub(super) fn play(&self, plan: &Plan, shared: &Shared) -> Result<bool> {
        let block = plan.dataset.default_block_rows();
        let chunk = plan.chunk_rows.unwrap_or_else(|| {
            // Saturates at what the type holds.
            ((plan.rate * CHUNK_SECONDS) as u64).clamp(1, block)
        });
        let queue =
            rows_in_order(&plan.dataset, plan.rows.clone(), block.max(chunk), plan.threads, plan.loops != 1)?;
        let (row_size, once) = (plan.dataset.row_size(), plan.rows.end - plan.rows.start);
        let mut left = plan.total();
        let mut in_loop = 0;
        let mut pace = Pace::new(&shared.stop, plan.rate);
        while left > 0 {
            let block = loop {
                match queue.get(Wait::For(SLICE)) {
                    Ok(block) => break block,
                    Err(GetError::Stopped) => return Ok(true),
                    Err(_) if shared.stop.is_set() => return Ok(false),
                    Err(_) => {}
                }
            };
            let bytes = block.data()?;
            let rows = block.rows().min(left);
            let mut done = 0;
            while done < rows {
                let count = chunk.min(rows - done);
                if !pace.wait(count) {
                    return Ok(false);
                }
                let part = &bytes[done as usize * row_size..][..count as usize * row_size];
                if !self.send(part, count as usize, shared)? {
                    return Ok(false);
                }
                done += count;
                in_loop += count;
                let loops = in_loop / once;
                in_loop %= once;
                shared.count(|stats| {
                    stats.rows += count;
                    stats.chunks += 1;
                    stats.bytes += part.len() as u64;
                    stats.loops += loops;
                    stats.late = pace.late;
                });
            }
            left = if plan.loops == 0 { left } else { left - rows };
        }
        self.finish(shared)
    }

    /// Sends frames to all inputs, however slow they are. False: it is to stop.
    fn send(&self, frames: &[u8], count: usize, shared: &Shared) -> Result<bool> {
        let shape: Vec<usize> = std::iter::once(count).chain(self.frame_shape.iter().copied()).collect();
        let layout = Layout::c_order(self.item, &shape)?;
        loop {
            if shared.stop.is_set() {
                return Ok(false);
            }
            // Or else somebody else is sending.
            let Some(mut output) = self.output.lock_for(SLICE) else { continue };
            // SAFETY: the frames are of that layout.
            match unsafe { output.send(frames.as_ptr(), &layout, None, Wait::For(SLICE)) }? {
                Sent::Refused => {}
                Sent::Taken(published) if !published.timed_out => return Ok(true),
                Sent::Taken(_) => {
                    drop(output);
                    return self.until(shared, |output| output.publish(Wait::For(SLICE)));
                }
            }
        }
    }

    /// Publishes what is held back.
    fn finish(&self, shared: &Shared) -> Result<bool> {
        self.until(shared, |output| output.flush(Wait::For(SLICE)))
    }

    fn until(
        &self,
        shared: &Shared,
        mut publish: impl FnMut(&mut crate::signal::output::Output) -> Result<crate::signal::transport::Published>,
    ) -> Result<bool> {
        loop {
            if let Some(mut output) = self.output.lock_for(SLICE)
                && !publish(&mut output)?.timed_out
            {
                return Ok(true);
            }
            if shared.stop.is_set() {
                return Ok(false);
            }
        }
    }
}
