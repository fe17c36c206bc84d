//! Event buffers and many threads: every packet ends in exactly one place, whoever puts, pops, flushes and clears meanwhile, those of one thread in
//! their order; nobody waits for what is there, and nobody runs in circles.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aqueduct::error::{Error, ErrorKind, Result};
use aqueduct::event::reader::{Entry, EventFile};
use aqueduct::event::sink::{self, FileConfig, Progress, Sink};
use aqueduct::event::{Amount, Batch, Config, EventBuffer, FlushedBuffer, Item, PopError, PutError, Stats};
use aqueduct::memory::{Allocator, Buffer, HeapAllocator};
use aqueduct::ring::{Overflow, Wait};

const PRODUCERS: u64 = 4;

fn file(path: &Path) -> FileConfig {
    FileConfig { path: path.to_owned(), ..FileConfig::default() }
}

fn closes(stats: &Stats) -> bool {
    let mut sum = stats.waiting;
    for part in [stats.flushed, stats.popped, stats.cleared, stats.overflow_oldest, stats.overflow_newest] {
        sum += part;
    }
    sum == stats.put
}

/// Who put it, and which of that thread's packets it is; then bytes that follow from these.
fn packet(thread: u64, serial: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![(thread ^ serial) as u8; size.max(8)];
    bytes[..8].copy_from_slice(&(thread << 48 | serial).to_le_bytes());
    bytes
}

fn identify(bytes: &[u8]) -> (u64, u64) {
    let word = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    let (thread, serial) = (word >> 48, word & 0xffff_ffff_ffff);
    assert!(bytes[8..].iter().all(|&byte| byte == (thread ^ serial) as u8), "{thread} {serial}");
    (thread, serial)
}

/// Packets that were found in one place, of each thread in order.
#[derive(Default)]
struct Found {
    all: HashSet<(u64, u64)>,
    last: [Option<u64>; PRODUCERS as usize],
    amount: Amount,
}

impl Found {
    fn add(&mut self, bytes: &[u8]) {
        let (thread, serial) = identify(bytes);
        let last = &mut self.last[thread as usize];
        assert!(last.is_none_or(|last| last < serial), "{thread}: {serial} after {last:?}");
        *last = Some(serial);
        self.all.insert((thread, serial));
        self.amount += Amount { packets: 1, bytes: bytes.len() as u64 };
    }
}

