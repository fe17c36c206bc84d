//! The main job, live: spead2 sends, examples/receive_chunks.c receives, and nothing is lost or changed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aqueduct_c_tests::{here, peer, Program};

const HEAPS: u64 = 2000;
const HEAP_SIZE: usize = 64 << 10;
const HEAPS_PER_CHUNK: u64 = 8;
const STEP: u64 = 4096;
const RATE: &str = "1e9";

/// Ends the program if the test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// FNV-1a of chunk `id` as tests/live/send_spead2.py fills heaps.
fn expected_hash(id: u64) -> u64 {
    let heaps = id * HEAPS_PER_CHUNK..(id + 1) * HEAPS_PER_CHUNK;
    heaps.fold(0xcbf2_9ce4_8422_2325, |hash, heap| {
        (0..HEAP_SIZE as u64).fold(hash, |hash, j| {
            let byte = (131 * heap + 7 * j + 13 * (j >> 8) + 29 * (j >> 16)) & 0xff;
            (hash ^ byte).wrapping_mul(0x0000_0100_0000_01b3)
        })
    })
}

#[test]
fn two_thousand_heaps_at_one_gigabit_per_second() {
    let Some(python) = peer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new("../examples/receive_chunks.c").build(folder.path());
    // A busy machine may be too slow for a small socket buffer. Then the kernel drops packets and says so: that, and only
    // that, is worth another try.
    let mut text = String::new();
    for _ in 0..3 {
        text = transfer(&program, &python);
        if !text.contains("kernel_drops") {
            break;
        }
    }
    let chunks: Vec<&str> = text.lines().filter(|line| line.starts_with("chunk ")).collect();
    assert_eq!(chunks.len() as u64, HEAPS / HEAPS_PER_CHUNK, "{text}");
    for (id, line) in chunks.iter().enumerate() {
        let hash = expected_hash(id as u64);
        assert_eq!(*line, format!("chunk {id}: 8 of 8 heaps, fnv1a {hash:016x}"));
    }
    assert!(text.contains(&format!("in {HEAPS} heaps, ledger closed: yes")), "{text}");
}

/// Has spead2 send to the program; what that prints.
fn transfer(program: &Path, python: &Path) -> String {
    let numbers = [STEP.to_string(), HEAP_SIZE.to_string(), HEAPS_PER_CHUNK.to_string()];
    let mut receiver = Running(
        Command::new(program)
            .args(["127.0.0.1", "0", "0x1600"])
            .args(&numbers)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("receive_chunks starts"),
    );
    let mut errors = BufReader::new(receiver.0.stderr.take().expect("piped"));
    let mut line = String::new();
    // The kernel may grant a smaller buffer and the library warn of it first.
    let port = loop {
        line.clear();
        assert_ne!(
            errors.read_line(&mut line).expect("readable"),
            0,
            "receive_chunks ended before it listened"
        );
        if let Some(port) = line.trim().strip_prefix("listening on 127.0.0.1:") {
            break port.to_owned();
        }
    };
    // Read what it prints while it runs: a full pipe would stop it.
    let mut stdout = receiver.0.stdout.take().expect("piped");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("UTF-8");
        text
    });

    let sender = Command::new(python)
        .arg(here().join("../tests/live/send_spead2.py"))
        .args(["127.0.0.1", &port, &HEAPS.to_string(), &HEAP_SIZE.to_string(), RATE, "8972"])
        .args(["--step", &STEP.to_string()])
        .output()
        .expect("python runs");
    assert!(sender.status.success(), "{}", String::from_utf8_lossy(&sender.stderr));

    let text = reading.join().expect("the reading thread ends");
    let status = receiver.0.wait().expect("receive_chunks ends at the stop item");
    assert!(status.success(), "{text}");
    text
}
