//! examples/signal_producer.c, signal_consumer.c, shared_history.c and bridge_chunks.c

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::receive_chunks::immediate;
use crate::running::{payloads, variants, Running};

const PRODUCER: &str = "../examples/signal_producer.c";
const CONSUMER: &str = "../examples/signal_consumer.c";
const HISTORY: &str = "../examples/shared_history.c";
const BRIDGE: &str = "../examples/bridge_chunks.c";

pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Both programs in each variant, and the folders that they are in.
fn pairs(first: &'static str, second: &'static str) -> Vec<([PathBuf; 2], [TempDir; 2])> {
    let build = |program: &aqueduct_c_tests::Program| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        (program.build(folder.path()), folder)
    };
    let pairs = variants(first).into_iter().zip(variants(second));
    pairs
        .map(|(first, second)| {
            let ((first, one), (second, other)) = (build(&first), build(&second));
            ([first, second], [one, other])
        })
        .collect()
}

/// What the producer sends: channel `c` is a sine of `c + 1` Hz.
pub fn sine(frames: i64, channels: i64, rate: i64) -> impl Iterator<Item = u8> {
    let value = move |frame: i64, channel: i64| {
        let turns = (frame % rate * (channel + 1) % rate) as f64 / rate as f64;
        (10000.0 * (2.0 * std::f64::consts::PI * turns).sin()).round() as i16
    };
    let values = (0..frames).flat_map(move |frame| (0..channels).map(move |channel| value(frame, channel)));
    values.flat_map(i16::to_le_bytes)
}

/// The ranges of `frames A to B` and `frames A to B are missing`.
fn ranges(lines: &[String]) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let (mut came, mut missing) = (Vec::new(), Vec::new());
    for line in lines.iter().filter_map(|line| line.strip_prefix("frames ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let range = words[0].parse().expect("a number")..words[2].parse().expect("a number");
        if words.len() > 3 {
            missing.push(range)
        } else {
            came.push(range)
        }
    }
    (came, missing)
}

#[test]
fn a_consumer_receives_what_a_producer_sends() {
    for ([producer, consumer], _folders) in pairs(PRODUCER, CONSUMER) {
        for way in [
            &["protocol=shm"][..],
            &["protocol=tcp"],
            &["protocol=ipc", "compression=lz4"],
            &["compression=blosclz"],
        ] {
            if !cfg!(feature = "zmq") && way != ["protocol=shm"] {
                continue;
            }
            let numbers = ["channels=3", "chunk=37", "frames=2000", "inputs=1", "pace=0"];
            let sender = Running::start(&producer, way.iter().chain(&numbers), 0);
            let receiver = Running::start(&consumer, [sender.line(), "2000".into()], 0);
            let (status, _, complaints) = sender.end();
            assert_eq!(status.code(), Some(0), "{complaints:?}");
            assert!(complaints.contains(&"2000 frames in 55 chunks, 0 dropped for slow receivers".to_owned()));
            let (status, lines, complaints) = receiver.end();
            assert_eq!(status.code(), Some(0), "{complaints:?}");
            assert!(complaints.contains(&"that is all".to_owned()), "{complaints:?}");
            let hash = fnv1a(sine(2000, 3, 1000));
            let expected = format!("2000 frames in 55 chunks, 0 missing in 0 gaps, fnv1a {hash:016x}");
            assert_eq!(lines.last(), Some(&expected), "{way:?} {complaints:?}");
            let (came, missing) = ranges(&lines);
            assert_eq!((came.len(), came[54].clone(), missing.len()), (55, 1998..2000, 0));
        }
    }
}

#[test]
fn a_producer_that_is_killed_is_noticed() {
    for ([producer, consumer], _folders) in pairs(PRODUCER, CONSUMER) {
        let mut sender = Running::start(&producer, ["protocol=shm", "rate=10000", "chunk=10"], 0);
        let receiver = Running::start(&consumer, [sender.line()], 0);
        receiver.line();
        sender.kill();
        let (status, lines, complaints) = receiver.end();
        assert_eq!(status.code(), Some(0), "{complaints:?}");
        assert!(complaints.contains(&"the sender has ended".to_owned()), "{complaints:?}");
        assert!(lines.last().is_some_and(|line| line.contains(", 0 missing in 0 gaps")), "{lines:?}");
    }
}

