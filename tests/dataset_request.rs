//! Requests of datasets: what is selected, stages, futures, pools, and the end of a reader; and files that grow meanwhile.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

mod peer;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aqueduct::dataset::{
    Axis, Dataset, File, Future, NoResult, ParallelReader, PathKind, ReaderConfig, RequestPool, Selection,
    Stage, StagePool,
};
use aqueduct::error::ErrorKind;
use aqueduct::ring::{GetError, Wait};
use aqueduct::sys::hdf5;
use serde_json::{Value as Json, json};

const LONG: Wait = Wait::For(Duration::from_secs(60));

fn made(python: &str, folder: &Path, rows: usize) -> Arc<File> {
    let path = folder.join("random.h5");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/h5_random.py");
    let status = Command::new(python).arg(script).arg(&path).arg(rows.to_string()).status().unwrap();
    assert!(status.success());
    File::open(&path).unwrap()
}

fn reader(threads: usize) -> ParallelReader {
    ParallelReader::new(ReaderConfig { threads, ..ReaderConfig::default() }).unwrap()
}

fn rows(from: u64, to: u64) -> Selection {
    let slice = Axis::Slice { start: Some(from as i64), stop: Some(to as i64), step: 1 };
    Selection { axes: vec![slice] }
}

fn numbers(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()
}

fn taken(future: &Future) -> Vec<i32> {
    numbers(future.take(LONG).unwrap().data())
}

fn failure(result: Result<Future, NoResult>) -> aqueduct::error::Error {
    match result {
        Err(NoResult::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Whether a descriptor is readable within that time.
fn readable(fd: BorrowedFd<'_>, milliseconds: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live struct.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}

#[test]
fn requests_are_read_in_parallel_and_give_numpys_values() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = made(&python, folder.path(), 3000);
    let open = |name: &str| Dataset::open(&file, name).unwrap();
    let reader = reader(3);

    // Many at a time, in order, of a pool that is smaller than there are requests.
    for name in ["chunked", "gzip"] {
        let dataset = open(name);
        let pool = StagePool::new(10 * 20, 5).unwrap();
        let requests = RequestPool::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..600 {
                    let at = i * 1009 % 2990;
                    let future =
                        reader.request_pooled(&dataset, &rows(at, at + 10), None, &pool, LONG).unwrap();
                    requests.add(future).unwrap();
                }
                requests.close();
            });
            for i in 0..600 {
                let at = i * 1009 % 2990 * 5;
                let future = requests.next(LONG).unwrap();
                assert_eq!(future.shape(), [10, 5]);
                let mut to = [0; 200];
                assert_eq!(future.get(LONG, &mut to), Ok(200));
                assert_eq!(numbers(&to), (at..at + 50).collect::<Vec<_>>(), "{name} {i}");
            }
            assert_eq!(requests.next(Wait::Forever).unwrap_err(), GetError::Stopped);
        });
        assert_eq!(pool.free(), 5);
    }
    let stats = reader.stats();
    assert_eq!((stats.requests, stats.done, stats.pending), (1200, 1200, 0));
    assert!(stats.read.chunks_decoded >= 47, "{stats:?}");

    // Selections that need parts of chunks only.
    let cube = open("cube");
    let stage = Stage::new(6 * 7 * 8 * 2).unwrap();
    let axes = vec![
        Axis::List(vec![5, 0, 0]),
        Axis::Mask(vec![false, true, false, false, false, true, true]),
        Axis::Slice { start: None, stop: None, step: -3 },
    ];
    let future = reader.request(&cube, &Selection { axes }, None, &stage).unwrap();
    assert_eq!((future.shape(), future.size()), (&[3u64, 3, 3][..], 54));
    let result = future.take(LONG).unwrap();
    let mut expected = Vec::new();
    for i in [5, 0, 0] {
        for j in [1, 5, 6] {
            expected.extend([7, 4, 1].map(|k| ((i * 7 + j) * 8 + k) as i16));
        }
    }
    let found: Vec<i16> = result.data().as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
    assert_eq!(found, expected);
    drop(result);
    let axes = vec![Axis::Index(-1), Axis::Index(2), Axis::Index(-8)];
    let future = reader.request(&cube, &Selection { axes }, None, &stage).unwrap();
    assert!(future.shape().is_empty());
    assert_eq!(future.take(LONG).unwrap().data(), (((5 * 7 + 2) * 8) as i16).to_le_bytes());

    // A column of records, and numbers of the other byte order.
    let table = open("table");
    let stage = Stage::new(50 * 18).unwrap();
    let future = reader.request(&table, &rows(12, 15), Some("wave"), &stage).unwrap();
    assert_eq!((future.shape(), future.size(), future.item_size()), (&[3u64][..], 18, 6));
    let expected: Vec<u8> =
        (12..15).flat_map(|i| (0..3).flat_map(move |k| (5 * i + k as i16).to_le_bytes())).collect();
    assert_eq!(future.take(LONG).unwrap().data(), expected);
    let native = ReaderConfig { native: true, threads: 1, ..ReaderConfig::default() };
    let native = ParallelReader::new(native).unwrap();
    let future = native.request(&open("big"), &rows(3, 5), None, &stage).unwrap();
    assert_eq!(future.take(LONG).unwrap().data(), [3i16.to_ne_bytes(), 4i16.to_ne_bytes()].concat());
    let future = reader.request(&open("big"), &rows(3, 5), None, &stage).unwrap();
    assert_eq!(future.take(LONG).unwrap().data(), [0, 3, 0, 4]);
}

