//! The file of a recorder, and the datasets in it. One thread uses it; each call holds the lock of libhdf5 as long as it takes.
//!
//! Invariant: all that can be in the file is made when it is, so that SWMR mode may begin; after that datasets only grow.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::config::{Attribute, RecordConfig};
use super::kind::kind;
use crate::chunk::Chunk;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::file::free_bytes;
use crate::sys::hdf5::{self, Kind, Library, NewDataset, NewFile};

/// Bytes of the disk that are kept to end the file in order: libhdf5 writes its index last.
const RESERVE: u64 = 256 << 10;
/// The index of a chunk takes less.
const INDEX: u64 = 256;
/// Bytes of a name in the ledger.
const NAME: usize = 40;

fn no_space(free: u64, needed: u64) -> String {
    format!(
        "No space left on device: {free} bytes are free, and {needed} are needed for what comes next and the file's end"
    )
}

/// A dataset beside the recorded one.
struct Side {
    dataset: NewDataset,
    kind: Kind,
    /// The shape of its rows.
    row: Vec<u64>,
}

impl Side {
    /// Writes rows from `first` on; it ends with them.
    fn write(&self, library: &Library, first: u64, rows: u64, data: &[u8]) -> std::io::Result<()> {
        let axes = |n| std::iter::once(n).chain(self.row.iter().copied()).collect::<Vec<u64>>();
        self.dataset.set_extent(library, &axes(first + rows))?;
        let mut start = vec![0; self.row.len() + 1];
        start[0] = first;
        self.dataset.write(library, &self.kind, &start, &axes(rows), data)
    }
}

/// A block as it is to be written.
pub(super) struct Packed<'a> {
    /// Its number.
    pub number: u64,
    /// Rows in it that mean something.
    pub rows: u64,
    pub mask: u32,
    pub data: &'a [u8],
    /// Where it came from.
    pub chunk: Option<&'a Chunk>,
}

/// See the module.
pub(super) struct RecordFile {
    /// Gone once it is closed.
    file: Option<NewFile>,
    data: Option<NewDataset>,
    segments: Option<Side>,
    ledger: Option<Side>,
    ids: Option<Side>,
    present: Option<Side>,
    extra: Option<Side>,
    /// Ours, to ask for space and to wait for the disk.
    disk: fs::File,
    path: PathBuf,
    name: String,
    row_shape: Vec<u64>,
    block_rows: u64,
    rows: u64,
    segments_written: u64,
    chunks_since_flush: u64,
}

