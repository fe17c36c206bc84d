//! HDF5's Zstandard filter (32015): one or more frames of zstd.
//!
//! Pure functions.

/// Unpacks `from` to `to`, which it must fill exactly.
pub fn decompress(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    match zstd_safe::decompress(to, from) {
        Ok(written) if written == to.len() => Ok(()),
        Ok(_) => Err("it ends too early"),
        Err(code) => Err(zstd_safe::get_error_name(code)),
    }
}

/// Packs `from` to `to`, and returns how many bytes that are; `None`: they are more than there is room for.
pub fn compress(level: i32, from: &[u8], to: &mut [u8]) -> Option<usize> {
    zstd_safe::compress(to, from, level).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_unpack_and_damage_is_an_error() {
        let data: Vec<u8> = (0..1000u32).map(|i| (i / 7) as u8).collect();
        let mut packed = vec![0; 2000];
        let size = zstd_safe::compress(&mut packed[..], &data, 3).unwrap();
        packed.truncate(size);
        let mut to = vec![0; 1000];
        decompress(&packed, &mut to).unwrap();
        assert!(to == data);
        assert!(decompress(&packed, &mut to[..999]).is_err());
        assert!(decompress(&packed, &mut vec![0; 1001]).is_err());
        assert!(decompress(&packed[..size - 1], &mut to).is_err());
    }
}
