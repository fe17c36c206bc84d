//! A name that is kept published.
//!
//! The registry forgets a name when the connection ends that it was published by. So a publication has a connection, and a thread that watches it: when the
//! registry goes, the thread publishes again as soon as one is there, trying after 0.1 s first and every 2 s at last.
//!
//! Invariant: while `trouble` is `None`, the registry has the name, as far as one can know. The thread stores it; any thread reads it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::endpoint;
use super::link::{Link, PATIENCE};
use super::protocol::{MOST_PARAMS, Request, check_name};
use crate::error::{Error, Result};
use crate::signal::params::{Params, Protocol};
use crate::sys::eventfd::EventFd;
use crate::sys::poll;
use crate::sys::signal::leave_to_other_threads;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(2);
/// How long the end waits for the registry to confirm it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A name under which an output is published, until this is dropped.
#[derive(Debug)]
pub struct Publication {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    endpoint: String,
    addresses: Vec<SocketAddr>,
    name: String,
    params: Params,
    stop: EventFd,
    /// Why it is not published now.
    trouble: Mutex<Option<Error>>,
}

impl Publication {
    /// Publishes the params of an output as `name` at the registry at `HOST:PORT`. An output that is bound to all addresses of its host (`0.0.0.0`, `::`, `*`) is
    /// published with the one by which this host reaches the registry.
    ///
    /// # Errors
    /// `Invalid`: endpoint, name or params. `Io`: no registry is there, or it does not answer. `State`: another publishes under that name; the message
    /// says who. `NoMemory`: the registry is full. `Version`, `Format`: what is there is another version, or no registry.
    pub fn new(endpoint: &str, name: &str, params: &Params) -> Result<Self> {
        check_name(name).map_err(Error::invalid)?;
        let size = params.to_json().len();
        if size > MOST_PARAMS {
            return Err(Error::invalid(format!("params must be at most {MOST_PARAMS} bytes (got {size})")));
        }
        let shared = Arc::new(Shared {
            endpoint: endpoint.into(),
            addresses: endpoint::addresses(endpoint, false)?,
            name: name.into(),
            params: params.clone(),
            stop: EventFd::new().map_err(|reason| Error::io("eventfd", &reason))?,
            trouble: Mutex::new(None),
        });
        let link = shared.publish()?;
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("aqueduct-name".into()).spawn(move || own.keep(link));
        let thread = thread.map_err(|reason| Error::io("start a thread", &reason))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Why the registry does not have the name at the moment, if so. The thread goes on trying.
    pub fn trouble(&self) -> Option<Error> {
        self.shared.trouble.lock().clone()
    }
}

impl Drop for Publication {
    /// When it returns, the registry has forgotten the name, if it answers within a second.
    fn drop(&mut self) {
        self.shared.stop.raise();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported, and there is nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn publish(&self) -> Result<Link> {
        let mut link = Link::connect(&self.endpoint, &self.addresses)?;
        let mut params = self.params.clone();
        let everywhere = |interface: &str| {
            let bare = interface.trim_start_matches('[').trim_end_matches(']');
            interface == "*" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
        };
        if params.protocol == Protocol::Tcp && everywhere(&params.interface) {
            params.interface = link.local_address()?.ip().to_canonical().to_string();
        }
        let request =
            Request::Publish { name: self.name.clone(), params: params.to_json(), who: this_process() };
        link.ask(&request, Instant::now() + PATIENCE, Some(&self.stop))?;
        Ok(link)
    }

    /// The thread.
    fn keep(&self, mut link: Link) {
        leave_to_other_threads();
        loop {
            if self.stopped_before_the_end_of(&link) {
                let request = Request::Unpublish { name: self.name.clone() };
                // If it fails, the end of the connection says the same a little later.
                let _ = link.ask(&request, Instant::now() + FAREWELL, None);
                return;
            }
            log::warn!("registry {} is gone: {:?} is not published", self.endpoint, self.name);
            drop(link);
            let mut delay = FIRST_DELAY;
            let gone = Error::state(format!("registry {}: it closed the connection", self.endpoint));
            *self.trouble.lock() = Some(gone);
            link = loop {
                match poll::readable(&[self.stop.as_fd()], Some(delay)) {
                    Ok(ready) if ready[0] => return,
                    Ok(_) => {}
                    // No memory; it may come back.
                    Err(_) => std::thread::sleep(FIRST_DELAY),
                }
                match self.publish() {
                    Ok(link) => break link,
                    Err(error) => *self.trouble.lock() = Some(error),
                }
                delay = (2 * delay).min(LAST_DELAY);
            };
            *self.trouble.lock() = None;
            log::info!("registry {} is back: {:?} is published", self.endpoint, self.name);
        }
    }

    /// Waits; a registry says nothing without being asked, so that what can be read is its end, or a fault.
    fn stopped_before_the_end_of(&self, link: &Link) -> bool {
        loop {
            match poll::readable(&[self.stop.as_fd(), link.stream().as_fd()], None) {
                Ok(ready) if ready[0] => return true,
                Ok(ready) if ready[1] => return false,
                Ok(_) => {}
                // No memory; it may come back.
                Err(_) => std::thread::sleep(FIRST_DELAY),
            }
        }
    }
}

/// What this process says of itself: `signal_producer, pid 4711`.
fn this_process() -> String {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    let program = program.filter(|name| name.len() <= 200 && !name.contains(char::is_control));
    format!("{}, pid {}", program.unwrap_or("a program"), std::process::id())
}
