//! The registry's server: one thread for all clients.
//!
//! Invariants: a connection that has something to do without waiting for its socket is in `runnable`, and each gets a bounded turn; all that a client can
//! make the server keep is bounded by [`Limits`]; a client that does nothing useful is left, or gives way to another. All but `stop` belongs to the
//! server's thread.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockRef, TcpKeepalive};

use super::connection::{Connection, Step, Waiting};
use super::endpoint;
use super::names::{Names, not_found};
use super::protocol::{Code, MOST_LINE, Refusal, Request, done_line, found_line, list_line};
use crate::error::{Error, Result};
use crate::log::Limited;
use crate::sys::signal::leave_to_other_threads;
use crate::sys::tcp::is_of_one_connection;

/// What clients can make a registry keep, and how long it waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Names.
    pub names: usize,
    /// Bytes of all names and params.
    pub bytes: usize,
    /// How long a client may take for a line that it has begun, or to take an answer.
    pub patience: Duration,
    /// How long a client that publishes nothing may be silent.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            names: 4096,
            bytes: 64 << 20,
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(120),
        }
    }
}

/// A registry. It ends when it is dropped, and all publications with it.
#[derive(Debug)]
pub struct RegistryServer {
    address: SocketAddr,
    waker: Arc<mio::Waker>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RegistryServer {
    /// Serves at `HOST:PORT`, and at nothing else; port 0 for one that the system chooses.
    ///
    /// # Errors
    /// `Invalid`: endpoint. `Io`: the port is taken, the address not this machine's, or the system is out of something.
    pub fn start(endpoint: &str, limits: Limits) -> Result<Self> {
        let (listener, address) = listen(endpoint)?;
        let failed = |reason: io::Error| Error::io(format_args!("registry {address}"), &reason);
        let poll = Poll::new().map_err(failed)?;
        poll.registry()
            .register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)
            .map_err(failed)?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER).map_err(failed)?);
        let stop = Arc::new(AtomicBool::new(false));
        let server = Server {
            poll,
            listener,
            names: Names::new(limits.names, limits.bytes),
            limits,
            connections: BTreeMap::new(),
            next: FIRST,
            runnable: VecDeque::new(),
            accept_at: None,
            stop: stop.clone(),
            refused: Limited::new("registry: connections refused"),
        };
        let thread = std::thread::Builder::new().name("aqueduct-names".into()).spawn(move || server.run());
        Ok(Self { address, waker, stop, thread: Some(thread.map_err(failed)?) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        // Relaxed: the waker's system call orders it.
        self.stop.store(true, Ordering::Relaxed);
        let woken = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && woken.is_ok()
        {
            // A panic there has been reported, and there is nothing left to do.
            let _ = thread.join();
        }
    }
}

fn listen(endpoint: &str) -> Result<(TcpListener, SocketAddr)> {
    let addresses = endpoint::addresses(endpoint, true)?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        match bind() {
            Ok(bound) => return Ok(bound),
            Err(reason) => last = reason,
        }
    }
    Err(Error::io(format_args!("registry: listen on {endpoint}"), &last))
}

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;

/// Lines that a client gets answered before the others have their turn.
const TURN: usize = 16;
/// Connections that are taken in a row.
const BATCH: usize = 64;
/// Before trying again when the system had no descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);

/// A peer whose machine has gone without a word is noticed after half a minute.
pub(super) fn keepalive() -> TcpKeepalive {
    let (time, interval) = (Duration::from_secs(15), Duration::from_secs(5));
    TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3)
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    limits: Limits,
    names: Names,
    /// By their number, which is their token.
    connections: BTreeMap<usize, Connection>,
    next: usize,
    runnable: VecDeque<usize>,
    /// Connections may wait to be taken, at this time: there was no more to do for it, or nothing to do it with.
    accept_at: Option<Instant>,
    stop: Arc<AtomicBool>,
    refused: Limited,
}

