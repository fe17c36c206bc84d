//! Datasets as h5py reads them: a Python that is kept, and asked one dataset after another.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

/// A running tests/live/h5_read.py.
pub struct Reading {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

/// What h5py has of a dataset.
pub struct Found {
    /// All that the script says.
    pub line: Json,
    /// The bytes of all elements, as numpy has them.
    pub bytes: Vec<u8>,
}

impl Found {
    /// The bytes as numbers.
    pub fn u64s(&self) -> Vec<u64> {
        self.bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect()
    }

    /// A ledger: names and values.
    pub fn ledger(&self) -> std::collections::BTreeMap<String, u64> {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().trim_end_matches('\0').to_owned();
        let entries = self.bytes.chunks_exact(48);
        entries
            .map(|entry| (text(&entry[..40]), u64::from_ne_bytes(entry[40..].try_into().unwrap())))
            .collect()
    }
}

impl Reading {
    /// Starts it.
    pub fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/h5_read.py");
        let mut command = Command::new(python);
        let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from, folder: tempfile::tempdir().unwrap() }
    }

    /// Reads a dataset; an error is what h5py says.
    pub fn try_read(&mut self, file: &Path, name: &str, swmr: bool) -> Result<Found, String> {
        let out = self.folder.path().join("out");
        let swmr = if swmr { "\tswmr" } else { "" };
        let to = self.to.as_mut().unwrap();
        writeln!(to, "{}\t{name}\t{}{swmr}", file.display(), out.display()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let line: Json = serde_json::from_str(&line).unwrap();
        match line["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(Found { bytes: std::fs::read(out).unwrap(), line }),
        }
    }

    /// The same, of one that must be there.
    pub fn read(&mut self, file: &Path, name: &str) -> Found {
        self.try_read(file, name, false).unwrap_or_else(|e| panic!("{name} of {}: {e}", file.display()))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}
