//! The filter of blosc 1 (32001): a container that says how it was made.
//!
//! Pure functions.

use std::ffi::c_int;

use blosc_src::{blosc_cbuffer_validate, blosc_decompress_ctx};

/// Bytes before the content.
const HEADER: usize = 16;
/// Containers of later ones are another format.
const VERSION: u8 = 2;

/// Unpacks `from` to `to`, which it must fill exactly.
pub fn decompress(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    let header = from.first_chunk::<HEADER>().ok_or("it is shorter than its header")?;
    if header[0] == 0 || header[0] > VERSION {
        return Err("it is not of blosc 1");
    }
    // 0 BloscLZ, 1 LZ4, 2 snappy, 3 zlib, 4 zstd.
    if !matches!(header[2] >> 5, 0 | 1 | 3 | 4) {
        return Err("its codec must be BloscLZ, LZ4, zlib or zstd");
    }
    let mut size = 0;
    // SAFETY: blosc reads as many bytes as it is told, and writes a number.
    if unsafe { blosc_cbuffer_validate(from.as_ptr().cast(), from.len(), &mut size) } < 0 {
        return Err("it is not as long as its header tells");
    }
    if size != to.len() {
        return Err("its content has another size than a chunk");
    }
    // SAFETY: the container is as long as its header tells, as was just checked; blosc writes no more than `size` bytes.
    let written = unsafe { blosc_decompress_ctx(from.as_ptr().cast(), to.as_mut_ptr().cast(), size, 1) };
    if c_int::try_from(size) == Ok(written) { Ok(()) } else { Err("its content is damaged") }
}

/// Packs `from`, of elements of `element` bytes, by the codec of that name to `to`, and returns how many bytes that are; `None`: they are more than there is
/// room for.
pub fn compress(
    codec: &std::ffi::CStr,
    level: i32,
    shuffle: bool,
    element: usize,
    from: &[u8],
    to: &mut [u8],
) -> Option<usize> {
    // SAFETY: blosc reads `from` and writes no more than `to` has; the codec is a C string.
    let size = unsafe {
        let (source, target) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
        let shuffle = c_int::from(shuffle);
        blosc_src::blosc_compress_ctx(
            level,
            shuffle,
            element,
            from.len(),
            source,
            target,
            to.len(),
            codec.as_ptr(),
            0,
            1,
        )
    };
    usize::try_from(size).ok().filter(|&size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(codec: &std::ffi::CStr, data: &[u8]) -> Vec<u8> {
        let mut packed = vec![0; data.len() + HEADER];
        // SAFETY: blosc reads `data` and writes no more than there is memory; the codec is a C string.
        let size = unsafe {
            let (from, to) = (data.as_ptr().cast(), packed.as_mut_ptr().cast());
            blosc_src::blosc_compress_ctx(5, 1, 4, data.len(), from, to, packed.len(), codec.as_ptr(), 0, 1)
        };
        packed.truncate(size as usize);
        packed
    }

    #[test]
    fn every_codec_unpacks_and_damage_is_an_error() {
        let data: Vec<u8> = (0..10_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        for codec in [c"blosclz", c"lz4", c"lz4hc", c"zlib", c"zstd"] {
            let from = packed(codec, &data);
            assert!(from.len() < data.len(), "{codec:?}");
            let mut to = vec![0; data.len()];
            decompress(&from, &mut to).unwrap();
            assert!(to == data, "{codec:?}");
            assert!(decompress(&from, &mut to[1..]).is_err());
            assert!(decompress(&from[..from.len() - 1], &mut to).is_err());
            assert!(decompress(&from[..10], &mut to).is_err());
        }
    }
}
