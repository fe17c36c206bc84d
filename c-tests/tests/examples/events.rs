//! The examples that record: record_events.c, pretrigger.c, record_heaps.c. What they leave in files is compared byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct::event::reader::{Entry, EventFile};
use aqueduct_c_tests::{here, Program};
use tempfile::TempDir;

use crate::running::{command, payloads, variants, PATIENCE};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect()
}

/// All packets of a framed file, which is whole and lost none.
fn packets(path: &Path) -> (Vec<Vec<u8>>, String) {
    let mut file = EventFile::open(path).expect("a framed file");
    let layout = file.header().expect("a header").layout.clone();
    let mut packets = Vec::new();
    while let Some(entry) = file.next().expect("readable") {
        match entry {
            Entry::Packet { data, time, .. } => {
                assert!(time > 0);
                packets.push(data.to_vec());
            }
            Entry::End { agrees, .. } => assert!(agrees),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert!(file.is_whole(), "{}", path.display());
    (packets, layout)
}

/// Event number `i` of record_events.c, and its line in the CSV file.
fn event(i: u64) -> (Vec<u8>, String) {
    let (time, adc, temperature) = (i * 1000, (i * 37 % 4096) as i16 - 2048, 20.0 + (i % 16) as f32 * 0.25);
    let mut bytes = vec![0xaa];
    bytes.extend(time.to_le_bytes());
    bytes.extend(adc.to_le_bytes());
    bytes.extend(temperature.to_le_bytes());
    (bytes, format!("170,{time},{adc},{temperature:?}\n"))
}

/// The three files of `count` events.
fn check_events(folder: &Path, count: u64) {
    let (events, csv): (Vec<Vec<u8>>, Vec<String>) = (0..count).map(event).unzip();
    assert!(fs::read(folder.join("events.dat")).expect("it is there") == events.concat());
    let text = fs::read_to_string(folder.join("events.csv")).expect("it is there");
    assert!(text == format!("header,time,adc,temperature\n{}", csv.concat()));
    let (framed, layout) = packets(&folder.join("events-000.aqe"));
    assert!(framed == events);
    assert_eq!(layout, "<header:B=170,time:Q,adc:h,temperature:f");
    assert_eq!(fs::read_dir(folder).expect("a folder").count(), 3);
}

#[test]
fn events_are_in_all_files() {
    for program in variants("../examples/record_events.c") {
        let (built, data) = (folder(), folder());
        let program = program.build(built.path());
        let run = |count: &str| {
            let mut command = command(&program);
            command.arg(data.path()).args([count, "0"]).output().expect("it starts")
        };
        let output = run("25000");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let first = "25000 events put = 25000 written + 0 still in the buffer + 0 lost, ledger closed: yes";
        assert_eq!(lines(&output)[0], first, "{output:?}");
        check_events(data.path(), 25000);
        // Not over what is there.
        let output = run("10");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("events.dat: creating it: "), "{output:?}");
        check_events(data.path(), 25000);
    }
}

#[test]
fn ctrl_c_loses_nothing() {
    let (built, data) = (folder(), folder());
    let program = Program::new("../examples/record_events.c").build(built.path());
    let child = command(&program).arg(data.path()).args(["0", "50000"]).spawn().expect("it starts");
    let start = Instant::now();
    let size = || fs::metadata(data.path().join("events.dat")).map_or(0, |metadata| metadata.len());
    while size() == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing is written");
        thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let count = size() / 15;
    assert!(count >= 10_000, "{count}"); // the first flush
    let first =
        format!("{count} events put = {count} written + 0 still in the buffer + 0 lost, ledger closed: yes");
    assert_eq!(lines(&output)[0], first, "{output:?}");
    check_events(data.path(), count);
}

#[test]
fn a_trigger_has_what_was_before_it() {
    for program in variants("../examples/pretrigger.c") {
        let (built, data) = (folder(), folder());
        let program = program.build(built.path());
        let output = command(&program).arg(data.path()).arg("20000").output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        // Triggers at 300, 7250 (with 7300) and 14300; 1000 samples before, where there are as many, and 100 after.
        let expected = [0..=400, 6250..=7350, 13300..=14400u32];
        for (i, numbers) in expected.into_iter().enumerate() {
            let path = data.path().join(format!("trigger-{i}.dat"));
            let bytes = fs::read(&path).expect("it is there");
            let samples: Vec<(u32, i32)> = bytes
                .chunks_exact(8)
                .map(|sample| {
                    let (number, value) = sample.split_at(4);
                    let number = u32::from_ne_bytes(number.try_into().expect("4 bytes"));
                    (number, i32::from_ne_bytes(value.try_into().expect("4 bytes")))
                })
                .collect();
            assert_eq!(bytes.len() % 8, 0);
            assert!(samples.iter().map(|(number, _)| *number).eq(numbers), "{}", path.display());
            let pulses: Vec<u32> = samples.iter().filter(|(_, value)| *value > 500).map(|s| s.0).collect();
            assert_eq!(pulses, [&[300][..], &[7250, 7300], &[14300]][i]);
        }
        assert_eq!(fs::read_dir(data.path()).expect("a folder").count(), 3);
        // 401 + 2 * 1101 written; the history holds the latest 1101.
        let last = "20000 samples = 2603 in 3 files + 16296 overtaken + 1101 in the history";
        assert_eq!(lines(&output).last().map(String::as_str), Some(last), "{output:?}");
    }
}

/// The immediate items of a SPEAD-64-48 packet, and its payload.
fn parse(packet: &[u8]) -> (BTreeMap<u64, u64>, &[u8]) {
    let count: usize = u16::from_be_bytes([packet[6], packet[7]]).into();
    let (pointers, payload) = packet[8..].split_at(8 * count);
    let pointers =
        pointers.chunks_exact(8).map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")));
    let immediate = pointers.filter(|pointer| pointer >> 63 == 1);
    (immediate.map(|pointer| (pointer >> 48 & 0x7fff, pointer & 0xffff_ffff_ffff)).collect(), payload)
}

/// The payload of each heap of a capture in which nothing is lost, put together here.
fn heaps(capture: &str) -> BTreeMap<u64, Vec<u8>> {
    let mut heaps: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for packet in payloads(capture) {
        let (items, payload) = parse(&packet);
        if items.get(&6) == Some(&2) {
            continue; // the end of the stream
        }
        let (cnt, offset, length) = (items[&1], items[&3] as usize, items[&4] as usize);
        let heap = heaps.entry(cnt).or_default();
        heap.resize(heap.len().max(offset + length), 0);
        heap[offset..offset + length].copy_from_slice(&payload[..length]);
    }
    heaps
}

#[test]
fn heaps_are_recorded_as_they_are() {
    for (capture, count) in [("items_48.pcap", 6), ("chunks_1472_48.pcap", 64)] {
        let expected = heaps(capture);
        assert_eq!(expected.len(), count);
        for program in variants("../examples/record_heaps.c") {
            let built = folder();
            let (program, file) = (program.build(built.path()), built.path().join("heaps.aqe"));
            let path = here().join("../tests/data").join(capture);
            let output = command(&program).arg("pcap").arg(path).arg(&file).output().expect("it starts");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let (packets, _) = packets(&file);
            let bytes: usize = packets.iter().map(Vec::len).sum();
            let said = format!("{count} heaps complete, 0 incomplete, {count} recorded in {bytes} bytes");
            assert_eq!(lines(&output), [said], "{output:?}");
            // aq_heap_record: cnt at 8, payload_size at 48, n_items at 56; 64 bytes, and 24 for each item.
            let recorded: BTreeMap<u64, Vec<u8>> = packets
                .iter()
                .map(|packet| {
                    let number =
                        |at: usize| u64::from_le_bytes(packet[at..at + 8].try_into().expect("8 bytes"));
                    assert_eq!(&packet[..8], b"AQHP\x01\0\x40\0");
                    let start = 64 + 24 * (number(56) & 0xffff_ffff) as usize;
                    assert_eq!(packet.len() - start, number(48) as usize);
                    (number(8), packet[start..].to_vec())
                })
                .collect();
            assert!(recorded == expected, "{capture}");
        }
    }
}