impl RecordFile {
    /// Makes the file and all that is to be in it.
    pub(super) fn create(config: &RecordConfig, block_rows: u64) -> Result<Self> {
        if cfg!(not(feature = "hdf5")) {
            let message = "datasets: this build is without the feature \"hdf5\"";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let path = &config.path;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        if config.overwrite {
            options.create(true)
        } else {
            options.create_new(true)
        };
        let disk =
            options.open(path).map_err(|e| Error::io(format_args!("create {}", path.display()), &e))?;
        // libhdf5 cannot let go of a file that it cannot write: it complains when the process ends.
        let made = match free_bytes(disk.as_fd()) {
            Ok(Some(free)) if free < RESERVE => Err(Error::io(
                format_args!("create {}", path.display()),
                &std::io::Error::other(no_space(free, RESERVE)),
            )),
            _ => Self::make(config, block_rows, disk),
        };
        if made.is_err() && !config.overwrite {
            // Nobody has use for what is in it. That it cannot be removed is less than why it was to be.
            let _ = fs::remove_file(path);
        }
        made
    }

    fn make(config: &RecordConfig, block_rows: u64, disk: fs::File) -> Result<Self> {
        let path = &config.path;
        let library = hdf5::lock();
        let failed = |e: std::io::Error| Error::new(ErrorKind::Io, format!("create {}: {e}", path.display()));
        let element = kind(&library, &config.dtype)?;
        let file = NewFile::create(&library, path.as_os_str().as_bytes(), config.swmr).map_err(failed)?;
        let row_shape: Vec<u64> = config.row_shape.iter().map(|&n| n as u64).collect();
        let shape: Vec<u64> = std::iter::once(block_rows).chain(row_shape.iter().copied()).collect();
        let size = config.dtype.size();
        let bytes = shape.iter().product::<u64>() as usize * size;
        let filters = config.packing.filters(size, bytes);
        let name = config.dataset.trim_matches('/').to_owned();
        let data = file.dataset(&library, &name, &element, &shape, &shape, &filters).map_err(failed)?;
        for (attribute, value) in &config.attributes {
            match value {
                Attribute::Number(value) => data.add_number(&library, attribute, *value),
                Attribute::Text(value) => data.add_text(&library, attribute, value),
            }
            .map_err(failed)?;
        }
        let side = |suffix: &str, kind: Kind, row: &[u64], chunk: u64| {
            let axes: Vec<u64> = std::iter::once(chunk).chain(row.iter().copied()).collect();
            let name = format!("{name}_{suffix}");
            let dataset = file.dataset(&library, &name, &kind, &axes, &axes, &[])?;
            Ok::<_, std::io::Error>(Side { dataset, kind, row: row.to_vec() })
        };
        let number = || Kind::integer(&library, 8, false, cfg!(target_endian = "big"));
        // Some kilobytes each.
        let per = |size: usize| ((64 << 10) / size.max(1)).clamp(1, 4096) as u64;
        let sides = || {
            let pair = |names: [&str; 2], first: Kind, size: usize| {
                Kind::record(&library, size + 8, &[(names[0], 0, first), (names[1], size, number()?)])
            };
            let ledger = pair(["name", "value"], Kind::text(&library, Some(NAME))?, NAME)?;
            let ledger = side("ledger", ledger, &[], 64)?;
            let bytes = |suffix, size: usize| match size {
                0 => Ok(None),
                _ => {
                    let byte = Kind::integer(&library, 1, false, false)?;
                    side(suffix, byte, &[size as u64], per(size)).map(Some)
                }
            };
            let (segments, ids) = match config.chunks {
                true => {
                    let id = Kind::integer(&library, 8, true, cfg!(target_endian = "big"))?;
                    (None, Some(side("chunk_id", id, &[], per(8))?))
                }
                false => (Some(side("segments", pair(["row", "index"], number()?, 8)?, &[], 256)?), None),
            };
            Ok((
                segments,
                ledger,
                ids,
                bytes("present", config.present_size)?,
                bytes("extra", config.extra_size)?,
            ))
        };
        let (segments, ledger, ids, present, extra) = sides().map_err(failed)?;
        file.flush(&library).map_err(failed)?;
        if config.swmr {
            file.start_swmr(&library).map_err(failed)?;
        }
        Ok(Self {
            file: Some(file),
            data: Some(data),
            segments,
            ledger: Some(ledger),
            ids,
            present,
            extra,
            disk,
            path: path.clone(),
            name,
            row_shape,
            block_rows,
            rows: 0,
            segments_written: 0,
            chunks_since_flush: 0,
        })
    }

    fn failed(&self, e: &std::io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("dataset {} of {}: {e}", self.name, self.path.display()))
    }

    fn closed(&self) -> Error {
        Error::state(format!("recorder: {} is closed", self.path.display()))
    }

