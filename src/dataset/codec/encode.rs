//! Packing chunks. An [`Encoder`] belongs to one thread at a time.

use libdeflater::{CompressionLvl, Compressor};

use super::{blosc, lz4, shuffle, zstd};
use crate::dataset::memory::resize;
use crate::dataset::packing::{Compression, Packing};
use crate::error::{Error, ErrorKind, Result};

/// What a thread packs chunks with: memory that is used again.
pub struct Encoder {
    packing: Packing,
    element: usize,
    deflate: Option<Compressor>,
    sorted: Vec<u8>,
}

impl Encoder {
    /// For elements of so many bytes.
    pub fn new(packing: Packing, element: usize) -> Result<Self> {
        let deflate = match packing.compression {
            Compression::Deflate(level) => {
                let level = CompressionLvl::new(level as i32);
                let level = level.map_err(|_| Error::invalid("level must be 0 to 9 for deflate"))?;
                Some(Compressor::new(level))
            }
            _ => None,
        };
        Ok(Self { packing, element, deflate, sorted: Vec::new() })
    }

    /// Packs a chunk to `to`, which becomes as long as that is. Returns the filter mask: a chunk that does not become smaller is stored as it is, and says so.
    pub fn encode(&mut self, chunk: &[u8], to: &mut Vec<u8>) -> Result<u32> {
        let Packing { compression, shuffle } = self.packing;
        let from = match shuffle && !compression.sorts_itself() {
            true => {
                resize(&mut self.sorted, chunk.len())?;
                shuffle::shuffle(self.element, chunk, &mut self.sorted);
                &self.sorted[..]
            }
            false => chunk,
        };
        // No more than it has now; all compressors stop where that is too little.
        resize(to, chunk.len())?;
        let packed = match compression {
            Compression::None => {
                to.copy_from_slice(from);
                return Ok(0);
            }
            Compression::Deflate(_) => match &mut self.deflate {
                Some(deflate) => deflate.zlib_compress(from, to).ok(),
                None => return Err(Error::new(ErrorKind::Internal, "an encoder without its compressor")),
            },
            Compression::Lz4 => lz4::compress(from, to),
            Compression::Zstd(level) => zstd::compress(level as i32, from, to),
            Compression::BloscLz4(level) => {
                blosc::compress(c"lz4", level as i32, shuffle, self.element, from, to)
            }
            Compression::BloscZstd(level) => {
                blosc::compress(c"zstd", level as i32, shuffle, self.element, from, to)
            }
        };
        match packed.filter(|&size| size < chunk.len()) {
            Some(size) => {
                to.truncate(size);
                Ok(0)
            }
            None => {
                to.copy_from_slice(chunk);
                Ok(u32::MAX >> (32 - self.packing.steps()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::codec::{Decoder, Pipeline};

    #[test]
    fn what_is_packed_unpacks_and_what_cannot_be_packed_is_stored() {
        let smooth: Vec<u8> = (0..20_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let mut seed = 1u64;
        let noise: Vec<u8> = (0..5000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        for compression in [
            Compression::None,
            Compression::Deflate(1),
            Compression::Deflate(9),
            Compression::Lz4,
            Compression::Zstd(3),
            Compression::BloscLz4(5),
            Compression::BloscZstd(5),
        ] {
            for shuffle in [false, true] {
                let packing = Packing { compression, shuffle };
                let pipeline = Pipeline::new(&packing.filters(4, 80_000)).unwrap();
                let mut encoder = Encoder::new(packing, 4).unwrap();
                for data in [&smooth, &noise] {
                    let mut packed = Vec::new();
                    let mask = encoder.encode(data, &mut packed).unwrap();
                    let packs = data.len() == smooth.len() && compression != Compression::None;
                    assert_eq!(packed.len() < data.len(), packs, "{packing:?}");
                    let mut decoder = Decoder::new();
                    decoder.input(packed.len()).unwrap().copy_from_slice(&packed);
                    let mut back = vec![0; data.len()];
                    decoder.decode(&pipeline, mask, &mut back).unwrap();
                    assert!(back == *data, "{packing:?}");
                }
            }
        }
    }
}
