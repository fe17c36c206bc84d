//! Streams of some rows of a dataset: for who replays them.

use std::ops::Range;
use std::sync::Arc;

use super::plan::Plan;
use super::queue::{BlockQueue, RowForm, Source};
use crate::dataset::dataset::Dataset;
use crate::dataset::reader::{ReadStats, Reader};
use crate::error::Result;

/// A reader for which row 0 is another.
struct From {
    reader: Reader,
    first: u64,
}

impl Source for From {
    fn read(&mut self, rows: Range<u64>, to: &mut [u8]) -> Result<()> {
        self.reader.read(self.first + rows.start..self.first + rows.end, to)
    }

    fn take_stats(&mut self) -> ReadStats {
        self.reader.take_stats()
    }
}

/// Streams `rows`, which the dataset must have, in order, in blocks of `block_rows` and a shorter one at the end; with `cyclic` without one and for ever.
pub(in crate::dataset) fn rows_in_order(
    dataset: &Arc<Dataset>,
    rows: Range<u64>,
    block_rows: u64,
    threads: usize,
    cyclic: bool,
) -> Result<BlockQueue> {
    let plan = Plan::new(rows.end - rows.start, block_rows, cyclic, true);
    let reader = || {
        Ok::<_, crate::error::Error>(From { reader: Reader::new(dataset, None, false)?, first: rows.start })
    };
    let sources = (0..threads).map(|_| Ok(Box::new(reader()?) as Box<dyn Source>));
    let form = RowForm {
        size: dataset.row_size(),
        shape: dataset.shape()[1..].to_vec(),
        dtype: dataset.dtype().clone(),
        rows: rows.end - rows.start,
    };
    BlockQueue::start(plan, form, true, 2 * threads + 1, sources.collect::<Result<Vec<_>>>()?)
}
