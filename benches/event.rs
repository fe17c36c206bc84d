//! Event buffers: one thread puts packets while another flushes them to files in memory, against what the memory bus and the kernel allow.
//!
//! `cargo bench --bench event` prints a table, with `-- --json` a JSON list, with `-- WORD` only the lines that have it in their name. Each number is the median of runs that alternate between us
//! and the peer. Files are made in `/dev/shm`, or where `AQ_BENCH_FOLDER` says, and deleted.

mod support;

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{IoSlice, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqueduct::event::sink::{self, FileConfig};
use aqueduct::event::{Config, EventBuffer, FlushedBuffer, Kind};
use aqueduct::ring::Wait;
use support::{Line, compare};

/// Bytes of packets in a run.
const BYTES: usize = 256 << 20;
/// Packets between flushes.
const FLUSH_SIZE: u64 = 32_768;

fn main() {
    let mut lines = Vec::new();
    for size in [64, 1024] {
        let mut add = |name: &str, ours: &dyn Fn() -> f64, peer: &dyn Fn() -> f64, unit| {
            let name = format!("event/{name}/{size}");
            if support::is_wanted(&name) {
                lines.push(Line::rate(name, compare(ours, peer), unit));
            }
        };
        let copy_and_write = || plain_copy_and_write(size);
        add("record/raw", &|| record(size, false, true), &copy_and_write, "packets/s");
        // Without noting when each packet came, which takes longer than all the rest of a put.
        add("record/untimed", &|| record(size, false, false), &copy_and_write, "packets/s");
        add("record/many", &|| record_many(size), &copy_and_write, "packets/s");
        add("record/framed", &|| record(size, true, true), &|| record(size, false, true), "packets/s");
        add("flush/raw", &|| flush(size, false), &plain_write, "GB/s");
        add("flush/framed", &|| flush(size, true), &|| flush(size, false), "GB/s");
    }
    support::print(&lines);
}

/// A name for a file of one run; the file is deleted at its end.
struct Target(PathBuf);

impl Target {
    fn new() -> Self {
        let folder = std::env::var_os("AQ_BENCH_FOLDER").unwrap_or("/dev/shm".into());
        let path = PathBuf::from(folder).join(format!("aqueduct-bench-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn create(&self) -> File {
        OpenOptions::new().write(true).create_new(true).open(&self.0).unwrap()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn buffer(target: &Target, framed: bool, timestamps: bool) -> EventBuffer {
    let buffer = EventBuffer::new(Config {
        kind: Kind::Fifo,
        flush_size: FLUSH_SIZE,
        timestamps,
        flush_timeout: Some(Duration::from_secs(1)),
        ..Config::default()
    });
    let config = FileConfig { path: target.0.clone(), ..FileConfig::default() };
    let sink = if framed { sink::framed(config, None) } else { sink::binary(config) };
    buffer.add_sink(sink.unwrap(), true).unwrap();
    buffer
}

/// Packets per second that one thread puts while another writes them; until all are in the file.
fn record(size: usize, framed: bool, timestamps: bool) -> f64 {
    let target = Target::new();
    let buffer = FlushedBuffer::new(buffer(&target, framed, timestamps));
    let packet = vec![7; size];
    let count = BYTES / size;
    buffer.start().unwrap();
    let start = Instant::now();
    for _ in 0..count {
        buffer.put(&black_box(&packet)[..], Wait::Forever).unwrap();
    }
    let flushed = buffer.stop_flusher().unwrap();
    assert!(flushed.is_some() && buffer.stats().flushed.packets == count as u64);
    count as f64 / start.elapsed().as_secs_f64()
}

/// The same by an instrument that gives its packets 64 at a time.
fn record_many(size: usize) -> f64 {
    let target = Target::new();
    let buffer = FlushedBuffer::new(buffer(&target, false, true));
    let packets = vec![7; 64 * size];
    let count = BYTES / size;
    buffer.start().unwrap();
    let start = Instant::now();
    for _ in 0..count / 64 {
        let put = buffer.put_many(black_box(&packets), size, Wait::Forever).unwrap();
        assert_eq!(put, 64);
    }
    buffer.stop_flusher().unwrap();
    assert_eq!(buffer.stats().flushed.packets, count as u64);
    count as f64 / start.elapsed().as_secs_f64()
}

/// The same bytes by one thread that does nothing but copy packets to a buffer and write that.
fn plain_copy_and_write(size: usize) -> f64 {
    let target = Target::new();
    let mut file = target.create();
    let packet = vec![7; size];
    let count = BYTES / size;
    let mut memory = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    for _ in 0..count {
        memory.extend_from_slice(&black_box(&packet)[..]);
        if memory.len() + size > memory.capacity() {
            file.write_all(&memory).unwrap();
            memory.clear();
        }
    }
    file.write_all(&memory).unwrap();
    count as f64 / start.elapsed().as_secs_f64()
}

/// Gigabytes of packets per second in one flush of a full buffer.
fn flush(size: usize, framed: bool) -> f64 {
    let target = Target::new();
    let buffer = buffer(&target, framed, true);
    let packets = vec![7; size * 1024];
    for _ in 0..BYTES / packets.len() {
        buffer.put_many(&packets, size, Wait::No).unwrap();
    }
    let start = Instant::now();
    let flushed = buffer.flush().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(flushed.packets as usize, BYTES / size);
    BYTES as f64 / 1e9 / seconds
}

/// Gigabytes per second by writev, 1 MiB at a time.
fn plain_write() -> f64 {
    let target = Target::new();
    let mut file = target.create();
    let blocks: Vec<Vec<u8>> = (0..BYTES >> 20).map(|_| vec![7; 1 << 20]).collect();
    let start = Instant::now();
    for pair in blocks.chunks(2) {
        let mut slices: Vec<IoSlice> = pair.iter().map(|block| IoSlice::new(block)).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = file.write_vectored(slices).unwrap();
            IoSlice::advance_slices(&mut slices, written);
        }
    }
    BYTES as f64 / 1e9 / start.elapsed().as_secs_f64()
}
