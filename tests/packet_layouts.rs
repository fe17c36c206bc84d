//! Packet layouts against their peers: what baldaquin's packet classes and Python's struct make of random layouts and packets, of
//! every type and byte order, must be what we make of them: sizes, offsets, values, constants, and the text byte for byte.
//!
//! tests/live/packets_baldaquin.py draws them by a seed. Skipped, with a message, where the peer cannot be installed
//! (tools/peer-venv.sh); under CI that is a failure. `AQ_LAYOUT_CASES` sets how many layouts are compared.

mod peer;

use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use aqueduct::error::ErrorKind;
use aqueduct::event::layout::{PacketLayout, Value};
use serde_json::{Value as Json, json};

/// The lines that the script prints.
fn ask(python: &str, arguments: &[&str]) -> Vec<Json> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/packets_baldaquin.py");
    let output = Command::new(python).arg(script).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "packets_baldaquin.py {arguments:?}: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// A value as the script has it.
fn plain(value: Value) -> Json {
    match value {
        Value::Int(value) => json!(value),
        Value::Uint(value) => json!(value),
        Value::Float(value) if value.is_nan() => json!("nan"),
        Value::Float(value) => json!(format!("{:016x}", value.to_bits())),
        Value::Bool(value) => json!(value),
        Value::Char(value) => json!(value),
    }
}

fn text(layout: &PacketLayout, packet: &[u8], separator: &str) -> Result<String, (ErrorKind, String)> {
    let mut out = b"before".to_vec();
    match layout.write_text(packet, separator, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()),
        Err(error) => {
            assert_eq!(out, b"before");
            Err((error.kind(), error.message().to_owned()))
        }
    }
}

fn check_packet(layout: &PacketLayout, packet: &Json) {
    let data = bytes(&packet["data"]);
    let values: Vec<Json> =
        (0..layout.fields().len()).map(|i| plain(layout.value(&data, i).unwrap())).collect();
    assert_eq!(Json::Array(values), packet["values"]);
    for (i, separator) in [",", "; "].into_iter().enumerate() {
        let made = text(layout, &data, separator);
        match packet["mismatch"].as_str() {
            None => assert_eq!(made.unwrap(), packet["text"][i]),
            Some(name) => {
                let (kind, message) = made.unwrap_err();
                assert_eq!(kind, ErrorKind::Format);
                assert!(message.starts_with(&format!("packet: field {name} must be ")), "{message}");
            }
        }
    }
    assert!(text(layout, &data[1..], ",").is_err());
}

#[test]
fn random_layouts_and_packets() {
    let Some(python) = peer::python() else { return };
    let cases = std::env::var("AQ_LAYOUT_CASES").unwrap_or_else(|_| "600".to_owned());
    let (mut packets, mut mismatches, mut by_peer) = (0, 0, 0);
    let told = ask(&python, &["20260321", &cases]);
    for case in &told {
        let described = case["layout"].as_str().unwrap();
        let layout = PacketLayout::parse(described).unwrap_or_else(|error| panic!("{described:?}: {error}"));
        assert_eq!(layout.size(), case["size"], "{described:?}");
        let fields: Vec<Json> = layout
            .fields()
            .iter()
            .map(|field| {
                json!({
                    "name": field.name,
                    "type": field.kind.as_char().to_string(),
                    "offset": field.offset,
                    "size": field.size,
                    "constant": field.constant.map(plain),
                })
            })
            .collect();
        assert_eq!(Json::Array(fields), case["fields"], "{described:?}");
        assert_eq!(PacketLayout::parse(&layout.to_string()).unwrap(), layout);
        for packet in case["packets"].as_array().unwrap() {
            check_packet(&layout, packet);
            packets += 1;
            mismatches += usize::from(!packet["mismatch"].is_null());
        }
        by_peer += usize::from(case["by_peer"] == true);
    }
    println!("{} layouts ({by_peer} by baldaquin), {packets} packets, {mismatches} mismatches", told.len());
    assert_eq!(told.len(), cases.parse::<usize>().unwrap());
    assert!(
        told.len() < 100 || by_peer > told.len() / 2 && by_peer < told.len() && mismatches > told.len() / 10
    );
}

#[test]
fn floats() {
    let Some(python) = peer::python() else { return };
    let layout = PacketLayout::parse("<value:d").unwrap();
    let told = ask(&python, &["7", "floats", "60000"]);
    assert_eq!(told.len(), 60_000);
    for float in &told {
        let expected = format!("{}\n", float[1].as_str().unwrap());
        assert_eq!(text(&layout, &bytes(&float[0]), ",").unwrap(), expected, "{float}");
    }
}

/// Ours with the other's name and version, of the same moment.
#[test]
fn headers() {
    let Some(python) = peer::python() else { return };
    let layout = PacketLayout::parse("<header:B=170,time:Q,adc:h").unwrap();
    let told = ask(&python, &["header", "a name"]);
    for (told, prefix, creator) in [(&told[0][0], "#", None), (&told[0][1], "// ", Some("a name"))] {
        let told = told.as_str().unwrap();
        let (_, moment) = told.lines().next().unwrap().rsplit_once('(').unwrap();
        let (seconds, microseconds) = moment.strip_suffix(" s)").unwrap().split_once('.').unwrap();
        let created = Duration::from_secs(seconds.parse().unwrap())
            + Duration::from_micros(microseconds.parse().unwrap());
        let ours = layout.text_header(prefix, UNIX_EPOCH + created, creator);
        // Installed below a folder under git, baldaquin adds that folder's revision.
        let lines = told.lines().map(|line| match line.strip_prefix(prefix).unwrap() {
            line if line.starts_with("baldaquin version: 0.10.2") => {
                concat!("Aqueduct version: ", env!("CARGO_PKG_VERSION"))
            }
            line => line,
        });
        let expected: String = lines.flat_map(|line| [prefix, line, "\n"]).collect();
        assert_eq!(ours, expected);
        assert!(ours.contains("Aqueduct version: "));
    }
}
