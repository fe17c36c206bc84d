//! One client of the registry, as the server sees it: lines in, lines out.
//!
//! Invariant: no more than [`MOST_LINE`] and a read's worth of bytes wait to be understood, and no more than one answer waits to be sent: nothing is read
//! from a client that does not take its answers. The server's thread only.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::protocol::MOST_LINE;

/// Bytes of one read.
const READ: usize = 16 << 10;

/// What there is to do for a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A line, without its end.
    Line(Vec<u8>),
    /// Nothing before the socket is ready again.
    Wait,
    /// A line that is longer than any may be.
    TooLong,
    /// Nothing ever: the client is gone.
    Gone,
}

/// A lookup that waits for its name.
#[derive(Debug)]
pub(super) struct Waiting {
    pub name: String,
    pub until: Instant,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// Does not block.
    stream: TcpStream,
    /// Where the client is.
    pub peer: String,
    /// What has come; the part before `start` is done with, and there is no end of a line before `looked`.
    input: Vec<u8>,
    start: usize,
    looked: usize,
    /// The client sends nothing more.
    ended: bool,
    /// The answer, of which `sent` bytes are on their way.
    output: Vec<u8>,
    sent: usize,
    /// To be closed when the answer is on its way.
    pub closing: bool,
    pub waiting: Option<Waiting>,
    /// The socket has said that the client sends nothing more; what it sent before may still be to be read.
    pub hung_up: bool,
    /// It waits for its turn.
    pub runnable: bool,
    /// When its last request was whole; at first, when it came.
    pub since: Instant,
    /// When what is half done now was begun: a line that has not ended, an answer that is not on its way.
    half: Option<Instant>,
}

impl Connection {
    pub fn new(stream: TcpStream, peer: String, now: Instant) -> Self {
        Self {
            stream,
            peer,
            input: Vec::new(),
            start: 0,
            looked: 0,
            ended: false,
            output: Vec::new(),
            sent: 0,
            closing: false,
            waiting: None,
            hung_up: false,
            runnable: false,
            since: now,
            half: None,
        }
    }

    /// Leaves an answer, to be sent by the next [`step`](Self::step).
    pub fn answer(&mut self, line: String) {
        self.output = line.into_bytes();
        self.sent = 0;
    }

    /// When it must have done what it has half done, or is left.
    pub fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.half.and_then(|begun| begun.checked_add(patience))
    }

    /// Sends what is to be sent, then looks for a line.
    pub fn step(&mut self, now: Instant) -> Step {
        match self.flush() {
            Ok(true) if self.closing => return Step::Gone,
            Ok(true) => {}
            Ok(false) => {
                self.half.get_or_insert(now);
                return Step::Wait;
            }
            Err(_) => return Step::Gone,
        }
        if self.waiting.is_some() {
            // It has to wait, too.
            self.half = None;
            // Nothing is read meanwhile, where its end would be seen.
            return if self.hung_up { Step::Gone } else { Step::Wait };
        }
        let step = self.take_line();
        match &step {
            Step::Line(_) => {
                self.since = now;
                self.half = None;
            }
            Step::Wait if self.start < self.input.len() => {
                self.half.get_or_insert(now);
            }
            _ => self.half = None,
        }
        step
    }

    /// Whether all is on its way.
    fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Memory for a long answer is not kept.
        self.output = Vec::new();
        self.sent = 0;
        Ok(true)
    }

    fn take_line(&mut self) -> Step {
        loop {
            if let Some(at) = self.input[self.looked..].iter().position(|&byte| byte == b'\n') {
                let end = self.looked + at;
                if end - self.start > MOST_LINE {
                    return Step::TooLong;
                }
                let line = self.input[self.start..end].to_vec();
                self.start = end + 1;
                self.looked = self.start;
                return Step::Line(line);
            }
            self.looked = self.input.len();
            self.input.drain(..self.start);
            self.looked -= self.start;
            self.start = 0;
            if self.input.len() > MOST_LINE {
                return Step::TooLong;
            }
            if self.input.is_empty() {
                // Memory for a long request is not kept.
                self.input = Vec::new();
            }
            if self.ended {
                return Step::Gone;
            }
            let mut bytes = [0; READ];
            match self.stream.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Step::Gone,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener};

    fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, Connection::new(server, peer.to_string(), Instant::now()))
    }

    /// The next step that is not to wait for what is on its way.
    fn next(connection: &mut Connection) -> Step {
        let guard = Instant::now() + Duration::from_secs(60);
        loop {
            match connection.step(Instant::now()) {
                Step::Wait if Instant::now() < guard => std::thread::yield_now(),
                step => return step,
            }
        }
    }

    #[test]
    fn lines_in_pieces_and_several_at_once() {
        let (mut client, mut connection) = pair();
        assert_eq!(connection.step(Instant::now()), Step::Wait);
        let patience = Duration::from_secs(5);
        assert_eq!(connection.deadline(patience), None);
        client.write_all(b"ab").unwrap();
        let begun = Instant::now();
        while connection.deadline(patience).is_none() {
            assert_eq!(connection.step(begun), Step::Wait);
        }
        // It is not put off by a byte now and then.
        client.write_all(b"c").unwrap();
        assert_eq!(connection.step(begun + patience), Step::Wait);
        assert_eq!(connection.deadline(patience), Some(begun + patience));
        client.write_all(b"\n\nxy\nrest").unwrap();
        for expected in ["abc", "", "xy"] {
            assert_eq!(next(&mut connection), Step::Line(expected.into()));
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(next(&mut connection), Step::Gone);
    }

    #[test]
    fn a_line_has_an_end() {
        for with_end in [true, false] {
            let (mut client, mut connection) = pair();
            let sender = std::thread::spawn(move || {
                client.write_all(&vec![b'x'; MOST_LINE]).unwrap();
                client.write_all(b"\n").unwrap();
                // It is not read to its end.
                let _ = client.write_all(&vec![b'x'; MOST_LINE + 1]);
                let _ = client.write_all(if with_end { b"\n" } else { b"" });
                client
            });
            assert_eq!(next(&mut connection), Step::Line(vec![b'x'; MOST_LINE]));
            assert_eq!(next(&mut connection), Step::TooLong);
            assert!(connection.input.len() <= MOST_LINE + READ);
            drop(connection);
            sender.join().unwrap();
        }
    }

    #[test]
    fn who_does_not_take_answers_is_not_read_from() {
        let (mut client, mut connection) = pair();
        client.write_all(b"1\n2\n").unwrap();
        assert_eq!(next(&mut connection), Step::Line(b"1".to_vec()));
        // More than the sockets hold.
        connection.answer("y".repeat(64 << 20));
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(connection.step(now), Step::Wait);
        }
        assert_eq!(connection.deadline(Duration::ZERO), Some(now));
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 64 << 20];
            client.read_exact(&mut all).unwrap();
            client
        });
        assert_eq!(next(&mut connection), Step::Line(b"2".to_vec()));
        assert_eq!(connection.output.capacity(), 0);
        drop(reader.join().unwrap());
        assert_eq!(next(&mut connection), Step::Gone);
    }
}
