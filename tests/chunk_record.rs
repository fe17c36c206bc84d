//! The chunk recorder and its recordings: what was reported is there, byte by byte; whatever ends the recorder; and the ledger closes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aqueduct::chunk::record::format::Ledger;
use aqueduct::chunk::record::{Direct, FailReason, Recorder, RecorderConfig, RecorderStats, Recording};
use aqueduct::chunk::{Chunk, ChunkRing};
use aqueduct::error::ErrorKind;
use aqueduct::memory::{Allocator, HeapAllocator, MmapAllocator};
use aqueduct::ring::{GetError, Wait};
use aqueduct::storage::Durability;

const LONG: Duration = Duration::from_secs(60);

/// Sizes of chunk `n`: data, flags, extra.
fn sizes(n: u64) -> (usize, usize, usize) {
    (1 + (n as usize * 7919) % 20_000, 1 + n as usize % 50, n as usize % 9)
}

/// Bytes that follow from a chunk's number.
fn bytes(n: u64, what: u64, size: usize) -> Vec<u8> {
    (0..size as u64)
        .map(|i| (n.wrapping_mul(31).wrapping_add(what * 101).wrapping_add(i * i) >> 2) as u8)
        .collect()
}

fn chunk_of(n: u64, (data, present, extra): (usize, usize, usize), allocator: &dyn Allocator) -> Box<Chunk> {
    let mut chunk = Box::new(Chunk::allocate(allocator, data, present, extra).unwrap());
    chunk.id = n as i64 * 2 - 5;
    chunk.stream_id = 77;
    assert!(chunk.data.write(0, &bytes(n, 0, data)));
    assert!(chunk.present.write(0, &bytes(n, 1, present)));
    assert!(chunk.extra.write(0, &bytes(n, 2, extra)));
    chunk
}

fn chunk(n: u64) -> Box<Chunk> {
    chunk_of(n, sizes(n), &MmapAllocator::default())
}

fn ring(capacity: usize) -> Arc<ChunkRing> {
    Arc::new(ChunkRing::new(capacity).unwrap())
}

/// Checks that the chunk at `number` is the one that was made as `n`.
fn check(recording: &Recording, number: usize, n: u64, sizes: (usize, usize, usize)) {
    let record = recording.chunks()[number].record;
    assert_eq!((record.sequence, record.id, record.stream_id), (n, n as i64 * 2 - 5, 77));
    let (data_size, present_size, extra_size) = sizes;
    let (mut data, mut present, mut extra) = (vec![0; data_size], vec![0; present_size], vec![0; extra_size]);
    recording.read(number, &mut data, &mut present, &mut extra).unwrap();
    assert!(data == bytes(n, 0, data_size), "data of {n}");
    assert!(present == bytes(n, 1, present_size), "flags of {n}");
    assert!(extra == bytes(n, 2, extra_size), "extra data of {n}");
    recording.verify(number).unwrap();
}

/// Records chunks `0 .. count`.
fn record(config: RecorderConfig, count: u64) -> RecorderStats {
    let (data, free) = (ring(8), ring(count as usize));
    let recorder = Recorder::new(data.clone(), Some(free.clone()), config, None).unwrap();
    for n in 0..count {
        data.put(chunk(n), Wait::For(LONG)).unwrap();
    }
    data.stop();
    assert!(recorder.wait(Wait::For(LONG)).unwrap());
    let stats = recorder.stats();
    assert!(stats.ledger_closes(), "{stats:?}");
    assert_eq!((stats.given, stats.in_flight), (count, 0));
    for _ in 0..free.size() {
        let chunk = free.get(Wait::No).unwrap();
        // SAFETY: all flags were written.
        assert!(unsafe { chunk.present.as_slice() }.iter().all(|&flag| flag == 0), "flags are cleared");
    }
    stats
}

