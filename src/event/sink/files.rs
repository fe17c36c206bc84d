//! The files of a sink, one after the other.
//!
//! Invariant: the first `size` bytes of the current file are whole records, and nothing is ever written to them again. A write that fails half-way
//! is cut off, and what comes next is written over it.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Progress;
use crate::error::{Error, Result};
use crate::storage::{Durability, Name, sync_folder};
use crate::sys::file;

/// Names that are tried, where files of other runs have taken them.
const MOST_TAKEN: u64 = 100_000;

/// Which files to write.
#[derive(Debug, Clone, Default)]
pub struct FileConfig {
    /// The file; with rotation, a pattern with `%n`. It must not exist.
    pub path: PathBuf,
    /// What each file begins with.
    pub header: Vec<u8>,
    /// A file that has grown to so many bytes is followed by the next; 0: never.
    pub rotate_bytes: u64,
    /// A file that is older is followed by the next.
    pub rotate_interval: Option<Duration>,
    /// When it must be on the disk.
    pub durability: Durability,
}

/// The current file.
struct Current {
    file: File,
    path: PathBuf,
    size: u64,
    /// Of `size`, what it began with.
    header: u64,
    begun: Instant,
    /// Where the sink was at its beginning.
    start: Progress,
    synced: Instant,
    /// Written to since then.
    dirty: bool,
}

/// The files of a sink.
pub(super) struct Files {
    config: FileConfig,
    name: Name,
    /// Of the current file, or of the next one if there is none.
    number: u64,
    current: Option<Current>,
}

impl Files {
    /// No file yet; see [`open`](Self::open).
    pub(super) fn new(config: FileConfig) -> Result<Self> {
        let rotates = config.rotate_bytes > 0 || config.rotate_interval.is_some();
        let name = if rotates { Name::pattern(&config.path)? } else { Name::literal(&config.path) };
        Ok(Self { config, name, number: 0, current: None })
    }

    pub(super) fn user_header(&self) -> &[u8] {
        &self.config.header
    }

    /// The number of the current file, or of the next one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where the sink was when the current file was begun.
    pub(super) fn start(&self) -> Option<Progress> {
        self.current.as_ref().map(|current| current.start)
    }

    /// Creates the first file, or the next one, which begins with what `header` answers.
    pub(super) fn open(&mut self, start: Progress, header: impl Fn(&Self) -> Result<Vec<u8>>) -> Result<()> {
        let (file, path) = self.create()?;
        let written = header(self).and_then(|header| {
            let slices = &mut [IoSlice::new(&header)];
            file::write_all_at(file.as_fd(), slices, 0)
                .map_err(|e| failed(&path, "writing the header", &e))?;
            if self.config.durability != Durability::System {
                file.sync_all().map_err(|e| failed(&path, "fsync", &e))?;
                sync_folder(&path).map_err(|(folder, e)| failed(folder, "fsync", &e))?;
            }
            Ok(header.len() as u64)
        });
        let header = match written {
            Ok(header) => header,
            Err(error) => {
                // Ours, and of no use: so that another try finds its name free.
                let _ = std::fs::remove_file(&path);
                return Err(error);
            }
        };
        let now = Instant::now();
        self.current =
            Some(Current { file, path, size: header, header, begun: now, start, synced: now, dirty: false });
        Ok(())
    }

    fn create(&mut self) -> Result<(File, PathBuf)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o666);
        let is_first = self.number == 0;
        for _ in 0..MOST_TAKEN {
            let path = self.name.of(self.number);
            match options.open(&path) {
                Ok(file) => return Ok((file, path)),
                // A file of another run. The first one is a mistake; later ones must not stop the data.
                Err(e)
                    if e.kind() == std::io::ErrorKind::AlreadyExists
                        && !is_first
                        && self.name.is_pattern() =>
                {
                    log::warn!("event sink: {} exists already and is left alone", path.display());
                    self.number += 1;
                }
                Err(e) => return Err(failed(&path, "creating it", &e)),
            }
        }
        Err(Error::state(format!("event sink {}: too many files exist already", self.config.path.display())))
    }

    /// Whether the next record, behind `pending` bytes that are to be written, belongs into a new file.
    pub(super) fn is_full(&self, pending: u64) -> bool {
        pending >= self.room()
    }

    /// Behind how many more bytes the next record belongs into a new file.
    pub(super) fn room(&self) -> u64 {
        match (&self.current, self.config.rotate_bytes) {
            (Some(_), 0) => u64::MAX,
            (Some(current), limit) => limit.max(current.header + 1).saturating_sub(current.size),
            (None, _) => 0,
        }
    }

    /// Whether the current file has been written to for long enough.
    pub(super) fn is_old(&self) -> bool {
        match (&self.current, self.config.rotate_interval) {
            // One without a record stays: there are no files of nothing.
            (Some(current), Some(interval)) => {
                current.size > current.header && current.begun.elapsed() >= interval
            }
            _ => false,
        }
    }

    /// Whether there is a file.
    pub(super) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Writes whole records to the current file.
    pub(super) fn write(&mut self, slices: &mut [IoSlice<'_>]) -> Result<()> {
        let current = self.current.as_mut().ok_or_else(|| Error::state("event sink: no file is open"))?;
        match file::write_all_at(current.file.as_fd(), slices, current.size) {
            Ok(bytes) => {
                current.size += bytes;
                current.dirty = true;
                Ok(())
            }
            Err(e) => {
                // What got there is not whole. If it cannot be cut off it is written over.
                let _ = current.file.set_len(current.size);
                Err(failed(&current.path, &format!("writing at byte {}", current.size), &e))
            }
        }
    }

    /// Makes what was written durable, if it is time.
    pub(super) fn sync_if_due(&mut self) -> Result<()> {
        let Some(current) = self.current.as_mut().filter(|current| current.dirty) else { return Ok(()) };
        let is_due = match self.config.durability {
            Durability::System => false,
            Durability::Flush => true,
            Durability::Interval(interval) => current.synced.elapsed() >= interval,
        };
        if is_due { current.sync() } else { Ok(()) }
    }

    /// Ends the current file with `end`.
    pub(super) fn close(&mut self, end: &[u8]) -> Result<()> {
        if self.current.is_none() {
            return Ok(());
        }
        if !end.is_empty() {
            self.write(&mut [IoSlice::new(end)])?;
        }
        if let Some(current) = &mut self.current
            && self.config.durability != Durability::System
            && current.dirty
        {
            current.sync()?;
        }
        self.current = None;
        self.number += 1;
        Ok(())
    }
}

impl Current {
    fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| failed(&self.path, "fdatasync", &e))?;
        (self.synced, self.dirty) = (Instant::now(), false);
        Ok(())
    }
}

fn failed(path: &Path, what: &str, reason: &std::io::Error) -> Error {
    Error::io(format_args!("event sink {}: {what}", path.display()), reason)
}
