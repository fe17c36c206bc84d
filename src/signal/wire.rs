//! The header of a chunk on the wire, in the transfer mode `plaindata`: all numbers of 64 bits, the most significant byte first.
//!
//! ```text
//! ndim | index | offset | shape[ndim] | strides[ndim]
//! ```
//!
//! `index` is that of the frame behind the chunk's last; `offset` is where element (0, 0, ...) is in the data that follows as a message of its own, and
//! strides are in bytes and may be negative. The type of the elements is not on the wire: both sides know it.

use super::array::{Layout, MAX_AXES};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of a number.
const WORD: usize = 8;

/// The header of a chunk whose last frame has index `index - 1`.
pub fn encode(index: u64, layout: &Layout) -> Vec<u8> {
    let axes = layout.shape().len();
    let mut bytes = Vec::with_capacity(WORD * (3 + 2 * axes));
    for number in [axes as u64, index, layout.offset() as u64] {
        bytes.extend(number.to_be_bytes());
    }
    for &count in layout.shape() {
        bytes.extend((count as u64).to_be_bytes());
    }
    for &stride in layout.strides() {
        bytes.extend((stride as i64).to_be_bytes());
    }
    bytes
}

/// Reads the header of a chunk with elements of `item` bytes, `size` bytes in all. What it tells lies within these.
pub fn parse(header: &[u8], item: usize, size: usize) -> Result<(u64, Layout)> {
    let wrong = |what: String| Error::new(ErrorKind::Format, format!("chunk header: {what}"));
    let (words, rest) = header.as_chunks::<WORD>();
    let mut words = words.iter().map(|word| u64::from_be_bytes(*word));
    let (Some(axes), Some(index), Some(offset)) = (words.next(), words.next(), words.next()) else {
        return Err(wrong(format!("{} bytes are no header", header.len())));
    };
    if axes == 0 || axes > MAX_AXES as u64 {
        return Err(wrong(format!("ndim must be 1 to {MAX_AXES} (got {axes})")));
    }
    let axes = axes as usize;
    if !rest.is_empty() || words.len() != 2 * axes {
        let expected = WORD * (3 + 2 * axes);
        return Err(wrong(format!("{axes} axes take {expected} bytes (got {})", header.len())));
    }
    let number = |number: u64| usize::try_from(number).map_err(|_| wrong(format!("{number} is too large")));
    let shape: Vec<usize> = words.by_ref().take(axes).map(number).collect::<Result<_>>()?;
    let strides: Vec<isize> = words.map(|word| word as i64 as isize).collect();
    let layout =
        Layout::new(item, number(offset)?, &shape, &strides).map_err(|e| wrong(e.message().to_owned()))?;
    if layout.extent().end > size {
        let extent = layout.extent();
        return Err(wrong(format!(
            "its elements reach from byte {} to {} of {size}",
            extent.start, extent.end
        )));
    }
    if shape[0] as u64 > index {
        return Err(wrong(format!("{} frames cannot end at index {index}", shape[0])));
    }
    Ok((index, layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(numbers: &[i64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// The bytes that numpy arrays of pyacq had on the wire.
    #[test]
    fn known_headers() {
        let c = Layout::c_order(4, &[4, 3]).unwrap();
        assert_eq!(encode(4, &c), words(&[2, 4, 0, 4, 3, 12, 4]));
        let reversed = Layout::new(4, 8, &[4, 3], &[12, -4]).unwrap();
        assert_eq!(encode(7, &reversed), words(&[2, 7, 8, 4, 3, 12, -4]));
        assert_eq!(parse(&words(&[2, 7, 8, 4, 3, 12, -4]), 4, 48).unwrap(), (7, reversed));
        let (_, nothing) = parse(&words(&[2, 0, 0, 0, 3, 0, 0]), 4, 0).unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (header, what) in [
            (words(&[]), "0 bytes are no header"),
            (words(&[1, 2]), "16 bytes are no header"),
            (words(&[0, 2, 0]), "ndim must be 1 to 64 (got 0)"),
            (words(&[65, 2, 0]), "(got 65)"),
            (words(&[-1, 2, 0]), "(got 18446744073709551615)"),
            (words(&[2, 4, 0, 4, 3, 12]), "2 axes take 56 bytes (got 48)"),
            (words(&[1, 4, 0, 4, 4, 0]), "1 axes take 40 bytes (got 48)"),
            ([words(&[1, 4, 0, 4, 4]), vec![0]].concat(), "(got 41)"),
            (words(&[2, 4, 0, 4, 3, 12, 8]), "from byte 0 to 56 of 48"),
            (words(&[2, 4, 4, 4, 3, 12, 4]), "from byte 4 to 52 of 48"),
            (words(&[2, 4, 0, 4, 3, -12, 4]), "no memory holds"),
            (words(&[2, 4, 0, i64::MAX, 3, 12, 4]), "no memory holds"),
            (words(&[2, 3, 0, 4, 3, 12, 4]), "4 frames cannot end at index 3"),
        ] {
            let error = parse(&header, 4, 48).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains(what), "{error}");
        }
    }

    proptest! {
        /// Whatever comes: an error, or a view within the data.
        #[test]
        fn any_bytes(numbers in prop::collection::vec(prop_oneof![0i64..6, any::<i64>(), -20i64..20], 0..12), item in 1usize..9, size in 0usize..100) {
            if let Ok((index, layout)) = parse(&words(&numbers), item, size) {
                prop_assert!(layout.extent().end <= size);
                prop_assert_eq!(encode(index, &layout), words(&numbers));
            }
        }
    }
}