#[test]
fn what_is_recorded_is_read() {
    for direct in [Direct::Auto, Direct::Never] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().join("run.aqc");
        let header = b"what it is".to_vec();
        let ledger = Ledger { packets: 3, packets_lost: 1, ..Ledger::default() };
        let config = RecorderConfig {
            header: header.clone(),
            direct,
            ledger: Some(Box::new(move || ledger)),
            ..RecorderConfig::new(&path)
        };
        let stats = record(config, 40);
        assert_eq!((stats.written, stats.failed(), stats.freed, stats.durable), (40, 0, 0, 0));
        assert_eq!(stats.data_bytes, (0..40).map(|n| sizes(n).0 as u64).sum::<u64>());
        if direct == Direct::Never {
            assert!(!stats.direct);
        }
        for name in [path.clone(), path.with_extension("aqc.index")] {
            let recording = Recording::open(&name).unwrap();
            assert!(recording.is_whole());
            assert_eq!(recording.chunks().len(), 40);
            assert_eq!(recording.files()[0].header.user, header);
            (0..40).for_each(|n| check(&recording, n as usize, n, sizes(n)));
            assert!(
                recording
                    .chunks()
                    .iter()
                    .all(|entry| entry.record.ledger == Some(ledger) && !entry.recovered)
            );
            assert_eq!(recording.find(7, 0), Some(6));
            assert_eq!((recording.find(7, 7), recording.find(8, 0)), (None, None));
            let error = recording.read(40, &mut [], &mut [], &mut []).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let error = recording.read(1, &mut [0; 3], &mut [], &mut []).unwrap_err();
            assert!(error.message().contains("data_size must be 7920"), "{error}");
        }
        // The file ends with its last chunk, in whole blocks.
        let end = Recording::open(&path).unwrap().files()[0].end.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), end.data_end);
        assert!(end.last && end.given == 40 && end.data_end.is_multiple_of(4096));
    }
}

#[test]
fn memory_that_is_not_aligned_is_copied() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("run.aqc");
    let data = ring(8);
    let recorder = Recorder::new(data.clone(), None, RecorderConfig::new(&path), None).unwrap();
    let size = (3 << 20) + 5;
    // Memory at an odd address.
    let block = HeapAllocator.allocate(size + 1, None).unwrap();
    let start = std::ptr::NonNull::new(block.as_ptr().wrapping_add(1)).unwrap();
    // SAFETY: one byte into a block of one byte more, which is kept until the release.
    let odd = unsafe { aqueduct::memory::Buffer::from_raw(start, size, move || drop(block)) };
    let small = || HeapAllocator.allocate(1, None).unwrap();
    let mut chunk = Box::new(Chunk::new(odd, small(), aqueduct::memory::Buffer::empty()).unwrap());
    (chunk.id, chunk.stream_id) = (-5, 77);
    assert!(chunk.data.write(0, &bytes(0, 0, size)) && chunk.present.write(0, &bytes(0, 1, 1)));
    data.put(chunk, Wait::No).unwrap();
    assert!(recorder.stop(Wait::For(LONG)).unwrap());
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.freed, stats.copied), (1, 1, u64::from(stats.direct)));
    check(&Recording::open(&path).unwrap(), 0, 0, (size, 1, 0));
}

#[test]
fn files_follow_each_other() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pattern = folder.path().join("run-%03n.aqc");
    // A file of another run is left alone.
    std::fs::write(folder.path().join("run-002.aqc"), "mine").unwrap();
    let config = RecorderConfig { rotate_bytes: 50_000, ..RecorderConfig::new(&pattern) };
    let stats = record(config, 60);
    assert_eq!((stats.written, stats.failed()), (60, 0));
    let recording = Recording::open(&folder.path().join("run-001.aqc")).unwrap();
    assert!(!recording.is_whole(), "number 2 is missing, as the other run has it");
    assert_eq!(recording.files().len() as u64, stats.files);
    assert!(stats.files > 5);
    (0..60).for_each(|n| check(&recording, n as usize, n, sizes(n)));
    for file in recording.files() {
        assert!(file.size < 50_000 + 30_000 && file.end.is_some() && file.index_problem.is_none());
    }
    assert_eq!(std::fs::read(folder.path().join("run-002.aqc")).unwrap(), b"mine");
}

