//! Formats of elements as SPEAD has them: letters and widths in bits, packed without padding, most significant bit first.

use super::dtype::{Dtype, Field, Kind, Scalar};
use crate::error::{Error, ErrorKind, Result};

/// One entry of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `u`, `i`, `f`, `c` or `b`.
    pub letter: char,
    /// Bits: 1 to 64; 32 or 64 for `f`, 8 for `c`.
    pub bits: u8,
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("format {what}"))
}

impl Entry {
    /// Checks an entry as it stands in a descriptor.
    pub fn new(letter: u8, bits: u64) -> Result<Self> {
        let shown = format!("({}, {bits})", (letter as char).escape_default());
        let allowed: &[u64] = match letter {
            b'u' | b'i' | b'b' => &[],
            b'f' => &[32, 64],
            b'c' => &[8],
            _ => return Err(wrong(format!("{shown}: the letter must be one of u, i, f, c, b"))),
        };
        if !(1..=64).contains(&bits) {
            return Err(wrong(format!("{shown}: the width must be between 1 and 64 bits")));
        }
        if !allowed.is_empty() && !allowed.contains(&bits) {
            return Err(wrong(format!("{shown}: the width must be one of {allowed:?}")));
        }
        Ok(Self { letter: letter as char, bits: bits as u8 })
    }

    /// The smallest type of this machine that holds it.
    fn scalar(self) -> Scalar {
        let size = usize::from(self.bits).div_ceil(8).next_power_of_two();
        match self.letter {
            'u' => Scalar::native(Kind::Uint, size),
            'i' => Scalar::native(Kind::Int, size),
            'f' => Scalar::native(Kind::Float, size),
            'c' => Scalar::native(Kind::Bytes, 1),
            _ => Scalar::native(Kind::Bool, 1),
        }
    }

    /// Its bytes in memory are those on the wire, but for their order.
    fn is_plain(self) -> bool {
        match self.letter {
            'u' | 'i' => [8, 16, 32, 64].contains(&self.bits),
            'b' => false,
            _ => true,
        }
    }

    /// The bits, right-aligned, that stand for a value in this machine's byte order; the opposite of [`unpack`](Self::unpack).
    fn value(self, field: &[u8]) -> u64 {
        let value = match cfg!(target_endian = "big") {
            true => field.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)),
            false => field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)),
        };
        if self.letter == 'b' { u64::from(value != 0) } else { value }
    }

    /// Appends the value that these bits, right-aligned, stand for.
    fn unpack(self, bits: u64, out: &mut Vec<u8>) {
        let size = self.scalar().size;
        let value = match self.letter {
            // Shifted up and down again, the sign is extended.
            'i' => ((bits << (64 - self.bits)) as i64 >> (64 - self.bits)) as u64,
            'b' => u64::from(bits != 0),
            _ => bits,
        };
        let bytes = value.to_ne_bytes();
        let bytes = if cfg!(target_endian = "big") { bytes.get(8 - size..) } else { bytes.get(..size) };
        out.extend_from_slice(bytes.unwrap_or_default());
    }
}

/// The type of elements of this format once they are unpacked: a scalar, or a record of fields f0, f1, ….
pub(super) fn dtype(entries: &[Entry]) -> Result<Dtype> {
    if let [only] = entries {
        return Ok(Dtype::Scalar(only.scalar()));
    }
    let field = |(i, entry): (usize, &Entry)| Field {
        name: format!("f{i}"),
        dtype: Dtype::Scalar(entry.scalar()),
        shape: Vec::new(),
        offset: 0,
    };
    Dtype::record(entries.iter().enumerate().map(field).collect())
}

/// The type whose bytes are those on the wire, if there is one.
pub(super) fn wire_dtype(entries: &[Entry]) -> Option<Result<Dtype>> {
    let plain = entries.iter().all(|entry| entry.is_plain());
    let big = |dtype: Dtype| if cfg!(target_endian = "big") { dtype } else { dtype.swapped() };
    plain.then(|| dtype(entries).map(big))
}

/// Bits of an element on the wire.
pub(super) fn bits(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| usize::from(entry.bits)).sum()
}

/// Unpacks `count` elements that start at bit `start` of `bytes`, which must have them.
pub(super) fn unpack(entries: &[Entry], bytes: &[u8], start: usize, count: usize, out: &mut Vec<u8>) {
    let mut position = start;
    for _ in 0..count {
        for entry in entries {
            entry.unpack(read_bits(bytes, position, entry.bits), out);
            position += usize::from(entry.bits);
        }
    }
}

/// Packs `count` elements of [`dtype`], which `elements` must have; the opposite of [`unpack`]. Bits that a value has beyond its width are lost.
pub(super) fn pack(entries: &[Entry], elements: &[u8], count: usize) -> Vec<u8> {
    let mut out = vec![0; (bits(entries) * count).div_ceil(8)];
    let (mut position, mut rest) = (0, elements);
    for _ in 0..count {
        for entry in entries {
            let (field, after) = rest.split_at_checked(entry.scalar().size).unwrap_or_default();
            rest = after;
            write_bits(&mut out, position, entry.bits, entry.value(field));
            position += usize::from(entry.bits);
        }
    }
    out
}

