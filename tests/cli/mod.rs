//! What the tests of the command-line program share: running it, and what the captures' JSON files say.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::Value;

/// Heaps per chunk in these tests.
pub const HEAPS: u64 = 8;

/// The program, with arguments separated by blanks.
pub fn aqueduct(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"));
    command.args(arguments.split_whitespace());
    command
}

/// What a run of the program left.
pub struct Finished {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end.
pub fn run(arguments: &str) -> Finished {
    let output = aqueduct(arguments).stdin(Stdio::null()).output().unwrap();
    Finished {
        status: output.status.code().expect("not killed by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program while it runs: a receiver that is waiting for packets, for one. Killed when dropped.
pub struct Receiver {
    child: Child,
    /// What it listens or captures on, or is connected to, as it says itself.
    pub address: String,
    pub stdout: Lines<BufReader<ChildStdout>>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Receiver {
    /// Starts `recv udp://HOST:0` with `arguments` and waits until it listens.
    pub fn start(host: &str, arguments: &str) -> Self {
        Self::start_on(&format!("udp://{host}:0"), arguments)
    }

    /// The same with any source of that kind.
    pub fn start_on(source: &str, arguments: &str) -> Self {
        Self::run(aqueduct(&format!("recv {source} {arguments}")))
    }

    /// Runs a command, and waits until it says where it is at work.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the receiver ended early");
            // A warning about the buffer's size may come first.
            let said = ["listening on ", "capturing on ", "connected to "];
            if let Some(address) = said.iter().find_map(|said| line.trim_end().strip_prefix(said)) {
                break address.to_owned();
            }
        };
        Self { child, address, stdout, stderr }
    }

    /// Sends a signal of that name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Reads all that is left, and waits for the end.
    pub fn finish(mut self) -> (ExitStatus, Vec<String>, String) {
        let lines = self.stdout.by_ref().map(Result::unwrap).collect();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap(), lines, stderr)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a capture's JSON says was sent.
pub struct Expected {
    pub json: Value,
    /// SHA-256 by heap number; the heap's cnt is its number + 1.
    pub sha256: BTreeMap<u64, String>,
}

impl Expected {
    pub fn load(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.json"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let step = json["timestamp_step"].as_u64().unwrap();
        let heaps = json["heaps"].as_array().unwrap().iter();
        let sha256 = heaps
            .map(|heap| (heap["timestamp"].as_u64().unwrap() / step, heap["sha256"].as_str().unwrap().into()))
            .collect();
        Self { json, sha256 }
    }

    /// The options that place the capture's heaps.
    pub fn placement(&self) -> String {
        let Self { json, .. } = self;
        format!(
            "--item 0x1600 --step {} --heap-size {} --heaps-per-chunk {HEAPS}",
            json["timestamp_step"], json["heap_bytes"]
        )
    }

    /// Heap numbers from a list of heap cnts, without the stop heap's, the last. All heaps where there is no such list.
    pub fn numbers(&self, list: &str) -> BTreeSet<u64> {
        let stop = self.sha256.len() as u64;
        match self.json[list].as_array() {
            Some(cnts) => cnts.iter().map(|cnt| cnt.as_u64().unwrap() - 1).filter(|&n| n != stop).collect(),
            None => self.sha256.keys().copied().collect(),
        }
    }

    /// Checks the lines of `--json`: ids in order, every hash that of the heap as sent. The answer is the numbers of the
    /// heaps present, and the last line.
    pub fn check<S: AsRef<str>>(&self, lines: impl IntoIterator<Item = S>) -> (BTreeSet<u64>, Value) {
        let mut lines: Vec<Value> =
            lines.into_iter().map(|line| serde_json::from_str(line.as_ref()).unwrap()).collect();
        let last = lines.pop().expect("a line of statistics");
        let mut found = BTreeSet::new();
        let mut previous = None;
        for line in lines {
            let chunk = line["chunk"].as_u64().unwrap();
            assert!(previous.is_none_or(|previous| previous < chunk), "chunks in order");
            previous = Some(chunk);
            let (present, sha256) = (line["present"].as_array().unwrap(), line["sha256"].as_array().unwrap());
            assert_eq!((present.len() as u64, sha256.len() as u64), (HEAPS, HEAPS));
            for (index, (present, sha256)) in present.iter().zip(sha256).enumerate() {
                let number = chunk * HEAPS + index as u64;
                if present == 1 {
                    assert_eq!(sha256.as_str(), Some(self.sha256[&number].as_str()), "heap {number}");
                    found.insert(number);
                } else {
                    assert!(present == 0 && sha256.is_null());
                }
            }
        }
        assert_eq!(last["ledger_closed"], true, "{last}");
        (found, last)
    }
}