/// Puts packets in every way that there is, until it has put `packets` or the buffer is stopped. Returns how many it gave the buffer.
fn produce(buffer: &EventBuffer, thread: u64, packets: u64) -> u64 {
    let mut serial = 0;
    while serial < packets {
        let size = 8 + (serial * 37 % 300) as usize;
        let result = match serial % 11 {
            0 => {
                let several: Vec<u8> =
                    (serial..serial + 5).flat_map(|serial| packet(thread, serial, size)).collect();
                buffer.put_many(&several, size, Wait::Forever).map(|put| put as u64)
            }
            1 | 2 => buffer.reserve(size + 50, Wait::Forever).map(|reservation| {
                if serial % 3 == 0 {
                    buffer.cancel(reservation.number()).unwrap();
                    return 0;
                }
                let bytes = packet(thread, serial, size);
                // SAFETY: what was reserved, and not committed yet.
                unsafe { reservation.data().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                buffer.commit(reservation.number(), bytes.len()).unwrap();
                1
            }),
            3 if serial % 121 == 3 => {
                let size = if serial % 7 == 0 { 1_200_000 } else { 20_000 };
                buffer.put(&packet(thread, serial, size), Wait::Forever).map(|()| 1)
            }
            4 => {
                let bytes = packet(thread, serial, size);
                let (head, tail) = bytes.split_at(8);
                buffer.put_parts(&[head, &[], tail], Wait::Forever).map(|()| 1)
            }
            _ => buffer.put(&packet(thread, serial, size), Wait::Forever).map(|()| 1),
        };
        match result {
            Ok(0) => serial += 1,
            Ok(put) => serial += put,
            // Dropped and counted, as a reservation is answered.
            Err(PutError::Full) => serial += 1,
            Err(PutError::Stopped) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    serial
}

fn run(overflow: Overflow, capacity: u64, clears: bool, stop_after: Option<u64>) {
    const PACKETS: u64 = 8_000;
    let folder = tempfile::tempdir().unwrap();
    let (framed, binary) = (folder.path().join("framed"), folder.path().join("binary"));
    let buffer = FlushedBuffer::new(EventBuffer::new(Config {
        capacity,
        capacity_bytes: if capacity > 0 { 4 << 20 } else { 0 },
        overflow: Some(overflow),
        flush_size: 100,
        flush_timeout: Some(Duration::from_millis(1)),
        ..Config::default()
    }));
    buffer.add_sink(sink::binary(file(&binary)).unwrap(), false).unwrap();
    buffer.add_sink(sink::framed(file(&framed), None).unwrap(), true).unwrap();
    buffer.start().unwrap();
    let mut popped = Found::default();
    let done = AtomicBool::new(false);
    let cleared = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let buffer = &buffer;
        let producers: Vec<_> =
            (0..PRODUCERS).map(|thread| scope.spawn(move || produce(buffer, thread, PACKETS))).collect();
        let (done, cleared, popped) = (&done, &cleared, &mut popped);
        scope.spawn(move || {
            let mut memory = vec![0; 1_300_000];
            loop {
                match buffer.pop(&mut memory, Wait::For(Duration::from_micros(100))) {
                    Ok((size, _)) => popped.add(&memory[..size]),
                    Err(PopError::TimedOut) if !done.load(Ordering::Relaxed) => {}
                    Err(PopError::TimedOut | PopError::Stopped) => break,
                    Err(other) => panic!("{other:?}"),
                }
                std::thread::yield_now();
            }
        });
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                assert!(closes(&buffer.stats()), "{:?}", buffer.stats());
                if clears {
                    cleared.fetch_add(buffer.clear().unwrap(), Ordering::Relaxed);
                }
                if stop_after.is_some_and(|packets| buffer.stats().put.packets >= packets) {
                    buffer.stop();
                }
                std::thread::yield_now();
            }
        });
        for producer in producers {
            let given = producer.join().unwrap();
            assert!(stop_after.is_some() || given >= PACKETS);
        }
        done.store(true, Ordering::Relaxed);
    });
    buffer.stop_flusher().unwrap();
    let stats = buffer.stats();
    buffer.disconnect_sinks().unwrap();
    assert!(closes(&stats), "{stats:?}");
    assert_eq!((stats.waiting, stats.reserved, stats.flush_errors), (Amount::default(), 0, 0));
    assert_eq!((stats.popped, stats.cleared.packets), (popped.amount, cleared.load(Ordering::Relaxed)));

    let mut written = Found::default();
    let mut bytes = Vec::new();
    let mut lost = Amount::default();
    let mut reader = EventFile::open(&framed).unwrap();
    while let Some(entry) = reader.next().unwrap() {
        match entry {
            Entry::Packet { data, .. } => {
                written.add(data);
                bytes.extend_from_slice(data);
            }
            Entry::Loss { mark, .. } => lost += Amount { packets: mark.packets, bytes: mark.bytes },
            Entry::End { agrees, .. } => assert!(agrees),
            other => panic!("{other:?}"),
        }
    }
    assert!(reader.is_whole());
    assert!(std::fs::read(&binary).unwrap() == bytes);
    assert_eq!(written.amount, stats.flushed);
    let mut all_lost = stats.overflow_oldest;
    all_lost += stats.overflow_newest;
    assert_eq!(lost, all_lost);
    // Nothing is in two places, and all that is nowhere was counted.
    assert!(written.all.is_disjoint(&popped.all));
    assert_eq!(written.all.len() as u64, written.amount.packets);
    assert_eq!(popped.all.len() as u64, popped.amount.packets);
    assert!(stop_after.is_some_and(|packets| stats.put.packets >= packets) || stop_after.is_none());
}

#[test]
fn everybody_at_once() {
    run(Overflow::Block, 0, false, None);
    run(Overflow::Block, 50, true, None);
}

#[test]
fn everybody_at_once_while_packets_are_dropped() {
    run(Overflow::DropNewest, 200, false, None);
    run(Overflow::DropOldest, 200, true, None);
}

#[test]
fn stopped_in_the_middle() {
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        run(overflow, 20, false, Some(5000));
    }
}

/// Runs `test`; it is a failure if it has not ended within a minute.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (told, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        told.send(()).unwrap();
    });
    if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_secs(60)) {
        panic!("somebody waits for ever");
    }
    thread.join().unwrap();
}

#[test]
fn who_pops_gets_what_a_put_of_many_that_waits_has_put() {
    in_time(|| {
        for _ in 0..100 {
            let buffer = EventBuffer::new(Config { capacity: 3, ..Config::default() });
            std::thread::scope(|scope| {
                let popper = scope.spawn(|| {
                    let mut memory = [0; 2];
                    (0..100).for_each(|i| {
                        assert_eq!(buffer.pop(&mut memory, Wait::Forever).unwrap().0, 2);
                        assert_eq!(memory, [i, i]);
                    });
                });
                // Both wait for each other.
                let packets: Vec<u8> = (0..100).flat_map(|i| [i, i]).collect();
                assert_eq!(buffer.put_many(&packets, 2, Wait::Forever), Ok(100));
                popper.join().unwrap();
            });
        }
    });
}