#[test]
fn a_stage_serves_one_request_and_is_free_whatever_became_of_it() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = made(&python, folder.path(), 300);
    let dataset = Dataset::open(&file, "gzip").unwrap();
    let reader = reader(2);
    let stage = Stage::new(200).unwrap();

    let future = reader.request(&dataset, &rows(0, 10), None, &stage).unwrap();
    let error = failure(reader.request(&dataset, &rows(0, 1), None, &stage));
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("stage is in use by another request"), "{error}");
    // Too small memory takes nothing.
    let error = future.get(LONG, &mut [0; 199]).unwrap_err();
    assert!(error.to_string().contains("at least 200, the bytes of the result (got 199)"), "{error}");
    assert!(stage.is_busy());
    assert_eq!(taken(&future), (0..50).collect::<Vec<_>>());
    assert!(!stage.is_busy());
    let error = future.take(LONG).unwrap_err();
    assert!(error.to_string().contains("was taken before"), "{error}");

    // What cannot be asked for leaves the stage free.
    let error = failure(reader.request(&dataset, &rows(0, 11), None, &stage));
    let words = "stage must have at least 220 bytes for a result of [11, 5] items of 4 bytes (got 200)";
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, words));
    let one = |index| Selection { axes: vec![Axis::Index(index)] };
    let error = failure(reader.request(&dataset, &one(300), None, &stage));
    assert!(error.message().contains("an index of axis 0 must be within -300 to 299 (got 300)"), "{error}");
    assert_eq!(failure(reader.request(&dataset, &one(-301), None, &stage)).kind(), ErrorKind::Invalid);
    let error = failure(reader.request(&dataset, &one(0), Some("x"), &stage));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!stage.is_busy());

    // A view keeps it, also when future and reader are gone.
    let future = reader.request(&dataset, &one(-1), None, &stage).unwrap();
    let view = future.take(LONG).unwrap();
    drop(future);
    assert!(stage.is_busy());
    assert_eq!((numbers(view.data()), view.shape()), (vec![1495, 1496, 1497, 1498, 1499], &[5u64][..]));
    drop(view);
    assert!(!stage.is_busy());

    // A damaged chunk is an error of that request.
    let damaged = Dataset::open(&file, "damaged").unwrap();
    let future = reader.request(&damaged, &rows(15, 25), None, &stage).unwrap();
    for _ in 0..2 {
        let NoResult::Failed(error) = future.take(LONG).unwrap_err() else { panic!() };
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.message().contains("the chunk of elements [20]: deflate"), "{error}");
    }
    assert!(!stage.is_busy());
    let future = reader.request(&damaged, &rows(30, 40), None, &stage).unwrap();
    assert_eq!(taken(&future), (30..40).collect::<Vec<_>>());
    let stats = reader.stats();
    assert_eq!((stats.requests, stats.done, stats.failed, stats.dropped), (4, 3, 1, 0));
    assert_eq!(
        ParallelReader::new(ReaderConfig { threads: 0, ..ReaderConfig::default() }).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(StagePool::new(1, 0).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(Stage::new(usize::MAX / 4).unwrap_err().kind(), ErrorKind::NoMemory);
    // No bytes at all.
    let nothing = Stage::new(0).unwrap();
    let future = reader.request(&dataset, &rows(7, 7), None, &nothing).unwrap();
    assert_eq!((future.shape(), future.take(LONG).unwrap().data()), (&[0u64, 5][..], &[][..]));
}

/// Until the library is unlocked, nothing of `compact` can be read: what is pending stays so.
#[test]
fn the_end_of_a_reader_hangs_nobody() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = made(&python, folder.path(), 300);
    let dataset = Dataset::open(&file, "compact").unwrap();
    assert_eq!(dataset.path_kind(), PathKind::Library);
    let all = Selection::default();
    let pool = StagePool::new(48, 4).unwrap();
    let ask = |reader: &ParallelReader| reader.request_pooled(&dataset, &all, None, &pool, Wait::No);

    // Closed: what is pending is read, and nothing more is taken.
    let closing = reader(1);
    let library = hdf5::lock();
    let futures: Vec<Future> = (0..4).map(|_| ask(&closing).unwrap()).collect();
    assert_eq!(ask(&closing).unwrap_err(), NoResult::Empty);
    let short = Wait::For(Duration::from_millis(5));
    assert_eq!(closing.request_pooled(&dataset, &all, None, &pool, short).unwrap_err(), NoResult::TimedOut);
    assert_eq!(futures[0].take(Wait::No).unwrap_err(), NoResult::Empty);
    assert_eq!(futures[3].take(short).unwrap_err(), NoResult::TimedOut);
    thread::scope(|scope| {
        // Who waits for a stage is told.
        let waiting = scope.spawn(|| closing.request_pooled(&dataset, &all, None, &pool, Wait::Forever));
        assert!(!closing.close(short));
        assert_eq!(waiting.join().unwrap().unwrap_err(), NoResult::Stopped);
    });
    assert!(!closing.close(Wait::No));
    assert_eq!(closing.stats().pending, 4);
    drop(library);
    assert!(closing.close(Wait::Forever));
    assert_eq!(ask(&closing).unwrap_err(), NoResult::Stopped);
    for future in &futures {
        assert_eq!(taken(future), (0..12).collect::<Vec<_>>());
    }
    drop((closing, futures));

    // Stopped: what no thread has begun ends, and its stages are free.
    let stopping = reader(1);
    let library = hdf5::lock();
    let futures: Vec<Future> = (0..4).map(|_| ask(&stopping).unwrap()).collect();
    stopping.stop();
    // The first may have been begun.
    for future in &futures[1..] {
        assert_eq!(future.take(Wait::Forever).unwrap_err(), NoResult::Stopped);
        assert_eq!(future.take(Wait::Forever).unwrap_err(), NoResult::Stopped);
    }
    assert!(pool.free() >= 3);
    drop(library);
    let first = futures[0].take(LONG);
    assert!(matches!(first, Ok(_) | Err(NoResult::Stopped)), "{first:?}");
    drop((stopping, first, futures));
    assert_eq!(pool.free(), 4);

    // All futures dropped, then the reader; a request pool with futures in it as well.
    let dropping = reader(2);
    let library = hdf5::lock();
    let requests = RequestPool::new();
    let futures: Vec<Future> = (0..3).map(|_| ask(&dropping).unwrap()).collect();
    requests.add(ask(&dropping).unwrap()).unwrap();
    drop((futures, requests));
    drop(library);
    assert!(dropping.close(LONG));
    let stats = dropping.stats();
    assert_eq!(stats.requests, stats.done + stats.dropped, "{stats:?}");
    assert_eq!(stats.requests, 4);
    drop(dropping);
    assert_eq!(pool.free(), 4);

    // Dropped with requests pending.
    let dropped = reader(1);
    let future = ask(&dropped).unwrap();
    drop(dropped);
    let end = future.take(Wait::Forever);
    assert!(matches!(end, Ok(_) | Err(NoResult::Stopped)), "{end:?}");
}

