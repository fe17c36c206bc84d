//! How the chunks of a dataset that is written are packed. Plain values.

use crate::error::{Error, Result};
use crate::sys::hdf5::Filter;

/// What packs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// zlib's format, which every HDF5 reads; level 0 to 9.
    Deflate(u32),
    /// LZ4, filter 32004; h5py reads it with hdf5plugin, as all that follow.
    Lz4,
    /// Zstandard, filter 32015; level 1 to 19.
    Zstd(u32),
    /// LZ4 in blosc, filter 32001; level 1 to 9.
    BloscLz4(u32),
    /// Zstandard in blosc; level 1 to 9.
    BloscZstd(u32),
}

impl Compression {
    /// Whether sorting bytes is its own business.
    pub(super) fn sorts_itself(self) -> bool {
        matches!(self, Self::BloscLz4(_) | Self::BloscZstd(_))
    }

    fn check(self) -> Result<()> {
        let (level, least, most) = match self {
            Self::None | Self::Lz4 => return Ok(()),
            Self::Deflate(level) => (level, 0, 9),
            Self::Zstd(level) => (level, 1, 19),
            Self::BloscLz4(level) | Self::BloscZstd(level) => (level, 1, 9),
        };
        match (least..=most).contains(&level) {
            true => Ok(()),
            false => Err(Error::invalid(format!("level must be {least} to {most} (got {level})"))),
        }
    }
}

/// How chunks are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packing {
    /// What packs them.
    pub compression: Compression,
    /// The bytes of elements are sorted by significance before.
    pub shuffle: bool,
}

impl Packing {
    pub(super) fn check(self) -> Result<()> {
        self.compression.check()
    }

    /// Whether chunks are written as they come.
    pub(super) fn is_plain(self) -> bool {
        self.steps() == 0
    }

    /// How many filters that are.
    pub(super) fn steps(self) -> u32 {
        let sorts = self.shuffle && !self.compression.sorts_itself();
        u32::from(sorts) + u32::from(self.compression != Compression::None)
    }

    /// As HDF5 names it, for elements of `element` bytes and chunks of `chunk` bytes.
    pub(super) fn filters(self, element: usize, chunk: usize) -> Vec<Filter> {
        let filter = |id, values: &[usize]| {
            let values = values.iter().map(|&value| u32::try_from(value).unwrap_or(u32::MAX)).collect();
            Filter { id, name: String::new(), values }
        };
        let mut filters = Vec::new();
        if self.shuffle && !self.compression.sorts_itself() {
            filters.push(filter(2, &[element]));
        }
        // Of blosc: revision and format, then what is in each chunk, too.
        let blosc = |level: u32, codec| {
            filter(32001, &[2, 2, element, chunk, level as usize, usize::from(self.shuffle), codec])
        };
        match self.compression {
            Compression::None => {}
            Compression::Deflate(level) => filters.push(filter(1, &[level as usize])),
            // The largest block that LZ4 has.
            Compression::Lz4 => filters.push(filter(32004, &[0])),
            Compression::Zstd(level) => filters.push(filter(32015, &[level as usize])),
            Compression::BloscLz4(level) => filters.push(blosc(level, 1)),
            Compression::BloscZstd(level) => filters.push(blosc(level, 5)),
        }
        filters
    }
}
