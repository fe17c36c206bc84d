//! The next good record after damage, wherever its first byte is.
//!
//! Every byte may be the first of a record, and each such candidate says of itself how long it is, up to 1 GiB; to compute each
//! one's CRC would take time in the square of the damage. So CRCs of the file's beginnings are kept, one for every
//! [`BLOCK`] bytes: the CRC of any range follows from those at its two ends. A candidate costs at most one read of a block,
//! however long it says it is. Invariant: `sums[i]` is the CRC-32C of the file from some fixed byte up to byte
//! `origin + i * BLOCK`; no block is read twice to be summed. Used by one thread at a time.

use std::collections::VecDeque;
use std::fs::File;

use crc32c::crc32c_append;

use super::frame::{RECORD_HEADER, RecordHeader};
use super::window::{Window, read_at};
use crate::error::Result;

/// Bytes between two sums that are kept: 1 MiB of them for 1 GiB.
const BLOCK: u64 = 4096;

/// Blocks that are read at a time to be summed.
const READ: usize = 64 * BLOCK as usize;

/// Candidates that are looked at in one go.
const STEP: usize = 64 * 1024;

/// In so many bytes of noise a CRC of 32 bits is right by chance once in 2^14 times, at the most. A record that is found
/// farther away needs a good record, or the end of the file, behind it.
const LIKELY_NOISE: u64 = 1 << 20;

/// See the module.
pub(super) struct Search {
    origin: u64,
    sums: VecDeque<u32>,
    powers: Option<Box<Powers>>,
    /// The block that was read last to compute a sum within it, and where it begins.
    block: Vec<u8>,
    block_at: u64,
    /// For summing.
    space: Vec<u8>,
}

impl Search {
    pub(super) fn new() -> Self {
        Self {
            origin: 0,
            sums: VecDeque::from([0]),
            powers: None,
            block: Vec::new(),
            block_at: u64::MAX,
            space: Vec::new(),
        }
    }

    /// The offset of the first good record that begins at `from` or later, in a file of `size` bytes.
    pub(super) fn next(
        &mut self,
        file: &File,
        window: &mut Window,
        from: u64,
        size: u64,
    ) -> Result<Option<u64>> {
        self.forget_before(from);
        let mut at = from;
        // The sum up to where a candidate's own CRC begins: at its fifth byte.
        let Some(mut sum) = self.sum(file, at.saturating_add(4))? else { return Ok(None) };
        while size.saturating_sub(at) >= RECORD_HEADER as u64 {
            let bytes = window.at(file, at, STEP + RECORD_HEADER - 1)?;
            let candidates = bytes.windows(RECORD_HEADER);
            if candidates.len() == 0 {
                break;
            }
            for candidate in candidates {
                let Some(head) = candidate.first_chunk() else { break };
                if let Some(header) = RecordHeader::parse(head)
                    && let end = at + header.record_size() as u64
                    && end <= size
                    && self.ends_well(file, sum, &header, end)?
                    && (at - from < LIKELY_NOISE || end == size || self.is_record(file, end, size)?)
                {
                    return Ok(Some(at));
                }
                sum = crc32c_append(sum, &head[4..5]);
                at += 1;
            }
        }
        Ok(None)
    }

    /// Whether there is a good record at `offset`, before which not all is forgotten.
    pub(super) fn is_record(&mut self, file: &File, offset: u64, size: u64) -> Result<bool> {
        let mut head = [0; RECORD_HEADER];
        if read_fully(file, &mut head, offset)? < head.len() {
            return Ok(false);
        }
        let Some(header) = RecordHeader::parse(&head) else { return Ok(false) };
        let end = offset + header.record_size() as u64;
        if end > size {
            return Ok(false);
        }
        match self.sum(file, offset + 4)? {
            Some(sum) => self.ends_well(file, sum, &header, end),
            None => Ok(false),
        }
    }

