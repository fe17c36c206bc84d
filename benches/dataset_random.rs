//! How fast rows of datasets are read at random, and a column of records, against H5Dread, in one run.
//!
//! ```sh
//! python benches/peer/make_h5.py FILE          # 100 MB each of: rows in chunks, the same packed by gzip, records
//! cargo bench --bench dataset_random -- FILE [DATASET[:FIELD]]...
//! ```
//!
//! 10 000 times 10 rows from anywhere, the file being in the page cache: by one thread (`Reader::read`), by requests to two threads (a stage pool and a
//! request pool between them and the one that takes the results), and by H5Dread with a hyperslab. With a field, the whole column: by one request, and by
//! H5Dread into a record of that field alone. Prints a line for each.
#![cfg(feature = "hdf5")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::ptr::null;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct::dataset::{
    Axis, Dataset, File, ParallelReader, Reader, ReaderConfig, RequestPool, Selection, Stage, StagePool,
};
use aqueduct::ring::Wait;
use aqueduct::sys::hdf5;

const READS: u64 = 10_000;
const ROWS: u64 = 10;

/// As a C program would call libhdf5.
mod c {
    use super::{c_char, c_int, c_void};
    type Id = i64;
    unsafe extern "C" {
        pub fn H5Fopen(path: *const c_char, flags: u32, access: Id) -> Id;
        pub fn H5Dopen2(file: Id, path: *const c_char, access: Id) -> Id;
        pub fn H5Idec_ref(id: Id) -> c_int;
        pub fn H5Dget_space(dataset: Id) -> Id;
        pub fn H5Dget_type(dataset: Id) -> Id;
        pub fn H5Tget_member_index(kind: Id, name: *const c_char) -> c_int;
        pub fn H5Tget_member_type(kind: Id, index: u32) -> Id;
        pub fn H5Tget_size(kind: Id) -> usize;
        pub fn H5Tcreate(class: c_int, size: usize) -> Id;
        pub fn H5Tinsert(kind: Id, name: *const c_char, offset: usize, member: Id) -> c_int;
        pub fn H5Screate_simple(rank: c_int, sizes: *const u64, most: *const u64) -> Id;
        pub fn H5Sselect_hyperslab(
            space: Id,
            operation: c_int,
            start: *const u64,
            stride: *const u64,
            count: *const u64,
            block: *const u64,
        ) -> c_int;
        pub fn H5Dread(dataset: Id, kind: Id, memory: Id, file: Id, transfer: Id, to: *mut c_void) -> c_int;
    }
}

/// Places in a dataset, the same for all.
fn places(all: u64) -> impl Iterator<Item = u64> {
    let mut state = 1u64;
    (0..READS).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % (all - ROWS)
    })
}

/// The best of some runs: others may use the machine.
fn best(mut run: impl FnMut()) -> Duration {
    (0..3)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn rows(first: u64, count: u64) -> Selection {
    Selection {
        axes: vec![Axis::Slice { start: Some(first as i64), stop: Some((first + count) as i64), step: 1 }],
    }
}

fn config() -> ReaderConfig {
    ReaderConfig { threads: 2, ..ReaderConfig::default() }
}

fn by_requests(dataset: &std::sync::Arc<Dataset>) -> Duration {
    best(|| {
        let reader = ParallelReader::new(config()).unwrap();
        let pool = StagePool::new(ROWS as usize * dataset.row_size(), 256).unwrap();
        let requests = RequestPool::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for first in places(dataset.rows()) {
                    let selection = rows(first, ROWS);
                    let future = reader.request_pooled(dataset, &selection, None, &pool, Wait::Forever);
                    requests.add(future.unwrap()).unwrap();
                }
                requests.close();
            });
            while let Ok(future) = requests.next(Wait::Forever) {
                black_box(future.take(Wait::Forever).unwrap().data());
            }
        });
    })
}

