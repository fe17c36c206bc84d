//! `aqueduct recv` without placement: heaps and their items, as they were sent.

mod cli;
#[expect(dead_code, reason = "only a part of it is needed here")]
#[path = "support/wire.rs"]
mod wire;

use std::io::Write;
use std::net::TcpStream;

use cli::{Receiver, run};
use serde_json::{Value, json};
use wire::Wire;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn items_of_real_heaps_are_those_that_were_sent() {
    for name in ["items_48", "items_40", "items_40_pyspead_bugs"] {
        let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let finished = run(&format!("recv pcap:{name}.pcap --bug-compat {} --json", expected["bug_compat"]));
        assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
        let lines = lines(&finished.stdout);
        let (last, heaps) = lines.split_last().unwrap();
        assert_eq!(last["ledger_closed"], true);
        let mut compared = 0;
        for expected in expected["heaps"].as_array().unwrap() {
            let heap = heaps.iter().find(|heap| heap["heap"] == expected["cnt"]).unwrap();
            assert_eq!(heap["complete"], true);
            let items = heap["items"].as_array().unwrap();
            assert_eq!(items.len(), expected["items"].as_object().unwrap().len());
            for (id, expected) in expected["items"].as_object().unwrap() {
                let item = items.iter().find(|item| item["id"] == *id).unwrap();
                if expected["value"].is_array() {
                    continue; // a hash is shown only; tests/items.rs compares the values
                } else if let Some(value) = expected.get("value") {
                    assert_eq!(&item["value"], value, "{name} {id}");
                } else {
                    assert_eq!(item["sha256"], expected["sha256_c_order_native"], "{name} {id}");
                    assert_eq!(item["shape"], expected["shape"]);
                }
                compared += 1;
            }
        }
        assert_eq!(compared, 7 * expected["heaps"].as_array().unwrap().len());
    }
}

#[test]
fn raw_items_incomplete_heaps_and_the_end_over_tcp() {
    let receiver = Receiver::start_on("tcp://127.0.0.1:0", "--json");
    let mut connection = TcpStream::connect(&receiver.address).unwrap();
    for packet in [
        Wire::part(4, 10, 0, vec![1; 5]).item(true, 0x1600, 99).item(false, 0x4300, 0),
        Wire::whole(5, b"abc".to_vec()).item(true, 0x1600, 100).item(false, 0x4300, 1),
    ] {
        connection.write_all(&packet.encode()).unwrap();
    }
    drop(connection);
    let (status, lines, stderr) = receiver.finish();
    assert!(status.success(), "{stderr}");
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sha256_of_bc = "1e0bbd6c686ba050b8eb03ffeedc64fdc9d80947fce821abbe5d6dc8d252c5ac";
    let expected = json!({"heap": 5, "complete": true, "items": [
        {"id": "0x4300", "size": 2, "sha256": sha256_of_bc},
        {"id": "0x1600", "value": 100},
    ]});
    assert_eq!(lines[0], expected);
    let expected = json!({"heap": 4, "complete": false, "received": 5, "length": 10, "items": [
        {"id": "0x1600", "value": 99},
    ]});
    assert_eq!(lines[1], expected);
    assert_eq!(lines[2]["end"], "source_ended");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_connection_may_pause() {
    let mut receiver = Receiver::start_on("tcp://127.0.0.1:0", "");
    let mut connection = TcpStream::connect(&receiver.address).unwrap();
    for cnt in 1..5 {
        connection.write_all(&Wire::whole(cnt, vec![0; 3]).encode()).unwrap();
        // Nothing more comes before this one is shown.
        assert_eq!(receiver.stdout.next().unwrap().unwrap(), format!("heap {cnt}: 3 bytes"));
    }
    drop(connection);
    assert!(receiver.finish().0.success());
}

#[test]
fn options_that_nothing_would_come_of_are_refused() {
    for (arguments, message) in [
        ("recv pcap:items_48.pcap --interface lo", "--interface needs a source of scheme udp://"),
        ("recv pcap:items_48.pcap --from 10.0.0.1", "--from needs a source of scheme udp:// or tcp://"),
        ("recv udp://127.0.0.1:0 --from 10.0.0.1,x", "\"x\" is no address"),
        (
            "recv udp://127.0.0.1:0 --interface lo",
            "interface_address and interface_index are for multicast groups",
        ),
        ("recv udp://127.0.0.1:0 --filter udp", "--filter needs a source of scheme pcap: or live:"),
        (
            "recv pcap:items_48.pcap --buffer-size 1M",
            "--buffer-size needs a source of scheme udp://, tcp:// or live:",
        ),
        ("recv live:aqueduct-none0", "live capture on \"aqueduct-none0\""),
    ] {
        let finished = run(arguments);
        assert_ne!(finished.status, 0, "{arguments}");
        assert!(finished.stderr.contains(message), "{arguments}: {}", finished.stderr);
    }
}

#[test]
fn a_connection_that_breaks_is_told() {
    let receiver = Receiver::start_on("tcp://[::1]:0", "");
    let mut connection = TcpStream::connect(&receiver.address).unwrap();
    connection.write_all(&Wire::whole(5, b"abc".to_vec()).encode()).unwrap();
    connection.write_all(b"no packet").unwrap();
    drop(connection);
    let (status, lines, stderr) = receiver.finish();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("[::1]"), "{stderr}");
    assert_eq!(lines[..2], ["heap 5: 3 bytes", "end: failed"]);
}