#[test]
fn a_descriptor_tells_when_the_first_of_a_request_pool_is_done() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = made(&python, folder.path(), 300);
    let (slow, fast) = (Dataset::open(&file, "compact").unwrap(), Dataset::open(&file, "plain").unwrap());
    let reader = reader(2);
    let pool = StagePool::new(24, 4).unwrap();
    let requests = RequestPool::new();
    assert_eq!(requests.next(Wait::No).unwrap_err(), GetError::Empty);
    assert_eq!(requests.next(Wait::For(Duration::from_millis(2))).unwrap_err(), GetError::TimedOut);
    let fd = requests.fd().unwrap();
    assert!(!readable(fd, 0));
    let ask = |dataset| reader.request_pooled(dataset, &rows(0, 1), None, &pool, LONG).unwrap();
    let library = hdf5::lock();
    requests.add(ask(&slow)).unwrap();
    let second = ask(&fast);
    let done = || second.is_done();
    while !done() {
        thread::yield_now();
    }
    requests.add(second).unwrap();
    assert!(!readable(fd, 0), "the first is not done");
    drop(library);
    assert!(readable(fd, 60_000));
    let first = requests.next(Wait::No).unwrap();
    assert_eq!(taken(&first), [0]);
    assert!(readable(fd, 0), "the second was done before");
    let second = requests.next(Wait::No).unwrap();
    assert_eq!(taken(&second), [0, 1, 2, 3, 4, 5]);
    assert!(!readable(fd, 0));
    requests.close();
    assert!(readable(fd, 0));
    let late = ask(&fast);
    assert!(requests.add(late).is_err());
    assert_eq!(requests.next(Wait::Forever).unwrap_err(), GetError::Stopped);
}

