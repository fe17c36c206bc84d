//! The example that sends, send.c: receive_heaps.c receives what it sends, over UDP, TCP and from a capture.

use std::process::{Command, Output};

use aqueduct_c_tests::Program;

use crate::running::{command, variants, Running};

const HEAPS: &str = "12";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).starts_with("13 of 13 heaps sent, 0 failed; "), "{output:?}");
    output
}

/// The first heap has all items, with their types; the second what has changed; the eleventh the temperature again.
fn check_received(lines: &[String], what: &str) {
    let of_heap = |cnt: usize| {
        let start =
            lines.iter().position(|line| line.starts_with(&format!("heap {cnt}: "))).expect("the heap");
        let items = lines[start + 1..].iter().take_while(|line| line.starts_with("  "));
        items.map(|line| line.trim()).collect::<Vec<_>>()
    };
    let mut first = of_heap(1);
    first.sort_unstable();
    let expected = ["0x1000 count: <u4 = 0", "0x1001 temperature: <f8 = 40", "0x1002 samples: <i2 [65536]"];
    assert_eq!(first, expected, "{what}");
    let mut second = of_heap(2);
    second.sort_unstable();
    assert_eq!(second, ["0x1000 count: <u4 = 1", "0x1002 samples: <i2 [65536]"], "{what}");
    assert!(of_heap(11).contains(&"0x1001 temperature: <f8 = 41"), "{what}");
    let last = lines.last().expect("a line");
    assert!(last.starts_with("a stop item came: 12 heaps complete, 0 incomplete, "), "{what}: {last}");
}

#[test]
fn what_it_sends_is_received() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let receiver = Program::new("../examples/receive_heaps.c").build(folder.path());
    for program in variants("../examples/send.c") {
        let own = tempfile::tempdir().expect("a temporary folder");
        let sender = program.build(own.path());
        for transport in ["udp", "tcp"] {
            let running = Running::start(&receiver, [transport, "127.0.0.1", "0"], 1);
            let port = running.ports[0].to_string();
            run(command(&sender).args([transport, "127.0.0.1", &port, HEAPS, "2e7"]));
            let (status, stdout, stderr) = running.end();
            assert_eq!(status.code(), Some(0), "{stderr:?}");
            check_received(&stdout, transport);
        }
        let capture = own.path().join("sent.pcap");
        run(command(&sender).arg("pcap").arg(&capture).arg(HEAPS));
        let output = command(&receiver).arg("pcap").arg(&capture).output().expect("it starts");
        check_received(&said(&output).lines().map(String::from).collect::<Vec<_>>(), "pcap");
    }
}

#[test]
fn an_error_is_one_of_its_heap_and_of_its_exit_status() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sender = Program::new("../examples/send.c").build(folder.path());
    // Nobody listens on the port of a socket that is closed again.
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a socket")
        .port();
    let output =
        command(&sender).args(["udp", "127.0.0.1", &port.to_string(), "2"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).starts_with("0 of 3 heaps sent, 3 failed; "), "{output:?}");
    let output = command(&sender).args(["file", "/nowhere/x", "1"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("creating /nowhere/x"), "{output:?}");
}

/// The number before a word in what a program has said.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|w| w.trim_end_matches([',', ';']) == word).expect("the word");
    words[..at].iter().rev().find_map(|w| w.parse().ok()).expect("a number")
}

#[test]
fn a_simulated_instrument_loses_what_it_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let receiver = Program::new("../examples/receive_heaps.c").build(folder.path());
    for program in variants("../examples/simulate_instrument.c") {
        let own = tempfile::tempdir().expect("a temporary folder");
        let simulator = program.build(own.path());
        for (settings, loses) in [("", false), ("lose=100 seed=7", true), ("repeat=100", false)] {
            let running = Running::start(&receiver, ["udp", "127.0.0.1", "0"], 1);
            let port = running.ports[0].to_string();
            let mut command = command(&simulator);
            command.args(["127.0.0.1", &port, "antennas=2", "heaps=100", "rate=20000000"]);
            let output = command.args(settings.split_whitespace()).output().expect("it starts");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let (status, stdout, stderr) = running.end();
            assert_eq!(status.code(), Some(0), "{stderr:?}");
            let lost = number_before(&said(&output), "lost");
            assert_eq!(lost > 0, loses, "{output:?}");
            let last = stdout.last().expect("a line");
            assert_eq!(number_before(last, "complete"), 200 - lost, "{last}: {output:?}");
        }
    }
}
