//! Recorders when things go wrong: full disks, folders that nobody may write to, a kill in the middle; and chunks of a receiver with losses. What became of every row
//! is told, and what was flushed is there.
//!
//! Full disks are small tmpfs in a mount namespace of the test's own thread; where that is not permitted these tests are skipped, with a message, as are those for
//! which the peer cannot be installed (tools/peer-venv.sh). Under CI both are failures.
#![cfg(feature = "hdf5")]

#[path = "h5/read.rs"]
mod h5;
mod peer;
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aqueduct::dataset::record::{NotPut, RecordConfig, Recorder, StreamRecorder};
use aqueduct::dataset::{Compression, Packing};
use aqueduct::error::ErrorKind;
use aqueduct::ring::Wait;
use aqueduct::signal::array::Layout;
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::open::{InputConfig, OutputConfig};
use aqueduct::signal::params::{Params, Protocol};
use aqueduct::signal::shared::SharedInput;
use aqueduct::signal::{input::Input, output::Output};
use h5::Reading;

const GUARD: Wait = Wait::For(Duration::from_secs(60));

/// Rows of 1 KiB, each of one number.
fn rows(from: u32, to: u32) -> Vec<u8> {
    (from..to).flat_map(|number| number.to_le_bytes().repeat(256)).collect()
}

fn config(path: &Path) -> RecordConfig {
    let config = RecordConfig::new(path, "data", parse_dtype("<u4").unwrap(), &[256]);
    RecordConfig { block_rows: Some(64), ..config }
}