#[test]
fn heaps_are_told_to_people_and_counted() {
    let finished = run("recv pcap:items_48.pcap --count 1");
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("heap 10: "), "{}", lines[0]);
    assert!(lines.contains(&"  0x2000  f32_matrix: <f4 [37, 11]"));
    assert!(lines.contains(&"  0x2003  text = \"heap number 0\""));
    assert!(lines[11].starts_with("end: "), "{}", lines[11]); // at the stop item, if that had come already
}

/// A sender must not be able to write to the terminal of whoever looks at its stream.
#[test]
fn names_are_shown_on_their_line_and_do_nothing_to_a_terminal() {
    let described = |id: u64, name: &str, dtype: &str| {
        let text = format!("{name}{{'descr': {dtype}, 'fortran_order': False, 'shape': ()}}");
        let descriptor = Wire::whole(1, text.into_bytes()).item(true, 0x14, id);
        descriptor.item(false, 0x10, 0).item(false, 0x15, name.len() as u64).encode()
    };
    let name = "a\x1b[2J\nheap 7: 9 bytes\u{9b}1m";
    let parts =
        [described(0x2001, name, "'>u2'"), described(0x2002, "r", "[('\\x1b]0;x\\x07', '<u2')]"), vec![1; 3]];
    let starts = [0, parts[0].len() as u64, (parts[0].len() + parts[1].len()) as u64];
    let heap = Wire::whole(5, parts.concat())
        .item(false, 5, starts[0])
        .item(false, 5, starts[1])
        .item(false, 0x2002, starts[2])
        .item(true, 0x2001, 300);
    let wrong = Wire::whole(6, vec![1]).item(false, 0x2001, 0);
    let receiver = Receiver::start_on("tcp://127.0.0.1:0", "");
    let mut connection = TcpStream::connect(&receiver.address).unwrap();
    connection.write_all(&[heap.encode(), wrong.encode()].concat()).unwrap();
    drop(connection);
    let (status, lines, stderr) = receiver.finish();
    assert!(status.success(), "{stderr}");
    let expected = [
        format!("heap 5: {} bytes", starts[2] + 3),
        r"  0x2002  r: [('\u{1b}]0;x\u{7}', '<u2')] []".into(),
        r"  0x2001  a\u{1b}[2J\nheap 7: 9 bytes\u{9b}1m = 300".into(),
        "heap 6: 1 bytes".into(),
        r"  0x2001  error: item a\u{1b}[2J\nheap 7: 9 bytes\u{9b}1m (0x2001): its shape [] needs 2 bytes, its value has 1"
            .into(),
    ];
    assert_eq!(lines[..5], expected);
}
