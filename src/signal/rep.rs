//! The protocol by which pyacq's relay node asks for a stream: a REP socket of ZeroMQ.
//!
//! | request | answer |
//! |---|---|
//! | `config` | the params of an output, as JSON |
//! | `start`, `stop` | `ok` |
//! | anything else, and what fails | `error: ` and a reason |
//!
//! Requests are answered one at a time by a thread of the server's own. Anybody who can connect may ask.

#[cfg(feature = "zmq")]
use std::sync::Arc;

#[cfg(not(feature = "zmq"))]
use crate::error::ErrorKind;
use crate::error::{Error, Result};

/// What the server answers with. It is called from the server's thread, and may block it; a panic is an error for who asked.
pub trait Handler: Send {
    /// The params, as JSON.
    fn config(&mut self) -> Result<String>;

    /// The stream is to begin.
    fn start(&mut self) -> Result<()>;

    /// The stream is to pause.
    fn stop(&mut self) -> Result<()>;
}

/// A server of that protocol. It ends when it is dropped.
#[derive(Debug)]
pub struct RepServer {
    #[cfg(feature = "zmq")]
    inner: server::Server,
    #[cfg(not(feature = "zmq"))]
    inner: std::convert::Infallible,
}

impl RepServer {
    /// Answers at a TCP port of `interface`; `*` for one that the system chooses.
    ///
    /// # Errors
    /// `Invalid`: interface or port. `Io`: the address is in use or not this machine's. `Unsupported`: a build without the feature `zmq`.
    pub fn start(interface: &str, port: &str, handler: Box<dyn Handler>) -> Result<Self> {
        #[cfg(feature = "zmq")]
        return Ok(Self { inner: server::Server::start(interface, port, handler)? });
        #[cfg(not(feature = "zmq"))]
        {
            let _ = (interface, port, handler);
            let reason = "a REP server needs the feature `zmq`, which this build does not have";
            Err(Error::new(ErrorKind::Unsupported, reason))
        }
    }

    /// Where it is, as a URL with the port that was chosen.
    pub fn address(&self) -> &str {
        #[cfg(feature = "zmq")]
        return self.inner.address();
        #[cfg(not(feature = "zmq"))]
        match self.inner {}
    }

    /// Ends it, and waits for a call of its handler in flight.
    ///
    /// # Errors
    /// `State`: it is that very call; nothing has changed.
    pub fn stop(&mut self) -> Result<()> {
        #[cfg(feature = "zmq")]
        return self.inner.stop();
        #[cfg(not(feature = "zmq"))]
        match self.inner {}
    }
}

#[cfg(feature = "zmq")]
mod server {
    use std::os::fd::AsFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use super::{Arc, Error, Handler, Result};
    use crate::error::ErrorKind;
    use crate::log::Limited;
    use crate::signal::transport::zmq::tcp_address;
    use crate::sys::epoll::is_readable;
    use crate::sys::eventfd::EventFd;
    use crate::sys::signal::leave_to_other_threads;
    use crate::sys::zmq::{Context, Kind, Message, Setting, Socket};

    /// Requests are a word.
    const MOST_REQUEST: u64 = 1024;
    /// An answer that is on its way at the end may go on for so long.
    const LINGER: Duration = Duration::from_millis(500);

    #[derive(Debug)]
    pub(super) struct Server {
        address: String,
        ending: Arc<EventFd>,
        thread: Option<JoinHandle<()>>,
    }

    impl Server {
        pub fn start(interface: &str, port: &str, handler: Box<dyn Handler>) -> Result<Self> {
            let url = tcp_address(interface, port, true)?;
            let make = || {
                let socket = Socket::new(&Context::new()?, Kind::Rep)?;
                socket.set_linger(LINGER)?;
                socket.set_most_part(MOST_REQUEST)?;
                socket.keep_alive()?;
                socket.set(Setting::Ipv6, i32::from(url.starts_with("tcp://[")))?;
                socket.bind(&url)?;
                let address = socket.address()?;
                Ok((socket, address, Arc::new(EventFd::new()?)))
            };
            let (socket, address, ending) =
                make().map_err(|reason| Error::io(format_args!("bind {url}"), &reason))?;
            let ended = ending.clone();
            let thread = thread::Builder::new()
                .name("aq-signal-rep".into())
                .spawn(move || serve(&socket, handler, &ended))
                .map_err(|reason| Error::io("start a thread", &reason))?;
            Ok(Self { address, ending, thread: Some(thread) })
        }

        pub fn address(&self) -> &str {
            &self.address
        }

