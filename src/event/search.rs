//! The next good record after damage, wherever its first byte is.
//!
//! Every byte may be the first of a record, and each such candidate says of itself how long it is, up to 1 GiB; to compute each
//! one's CRC would take time in the square of the damage. So CRCs of the file's beginnings are kept, one for every
//! [`BLOCK`] bytes: the CRC of any range follows from those at its two ends. A candidate costs at most one read of a block,
//! however long it says it is. Invariant: `sums[i]` is the CRC-32C of the file from some fixed byte up to byte
//! `origin + i * BLOCK`; no block is read twice to be summed. Used by one thread at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::OnceLock;

use crc32c::crc32c_append;

use super::crc::POLYNOMIAL;
use super::frame::{Parsed, RECORD_HEADER, Record, RecordHeader};
use super::window::{Window, read_at};
use crate::error::Result;

/// Bytes between two sums that are kept: 4 MiB of them for 1 GiB.
const BLOCK: u64 = 1024;

/// Bytes that are read at a time to be summed.
const READ: usize = 256 * BLOCK as usize;

/// Candidates that are looked at in one go.
const STEP: usize = 64 * 1024;

/// A candidate that is not longer is checked where it is.
const SHORT: usize = 512;

/// In so many bytes of noise a CRC of 32 bits is right by chance at most once in 2^12 times. A record that is found farther
/// away needs a good record, or the end of the file, behind it.
const LIKELY_NOISE: u64 = 1 << 20;

/// A block that was never read.
const NO_BLOCK: (u64, Vec<u8>) = (u64::MAX, Vec::new());

/// See the module.
pub(super) struct Search {
    origin: u64,
    sums: VecDeque<u32>,
    /// Two blocks that were read to compute sums within them, the last one first; and where they begin.
    blocks: [(u64, Vec<u8>); 2],
    /// For summing.
    space: Vec<u8>,
}

impl Search {
    pub(super) fn new() -> Self {
        Self { origin: 0, sums: VecDeque::from([0]), blocks: [NO_BLOCK; 2], space: Vec::new() }
    }

    /// The offset of the first good record behind the bad one at `bad`, in a file of `size` bytes. `claimed` is where the bad
    /// one ends if its own size is right.
    pub(super) fn next(
        &mut self,
        file: &File,
        window: &mut Window,
        bad: u64,
        claimed: Option<u64>,
        size: u64,
    ) -> Result<Option<u64>> {
        self.forget_before(bad);
        let next = match claimed.filter(|&next| next <= size) {
            Some(next) if next == size || self.is_record(file, next, size)? => Some(next),
            _ => None,
        };
        // What begins before a good record ends before it. Few candidates do.
        let limit = next.unwrap_or(size);
        let mut at = bad + 1;
        // The sum up to a candidate's fifth byte, where its CRC begins, and where that is; once there is need of it.
        let mut sum: Option<(u32, u64)> = None;
        while limit.saturating_sub(at) >= RECORD_HEADER as u64 {
            let base = at;
            let bytes = window.at(file, base, STEP + RECORD_HEADER - 1)?;
            let candidates = bytes.windows(RECORD_HEADER);
            if candidates.len() == 0 {
                break;
            }
            let up_to = |(sum, from): (u32, u64), to: u64| {
                let range = (from - base) as usize..(to - base) as usize;
                (crc32c_append(sum, bytes.get(range).unwrap_or_default()), to)
            };
            for candidate in candidates {
                let Some(head) = candidate.first_chunk() else { break };
                let header = if head == &[0; RECORD_HEADER] { None } else { RecordHeader::parse(head) };
                if let Some(header) = header
                    && let end = at + header.record_size() as u64
                    && end <= limit
                {
                    let here = (at - base) as usize;
                    let is_good = match bytes.get(here..here + header.record_size()) {
                        Some(record) if record.len() <= SHORT => {
                            matches!(Record::parse(record), Parsed::Complete(_))
                        }
                        _ => {
                            let before = match sum {
                                Some(sum) => up_to(sum, at + 4),
                                None => (self.sum(file, at + 4)?.unwrap_or_default(), at + 4),
                            };
                            sum = Some(before);
                            self.ends_well(file, before.0, &header, end)?
                        }
                    };
                    if is_good
                        && (at - bad < LIKELY_NOISE || end == size || self.is_record(file, end, size)?)
                    {
                        return Ok(Some(at));
                    }
                }
                at += 1;
            }
            sum = sum.map(|sum| up_to(sum, at + 4));
        }
        Ok(next.filter(|&next| next < size))
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
        let expected = Powers::get().shift(sum, header.record_size() - 4) ^ header.crc;
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
        if self.blocks[0].0 != block_at {
            self.blocks.swap(0, 1);
        }
        let (at, block) = &mut self.blocks[0];
        if *at != block_at {
            *at = u64::MAX;
            block.resize(BLOCK as usize, 0);
            let got = read_fully(file, block, block_at)?;
            block.truncate(got);
            *at = block_at;
        }
        Ok(block.get(..rest).map(|bytes| crc32c_append(sum, bytes)))
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
    /// They are made once, at the first damage.
    fn get() -> &'static Self {
        static POWERS: OnceLock<Powers> = OnceLock::new();
        POWERS.get_or_init(Self::new)
    }

