//! Streams of sources that do what the test tells them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::plan::Plan;
use super::queue::{BlockQueue, RowForm, Source};
use super::{RowError, RowIter};
use crate::dataset::dtype::{DataType, Form};
use crate::dataset::reader::ReadStats;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{GetError, Wait};
use crate::sys::poll::{self, is_readable};

/// Rows of two bytes, each of which is the row's number. Rows that a bad one is among fail, those with row 66 panic.
struct Numbers {
    bad: Vec<u64>,
    /// Tells what it reads, and reads when it is told to; without, at once.
    gate: Option<(Sender<u64>, Receiver<()>)>,
}

impl Source for Numbers {
    fn read(&mut self, rows: Range<u64>, to: &mut [u8]) -> Result<()> {
        if let Some((began, go)) = &self.gate {
            began.send(rows.start).unwrap();
            // An error: the test has let all go.
            let _ = go.recv();
        }
        assert!(!rows.contains(&66), "a source that panics");
        if self.bad.iter().any(|bad| rows.contains(bad)) {
            return Err(Error::new(ErrorKind::Format, format!("bad rows {rows:?}")));
        }
        for (row, to) in rows.zip(to.chunks_exact_mut(2)) {
            to.copy_from_slice(&[row as u8; 2]);
        }
        Ok(())
    }

    fn take_stats(&mut self) -> ReadStats {
        ReadStats { bytes_read: 10, ..ReadStats::default() }
    }
}

fn sources(threads: usize, bad: &[u64]) -> Vec<Box<dyn Source>> {
    (0..threads).map(|_| Box::new(Numbers { bad: bad.to_vec(), gate: None }) as Box<dyn Source>).collect()
}

/// Bytes, so many in a row.
impl From<usize> for RowForm {
    fn from(size: usize) -> Self {
        let dtype = DataType { size: 1, big_endian: false, form: Form::Uint };
        Self { size, shape: vec![size as u64], dtype, rows: 0 }
    }
}

/// A source that waits to be told, and the ends to do that by.
fn gated() -> (Box<dyn Source>, Receiver<u64>, Sender<()>) {
    let (began, begun) = channel();
    let (go, told) = channel();
    (Box::new(Numbers { bad: vec![], gate: Some((began, told)) }), begun, go)
}

fn plan(rows: u64, block: u64) -> Plan {
    Plan::new(rows, block, false, true)
}

#[test]
fn blocks_in_order_are_all_rows_in_order() {
    let queue = BlockQueue::start(plan(50, 7), 2, true, 3, sources(4, &[])).unwrap();
    let mut rows: Vec<u8> = Vec::new();
    let mut numbers = Vec::new();
    while let Ok(block) = queue.get(Wait::Forever) {
        assert_eq!(block.first_row(), rows.len() as u64 / 2);
        assert_eq!(block.data().unwrap().len() as u64, block.rows() * 2);
        rows.extend(block.data().unwrap());
        numbers.push(block.number());
    }
    let expected: Vec<u8> = (0..50).flat_map(|row| [row; 2]).collect();
    assert_eq!(rows, expected);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Stopped);
    let progress = queue.progress();
    assert_eq!((progress.blocks_done, progress.blocks_failed, progress.rows_done), (8, 0, 50));
    assert_eq!((progress.blocks_ready, progress.read.bytes_read), (0, 80));
}

