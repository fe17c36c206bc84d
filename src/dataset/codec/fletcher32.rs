//! The checksum that libhdf5 puts behind a chunk.
//!
//! Pure functions.

/// Bytes of it, little-endian, at the end.
pub const SIZE: usize = 4;

/// Fletcher's checksum over 16-bit words, most significant byte first; an odd byte at the end counts as the more significant one.
pub fn checksum(data: &[u8]) -> u32 {
    let (mut first, mut second) = (0u32, 0u32);
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    // So many words at a time as cannot overflow.
    for words in data.chunks(720) {
        for word in words.chunks(2) {
            first += u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| u32::from(low));
            second += first;
        }
        (first, second) = (fold(first), fold(second));
    }
    fold(second) << 16 | fold(first)
}

/// Whether what stands behind the data is its checksum. Files of libhdf5 before 1.6.3 have the bytes of both sums swapped.
pub fn verify(data: &[u8], stored: [u8; SIZE]) -> bool {
    let sum = checksum(data);
    let [a, b, c, d] = sum.to_le_bytes();
    stored == [a, b, c, d] || stored == [b, a, d, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definition() {
        assert_eq!(checksum(b""), 0);
        // 0x0102 + 0x0304 = 0x0406; 0x0102 + 0x0406 = 0x0508.
        assert_eq!(checksum(&[1, 2, 3, 4]), 0x0508_0406);
        assert_eq!(checksum(&[1, 2, 3]), 0x0504_0402);
        assert!(verify(&[1, 2, 3, 4], [6, 4, 8, 5]));
        assert!(verify(&[1, 2, 3, 4], [4, 6, 5, 8]));
        assert!(!verify(&[1, 2, 3, 5], [6, 4, 8, 5]));
    }

    #[test]
    fn sums_of_long_data_do_not_overflow() {
        let data = vec![0xff; 1 << 20];
        assert_eq!(checksum(&data), 0xffff_ffff);
    }
}
