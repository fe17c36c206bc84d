//! Reading rows of a dataset: each thread has a [`Reader`] of its own, and none waits for another unless libhdf5 has to read.
//!
//! Chunks that have all of their rows are unpacked where the rows are wanted; others are unpacked beside it and copied from there. Invariant: whatever the file
//! says, only the caller's memory, one chunk and its packed bytes are written.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::ChunkCache;
use super::codec::Decoder;
use super::dataset::{Chunks, Dataset, Places, Way};
use super::dtype::{DataType, Swap, swap_elements};
use super::index::{Chunk, Place};
use super::memory::resize;
use super::strips::{Column, Source, copy_rows};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5;

/// Bytes of chunks that a reader keeps where nobody says.
const MOST_CACHED: usize = 64 << 20;
/// Bytes that are read at a time to take a column out of them.
const PIECE: usize = 256 << 10;

/// What readers have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Bytes read from the file, packed where it has them packed.
    pub bytes_read: u64,
    /// Chunks unpacked.
    pub chunks_decoded: u64,
    /// Time that unpacking took.
    pub decode_time: Duration,
}

impl ReadStats {
    pub(super) fn add(&mut self, other: &Self) {
        self.bytes_read += other.bytes_read;
        self.chunks_decoded += other.chunks_decoded;
        self.decode_time += other.decode_time;
    }
}

/// Reads rows of a dataset, or of one field of its records.
pub struct Reader {
    dataset: Arc<Dataset>,
    column: Column,
    swaps: Vec<Swap>,
    decoder: Decoder,
    /// A chunk, or a piece of the file, on its way to the caller.
    memory: Vec<u8>,
    /// Chunks of which more may be wanted.
    cache: Arc<ChunkCache>,
    stats: ReadStats,
}

impl Reader {
    /// A reader of whole elements, or of the field with that name. With `native`, numbers are put into this machine's byte order.
    ///
    /// # Errors
    /// `NotFound`: there is no such field.
    pub fn new(dataset: &Arc<Dataset>, field: Option<&str>, native: bool) -> Result<Self> {
        let whole = dataset.dtype();
        let (column, dtype): (_, &DataType) = match field {
            None => (Column::whole(whole.size), whole),
            Some(name) => {
                let field = whole.field(name)?;
                (Column { offset: field.offset, size: field.dtype.size, element: whole.size }, &field.dtype)
            }
        };
        Ok(Self {
            column,
            swaps: if native { dtype.swaps() } else { Vec::new() },
            dataset: dataset.clone(),
            decoder: Decoder::new(),
            memory: Vec::new(),
            cache: ChunkCache::new(dataset.row_of_chunks().min(MOST_CACHED)),
            stats: ReadStats::default(),
        })
    }

