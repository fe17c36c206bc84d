//! A pair of files, and the writing of chunks to its data file, by several threads at the same time, each at a place of its own.
//!
//! Invariant: what is written at a place that the intake has given to a chunk is written by one thread only, and nobody reads it before the
//! chunk is in the index.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::config::{Direct, RecorderConfig};
use super::format::{BLOCK, ChunkRecord, FileHeader, FileKind, blocks};
use crate::chunk::Chunk;
use crate::error::{Error, Result};
use crate::memory::{Allocator, Buffer, MmapAllocator};
use crate::storage::{Durability, sync_folder};
use crate::sys::{direct, file};

/// Bytes of data that are copied at a time, where they have to be.
const BOUNCE: usize = 1 << 20;

/// A data file and its index.
pub(super) struct FilePair {
    pub(super) recording: u64,
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) index_path: PathBuf,
    pub(super) data: File,
    pub(super) index: File,
    /// Bytes of the headers: where the first records begin.
    pub(super) data_start: u64,
    pub(super) index_start: u64,
    /// Whether the data file is written past the page cache; once no, it stays so. Relaxed: it carries nothing else.
    direct: AtomicBool,
    /// What addresses of memory must be multiples of for that.
    memory_alignment: usize,
}

/// The name of the index of a data file.
pub(super) fn index_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".index");
    name.into()
}

impl FilePair {
    /// Creates both files with their headers. `Ok(None)`: one of them exists already.
    pub(super) fn create(path: &Path, header: &FileHeader, config: &RecorderConfig) -> Result<Option<Self>> {
        let index_path = index_path(path);
        let (data, is_direct, memory_alignment) = match create_data(path, config.direct) {
            Ok(created) => created,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return Err(failed(path, "creating it", &e)),
        };
        let index = match direct::create(&index_path, false) {
            Ok(index) => index,
            Err(e) => {
                // Ours, and of no use.
                let _ = std::fs::remove_file(path);
                return match e.kind() {
                    io::ErrorKind::AlreadyExists => Ok(None),
                    _ => Err(failed(&index_path, "creating it", &e)),
                };
            }
        };
        let (data_header, index_header) = (header.encode(FileKind::Data), header.encode(FileKind::Index));
        let pair = Self {
            recording: header.recording,
            number: header.number,
            path: path.to_owned(),
            index_path,
            data,
            index,
            data_start: data_header.len() as u64,
            index_start: index_header.len() as u64,
            direct: AtomicBool::new(is_direct),
            memory_alignment,
        };
        let written = pair.begin(&data_header, &index_header, config);
        if let Err(error) = written {
            let _ = std::fs::remove_file(&pair.path);
            let _ = std::fs::remove_file(&pair.index_path);
            return Err(error);
        }
        Ok(Some(pair))
    }

    /// Writes the headers.
    fn begin(&self, data_header: &[u8], index_header: &[u8], config: &RecorderConfig) -> Result<()> {
        let mut buffer = Buffer::empty();
        let aligned = fill(&mut buffer, data_header.len(), &[data_header]).map_err(|(error, _)| error)?;
        let write = self.write_slices(&mut || vec![IoSlice::new(aligned)], 0, config.direct);
        write.map_err(|e| failed(&self.path, "writing the header", &e))?;
        file::write_all_at(self.index.as_fd(), &mut [IoSlice::new(index_header)], 0)
            .map_err(|e| failed(&self.index_path, "writing the header", &e))?;
        if config.durability != Durability::System {
            self.data.sync_all().map_err(|e| failed(&self.path, "fsync", &e))?;
            self.index.sync_all().map_err(|e| failed(&self.index_path, "fsync", &e))?;
            sync_folder(&self.path).map_err(|(folder, e)| failed(folder, "fsync", &e))?;
        }
        Ok(())
    }