/// Runs `test` with a folder on a disk of `size` bytes of its own.
fn on_a_disk(size: usize, test: impl FnOnce(&Path) + Send + 'static) {
    let runs = std::thread::spawn(move || {
        let refused = |what: &str| {
            let error = std::io::Error::last_os_error();
            assert!(std::env::var_os("CI").is_none(), "{what}: {error}");
            eprintln!("SKIPPED: {what}: {error}");
        };
        // SAFETY: changes this thread and those that it starts, which have no files that depend on it.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return refused("no mount namespace");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        let none = std::ptr::null();
        // SAFETY: text that ends with 0; what is mounted is seen by this thread and those that it starts only.
        let mounted = unsafe {
            libc::mount(c"none".as_ptr(), c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast())
                == 0
                && libc::mount(c"none".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
                    == 0
        };
        if !mounted {
            return refused("no mount of a tmpfs");
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(folder.path())));
        // SAFETY: as above; what is still open keeps it.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    if let Err(panic) = runs.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A full disk ends the recording; the file has all rows that are said to be in it, in order, and no others.
#[test]
fn a_full_disk_loses_what_it_says_and_nothing_else() {
    let Some(python) = peer::python() else { return };
    for (swmr, compression) in
        [(false, Compression::None), (false, Compression::Deflate(1)), (true, Compression::None)]
    {
        let mut reading = Reading::start(&python);
        on_a_disk(4 << 20, move |folder| {
            let path = folder.join("full.h5");
            let packing = Packing { compression, shuffle: false };
            let recorder = Recorder::new(RecordConfig { swmr, packing, ..config(&path) }, None).unwrap();
            let mut given = 0;
            let error = loop {
                // Numbers that do not pack.
                let mut some = rows(given, given + 10);
                if compression != Compression::None {
                    let mut seed = u64::from(given);
                    some.iter_mut().enumerate().filter(|(i, _)| i % 1024 >= 4).for_each(|(_, byte)| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        *byte = (seed >> 33) as u8;
                    });
                }
                match recorder.put_rows(&some, None, GUARD) {
                    Ok(taken) => given += taken as u32,
                    Err(NotPut::Failed(error)) => break error,
                    Err(other) => panic!("{other:?}"),
                }
                assert!(given < 10_000, "4 MiB hold no more");
            };
            assert_eq!(error.kind(), ErrorKind::Io);
            let message = error.message();
            assert!(
                message.contains("dataset data of ")
                    && message.contains("full.h5: No space left on device: "),
                "{message}"
            );
            assert_eq!(recorder.stop().unwrap_err(), error, "it is kept");
            let stats = recorder.stats();
            assert_eq!(stats.rows_given, u64::from(given));
            assert_eq!(stats.rows_given, stats.rows_written + stats.rows_lost);
            assert!(stats.rows_written > 3000 && stats.rows_lost > 0, "{stats:?}");
            assert_eq!(stats.rows_flushed, stats.rows_written);
            drop(recorder);
            // Where the other process sees it.
            let elsewhere = tempfile::tempdir().unwrap();
            let copy = elsewhere.path().join("full.h5");
            std::fs::copy(&path, &copy).unwrap();
            let found = reading.read(&copy, "data");
            assert_eq!(found.line["shape"][0].as_u64(), Some(stats.rows_written));
            for (number, row) in found.bytes.chunks_exact(1024).enumerate() {
                assert_eq!(row[..4], (number as u32).to_le_bytes(), "row {number}");
            }
            let ledger = reading.read(&copy, "data_ledger").ledger();
            assert_eq!((ledger["rows_written"], ledger["rows_lost"]), (stats.rows_written, stats.rows_lost));
        });
    }
}

/// Of a stream, too, every frame that was taken is written or counted as lost.
#[test]
fn a_full_disk_loses_no_frames_of_a_stream_unseen() {
    on_a_disk(4 << 20, |folder| {
        let params =
            Params { protocol: Protocol::Inproc, ..Params::new(parse_dtype("<u4").unwrap(), &[-1, 256]) };
        let mut output = Output::open(params, &OutputConfig::default()).unwrap();
        let there = Params::from_json(&output.params().to_json()).unwrap();
        let input = SharedInput::new(Input::connect(there, &InputConfig::default()).unwrap());
        let config = RecordConfig::of_stream(folder.join("full.h5"), "data", &input.params());
        let config = RecordConfig { block_rows: Some(64), ..config };
        let recorder = StreamRecorder::start(config, input.clone()).unwrap();
        let layout = Layout::c_order(4, &[100, 256]).unwrap();
        let mut sent = 0;
        while recorder.wait(Wait::No).is_none() {
            assert!(sent < 100, "4 MiB hold no more");
            // Nobody takes them any more once it has failed.
            // SAFETY: the data is of that layout.
            let taken = unsafe {
                output.send(rows(0, 100).as_ptr(), &layout, None, Wait::For(Duration::from_millis(100)))
            };
            sent += u32::from(taken.is_ok());
        }
        assert_eq!(recorder.stop().unwrap_err().kind(), ErrorKind::Io);
        let stats = recorder.stats();
        assert!(stats.rows_written > 3000 && stats.rows_lost > 0, "{stats:?}");
        assert_eq!(stats.rows_given, stats.rows_written + stats.rows_lost);
        assert_eq!(stats.rows_given, input.stats().frames);
    });
}

/// A disk without room for the file itself.
#[test]
fn a_disk_that_is_full_already_is_an_error_at_once() {
    on_a_disk(1 << 20, |folder| {
        let mut other = std::fs::File::create(folder.join("other")).unwrap();
        while std::io::Write::write_all(&mut other, &[1; 4096]).is_ok() {}
        let path = folder.join("none.h5");
        let error = Recorder::new(config(&path), None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().contains("none.h5: No space left on device: "), "{error}");
        assert!(!path.exists());
        // Space again: libhdf5 holds nothing of before.
        drop(other);
        std::fs::remove_file(folder.join("other")).unwrap();
        let recorder = Recorder::new(RecordConfig { overwrite: true, ..config(&path) }, None).unwrap();
        recorder.put_rows(&rows(0, 100), None, GUARD).unwrap();
        recorder.stop().unwrap();
        assert_eq!(recorder.stats().rows_written, 100);
    });
}

#[test]
fn a_disk_that_may_only_be_read_is_an_error_that_says_so() {
    on_a_disk(1 << 20, |folder| {
        let path = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        // SAFETY: text that ends with 0; the mount is this thread's.
        let mounted = unsafe {
            libc::mount(std::ptr::null(), path.as_ptr(), std::ptr::null(), flags, std::ptr::null())
        };
        assert_eq!(mounted, 0);
        let error = Recorder::new(config(&folder.join("none.h5")), None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().contains("none.h5: Read-only file system"), "{error}");
    });
}

/// The child of the tests below: records until it is killed, and tells how many rows it has flushed.
#[test]
fn child() {
    let Ok(path) = std::env::var("AQ_RECORD_TO") else { return };
    let swmr = std::env::var_os("AQ_RECORD_SWMR").is_some();
    let pause = std::env::var_os("AQ_RECORD_PAUSE").is_some();
    let packing = Packing { compression: Compression::Deflate(1), shuffle: true };
    let flush_interval = Duration::from_millis(1);
    let recorder =
        Recorder::new(RecordConfig { swmr, packing, flush_interval, ..config(Path::new(&path)) }, None)
            .unwrap();
    let mut given = 0;
    while given < 1_000_000 {
        recorder.put_rows(&rows(given, given + 37), None, GUARD).unwrap();
        given += 37;
        if given % 370 == 0 {
            assert!(recorder.flush(GUARD).unwrap());
            println!("flushed {given}");
            if pause {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
}

/// Has a child record, and kills it when it has said so many times that it has flushed. How many rows that were.
fn killed(path: &Path, variables: &[&str], times: usize) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env("AQ_RECORD_TO", path).stdout(Stdio::piped());
    for variable in variables {
        command.env(variable, "1");
    }
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The first may stand behind what the test says of itself.
    let mut flushed =
        lines.filter_map(|line| line.rsplit_once("flushed ").map(|(_, rows)| rows.parse().unwrap()));
    let last = flushed.nth(times - 1).unwrap();
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    last
}

/// Whether these are the rows from 0 on.
fn count(bytes: &[u8]) -> u64 {
    let found = bytes.chunks_exact(1024);
    for (number, row) in found.clone().enumerate() {
        assert!(*row == rows(number as u32, number as u32 + 1), "row {number}");
    }
    found.len() as u64
}

#[test]
fn in_swmr_mode_a_kill_at_any_time_leaves_all_that_was_flushed() {
    let Some(python) = peer::python() else { return };
    let mut reading = Reading::start(&python);
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=8 {
        let path = folder.path().join(format!("{round}.h5"));
        let flushed = killed(&path, &["AQ_RECORD_SWMR"], 3 * round);
        let found = reading.try_read(&path, "data", true).unwrap();
        let rows = found.line["shape"][0].as_u64().unwrap();
        assert!(rows >= flushed, "{rows} of {flushed}");
        // Behind what was flushed there may be rows whose block was not yet written.
        assert_eq!(count(&found.bytes[..flushed as usize * 1024]), flushed);
        // It still says that it is being written. Our own reader does not mind.
        let error = reading.try_read(&path, "data", false).err().unwrap();
        assert!(error.contains("already open for write"), "{error}");
    }
}

#[test]
fn without_swmr_a_kill_between_flushes_leaves_all_that_was_flushed() {
    let Some(python) = peer::python() else { return };
    let mut reading = Reading::start(&python);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.h5");
    let flushed = killed(&path, &["AQ_RECORD_PAUSE"], 1);
    assert_eq!(count(&reading.read(&path, "data").bytes), flushed);
}

#[cfg(feature = "pcap")]
mod captures {
    use std::collections::BTreeSet;

    use aqueduct::dataset::record::RingRecorder;
    use aqueduct::recv::StreamConfig;
    use aqueduct::recv::reader::PcapReader;
    use aqueduct::recv::stats::Stat;
    use serde_json::Value as Json;

    use super::support::{Layout, chunk_stream, data, sha256};
    use super::*;

    /// A capture through a receiver to a file: each heap that came whole is there, and marked; the ledger is the receiver's.
    #[test]
    fn what_a_receiver_got_is_in_the_file_and_what_it_lost_in_the_ledger() {
        let Some(python) = peer::python() else { return };
        let mut reading = Reading::start(&python);
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "chunks_1472_48",
            "chunks_9000_40",
            "chunks_single_packet",
            "chunks_lossy",
            "chunks_reordered",
            "chunks_duplicated",
        ] {
            let text = std::fs::read_to_string(data(&format!("{name}.json"))).unwrap();
            let json: Json = serde_json::from_str(&text).unwrap();
            let (step, heap_size) =
                (json["timestamp_step"].as_u64().unwrap(), json["heap_bytes"].as_u64().unwrap() as usize);
            let layout = Layout { step, heap_size, heaps_per_chunk: 8 };
            let receive = StreamConfig { allow_out_of_order: true, ..StreamConfig::default() };
            let stream = chunk_stream(receive, layout.chunk_config(), layout, 6);
            let path = folder.path().join(format!("{name}.h5"));
            // A row is a heap.
            let config = RecordConfig {
                block_rows: Some(8),
                present_size: 8,
                packing: Packing { compression: Compression::Deflate(1), shuffle: true },
                ..RecordConfig::new(&path, "heaps", parse_dtype("<u2").unwrap(), &[heap_size / 2])
            };
            let (rings, free) = (stream.data_ring().clone(), stream.free_ring().clone());
            let recorder = RingRecorder::start(config, rings, Some(free)).unwrap();
            let reader = PcapReader::open(&data(&format!("{name}.pcap")), None).unwrap();
            assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
            // The counts of the moment at which it is asked; the last time is at the end, which comes after the stream's.
            recorder.wait(GUARD).unwrap().unwrap();
            stream.stream().stop().unwrap();
            let stats = stream.stream().snapshot();
            assert!(stats.ledger_closes());
            recorder.stop().unwrap();
            let found = reading.read(&path, "heaps");
            let present = reading.read(&path, "heaps_present");
            let ids = reading.read(&path, "heaps_chunk_id").u64s();
            let chunks = present.line["shape"][0].as_u64().unwrap();
            assert_eq!((present.line["shape"][1].as_u64(), ids.len() as u64), (Some(8), chunks));
            assert_eq!(found.line["shape"], serde_json::json!([8 * chunks, heap_size / 2]));
            let whole: BTreeSet<u64> = match json["complete_cnts"].as_array() {
                Some(cnts) => cnts.iter().map(|cnt| cnt.as_u64().unwrap() - 1).collect(),
                None => (0..json["heaps"].as_array().unwrap().len() as u64).collect(),
            };
            let mut marked = BTreeSet::new();
            for (row, heap) in
                found.bytes.chunks_exact(heap_size).enumerate().filter(|(row, _)| present.bytes[*row] == 1)
            {
                let number = ids[row / 8] * 8 + row as u64 % 8;
                let sent =
                    json["heaps"].as_array().unwrap().iter().find(|heap| heap["timestamp"] == number * step);
                assert_eq!(
                    sha256(heap),
                    sent.unwrap()["sha256"].as_str().unwrap(),
                    "heap {number} of {name}"
                );
                marked.insert(number);
            }
            // The stop heap, where there is one, is the last.
            let heaps = json["heaps"].as_array().unwrap().len() as u64;
            assert_eq!(marked, whole.into_iter().filter(|&number| number < heaps).collect(), "{name}");
            assert_eq!(stats[Stat::CompleteHeaps], marked.len() as u64);
            assert_eq!(recorder.stats().rows_written, 8 * chunks);
        }
    }

    /// The ledger is what it was told to ask.
    #[test]
    fn the_ledger_of_a_stream_is_beside_its_heaps() {
        let Some(python) = peer::python() else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.h5");
        let layout = Layout { step: 4096, heap_size: 8192, heaps_per_chunk: 8 };
        let receive = StreamConfig { allow_out_of_order: true, ..StreamConfig::default() };
        let stream = chunk_stream(receive, layout.chunk_config(), layout, 6);
        let recorder = RecordConfig {
            block_rows: Some(65536),
            chunks: true,
            ..RecordConfig::new(&path, "heaps", parse_dtype("|u1").unwrap(), &[])
        };
        let recorder = Recorder::new(recorder, Some(stream.free_ring().clone())).unwrap();
        let reader = PcapReader::open(&data("chunks_lossy.pcap"), None).unwrap();
        assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
        while let Ok(chunk) = stream.data_ring().get(GUARD) {
            recorder.put_chunk(chunk, GUARD).map_err(|(_, reason)| reason).unwrap();
        }
        stream.stream().stop().unwrap();
        let snapshot = stream.stream().snapshot();
        let counts: Vec<_> = Stat::ALL.iter().map(|&stat| (stat.name().to_owned(), snapshot[stat])).collect();
        let asked = counts.clone();
        recorder.set_ledger(Box::new(move || asked.clone()));
        recorder.stop().unwrap();
        let ledger = Reading::start(&python).read(&path, "heaps_ledger").ledger();
        for (name, value) in counts {
            assert_eq!(ledger[&name], value, "{name}");
        }
        assert!(ledger["incomplete_heaps_flushed"] + ledger["incomplete_heaps_evicted"] > 0);
        assert_eq!(ledger["rows_given"], ledger["rows_written"]);
        assert_eq!(ledger["rows_lost"], 0);
    }
}
