//! Signal streams between two processes through shared memory, against a bare futex ring: a header, slots, one copy in and one out; and within the
//! process, against a channel of std.
//!
//! `cargo bench --bench signal` prints a table, with `-- --json` a JSON list, with `-- NAME` only what has that in its name. Each number is the median of runs that alternate between us and the peer.
//! The reading process is this program once more. Wants two processors that nobody else uses.

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::transport::inproc::InprocPublisher;
use aqueduct::signal::transport::shm::{ShmConfig, ShmPublisher, ShmSubscriber};
use aqueduct::signal::transport::{NoChunk, Publisher, Subscriber};
use aqueduct::sys::futex;
use aqueduct::sys::memfd::{MemFd, Shared};
use bytes::Bytes;
use support::{Line, compare, is_wanted, median};

/// Chunks in a measurement of latency.
const PINGS: usize = 2000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        return child(&arguments[at + 1..]);
    }
    let mut lines = Vec::new();
    for (name, size, slots, count) in
        [("1K", 1 << 10, 1024, 1_000_000), ("64K", 64 << 10, 16, 40_000), ("1M", 1 << 20, 8, 3_000)]
    {
        let name = format!("signal/shm/{name}");
        if !is_wanted(&name) {
            continue;
        }
        let run = Run { size, slots, count, gap: Gap::None };
        let both = compare(|| throughput(&run, &shm), || throughput(&run, &bare));
        lines.push(Line::rate(name, both, "chunks/s"));
    }
    for (name, gap) in [("blocking", Gap::Sleep), ("spinning", Gap::Spin)] {
        let name = format!("signal/shm/latency/{name}");
        if !is_wanted(&name) {
            continue;
        }
        let run = Run { size: 1 << 10, slots: 64, count: PINGS, gap };
        lines.push(Line::cost(name, compare(|| latency(&run, &shm), || latency(&run, &bare)), "us"));
    }
    for (name, size) in [("1K", 1 << 10), ("64K", 64 << 10)] {
        let name = format!("signal/shm/cost/{name}");
        if is_wanted(&name) {
            lines.push(Line::cost(name, compare(|| cost_shm(size), || cost_bare(size)), "ns/chunk"));
        }
    }
    let name = String::from("signal/inproc/64K");
    if is_wanted(&name) {
        lines.push(Line::rate(name, compare(inproc, channel), "chunks/s"));
    }
    support::print(&lines);
}

/// What the output does between chunks.
#[derive(Clone, Copy, PartialEq)]
enum Gap {
    None,
    /// Sleeps, so that the input does.
    Sleep,
    /// Waits a little, for an input that only looks.
    Spin,
}

struct Run {
    size: usize,
    slots: usize,
    count: usize,
    gap: Gap,
}

/// How an input finds an output, and what writes to it.
type Output = (Vec<String>, Box<dyn FnMut(&Chunk)>);
/// Makes an output.
type Open = dyn Fn(&Run) -> Output;

fn shm(run: &Run) -> Output {
    let config =
        ShmConfig { chunks: run.slots, bytes: run.slots * run.size, overflow: Overflow::Block, inputs: 1 };
    let mut output = ShmPublisher::new(&config).unwrap();
    let name = output.name().to_owned();
    let publish = move |chunk: &Chunk| {
        assert!(!output.publish(chunk, Wait::Forever).unwrap().timed_out);
    };
    (vec!["shm".into(), name], Box::new(publish))
}

fn bare(run: &Run) -> Output {
    let memory = MemFd::new(c"bare", 4096 + run.slots * run.size).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_fd().as_raw_fd());
    let mut ring = Bare::new(&memory, run.slots, run.size);
    let write = move |chunk: &Chunk| {
        let _keep = &memory;
        ring.write(&chunk.data);
    };
    (vec!["bare".into(), path, run.slots.to_string()], Box::new(write))
}

/// Starts the reading process; the second is its standard output behind the line that it is ready.
fn start(run: &Run, mut arguments: Vec<String>) -> (Child, BufReader<ChildStdout>) {
    arguments.extend([run.size, run.count].map(|number| number.to_string()));
    arguments.push((if run.gap == Gap::Spin { "spin" } else { "wait" }).into());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--child")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, lines)
}

fn chunk(index: u64, size: usize, data: &Bytes) -> Chunk {
    Chunk { index, layout: Layout::c_order(4, &[size / 16, 4]).unwrap(), data: data.clone() }
}