struct Writer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Writer {
    fn new(python: &str, path: &Path, mode: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/h5_writer.py");
        let mut child = Command::new(python);
        let child = child.arg(script).arg(path).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut writer = Self { child, stdin, stdout: BufReader::new(stdout) };
        assert_eq!(writer.rows(), 0);
        writer
    }

    fn rows(&mut self) -> u64 {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Json>(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))["rows"]
            .as_u64()
            .unwrap()
    }

    fn tell(&mut self, command: &Json) -> u64 {
        writeln!(self.stdin, "{command}").unwrap();
        self.rows()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_that_grows_is_followed_and_its_writer_not_disturbed() {
    let Some(python) = peer::python() else { return };
    for mode in ["swmr", "flush"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grows.h5");
        let mut writer = Writer::new(&python, &path, mode);
        let file = File::open(&path).unwrap_or_else(|e| panic!("{mode}: {e}"));
        let names = ["plain", "gzip", "wide"];
        let mut datasets = names.map(|name| Dataset::open(&file, name).unwrap());
        let reader = reader(2);
        let stage = Stage::new(1 << 20).unwrap();
        let (mut old, mut before) = (0, Vec::new());
        // Less than a chunk, to the middle of others, and many at once.
        for step in [5, 11, 1, 40, 300, 2, 3000] {
            let all = writer.tell(&json!({ "do": "append", "rows": step }));
            for (name, dataset) in names.iter().zip(&mut datasets) {
                let title = format!("{mode} {name} {}: {all} rows", dataset.path_kind());
                assert_eq!(dataset.shape(), [old, 3], "{title}");
                before.push((dataset.clone(), old));
                *dataset = dataset.refresh().unwrap_or_else(|e| panic!("{title}: {e}"));
                assert_eq!(dataset.shape(), [all, 3], "{title}");
                assert_eq!(dataset.max_shape()[0], None, "{title}");
                // What is new, and all of it, through the cache of chunks that were not full before.
                for from in [old, 0] {
                    let future = reader.request(dataset, &rows(from, all), None, &stage).unwrap();
                    let expected: Vec<i32> = (3 * from as i32..3 * all as i32).collect();
                    let found = taken(&future);
                    let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
                    assert!(
                        wrong.is_none(),
                        "{title} from {from}: item {wrong:?} is {}",
                        found[wrong.unwrap()]
                    );
                }
            }
            old = all;
        }
        // Who kept an older one reads what that has; but packed chunks that were written again since may be elsewhere.
        for (dataset, old) in before.into_iter().filter(|(dataset, _)| dataset.name() != "gzip") {
            let future = reader.request(&dataset, &rows(0, old), None, &stage).unwrap();
            assert!(taken(&future) == (0..3 * old as i32).collect::<Vec<_>>(), "{mode}");
        }
        // We have it open, and there is no lock that would keep the writer out.
        writer.tell(&json!({ "do": "close" }));
        assert_eq!(writer.tell(&json!({ "do": "reopen" })), old);
        writer.tell(&json!({ "do": "close" }));
        let dataset = datasets[1].refresh().unwrap();
        let future = reader.request(&dataset, &rows(old - 9, old), None, &stage).unwrap();
        assert_eq!(taken(&future), (3 * old as i32 - 27..3 * old as i32).collect::<Vec<_>>());

        // Another file of that name.
        let other = folder.path().join("other.h5");
        std::fs::copy(&path, &other).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let error = dataset.refresh().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.message().contains("grows.h5 is another file now"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(dataset.refresh().unwrap_err().kind(), ErrorKind::Io);
    }
}
