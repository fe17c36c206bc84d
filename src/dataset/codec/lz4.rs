//! HDF5's LZ4 filter (32004): a header, and blocks of LZ4, each by itself.
//!
//! ```text
//! 0: u64 bytes of the content | 8: u32 bytes of a block of the content | 12: for each block, u32 bytes that follow, and these    (big-endian)
//! ```
//!
//! Pure functions.

use std::ffi::c_int;

const HEADER: usize = 12;

/// Unpacks one block of LZ4, which must fill `to` exactly.
pub fn block(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    let (Ok(size), Ok(capacity)) = (c_int::try_from(from.len()), c_int::try_from(to.len())) else {
        return Err("a block of LZ4 is too large");
    };
    // SAFETY: LZ4 reads `size` bytes and writes no more than `capacity`, whatever it reads.
    let written =
        unsafe { lz4_sys::LZ4_decompress_safe(from.as_ptr().cast(), to.as_mut_ptr().cast(), size, capacity) };
    if written == capacity { Ok(()) } else { Err("a block of LZ4 is damaged") }
}

/// Reads the header: bytes of a block.
pub(super) fn header(from: &[u8], size: usize) -> Result<(usize, &[u8]), &'static str> {
    let (header, rest) = from.split_first_chunk::<HEADER>().ok_or("it is shorter than its header")?;
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *header;
    if u64::from_be_bytes([a, b, c, d, e, f, g, h]) != size as u64 {
        return Err("its content has another size than a chunk");
    }
    Ok((u32::from_be_bytes([i, j, k, l]) as usize, rest))
}

/// The next block that is packed.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let (size, after) = rest.split_first_chunk::<4>().ok_or("it ends too early")?;
    let size = u32::from_be_bytes(*size) as usize;
    let (packed, after) = after.split_at_checked(size).ok_or("it ends too early")?;
    *rest = after;
    Ok(packed)
}

/// Unpacks `from` to `to`, which it must fill exactly.
pub fn decompress(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    let (size, mut rest) = header(from, to.len())?;
    if size == 0 && !to.is_empty() {
        return Err("its blocks have no bytes");
    }
    for part in to.chunks_mut(size.max(1)) {
        let packed = next(&mut rest)?;
        // What did not become smaller is there as it is.
        if packed.len() == part.len() {
            part.copy_from_slice(packed);
        } else {
            block(packed, part)?;
        }
    }
    Ok(())
}

/// Packs `from` as one block to `to`, and returns how many bytes that are; `None`: they are more than there is room for.
pub fn compress(from: &[u8], to: &mut [u8]) -> Option<usize> {
    const BEFORE: usize = HEADER + 4;
    let (room, size) = (to.len().checked_sub(BEFORE)?, c_int::try_from(from.len()).ok()?);
    let capacity = c_int::try_from(room).unwrap_or(c_int::MAX);
    let start = to[BEFORE..].as_mut_ptr().cast();
    // SAFETY: LZ4 reads `size` bytes and writes no more than `capacity`.
    let written = unsafe { lz4_sys::LZ4_compress_default(from.as_ptr().cast(), start, size, capacity) };
    let written = usize::try_from(written).ok().filter(|&written| written > 0 && written < from.len())?;
    to[..8].copy_from_slice(&(from.len() as u64).to_be_bytes());
    to[8..HEADER].copy_from_slice(&(from.len() as u32).to_be_bytes());
    to[HEADER..BEFORE].copy_from_slice(&(written as u32).to_be_bytes());
    Some(BEFORE + written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(size: u64, block: u32, blocks: &[&[u8]]) -> Vec<u8> {
        let mut packed = [&size.to_be_bytes()[..], &block.to_be_bytes()].concat();
        for block in blocks {
            packed.extend((block.len() as u32).to_be_bytes());
            packed.extend(*block);
        }
        packed
    }

    #[test]
    fn blocks_unpack_packed_and_as_they_are() {
        // Twenty of the same: one literal, a match of 14 from 1 back, then the 5 literals that must end a block.
        let twenty = [0x1a, b'a', 1, 0, 0x50, b'a', b'a', b'a', b'a', b'a'];
        let from = packed(24, 20, &[&twenty[..], b"wxyz"]);
        let mut to = [0; 24];
        decompress(&from, &mut to).unwrap();
        assert_eq!(&to, b"aaaaaaaaaaaaaaaaaaaawxyz");
    }

    #[test]
    fn damage_is_an_error() {
        let mut to = [0; 4];
        for from in [
            &b"short"[..],
            &packed(5, 4, &[b"wxyz", b"a"]),
            &packed(4, 0, &[b"wxyz"]),
            &packed(4, 4, &[]),
            &packed(4, 4, &[b"\xff\xff\xff"]),
            &packed(4, 4, &[b"wxyz"])[..18],
        ] {
            assert!(decompress(from, &mut to).is_err(), "{from:?}");
        }
    }
}