impl Server {
    fn run(mut self) {
        leave_to_other_threads();
        let mut events = Events::with_capacity(256);
        while !self.stop.load(Ordering::Relaxed) {
            let timeout = self.time_to_sleep(Instant::now());
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("registry: ends, as it cannot wait: {error}");
                return;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_at = Some(now),
                    WAKER => {}
                    Token(number) => {
                        if let Some(connection) = self.connections.get_mut(&number) {
                            connection.hung_up |= event.is_error() || event.is_read_closed();
                        }
                        self.run_soon(number);
                    }
                }
            }
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept(now);
            }
            // What becomes runnable meanwhile waits for the next round.
            for _ in 0..self.runnable.len() {
                if let Some(number) = self.runnable.pop_front() {
                    self.turn(number, now);
                }
            }
            self.leave_who_is_late(now);
        }
    }

    /// Until something has to be done that no socket tells of.
    fn time_to_sleep(&self, now: Instant) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let connections = self.connections.iter();
        let deadlines = connections.filter_map(|(&number, connection)| self.deadline(number, connection));
        let first = deadlines.chain(self.accept_at).min()?;
        // The system's timers are of milliseconds: not to come back before the time, again and again.
        Some(first.saturating_duration_since(now) + Duration::from_millis(1))
    }

    /// When a connection is to be answered or left, if nothing comes.
    fn deadline(&self, number: usize, connection: &Connection) -> Option<Instant> {
        let idle = || connection.since.checked_add(self.limits.idle).filter(|_| !self.names.any_of(number));
        match &connection.waiting {
            Some(waiting) => Some(waiting.until),
            None => [connection.deadline(self.limits.patience), idle()].into_iter().flatten().min(),
        }
    }

    fn leave_who_is_late(&mut self, now: Instant) {
        let late = self.connections.iter().filter(|(number, connection)| {
            self.deadline(**number, connection).is_some_and(|deadline| deadline <= now)
        });
        let late: Vec<usize> = late.map(|(&number, _)| number).collect();
        for number in late {
            match self.connections.get(&number).and_then(|connection| connection.waiting.as_ref()) {
                Some(Waiting { name, .. }) => self.answer_late(number, not_found(name).line()),
                None => self.close(number),
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        self.accept_at = None;
        for _ in 0..BATCH {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    if let Err(reason) = self.admit(stream, peer, now) {
                        self.refused.note(|| format!("{peer}: {reason}"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.refused.note(|| error.to_string());
                    self.accept_at = now.checked_add(RETRY);
                    return;
                }
            }
        }
        // The socket does not tell of them again.
        self.accept_at = Some(now);
    }

    fn admit(&mut self, mut stream: TcpStream, peer: SocketAddr, now: Instant) -> io::Result<()> {
        if self.connections.len() >= self.limits.connections && !self.make_room() {
            let most = self.limits.connections;
            let refusal = Refusal::new(Code::Full, format!("the registry has at most {most} connections"));
            // An empty socket takes it.
            let _ = io::Write::write(&mut stream, refusal.line().as_bytes());
            return Err(io::Error::other(refusal.message));
        }
        stream.set_nonblocking(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&keepalive())?;
        let (number, interest) = (self.next, Interest::READABLE | Interest::WRITABLE);
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(number), interest)?;
        self.next += 1;
        self.connections.insert(number, Connection::new(stream, peer.to_string(), now));
        self.run_soon(number);
        Ok(())
    }

    fn run_soon(&mut self, number: usize) {
        if let Some(connection) = self.connections.get_mut(&number).filter(|connection| !connection.runnable)
        {
            connection.runnable = true;
            self.runnable.push_back(number);
        }
    }

    /// Leaves the client that has asked for nothing for longest, and publishes nothing.
    fn make_room(&mut self) -> bool {
        let idle = self.connections.iter().filter(|(number, _)| !self.names.any_of(**number));
        let longest = idle.min_by_key(|(_, connection)| connection.since).map(|(&number, _)| number);
        longest.map(|number| self.close(number)).is_some()
    }

    fn close(&mut self, number: usize) {
        // Its socket is closed, which takes it out of the poll.
        self.connections.remove(&number);
        self.names.forget(number);
    }

    /// Answers what a client has asked, a few lines at a time.
    fn turn(&mut self, number: usize, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.runnable = false;
        }
        for _ in 0..TURN {
            let Some(connection) = self.connections.get_mut(&number) else { return };
            match connection.step(now) {
                Step::Wait => return,
                Step::Gone => return self.close(number),
                Step::TooLong => {
                    let rule = format!("a line must be at most {MOST_LINE} bytes");
                    connection.answer(Refusal::new(Code::Malformed, rule).line());
                    connection.closing = true;
                }
                Step::Line(line) => match Request::parse(&line) {
                    Ok(request) => {
                        if let Some(line) = self.serve(number, request, now)
                            && let Some(connection) = self.connections.get_mut(&number)
                        {
                            connection.answer(line);
                        }
                    }
                    Err(refusal) => {
                        connection.answer(refusal.line());
                        // What speaks another protocol would go on.
                        connection.closing = refusal.code == Code::Malformed;
                    }
                },
            }
        }
        self.run_soon(number);
    }

    /// Ends the waiting of a lookup.
    fn answer_late(&mut self, number: usize, line: String) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.waiting = None;
            connection.answer(line);
            self.run_soon(number);
        }
    }

    /// The answer, unless it is to come later.
    fn serve(&mut self, number: usize, request: Request, now: Instant) -> Option<String> {
        let connection = self.connections.get_mut(&number)?;
        let done = |result: Result<(), Refusal>| match result {
            Ok(()) => done_line(),
            Err(refusal) => refusal.line(),
        };
        Some(match request {
            Request::Publish { name, params, who } => {
                let holder = match who.as_str() {
                    "" => connection.peer.clone(),
                    who => format!("{} ({who})", connection.peer),
                };
                let result = self.names.publish(number, holder, name.clone(), params);
                if result.is_ok() {
                    self.tell_who_waits(&name);
                }
                done(result)
            }
            Request::Unpublish { name } => done(self.names.unpublish(number, &name)),
            Request::Lookup { name, wait } => match self.names.find(&name) {
                Some(entry) => found_line(entry),
                None if wait.is_zero() => not_found(&name).line(),
                None => {
                    connection.waiting = Some(Waiting { name, until: now + wait });
                    return None;
                }
            },
            Request::List { after } => {
                let (entries, more) = self.names.page(&after);
                list_line(entries, more)
            }
        })
    }

    /// Answers the lookups that wait for a name that is there now.
    fn tell_who_waits(&mut self, name: &str) {
        let waits = |connection: &Connection| connection.waiting.as_ref().is_some_and(|w| w.name == name);
        let waiting: Vec<usize> =
            self.connections.iter().filter(|(_, c)| waits(c)).map(|(&number, _)| number).collect();
        for number in waiting {
            if let Some(entry) = self.names.find(name) {
                self.answer_late(number, found_line(entry));
            }
        }
    }
}