fn at_random(path: &str, name: &str, dataset: &std::sync::Arc<Dataset>) {
    let size = ROWS as usize * dataset.row_size();
    let mut to = vec![0; size];
    let one = best(|| {
        let mut reader = Reader::new(dataset, None, false).unwrap();
        for first in places(dataset.rows()) {
            reader.read(first..first + ROWS, &mut to).unwrap();
            black_box(&to);
        }
    });
    // With the cache that a ParallelReader has.
    let cached = best(|| {
        let cache = aqueduct::dataset::ChunkCache::new(config().cache_bytes);
        let mut reader = Reader::new(dataset, None, false).unwrap().with_cache(cache);
        for first in places(dataset.rows()) {
            reader.read(first..first + ROWS, &mut to).unwrap();
            black_box(&to);
        }
    });
    let two = by_requests(dataset);
    let _library = hdf5::lock();
    let (path, name) = (CString::new(path).unwrap(), CString::new(name).unwrap());
    let (mut start, mut count) = (vec![0; dataset.shape().len()], dataset.shape().to_vec());
    count[0] = ROWS;
    // SAFETY: the library is locked; names are C strings; `to` has the bytes of the selection.
    let theirs = best(|| unsafe {
        let file = c::H5Fopen(path.as_ptr(), 0, 0);
        let opened = c::H5Dopen2(file, name.as_ptr(), 0);
        let (kind, space) = (c::H5Dget_type(opened), c::H5Dget_space(opened));
        let memory = c::H5Screate_simple(count.len() as c_int, count.as_ptr(), null());
        for first in places(dataset.rows()) {
            start[0] = first;
            c::H5Sselect_hyperslab(space, 0, start.as_ptr(), null(), count.as_ptr(), null());
            assert!(c::H5Dread(opened, kind, memory, space, 0, to.as_mut_ptr().cast()) >= 0);
            black_box(&to);
        }
        for id in [memory, space, kind, opened, file] {
            c::H5Idec_ref(id);
        }
    });
    let rate = |time: Duration| READS as f64 / time.as_secs_f64();
    println!(
        "{:<16} 10 rows/s: one thread {:>9.0} ({:.0} with a cache of 64 MiB), requests to two {:>9.0}, H5Dread {:>7.0}: {:.1} and {:.1} times",
        dataset.name(),
        rate(one),
        rate(cached),
        rate(two),
        rate(theirs),
        rate(one.min(cached)) / rate(theirs),
        rate(two) / rate(theirs)
    );
}

fn column(path: &str, name: &str, field: &str, dataset: &std::sync::Arc<Dataset>) {
    let size = dataset.dtype().field(field).unwrap().dtype.size;
    let bytes = dataset.rows() as usize * size;
    let stage = Stage::new(bytes).unwrap();
    let reader = ParallelReader::new(config()).unwrap();
    let ours = best(|| {
        let future = reader.request(dataset, &Selection::default(), Some(field), &stage).unwrap();
        black_box(future.take(Wait::Forever).unwrap().data());
    });
    let mut to = vec![0u8; bytes];
    let mut one = Reader::new(dataset, Some(field), false).unwrap();
    let copied = best(|| one.read(0..dataset.rows(), &mut to).unwrap());
    let _library = hdf5::lock();
    let (path, name) = (CString::new(path).unwrap(), CString::new(name).unwrap());
    let field_name = CString::new(field).unwrap();
    // SAFETY: the library is locked; names are C strings; `to` has the bytes of the column.
    let theirs = best(|| unsafe {
        let file = c::H5Fopen(path.as_ptr(), 0, 0);
        let opened = c::H5Dopen2(file, name.as_ptr(), 0);
        let kind = c::H5Dget_type(opened);
        let member = c::H5Tget_member_index(kind, field_name.as_ptr());
        let member = c::H5Tget_member_type(kind, member as u32);
        const COMPOUND: c_int = 6;
        let record = c::H5Tcreate(COMPOUND, c::H5Tget_size(member));
        c::H5Tinsert(record, field_name.as_ptr(), 0, member);
        assert!(c::H5Dread(opened, record, 0, 0, 0, to.as_mut_ptr().cast()) >= 0);
        black_box(&to);
        for id in [record, member, kind, opened, file] {
            c::H5Idec_ref(id);
        }
    });
    let all = (dataset.rows() as usize * dataset.row_size()) as f64 / 1e9;
    let rate = |time: Duration| all / time.as_secs_f64();
    println!(
        "{:<16} column of records of {} bytes, GB/s of records: request {:.2}, one thread {:.2}, H5Dread {:.2}: {:.1} and {:.1} times",
        format!("{}:{field}", dataset.name()),
        dataset.row_size(),
        rate(ours),
        rate(copied),
        rate(theirs),
        rate(ours) / rate(theirs),
        rate(copied) / rate(theirs)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        println!("usage: cargo bench --bench dataset_random -- FILE [DATASET[:FIELD]]...");
        return;
    };
    let file = File::open(path.as_ref()).unwrap();
    let mut named: Vec<String> = arguments.collect();
    if named.is_empty() {
        named = ["chunked64k", "chunked", "chunked1m", "gzip", "table:value", "table_chunked:value"]
            .map(str::to_owned)
            .to_vec();
    }
    for argument in named {
        match argument.split_once(':') {
            Some((name, field)) => column(&path, name, field, &Dataset::open(&file, name).unwrap()),
            None => at_random(&path, &argument, &Dataset::open(&file, &argument).unwrap()),
        }
    }
}
