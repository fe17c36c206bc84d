//! Which bytes of a heap have been received, and how a further packet fits in.
//!
//! Invariant: the ranges are disjoint, do not touch, and are not empty.

use std::collections::BTreeMap;
use std::ops::Range;

/// A heap in more pieces than this is no heap of an honest sender; the limit keeps memory and time bounded.
const MAX_RANGES: usize = 1 << 16;

/// Received byte ranges of one heap.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// End by start.
    by_start: BTreeMap<u64, u64>,
    received: u64,
}

/// Why a packet does not fit in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// All of it was received before.
    Duplicate,
    /// Some of it was received before.
    Overlap,
    /// It would be one piece too many.
    TooMany,
}

impl Ranges {
    /// Bytes received.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The ranges, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.by_start.iter().map(|(&start, &end)| start..end)
    }

    /// Whether `start..end` can be added, and the start and end of the range that it then becomes part of.
    pub(super) fn check(&self, start: u64, end: u64) -> Result<(u64, u64), Misfit> {
        if start >= end {
            return Ok((start, end));
        }
        let before = self.by_start.range(..=start).next_back().map(|(&s, &e)| (s, e));
        let after = self.by_start.range(start..).next().map(|(&s, &e)| (s, e));
        match (before, after) {
            (Some((_, before_end)), _) if before_end >= end => return Err(Misfit::Duplicate),
            (Some((_, before_end)), _) if before_end > start => return Err(Misfit::Overlap),
            (_, Some((after_start, _))) if after_start < end => return Err(Misfit::Overlap),
            _ => {}
        }
        let joins_before = before.filter(|&(_, before_end)| before_end == start);
        let joins_after = after.filter(|&(after_start, _)| after_start == end);
        if joins_before.is_none() && joins_after.is_none() && self.by_start.len() >= MAX_RANGES {
            return Err(Misfit::TooMany);
        }
        Ok((joins_before.map_or(start, |(start, _)| start), joins_after.map_or(end, |(_, end)| end)))
    }

    /// Adds `start..end`, of which nothing may have been received before. An empty range adds nothing.
    pub(super) fn insert(&mut self, start: u64, end: u64) -> Result<(), Misfit> {
        let (joined_start, joined_end) = self.check(start, end)?;
        if start < end {
            if joined_end > end {
                self.by_start.remove(&end);
            }
            self.by_start.insert(joined_start, joined_end);
            self.received += end - start;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn joins_and_refuses() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.insert(10, 20), Ok(()));
        assert_eq!(ranges.insert(30, 40), Ok(()));
        assert_eq!(ranges.insert(20, 30), Ok(()));
        assert_eq!(ranges.by_start.len(), 1);
        assert_eq!(ranges.received(), 30);
        assert_eq!(ranges.insert(12, 13), Err(Misfit::Duplicate));
        assert_eq!(ranges.insert(10, 40), Err(Misfit::Duplicate));
        assert_eq!(ranges.insert(5, 11), Err(Misfit::Overlap));
        assert_eq!(ranges.insert(39, 41), Err(Misfit::Overlap));
        assert_eq!(ranges.insert(0, 100), Err(Misfit::Overlap));
        assert_eq!(ranges.insert(15, 15), Ok(()));
        assert_eq!(ranges.received(), 30);
    }

    #[test]
    fn pieces_are_bounded() {
        let mut ranges = Ranges::default();
        for i in 0..MAX_RANGES as u64 {
            assert_eq!(ranges.insert(2 * i, 2 * i + 1), Ok(()));
        }
        assert_eq!(ranges.insert(1 << 40, (1 << 40) + 1), Err(Misfit::TooMany));
        assert_eq!(ranges.insert(1, 2), Ok(()), "one that fills a hole is welcome");
    }

    proptest! {
        #[test]
        fn agrees_with_a_bitmap(pieces in proptest::collection::vec((0u64..64, 0u64..12), 0..60)) {
            let mut ranges = Ranges::default();
            let mut bitmap = [false; 80];
            for (start, len) in pieces {
                let piece = start as usize..(start + len) as usize;
                let old = bitmap[piece.clone()].iter().filter(|&&b| b).count() as u64;
                let expected = match old {
                    0 => Ok(()),
                    n if n == len => Err(Misfit::Duplicate),
                    _ => Err(Misfit::Overlap),
                };
                prop_assert_eq!(ranges.insert(start, start + len), expected);
                if old == 0 {
                    bitmap[piece].fill(true);
                }
                prop_assert_eq!(ranges.received(), bitmap.iter().filter(|&&b| b).count() as u64);
            }
        }
    }
}