#[test]
fn all_who_pop_get_what_comes_at_once() {
    const POPPERS: usize = 3;
    in_time(|| {
        for round in 0..200 {
            let buffer = EventBuffer::new(Config::default());
            std::thread::scope(|scope| {
                for _ in 0..POPPERS {
                    scope.spawn(|| buffer.pop(&mut [0; 1], Wait::Forever).unwrap());
                }
                // Until some of them wait, perhaps.
                (0..round % 20).for_each(|_| std::thread::yield_now());
                if round % 2 == 0 {
                    assert_eq!(buffer.put_many(&[1; POPPERS], 1, Wait::No), Ok(POPPERS));
                } else {
                    let slot = buffer.reserve(1, Wait::No).unwrap();
                    buffer.put_many(&[1; POPPERS - 1], 1, Wait::No).unwrap();
                    buffer.commit(slot.number(), 0).unwrap();
                }
            });
            assert_eq!(buffer.stats().popped.packets, POPPERS as u64);
        }
    });
}

/// Waits until the flusher has flushed so often, or for the time that it would take to do it many times.
fn flushes_after_a_while(buffer: &EventBuffer, most: u64) -> u64 {
    let start = std::time::Instant::now();
    while buffer.stats().flushes < most && start.elapsed() < Duration::from_millis(300) {
        std::thread::yield_now();
    }
    buffer.stats().flushes
}

#[test]
fn a_flusher_does_not_run_in_circles_while_a_slot_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { capacity: 4, flush_size: 2, flush_timeout: None, ..Config::default() };
    let buffer = FlushedBuffer::new(EventBuffer::new(config));
    buffer.add_sink(sink::binary(file(&folder.path().join("x"))).unwrap(), true).unwrap();
    buffer.start().unwrap();
    let slot = buffer.reserve(1, Wait::No).unwrap();
    // SAFETY: one byte was reserved.
    unsafe { slot.data().write(b'a') };
    for byte in b"bcd" {
        buffer.put(&[*byte], Wait::No).unwrap();
    }
    assert!(buffer.almost_full());
    assert!(flushes_after_a_while(&buffer, 100) < 100, "nothing can be flushed");
    std::thread::scope(|scope| {
        scope.spawn(|| buffer.put(b"e", Wait::Forever).unwrap());
        while buffer.stats().blocked == 0 {
            std::thread::yield_now();
        }
        assert!(flushes_after_a_while(&buffer, 100) < 100, "nothing can be flushed");
        buffer.commit(slot.number(), 1).unwrap();
    });
    buffer.stop_flusher().unwrap();
    assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"abcde");
}

#[test]
fn a_flusher_makes_space_though_its_limit_is_above_the_capacity() {
    in_time(|| {
        let config = Config { capacity: 4, flush_size: 100, flush_timeout: None, ..Config::default() };
        let buffer = FlushedBuffer::new(EventBuffer::new(config));
        buffer.add_sink(Box::new(All), true).unwrap();
        buffer.start().unwrap();
        (0..50).for_each(|_| buffer.put(b"x", Wait::Forever).unwrap());
        buffer.stop_flusher().unwrap();
        assert_eq!(buffer.stats().flushed.packets, 50);
    });
}

#[test]
fn who_waits_for_space_gets_what_a_slot_did_not_need() {
    for cancels in [false, true] {
        in_time(move || {
            let buffer = EventBuffer::new(Config { capacity_bytes: 100, ..Config::default() });
            let slot = buffer.reserve(95, Wait::No).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| buffer.put(&[0; 10], Wait::Forever).unwrap());
                while buffer.stats().blocked == 0 {
                    std::thread::yield_now();
                }
                if cancels {
                    buffer.cancel(slot.number()).unwrap();
                } else {
                    buffer.commit(slot.number(), 0).unwrap();
                }
            });
            assert_eq!(buffer.bytes(), 10);
        });
    }
}

#[test]
fn a_flusher_rests_even_if_it_is_to_flush_all_the_time() {
    let config = Config { flush_timeout: Some(Duration::ZERO), ..Config::default() };
    let buffer = FlushedBuffer::new(EventBuffer::new(config));
    buffer.add_sink(Box::new(All), true).unwrap();
    buffer.start().unwrap();
    // A thousand a second; without a rest it is more than a million.
    assert!(flushes_after_a_while(&buffer, 5000) < 5000);
    buffer.put(b"x", Wait::No).unwrap();
    while buffer.size() > 0 {
        std::thread::yield_now();
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which is ours.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

/// Has memory once.
#[derive(Default)]
struct Once(AtomicBool);

impl Allocator for Once {
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
        if self.0.swap(true, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::NoMemory, "only once"));
        }
        HeapAllocator.allocate(size, packet)
    }
}

