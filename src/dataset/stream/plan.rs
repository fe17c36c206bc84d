//! Which rows each block of a stream has.
//!
//! A plain value. Invariant: blocks have from 1 to as many rows as the dataset; without `cyclic` each row is in one block at the most.

/// Which rows a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Blocks before it.
    pub number: u64,
    /// Its first row.
    pub first_row: u64,
    /// Rows from there on.
    pub rows: u64,
    /// Rows from the dataset's beginning behind these.
    pub wrapped: u64,
}

/// The order of blocks.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    rows: u64,
    block: u64,
    cyclic: bool,
    remainder: bool,
    next_row: u64,
    number: u64,
}

impl Plan {
    /// Blocks of `block` rows, or as many as there are, of `rows`; both at least 1.
    pub(super) fn new(rows: u64, block: u64, cyclic: bool, remainder: bool) -> Self {
        Self { rows, block: block.min(rows), cyclic, remainder, next_row: 0, number: 0 }
    }

    /// Rows of a block that is not the remainder.
    pub(super) fn block(&self) -> u64 {
        self.block
    }
}

impl Iterator for Plan {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let (first_row, left) = (self.next_row, self.rows - self.next_row);
        let rows = self.block.min(left);
        let wrapped = if self.cyclic { self.block - rows } else { 0 };
        if !self.cyclic && (rows == 0 || rows < self.block && !self.remainder) {
            return None;
        }
        let turn = Turn { number: self.number, first_row, rows, wrapped };
        self.number += 1;
        self.next_row = if wrapped > 0 { wrapped } else { first_row + rows };
        if self.cyclic && self.next_row == self.rows {
            self.next_row = 0;
        }
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(plan: Plan, most: usize) -> Vec<(u64, u64, u64)> {
        let turns: Vec<Turn> = plan.take(most).collect();
        assert!(turns.iter().enumerate().all(|(i, turn)| turn.number == i as u64));
        turns.iter().map(|turn| (turn.first_row, turn.rows, turn.wrapped)).collect()
    }

    #[test]
    fn rows_that_fill_no_block_are_left_out_or_a_shorter_block() {
        assert_eq!(blocks(Plan::new(10, 4, false, false), 9), [(0, 4, 0), (4, 4, 0)]);
        assert_eq!(blocks(Plan::new(10, 4, false, true), 9), [(0, 4, 0), (4, 4, 0), (8, 2, 0)]);
        assert_eq!(blocks(Plan::new(8, 4, false, true), 9), [(0, 4, 0), (4, 4, 0)]);
        // A block is never larger than the dataset.
        assert_eq!(blocks(Plan::new(3, 4, false, false), 9), [(0, 3, 0)]);
    }

    #[test]
    fn a_cyclic_stream_joins_end_and_beginning_and_never_ends() {
        let joined = [(0, 4, 0), (4, 4, 0), (8, 2, 2), (2, 4, 0), (6, 4, 0), (0, 4, 0)];
        assert_eq!(blocks(Plan::new(10, 4, true, false), 6), joined);
        assert_eq!(blocks(Plan::new(10, 4, true, true), 6), joined);
        assert_eq!(blocks(Plan::new(8, 4, true, false), 4), [(0, 4, 0), (4, 4, 0), (0, 4, 0), (4, 4, 0)]);
        assert_eq!(blocks(Plan::new(1, 4, true, false), 3), [(0, 1, 0); 3]);
        // As many rows as it has blocks of: each row comes equally often.
        let mut seen = [0; 7];
        for turn in Plan::new(7, 5, true, false).take(7) {
            (turn.first_row..turn.first_row + turn.rows)
                .chain(0..turn.wrapped)
                .for_each(|row| seen[row as usize] += 1);
        }
        assert_eq!(seen, [5; 7]);
    }
}
