//! `aqueduct send`: what it says that it sends is what `aqueduct recv` says that it got.

mod cli;
mod peer;
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cli::{Receiver, run};
use serde_json::{Value, json};

/// By heap: what each item is, whatever else is told of it.
fn items<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeMap<u64, BTreeMap<String, String>> {
    let mut heaps = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        // The last line of the receiver is about all of them.
        let Some(cnt) = line["heap"].as_u64() else { continue };
        let of_item = |item: &Value| {
            let value = if item["sha256"].is_string() && item["shape"] != serde_json::json!([]) {
                &item["sha256"]
            } else {
                &item["value"]
            };
            (item["name"].as_str().unwrap().to_owned(), value.to_string())
        };
        heaps.insert(cnt, line["items"].as_array().unwrap().iter().map(of_item).collect());
    }
    heaps
}

/// Sends to a receiver, and compares what both say.
fn compare(source: &str, to: impl Fn(&str) -> String, arguments: &str, heaps: usize) {
    let mut receiver = Receiver::start_on(source, "--json --max-heaps 16");
    let sent = run(&format!("send {} {arguments} --json", to(&receiver.address)));
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    let received: Vec<String> = receiver.stdout.by_ref().map(Result::unwrap).collect();
    let (sent, received) = (items(sent.stdout.lines()), items(received.iter().map(String::as_str)));
    assert_eq!(sent.len(), heaps);
    assert_eq!(received, sent, "{arguments}");
}

#[test]
fn what_is_sent_is_received() {
    let udp = |address: &str| format!("udp://{address}");
    let tcp = |address: &str| format!("tcp://{address}");
    compare("udp://127.0.0.1:0", udp, "--heaps 20 --heap-size 100000 --rate 200M", 20);
    let many =
        "--heaps 7 --heap-size 10001 --items 13 --rate 200M --heap-address-bits 56 --descriptors always";
    compare("udp://127.0.0.1:0", udp, many, 7);
    compare("tcp://127.0.0.1:0", tcp, "--heaps 20 --heap-size 1M --packet-size 65536 --seed 5", 20);
}

#[test]
fn into_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sent.pcap");
    let path = path.to_str().unwrap();
    let sent = run(&format!("send pcap:{path} --heaps 5 --json"));
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    assert!(sent.stderr.starts_with("sent 6 of 6 heaps, "), "{}", sent.stderr);
    let received = run(&format!("recv pcap:{path} --json"));
    assert_eq!(received.status, 0, "{}", received.stderr);
    assert_eq!(items(received.stdout.lines()), items(sent.stdout.lines()));
}

/// tcpdump on the loopback interface, at work; it ends by itself after so many packets. `None`, with a message, where it is missing or may not capture.
fn tcpdump(path: &Path, packets: u64) -> Option<Child> {
    let count = packets.to_string();
    // Not for ever, should packets be missing.
    let arguments =
        ["60", "tcpdump", "-i", "lo", "-n", "-c", &count, "-B", "16384", "-w", path.to_str().unwrap(), "udp"];
    let child = Command::new("timeout").args(arguments).stderr(Stdio::piped()).spawn();
    let skip = |reason: &str| {
        assert!(std::env::var_os("CI").is_none(), "tcpdump: {reason}");
        eprintln!("SKIPPED: tcpdump: {reason}");
    };
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            skip(&error.to_string());
            return None;
        }
    };
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while stderr.read_line(&mut said).unwrap() > 0 {
        if said.contains("listening on") {
            child.stderr = Some(stderr.into_inner());
            return Some(child);
        }
    }
    child.wait().unwrap();
    skip(&said);
    None
}

/// What spead2 finds in a capture, as [`items`] has it.
fn found_by_spead2(python: &str, path: &Path) -> BTreeMap<u64, BTreeMap<String, String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/receive_items_spead2.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let command = json!({ "from": "pcap", "path": path, "bug_compat": 0 });
    writeln!(child.stdin.take().unwrap(), "{command}").unwrap();
    let answer = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["incomplete"], 0);
    let of_item = |(name, item): (&String, &Value)| {
        let value = if item["sha256"].is_string() { &item["sha256"] } else { &item["values"][0] };
        (name.clone(), value.to_string())
    };
    let heaps = answer["heaps"].as_array().unwrap().iter();
    heaps
        .map(|heap| {
            (heap["cnt"].as_u64().unwrap(), heap["items"].as_object().unwrap().iter().map(of_item).collect())
        })
        .collect()
}

/// What tcpdump sees of what is sent is what was sent, for `aqueduct recv` and for spead2.
#[test]
fn captures_of_tcpdump_decode_in_both() {
    let python = peer::python();
    support::network::in_a_network_of_its_own(move || {
        let _watch = support::rig::watch("captures of tcpdump");
        let folder = tempfile::tempdir().unwrap();
        for (arguments, heaps) in [
            ("--heaps 6 --heap-size 100000", 6),
            ("--heaps 4 --heap-size 65537 --packet-size 8972 --items 3 --descriptors always", 4),
            ("--heaps 3 --heap-size 20000 --packet-size 500 --heap-address-bits 40 --seed 9", 3),
        ] {
            // How many packets it takes.
            let dry = run(&format!("send file:/dev/null {arguments}"));
            let packets = dry.stderr.split(" packets").next().and_then(|text| text.split(' ').next_back());
            let packets = packets.unwrap().parse().unwrap();
            let path = folder.path().join(format!("{heaps}.pcap"));
            let Some(mut capture) = tcpdump(&path, packets) else { return };
            // Somebody who listens, so that nothing comes back.
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            let sent = run(&format!("send udp://127.0.0.1:{port} {arguments} --rate 100M --no-gso --json"));
            assert_eq!(sent.status, 0, "{}", sent.stderr);
            assert!(capture.wait().unwrap().success());
            let sent = items(sent.stdout.lines());
            assert_eq!(sent.len(), heaps);
            let received = run(&format!("recv pcap:{} --json", path.display()));
            assert_eq!(received.status, 0, "{}", received.stderr);
            assert_eq!(items(received.stdout.lines()), sent, "{arguments}");
            if let Some(python) = &python {
                assert_eq!(found_by_spead2(python, &path), sent, "spead2, {arguments}");
            }
        }
    });
}

#[test]
fn what_goes_wrong_is_told() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = run(&format!("send udp://127.0.0.1:{port} --heaps 2"));
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("nobody listens there"), "{}", refused.stderr);
    assert!(refused.stderr.contains("heaps failed"), "{}", refused.stderr);
    let refused = run(&format!("send tcp://127.0.0.1:{port} --heaps 2"));
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("connect to 127.0.0.1"), "{}", refused.stderr);
    for (arguments, part) in [
        ("send", "DESTINATION"),
        ("send udp://127.0.0.1:9 tcp://127.0.0.1:9", "all be udp:// or all be tcp://"),
        ("send udp://127.0.0.1:9 --packet-size 10", "max_packet_size must be between 56"),
        ("send udp://127.0.0.1:9 --heap-address-bits 47", "heap_address_bits must be a multiple of 8"),
        ("send udp://127.0.0.1:9 --interface lo", "are for multicast groups"),
        ("send nowhere", "expected udp://HOST:PORT"),
    ] {
        let wrong = run(arguments);
        assert_eq!(wrong.status, 2, "{arguments}: {}", wrong.stderr);
        assert!(wrong.stderr.contains(part), "{arguments}: {}", wrong.stderr);
    }
}