    /// Whether a record that ends at `end`, and has the sum `sum` in front of what its CRC is about, has the right CRC.
    fn ends_well(&mut self, file: &File, sum: u32, header: &RecordHeader, end: u64) -> Result<bool> {
        let powers = self.powers.get_or_insert_with(Powers::new);
        let expected = powers.shift(sum, header.record_size() - 4) ^ header.crc;
        Ok(self.sum(file, end)? == Some(expected))
    }

    /// Nothing before `offset` is asked for any more.
    pub(super) fn forget_before(&mut self, offset: u64) {
        let block = offset - offset % BLOCK;
        while self.origin < block && self.sums.pop_front().is_some() {
            self.origin += BLOCK;
        }
        if self.sums.is_empty() {
            self.origin = block;
            self.sums.push_back(0);
        }
    }

    /// The sum up to `offset`; `None` beyond the end of the file.
    fn sum(&mut self, file: &File, offset: u64) -> Result<Option<u32>> {
        let Some(distance) = offset.checked_sub(self.origin) else { return Ok(None) };
        let index = (distance / BLOCK) as usize;
        while self.sums.len() <= index {
            if !self.extend(file)? {
                return Ok(None);
            }
        }
        let Some(&sum) = self.sums.get(index) else { return Ok(None) };
        let rest = (distance % BLOCK) as usize;
        if rest == 0 {
            return Ok(Some(sum));
        }
        let block_at = offset - rest as u64;
        if self.block_at != block_at {
            self.block_at = u64::MAX;
            self.block.resize(BLOCK as usize, 0);
            let got = read_fully(file, &mut self.block, block_at)?;
            self.block.truncate(got);
            self.block_at = block_at;
        }
        Ok(self.block.get(..rest).map(|bytes| crc32c_append(sum, bytes)))
    }

    /// Sums some more blocks; `false` if there is no whole one.
    fn extend(&mut self, file: &File) -> Result<bool> {
        let Some(&last) = self.sums.back() else { return Ok(false) };
        let at = self.origin + (self.sums.len() as u64 - 1) * BLOCK;
        self.space.resize(READ, 0);
        let got = read_fully(file, &mut self.space, at)?;
        let mut sum = last;
        let (blocks, _) = self.space.get(..got).unwrap_or_default().as_chunks::<{ BLOCK as usize }>();
        for block in blocks {
            sum = crc32c_append(sum, block);
            self.sums.push_back(sum);
        }
        Ok(!blocks.is_empty())
    }
}

/// Reads until `buffer` is full or the file ends.
fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match read_at(file, rest, offset + got as u64)? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// What the CRC of a text becomes when bytes follow it: CRC(AB) = CRC(A) · x^(8·|B|) + CRC(B) in the polynomials modulo
/// CRC-32C's. The powers x^(8n) for every n of up to 2^30 + 2^20 are products of three, by 10 bits of n each.
struct Powers([Vec<u32>; 3]);

/// Bits of a digit of n.
const DIGIT: usize = 10;

impl Powers {
    fn new() -> Box<Self> {
        /// x^8: the highest bit stands for x^0.
        const BYTE: u32 = 1 << (31 - 8);
        let mut base = BYTE;
        let digits = [0, 1, 2].map(|_| {
            let mut power = 1 << 31;
            let mut powers = Vec::with_capacity((1 << DIGIT) + 1);
            for _ in 0..=1 << DIGIT {
                powers.push(power);
                power = multiply(power, base);
            }
            base = powers.last().copied().unwrap_or_default();
            powers
        });
        Box::new(Self(digits))
    }

    /// `crc` · x^(8n)
    fn shift(&self, crc: u32, n: usize) -> u32 {
        let [low, middle, high] = &self.0;
        let mask = (1 << DIGIT) - 1;
        let power = |powers: &[u32], digit: usize| powers.get(digit).copied().unwrap_or_default();
        let crc = multiply(crc, power(low, n & mask));
        let crc = if n >> DIGIT == 0 { crc } else { multiply(crc, power(middle, n >> DIGIT & mask)) };
        if n >> (2 * DIGIT) == 0 { crc } else { multiply(crc, power(high, n >> (2 * DIGIT))) }
    }
}

