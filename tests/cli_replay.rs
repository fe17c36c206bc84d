//! `aqueduct replay`: what it sends arrives, at the pace asked for, and what it could not send is told.

mod cli;
mod data;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use cli::{Expected, Receiver, run};

/// Sends a capture to a receiver of ours, with a stop item at its end, and checks every hash.
fn round_trip(host: &str, name: &str, pace: &str) {
    let expected = Expected::load(name);
    let receiver = Receiver::start(host, &format!("{} --json", expected.placement()));
    let sent = run(&format!("replay {name}.pcap udp://{} {pace}", receiver.address));
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    let (status, lines, stderr) = receiver.finish();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let (found, last) = expected.check(lines);
    assert_eq!(found, expected.numbers("complete_cnts"), "{last}");
    assert_eq!(last["end"], "stop_item");
    assert_eq!(last["stats"]["kernel_drops"], 0);
}

#[test]
fn what_is_sent_arrives() {
    round_trip("127.0.0.1", "chunks_1472_48", "--rate 50M");
    round_trip("localhost", "chunks_9000_40", "--rate 50M");
    round_trip("127.0.0.1", "chunks_lossy", "--speed 0.25");
}

#[test]
fn over_ipv6_too() {
    if UdpSocket::bind("[::1]:0").is_ok() {
        round_trip("[::1]", "chunks_single_packet", "--rate 50M");
    }
}

#[test]
fn payloads_leave_in_order_and_at_the_rate() {
    let payloads = data::datagrams("chunks_1472_48");
    let bits: usize = payloads.iter().map(|payload| 8 * payload.len()).sum();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap();
    let receiver = std::thread::spawn(move || {
        let mut buffer = vec![0; 2000];
        for payload in payloads {
            let size = socket.recv(&mut buffer).unwrap();
            assert!(payload == buffer[..size]);
        }
    });
    let begin = Instant::now();
    let sent = run(&format!("replay chunks_1472_48.pcap udp://{address} --rate 10M"));
    let elapsed = begin.elapsed().as_secs_f64();
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    assert!(sent.stderr.starts_with("sent 385 packets, 549 kB in 0."), "{}", sent.stderr);
    receiver.join().unwrap();
    // Never faster, but for the last packet. How much slower depends on the machine, which may be busy.
    let expected = bits as f64 / 10e6;
    assert!(elapsed > 0.99 * expected && elapsed < 10.0 * expected, "{elapsed} s for {expected} s");
}

#[test]
fn count_and_loop_say_how_much() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    for (options, packets) in [("--count 7", 7), ("--loop 3", 3 * 26), ("--loop 0 --count 60", 60)] {
        let sent = run(&format!("replay items_48.pcap udp://{address} {options}"));
        assert_eq!(sent.status, 0, "{}", sent.stderr);
        assert!(sent.stderr.starts_with(&format!("sent {packets} packets, ")), "{options}: {}", sent.stderr);
    }
}

#[test]
fn a_broken_file_fails_after_what_could_be_read() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let whole =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chunks_1472_48.pcap")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &whole[..100_000]).unwrap();
    let sent = run(&format!("replay {} udp://{address}", file.path().display()));
    assert_eq!(sent.status, 1);
    assert!(sent.stderr.contains("record 68 at byte 99718"), "{}", sent.stderr);
    assert!(sent.stderr.contains("sent 67 packets"), "{}", sent.stderr);
}

#[test]
fn nobody_there_is_told_once() {
    // A port that was free a moment ago.
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sent = run(&format!("replay items_48.pcap udp://{address}"));
    assert_eq!(sent.status, 1);
    assert_eq!(sent.stderr.matches("warning: nobody listens on").count(), 1, "{}", sent.stderr);
    assert!(
        sent.stderr.contains("sent 26 packets") && sent.stderr.contains("26 packets refused"),
        "{}",
        sent.stderr
    );
    assert!(sent.stderr.contains("every packet was refused"), "{}", sent.stderr);
}

#[test]
fn what_is_wrong_is_explained() {
    for (arguments, status, part) in [
        ("replay no_such_file udp://127.0.0.1:9", 1, "open no_such_file: No such file"),
        ("replay README.md udp://127.0.0.1:9", 1, "not a capture file"),
        ("replay items_48.pcap udp://127.0.0.1:9 --filter tcp", 1, "there is no UDP payload to send"),
        ("replay items_48.pcap udp://no.such.host.invalid:9", 1, "resolving host \"no.such.host.invalid\""),
        ("replay items_48.pcap udp://127.0.0.1:0", 2, "a port other than 0"),
        ("replay items_48.pcap udp://:9", 2, "needs a host"),
        ("replay items_48.pcap pcap:x", 2, "expected udp://HOST:PORT"),
        ("replay items_48.pcap udp://127.0.0.1:9 --rate 0", 2, "must be a number from 1 upwards"),
        ("replay items_48.pcap udp://127.0.0.1:9 --rate 1e9 --timed", 2, "cannot be used with"),
        ("replay items_48.pcap udp://127.0.0.1:9 --speed -1", 2, "must be a number above 0"),
        ("replay items_48.pcap udp://127.0.0.1:9 --filter nonsense", 2, "filter \"nonsense\""),
    ] {
        let finished = run(arguments);
        assert_eq!(finished.status, status, "{arguments}: {}", finished.stderr);
        assert!(finished.stderr.contains(part), "{arguments}: {}", finished.stderr);
    }
}