#[test]
fn durable_is_what_was_synced() {
    for (durability, durable) in [
        (Durability::Flush, 20),
        (Durability::Interval(Duration::from_secs(3600)), 20),
        (Durability::System, 0),
    ] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let config = RecorderConfig { durability, ..RecorderConfig::new(folder.path().join("run.aqc")) };
        let data = ring(32);
        let (sender, reports) = mpsc::channel();
        let report = Box::new(move |recorded: &aqueduct::chunk::record::Recorded<'_>| {
            let _ = sender.send((recorded.sequence, recorded.result.is_ok_and(|durable| durable)));
        });
        let recorder = Recorder::new(data.clone(), None, config, Some(report)).unwrap();
        (0..20).for_each(|n| data.put(chunk(n), Wait::No).unwrap());
        for n in 0..20 {
            let expected = durability == Durability::Flush;
            assert_eq!(reports.recv_timeout(LONG).unwrap(), (n, expected), "in order");
        }
        assert_eq!(recorder.stats().durable, if durability == Durability::Flush { 20 } else { 0 });
        assert!(recorder.stop(Wait::For(LONG)).unwrap());
        assert_eq!(recorder.stats().durable, durable, "closing makes the rest durable");
    }
    // An interval also passes while no chunk comes.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let durability = Durability::Interval(Duration::from_millis(50));
    let config = RecorderConfig { durability, ..RecorderConfig::new(folder.path().join("run.aqc")) };
    let data = ring(32);
    let recorder = Recorder::new(data.clone(), None, config, None).unwrap();
    data.put(chunk(0), Wait::No).unwrap();
    let begin = std::time::Instant::now();
    while recorder.stats().durable == 0 {
        assert!(begin.elapsed() < LONG);
        std::thread::yield_now();
    }
}

#[test]
fn a_slow_end_is_bounded_and_a_stop_is_in_time() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, free) = (ring(4), ring(200));
    let (go, gate) = mpsc::channel::<()>();
    // As a disk that takes for ever.
    let report = Box::new(move |_: &aqueduct::chunk::record::Recorded<'_>| {
        let _ = gate.recv_timeout(LONG);
    });
    let config = RecorderConfig { in_flight: 2, ..RecorderConfig::new(folder.path().join("run.aqc")) };
    let recorder = Recorder::new(data.clone(), Some(free.clone()), config, Some(report)).unwrap();
    let mut put = 0;
    // Until nothing goes in any more: what is written and waits to be committed is bounded.
    while data.put(chunk(put), Wait::For(Duration::from_millis(300))).is_ok() {
        put += 1;
    }
    assert!(put < 100, "{put}");
    let stats = recorder.stats();
    assert!(stats.ledger_closes() && stats.in_flight > 0, "{stats:?}");
    assert!(!recorder.stop(Wait::For(Duration::from_millis(20))).unwrap(), "not in time");
    drop(go);
    assert!(recorder.wait(Wait::For(LONG)).unwrap());
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.in_flight, data.size()), (put, 0, 0), "what was in the ring as well");
    assert_eq!(free.size() as u64, put);
    assert!(Recording::open(&folder.path().join("run.aqc")).unwrap().is_whole());
}

#[test]
fn dropped_it_leaves_the_ring_alone_and_a_stopped_free_ring_frees() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("run.aqc");
    let (data, free) = (ring(4), ring(4));
    let recorder = Recorder::new(data.clone(), Some(free.clone()), RecorderConfig::new(&path), None).unwrap();
    drop(recorder);
    data.put(chunk(0), Wait::No).unwrap();
    assert_eq!(data.size(), 1, "nobody takes it");
    let recording = Recording::open(&path).unwrap();
    assert!(recording.is_whole() && recording.chunks().is_empty());
    free.stop();
    let path = folder.path().join("again.aqc");
    let recorder = Recorder::new(data.clone(), Some(free.clone()), RecorderConfig::new(&path), None).unwrap();
    assert!(recorder.stop(Wait::For(LONG)).unwrap());
    assert_eq!((recorder.stats().written, recorder.stats().freed), (1, 1));
    assert_eq!(free.get(Wait::No).unwrap_err(), GetError::Stopped);
}

