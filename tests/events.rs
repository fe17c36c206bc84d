//! Event buffers: what is put is in the files, or counted.

use std::path::Path;
use std::time::Duration;

use aqueduct::error::ErrorKind;
use aqueduct::event::sink::{self, FileConfig};
use aqueduct::event::{Amount, Config, EventBuffer, FlushedBuffer, Kind, PopError, PutError, Stats};
use aqueduct::ring::{Overflow, Wait};

fn file(path: &Path) -> FileConfig {
    FileConfig { path: path.to_owned(), ..FileConfig::default() }
}

fn amount(packets: u64, bytes: u64) -> Amount {
    Amount { packets, bytes }
}

/// Every packet is in exactly one counter.
fn closes(stats: &Stats) -> bool {
    let mut sum = stats.waiting;
    for part in [stats.flushed, stats.popped, stats.cleared, stats.overflow_oldest, stats.overflow_newest] {
        sum += part;
    }
    sum == stats.put
}

#[test]
fn a_flush_writes_what_was_put_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.dat");
    let buffer = EventBuffer::new(Config::default());
    assert_eq!(buffer.flush().unwrap_err().kind(), ErrorKind::State);
    let config = FileConfig { header: b"head\n".into(), ..file(&path) };
    buffer.add_sink(sink::binary(config).unwrap(), true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"head\n");
    for packet in ["one", "", "three"] {
        buffer.put(packet.as_bytes(), Wait::No).unwrap();
    }
    assert_eq!((buffer.size(), buffer.bytes()), (3, 8));
    let flushed = buffer.flush().unwrap();
    assert_eq!((flushed.packets, flushed.bytes), (3, 8));
    assert_eq!(buffer.flush().unwrap().packets, 0);
    buffer.put(b"4", Wait::No).unwrap();
    buffer.flush().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"head\nonethree4");
    let stats = buffer.stats();
    assert_eq!((stats.put, stats.flushed, stats.flushes), (amount(4, 9), amount(4, 9), 3));
    assert!(closes(&stats));
    let again = sink::binary(file(&path)).err().unwrap();
    assert!(again.message().contains("run.dat: creating it: File exists"), "{again}");
}

#[test]
fn overflow() {
    for (overflow, kept) in
        [(Overflow::Block, "ab"), (Overflow::DropNewest, "ab"), (Overflow::DropOldest, "cd")]
    {
        let buffer = EventBuffer::new(Config { capacity: 2, overflow: Some(overflow), ..Config::default() });
        for packet in ["a", "b", "c", "d"] {
            let result = buffer.put(packet.as_bytes(), Wait::No);
            let expected =
                if overflow == Overflow::Block && packet > "b" { Err(PutError::Full) } else { Ok(()) };
            assert_eq!(result, expected, "{overflow:?} {packet}");
        }
        let mut found = String::new();
        let mut memory = [0; 1];
        while let Ok((1, _)) = buffer.pop(&mut memory, Wait::No) {
            found.push(memory[0].into());
        }
        assert_eq!(found, kept, "{overflow:?}");
        assert_eq!(buffer.pop(&mut memory, Wait::For(Duration::from_millis(1))), Err(PopError::TimedOut));
        let stats = buffer.stats();
        assert!(closes(&stats), "{stats:?}");
        let lost = if overflow == Overflow::Block { 0 } else { 2 };
        assert_eq!(stats.overflow_newest.packets + stats.overflow_oldest.packets, lost);
        assert_eq!(stats.refused, 2 - lost);
    }
}

#[test]
fn a_flusher_writes_all_that_many_threads_put() {
    const THREADS: u32 = 4;
    const PACKETS: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.dat");
    let config = Config { kind: Kind::Fifo, flush_size: 500, capacity: 1000, ..Config::default() };
    let buffer = FlushedBuffer::new(EventBuffer::new(config));
    buffer.add_sink(sink::binary(file(&path)).unwrap(), true).unwrap();
    buffer.start().unwrap();
    assert_eq!(buffer.start().unwrap_err().kind(), ErrorKind::State);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let buffer = &buffer;
            scope.spawn(move || {
                for i in 0..PACKETS {
                    let packet = (thread << 24 | i).to_le_bytes();
                    buffer.put(&packet, Wait::Forever).unwrap();
                }
            });
        }
    });
    buffer.stop_flusher().unwrap();
    let mut next = [0; THREADS as usize];
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u32, THREADS * PACKETS * 4);
    for packet in bytes.as_chunks::<4>().0 {
        let number = u32::from_le_bytes(*packet);
        let next = &mut next[(number >> 24) as usize];
        assert_eq!(number & 0xff_ffff, *next);
        *next += 1;
    }
    assert!(closes(&buffer.stats()));
}

#[test]
fn a_file_that_is_old_is_followed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, interval| FileConfig {
        rotate_interval: Some(interval),
        header: b"head\n".into(),
        ..file(&folder.path().join(name))
    };
    let buffer = EventBuffer::new(Config::default());
    let (soon, late) = (Duration::from_nanos(1), Duration::from_secs(3600));
    buffer.add_sink(sink::binary(config("soon-%n", soon)).unwrap(), false).unwrap();
    buffer.add_sink(sink::binary(config("late-%n", late)).unwrap(), true).unwrap();
    for packet in ["one", "two"] {
        buffer.put(packet.as_bytes(), Wait::No).unwrap();
        buffer.flush().unwrap();
        // Without a packet there is no next file.
        buffer.flush().unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        // The first one had no packet yet when it was old: it stays.
        ["soon-0", "soon-1", "soon-2"].map(read),
        [text("head\none"), text("head\ntwo"), None]
    );
    assert_eq!(["late-0", "late-1"].map(read), [text("head\nonetwo"), None]);
}
