//! The output's thread that waits at the door: it hands the ring to inputs that connect, and notices when one of them goes or dies.
//!
//! Invariant: an input is in the list before it is told so, hence before anything that is published afterwards. Only the thread changes the list; the
//! publisher copies it when the count of changes is another than before.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::layout::{OFFERED, PAGE, REFUSED_FULL, REFUSED_RESOURCES, REFUSED_USER, encode_offer};
use super::memory::{POLLS, Page, SLEEPS};
use crate::error::{Error, Result};
use crate::log::Limited;
use crate::signal::transport::name::unique_name;
use crate::sys::eventfd::EventFd;
use crate::sys::futex;
use crate::sys::local::{Connection, Listener, own_user};
use crate::sys::memfd::MemFd;
use crate::sys::{poll, signal};

/// One input, as the output sees it.
#[derive(Debug)]
pub(in crate::signal) struct Member {
    pub id: u64,
    pub page: Page,
    /// Readable for the input when it should look.
    event: EventFd,
    /// Hung up when the input's process ends.
    connection: Connection,
    /// Frames that the output dropped for it. Stored by the publisher.
    pub dropped: AtomicU64,
}

impl Member {
    /// Wakes the input if it waits. What it is woken for was stored with SeqCst.
    #[inline]
    pub fn wake(&self) {
        // SeqCst: see `Page::want`.
        if self.page.want().load(Ordering::SeqCst) != 0 {
            self.wake_now();
        }
    }

    #[cold]
    fn wake_now(&self) {
        let want = self.page.want().swap(0, Ordering::Relaxed);
        if want & SLEEPS != 0 {
            futex::wake(self.page.want());
        }
        if want & POLLS != 0 {
            self.event.raise();
        }
    }

    /// Wakes the input in any way: the ring is closed.
    pub fn wake_for_good(&self) {
        self.wake_now();
        self.event.raise();
    }
}

/// What the thread and the publisher share.
#[derive(Debug, Default)]
pub(in crate::signal) struct Door {
    pub members: Mutex<Vec<Arc<Member>>>,
    /// Changes of the list; added to under its lock.
    pub changes: AtomicUsize,
}

impl Door {
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Member>>)) {
        let mut members = self.members.lock();
        change(&mut members);
        // Release, for the Acquire in the publisher: who was told of the change before it publishes finds it.
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// The thread, stopped and joined on drop.
#[derive(Debug)]
pub(in crate::signal) struct Server {
    pub name: String,
    pub door: Arc<Door>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Hands `memory` to at most `most` inputs at a time.
    pub fn start(memory: MemFd, most: usize) -> Result<Self> {
        let name = unique_name();
        let listener = Listener::new(&name)
            .map_err(|e| Error::io(format!("listening at abstract socket {name}"), &e))?;
        let stop = Arc::new(EventFd::new().map_err(|e| Error::io("eventfd", &e))?);
        let door = Arc::new(Door::default());
        let thread = Thread { listener, memory, most, door: door.clone(), stop: stop.clone(), next_id: 0 };
        let thread = std::thread::Builder::new()
            .name("aqueduct-shm".into())
            .spawn(move || thread.run())
            .map_err(|e| Error::io("starting a thread", &e))?;
        Ok(Self { name, door, stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported, and there is nothing left to do.
            let _ = thread.join();
        }
    }
}

struct Thread {
    listener: Listener,
    memory: MemFd,
    most: usize,
    door: Arc<Door>,
    stop: Arc<EventFd>,
    next_id: u64,
}

/// Connections taken in a row, before looking at the others again.
const BATCH: usize = 16;
/// Before trying again when the system had no descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);

impl Thread {
    fn run(mut self) {
        signal::leave_to_other_threads();
        let mut refused = Limited::new("shared memory: inputs that could not connect");
        let mut members: Vec<Arc<Member>> = Vec::new();
        loop {
            let mut fds: Vec<BorrowedFd<'_>> = vec![self.stop.as_fd(), self.listener.as_fd()];
            fds.extend(members.iter().map(|member| member.connection.as_fd()));
            let Ok(ready) = poll::readable(&fds, None) else {
                // No memory; it may come back.
                std::thread::sleep(RETRY);
                continue;
            };
            if ready[0] {
                return;
            }
            // Inputs never send anything: what can be read there is an end, or a fault.
            let gone = |member: &Arc<Member>| {
                let at = members.iter().position(|other| Arc::ptr_eq(other, member));
                at.is_some_and(|at| ready.get(2 + at) == Some(&true))
            };
            if ready[2..].contains(&true) {
                let left: Vec<Arc<Member>> = members.iter().filter(|member| gone(member)).cloned().collect();
                self.door.change(|list| list.retain(|member| !gone(member)));
                for member in left {
                    // The publisher may be waiting for just this one.
                    member.page.room().store(0, Ordering::SeqCst);
                    futex::wake(member.page.room());
                }
            }
            if ready[1] {
                self.welcome(&mut refused);
            }
            members.clone_from(&self.door.members.lock());
        }
    }

    fn welcome(&mut self, refused: &mut Limited) {
        for _ in 0..BATCH {
            let connection = match self.listener.accept() {
                Ok(connection) => connection,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    refused.note(|| e.to_string());
                    // Level-triggered: it would be the same again at once. A stop is waited for meanwhile.
                    let _ = poll::readable(&[self.stop.as_fd()], Some(RETRY));
                    return;
                }
            };
            if let Err(reason) = self.admit(connection) {
                refused.note(|| reason);
            }
        }
    }

    fn admit(&mut self, connection: Connection) -> Result<(), String> {
        let refuse = |connection: &Connection, status: u32, reason: String| {
            // If it does not arrive, the end of the connection does.
            let _ = connection.send(&encode_offer(status), &[]);
            Err(reason)
        };
        match connection.peer_user() {
            Ok(user) if user == own_user() => {}
            Ok(user) => return refuse(&connection, REFUSED_USER, format!("user {user} is another one")),
            Err(e) => return refuse(&connection, REFUSED_RESOURCES, e.to_string()),
        }
        if self.door.members.lock().len() >= self.most {
            return refuse(&connection, REFUSED_FULL, format!("there are {} already", self.most));
        }
        let page = || {
            let memory = MemFd::new(c"aqueduct-input", PAGE)?;
            let page = Page::new(&memory)?;
            Ok::<_, std::io::Error>((memory, page, EventFd::new()?))
        };
        let (memory, page, event) = match page() {
            Ok(made) => made,
            Err(e) => return refuse(&connection, REFUSED_RESOURCES, e.to_string()),
        };
        let id = self.next_id;
        self.next_id += 1;
        let member = Arc::new(Member { id, page, event, connection, dropped: AtomicU64::new(0) });
        // Before it is told.
        self.door.change(|members| members.push(member.clone()));
        let fds = [self.memory.as_fd(), memory.as_fd(), member.event.as_fd()];
        member.connection.send(&encode_offer(OFFERED), &fds).map_err(|e| {
            self.door.change(|members| members.retain(|other| other.id != id));
            e.to_string()
        })
    }
}
