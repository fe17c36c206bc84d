//! `aqueduct recv`: captures arrive as they were sent, and what goes wrong is said and shows in the exit status.

mod cli;

use std::net::UdpSocket;
use std::process::Stdio;

use cli::{Expected, Receiver, aqueduct, run};

const PLACEMENT: &str = "--item 0x1600 --step 4096 --heap-size 8192 --heaps-per-chunk 8";

/// Receives a capture, checks every hash and that the expected heaps are there; the answer is the last line.
fn receive(name: &str, options: &str) -> serde_json::Value {
    let expected = Expected::load(name);
    let finished = run(&format!("recv pcap:{name}.pcap {} {options} --json", expected.placement()));
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert_eq!(finished.stderr, "");
    let (found, last) = expected.check(finished.stdout.lines());
    assert_eq!(found, expected.numbers("complete_cnts"), "{name}");
    assert_eq!(last["end"], "stop_item");
    assert_eq!(last["errors"], serde_json::json!([]));
    last
}

#[test]
fn undamaged_captures_arrive_whole() {
    for name in ["chunks_1472_48", "chunks_9000_40", "chunks_single_packet"] {
        let last = receive(name, "");
        let heaps = Expected::load(name).sha256.len();
        assert_eq!(last["stats"]["complete_heaps"], heaps);
        assert_eq!(last["stats"]["chunks_ready"], heaps.div_ceil(8));
    }
}

#[test]
fn damaged_captures_give_the_heaps_that_can_be_had() {
    for name in ["chunks_lossy", "chunks_reordered", "chunks_duplicated"] {
        let expected = Expected::load(name);
        let stats = &receive(name, "--out-of-order")["stats"];
        let given_up = stats["incomplete_heaps_evicted"].as_u64().unwrap()
            + stats["incomplete_heaps_flushed"].as_u64().unwrap();
        let incomplete = expected.json["incomplete_cnts"]
            .as_array()
            .map_or(0, |_| expected.numbers("incomplete_cnts").len());
        assert_eq!(given_up, incomplete as u64, "{name}");
        let duplicates = expected.json["duplicated_packets"].as_array().map_or(0, Vec::len);
        assert_eq!(stats["duplicate"], duplicates, "{name}");
    }
}

#[test]
fn few_chunks_in_circulation_are_enough() {
    receive("chunks_1472_48", "--max-chunks 1 --chunks 1");
}

#[test]
fn several_sources_feed_one_stream() {
    let expected = Expected::load("chunks_1472_48");
    let placement = expected.placement();
    let sources = "pcap:chunks_1472_48.pcap pcap:chunks_1472_48.pcap";
    let finished = run(&format!("recv {sources} {placement} --json --filter udp"));
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let (found, last) = expected.check(finished.stdout.lines());
    assert_eq!(found.len(), 64);
    assert!(last["stats"]["packets"].as_u64().unwrap() > 385, "from both");
}

#[test]
fn for_people_there_is_a_table() {
    let finished = run(&format!("recv pcap:chunks_lossy.pcap {PLACEMENT}"));
    assert_eq!(finished.status, 0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("chunk 0: ") && lines[0].contains(" of 8 heaps, "), "{}", lines[0]);
    assert_eq!(lines[8], "end: stop_item");
    assert_eq!(lines.last(), Some(&"ledger closed: yes"));
    for part in ["received  ", "packets    ", "delivered  ", "incomplete  ", "discarded  ", "out_of_order  "]
    {
        assert!(finished.stdout.contains(part), "{part}");
    }
    assert!(!finished.stdout.contains("malformed"), "counters at zero are left out");
}

#[test]
fn count_ends_it() {
    let finished = run(&format!("recv pcap:chunks_1472_48.pcap {PLACEMENT} --count 3 --json"));
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().count(), 4);
}

#[test]
fn heaps_too_long_for_their_place_are_counted_not_written() {
    let finished =
        run("recv pcap:chunks_1472_48.pcap --item 1 --step 1 --heap-size 8191 --heaps-per-chunk 8 --json");
    assert_eq!(finished.status, 0);
    assert!(finished.stderr.contains("heaps longer than --heap-size: 8192 bytes"), "{}", finished.stderr);
    let last: serde_json::Value = serde_json::from_str(finished.stdout.trim_end()).unwrap();
    assert_eq!(last["stats"]["rejected_heaps"], 64);
    assert_eq!(last["stats"]["place_rejected"], 384);
    assert_eq!(last["ledger_closed"], true);
}

