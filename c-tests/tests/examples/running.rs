//! Running an example, and what the captures hold.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_c_tests::{here, sanitized_runs, set_sanitizer_options, Program, Standard};

/// The longest that anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The variants in which a program is run.
pub fn variants(source: &'static str) -> Vec<Program> {
    let mut programs = vec![Program::new(source), Program::new(source).standard(Standard::Cxx17)];
    if sanitized_runs() {
        programs.push(Program::new(source).sanitized());
    }
    programs
}

/// A running receiver, whose lines come as they are written.
pub struct Running {
    pub child: Child,
    /// On 127.0.0.1, unless it was told otherwise.
    pub ports: Vec<u16>,
    pub stdout: Receiver<String>,
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

pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    set_sanitizer_options(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    command
}

impl Running {
    /// Starts it and waits until it has told `ports` addresses.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        ports: usize,
    ) -> Self {
        let mut child = command(program).args(arguments).spawn().expect("it starts");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = lines(child.stderr.take().expect("piped"));
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        while found.len() < ports {
            match stderr.recv_timeout(PATIENCE) {
                Ok(line) => match line.strip_prefix("listening on ").and_then(|to| to.rsplit_once(':')) {
                    Some((_, port)) => found.push(port.parse().expect("a port")),
                    None => seen.push(line),
                },
                Err(_) => {
                    let _ = child.kill();
                    panic!("it does not listen: {seen:?}");
                }
            }
        }
        Self { child, ports: found, stdout, stderr }
    }

    /// Waits for a line on stdout.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("it says something")
    }

    /// Waits for a complaint that begins so; gives it.
    pub fn complaint(&self, beginning: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE).expect("it says that");
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Ends it without a chance to clean up.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
    }

    /// Sends datagrams to one of its ports, in bursts that the smallest socket buffer holds, with pauses in which they are fetched.
    pub fn send(&self, port: usize, packets: &[Vec<u8>]) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for burst in packets.chunks(8) {
            for packet in burst {
                socket.send_to(packet, ("127.0.0.1", self.ports[port])).expect("sent");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end; gives its status, the rest of what it said, and of its complaints.
    pub fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
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

impl Drop for Running {
    fn drop(&mut self) {
        // Also when the test fails before its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The UDP payloads of a capture: classic pcap in this machine's byte order, Ethernet, IPv4 without options.
pub fn payloads(capture: &str) -> Vec<Vec<u8>> {
    let file = fs::read(here().join("../tests/data").join(capture)).expect("the capture");
    let mut rest = &file[24..];
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("4 bytes")) as usize;
        payloads.push(rest[16 + 14 + 20 + 8..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    payloads
}
