//! Recordings, to read: all files of one, its chunks in the order in which they were taken.
//!
//! The indexes say what there is. Where one has no end, is torn or missing, the data file is searched for chunks behind those that it knows of
//! (`scan.rs`). What is appended after the opening is not seen. Any number of threads may read at the same time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::data_file::index_path;
use super::format::{CHUNK_FIXED, ChunkRecord, EndRecord, FILE_FIXED, FileHeader, FileKind, Record};
use super::scan::{Source, is_whole, scan};
use crate::error::{Error, ErrorKind, Result};

/// A recording that is read.
#[derive(Debug)]
pub struct Recording {
    files: Vec<RecordedFile>,
    chunks: Vec<Entry>,
}

/// A pair of its files.
#[derive(Debug)]
pub struct RecordedFile {
    /// The data file.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: FileHeader,
    /// Bytes of the data file.
    pub size: u64,
    /// Its end; `None` if it was not closed.
    pub end: Option<EndRecord>,
    /// What is wrong with the index, if anything.
    pub index_problem: Option<String>,
    /// Where the last whole record of the index ends, if what follows is torn or damaged, and how many bytes follow.
    pub torn: Option<(u64, u64)>,
    /// Where in the data file the last whole chunk ends.
    pub data_end: u64,
    /// Chunks that the index does not have, and that were found in the data file.
    pub recovered: u64,
    /// Chunks in all.
    pub chunks: u64,
    data: File,
    name: String,
}

/// A chunk of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What is noted of it.
    pub record: ChunkRecord,
    /// In which of [`Recording::files`] it is.
    pub file: usize,
    /// It is in no index, but was found in the data file.
    pub recovered: bool,
}