/// Writes the low `count` bits, 1 to 64, of `value` to where there are zeros, from bit `position` on; what does not fit is left out.
fn write_bits(bytes: &mut [u8], position: usize, count: u8, value: u64) {
    let value = if count < 64 { value & ((1 << count) - 1) } else { value };
    // 64 bits that start within a byte touch nine.
    let window = (u128::from(value) << (128 - u32::from(count)) >> (position % 8)).to_be_bytes();
    let first = position / 8;
    for (byte, bits) in bytes.iter_mut().skip(first).zip(window).take(9) {
        *byte |= bits;
    }
}

/// What [`Entry::unpack`] appends, for tests elsewhere.
#[cfg(test)]
pub(super) fn tests_unpack(entry: Entry, bits: u64, out: &mut Vec<u8>) {
    entry.unpack(bits, out);
}

/// `count` bits, 1 to 64, from bit `position` on; what is not there is read as 0.
fn read_bits(bytes: &[u8], position: usize, count: u8) -> u64 {
    // 64 bits that start within a byte touch nine.
    let mut window = [0; 16];
    let (first, shift) = (position / 8, position % 8);
    let there = bytes.get(first..).unwrap_or_default();
    let n = there.len().min(9);
    if let (Some(to), Some(from)) = (window.get_mut(..n), there.get(..n)) {
        to.copy_from_slice(from);
    }
    let value = u128::from_be_bytes(window) << shift;
    (value >> (128 - u32::from(count))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(u8, u64)]) -> Vec<Entry> {
        list.iter().map(|&(letter, bits)| Entry::new(letter, bits).unwrap()).collect()
    }

    #[test]
    fn bits_of_any_width_at_any_place() {
        let bytes: Vec<u8> = (0..12u8).map(|i| i.wrapping_mul(37)).collect();
        let bit = |i: usize| u64::from(bytes[i / 8] >> (7 - i % 8) & 1);
        for position in 0..24 {
            for count in 1..=64u8 {
                let expected =
                    (position..position + usize::from(count)).fold(0, |value, i| value << 1 | bit(i));
                assert_eq!(read_bits(&bytes, position, count), expected, "{count} bits at {position}");
            }
        }
        assert_eq!(read_bits(&[0xff], 4, 8), 0xf0);
        assert_eq!(read_bits(&[0xff], 80, 64), 0);
    }

    #[test]
    fn bits_are_read_where_they_were_written() {
        for position in 0..24 {
            for count in 1..=64u8 {
                let mut bytes = [0; 12];
                let value = 0x9e37_79b9_7f4a_7c15u64 | 1 << (count - 1) | 1;
                write_bits(&mut bytes, position, count, value);
                let expected = if count < 64 { value & ((1 << count) - 1) } else { value };
                assert_eq!(read_bits(&bytes, position, count), expected, "{count} bits at {position}");
                assert_eq!(read_bits(&bytes, position + usize::from(count), 8), 0);
            }
        }
        write_bits(&mut [0], 4, 64, u64::MAX);
    }

    #[test]
    fn records_unpack_to_the_smallest_integers() {
        // As spead2 4.5.1 decodes them.
        let mixed = entries(&[(b'u', 4), (b'c', 8), (b'b', 8), (b'f', 32), (b'i', 3)]);
        let expected = "[('f0', '|u1'), ('f1', '|S1'), ('f2', '|b1'), ('f3', '<f4'), ('f4', '|i1')]";
        assert_eq!(dtype(&mixed).unwrap().to_string().replace('>', "<"), expected);
        assert_eq!(bits(&mixed), 55);
        let mut out = Vec::new();
        let bytes: Vec<u8> = (0..20).collect();
        unpack(&mixed, &bytes, 0, 2, &mut out);
        assert_eq!((out[0], out[1], out[2], out[7] as i8), (0, 0, 1, 3));
        assert_eq!(f32::from_ne_bytes([out[3], out[4], out[5], out[6]]), 1.492_905_9e-19);
        assert_eq!((out[8], out[9], out[10], out[15] as i8), (0, b'8', 1, 3));
        assert_eq!(f32::from_ne_bytes([out[11], out[12], out[13], out[14]]), 2.133_455e5);
    }

    #[test]
    fn signs_are_extended() {
        let mut out = Vec::new();
        unpack(&entries(&[(b'i', 12)]), &[0x80, 0x07, 0xff], 0, 2, &mut out);
        assert_eq!(out, [(-2048i16).to_ne_bytes(), 2047i16.to_ne_bytes()].concat());
        let dtypes = [(1, 1), (8, 1), (9, 2), (17, 4), (32, 4), (33, 8), (64, 8)];
        for (bits, size) in dtypes {
            assert_eq!(dtype(&entries(&[(b'i', bits)])).unwrap().size(), size);
        }
    }

    #[test]
    fn what_is_refused() {
        for (letter, bits) in
            [(b'u', 0), (b'u', 65), (b'f', 16), (b'c', 16), (b'0', 8), (0xff, 8), (b'i', u64::MAX)]
        {
            let error = Entry::new(letter, bits).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
        }
    }

    #[test]
    fn plain_formats_need_no_unpacking() {
        assert_eq!(wire_dtype(&entries(&[(b'u', 16)])).unwrap().unwrap().to_string(), ">u2");
        let record = wire_dtype(&entries(&[(b'u', 8), (b'f', 64)])).unwrap().unwrap();
        assert_eq!(record.to_string(), "[('f0', '|u1'), ('f1', '>f8')]");
        assert!(wire_dtype(&entries(&[(b'u', 12)])).is_none());
        assert!(wire_dtype(&entries(&[(b'b', 8)])).is_none());
    }
}