    fn new() -> Self {
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
        Self(digits)
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
        let powers = Powers::get();
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

    /// What is found behind a bad record at `bad`.
    fn found(content: &[u8], bad: u64, claimed: Option<u64>) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut window = Window::default();
        Search::new().next(&file, &mut window, bad, claimed, content.len() as u64).unwrap()
    }

    #[test]
    fn the_first_good_record_is_found_wherever_it_is() {
        for (before, len) in [(1, 0), (1, 10), (4090, 20), (70_000, 100_000), (500_001, 3_000_000)] {
            let noise: Vec<u8> = (0..before).map(|i| (i * i / 7) as u8).collect();
            let payload: Vec<u8> = (0..len).map(|i| (i / 3) as u8).collect();
            let good = record(1, &payload);
            let content = [noise.as_slice(), &good, b"more noise that ends the file"].concat();
            assert_eq!(found(&content, 0, None), Some(before), "{before} {len}");
            assert_eq!(found(&content, before - 1, None), Some(before));
            assert_eq!(found(&content, before, None), None);
            // Whatever the bad one claims, if there is a good one before.
            for claimed in [before - 1, before, before + 1, before + 100, content.len() as u64, u64::MAX] {
                assert_eq!(found(&content, 0, Some(claimed)), Some(before), "{before} {claimed}");
            }
            let twice = [noise.as_slice(), &good, &good].concat();
            assert_eq!(found(&twice, 0, Some(before + good.len() as u64)), Some(before));
            assert_eq!(
                found(&twice, before, Some(before + good.len() as u64)),
                Some(before + good.len() as u64)
            );
            assert_eq!(found(&twice, before + good.len() as u64, Some(twice.len() as u64)), None);
        }
        assert_eq!(found(b"", 0, None), None);
        assert_eq!(found(b"short", 0, Some(5)), None);
        assert_eq!(found(&[0; 100], 1000, None), None);
    }

    #[test]
    fn far_away_a_record_needs_another_one_beside_it() {
        let noise = vec![0x55; LIKELY_NOISE as usize + 5];
        let far = noise.len() as u64;
        let (one, two) = (record(1, b"one"), record(2, b"two"));
        assert_eq!(found(&[noise.as_slice(), &one].concat(), 0, None), Some(far));
        assert_eq!(found(&[noise.as_slice(), &one, &two, b"x"].concat(), 0, None), Some(far));
        let alone = [noise.as_slice(), &one, b"x", &two, b"y"].concat();
        assert_eq!(found(&alone, 0, None), None);
        assert_eq!(found(&alone, 0, Some(far)), Some(far));
        assert_eq!(found(&[&noise[10..], &one, b"x", &two].concat(), 0, None), Some(far - 10));
    }

    #[test]
    fn what_begins_before_a_record_that_is_known_ends_before_it() {
        let inner = record(2, &[9; 1000]);
        let outer = record(1, &[b"some payload", inner.as_slice(), b"more"].concat());
        let content = [b"a bad record", outer.as_slice(), b"x"].concat();
        let known = 12 + RECORD_HEADER as u64 + 12;
        assert_eq!(found(&content, 0, None), Some(12));
        assert_eq!(found(&content, 0, Some(known)), Some(known));
        assert_eq!(found(&content, 0, Some(known + 1)), Some(12));
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
        for start in starts.into_iter().skip(1) {
            let found = search.next(&file, &mut window, from, None, content.len() as u64).unwrap();
            assert_eq!(found, Some(start));
            assert!(search.is_record(&file, start, content.len() as u64).unwrap());
            assert!(!search.is_record(&file, start + 1, content.len() as u64).unwrap());
            assert!(!search.is_record(&file, start, start + 15).unwrap());
            from = start;
        }
    }
}
