//! The C programs of examples/ with a peer that has pyacq's wire format from its description (tests/live/signal_peer.py, made of pyzmq, numpy and blosc):
//! it receives what signal_producer.c sends, and signal_consumer.c what it sends.
#![cfg(feature = "zmq")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use aqueduct_c_tests::{here, peer, Program};
use serde_json::{json, Value as Json};

/// A program that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Peer {
    _child: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// Started in `folder`: its sockets in the file system have relative paths, as pyacq's have.
    fn new(python: &Path, folder: &Path) -> Self {
        let mut child = Command::new(python)
            .arg(here().join("../tests/live/signal_peer.py"))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { _child: Running(child), stdin, stdout: BufReader::new(stdout) }
    }

    fn tell(&mut self, command: &Json) {
        writeln!(self.stdin, "{command}").expect("it listens");
    }

    fn hear(&mut self) -> Json {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the peer said {line:?}: {e}"))
    }
}

fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> String {
    let hash = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// 2000 frames as signal_producer.c makes them with 3 channels, 1000 frames per second.
fn sine() -> impl Iterator<Item = u8> {
    let value = |frame: u64, channel: u64| {
        let turns = (frame % 1000 * (channel + 1) % 1000) as f64 / 1000.0;
        (10000.0 * (2.0 * std::f64::consts::PI * turns).sin()).round() as i16
    };
    (0..2000)
        .flat_map(move |frame| (0..3).map(move |channel| value(frame, channel)))
        .flat_map(i16::to_le_bytes)
}

#[test]
fn the_peer_receives_what_a_c_program_sends() {
    let Some(python) = peer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new("../examples/signal_producer.c").build(folder.path());
    let mut peer = Peer::new(&python, folder.path());
    for protocol in ["tcp", "ipc"] {
        for compression in ["none", "blosclz", "lz4"] {
            let mut producer = Running(
                Command::new(&program)
                    .args([format!("protocol={protocol}"), format!("compression={compression}")])
                    .args(["channels=3", "rate=1000", "chunk=100", "frames=2000", "inputs=1", "pace=0"])
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("it starts"),
            );
            let mut line = String::new();
            let mut stdout = BufReader::new(producer.0.stdout.take().expect("piped"));
            stdout.read_line(&mut line).expect("UTF-8");
            let params: Json = serde_json::from_str(&line).expect("params");
            assert_eq!(params["protocol"], protocol);
            peer.tell(&json!({ "do": "subscribe", "params": params, "chunks": 20, "fnv1a": true }));
            assert_eq!(peer.hear()["ready"], true);
            let heard = peer.hear();
            let chunks = heard["chunks"].as_array().expect("chunks");
            for (i, chunk) in chunks.iter().enumerate() {
                assert_eq!((&chunk["index"], &chunk["shape"]), (&json!(100 * (i + 1)), &json!([100, 3])));
            }
            assert_eq!(heard["fnv1a"], fnv1a(sine()), "{protocol} {compression}");
            assert!(producer.0.wait().expect("it ends").success());
        }
    }
}

#[test]
fn a_c_program_receives_what_the_peer_sends() {
    let Some(python) = peer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new("../examples/signal_consumer.c").build(folder.path());
    let mut peer = Peer::new(&python, folder.path());
    let streams = [
        json!({ "dtype": "<f4", "shape": [-1, 3], "compression": "" }),
        json!({ "dtype": ">i2", "shape": [-1, 4, 3], "compression": "blosc-blosclz" }),
        json!({ "dtype": [["time", "<u8"], ["label", "S16"]], "shape": [-1], "compression": "blosc-lz4" }),
    ];
    for (seed, stream) in streams.iter().enumerate() {
        for protocol in ["tcp", "ipc"] {
            let mut params = stream.clone();
            params["protocol"] = json!(protocol);
            params["interface"] = json!("127.0.0.1");
            params["port"] = json!("*");
            params["transfermode"] = json!("plaindata");
            peer.tell(
                &json!({ "do": "publish", "params": params, "seed": seed, "chunks": 15, "fnv1a": true }),
            );
            let bound = peer.hear()["params"].clone();
            let consumer = Command::new(&program)
                .args([bound.to_string(), "0".into(), "2".into()])
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let heard = peer.hear();
            // No frame comes for two seconds: that is all.
            let output = Running(consumer).output();
            let lines: Vec<&str> = output.lines().collect();
            let (mut expected, mut next) = (Vec::new(), None);
            let (mut frames, mut chunks, mut missing, mut gaps) = (0, 0, 0, 0);
            for chunk in heard["chunks"].as_array().expect("chunks") {
                let (index, rows) = (
                    chunk["index"].as_u64().expect("a number"),
                    chunk["shape"][0].as_u64().expect("a number"),
                );
                // Of chunks without frames nothing is told.
                if rows == 0 {
                    continue;
                }
                let start = index - rows;
                if let Some(next) = next.filter(|&next| next < start) {
                    expected.push(format!("frames {next} to {start} are missing"));
                    (missing, gaps) = (missing + start - next, gaps + 1);
                }
                expected.push(format!("frames {start} to {index}"));
                (frames, chunks, next) = (frames + rows, chunks + 1, Some(index));
            }
            let hash = heard["fnv1a"].as_str().expect("a hash");
            expected.push(format!(
                "{frames} frames in {chunks} chunks, {missing} missing in {gaps} gaps, fnv1a {hash}"
            ));
            assert_eq!(lines, expected, "{bound}");
        }
    }
}

impl Running {
    /// Waits for its end; what it said.
    fn output(mut self) -> String {
        let mut text = String::new();
        let mut stdout = self.0.stdout.take().expect("piped");
        std::io::Read::read_to_string(&mut stdout, &mut text).expect("UTF-8");
        assert!(self.0.wait().expect("it ends").success(), "{text}");
        text
    }
}
