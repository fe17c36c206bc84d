//! A file to read, of either format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aqueduct::error::{Error, ErrorKind, Result};
use aqueduct::event::frame::{FileHeader, MAGIC};
use aqueduct::event::layout::PacketLayout;
use aqueduct::event::raw::RawFile;
use aqueduct::event::reader::{Entry, EventFile, Summary};

use super::Options;
use crate::terminal;

/// A file to read.
pub struct Source {
    name: String,
    file: Format,
    layout: Option<PacketLayout>,
}

enum Format {
    Framed(Box<EventFile>),
    Raw(Box<RawFile>, usize),
}

impl Source {
    /// Opens a file as what it is: framed if it begins so.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let name = path.display().to_string();
        let size = options.size.or(options.layout.as_ref().map(PacketLayout::size));
        let file = match size {
            _ if options.salvage => Format::Framed(Box::new(EventFile::salvage(path)?)),
            Some(size) if !is_framed(path) => Format::Raw(Box::new(RawFile::open(path, size)?), size),
            _ => Format::Framed(Box::new(EventFile::open(path).map_err(|error| advise(path, error))?)),
        };
        let mut layout = options.layout.clone();
        if let Format::Framed(file) = &file
            && layout.is_none()
            && let Some(header) = file.header().filter(|header| !header.layout.is_empty())
        {
            match PacketLayout::parse(&header.layout) {
                Ok(parsed) => layout = Some(parsed),
                Err(error) => terminal::say(format_args!("aqueduct: warning: {name}: its layout: {error}")),
            }
        }
        Ok(Self { name, file, layout })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its packets are, as far as that is known.
    pub fn layout(&self) -> Option<&PacketLayout> {
        self.layout.as_ref()
    }

    /// The header of a framed file.
    pub fn header(&self) -> Option<&FileHeader> {
        match &self.file {
            Format::Framed(file) => file.header(),
            Format::Raw(..) => None,
        }
    }

    /// Bytes of a packet, in a raw file.
    pub fn packet_size(&self) -> Option<usize> {
        match self.file {
            Format::Framed(_) => None,
            Format::Raw(_, size) => Some(size),
        }
    }

    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        match &mut self.file {
            Format::Framed(file) => file.next(),
            Format::Raw(file, _) => file.next(),
        }
    }

    pub fn size(&self) -> u64 {
        match &self.file {
            Format::Framed(file) => file.size(),
            Format::Raw(file, _) => file.size(),
        }
    }

    pub fn offset(&self) -> u64 {
        match &self.file {
            Format::Framed(file) => file.offset(),
            Format::Raw(file, _) => file.offset(),
        }
    }

    pub fn summary(&self) -> &Summary {
        match &self.file {
            Format::Framed(file) => file.summary(),
            Format::Raw(file, _) => file.summary(),
        }
    }

    pub fn is_whole(&self) -> bool {
        match &self.file {
            Format::Framed(file) => file.is_whole(),
            Format::Raw(file, _) => file.is_whole(),
        }
    }
}

/// Whether a file begins as framed ones do. What cannot be read is told when it is opened in earnest.
fn is_framed(path: &Path) -> bool {
    // Not a pipe, which could block.
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut magic = [0; MAGIC.len()];
    is_file && File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == MAGIC
}

/// What else the user could do.
fn advise(path: &Path, error: Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::Format if is_framed(path) => "--salvage reads the rest",
        ErrorKind::Format => "--size or --layout tell how to read a raw file",
        _ => return error,
    };
    Error::new(error.kind(), format!("{error}; {advice}"))
}