        pub fn stop(&mut self) -> Result<()> {
            if let Some(thread) = &self.thread
                && thread.thread().id() == thread::current().id()
            {
                return Err(Error::state("a REP server cannot be stopped by a call of its own handler"));
            }
            self.ending.raise();
            if let Some(thread) = self.thread.take() {
                // It catches what its handler does.
                let _ = thread.join();
            }
            Ok(())
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            // From its own thread it ends by itself, when the handler's call returns.
            self.ending.raise();
            let _ = self.stop();
        }
    }

    fn serve(socket: &Socket, mut handler: Box<dyn Handler>, ending: &EventFd) {
        leave_to_other_threads();
        let mut failures = Limited::new("REP server: failures");
        loop {
            match socket.wait_readable(Some(ending.as_fd()), None).and_then(|_| is_readable(ending.as_fd())) {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    log::error!("REP server: ends, as it cannot wait for requests: {error}");
                    return;
                }
            }
            let request = match request(socket) {
                Ok(Some(request)) => request,
                Ok(None) => continue,
                Err(error) => {
                    failures.note(|| format!("receive: {error}"));
                    continue;
                }
            };
            let answer = answer(&mut *handler, &request);
            let sent =
                Message::copy_of(&answer).and_then(|mut message| socket.send(&mut message, false, false));
            // Who asked may be gone.
            if let Err(error) = sent {
                failures.note(|| format!("answer: {error}"));
            }
        }
    }

    /// All parts of a request; more than one are no request, and empty here.
    fn request(socket: &Socket) -> std::io::Result<Option<Vec<u8>>> {
        let Some(first) = socket.receive()? else { return Ok(None) };
        let (mut more, mut request) = (first.has_more(), first.as_slice().to_vec());
        while more {
            request.clear();
            let Some(part) = socket.receive()? else { break };
            more = part.has_more();
        }
        Ok(Some(request))
    }

    fn answer(handler: &mut dyn Handler, request: &[u8]) -> Vec<u8> {
        let ok = |()| "ok".to_owned();
        let answer = catch_unwind(AssertUnwindSafe(|| match request {
            b"config" => handler.config(),
            b"start" => handler.start().map(ok),
            b"stop" => handler.stop().map(ok),
            _ => Err(Error::invalid("a request must be config, start or stop")),
        }));
        match answer {
            Ok(Ok(answer)) => answer.into_bytes(),
            Ok(Err(error)) => format!("error: {error}").into_bytes(),
            Err(_) => {
                let error = Error::new(ErrorKind::Internal, "the handler panicked");
                format!("error: {error}").into_bytes()
            }
        }
    }
}

#[cfg(all(test, feature = "zmq"))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::sys::zmq::{Context, Kind, Message, Socket};
    use parking_lot::Mutex;
    use std::time::{Duration, Instant};

    struct Counting(Arc<Mutex<Vec<&'static str>>>);

    impl Handler for Counting {
        fn config(&mut self) -> Result<String> {
            Ok("{}".into())
        }
        fn start(&mut self) -> Result<()> {
            self.0.lock().push("start");
            Ok(())
        }
        fn stop(&mut self) -> Result<()> {
            self.0.lock().push("stop");
            if self.0.lock().len() > 2 { panic!("twice") } else { Ok(()) }
        }
    }

    fn ask(socket: &Socket, request: &[&[u8]]) -> String {
        for (i, part) in request.iter().enumerate() {
            socket.send(&mut Message::copy_of(part).unwrap(), i + 1 < request.len(), true).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(socket.wait_readable(None, Some(deadline)).unwrap(), "an answer");
        String::from_utf8(socket.receive().unwrap().unwrap().as_slice().to_vec()).unwrap()
    }

    #[test]
    fn answers() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut server = RepServer::start("127.0.0.1", "*", Box::new(Counting(calls.clone()))).unwrap();
        let client = Socket::new(&Context::new().unwrap(), Kind::Req).unwrap();
        client.set_linger(Duration::ZERO).unwrap();
        client.connect(server.address()).unwrap();
        assert_eq!(ask(&client, &[b"config"]), "{}");
        assert_eq!(ask(&client, &[b"start"]), "ok");
        assert_eq!(ask(&client, &[b"start", b"stop"]), "error: a request must be config, start or stop");
        assert_eq!(ask(&client, &[b""]), "error: a request must be config, start or stop");
        assert_eq!(ask(&client, &[b"stop"]), "ok");
        assert_eq!(ask(&client, &[b"stop"]), "error: the handler panicked");
        assert_eq!(ask(&client, &[b"config"]), "{}");
        assert_eq!(*calls.lock(), ["start", "stop", "stop"]);
        let port = server.address().rsplit(':').next().unwrap().to_owned();
        let taken = RepServer::start("127.0.0.1", &port, Box::new(Counting(calls.clone()))).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::Io);
        server.stop().unwrap();
        // At once, as its end was waited for.
        RepServer::start("127.0.0.1", &port, Box::new(Counting(calls))).unwrap();
    }
}