    /// Whether the data file is written past the page cache.
    pub(super) fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Relaxed)
    }

    /// Writes these slices of whole blocks; through the page cache from the moment on that the file system refuses to do it directly.
    fn write_slices<'a>(
        &self,
        slices: &mut dyn FnMut() -> Vec<IoSlice<'a>>,
        offset: u64,
        wanted: Direct,
    ) -> io::Result<()> {
        // Before the write: another thread may give it up meanwhile.
        let was_direct = self.is_direct();
        match file::write_all_at(self.data.as_fd(), &mut slices(), offset) {
            Err(e) if direct::is_refusal(&e) && wanted == Direct::Auto && was_direct => {
                direct::give_up(self.data.as_fd())?;
                if self.direct.swap(false, Ordering::Relaxed) {
                    warn_not_direct(&self.path, &e);
                }
                file::write_all_at(self.data.as_fd(), &mut slices(), offset)?;
            }
            result => {
                result?;
            }
        }
        Ok(())
    }

    /// Writes a chunk with its record. True if its data had to be copied. An error comes with the system's reason.
    pub(super) fn write_chunk(
        &self,
        record: &ChunkRecord,
        chunk: &Chunk,
        scratch: &mut Scratch,
        wanted: Direct,
    ) -> Result<bool, (Error, io::Error)> {
        let (present, extra, data) = bytes_of(chunk);
        let Scratch { meta, tail, bounce } = scratch;
        let meta_size = blocks(record.meta_size()) as usize;
        let meta = fill(meta, meta_size, &[&record.encode(), present, extra])?;
        let (body, rest) = data.split_at(data.len() - data.len() % BLOCK as usize);
        let tail = if rest.is_empty() { &[][..] } else { fill(tail, BLOCK as usize, &[rest])? };
        let fail = |e: io::Error| (failed(&self.path, &format!("writing at byte {}", record.offset), &e), e);
        let copied = self.is_direct() && !body.as_ptr().addr().is_multiple_of(self.memory_alignment);
        if !copied {
            let mut slices = || vec![IoSlice::new(meta), IoSlice::new(body), IoSlice::new(tail)];
            self.write_slices(&mut slices, record.offset, wanted).map_err(fail)?;
            return Ok(false);
        }
        let mut at = record.offset;
        self.write_slices(&mut || vec![IoSlice::new(meta)], at, wanted).map_err(fail)?;
        at += meta.len() as u64;
        for part in body.chunks(BOUNCE) {
            let part = &fill(bounce, BOUNCE, &[part])?[..part.len()];
            self.write_slices(&mut || vec![IoSlice::new(part)], at, wanted).map_err(fail)?;
            at += part.len() as u64;
        }
        self.write_slices(&mut || vec![IoSlice::new(tail)], at, wanted).map_err(fail)?;
        Ok(true)
    }
}

/// A chunk's flags, extra data and data.
pub(super) fn bytes_of(chunk: &Chunk) -> (&[u8], &[u8], &[u8]) {
    // SAFETY: flags are zeroed when a chunk is made. Data and extra data that nobody has written are whatever the memory holds: the kernel and the CRC
    // read them as bytes, and nothing depends on what they are.
    unsafe { (chunk.present.as_slice(), chunk.extra.as_slice(), chunk.data.as_slice()) }
}

fn create_data(path: &Path, wanted: Direct) -> io::Result<(File, bool, usize)> {
    let plain = || direct::create(path, false).map(|file| (file, false, 1));
    if wanted == Direct::Never {
        return plain();
    }
    let file = match direct::create(path, true) {
        Ok(file) => file,
        Err(e) if direct::is_refusal(&e) && wanted == Direct::Auto => {
            // Some file systems have created it by then.
            let _ = std::fs::remove_file(path);
            warn_not_direct(path, &e);
            return plain();
        }
        Err(e) => return Err(e),
    };
    let alignment = direct::alignment(file.as_fd());
    match alignment {
        // The file system wants more than our blocks, which are not made larger for it.
        Some(needed) if needed.offset as u64 > BLOCK || needed.memory > BLOCK as usize => {
            let e =
                io::Error::other(format!("it takes blocks of {} bytes", needed.offset.max(needed.memory)));
            if wanted == Direct::Always {
                let _ = std::fs::remove_file(path);
                return Err(e);
            }
            warn_not_direct(path, &e);
            direct::give_up(file.as_fd())?;
            Ok((file, false, 1))
        }
        Some(needed) => Ok((file, true, needed.memory)),
        // Every device takes pages.
        None => Ok((file, true, BLOCK as usize)),
    }
}

fn warn_not_direct(path: &Path, reason: &io::Error) {
    log::warn!(
        "chunk recorder {}: no direct writes (O_DIRECT): {reason}; going on through the page cache",
        path.display()
    );
}

/// An error of the system, and where it happened.
pub(super) fn failed(path: &Path, what: &str, reason: &io::Error) -> Error {
    Error::io(format_args!("chunk recorder {}: {what}", path.display()), reason)
}

/// At least `size` bytes (0: none) that begin on a page.
fn aligned(size: usize) -> Result<Buffer> {
    if size == 0 { Ok(Buffer::empty()) } else { MmapAllocator::default().allocate(size, None) }
}

/// Aligned memory of one thread, kept from chunk to chunk.
pub(super) struct Scratch {
    meta: Buffer,
    tail: Buffer,
    bounce: Buffer,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { meta: Buffer::empty(), tail: Buffer::empty(), bounce: Buffer::empty() }
    }
}

/// Makes `buffer` one of `size` bytes that begins with `parts`, which are no longer, and is zero behind them.
fn fill<'a>(buffer: &'a mut Buffer, size: usize, parts: &[&[u8]]) -> Result<&'a [u8], (Error, io::Error)> {
    if buffer.len() != size {
        *buffer = aligned(size).map_err(|error| (error, io::ErrorKind::OutOfMemory.into()))?;
    }
    let mut at = 0;
    for part in parts {
        let written = buffer.write(at, part);
        debug_assert!(written, "the size is that of the parts, in blocks");
        at += part.len();
    }
    // SAFETY: at <= size: the parts were written up to there, and the rest is written here.
    unsafe {
        buffer.as_ptr().add(at).write_bytes(0, size - at);
        Ok(buffer.as_slice())
    }
}