#[test]
fn heaps_shorter_than_their_place_are_hashed_at_their_length() {
    let expected = Expected::load("chunks_1472_48");
    let placement = expected.placement().replace("--heap-size 8192", "--heap-size 10k");
    let finished = run(&format!("recv pcap:chunks_1472_48.pcap {placement} --json"));
    assert_eq!(expected.check(finished.stdout.lines()).0.len(), 64);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut command = aqueduct(&format!("recv pcap:chunks_1472_48.pcap {PLACEMENT} --json"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[test]
fn wrong_command_lines_are_explained() {
    for (arguments, part) in [
        ("recv pcap:chunks_lossy.pcap --chunks 9", "need heaps to be placed"),
        ("recv pcap:chunks_lossy.pcap --max-chunks 9", "need heaps to be placed"),
        ("recv pcap:chunks_lossy.pcap --item 1", "missing: --step, --heap-size, --heaps-per-chunk"),
        ("recv pcap:chunks_lossy.pcap --item 1 --step 1 --heap-size 1", "missing: --heaps-per-chunk"),
        ("recv --item 1", "<SOURCE>"),
        ("recv http://127.0.0.1:1", "unknown scheme \"http\""),
        ("recv chunks_lossy.pcap", "write pcap:chunks_lossy.pcap"),
        ("recv udp://127.0.0.1", "no port"),
        ("recv udp://::1:7148", "needs brackets"),
        ("recv pcap:chunks_lossy.pcap --item 0x --step 1", "invalid value '0x' for '--item <ID>'"),
        ("recv pcap:chunks_lossy.pcap --step 0", "must be at least 1"),
        ("recv pcap:chunks_lossy.pcap P --max-heaps 0", "max_heaps must be between 1 and"),
        ("recv pcap:chunks_lossy.pcap P --max-chunks 3 --chunks 2", "--chunks must be at least --max-chunks"),
        ("recv pcap:chunks_lossy.pcap P --filter nonsense", "filter \"nonsense\""),
        ("recv udp://127.0.0.1:0 P --filter udp", "--filter needs a source of scheme pcap:"),
        (
            "recv pcap:chunks_lossy.pcap P --max-size 9000",
            "--max-size needs a source of scheme udp:// or tcp://",
        ),
        ("recv udp://127.0.0.1:0 P --max-size 65536", "max_size must be between 1 and 65535 (got 65536)"),
        (
            "recv pcap:chunks_lossy.pcap --item 1 --step 1 --heap-size 8Gi --heaps-per-chunk 8G",
            "larger than memory",
        ),
        ("transmit", "unrecognized subcommand 'transmit'"),
    ] {
        let finished = run(&arguments.replace(" P", &format!(" {PLACEMENT}")));
        assert_eq!(finished.status, 2, "{arguments}: {}", finished.stderr);
        assert!(finished.stderr.contains(part), "{arguments}: {}", finished.stderr);
        assert_eq!(finished.stdout, "", "{arguments}");
    }
}

#[test]
fn sources_that_cannot_be_opened_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pcap");
    std::fs::write(&empty, "").unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (source, parts) in [
        ("pcap:no_such_file.pcap".to_owned(), ["open no_such_file.pcap", "No such file"]),
        (format!("pcap:{}", empty.display()), ["empty.pcap", "the file is empty"]),
        ("pcap:README.md".to_owned(), ["README.md", "not a capture file"]),
        (format!("udp://{address}"), [&format!("bind to {address}"), "Address already in use"]),
    ] {
        let finished = run(&format!("recv {source} {PLACEMENT}"));
        assert_eq!(finished.status, 1, "{source}: {}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(part), "{source}: {}", finished.stderr);
        }
        assert_eq!(finished.stdout, "", "{source}");
    }
}

#[test]
fn a_truncated_capture_gives_what_it_has_and_fails() {
    let expected = Expected::load("chunks_1472_48");
    let whole =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chunks_1472_48.pcap")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    // Inside the frame of record 68, which starts at byte 99718.
    std::fs::write(file.path(), &whole[..100_000]).unwrap();
    let cut = format!("pcap:{}", file.path().display());
    let arguments = |sources: &str| format!("recv {sources} {} --json", expected.placement());
    let message = "record 68 at byte 99718: the file ends after 266 of 1514 bytes of its frame";

    let finished = run(&arguments(&cut));
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains(message), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "said once: {}", finished.stderr);
    let (found, last) = expected.check(finished.stdout.lines());
    assert_eq!(found, (0..11).collect());
    assert_eq!(last["end"], "failed");
    assert!(last["errors"][0].as_str().unwrap().contains(message));

    // A second source that goes on does not hide the failure.
    let finished = run(&arguments(&format!("{cut} pcap:chunks_1472_48.pcap")));
    assert_eq!(finished.status, 1);
    let (_, last) = expected.check(finished.stdout.lines());
    assert_eq!(last["end"], "stop_item");
    assert_eq!(last["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn signals_end_it_with_what_is_there() {
    let expected = Expected::load("chunks_1472_48");
    for signal in ["INT", "TERM"] {
        let mut receiver = Receiver::start("127.0.0.1", &format!("{} --json", expected.placement()));
        // 40 heaps of 64, of six packets each, and half a heap; no stop item.
        let sent =
            run(&format!("replay chunks_1472_48.pcap udp://{} --rate 50M --count 243", receiver.address));
        assert_eq!(sent.status, 0, "{}", sent.stderr);
        // Two chunks are being filled, so the third comes out when the fifth has begun.
        let mut lines: Vec<String> = receiver.stdout.by_ref().take(3).map(Result::unwrap).collect();
        receiver.signal(signal);
        let (status, rest, stderr) = receiver.finish();
        assert_eq!(status.code(), Some(0), "{stderr}");
        lines.extend(rest);
        let (found, last) = expected.check(&lines);
        assert!(lines.len() > 4, "the chunks in progress are written");
        assert!(found.len() >= 24);
        assert_eq!(last["end"], "user");
    }
}
