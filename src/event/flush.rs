//! A flush: what is in the buffer goes to all sinks, and leaves it when all of them have it.
//!
//! A sink that fails keeps its place: the packets that it has not got stay, and the next flush goes on for it where it was, so that nothing is
//! lost and nothing is written twice. The other sinks do not wait for it.

use std::time::Instant;

use super::buffer::{EventBuffer, State};
use super::segment::Amount;
use super::sink::{Attached, Sink, SinkStats};
use super::way_out::Outlets;
use crate::error::{Error, ErrorKind, Result};

/// Pieces of memory, each of at most 1 MiB of packets, that are written before they are let go: few, so that memory that is used again is still in
/// the processor's cache, and enough for large writes.
const PIECES: usize = 2;

/// What a flush did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Packets that the primary sink took.
    pub packets: u64,
    /// Bytes that all sinks wrote, without headers.
    pub bytes: u64,
}

impl EventBuffer {
    /// Writes what is in the buffer to all sinks: to the others first, in their order, then to the primary one. Packets that are put meanwhile
    /// wait for the next flush.
    ///
    /// # Errors
    /// `State`: there is no primary sink. Else the first error of a sink; the buffer then keeps what that sink has not got.
    pub fn flush(&self) -> Result<Flushed> {
        let mut outlets = self.way_out.enter()?;
        if outlets.primary().is_none() {
            return Err(Error::state("event buffer: flushing takes a primary sink"));
        }
        let end = {
            let mut state = self.state.lock();
            state.last_flush = Instant::now();
            state.stats.flushes += 1;
            state.store.take_off()
        };
        let before = outlets.written();
        let (packets_before, _) = outlets.primary_progress();
        let result = self.write_all(&mut outlets, end);
        let finished = outlets.finish_flush();
        let result = result.and(finished);
        let flushed = Flushed {
            packets: outlets.primary_progress().0 - packets_before,
            bytes: outlets.written() - before,
        };
        let mut state = self.state.lock();
        state.primary_next = outlets.primary_progress().1;
        state.store.take_back(outlets.sinks.iter().map(|sink| sink.progress.next));
        state.stats.written_bytes += flushed.bytes;
        state.stats.flush_errors += u64::from(result.is_err());
        self.trim(&mut state);
        self.removed(&mut state);
        if state.flusher.waits {
            // Another thread's flush: what that has left is the flusher's.
            self.due.notify_one();
        }
        result.map(|()| flushed)
    }

    /// Brings all sinks to `end`, as far as they go.
    fn write_all(&self, outlets: &mut Outlets, end: u64) -> Result<()> {
        let mut first_error = None;
        let mut failed = vec![false; outlets.sinks.len()];
        loop {
            let alive = outlets.sinks.iter().zip(&failed).filter(|(_, failed)| !**failed);
            let Some(from) = alive.map(|(sink, _)| sink.progress.next).min() else { break };
            if from >= end {
                break;
            }
            let batch = self.state.lock().store.batch(from, end, PIECES);
            for (sink, failed) in outlets.sinks.iter_mut().zip(&mut failed) {
                if *failed || sink.progress.next >= batch.end() {
                    continue;
                }
                match sink.write(&batch) {
                    Ok(()) => sink.progress.next = batch.end(),
                    Err(error) => {
                        *failed = true;
                        first_error.get_or_insert(error);
                    }
                }
            }
            drop(batch);
            let everybody = outlets.sinks.iter().map(|sink| sink.progress.next).min().unwrap_or(end);
            let mut state = self.state.lock();
            let landed = state.store.land(everybody);
            state.stats.flushed += landed;
            if landed != Amount::default() {
                self.removed(&mut state);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Attaches a sink. Its first packet is the oldest in the buffer. A primary one takes the place of the present one.
    pub fn add_sink(&self, sink: Box<dyn Sink>, primary: bool) -> Result<usize> {
        let mut outlets = self.way_out.enter()?;
        let mut state = self.state.lock();
        let next = state.store.oldest_number();
        state.store.keep_lost(true);
        state.store.add_boundary(next);
        let attached = Attached::new(sink, primary, next);
        if !primary {
            let index = outlets.custom_count();
            outlets.sinks.insert(index, attached);
            return Ok(index);
        }
        state.primary_next = next;
        drop(state);
        let replaced = match outlets.sinks.last_mut().filter(|last| last.primary) {
            Some(last) => Some(std::mem::replace(last, attached)),
            None => {
                outlets.sinks.push(attached);
                None
            }
        };
        if let Some(mut replaced) = replaced {
            replaced.close()?;
        }
        Ok(outlets.custom_count())
    }

    /// Closes and forgets all sinks, without a flush: packets stay in the buffer. The first error that closing gave; all are closed
    /// nevertheless.
    pub fn disconnect_sinks(&self) -> Result<()> {
        let mut outlets = self.way_out.enter()?;
        let sinks = std::mem::take(&mut outlets.sinks);
        {
            let State { store, primary_next, .. } = &mut *self.state.lock();
            store.keep_lost(false);
            *primary_next = 0;
        }
        let mut result = Ok(());
        for mut sink in sinks {
            let closed = sink.close();
            result = result.and(closed);
        }
        result
    }

    /// How many sinks there are: `(all, with a primary one)`.
    pub fn sink_count(&self) -> Result<(usize, bool)> {
        let outlets = self.way_out.enter()?;
        Ok((outlets.sinks.len(), outlets.primary().is_some()))
    }

    /// What became of the packets in one sink: `None` is the primary one, else they count from 0 in the order in which they were added.
    pub fn sink_stats(&self, index: Option<usize>) -> Result<SinkStats> {
        let outlets = self.way_out.enter()?;
        let sink = match index {
            None => outlets.primary(),
            Some(index) => outlets.sinks.get(index).filter(|sink| !sink.primary),
        };
        let missing = || match index {
            None => Error::new(ErrorKind::NotFound, "event buffer: there is no primary sink"),
            Some(index) => {
                let count = outlets.custom_count();
                Error::new(
                    ErrorKind::NotFound,
                    format!("index must be below {count}, the number of sinks (got {index})"),
                )
            }
        };
        sink.map(Attached::stats).ok_or_else(missing)
    }

    /// Whether this thread is in a function that a flush of this buffer has called.
    pub fn is_flushing_here(&self) -> bool {
        self.way_out.is_mine()
    }
}

impl Outlets {
    fn primary(&self) -> Option<&Attached> {
        self.sinks.last().filter(|last| last.primary)
    }

    fn custom_count(&self) -> usize {
        self.sinks.iter().filter(|sink| !sink.primary).count()
    }

    /// Packets that the primary sink has, and where it is.
    fn primary_progress(&self) -> (u64, u64) {
        self.primary().map_or((0, 0), |primary| (primary.progress.packets, primary.progress.next))
    }

    /// Bytes that all sinks have written.
    fn written(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.progress.bytes).sum()
    }

    /// The packets of a flush have been written: makes them as durable as the sinks were told.
    fn finish_flush(&mut self) -> Result<()> {
        let mut result = Ok(());
        for sink in &mut self.sinks {
            let finished = sink.finish_flush();
            result = result.and(finished);
        }
        result
    }
}
