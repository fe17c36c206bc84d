//! The programs of examples/ do what they say: they compile as C11 and C++17, and receive every byte that was sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_c_tests::{compiler, here, sanitized_runs, set_sanitizer_options, Program, Standard};

const SOURCE: &str = "../examples/receive_chunks.c";
const ITEM: u64 = 0x1600;
const STEP: u64 = 4096;
const HEAP_SIZE: usize = 8192;
const HEAPS: u64 = 64;
const HEAPS_PER_CHUNK: u64 = 16;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn all_compile_as_c_and_cxx() {
    for entry in fs::read_dir(here().join("../examples")).expect("the folder").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "c") {
            for standard in [Standard::C11, Standard::C17, Standard::Cxx17] {
                aqueduct_c_tests::check(compiler(standard).arg("-fsyntax-only").arg(entry.path()));
            }
        }
    }
}

/// The variants in which the program is run.
fn programs() -> Vec<Program> {
    let mut programs = vec![Program::new(SOURCE), Program::new(SOURCE).standard(Standard::Cxx17)];
    if sanitized_runs() {
        programs.push(Program::new(SOURCE).sanitized());
    }
    programs
}

/// A running receiver, whose lines come as they are written.
struct Running {
    child: Child,
    port: u16,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn numbers() -> [String; 4] {
    [format!("{ITEM:#x}"), STEP.to_string(), HEAP_SIZE.to_string(), HEAPS_PER_CHUNK.to_string()]
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    set_sanitizer_options(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    command
}

impl Running {
    fn start(program: &Path) -> Self {
        let mut child = command(program).args(["127.0.0.1", "0"]).args(numbers()).spawn().expect("it starts");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = lines(child.stderr.take().expect("piped"));
        let mut seen = Vec::new();
        let port = loop {
            match stderr.recv_timeout(PATIENCE) {
                Ok(line) => match line.strip_prefix("listening on 127.0.0.1:") {
                    Some(port) => break port.parse().expect("a port"),
                    None => seen.push(line),
                },
                Err(_) => {
                    let _ = child.kill();
                    panic!("it does not listen: {seen:?}");
                }
            }
        };
        Self { child, port, stdout, stderr }
    }

    /// Sends datagrams, in bursts that the smallest socket buffer holds, with pauses in which they are fetched.
    fn send(&self, packets: &[Vec<u8>]) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for burst in packets.chunks(8) {
            for packet in burst {
                socket.send_to(packet, ("127.0.0.1", self.port)).expect("sent");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end; gives its status, the rest of what it said, and of its complaints.
    fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => {
                    let _ = self.child.kill();
                    panic!("it does not end: {:?}", self.stdout.try_iter().collect::<Vec<_>>());
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        (status, self.stdout.iter().collect(), self.stderr.iter().collect())
    }
}

/// The UDP payloads of the capture: classic pcap in this machine's byte order, Ethernet, IPv4 without options.
fn payloads() -> Vec<Vec<u8>> {
    let file = fs::read(here().join("../tests/data/chunks_1472_48.pcap")).expect("the capture");
    let mut rest = &file[24..];
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("4 bytes")) as usize;
        payloads.push(rest[16 + 14 + 20 + 8..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    payloads
}

/// The immediate value of an item; identifiers have 16 bits (the first says "immediate"), values 48.
fn immediate(packet: &[u8], id: u64) -> Option<u64> {
    let count = u16::from_be_bytes([packet[6], packet[7]]).into();
    let pointers = packet[8..].chunks_exact(8).take(count);
    let mut pointers = pointers.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")));
    pointers.find(|pointer| pointer >> 48 == 0x8000 | id).map(|pointer| pointer & 0xffff_ffff_ffff)
}

/// What the program says about each chunk, computed from the payloads.
fn expected() -> BTreeMap<u64, String> {
    let mut data = vec![0; HEAPS as usize * HEAP_SIZE];
    let mut seen = 0;
    for packet in payloads() {
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
    let (packets, expected) = (payloads(), expected());
    assert_eq!(packets.len(), 385);
    for program in programs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = Running::start(&program.build(folder.path()));
        running.send(&packets);
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
    let (packets, expected) = (payloads(), expected());
    // Into the third chunk, so that the first is ready.
    let begun = packets.iter().position(|packet| {
        immediate(packet, ITEM).is_some_and(|timestamp| timestamp / STEP == 2 * HEAPS_PER_CHUNK + 1)
    });
    let begun = begun.expect("there are more chunks");
    for (program, signal) in programs().into_iter().zip([libc::SIGINT, libc::SIGTERM, libc::SIGINT]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = Running::start(&program.build(folder.path()));
        running.send(&packets[..begun]);
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
