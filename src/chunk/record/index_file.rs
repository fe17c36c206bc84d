//! The index, as it is written: by one thread at a time, in the order of the chunks.
//!
//! Invariant: the first `size` bytes of the index file are its header and whole records of chunks whose data is in the data file. A record that
//! could not be written is cut off.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::data_file::{FilePair, failed};
use super::format::{ChunkRecord, EndRecord, Ledger};
use super::stats::RecorderStats;
use crate::error::{Error, Result};
use crate::storage::Durability;
use crate::sys::{clock, file};

/// The index of the pair that is being written.
pub(super) struct OpenIndex {
    pub(super) pair: Arc<FilePair>,
    size: u64,
    data_end: u64,
    chunks: u64,
    /// Chunks entered since the last sync that went well.
    unsynced: u64,
    synced: Instant,
}

impl OpenIndex {
    pub(super) fn new(pair: Arc<FilePair>) -> Self {
        let (size, data_end) = (pair.index_start, pair.data_start);
        Self { pair, size, data_end, chunks: 0, unsynced: 0, synced: Instant::now() }
    }

    /// Enters a chunk. The answer is by how many bytes both files have grown.
    pub(super) fn add(&mut self, record: &ChunkRecord, meta: &[u8]) -> Result<u64, (Error, io::Error)> {
        self.append(meta).map_err(|e| {
            let what = format!("writing at byte {}", self.size);
            (failed(&self.pair.index_path, &what, &e), e)
        })?;
        self.data_end = self.data_end.max(record.offset + record.length());
        self.chunks += 1;
        self.unsynced += 1;
        Ok(record.length() + meta.len() as u64)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = file::write_all_at(self.pair.index.as_fd(), &mut [IoSlice::new(bytes)], self.size);
        if written.is_err() {
            // If it cannot be cut off it is written over.
            let _ = self.pair.index.set_len(self.size);
        }
        self.size += written?;
        Ok(())
    }

    /// When the next sync is due, if one is.
    pub(super) fn due(&self, durability: Durability) -> Option<Instant> {
        match durability {
            _ if self.unsynced == 0 => None,
            Durability::System => None,
            Durability::Flush => Some(self.synced),
            // A time that the clock cannot count to never comes.
            Durability::Interval(interval) => self.synced.checked_add(interval),
        }
    }

    /// Makes all that was entered durable. The answer is how many chunks that were not before.
    ///
    /// After an error they never count as durable: the system may have forgotten what it could not write.
    pub(super) fn sync(&mut self) -> Result<u64> {
        let chunks = std::mem::take(&mut self.unsynced);
        self.synced = Instant::now();
        let pair = &self.pair;
        // The data first: the index must not tell of what is not there.
        pair.data.sync_data().map_err(|e| failed(&pair.path, "fdatasync", &e))?;
        pair.index.sync_data().map_err(|e| failed(&pair.index_path, "fdatasync", &e))?;
        Ok(chunks)
    }

    /// Ends both files; the answer is how many chunks became durable by it.
    pub(super) fn finish(
        mut self,
        stats: &RecorderStats,
        ledger: Option<Ledger>,
        last: bool,
        durability: Durability,
    ) -> Result<u64> {
        let end = EndRecord {
            recording: self.pair.recording,
            file: self.pair.number as u32,
            given: stats.given,
            data_end: self.data_end,
            chunks: self.chunks,
            failed_full: stats.failed_full,
            failed_io: stats.failed_io,
            failed_file: stats.failed_file,
            time: clock::now(),
            last,
            ledger,
        };
        // What a chunk that failed may have left behind the others.
        let pair = &self.pair;
        pair.data.set_len(self.data_end).map_err(|e| failed(&pair.path, "ftruncate", &e))?;
        let written = self.append(&end.encode());
        written.map_err(|e| failed(&self.pair.index_path, "writing its end", &e))?;
        if durability == Durability::System { Ok(0) } else { self.sync() }
    }
}