    /// The same with a cache of this dataset's chunks that other readers may share; without, it keeps a row of chunks for itself.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<ChunkCache>) -> Self {
        self.cache = cache;
        self
    }

    /// Bytes of a row of what is read.
    pub fn row_size(&self) -> usize {
        self.dataset.row_size() / self.column.element * self.column.size
    }

    /// Bytes of an element of what is read.
    pub fn element_size(&self) -> usize {
        self.column.size
    }

    /// What it reads.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// What was done since it was asked last.
    pub fn take_stats(&mut self) -> ReadStats {
        std::mem::take(&mut self.stats)
    }

    /// Reads `rows` to `to`, which must have as many bytes as they have. After an error anything may be in it.
    ///
    /// # Errors
    /// `Invalid`: the rows, or the memory, are out of range. `Format`, `Truncated`: the file is damaged there. `Io`, `NoMemory`.
    pub fn read(&mut self, rows: Range<u64>, to: &mut [u8]) -> Result<()> {
        let all = self.dataset.rows();
        if rows.start > rows.end || rows.end > all {
            let Range { start, end } = rows;
            return Err(Error::invalid(format!("rows must be within 0 to {all} (got {start} to {end})")));
        }
        let size = (rows.end - rows.start).checked_mul(self.row_size() as u64);
        if size != Some(to.len() as u64) {
            let (got, size) = (to.len(), size.unwrap_or(u64::MAX));
            return Err(Error::invalid(format!("memory for rows must have {size} bytes (got {got})")));
        }
        if to.is_empty() {
            return Ok(());
        }
        let dataset = self.dataset.clone();
        match &dataset.way {
            Way::Contiguous(Some(offset)) => self.read_contiguous(&dataset, *offset, rows, to),
            Way::Contiguous(None) => {
                self.column.fill(&dataset.fill, to);
                Ok(())
            }
            Way::Chunks(chunks) => self.read_chunks(&dataset, chunks, rows, to),
            Way::Library => self.read_by_library(&dataset, rows, to),
        }
        .map_err(|e| {
            let place = format!("dataset {} of {}", dataset.name(), dataset.file.path().display());
            Error::new(e.kind(), format!("{place}: {}", e.message()))
        })?;
        swap_elements(&self.swaps, self.column.size, to);
        Ok(())
    }

    fn read_contiguous(
        &mut self,
        dataset: &Dataset,
        offset: u64,
        rows: Range<u64>,
        to: &mut [u8],
    ) -> Result<()> {
        let row = dataset.row_size() as u64;
        let (start, size) = (offset.saturating_add(rows.start * row), (rows.end - rows.start) * row);
        self.stats.bytes_read += size;
        if self.column.is_whole() {
            return dataset.file.read_at(start, to);
        }
        let Column { element, size: wanted, .. } = self.column;
        let elements = (PIECE / element).max(1);
        let mut at = start;
        for to in to.chunks_mut(elements * wanted) {
            let size = to.len() / wanted * element;
            resize(&mut self.memory, size)?;
            dataset.file.read_at(at, &mut self.memory)?;
            self.column.copy(&self.memory, to);
            at += size as u64;
        }
        Ok(())
    }

    fn read_by_library(&mut self, dataset: &Dataset, rows: Range<u64>, to: &mut [u8]) -> Result<()> {
        let mut start = vec![0; dataset.shape().len()];
        let mut count = dataset.shape().to_vec();
        (start[0], count[0]) = (rows.start, rows.end - rows.start);
        let whole = match self.column.is_whole() {
            true => &mut *to,
            false => {
                resize(&mut self.memory, to.len() / self.column.size * self.column.element)?;
                &mut self.memory[..]
            }
        };
        self.stats.bytes_read += whole.len() as u64;
        let library = hdf5::lock();
        let read = dataset.handle.read(&library, &dataset.kind, &start, &count, whole);
        drop(library);
        read.map_err(|e| {
            let why = dataset.path_reason();
            let message = format!("libhdf5, which must read it since {why}, cannot read rows {rows:?}: {e}");
            Error::new(ErrorKind::Format, message)
        })?;
        if !self.column.is_whole() {
            self.column.copy(&self.memory, to);
        }
        Ok(())
    }

    fn read_chunks(
        &mut self,
        dataset: &Dataset,
        chunks: &Chunks,
        rows: Range<u64>,
        to: &mut [u8],
    ) -> Result<()> {
        let per_row = chunks.grid.per_row();
        let height = chunks.grid.chunk()[0];
        for number in rows.start / height * per_row..rows.end.div_ceil(height) * per_row {
            self.read_chunk(dataset, chunks, number, &rows, to).map_err(|e| {
                let first = chunks.grid.first_of(number);
                Error::new(e.kind(), format!("the chunk of elements {first:?}: {}", e.message()))
            })?;
        }
        Ok(())
    }

    /// Reads what the rows have of one chunk.
    fn read_chunk(
        &mut self,
        dataset: &Dataset,
        chunks: &Chunks,
        number: u64,
        rows: &Range<u64>,
        to: &mut [u8],
    ) -> Result<()> {
        let (shape, shape_of_chunk) = (dataset.shape(), chunks.grid.chunk());
        let first = chunks.grid.first_of(number);
        let end = first[0] + shape_of_chunk[0];
        // Others of its rows may be wanted next.
        let partial = first[0] < rows.start || rows.end < end.min(shape[0]);
        if partial && let Some(chunk) = self.cache.get(number) {
            copy_rows(Source::Chunk(&chunk), self.column, shape_of_chunk, &first, shape, rows.clone(), to);
            return Ok(());
        }
        let chunk = match &chunks.places {
            Places::Table(table) => match table.find(number) {
                Place::At(chunk) => Some(chunk),
                Place::Nowhere => None,
                Place::Lost(lost) => return Err(Error::new(ErrorKind::Format, lost.reason.clone())),
            },
            Places::Library => self.load_by_library(dataset, &first)?,
        };
        let Some(mut chunk) = chunk else {
            let source = Source::Fill(&dataset.fill);
            copy_rows(source, self.column, shape_of_chunk, &first, shape, rows.clone(), to);
            return Ok(());
        };
        let edge =
            first.iter().zip(shape_of_chunk).zip(shape).any(|((first, chunk), all)| first + chunk > *all);
        if edge && !chunks.filters_edges {
            chunk.mask = u32::MAX;
        }
        let plain = chunks.pipeline.is_plain(chunk.mask);
        if plain && chunk.size as usize != chunks.size {
            let message = format!("it must have {} bytes (got {})", chunks.size, chunk.size);
            return Err(Error::new(ErrorKind::Format, message));
        }
        let loaded = matches!(chunks.places, Places::Library);
        if plain && !loaded {
            return self.read_plain(dataset, chunks, chunk, &first, rows, to);
        }
        if !loaded {
            // Before memory is taken for it.
            dataset.file.check(chunk.address, u64::from(chunk.size))?;
            dataset.file.read_at(chunk.address, self.decoder.input(chunk.size as usize)?)?;
            self.stats.bytes_read += u64::from(chunk.size);
        }
        let began = Instant::now();
        if rows.start <= first[0]
            && end <= rows.end
            && self.column.is_whole()
            && chunks.grid.has_full_rows(shape)
        {
            let at = (first[0] - rows.start) as usize * dataset.row_size();
            self.decoder.decode(&chunks.pipeline, chunk.mask, &mut to[at..][..chunks.size])?;
        } else {
            resize(&mut self.memory, chunks.size)?;
            self.decoder.decode(&chunks.pipeline, chunk.mask, &mut self.memory)?;
            let source = Source::Chunk(&self.memory);
            copy_rows(source, self.column, shape_of_chunk, &first, shape, rows.clone(), to);
            if partial {
                let memory = std::mem::take(&mut self.memory);
                self.memory = self.cache.put(number, memory).unwrap_or_default();
            }
        }
        self.stats.decode_time += began.elapsed();
        self.stats.chunks_decoded += 1;
        Ok(())
    }

    /// Reads the rows of a chunk that is not packed, and no others.
    fn read_plain(
        &mut self,
        dataset: &Dataset,
        chunks: &Chunks,
        chunk: Chunk,
        first: &[u64],
        rows: &Range<u64>,
        to: &mut [u8],
    ) -> Result<()> {
        let (shape, mut part) = (dataset.shape(), chunks.grid.chunk().to_vec());
        let end = (first[0] + part[0]).min(rows.end);
        let begin = first[0].max(rows.start);
        let row = chunks.size / part[0] as usize;
        let (at, size) = ((begin - first[0]) as usize * row, (end - begin) as usize * row);
        let address = chunk.address.saturating_add(at as u64);
        self.stats.bytes_read += size as u64;
        if self.column.is_whole() && chunks.grid.has_full_rows(shape) {
            let to_at = (begin - rows.start) as usize * row;
            return dataset.file.read_at(address, &mut to[to_at..][..size]);
        }
        dataset.file.check(address, size as u64)?;
        resize(&mut self.memory, size)?;
        dataset.file.read_at(address, &mut self.memory)?;
        // The part that was read is a chunk of its own.
        let mut first = first.to_vec();
        (first[0], part[0]) = (begin, end - begin);
        copy_rows(Source::Chunk(&self.memory), self.column, &part, &first, shape, rows.clone(), to);
        Ok(())
    }

    /// Has libhdf5 read a chunk, packed as it is. `None` if it was never written.
    fn load_by_library(&mut self, dataset: &Dataset, first: &[u64]) -> Result<Option<Chunk>> {
        let failed =
            |e: std::io::Error| Error::new(ErrorKind::Format, format!("libhdf5 cannot read it: {e}"));
        let library = hdf5::lock();
        let size = dataset.handle.chunk_size(&library, first).map_err(failed)?;
        if size == 0 {
            return Ok(None);
        }
        dataset.file.check(0, size)?;
        let size = u32::try_from(size).map_err(|_| {
            Error::new(ErrorKind::Format, format!("a chunk must have less than 4 GiB (got {size} bytes)"))
        })?;
        let input = self.decoder.input(size as usize)?;
        let mask = dataset.handle.read_chunk(&library, first, input).map_err(failed)?;
        self.stats.bytes_read += u64::from(size);
        Ok(Some(Chunk { address: 0, size, mask }))
    }
}
