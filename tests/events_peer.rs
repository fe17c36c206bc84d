//! Event files against their peer: for the same packets, headers and flushes our binary and text sinks write what baldaquin's write, byte for byte, and
//! a flush returns the same numbers; but for text that is not ASCII, of which we count the bytes and baldaquin the characters.
//!
//! tests/live/events_baldaquin.py draws packets by a seed. Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI
//! that is a failure.

mod peer;

use std::process::{Command, Stdio};
use std::sync::Arc;

use aqueduct::error::Result;
use aqueduct::event::layout::PacketLayout;
use aqueduct::event::sink::{self, FileConfig, Formatter, LayoutText};
use aqueduct::event::{Config, EventBuffer, Kind, Packet};
use aqueduct::ring::Wait;
use serde_json::Value as Json;

const SEEDS: u64 = 12;

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// Each packet behind its size.
struct WithSize;

impl Formatter for WithSize {
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool> {
        text.extend((packet.size() as u32).to_le_bytes());
        text.extend(packet.data());
        Ok(true)
    }
}

fn compare(python: &str, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/events_baldaquin.py");
    // In a folder under git baldaquin adds that folder's revision to its version.
    let output = Command::new(python)
        .args([script, folder.path().to_str().unwrap(), &seed.to_string()])
        .current_dir("/")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "events_baldaquin.py: {}", output.status);
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    let layout = Arc::new(PacketLayout::parse(told["layout"].as_str().unwrap()).unwrap());
    let config = |name: &str| FileConfig {
        path: folder.path().join(format!("ours-{name}")),
        header: bytes(&told["headers"][name]),
        ..FileConfig::default()
    };
    let buffer = EventBuffer::new(Config { kind: Kind::Circular, ..Config::default() });
    let text =
        |name, separator| sink::text(config(name), LayoutText::new(layout.clone(), separator)).unwrap();
    buffer.add_sink(text("csv", ","), false).unwrap();
    buffer.add_sink(text("micro", " µ "), false).unwrap();
    buffer.add_sink(sink::text(config("binary"), WithSize).unwrap(), false).unwrap();
    buffer.add_sink(text("bare", ","), false).unwrap();
    buffer.add_sink(sink::binary(config("primary")).unwrap(), true).unwrap();
    // Of each packet, characters that are two bytes.
    let wide = told["fields"].as_u64().unwrap() - 1;
    for round in told["rounds"].as_array().unwrap() {
        let packets = round["packets"].as_array().unwrap();
        for packet in packets {
            buffer.put(&bytes(packet), Wait::No).unwrap();
        }
        let flushed = buffer.flush().unwrap();
        let expected = [0, 1].map(|index| round["flushed"][index].as_u64().unwrap());
        assert_eq!([flushed.packets, flushed.bytes - wide * flushed.packets], expected, "seed {seed}");
        assert_eq!(flushed.packets, packets.len() as u64);
    }
    buffer.disconnect_sinks().unwrap();
    for name in ["primary", "csv", "micro", "binary", "bare"] {
        let read = |whose: &str| std::fs::read(folder.path().join(format!("{whose}-{name}"))).unwrap();
        let (ours, peers) = (read("ours"), read("peer"));
        let same = ours.iter().zip(&peers).take_while(|(ours, peers)| ours == peers).count();
        assert!(
            ours == peers,
            "seed {seed}, {}, {name}: {} and {} bytes, different from byte {same} on",
            told["layout"],
            ours.len(),
            peers.len()
        );
    }
}

#[test]
fn files_and_results_are_those_of_baldaquin() {
    let Some(python) = peer::python() else { return };
    for seed in 0..SEEDS {
        compare(&python, seed);
    }
}