/// Chunks per second until the reader has all.
fn throughput(run: &Run, open: &Open) -> f64 {
    let (arguments, mut write) = open(run);
    let (mut child, mut lines) = start(run, arguments);
    let data = Bytes::from(vec![7; run.size]);
    let mut chunk = chunk(0, run.size, &data);
    let start = Instant::now();
    for _ in 0..run.count {
        chunk.index += chunk.frames() as u64;
        write(&chunk);
    }
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let elapsed = start.elapsed();
    assert!(line.starts_with("done"), "{line}");
    assert!(child.wait().unwrap().success());
    run.count as f64 / elapsed.as_secs_f64()
}

/// The median time from before a chunk is written to after it is read, in microseconds.
fn latency(run: &Run, open: &Open) -> f64 {
    let (arguments, mut write) = open(run);
    let (mut child, mut lines) = start(run, arguments);
    let mut data = vec![7; run.size];
    let mut index = 0;
    for _ in 0..run.count {
        match run.gap {
            Gap::Sleep => thread::sleep(Duration::from_micros(200)),
            _ => {
                let end = Instant::now() + Duration::from_micros(20);
                while Instant::now() < end {}
            }
        }
        index += run.size as u64 / 16;
        let mut chunk = chunk(index, run.size, &Bytes::new());
        data[..8].copy_from_slice(&now().to_ne_bytes());
        chunk.data = Bytes::from(data);
        write(&chunk);
        data = chunk.data.try_into_mut().unwrap().to_vec();
    }
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    line.trim().strip_prefix("done ").unwrap().parse().unwrap()
}

/// Nanoseconds of a clock that all processes share.
fn now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live timespec.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Chunks written and then read, by one thread: half of the slots of a ring.
const BATCH: usize = 8;

/// Processor time of a chunk written and read by one thread, which nobody disturbs: what the ring costs beside caches that move between processors.
fn cost(size: usize, mut batch: impl FnMut()) -> f64 {
    let batches = (256 << 20) / size / BATCH / 4;
    let start = nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID);
    (0..batches).for_each(|_| batch());
    (nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID) - start) as f64 / (batches * BATCH) as f64
}

fn cost_shm(size: usize) -> f64 {
    let config =
        ShmConfig { chunks: 2 * BATCH, bytes: 2 * BATCH * size, overflow: Overflow::Block, inputs: 1 };
    let mut output = ShmPublisher::new(&config).unwrap();
    let mut input = ShmSubscriber::connect(output.name()).unwrap();
    let mut chunk = chunk(0, size, &Bytes::from(vec![7; size]));
    cost(size, || {
        for _ in 0..BATCH {
            chunk.index += chunk.frames() as u64;
            assert!(!output.publish(&chunk, Wait::No).unwrap().timed_out);
        }
        (0..BATCH).for_each(|_| drop(black_box(input.receive(Wait::No).unwrap())));
    })
}

fn cost_bare(size: usize) -> f64 {
    let memory = MemFd::new(c"bare", 4096 + 2 * BATCH * size).unwrap();
    let [mut output, mut input] = [(); 2].map(|()| Bare::new(&memory, 2 * BATCH, size));
    let data = vec![7; size];
    let mut copy = vec![0; size];
    cost(size, || {
        (0..BATCH).for_each(|_| output.write(black_box(&data)));
        (0..BATCH).for_each(|_| {
            input.read(&mut copy);
            black_box(&copy);
        });
    })
}

/// The reading process.
fn child(arguments: &[String]) {
    let (kind, place, rest) = (&arguments[0], &arguments[1], &arguments[2..]);
    let number = |at: usize| rest[at].parse::<usize>().unwrap();
    let mut times = Vec::new();
    let mut note = |data: &[u8]| {
        let sent = u64::from_ne_bytes(data[..8].try_into().unwrap());
        times.push(now().wrapping_sub(sent) as f64 / 1000.0);
        black_box(data);
    };
    let ready = || {
        println!("ready");
        std::io::stdout().flush().unwrap();
    };
    if kind == "shm" {
        let (count, spins) = (number(1), rest[2] == "spin");
        let mut input = ShmSubscriber::connect(place).unwrap();
        ready();
        for _ in 0..count {
            let chunk = loop {
                match input.receive(if spins { Wait::No } else { Wait::Forever }) {
                    Ok(chunk) => break chunk,
                    Err(NoChunk::Empty) => std::hint::spin_loop(),
                    Err(other) => panic!("{other:?}"),
                }
            };
            note(&chunk.data);
        }
    } else {
        let (slots, size, count, spins) = (number(0), number(1), number(2), rest[3] == "spin");
        let file = File::options().read(true).write(true).open(place).unwrap();
        let memory = MemFd::from_other(file.into(), 4096 + slots * size).unwrap();
        let mut ring = Bare::new(&memory, slots, size);
        ring.patience = if spins { usize::MAX } else { ring.patience };
        let mut data = vec![0; size];
        ready();
        for _ in 0..count {
            ring.read(&mut data);
            note(&data);
        }
    }
    println!("done {}", median(times));
}