#[test]
fn what_cannot_be_begun_is_refused() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let new = |path: &Path, change: &dyn Fn(&mut RecorderConfig)| {
        let mut config = RecorderConfig::new(path);
        change(&mut config);
        Recorder::new(ring(2), Some(ring(2)), config, None).err().expect("refused")
    };
    let path = folder.path().join("run.aqc");
    let refuse = |path: &Path, change: &dyn Fn(&mut RecorderConfig), kind, text: &str| {
        let error = new(path, change);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(text), "{error}");
    };
    let same = |_: &mut RecorderConfig| {};
    std::fs::write(&path, "there").unwrap();
    refuse(&path, &same, ErrorKind::Io, "run.aqc: creating it: ");
    assert_eq!(std::fs::read(&path).unwrap(), b"there");
    std::fs::rename(&path, folder.path().join("two.aqc.index")).unwrap();
    refuse(&folder.path().join("two.aqc"), &same, ErrorKind::Io, "two.aqc.index: creating it: ");
    assert!(!folder.path().join("two.aqc").exists(), "nothing is left behind");
    refuse(folder.path(), &same, ErrorKind::Invalid, "path must be a file's (got the folder ");
    refuse(&folder.path().join("no/such/run"), &same, ErrorKind::Io, "No such file");
    refuse(Path::new(""), &same, ErrorKind::Invalid, "path must not be empty");
    refuse(&path, &|c| c.in_flight = 0, ErrorKind::Invalid, "in_flight must be between 1 and 64 (got 0)");
    refuse(&path, &|c| c.in_flight = 65, ErrorKind::Invalid, "(got 65)");
    refuse(&path, &|c| c.rotate_bytes = 1, ErrorKind::Invalid, "%n for the number");
    refuse(
        &path,
        &|c| c.header = vec![0; (1 << 20) + 1],
        ErrorKind::Invalid,
        "header_size must be at most 1048576",
    );
    let one = ring(2);
    let error = Recorder::new(one.clone(), Some(one), RecorderConfig::new(&path), None).err().unwrap();
    assert!(error.message().contains("must be two rings"), "{error}");
    assert!(!path.exists());
}

/// A disk that is full: files may not grow beyond a limit. In a process of its own, whose limit it is.
#[test]
fn a_full_disk_is_counted_and_recording_goes_on() {
    if let Some(path) = std::env::var_os("AQ_TEST_FULL") {
        return fill_the_disk(Path::new(&path));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let status = Command::new("unshare")
        .args(["-m", "sh", "-c", "mount -t tmpfs -o size=200k none \"$AQ_TEST_FULL\" && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_full_disk_is_counted_and_recording_goes_on", "--nocapture"])
        .env("AQ_TEST_FULL", folder.path())
        .output();
    match status {
        Ok(output) if output.status.success() => {}
        Ok(output)
            if String::from_utf8_lossy(&output.stderr).contains("ermi")
                && std::env::var_os("CI").is_none() =>
        {
            println!("SKIPPED: no mount namespace: {}", String::from_utf8_lossy(&output.stderr));
        }
        other => panic!("{other:?}"),
    }
}

fn fill_the_disk(folder: &Path) {
    let path = folder.join("run.aqc");
    let (data, free) = (ring(100), ring(100));
    let (sender, reports) = mpsc::channel();
    let report = Box::new(move |recorded: &aqueduct::chunk::record::Recorded<'_>| {
        let failed = recorded.result.err().map(|(reason, error)| (reason, error.to_string()));
        let _ = sender.send((recorded.sequence, failed));
    });
    let ballast = folder.join("ballast");
    let config = RecorderConfig { in_flight: 1, ..RecorderConfig::new(&path) };
    let recorder = Recorder::new(data.clone(), Some(free.clone()), config, Some(report)).unwrap();
    std::fs::write(&ballast, vec![1; 100 << 10]).unwrap();
    let size = (20_000, 5, 0);
    let put = |n| data.put(chunk_of(n, size, &MmapAllocator::default()), Wait::No).unwrap();
    (0..6).for_each(put);
    let mut failed = Vec::new();
    let next = || reports.recv_timeout(LONG).unwrap();
    for n in 0..6 {
        let (sequence, failure) = next();
        assert_eq!(sequence, n);
        if let Some((reason, error)) = failure {
            assert_eq!(reason, FailReason::DiskFull, "{error}");
            assert!(
                error.contains("run.aqc: writing at byte ") && error.contains("No space left"),
                "{error}"
            );
            failed.push(n);
        }
    }
    assert!((1..6).contains(&failed.len()), "{failed:?}");
    let (_, error) = recorder.status();
    assert!(error.unwrap().message().contains("No space left"));
    // There is space again.
    std::fs::remove_file(&ballast).unwrap();
    put(6);
    assert_eq!(next(), (6, None));
    assert!(recorder.status().1.is_none(), "all is well");
    assert!(recorder.stop(Wait::For(LONG)).unwrap());
    let stats = recorder.stats();
    assert!(stats.ledger_closes() && stats.given == 7);
    assert_eq!((stats.failed_full, stats.failed_io), (failed.len() as u64, 0));
    assert_eq!(free.size(), 7, "those that failed came back as well");
    let recording = Recording::open(&path).unwrap();
    assert!(recording.is_whole());
    assert_eq!(recording.failed(), failed.len() as u64);
    let expected: Vec<u64> = (0..7).filter(|n| !failed.contains(n)).collect();
    assert_eq!(recording.chunks().len(), expected.len());
    expected.iter().enumerate().for_each(|(number, &n)| check(&recording, number, n, size));
}