#[test]
fn the_descriptor_shows_that_packets_were_dropped_for_one_that_did_not_come() {
    let config = Config {
        capacity: 1,
        overflow: Some(Overflow::DropOldest),
        allocator: Arc::new(Once::default()),
        ..Config::default()
    };
    let buffer = EventBuffer::new(config);
    // Asked for once: asking brings it up to date.
    let fd = buffer.data_fd().unwrap();
    for puts in [false, true] {
        buffer.put(b"a", Wait::No).unwrap();
        assert!(is_readable(fd));
        // There is no memory for so much.
        if puts {
            buffer.put(&[0; 2 << 20], Wait::No).unwrap_err();
        } else {
            buffer.reserve(2 << 20, Wait::No).err().unwrap();
        }
        assert_eq!((buffer.size(), is_readable(fd)), (0, false));
    }
}

#[test]
fn the_descriptor_does_not_show_what_cannot_be_popped_yet() {
    let buffer = EventBuffer::new(Config::default());
    let fd = buffer.data_fd().unwrap();
    let is_readable = || is_readable(fd);
    assert!(!is_readable());
    let first = buffer.reserve(1, Wait::No).unwrap();
    assert!(!is_readable());
    buffer.put(b"b", Wait::No).unwrap();
    assert_eq!(buffer.pop(&mut [0; 1], Wait::No), Err(PopError::Empty));
    assert!(!is_readable());
    let second = buffer.reserve(1, Wait::No).unwrap();
    buffer.cancel(first.number()).unwrap();
    assert!(is_readable());
    buffer.pop(&mut [0; 1], Wait::No).unwrap();
    assert!(!is_readable());
    buffer.cancel(second.number()).unwrap();
    assert!(!is_readable());
    buffer.put(b"c", Wait::No).unwrap();
    assert!(is_readable());
    buffer.clear().unwrap();
    assert!(!is_readable());
    buffer.stop();
    assert!(is_readable());
}

/// Takes everything.
struct All;

impl Sink for All {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        for item in batch.items(progress.next) {
            match item {
                Item::Packet(packet) => progress.pass(&packet),
                Item::Lost(lost) => progress.lose(lost),
            }
        }
        Ok(())
    }

    fn close(&mut self, _: &Progress) -> Result<()> {
        Ok(())
    }
}

/// Asks for a flush with each packet and fails, once; then it takes everything.
struct Late(Arc<FlushedBuffer>, bool);

impl Sink for Late {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        if !std::mem::replace(&mut self.1, true) {
            self.0.configure(1, None);
            // So that the flusher has seen that there is nothing to do yet, probably.
            std::thread::sleep(Duration::from_millis(20));
            return Err(Error::state("once"));
        }
        All.write(batch, progress)
    }

    fn close(&mut self, _: &Progress) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_flush_of_another_thread_has_left_is_the_flushers() {
    in_time(|| {
        let config = Config { flush_size: 0, flush_timeout: None, ..Config::default() };
        let buffer = Arc::new(FlushedBuffer::new(EventBuffer::new(config)));
        buffer.add_sink(Box::new(Late(buffer.clone(), false)), true).unwrap();
        buffer.start().unwrap();
        buffer.put(b"x", Wait::No).unwrap();
        assert_eq!(buffer.flush().unwrap_err().message(), "once");
        while buffer.size() > 0 {
            std::thread::yield_now();
        }
        buffer.stop_flusher().unwrap();
        // It has the buffer.
        buffer.disconnect_sinks().unwrap();
    });
}

#[test]
fn flushers_are_started_and_stopped_by_several_threads() {
    in_time(|| {
        let buffer = FlushedBuffer::new(EventBuffer::new(Config {
            flush_timeout: None,
            flush_size: 1,
            ..Config::default()
        }));
        buffer.add_sink(Box::new(All), true).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if let Err(error) = buffer.start() {
                            assert_eq!(error.kind(), ErrorKind::State);
                        }
                        buffer.put(b"x", Wait::No).unwrap();
                        buffer.stop_flusher().unwrap();
                    }
                });
            }
        });
        // One that runs does its work.
        buffer.start().unwrap();
        buffer.put(b"x", Wait::No).unwrap();
        while buffer.size() > 0 {
            std::thread::yield_now();
        }
        buffer.stop_flusher().unwrap();
        assert_eq!(buffer.stats().flushed.packets, 3001);
    });
}
