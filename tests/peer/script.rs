//! A script of tests/live that is talked to in JSON, a line each way at a time. It is killed when this is dropped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

pub struct Script {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Script {
    /// Starts it; `None`, with a message, where its Python packages cannot be had.
    pub fn new(name: &str) -> Option<Self> {
        let mut command = Command::new(super::peer::python()?);
        command.arg(format!("{}/tests/live/{name}", env!("CARGO_MANIFEST_DIR")));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    pub fn tell(&mut self, command: &Json) {
        writeln!(self.stdin, "{command}").unwrap();
    }

    /// What it says next, of which `what` is looked for.
    pub fn hear(&mut self, what: &str) -> Json {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let said: Json =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("the peer said {line:?}: {e}"));
        assert!(!said[what].is_null(), "the peer said {line}");
        said[what].clone()
    }

    #[allow(dead_code, reason = "some tests do")]
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