impl Recording {
    /// Opens the recording that a file (data or index) is of, with all its files that are in the same folder and have the same extension.
    ///
    /// # Errors
    /// It is no chunk file, is damaged at its beginning, or cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let path = data_path(path);
        let first = open_header(&path)?;
        let mut paths = siblings(&path, first.recording)?;
        paths.sort();
        let mut recording = Self { files: Vec::new(), chunks: Vec::new() };
        for (_, path) in paths {
            recording.add(path)?;
        }
        Ok(recording)
    }

    fn add(&mut self, path: PathBuf) -> Result<()> {
        let header = open_header(&path)?;
        let data = File::open(&path).map_err(|e| opening(&path, &e))?;
        let size = data.metadata().map_err(|e| opening(&path, &e))?.len();
        let name = path.display().to_string();
        let mut index = Index::default();
        if let Err(error) = index.read(&index_path(&path), &header) {
            index.problem = Some(error.to_string());
        }
        let start = header.encode(FileKind::Data).len() as u64;
        let mut data_end = index
            .chunks
            .iter()
            .map(|record| record.offset.saturating_add(record.length()))
            .max()
            .unwrap_or(start);
        let number = self.files.len();
        let entry = |recovered| move |record| Entry { record, file: number, recovered };
        let indexed = index.chunks.len();
        self.chunks.extend(index.chunks.into_iter().map(entry(false)));
        let mut recovered = 0;
        if index.end.is_none() {
            let source = Source { file: &data, name: &name };
            let found = scan(&source, header.recording, header.number as u32, data_end, size)?;
            recovered = found.len();
            data_end = found.last().map_or(data_end, |record| record.offset + record.length());
            self.chunks.extend(found.into_iter().map(entry(true)));
        }
        let added = self.chunks.len() - indexed - recovered;
        // Where a failed chunk's place was given again, places are not in order; numbers are.
        self.chunks[added..].sort_by_key(|entry| entry.record.sequence);
        self.files.push(RecordedFile {
            path,
            header,
            size,
            end: index.end,
            index_problem: index.problem,
            torn: index.torn,
            data_end,
            recovered: recovered as u64,
            chunks: (indexed + recovered) as u64,
            data,
            name,
        });
        Ok(())
    }

    /// Its files, in their order.
    pub fn files(&self) -> &[RecordedFile] {
        &self.files
    }

    /// Its chunks, in the order in which they were taken.
    pub fn chunks(&self) -> &[Entry] {
        &self.chunks
    }

    /// Whether it was closed, no file of it is missing, and no index is damaged.
    pub fn is_whole(&self) -> bool {
        let in_order = (0..).zip(&self.files).all(|(number, file)| file.header.number == number);
        in_order
            && self.files.iter().all(|file| file.end.is_some_and(|end| end.chunks == file.chunks))
            && self.files.last().and_then(|file| file.end).is_some_and(|end| end.last)
    }

    /// Chunks that the recorder was given and could not write, as far as the recording tells.
    pub fn failed(&self) -> u64 {
        let told = self.files.iter().filter_map(|file| file.end).next_back();
        told.map_or(0, |end| end.failed())
    }

    /// The number (in [`chunks`](Self::chunks)) of the first chunk with that id, from number `from` on.
    pub fn find(&self, id: i64, from: usize) -> Option<usize> {
        let rest = self.chunks.get(from..)?;
        rest.iter().position(|entry| entry.record.id == id).map(|found| from + found)
    }

    fn entry(&self, number: usize) -> Result<(&Entry, &RecordedFile)> {
        let missing = || {
            let rule = format!("number must be less than {}, the chunks of the recording", self.chunks.len());
            Error::new(ErrorKind::NotFound, format!("{rule} (got {number})"))
        };
        let entry = self.chunks.get(number).ok_or_else(missing)?;
        Ok((entry, &self.files[entry.file]))
    }

    /// Reads a chunk's flags, extra data and data. Each slice must be as long as what it takes, or empty for what is not wanted.
    ///
    /// # Errors
    /// There is no such chunk; a slice is of another size; the file ends before the chunk does; what was read has another CRC than noted.
    pub fn read(&self, number: usize, data: &mut [u8], present: &mut [u8], extra: &mut [u8]) -> Result<()> {
        self.check_sizes(number, data.len(), present.len(), extra.len())?;
        let (Entry { record, .. }, file) = self.entry(number)?;
        self.check_place(number)?;
        let source = file.source();
        let meta_start = record.offset + CHUNK_FIXED as u64;
        source.read(meta_start, present)?;
        source.read(meta_start + record.present_size, extra)?;
        source.read(record.offset + record.data_start(), data)?;
        let all_meta = present.len() as u64 == record.present_size && extra.len() as u64 == record.extra_size;
        let meta_sum = match all_meta {
            true => crc32c::crc32c_append(crc32c::crc32c(present), extra),
            false if present.is_empty() && extra.is_empty() => record.meta_sum,
            false => source.sum(meta_start, record.present_size + record.extra_size)?,
        };
        let damaged = |what| self.damaged(number, what);
        if meta_sum != record.meta_sum {
            return Err(damaged("flags or extra data"));
        }
        if !data.is_empty() && crc32c::crc32c(data) != record.data_sum {
            return Err(damaged("data"));
        }
        Ok(())
    }

    /// Checks the sizes of what [`read`](Self::read) is to read into.
    ///
    /// # Errors
    /// There is no such chunk; a size is neither 0 nor the chunk's.
    pub fn check_sizes(&self, number: usize, data: usize, present: usize, extra: usize) -> Result<()> {
        let (Entry { record, .. }, _) = self.entry(number)?;
        for (name, size, wanted) in [
            ("data_size", data, record.data_size),
            ("present_size", present, record.present_size),
            ("extra_size", extra, record.extra_size),
        ] {
            if size != 0 && size as u64 != wanted {
                let rule = format!("{name} must be {wanted}, as chunk {number} has it, or 0");
                return Err(Error::invalid(format!("{rule} (got {size})")));
            }
        }
        Ok(())
    }

    /// Checks a chunk: that it is there, has the CRCs that are noted, and that its record in the data file is the one in the index.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn verify(&self, number: usize) -> Result<()> {
        let (Entry { record, .. }, file) = self.entry(number)?;
        self.check_place(number)?;
        let source = file.source();
        let mut bytes = [0; CHUNK_FIXED];
        source.read(record.offset, &mut bytes)?;
        match Record::parse(&bytes, record.recording, record.file) {
            Some(Record::Chunk(found)) if found == *record => {}
            _ => return Err(self.damaged(number, "record in the data file")),
        }
        if is_whole(&source, record)? {
            Ok(())
        } else {
            Err(self.damaged(number, "data, flags or extra data"))
        }
    }

    fn check_place(&self, number: usize) -> Result<()> {
        let (Entry { record, .. }, file) = self.entry(number)?;
        if record.offset.saturating_add(record.length()) <= file.size {
            return Ok(());
        }
        let reason = format!("{}: it ends after {} bytes, before chunk {number} does", file.name, file.size);
        Err(Error::new(ErrorKind::Truncated, reason))
    }

    fn damaged(&self, number: usize, what: &str) -> Error {
        let (name, offset) = match self.entry(number) {
            Ok((entry, file)) => (&*file.name, entry.record.offset),
            Err(_) => ("", 0),
        };
        let reason = format!(
            "{name}: chunk {number} at byte {offset} is damaged: its {what} do not fit their checksum"
        );
        Error::new(ErrorKind::Format, reason)
    }
}

impl RecordedFile {
    fn source(&self) -> Source<'_> {
        Source { file: &self.data, name: &self.name }
    }
}

