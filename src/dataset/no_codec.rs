//! What stands for the filters of chunks in a build without the feature `hdf5`, and without the crates that unpack: there are no chunks to be unpacked.
//!
//! Invariant: there is no [`Pipeline`]; the same functions as those of `codec/`.

use std::convert::Infallible;

use super::memory::resize;
use crate::error::Result;
use crate::sys::hdf5::Filter;

/// How chunks are packed: there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline(Infallible);

impl Pipeline {
    pub(super) fn new(_filters: &[Filter]) -> Result<Self, String> {
        Err("this build unpacks nothing".to_owned())
    }

    /// Whether the bytes of a chunk are in the file as they are.
    pub fn is_plain(&self, _mask: u32) -> bool {
        match self.0 {}
    }
}

/// What a thread unpacks chunks with.
#[derive(Debug, Default)]
pub struct Decoder(Vec<u8>);

impl Decoder {
    /// Without memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory for the packed bytes of a chunk.
    pub fn input(&mut self, size: usize) -> Result<&mut [u8]> {
        resize(&mut self.0, size)?;
        Ok(&mut self.0)
    }

    /// Unpacks nothing.
    pub fn decode(&mut self, pipeline: &Pipeline, _mask: u32, _out: &mut [u8]) -> Result<()> {
        match pipeline.0 {}
    }
}

/// What a thread packs chunks with: there are none.
#[derive(Debug)]
pub struct Encoder(Infallible);

impl Encoder {
    /// Says that nothing can be packed.
    pub fn new(_packing: super::packing::Packing, _element: usize) -> Result<Self> {
        Err(crate::error::Error::new(
            crate::error::ErrorKind::Unsupported,
            "datasets: this build is without the feature \"hdf5\"",
        ))
    }

    /// Packs nothing.
    pub fn encode(&mut self, _chunk: &[u8], _to: &mut Vec<u8>) -> Result<u32> {
        match self.0 {}
    }
}