/// A recording of 10 chunks whose files were closed.
fn ten() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("run.aqc");
    assert_eq!(record(RecorderConfig::new(&path), 10).written, 10);
    (folder, path)
}

#[test]
fn a_torn_or_missing_index_is_rebuilt() {
    let (_folder, path) = ten();
    let index = path.with_extension("aqc.index");
    let whole = std::fs::read(&index).unwrap();
    // Cut anywhere: whatever the index does not have any more is found in the data file.
    for size in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        std::fs::write(&index, &whole[..size]).unwrap();
        let recording = Recording::open(&path).unwrap();
        assert!(!recording.is_whole());
        let file = &recording.files()[0];
        assert_eq!(recording.chunks().len(), 10, "{size}");
        let indexed = recording.chunks().iter().filter(|entry| !entry.recovered).count();
        assert_eq!(file.recovered, 10 - indexed as u64);
        if let Some((at, length)) = file.torn {
            assert_eq!(at + length, size as u64);
            assert!(file.index_problem.as_ref().unwrap().contains(&format!("from byte {at} on")));
        }
        if size % 5 == 0 {
            (0..10).for_each(|n| check(&recording, n as usize, n, sizes(n)));
        }
    }
    // Damage in the middle.
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    std::fs::write(&index, &damaged).unwrap();
    let recording = Recording::open(&path).unwrap();
    (0..10).for_each(|n| check(&recording, n as usize, n, sizes(n)));
    assert!(recording.files()[0].torn.is_some());
    std::fs::remove_file(&index).unwrap();
    let recording = Recording::open(&path).unwrap();
    assert!(recording.files()[0].index_problem.as_ref().unwrap().contains("No such file"));
    (0..10).for_each(|n| check(&recording, n as usize, n, sizes(n)));
    // Without an index, and with the third chunk damaged: all the others.
    let offset = recording.chunks()[2].record.offset;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"x", offset + 3).unwrap();
    let recording = Recording::open(&path).unwrap();
    let found: Vec<u64> = recording.chunks().iter().map(|entry| entry.record.sequence).collect();
    assert_eq!(found, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    // The data file cut within its last chunk.
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    assert_eq!(Recording::open(&path).unwrap().chunks().len(), 8);
}

#[test]
fn damage_is_found() {
    let (_folder, path) = ten();
    let recording = Recording::open(&path).unwrap();
    let record = recording.chunks()[4].record;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    for (at, what) in [
        (record.offset + 30, "record in the data file"),
        (record.offset + 160, "flags"),
        (record.offset + record.data_start() + 9, "data"),
    ] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let error = recording.verify(4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        let place = format!("chunk 4 at byte {}", record.offset);
        assert!(error.message().contains(&place) && error.message().contains(what), "{error}");
        let mut data = vec![0; record.data_size as usize];
        let mut present = vec![0; record.present_size as usize];
        let mut extra = vec![0; record.extra_size as usize];
        assert_eq!(recording.read(4, &mut data, &mut present, &mut extra).is_err(), at != record.offset + 30);
        recording.verify(3).unwrap();
        file.write_all_at(&byte, at).unwrap();
    }
    file.set_len(record.offset + 100).unwrap();
    let recording = Recording::open(&path).unwrap();
    assert_eq!(recording.verify(4).unwrap_err().kind(), ErrorKind::Truncated);
    recording.verify(3).unwrap();
}

