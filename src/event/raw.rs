//! Reading a raw file: packets of one size, back to back, as a binary sink writes them.
//!
//! Nothing in such a file tells a packet from another; what does not fill one at the end is torn. Used by one thread at a
//! time.

use std::fs::File;
use std::path::Path;

use super::frame::MAX_PACKET;
use super::reader::{Entry, Summary, open};
use super::window::Window;
use crate::error::{Error, Result};

/// A raw file, read from its beginning.
pub struct RawFile {
    file: File,
    packet_size: usize,
    size: u64,
    offset: u64,
    window: Window,
    summary: Summary,
}

impl RawFile {
    /// Opens a file of packets of `packet_size` bytes. What others append from now on is not read.
    ///
    /// Errors: `Io`; `Invalid` if it is no regular file, or the size is not from 1 to [`MAX_PACKET`].
    pub fn open(path: &Path, packet_size: usize) -> Result<Self> {
        if !(1..=MAX_PACKET).contains(&packet_size) {
            return Err(Error::invalid(format!(
                "packet_size must be from 1 to {MAX_PACKET} (got {packet_size})"
            )));
        }
        let (file, size) = open(path)?;
        Ok(Self {
            file,
            packet_size,
            size,
            offset: 0,
            window: Window::default(),
            summary: Summary::default(),
        })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the next entry begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What has been read up to now.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Whether all of the file has been read, and no packet is torn.
    pub fn is_whole(&self) -> bool {
        self.offset >= self.size && self.summary.torn.is_none()
    }

    /// The next packet, or [`Entry::Torn`] for what is left of one; `None` at the end. After an error (`Io`, `NoMemory`) it
    /// may be tried again.
    #[allow(clippy::should_implement_trait, reason = "an entry borrows the file")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let offset = self.offset;
        let Some(left) = self.size.checked_sub(offset).filter(|&left| left > 0) else { return Ok(None) };
        let whole = left >= self.packet_size as u64;
        let data = if whole { self.window.at(&self.file, offset, self.packet_size)? } else { &[] };
        // Also where the file has become shorter since it was opened.
        if data.len() < self.packet_size {
            self.offset = self.size;
            self.summary.torn = Some(offset);
            self.summary.torn_bytes = left;
            return Ok(Some(Entry::Torn { offset, length: left }));
        }
        let number = self.summary.packets;
        self.summary.packets += 1;
        self.summary.bytes += data.len() as u64;
        self.offset += data.len() as u64;
        Ok(Some(Entry::Packet { number, offset, time: 0, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn packets_and_what_is_left() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abcdefgh").unwrap();
        let mut raw = RawFile::open(file.path(), 3).unwrap();
        let packet = |number, offset, data| Some(Entry::Packet { number, offset, time: 0, data });
        assert_eq!(raw.next().unwrap(), packet(0, 0, b"abc"));
        assert!(!raw.is_whole());
        assert_eq!(raw.next().unwrap(), packet(1, 3, b"def"));
        assert_eq!(raw.next().unwrap(), Some(Entry::Torn { offset: 6, length: 2 }));
        assert_eq!(raw.next().unwrap(), None);
        assert!(!raw.is_whole());
        assert_eq!((raw.summary().packets, raw.summary().bytes, raw.summary().torn), (2, 6, Some(6)));

        let mut raw = RawFile::open(file.path(), 4).unwrap();
        while raw.next().unwrap().is_some() {}
        assert!(raw.is_whole());
        std::fs::write(file.path(), b"").unwrap();
        assert_eq!(RawFile::open(file.path(), MAX_PACKET).unwrap().next().unwrap(), None);
    }

    #[test]
    fn wrong_sizes_and_files_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [0, MAX_PACKET + 1] {
            let error = RawFile::open(file.path(), size).err().unwrap();
            assert!(error.message().contains(&format!("from 1 to 1073741823 (got {size})")), "{error}");
        }
        let error = RawFile::open(Path::new("/"), 1).err().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "/ must be a regular file"));
        let error = RawFile::open(Path::new("/no/such"), 1).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().starts_with("open /no/such: No such file"), "{error}");
    }
}