    /// Rows in the dataset.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn axes(&self, first: u64) -> Vec<u64> {
        std::iter::once(first).chain(self.row_shape.iter().copied()).collect()
    }

    /// That the disk has room for so many bytes and what ends the file. A disk that fills up in between is an error of the write.
    fn check_space(&self, bytes: usize) -> Result<()> {
        let needed = bytes as u64 + RESERVE + INDEX * self.chunks_since_flush;
        match free_bytes(self.disk.as_fd()) {
            Ok(Some(free)) if free < needed => {
                Err(self.failed(&std::io::Error::other(no_space(free, needed))))
            }
            // Where it cannot be told it is not kept.
            _ => Ok(()),
        }
    }

    /// Writes a block, or writes it again with more rows.
    pub(super) fn write(&mut self, block: &Packed<'_>) -> Result<()> {
        let (Some(data), true) = (&self.data, self.file.is_some()) else { return Err(self.closed()) };
        self.check_space(block.data.len())?;
        let first = block.number * self.block_rows;
        let rows = self.rows.max(first + block.rows);
        let mut offset = vec![0; self.row_shape.len() + 1];
        offset[0] = first;
        let library = hdf5::lock();
        let write = || {
            data.set_extent(&library, &self.axes(rows))?;
            data.write_chunk(&library, &offset, block.mask, block.data)?;
            let Some(chunk) = block.chunk else { return Ok(()) };
            let number = block.number;
            if let Some(side) = &self.ids {
                side.write(&library, number, 1, &chunk.id.to_ne_bytes())?;
            }
            // SAFETY: what is recorded of a chunk was written by its stream or zeroed; its flags and extra bytes are zeroed when it is made.
            unsafe {
                if let Some(side) = &self.present {
                    side.write(&library, number, 1, chunk.present.as_slice())?;
                }
                if let Some(side) = &self.extra {
                    side.write(&library, number, 1, chunk.extra.as_slice())?;
                }
            }
            Ok(())
        };
        if let Err(e) = write() {
            // The rows that were to be there are not.
            let _ = data.set_extent(&library, &self.axes(self.rows));
            return Err(self.failed(&e));
        }
        self.rows = rows;
        self.chunks_since_flush += 1;
        Ok(())
    }

    /// Writes where the stream's frames are: from each of these rows on they have these indices.
    pub(super) fn write_segments(&mut self, segments: &[(u64, u64)]) -> Result<()> {
        let Some(side) = self.segments.as_ref().filter(|_| !segments.is_empty()) else { return Ok(()) };
        let bytes: Vec<u8> = segments
            .iter()
            .flat_map(|(row, index)| [row.to_ne_bytes(), index.to_ne_bytes()])
            .flatten()
            .collect();
        let library = hdf5::lock();
        let written = side.write(&library, self.segments_written, segments.len() as u64, &bytes);
        written.map_err(|e| self.failed(&e))?;
        self.segments_written += segments.len() as u64;
        Ok(())
    }

    /// Writes the ledger, gives the system all, and waits for the disk if asked to.
    pub(super) fn flush(&mut self, ledger: &[(String, u64)], sync: bool) -> Result<()> {
        let Some(file) = &self.file else { return Err(self.closed()) };
        let library = hdf5::lock();
        let flush = || {
            if let Some(side) = self.ledger.as_ref().filter(|_| !ledger.is_empty()) {
                let mut bytes = Vec::with_capacity(ledger.len() * (NAME + 8));
                for (name, value) in ledger {
                    let mut text = [0; NAME];
                    let cut = name.floor_char_boundary(NAME);
                    text[..cut].copy_from_slice(&name.as_bytes()[..cut]);
                    bytes.extend(text);
                    bytes.extend(value.to_ne_bytes());
                }
                side.write(&library, 0, ledger.len() as u64, &bytes)?;
            }
            file.flush(&library)
        };
        flush().map_err(|e| self.failed(&e))?;
        drop(library);
        if sync {
            self.disk.sync_data().map_err(|e| self.failed(&e))?;
        }
        self.chunks_since_flush = 0;
        Ok(())
    }

    /// Closes it. Nothing is held any more, whatever comes of it.
    pub(super) fn close(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let library = hdf5::lock();
        drop((self.data.take(), self.segments.take(), self.ledger.take()));
        drop((self.ids.take(), self.present.take(), self.extra.take()));
        file.close(&library).map_err(|e| self.failed(&e))
    }
}

impl Drop for RecordFile {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            log::error!("{error}");
        }
    }
}
