//! The filter bitshuffle (32008): bits of elements sorted by significance, in blocks, and packed by LZ4 or zstd or not at all.
//!
//! Elements come in blocks; the last block takes as many groups of eight as are left, and what remains is there as it is. In a block of `n` elements, bit
//! `k` of byte `b` of all elements is one row of `n / 8` bytes, row `8 * b + k`.
//!
//! Pure functions.

use super::{lz4, zstd};

/// Elements whose bits are sorted together.
const GROUP: usize = 8;

/// How the blocks are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// Each by LZ4.
    Lz4,
    /// Each by zstd.
    Zstd,
}

/// What the filter was set up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Bytes of an element.
    pub element: usize,
    /// Elements of a block; 0: as many as are customary.
    pub block: usize,
    /// How blocks are packed.
    pub packing: Packing,
}

impl Setup {
    /// From the values of the filter: version twice, bytes of an element, elements of a block, packing.
    pub fn new(values: &[u32]) -> Result<Self, &'static str> {
        let element = *values.get(2).ok_or("bitshuffle without the size of an element")? as usize;
        let block = values.get(3).map_or(0, |&block| block as usize);
        let packing = match values.get(4) {
            None | Some(0) => Packing::None,
            Some(2) => Packing::Lz4,
            Some(3) => Packing::Zstd,
            _ => return Err("bitshuffle with a packing that is not known"),
        };
        if element == 0 || element > 1 << 16 || !block.is_multiple_of(GROUP) {
            return Err("bitshuffle with sizes that cannot be");
        }
        Ok(Self { element, block, packing })
    }
}

/// Elements of a block where nobody said.
fn customary_block(element: usize) -> usize {
    (8192 / element / GROUP * GROUP).max(128)
}

/// Unpacks `from` to `to`, which it must fill exactly.
pub fn decompress(
    setup: Setup,
    from: &[u8],
    to: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let Setup { element, mut block, packing } = setup;
    let mut rest = from;
    if packing != Packing::None {
        let (bytes, after) = lz4::header(from, to.len())?;
        (block, rest) = (bytes / element, after);
        if bytes > 0 && (!bytes.is_multiple_of(element) || !block.is_multiple_of(GROUP)) {
            return Err("its blocks have a size that cannot be");
        }
    }
    if block == 0 {
        block = customary_block(element);
    }
    let sorted = to.len() / element / GROUP * GROUP * element;
    let (sorted, plain) = to.split_at_mut(sorted);
    for part in sorted.chunks_mut(block.saturating_mul(element)) {
        if packing == Packing::None {
            let (bits, after) = rest.split_at_checked(part.len()).ok_or("it ends too early")?;
            rest = after;
            unsort(element, bits, part);
            continue;
        }
        let packed = lz4::next(&mut rest)?;
        scratch.resize(part.len(), 0);
        match packing {
            Packing::Lz4 => lz4::block(packed, scratch)?,
            _ => zstd::decompress(packed, scratch)?,
        }
        unsort(element, scratch, part);
    }
    plain.copy_from_slice(rest.get(..plain.len()).ok_or("it ends too early")?);
    Ok(())
}

/// Puts the elements of one block back together.
fn unsort(element: usize, bits: &[u8], to: &mut [u8]) {
    let row = bits.len() / element / 8;
    for byte in 0..element {
        let rows = &bits[8 * byte * row..][..8 * row];
        for group in 0..row {
            let square = u64::from_le_bytes(std::array::from_fn(|bit| rows[bit * row + group]));
            for (i, value) in transposed(square).to_le_bytes().into_iter().enumerate() {
                to[(group * GROUP + i) * element + byte] = value;
            }
        }
    }
}

/// Bit `i` of byte `k` becomes bit `k` of byte `i`.
fn transposed(mut square: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)]
    {
        let moved = (square ^ (square >> shift)) & mask;
        square ^= moved ^ (moved << shift);
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(element: usize, block: usize, data: &[u8]) -> Vec<u8> {
        let all = data.len() / element / 8 * 8 * element;
        let mut bits = Vec::new();
        for part in data[..all].chunks(block * element) {
            for row in 0..8 * element {
                let count = part.len() / element;
                for group in 0..count / 8 {
                    bits.push((0..8).fold(0, |byte, i| {
                        byte | (part[(group * 8 + i) * element + row / 8] >> (row % 8) & 1) << i
                    }));
                }
            }
        }
        bits.extend(&data[all..]);
        bits
    }

    #[test]
    fn elements_of_any_size_and_number_come_back() {
        for element in [1, 2, 4, 7, 8] {
            for count in [0, 1, 7, 8, 9, 64, 75, 200] {
                let data: Vec<u8> = (0..element * count + 1).map(|i| (i * 37 + i / 5) as u8).collect();
                let mut back = vec![0; data.len()];
                let setup = Setup { element, block: 64, packing: Packing::None };
                decompress(setup, &sorted(element, 64, &data), &mut back, &mut Vec::new()).unwrap();
                assert!(back == data, "element {element}, count {count}");
            }
        }
    }

    #[test]
    fn damage_is_an_error() {
        let setup = Setup { element: 2, block: 8, packing: Packing::None };
        assert!(decompress(setup, &[0; 15], &mut [0; 16], &mut Vec::new()).is_err());
        let packed = Setup { packing: Packing::Lz4, ..setup };
        for block in [1u32, 3, 24, u32::MAX] {
            let from = [&16u64.to_be_bytes()[..], &block.to_be_bytes(), &[0, 0, 0, 1, 0]].concat();
            assert!(decompress(packed, &from, &mut [0; 16], &mut Vec::new()).is_err());
        }
        assert!(Setup::new(&[0, 2, 0, 0, 2]).is_err());
        assert!(Setup::new(&[0, 2, 4, 9, 2]).is_err());
        assert!(Setup::new(&[0, 2, 4, 0, 7]).is_err());
    }
}