#[test]
fn what_is_no_recording_is_refused() {
    let (folder, path) = ten();
    let open = |path: &Path| Recording::open(path).unwrap_err();
    let other = folder.path().join("other");
    std::fs::write(&other, vec![b'x'; 100]).unwrap();
    assert_eq!(open(&other).kind(), ErrorKind::Format);
    std::fs::write(&other, b"AQCHUNK\n").unwrap();
    assert_eq!(open(&other).kind(), ErrorKind::Truncated);
    assert_eq!(open(folder.path()).kind(), ErrorKind::Invalid);
    assert_eq!(open(&folder.path().join("none")).kind(), ErrorKind::Io);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 9;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(open(&path).kind(), ErrorKind::Version);
    // A damaged header: the index has the same.
    bytes[8] = 1;
    bytes[17] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Recording::open(&path).unwrap().chunks().len(), 10);
    std::fs::remove_file(path.with_extension("aqc.index")).unwrap();
    assert_eq!(open(&path).kind(), ErrorKind::Format);
}

/// Killed at any moment: every chunk that was reported is there, and no other that was not put.
#[test]
fn killed_it_keeps_what_it_has_reported() {
    if let Some(folder) = std::env::var_os("AQ_TEST_KILLED") {
        record_until_killed(Path::new(&folder));
    }
    let mut reported_in_all = 0;
    for round in 0..100u64 {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_it_keeps_what_it_has_reported", "--nocapture"])
            .env("AQ_TEST_KILLED", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Each report is a line; the kill comes at some place between two, or within one.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut reported = None;
        let next = |lines: &mut std::io::Lines<_>| -> Option<u64> {
            loop {
                let line: String = lines.next()?.ok()?;
                if let Some(number) = line.strip_prefix("reported ").and_then(|line| line.strip_suffix('.')) {
                    break number.parse().ok();
                }
            }
        };
        while reported.unwrap_or(0) < 1 + round * 2 {
            reported = Some(next(&mut lines).expect("it runs until it is killed"));
        }
        // Some more of its time, of a length that varies without anybody measuring it.
        for _ in 0..round * 1000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(number) = next(&mut lines) {
            reported = Some(number);
        }
        let reported = reported.unwrap();
        reported_in_all += reported;
        let recording = Recording::open(&folder.path().join("run-0.aqc")).unwrap();
        assert!(!recording.is_whole());
        let indexed = recording.chunks().iter().filter(|entry| !entry.recovered).count() as u64;
        assert!(
            indexed > reported,
            "round {round}: {reported} was reported, and the index has {indexed} chunks"
        );
        (0..indexed).for_each(|n| check(&recording, n as usize, n, sizes(n)));
        // Behind them may be chunks that were written and not yet entered: real ones, a few at the most.
        let rest = &recording.chunks()[indexed as usize..];
        for (number, entry) in (indexed as usize..).zip(rest) {
            let n = entry.record.sequence;
            assert!(entry.recovered && n >= indexed && n < indexed + 72);
            check(&recording, number, n, sizes(n));
        }
    }
    assert!(reported_in_all > 100 * 99);
}

fn record_until_killed(folder: &Path) -> ! {
    let (data, free) = (ring(8), ring(8));
    let report = Box::new(|recorded: &aqueduct::chunk::record::Recorded<'_>| {
        assert!(recorded.result.is_ok());
        let line = format!("reported {}.\n", recorded.sequence);
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        let _ = std::io::stdout().lock().flush();
    });
    let config = RecorderConfig { rotate_bytes: 400_000, ..RecorderConfig::new(folder.join("run-%n.aqc")) };
    let recorder = Recorder::new(data.clone(), Some(free.clone()), config, Some(report)).unwrap();
    for n in 0.. {
        data.put(chunk(n), Wait::Forever).unwrap();
        while free.get(Wait::No).is_ok() {}
    }
    drop(recorder);
    std::process::exit(0);
}