#[test]
fn blocks_out_of_order_come_as_they_are_read_and_in_order_they_wait() {
    for ordered in [false, true] {
        let (first, first_begun, first_go) = gated();
        let (second, second_begun, second_go) = gated();
        let queue = BlockQueue::start(plan(20, 10), 2, ordered, 2, vec![first, second]).unwrap();
        let began = [first_begun.recv().unwrap(), second_begun.recv().unwrap()];
        assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Empty);
        assert_eq!(queue.get(Wait::For(Duration::from_millis(1))).unwrap_err(), GetError::TimedOut);
        let (early, late) = if began[0] == 0 { (first_go, second_go) } else { (second_go, first_go) };
        late.send(()).unwrap();
        if ordered {
            while queue.progress().blocks_ready < 1 {
                std::thread::yield_now();
            }
            assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Empty);
            early.send(()).unwrap();
            assert_eq!(queue.get(Wait::Forever).unwrap().first_row(), 0);
            assert_eq!(queue.get(Wait::Forever).unwrap().first_row(), 10);
        } else {
            assert_eq!(queue.get(Wait::Forever).unwrap().first_row(), 10);
            early.send(()).unwrap();
            assert_eq!(queue.get(Wait::Forever).unwrap().first_row(), 0);
        }
        assert_eq!(queue.get(Wait::Forever).unwrap_err(), GetError::Stopped);
    }
}

#[test]
fn a_cyclic_stream_joins_its_end_and_its_beginning() {
    let queue = BlockQueue::start(Plan::new(5, 3, true, false), 2, true, 2, sources(2, &[])).unwrap();
    let first = queue.get(Wait::Forever).unwrap();
    assert_eq!(first.data().unwrap(), [0, 0, 1, 1, 2, 2]);
    drop(first);
    let joined = queue.get(Wait::Forever).unwrap();
    assert_eq!(joined.data().unwrap(), [3, 3, 4, 4, 0, 0]);
    assert_eq!([0, 1, 2].map(|i| joined.row_number(i)), [3, 4, 0]);
    drop(joined);
    assert_eq!(queue.get(Wait::Forever).unwrap().data().unwrap(), [1, 1, 2, 2, 3, 3]);
}

#[test]
fn an_error_is_of_its_block_and_the_stream_goes_on() {
    let queue = BlockQueue::start(plan(80, 10), 2, true, 3, sources(2, &[25, 71])).unwrap();
    let mut failed = Vec::new();
    while let Ok(block) = queue.get(Wait::Forever) {
        match block.data() {
            Ok(data) => assert_eq!(data[0], block.first_row() as u8),
            Err(error) => failed.push((block.first_row(), error.kind())),
        }
    }
    assert_eq!(failed, [(20, ErrorKind::Format), (60, ErrorKind::Internal), (70, ErrorKind::Format)]);
    assert_eq!((queue.progress().blocks_failed, queue.progress().rows_done), (3, 50));
}

#[test]
fn blocks_that_are_held_stall_the_stream_until_any_thread_gives_them_back() {
    let queue = BlockQueue::start(plan(100, 10), 2, true, 2, sources(3, &[])).unwrap();
    let held = [queue.get(Wait::Forever).unwrap(), queue.get(Wait::Forever).unwrap()];
    assert_eq!(queue.get(Wait::For(Duration::from_millis(5))).unwrap_err(), GetError::TimedOut);
    assert_eq!(queue.progress().blocks_done, 2);
    std::thread::spawn(move || drop(held)).join().unwrap();
    assert_eq!(queue.get(Wait::Forever).unwrap().first_row(), 20);
    // Blocks outlive their stream.
    let last = queue.get(Wait::Forever).unwrap();
    drop(queue);
    assert_eq!(last.data().unwrap()[..2], [30, 30]);
}

#[test]
fn a_close_delivers_what_was_begun_and_wakes_all() {
    let (source, begun, go) = gated();
    let queue = Arc::new(BlockQueue::start(plan(100, 10), 2, true, 9, vec![source]).unwrap());
    begun.recv().unwrap();
    let getters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            std::thread::spawn(move || queue.get(Wait::Forever).map(|block| block.first_row()))
        })
        .collect();
    queue.close();
    go.send(()).unwrap();
    let mut results: Vec<_> = getters.into_iter().map(|getter| getter.join().unwrap()).collect();
    results.sort_by_key(|result| result.is_err());
    assert_eq!(results, [Ok(0), Err(GetError::Stopped), Err(GetError::Stopped)]);
    queue.close();
    assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Stopped);
}

