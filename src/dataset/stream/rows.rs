//! Row by row: the blocks of a stream, in pieces.
//!
//! One thread at a time.

use super::queue::{Block, BlockQueue};
use crate::error::{Error, Result};
use crate::ring::{GetError, Wait};

/// Rows of a stream, one after the other.
pub struct RowIter {
    queue: BlockQueue,
    block: Option<Block>,
    next: u64,
}

/// Why there is no row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowError {
    /// None is there, or comes, as [`BlockQueue::get`] says.
    None(GetError),
    /// The rows of one block could not be read; the next call goes on behind them.
    Failed(Error),
}

impl RowIter {
    /// The rows of all blocks of `queue`; the next of a stream in order are those of the dataset.
    pub fn new(queue: BlockQueue) -> Self {
        Self { queue, block: None, next: 0 }
    }

    /// The stream below.
    pub fn queue(&self) -> &BlockQueue {
        &self.queue
    }

    /// The next row, and its number in the dataset. Its bytes are valid until the next call.
    pub fn next(&mut self, wait: Wait) -> Result<(u64, &[u8]), RowError> {
        if self.block.as_ref().is_none_or(|block| self.next >= block.rows()) {
            // Before the next one is waited for: it may need this one's memory.
            self.block = None;
            let block = self.queue.get(wait).map_err(RowError::None)?;
            block.data().map_err(RowError::Failed)?;
            self.block = Some(block);
            self.next = 0;
        }
        let Some(block) = &self.block else { return Err(RowError::None(GetError::Empty)) };
        let data = block.data().map_err(RowError::Failed)?;
        let size = data.len() / block.rows() as usize;
        let row = &data[self.next as usize * size..][..size];
        let number = block.row_number(self.next);
        self.next += 1;
        Ok((number, row))
    }
}
