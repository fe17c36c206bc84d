//! examples/receive_chunks.c

use std::collections::BTreeMap;
use std::path::Path;

use aqueduct_c_tests::Program;

use crate::running::{command, payloads, variants, Running, PATIENCE};

const SOURCE: &str = "../examples/receive_chunks.c";
const CAPTURE: &str = "chunks_1472_48.pcap";
const ITEM: u64 = 0x1600;
const STEP: u64 = 4096;
const HEAP_SIZE: usize = 8192;
const HEAPS: u64 = 64;
const HEAPS_PER_CHUNK: u64 = 16;

fn start(program: &Path) -> Running {
    let numbers =
        [format!("{ITEM:#x}"), STEP.to_string(), HEAP_SIZE.to_string(), HEAPS_PER_CHUNK.to_string()];
    Running::start(program, ["127.0.0.1".into(), "0".into()].into_iter().chain(numbers), 1)
}

/// The immediate value of an item; identifiers have 16 bits (the first says "immediate"), values 48.
pub fn immediate(packet: &[u8], id: u64) -> Option<u64> {
    let count = u16::from_be_bytes([packet[6], packet[7]]).into();
    let pointers = packet[8..].chunks_exact(8).take(count);
    let mut pointers = pointers.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")));
    pointers.find(|pointer| pointer >> 48 == 0x8000 | id).map(|pointer| pointer & 0xffff_ffff_ffff)
}

/// What the program says about each chunk, computed from the payloads.
fn expected() -> BTreeMap<u64, String> {
    let mut data = vec![0; HEAPS as usize * HEAP_SIZE];
    let mut seen = 0;
    for packet in payloads(CAPTURE) {
        let Some(heap) = immediate(&packet, ITEM).map(|timestamp| timestamp / STEP) else { continue };
        let offset = immediate(&packet, 3).expect("an offset") as usize;
        let length = immediate(&packet, 4).expect("a length") as usize;
        let start = heap as usize * HEAP_SIZE + offset;
        data[start..start + length].copy_from_slice(&packet[packet.len() - length..]);
        seen += length;
    }
    assert_eq!(seen, data.len());
    let chunks = data.chunks(HEAPS_PER_CHUNK as usize * HEAP_SIZE).enumerate();
    chunks
        .map(|(id, bytes)| {
            let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            (
                id as u64,
                format!("chunk {id}: {HEAPS_PER_CHUNK} of {HEAPS_PER_CHUNK} heaps, fnv1a {hash:016x}"),
            )
        })
        .collect()
}

#[test]
fn receives_every_byte_until_the_stop_packet() {
    let (packets, expected) = (payloads(CAPTURE), expected());
    assert_eq!(packets.len(), 385);
    for program in variants(SOURCE) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = start(&program.build(folder.path()));
        running.send(0, &packets);
        let (status, stdout, stderr) = running.end();
        let said = format!("{}\n{}", stdout.join("\n"), stderr.join("\n"));
        assert_eq!(status.code(), Some(0), "{said}");
        let chunks: Vec<&String> = stdout.iter().filter(|line| line.starts_with("chunk ")).collect();
        assert_eq!(chunks, expected.values().collect::<Vec<_>>(), "{said}");
        let last = stdout.last().expect("it says something");
        assert_eq!(last, "384 of 385 packets delivered in 64 heaps, ledger closed: yes", "{said}");
        let ledger = |name: &str| {
            let line = stdout.iter().find(|line| line.trim_start().starts_with(&format!("{name} ")));
            line.and_then(|line| line.split_whitespace().last()).unwrap_or("missing").to_owned()
        };
        assert_eq!(ledger("packets"), "385", "{said}");
        assert_eq!(ledger("packets_control"), "1", "{said}");
        assert_eq!(ledger("complete_heaps"), "64", "{said}");
        assert_eq!(ledger("kernel_drops"), "missing", "zeros are left out\n{said}");
    }
}

#[test]
fn a_signal_ends_it_in_order() {
    let (packets, expected) = (payloads(CAPTURE), expected());
    // Into the third chunk, so that the first is ready.
    let begun = packets.iter().position(|packet| {
        immediate(packet, ITEM).is_some_and(|timestamp| timestamp / STEP == 2 * HEAPS_PER_CHUNK + 1)
    });
    let begun = begun.expect("there are more chunks");
    for (program, signal) in variants(SOURCE).into_iter().zip([libc::SIGINT, libc::SIGTERM, libc::SIGINT]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = start(&program.build(folder.path()));
        running.send(0, &packets[..begun]);
        // It is in its main loop when it says this, ready for signals.
        let first = running.stdout.recv_timeout(PATIENCE).expect("a chunk");
        assert_eq!(first, expected[&0]);
        let id = i32::try_from(running.child.id()).expect("a process id");
        // SAFETY: a signal to our own child, which has not been waited for.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
        let (status, stdout, stderr) = running.end();
        let said = format!("{}\n{}", stdout.join("\n"), stderr.join("\n"));
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(stdout.iter().any(|line| line.starts_with("chunk 1: ")), "{said}");
        assert!(stdout.iter().any(|line| line.starts_with("chunk 2: ")), "{said}");
        assert!(stdout.last().is_some_and(|line| line.ends_with("ledger closed: yes")), "{said}");
    }
}

#[test]
fn wrong_arguments_are_status_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new(SOURCE).build(folder.path());
    let run = |arguments: &[&str]| {
        let output = command(&program).args(arguments).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = ["127.0.0.1", "0", "0x1600", "4096", "8192", "16"];
    for count in [0, 5, 8] {
        let (status, said) = run(&[&good[..], &["file", "more"]].concat()[..count]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with("usage: "), "{said}");
    }
    let wrong = [
        (1, "PORT", "65536"),
        (1, "PORT", "-1"),
        (2, "ITEM", "0"),
        (2, "ITEM", "x"),
        (3, "STEP", "0"),
        (3, "STEP", "99999999999999999999"),
        (4, "HEAP_SIZE", ""),
        (5, "HEAPS_PER_CHUNK", "16 "),
    ];
    for (place, name, value) in wrong {
        let mut arguments = good;
        arguments[place] = value;
        let (status, said) = run(&arguments);
        assert_eq!(status, Some(2), "{name} {value}: {said}");
        assert!(said.contains(&format!("{name} must be a number from ")), "{said}");
        assert!(said.contains(&format!("(got {value})")), "{said}");
    }
    let mut arguments = good;
    arguments[0] = "not a host";
    let (status, said) = run(&arguments);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("aq_recv_stream_add_udp_reader") && said.contains("not a host"), "{said}");
}
