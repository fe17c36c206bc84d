//! `aqueduct send`: what it says that it sends is what `aqueduct recv` says that it got.

mod cli;

use std::collections::BTreeMap;

use cli::{Receiver, run};
use serde_json::Value;

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