#[test]
fn what_is_no_stream_is_told() {
    for program in variants(CONSUMER) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let consumer = program.build(folder.path());
        for (params, reason) in [
            ("{", "params: not JSON"),
            (r#"{"protocol": "shm", "interface": "nobody"}"#, "there is none of that name on this host"),
        ] {
            let (status, _, complaints) = Running::start(&consumer, [params], 0).end();
            assert_eq!(status.code(), Some(1));
            assert!(complaints[0].contains(reason), "{complaints:?}");
        }
    }
}

#[test]
fn another_process_looks_at_a_history() {
    for program in variants(HISTORY) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = program.build(folder.path());
        let writer = Running::start(&program, ["1"], 0);
        let reader = Running::start(&program, [writer.line()], 0);
        let (status, ..) = writer.end();
        assert_eq!(status.code(), Some(0));
        let (status, lines, complaints) = reader.end();
        assert_eq!(status.code(), Some(0), "{complaints:?}");
        let (last, windows) = lines.split_last().expect("it says something");
        assert_eq!(last, "the other process has ended, at frame 1000");
        // Each once, up to the end.
        let start = |windows: usize| 1000 - 100 * windows;
        for (i, line) in windows.iter().enumerate() {
            let at = start(windows.len() - i);
            assert_eq!(*line, format!("frames {at} to {}: power 0.500, first {at}", at + 100));
        }
        assert!(!windows.is_empty(), "it came too late");
    }
}

const STEP: u64 = 4096;
const HEAP_SIZE: usize = 8192;

/// The heaps of a capture that are complete, by their number.
fn heaps(packets: &[Vec<u8>]) -> BTreeMap<u64, Vec<u8>> {
    let mut heaps: BTreeMap<u64, (Vec<u8>, usize)> = BTreeMap::new();
    for packet in packets {
        let Some(heap) = immediate(packet, 0x1600).map(|timestamp| timestamp / STEP) else { continue };
        let offset = immediate(packet, 3).expect("an offset") as usize;
        let length = immediate(packet, 4).expect("a length") as usize;
        let (data, seen) = heaps.entry(heap).or_insert_with(|| (vec![0; HEAP_SIZE], 0));
        data[offset..offset + length].copy_from_slice(&packet[packet.len() - length..]);
        *seen += length;
    }
    heaps
        .into_iter()
        .filter(|(_, (_, seen))| *seen == HEAP_SIZE)
        .map(|(heap, (data, _))| (heap, data))
        .collect()
}

#[test]
fn chunks_of_a_capture_become_frames() {
    for ([bridge, consumer], _folders) in pairs(BRIDGE, CONSUMER) {
        for (capture, protocol) in
            [("chunks_1472_48.pcap", "shm"), ("chunks_lossy.pcap", "shm"), ("chunks_lossy.pcap", "tcp")]
        {
            if !cfg!(feature = "zmq") && protocol == "tcp" {
                continue;
            }
            let packets = payloads(capture);
            let arguments = ["127.0.0.1", "0", "0x1600", "4096", "8192", "16", protocol, "1"];
            let mut sender = Running::start(&bridge, arguments, 0);
            let last = heaps(&packets).into_keys().last().expect("heaps") + 1;
            let receiver = Running::start(&consumer, [sender.line(), last.to_string()], 0);
            let said = sender.complaint("listening on ");
            sender.ports = vec![said.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")];
            sender.send(0, &packets);
            let (status, lines, complaints) = sender.end();
            assert_eq!(status.code(), Some(0), "{lines:?} {complaints:?}");
            let complete = heaps(&packets);
            assert!(
                lines[0].starts_with(&format!("{0} heaps in, {0} frames out", complete.len())),
                "{lines:?}"
            );
            let (status, lines, complaints) = receiver.end();
            assert_eq!(status.code(), Some(0), "{complaints:?}");
            let (came, missing) = ranges(&lines);
            let frames: Vec<u64> = came.into_iter().flatten().collect();
            assert!(frames.iter().eq(complete.keys()), "{capture}: {frames:?}");
            let (first, last) = (frames[0], frames[frames.len() - 1]);
            let lost: Vec<u64> = (first..last).filter(|heap| !complete.contains_key(heap)).collect();
            assert_eq!(missing.iter().cloned().flatten().collect::<Vec<_>>(), lost, "{capture}");
            assert_eq!(lost.is_empty(), capture == "chunks_1472_48.pcap");
            let hash = fnv1a(complete.into_values().flatten());
            assert!(lines[lines.len() - 1].ends_with(&format!("fnv1a {hash:016x}")), "{capture} {lines:?}");
        }
    }
}