#[test]
fn each_block_goes_to_one_of_many_getters() {
    for ordered in [false, true] {
        let queue = BlockQueue::start(plan(2000, 3), 2, ordered, 5, sources(4, &[66])).unwrap();
        let seen = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Ok(block) = queue.get(Wait::Forever) {
                        assert!(seen.lock().unwrap().insert(block.number()));
                        assert_eq!(block.data().is_err(), block.first_row() == 66);
                    }
                });
            }
        });
        assert_eq!(seen.lock().unwrap().len(), 667);
    }
}

#[test]
fn rows_come_one_by_one_and_go_on_behind_an_error() {
    let queue = BlockQueue::start(plan(10, 4), 2, true, 1, sources(1, &[5])).unwrap();
    let mut rows = RowIter::new(queue);
    let mut found = Vec::new();
    loop {
        match rows.next(Wait::Forever) {
            Ok((number, row)) => {
                assert_eq!(row, [number as u8; 2]);
                found.push(number);
            }
            Err(RowError::Failed(error)) => {
                assert_eq!(error.message(), "bad rows 4..8");
                found.push(99);
            }
            Err(RowError::None(reason)) => {
                assert_eq!(reason, GetError::Stopped);
                break;
            }
        }
    }
    assert_eq!(found, [0, 1, 2, 3, 99, 8, 9]);
}

#[test]
fn memory_that_there_is_not_is_an_error_with_its_numbers() {
    for (rows, size) in [(u64::MAX / 4, 2), (1 << 40, 1 << 20), (1 << 30, 1 << 40)] {
        let error = BlockQueue::start(plan(rows, rows), size, true, 3, vec![]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoMemory);
        assert!(error.message().contains(&format!("3 blocks of {rows} rows of {size} bytes")), "{error}");
    }
}

#[test]
fn the_descriptor_is_readable_while_a_get_would_not_wait() {
    let (source, begun, go) = gated();
    let queue = BlockQueue::start(plan(30, 10), 2, true, 9, vec![source]).unwrap();
    let readable = |queue: &BlockQueue| is_readable(queue.data_fd().unwrap());
    for _ in 0..3 {
        begun.recv().unwrap();
        assert!(!readable(&queue));
        assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Empty);
        go.send(()).unwrap();
        let fd = queue.data_fd().unwrap();
        assert_eq!(poll::readable(&[fd], None).unwrap(), [true]);
        assert_eq!(queue.get(Wait::No).unwrap().shape(), [10, 2]);
    }
    // The end is told, too, for good.
    assert_eq!(poll::readable(&[queue.data_fd().unwrap()], None).unwrap(), [true]);
    assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Stopped);
    assert!(readable(&queue));

    let (source, begun, go) = gated();
    let queue = BlockQueue::start(plan(30, 10), 2, false, 9, vec![source]).unwrap();
    begun.recv().unwrap();
    assert!(!readable(&queue));
    queue.close();
    // The block that was begun is still to come.
    assert!(!readable(&queue));
    go.send(()).unwrap();
    assert_eq!(poll::readable(&[queue.data_fd().unwrap()], None).unwrap(), [true]);
}

#[test]
fn a_getter_that_would_wait_reads_blocks_itself() {
    for ordered in [false, true] {
        let mut helper = sources(1, &[25]);
        let queue = BlockQueue::start(plan(55, 10), 2, ordered, 1, vec![]).unwrap();
        let queue = queue.with_helper(helper.pop().unwrap());
        // Who must not wait does not read either.
        assert_eq!(queue.get(Wait::No).unwrap_err(), GetError::Empty);
        assert_eq!(queue.get(Wait::For(Duration::from_millis(1))).unwrap_err(), GetError::TimedOut);
        for first in [0, 10, 20, 30, 40, 50] {
            let block = queue.get(Wait::Forever).unwrap();
            assert_eq!((block.first_row(), block.data().is_err()), (first, first == 20));
        }
        assert_eq!(queue.get(Wait::Forever).unwrap_err(), GetError::Stopped);
        assert_eq!(queue.progress().blocks_done, 6);
    }
}
