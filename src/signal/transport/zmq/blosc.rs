//! Compressed chunks: one container of blosc 1 each, which says how large its content is.
//!
//! ```text
//! byte 0: version (2) | 1: the codec's version | 2: flags, the codec in bits 5 to 7 | 3: bytes of an item
//! 4: u32 content's bytes | 8: u32 bytes of a block | 12: u32 bytes of all, these included     (little-endian)
//! ```

use std::ffi::CStr;
use std::os::raw::c_int;

use blosc_src::{blosc_cbuffer_validate, blosc_compress_ctx, blosc_decompress_ctx};
use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::signal::memory::filled;
use crate::signal::params::Compression;

/// Bytes that a container takes beside its content, at the most.
const HEADER: usize = 16;
/// What blosc can take.
const MOST: usize = c_int::MAX as usize - HEADER;
const SHUFFLE_BYTES: c_int = 1;
/// Larger items are not shuffled.
const MOST_ITEM: usize = 255;
/// Containers of later ones are another format.
const VERSION: u8 = 2;
/// In the flags: BloscLZ, LZ4, and Zstandard.
const CODECS: [u8; 3] = [0, 1, 4];

/// A container of `data`, which has items of `item` bytes.
pub(super) fn compress(compression: Compression, item: usize, data: &[u8]) -> Result<Bytes> {
    // Levels 1 to 9; pyacq's is 9. Of Zstandard that is the slowest, and this its own default, 3.
    let (codec, level): (&CStr, c_int) = match compression {
        Compression::BloscLz4 => (c"lz4", 9),
        Compression::BloscZstd => (c"zstd", 2),
        Compression::None | Compression::BloscBloscLz => (c"blosclz", 9),
    };
    if data.len() > MOST {
        let reason = format!("a compressed chunk must be at most {MOST} bytes (got {})", data.len());
        return Err(Error::invalid(reason));
    }
    let item = if item > MOST_ITEM { 1 } else { item.max(1) };
    let size = data.len() + HEADER;
    // SAFETY: blosc reads `data` and writes no more than `size` bytes, and answers how many; the codec is a C string.
    unsafe {
        filled(size, |to| {
            let (from, to, codec) = (data.as_ptr().cast(), to.cast(), codec.as_ptr());
            let written =
                blosc_compress_ctx(level, SHUFFLE_BYTES, item, data.len(), from, to, size, codec, 0, 1);
            usize::try_from(written).ok().filter(|&written| written >= HEADER).ok_or_else(|| {
                let reason = format!("blosc cannot compress a chunk of {} bytes ({written})", data.len());
                Error::new(ErrorKind::Internal, reason)
            })
        })
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Format, format!("compressed chunk: {what}"))
}

/// The bytes of a container's content, at most `most`.
pub(super) fn content_size(container: &[u8], most: u64) -> Result<usize> {
    let Some(header) = container.first_chunk::<HEADER>() else {
        return Err(wrong(&format!("{} bytes are no container of blosc", container.len())));
    };
    let [version, _, flags, ..] = *header;
    if version == 0 || version > VERSION {
        return Err(wrong(&format!("version must be 1 to {VERSION} (got {version})")));
    }
    if !CODECS.contains(&(flags >> 5)) {
        return Err(wrong(&format!(
            "codec must be 0 (BloscLZ), 1 (LZ4) or 4 (Zstandard) (got {})",
            flags >> 5
        )));
    }
    let mut size = 0;
    // SAFETY: blosc reads as many bytes as it is told, and writes a number.
    if unsafe { blosc_cbuffer_validate(container.as_ptr().cast(), container.len(), &mut size) } < 0 {
        return Err(wrong(&format!("{} bytes are not what its header tells", container.len())));
    }
    if size as u64 > most {
        return Err(wrong(&format!("content must be at most {most} bytes (got {size})")));
    }
    Ok(size)
}

/// The content, of as many bytes as [`content_size`] tells.
pub(super) fn decompress(container: &[u8], size: usize) -> Result<Bytes> {
    // SAFETY: the container is as long as its header tells, as `content_size` has checked; blosc writes no more than `size` bytes, and answers how many.
    unsafe {
        filled(size, |to| {
            let written = blosc_decompress_ctx(container.as_ptr().cast(), to.cast(), size, 1);
            usize::try_from(written)
                .ok()
                .filter(|&written| written == size)
                .ok_or_else(|| wrong("its content is damaged"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Compression; 3] = [Compression::BloscBloscLz, Compression::BloscLz4, Compression::BloscZstd];

    #[test]
    fn what_is_compressed_comes_back() {
        for compression in ALL {
            for (item, count) in [(4, 0), (1, 1), (4, 100), (8, 100_000), (300, 1000), (0, 10)] {
                let data: Vec<u8> = (0..count * item.max(1)).map(|i| (i / 97) as u8).collect();
                let container = compress(compression, item, &data).unwrap();
                assert!(data.len() < 1000 || container.len() < data.len() / 2, "{}", container.len());
                let size = content_size(&container, data.len() as u64).unwrap();
                assert_eq!(decompress(&container, size).unwrap(), data);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let container = compress(Compression::BloscLz4, 1, &vec![0; 1 << 20]).unwrap();
        assert!(container.len() < 10_000);
        let error = content_size(&container, 1 << 16).unwrap_err();
        assert!(error.message().contains("at most 65536 bytes (got 1048576)"), "{error}");
        assert!(content_size(&container[..container.len() - 1], 1 << 20).is_err());
        assert!(content_size(b"", 1 << 20).is_err());
        let mut other = container.to_vec();
        other[2] = 3 << 5;
        assert!(content_size(&other, 1 << 20).unwrap_err().message().contains("codec"));
        other[0] = 5;
        assert!(content_size(&other, 1 << 20).unwrap_err().message().contains("version"));
    }

    proptest! {
        /// Damage anywhere: an error, or other bytes; never a fault.
        #[test]
        fn damaged_containers(at in 0usize..4000, with in any::<u8>(), which in 0..ALL.len(), item in 1usize..9) {
            let data: Vec<u8> = (0..20_000).map(|i| (i / 13 + i % 7) as u8).collect();
            let mut container = compress(ALL[which], item, &data).unwrap().to_vec();
            let at = at % container.len();
            container[at] ^= with;
            if let Ok(size) = content_size(&container, 1 << 16)
                && let Ok(content) = decompress(&container, size)
            {
                prop_assert_eq!(content.len(), size);
            }
        }
    }
}