/// What an index says.
#[derive(Default)]
struct Index {
    chunks: Vec<ChunkRecord>,
    end: Option<EndRecord>,
    torn: Option<(u64, u64)>,
    problem: Option<String>,
}

impl Index {
    fn read(&mut self, path: &Path, data: &FileHeader) -> Result<()> {
        let bad = |reason: String| Error::new(ErrorKind::Format, format!("{}: {reason}", path.display()));
        let file = File::open(path).map_err(|e| opening(path, &e))?;
        let size = file.metadata().map_err(|e| opening(path, &e))?.len();
        let name = path.display().to_string();
        let source = Source { file: &file, name: &name };
        let (header, mut at) = read_header(&file, path, FileKind::Index)?;
        if (header.recording, header.number) != (data.recording, data.number) {
            return Err(bad("it is the index of another file".into()));
        }
        let mut fixed = [0; CHUNK_FIXED];
        while at < size && self.end.is_none() {
            let part = usize::try_from(size - at).unwrap_or(CHUNK_FIXED).min(CHUNK_FIXED);
            source.read(at, &mut fixed[..part])?;
            let length = match Record::parse(&fixed[..part], data.recording, data.number as u32) {
                Some(Record::Chunk(record)) if at.saturating_add(record.meta_size()) <= size => {
                    let meta = record.present_size + record.extra_size;
                    if source.sum(at + CHUNK_FIXED as u64, meta)? != record.meta_sum {
                        break;
                    }
                    self.chunks.push(record);
                    record.meta_size()
                }
                Some(Record::End(end)) => {
                    self.end = Some(end);
                    super::format::END_SIZE as u64
                }
                Some(Record::Other(length)) => length,
                _ => break,
            };
            at += length;
        }
        if at < size {
            self.torn = Some((at, size - at));
            self.problem =
                Some(format!("{name}: no good record from byte {at} on, {} bytes before its end", size - at));
        }
        Ok(())
    }
}

/// The data file that a name stands for.
fn data_path(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == "index" => path.with_extension(""),
        _ => path.to_owned(),
    }
}

fn opening(path: &Path, reason: &io::Error) -> Error {
    Error::io(format_args!("open {}", path.display()), reason)
}

/// The header of a file of that kind, and its bytes.
fn read_header(file: &File, path: &Path, wanted: FileKind) -> Result<(FileHeader, u64)> {
    let in_file = |error: Error| Error::new(error.kind(), format!("{}: {}", path.display(), error.message()));
    let read = |bytes: &mut [u8]| match file.read_exact_at(bytes, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Error::new(ErrorKind::Truncated, format!("{}: it ends within its header", path.display())))
        }
        Err(e) => Err(opening(path, &e)),
        Ok(()) => Ok(()),
    };
    let mut fixed = [0; FILE_FIXED];
    read(&mut fixed)?;
    let (kind, size) = FileHeader::measure(&fixed).map_err(in_file)?;
    if kind != wanted {
        return Err(in_file(Error::new(ErrorKind::Format, "it is the other file of its pair")));
    }
    let mut bytes = vec![0; size as usize];
    read(&mut bytes)?;
    Ok((FileHeader::parse(&bytes).map_err(in_file)?, size))
}

/// The header of a data file; if it is damaged, that of its index, which says the same.
fn open_header(path: &Path) -> Result<FileHeader> {
    // Opening a pipe would wait for somebody to write to it.
    let is_file = std::fs::metadata(path).map_err(|e| opening(path, &e))?.is_file();
    if !is_file {
        return Err(Error::invalid(format!("{} must be a regular file", path.display())));
    }
    let file = File::open(path).map_err(|e| opening(path, &e))?;
    let error = match read_header(&file, path, FileKind::Data) {
        Ok((header, _)) => return Ok(header),
        Err(error) => error,
    };
    let index = index_path(path);
    let from_index =
        File::open(&index).ok().and_then(|file| read_header(&file, &index, FileKind::Index).ok());
    match from_index {
        Some((header, _)) if error.kind() != ErrorKind::Version => Ok(header),
        _ => Err(error),
    }
}

/// The data files of a recording, in the folder of one of them and with its extension, with their numbers.
fn siblings(path: &Path, recording: u64) -> Result<Vec<(u64, PathBuf)>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    let listed = std::fs::read_dir(folder).map_err(|e| opening(folder, &e))?;
    for entry in listed {
        let name = entry.map_err(|e| opening(folder, &e))?.file_name();
        let other = path.with_file_name(&name);
        if other.extension() == path.extension()
            && let Ok(header) = open_header(&other)
            && header.recording == recording
        {
            found.push((header.number, other));
        }
    }
    Ok(found)
}