/// The product of two polynomials modulo CRC-32C's.
fn multiply(a: u32, mut b: u32) -> u32 {
    /// The polynomial without x^32, the highest bit for x^0.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut product = 0;
    for bit in (0..32).rev() {
        product ^= b & (a >> bit & 1).wrapping_neg();
        b = b >> 1 ^ POLYNOMIAL & (b & 1).wrapping_neg();
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::frame::packet_header;
    use crc32c::crc32c;
    use std::io::Write;

    #[test]
    fn a_crc_is_carried_over_any_number_of_bytes() {
        let powers = Powers::new();
        let (a, b) = (b"some bytes", [7; 5000]);
        for n in [0, 1, 12, 1023, 1024, 1025, 5000] {
            let whole = [a.as_slice(), &b[..n]].concat();
            assert_eq!(powers.shift(crc32c(a), n) ^ crc32c(&b[..n]), crc32c(&whole), "{n}");
        }
        // And as far as a record can reach, by a way of its own: in steps.
        let longest = RECORD_HEADER - 4 + crate::event::frame::MAX_PACKET;
        let mut left = longest;
        let mut crc = 0x1234_5678;
        while left > 0 {
            let step = left.min(999_983);
            crc = powers.shift(crc, step);
            left -= step;
        }
        assert_eq!(powers.shift(0x1234_5678, longest), crc);
    }

    fn record(time: u64, payload: &[u8]) -> Vec<u8> {
        [packet_header(time, payload).as_slice(), payload].concat()
    }

    fn found(content: &[u8], from: u64) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut window = Window::default();
        Search::new().next(&file, &mut window, from, content.len() as u64).unwrap()
    }

    #[test]
    fn the_first_good_record_is_found_wherever_it_is() {
        for (before, len) in [(0, 0), (1, 10), (4090, 20), (70_000, 100_000), (500_001, 3_000_000)] {
            let noise: Vec<u8> = (0..before).map(|i| (i * i / 7) as u8).collect();
            let payload: Vec<u8> = (0..len).map(|i| (i / 3) as u8).collect();
            let content = [noise, record(1, &payload), b"more noise that ends the file".to_vec()].concat();
            assert_eq!(found(&content, 0), Some(before), "{before} {len}");
            assert_eq!(found(&content, before), Some(before));
            assert_eq!(found(&content, before + 1), None);
        }
        assert_eq!(found(b"", 0), None);
        assert_eq!(found(b"short", 0), None);
        assert_eq!(found(&[0; 100], 1000), None);
    }

    #[test]
    fn far_away_a_record_needs_another_one_behind_it() {
        let noise = vec![0x55; LIKELY_NOISE as usize + 5];
        let far = Some(noise.len() as u64);
        let (one, two) = (record(1, b"one"), record(2, b"two"));
        assert_eq!(found(&[noise.as_slice(), &one].concat(), 0), far);
        assert_eq!(found(&[noise.as_slice(), &one, &two, b"x"].concat(), 0), far);
        assert_eq!(found(&[noise.as_slice(), &one, b"x", &two, b"y"].concat(), 0), None);
        assert_eq!(found(&[&noise[10..], &one, b"x", &two].concat(), 0), far.map(|far| far - 10));
    }

    #[test]
    fn one_search_after_the_other() {
        let mut content = Vec::new();
        let mut starts = Vec::new();
        for i in 0..200u64 {
            content.extend(std::iter::repeat_n(i as u8, (i * 37 % 300) as usize));
            starts.push(content.len() as u64);
            content.extend(record(i, &vec![3; (i * i * 11 % 20_000) as usize]));
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let (mut search, mut window) = (Search::new(), Window::default());
        let mut from = 0;
        for start in starts {
            let found = search.next(&file, &mut window, from, content.len() as u64).unwrap();
            assert_eq!(found, Some(start));
            assert!(search.is_record(&file, start, content.len() as u64).unwrap());
            assert!(!search.is_record(&file, start + 1, content.len() as u64).unwrap());
            assert!(!search.is_record(&file, start, start + 15).unwrap());
            from = start + 1;
        }
    }
}
