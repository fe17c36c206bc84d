//! Chunks that no index knows of: found in the data file, as far as they are whole.
//!
//! Records follow each other there, each at a whole block. What a killed recorder has left at the end may be a record without (all of) its data, so
//! only what has right CRCs counts.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::format::{BLOCK, CHUNK_FIXED, ChunkRecord, Record, blocks};
use crate::error::{Error, Result};

/// Bytes that are read at a time.
const WINDOW: usize = 1 << 20;

/// A place in a file, and the file's name for messages.
pub(super) struct Source<'a> {
    pub(super) file: &'a File,
    pub(super) name: &'a str,
}

impl Source<'_> {
    pub(super) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|e| Error::io(format_args!("reading {} at byte {at}", self.name), &e))
    }

    /// The CRC-32C of `length` bytes from `at` on.
    pub(super) fn sum(&self, at: u64, length: u64) -> Result<u32> {
        let mut buffer = vec![0; WINDOW.min(usize::try_from(length).unwrap_or(WINDOW))];
        let (mut sum, mut at, mut left) = (0, at, length);
        while left > 0 {
            let part = &mut buffer[..usize::try_from(left).unwrap_or(WINDOW).min(WINDOW)];
            self.read(at, part)?;
            sum = crc32c::crc32c_append(sum, part);
            at += part.len() as u64;
            left -= part.len() as u64;
        }
        Ok(sum)
    }
}

/// The whole chunks from byte `from` of a data file of `size` bytes on.
pub(super) fn scan(
    source: &Source<'_>,
    recording: u64,
    number: u32,
    from: u64,
    size: u64,
) -> Result<Vec<ChunkRecord>> {
    let mut found = Vec::new();
    let mut at = blocks(from);
    // Records that claim much and are not whole cost time: in a file that is made for that, only so much.
    let mut budget = size.saturating_mul(4);
    let mut window = Vec::new();
    while at.saturating_add(CHUNK_FIXED as u64) <= size {
        // A window of blocks; the first good record in it, or the next window.
        window.resize(usize::try_from(size - at).unwrap_or(WINDOW).min(WINDOW), 0);
        source.read(at, &mut window)?;
        let mut next = at + blocks(window.len() as u64);
        for (i, block) in window.chunks(BLOCK as usize).enumerate() {
            let place = at + i as u64 * BLOCK;
            let Some(Record::Chunk(record)) = Record::parse(block, recording, number) else { continue };
            let end = place.saturating_add(record.length());
            if record.offset != place || end > size || budget == 0 {
                continue;
            }
            budget = budget.saturating_sub(record.length());
            if is_whole(source, &record)? {
                found.push(record);
                next = end;
                break;
            }
        }
        at = next;
    }
    Ok(found)
}

/// Whether the flags, the extra data and the data are those that the record is of.
pub(super) fn is_whole(source: &Source<'_>, record: &ChunkRecord) -> Result<bool> {
    let meta = record.present_size.saturating_add(record.extra_size);
    Ok(source.sum(record.offset + CHUNK_FIXED as u64, meta)? == record.meta_sum
        && source.sum(record.offset + record.data_start(), record.data_size)? == record.data_sum)
}
