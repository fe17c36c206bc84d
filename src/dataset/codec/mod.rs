//! Packing and unpacking chunks: the filters of HDF5, without libhdf5.
//!
//! | file | filter |
//! |---|---|
//! | `encode.rs` | all that pack |
//! | `shuffle.rs`, `fletcher32.rs` | bytes sorted by significance; checksums |
//! | `lzf.rs`, `lz4.rs`, `zstd.rs`, `blosc.rs`, `bitshuffle.rs` | compressors; deflate is libdeflater's |
//!
//! A [`Pipeline`] belongs to a dataset and does not change; a [`Decoder`] belongs to one thread at a time. Invariant: whatever the bytes of a chunk are,
//! no more than the chunk's own size, and a few bytes for each checksum, is written or allocated.

mod bitshuffle;
mod blosc;
mod encode;
mod fletcher32;
mod lz4;
mod lzf;
mod shuffle;
mod zstd;

use std::fmt;

pub use encode::Encoder;
use libdeflater::Decompressor;

use super::memory::resize;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5::Filter;

/// Filters that a pipeline may have: as many as the filter mask has bits.
const MAX_STEPS: usize = 32;
/// Deflate packs at most so many bytes in one.
const DEFLATE_RATIO: usize = 1032;

/// One filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Deflate,
    Shuffle(usize),
    Fletcher32,
    Lzf,
    Lz4,
    Zstd,
    Blosc,
    Bitshuffle(bitshuffle::Setup),
}

impl Step {
    /// Bytes before the filter packed them, of those that it made; `None`: only the compressor knows.
    fn size_after(self, before: usize) -> Option<usize> {
        match self {
            Self::Shuffle(_) => Some(before),
            Self::Fletcher32 => before.checked_add(fletcher32::SIZE),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate => "deflate",
            Self::Shuffle(_) => "shuffle",
            Self::Fletcher32 => "fletcher32",
            Self::Lzf => "lzf",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Blosc => "blosc",
            Self::Bitshuffle(_) => "bitshuffle",
        })
    }
}

/// How the chunks of a dataset are packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pipeline {
    /// The first is the first that packed.
    steps: Vec<Step>,
}

impl Pipeline {
    /// The pipeline of these filters; an error is the reason why we cannot unpack what they packed.
    pub(super) fn new(filters: &[Filter]) -> Result<Self, String> {
        if filters.len() > MAX_STEPS {
            return Err(format!("{} filters", filters.len()));
        }
        let steps = filters.iter().map(|filter| {
            Ok(match filter.id {
                1 => Step::Deflate,
                2 => match filter.values.first() {
                    Some(&size) if size > 0 => Step::Shuffle(size as usize),
                    _ => return Err("shuffle without the size of an element".to_owned()),
                },
                3 => Step::Fletcher32,
                32000 => Step::Lzf,
                32001 => Step::Blosc,
                32004 => Step::Lz4,
                32008 => Step::Bitshuffle(bitshuffle::Setup::new(&filter.values)?),
                32015 => Step::Zstd,
                id => return Err(format!("filter {id} ({})", filter.name)),
            })
        });
        let steps = steps.collect::<Result<Vec<_>, String>>()?;
        if steps.iter().filter(|step| step.size_after(0).is_none()).count() > 1 {
            return Err("more than one compressor".to_owned());
        }
        Ok(Self { steps })
    }

    /// The steps that a chunk went through; bit `i` of `mask` says that step `i` was left out.
    fn steps_of(&self, mask: u32) -> impl DoubleEndedIterator<Item = Step> + Clone + '_ {
        let took = move |(i, _): &(usize, &Step)| mask >> i & 1 == 0;
        self.steps.iter().enumerate().filter(took).map(|(_, &step)| step)
    }

    /// Whether the bytes of a chunk are in the file as they are.
    pub fn is_plain(&self, mask: u32) -> bool {
        self.steps_of(mask).next().is_none()
    }
}

/// What a thread unpacks chunks with: memory that is used again.
pub struct Decoder {
    deflate: Decompressor,
    /// What is to be unpacked: packed bytes in the beginning.
    current: Vec<u8>,
    /// What the current step writes, unless it is the last.
    next: Vec<u8>,
    scratch: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn damaged(step: Step, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("{step}: {what}"))
}

