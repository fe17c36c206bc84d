//! Rows as chunks in a ring: each has a block of them, in the memory of an empty chunk of another ring.

use std::sync::Arc;

use super::pace::Pace;
use super::player::{Plan, SLICE, Shared};
use crate::chunk::{Chunk, ChunkRing};
use crate::dataset::dataset::Dataset;
use crate::dataset::reader::Reader;
use crate::dataset::rows_in_order;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{GetError, PutError, Wait};

pub(super) struct RingTarget {
    data: Arc<ChunkRing>,
    free: Arc<ChunkRing>,
    chunk_rows: u64,
    /// What a recorder noted of each block.
    ids: Option<Arc<Dataset>>,
    present: Option<Arc<Dataset>>,
}

impl RingTarget {
    pub(super) fn new(plan: &Plan, data: Arc<ChunkRing>, free: Arc<ChunkRing>) -> Result<Self> {
        if Arc::ptr_eq(&data, &free) {
            return Err(Error::invalid("data_ring and free_ring must be two rings"));
        }
        let dataset = &plan.dataset;
        let recorded = dataset.chunk_shape().map(|shape| shape[0].min(dataset.rows()));
        let chunk_rows = plan.chunk_rows.unwrap_or_else(|| dataset.default_block_rows());
        // What was noted is of whole blocks, from the first on.
        let fits = recorded == Some(chunk_rows) && plan.rows.start.is_multiple_of(chunk_rows);
        let beside = |suffix: &str| -> Result<Option<Arc<Dataset>>> {
            let name = format!("{}_{suffix}", dataset.name().trim_matches('/'));
            match Dataset::open(dataset.file(), &name) {
                Ok(found) if fits && found.rows() == dataset.rows().div_ceil(chunk_rows) => Ok(Some(found)),
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(None),
            }
        };
        let ids = beside("chunk_id")?.filter(|ids| ids.row_size() == 8);
        Ok(Self { data, free, chunk_rows, ids, present: beside("present")? })
    }

    /// Plays all. False: it is to stop, or a ring has been stopped.
    pub(super) fn play(&self, plan: &Plan, shared: &Shared) -> Result<bool> {
        self.data.add_producer();
        let played = self.play_loops(plan, shared);
        // Counted above.
        let _ = self.data.remove_producer();
        played
    }

    fn play_loops(&self, plan: &Plan, shared: &Shared) -> Result<bool> {
        let mut pace = Pace::new(&shared.stop, plan.rate);
        let mut ids = self.ids.as_ref().map(|ids| Reader::new(ids, None, true)).transpose()?;
        let mut present = self.present.as_ref().map(|flags| Reader::new(flags, None, true)).transpose()?;
        // Numbers go on rising from loop to loop.
        let (mut add, mut highest, mut first): (i64, i64, Option<i64>) = (0, i64::MIN, None);
        let mut loops = 0;
        while plan.loops == 0 || loops < plan.loops {
            let queue =
                rows_in_order(&plan.dataset, plan.rows.clone(), self.chunk_rows, plan.threads, false)?;
            loop {
                let block = match queue.get(Wait::For(SLICE)) {
                    Ok(block) => block,
                    Err(GetError::Stopped) => break,
                    Err(_) if shared.stop.is_set() => return Ok(false),
                    Err(_) => continue,
                };
                let bytes = block.data()?;
                let rows = block.rows();
                let number = (plan.rows.start + block.first_row()) / self.chunk_rows;
                let Some(mut chunk) = self.empty(shared)? else { return Ok(false) };
                let rest = chunk.data.len().saturating_sub(bytes.len());
                if !chunk.data.write(0, bytes) || !chunk.data.write(bytes.len(), &vec![0; rest]) {
                    let (got, needed) = (chunk.data.len(), bytes.len());
                    let message =
                        format!("replay: a free chunk must have {needed} bytes of data (got {got})");
                    return Err(Error::invalid(message));
                }
                chunk.id = i64::try_from(number).unwrap_or(i64::MAX);
                if let Some(reader) = &mut ids {
                    let mut id = [0; 8];
                    reader.read(number..number + 1, &mut id)?;
                    chunk.id = i64::from_ne_bytes(id);
                }
                first = first.or(Some(chunk.id));
                chunk.id = chunk.id.saturating_add(add);
                highest = highest.max(chunk.id);
                self.set_flags(&mut chunk, &mut present, number, rows)?;
                if !pace.wait(rows) || !self.hand_over(chunk, shared) {
                    return Ok(false);
                }
                shared.count(|stats| {
                    stats.rows += rows;
                    stats.chunks += 1;
                    stats.bytes += bytes.len() as u64;
                    stats.late = pace.late;
                });
            }
            loops += 1;
            add = highest.saturating_add(1).saturating_sub(first.unwrap_or_default());
            shared.count(|stats| stats.loops += 1);
        }
        Ok(true)
    }

    fn empty(&self, shared: &Shared) -> Result<Option<Box<Chunk>>> {
        loop {
            match self.free.get(Wait::For(SLICE)) {
                Ok(chunk) => return Ok(Some(chunk)),
                Err(GetError::Stopped) => return Ok(None),
                Err(_) if shared.stop.is_set() => return Ok(None),
                Err(_) => {}
            }
        }
    }

    /// The recorded flags; or else one for each part of the chunk that has rows.
    fn set_flags(
        &self,
        chunk: &mut Chunk,
        recorded: &mut Option<Reader>,
        number: u64,
        rows: u64,
    ) -> Result<()> {
        chunk.present.zero();
        let all = chunk.present.len();
        let flags = match recorded {
            Some(reader) => {
                let mut flags = vec![0; reader.row_size()];
                reader.read(number..number + 1, &mut flags)?;
                flags
            }
            None => {
                let whole = u128::from(rows) * all as u128 / u128::from(self.chunk_rows);
                vec![1; whole as usize]
            }
        };
        match chunk.present.write(0, &flags) {
            true => Ok(()),
            false => {
                let needed = flags.len();
                let message = format!("replay: a free chunk must have {needed} bytes of flags (got {all})");
                Err(Error::invalid(message))
            }
        }
    }

    /// Puts a chunk into the ring. False: it is to stop, or the ring has been.
    fn hand_over(&self, mut chunk: Box<Chunk>, shared: &Shared) -> bool {
        loop {
            match self.data.put(chunk, Wait::For(SLICE)) {
                Ok(()) => return true,
                Err(PutError::Full(back) | PutError::TimedOut(back)) if !shared.stop.is_set() => chunk = back,
                Err(error) => {
                    // Where it came from; nobody needs it if there is no place.
                    drop(self.free.put(error.into_inner(), Wait::No));
                    return false;
                }
            }
        }
    }
}