/// The peer: one writer, one reader, slots of one size. Nothing is checked, nobody may die.
struct Bare {
    map: Shared,
    slots: usize,
    size: usize,
    /// Slots written, or read.
    at: u32,
    patience: usize,
}

impl Bare {
    fn new(memory: &MemFd, slots: usize, size: usize) -> Self {
        let map = Shared::new(memory, 4096 + slots * size, 0, true).unwrap();
        Self { map, slots, size, at: 0, patience: 2000 }
    }

    /// Written, read, reader sleeps, writer sleeps: each on a cache line of its own.
    fn word(&self, number: usize) -> &AtomicU32 {
        // SAFETY: within the mapping, aligned.
        unsafe { AtomicU32::from_ptr(self.map.start().add(128 * number).cast().as_ptr()) }
    }

    fn slot(&self) -> *mut u8 {
        // SAFETY: within the mapping.
        unsafe { self.map.start().as_ptr().add(4096 + self.at as usize % self.slots * self.size) }
    }

    /// Waits until word `number` is not `value`.
    fn wait(&self, number: usize, value: u32, sleeper: usize) {
        for _ in 0..self.patience {
            if self.word(number).load(Ordering::Acquire) != value {
                return;
            }
            std::hint::spin_loop();
        }
        while self.word(number).load(Ordering::Acquire) == value {
            self.word(sleeper).store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            futex::wait(self.word(number), value, Duration::from_secs(1));
            self.word(sleeper).store(0, Ordering::Relaxed);
        }
    }

    fn tell(&self, number: usize, sleeper: usize) {
        self.word(number).store(self.at, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.word(sleeper).load(Ordering::Relaxed) != 0 {
            futex::wake(self.word(number));
        }
    }

    fn write(&mut self, data: &[u8]) {
        self.wait(1, self.at.wrapping_sub(self.slots as u32), 3);
        // SAFETY: the slot is free, and as long as the data.
        unsafe { self.slot().copy_from_nonoverlapping(data.as_ptr(), self.size) };
        self.at = self.at.wrapping_add(1);
        self.tell(0, 2);
    }

    fn read(&mut self, data: &mut [u8]) {
        self.wait(0, self.at, 2);
        // SAFETY: the slot is filled, and as long as the data.
        unsafe { self.slot().copy_to_nonoverlapping(data.as_mut_ptr(), self.size) };
        self.at = self.at.wrapping_add(1);
        self.tell(1, 3);
    }
}

/// Chunks in a run within the process.
const CHUNKS: usize = 500_000;

/// Chunks per second from one thread to another.
fn inproc() -> f64 {
    let mut output = InprocPublisher::new(64, Overflow::Block).unwrap();
    let mut input = output.subscribe().unwrap();
    let data = Bytes::from(vec![7; 64 << 10]);
    let mut chunk = chunk(0, data.len(), &data);
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(move || {
            for _ in 0..CHUNKS {
                chunk.index += chunk.frames() as u64;
                output.publish(&chunk, Wait::Forever).unwrap();
            }
        });
        for _ in 0..CHUNKS {
            black_box(input.receive(Wait::Forever).unwrap());
        }
        CHUNKS as f64 / start.elapsed().as_secs_f64()
    })
}

/// The same with a channel.
fn channel() -> f64 {
    let (output, input) = std::sync::mpsc::sync_channel(64);
    let data = Bytes::from(vec![7; 64 << 10]);
    let mut chunk = chunk(0, data.len(), &data);
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(move || {
            for _ in 0..CHUNKS {
                chunk.index += chunk.frames() as u64;
                output.send(chunk.clone()).unwrap();
            }
        });
        for _ in 0..CHUNKS {
            black_box(input.recv().unwrap());
        }
        CHUNKS as f64 / start.elapsed().as_secs_f64()
    })
}