impl Decoder {
    /// Without memory yet.
    pub fn new() -> Self {
        Self { deflate: Decompressor::new(), current: Vec::new(), next: Vec::new(), scratch: Vec::new() }
    }

    /// Memory for the packed bytes of a chunk, to be filled and then unpacked.
    pub fn input(&mut self, size: usize) -> Result<&mut [u8]> {
        resize(&mut self.current, size)?;
        Ok(&mut self.current)
    }

    /// Unpacks what [`input`](Self::input) was filled with to `out`, which must be as large as a chunk. After an error anything may be in `out`.
    ///
    /// # Errors
    /// `Format`: the chunk is damaged. `NoMemory`.
    pub fn decode(&mut self, pipeline: &Pipeline, mask: u32, out: &mut [u8]) -> Result<()> {
        let steps = pipeline.steps_of(mask);
        // The last that writes writes to `out`; a checksum is only cut off.
        let mut writers = steps.clone().filter(|&step| step != Step::Fletcher32).count();
        for (index, step) in steps.clone().enumerate().collect::<Vec<_>>().into_iter().rev() {
            if step == Step::Fletcher32 {
                self.strip_checksum()?;
                continue;
            }
            writers -= 1;
            // What this step packed is what those before it made of a chunk. None of them compressed if this one does.
            let size = steps.clone().take(index).try_fold(out.len(), |size, step| step.size_after(size));
            let size = size.unwrap_or(self.current.len());
            if writers == 0 && size == out.len() {
                self.undo(step, size, Some(&mut *out))?;
                // Checksums inside of the last that writes would have made it longer.
                return Ok(());
            }
            self.undo(step, size, None)?;
            std::mem::swap(&mut self.current, &mut self.next);
        }
        if self.current.len() != out.len() {
            let (got, rule) = (self.current.len(), out.len());
            return Err(Error::new(ErrorKind::Format, format!("a chunk must have {rule} bytes (got {got})")));
        }
        out.copy_from_slice(&self.current);
        Ok(())
    }

    fn strip_checksum(&mut self) -> Result<()> {
        let Some((data, &stored)) = self.current.split_last_chunk::<{ fletcher32::SIZE }>() else {
            return Err(damaged(Step::Fletcher32, "it is shorter than a checksum"));
        };
        if !fletcher32::verify(data, stored) {
            return Err(damaged(Step::Fletcher32, "the checksum is not that of the data"));
        }
        self.current.truncate(self.current.len() - fletcher32::SIZE);
        Ok(())
    }

    /// Undoes one step, from `current` to `out` or else to `next`; the result has `size` bytes.
    fn undo(&mut self, step: Step, size: usize, out: Option<&mut [u8]>) -> Result<()> {
        let from = &self.current[..];
        // Nobody can make us allocate much with little.
        if step == Step::Deflate && size / DEFLATE_RATIO > from.len() {
            return Err(damaged(step, format!("{} bytes cannot become {size}", from.len())));
        }
        let to = match out {
            Some(out) => out,
            None => {
                resize(&mut self.next, size)?;
                &mut self.next[..]
            }
        };
        let done = match step {
            Step::Deflate => match self.deflate.zlib_decompress(from, to) {
                Ok(written) if written == to.len() => Ok(()),
                Ok(_) => Err("it ends too early"),
                Err(libdeflater::DecompressionError::InsufficientSpace) => Err("it is longer than a chunk"),
                Err(_) => Err("it is damaged"),
            },
            Step::Shuffle(element) if from.len() == to.len() => {
                shuffle::unshuffle(element, from, to);
                Ok(())
            }
            Step::Shuffle(_) => Err("it has another size than a chunk"),
            Step::Lzf => lzf::decompress(from, to),
            Step::Lz4 => lz4::decompress(from, to),
            Step::Zstd => zstd::decompress(from, to),
            Step::Blosc => blosc::decompress(from, to),
            Step::Bitshuffle(setup) => bitshuffle::decompress(setup, from, to, &mut self.scratch),
            Step::Fletcher32 => Ok(()),
        };
        done.map_err(|what| damaged(step, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(id: i32, values: &[u32]) -> Filter {
        Filter { id, name: "its name".to_owned(), values: values.to_vec() }
    }

    fn decoded(filters: &[Filter], mask: u32, packed: &[u8], size: usize) -> Result<Vec<u8>> {
        let pipeline = Pipeline::new(filters).unwrap();
        let mut decoder = Decoder::new();
        decoder.input(packed.len())?.copy_from_slice(packed);
        let mut out = vec![0; size];
        decoder.decode(&pipeline, mask, &mut out).map(|()| out)
    }

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut packed = vec![0; compressor.zlib_compress_bound(data.len())];
        let size = compressor.zlib_compress(data, &mut packed).unwrap();
        packed.truncate(size);
        packed
    }

    fn summed(data: &[u8]) -> Vec<u8> {
        [data, &fletcher32::checksum(data).to_le_bytes()].concat()
    }

    const DATA: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    const SORTED: [u8; 8] = [1, 3, 5, 7, 2, 4, 6, 8];

    #[test]
    fn steps_are_undone_backwards_wherever_the_checksum_is() {
        let (shuffle, deflate, sum) = (filter(2, &[2]), filter(1, &[4]), filter(3, &[]));
        let all = [shuffle.clone(), deflate.clone(), sum.clone()];
        assert_eq!(decoded(&all, 0, &summed(&deflated(&SORTED)), 8).unwrap(), DATA);
        let tables = [sum.clone(), shuffle.clone(), deflate.clone()];
        let mut shuffled = vec![0; 12];
        let with_sum = summed(&DATA);
        for (i, byte) in with_sum.iter().enumerate() {
            shuffled[i % 2 * 6 + i / 2] = *byte;
        }
        assert_eq!(decoded(&tables, 0, &deflated(&shuffled), 8).unwrap(), DATA);
        assert_eq!(decoded(&[sum], 0, &with_sum, 8).unwrap(), DATA);
        assert_eq!(decoded(&[], 0, &DATA, 8).unwrap(), DATA);
    }

    #[test]
    fn steps_that_the_mask_names_were_left_out() {
        let filters = [filter(2, &[2]), filter(1, &[4]), filter(3, &[])];
        assert_eq!(decoded(&filters, 0b010, &summed(&SORTED), 8).unwrap(), DATA);
        assert_eq!(decoded(&filters, 0b101, &deflated(&DATA), 8).unwrap(), DATA);
        assert_eq!(decoded(&filters, 0b111, &DATA, 8).unwrap(), DATA);
        let pipeline = Pipeline::new(&filters).unwrap();
        assert!(pipeline.is_plain(0b111) && !pipeline.is_plain(0b110));
    }

    #[test]
    fn damage_is_an_error_that_names_the_step() {
        let filters = [filter(2, &[2]), filter(1, &[4]), filter(3, &[])];
        let good = summed(&deflated(&SORTED));
        let says = |packed: &[u8], size, words: &str| {
            let error = decoded(&filters, 0, packed, size).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains(words), "{error}");
        };
        says(&good[..3], 8, "fletcher32: it is shorter");
        let mut wrong = good.clone();
        wrong[4] ^= 1;
        says(&wrong, 8, "fletcher32: the checksum");
        says(&summed(&wrong[..good.len() - 4]), 8, "deflate: it is damaged");
        says(&good, 9, "deflate: it ends too early");
        says(&good, 7, "deflate: it is longer");
        says(&good, 1 << 30, "bytes cannot become 1073741824");
        assert!(
            decoded(&filters, 0b111, &DATA, 9).unwrap_err().message().contains("must have 9 bytes (got 8)")
        );
    }

    #[test]
    fn what_we_cannot_unpack_is_told_before() {
        assert_eq!(Pipeline::new(&[filter(4, &[])]).unwrap_err(), "filter 4 (its name)");
        assert_eq!(
            Pipeline::new(&[filter(1, &[]), filter(32015, &[])]).unwrap_err(),
            "more than one compressor"
        );
        assert!(Pipeline::new(&[filter(2, &[])]).is_err());
    }
}
