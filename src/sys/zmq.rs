//! The system's libzmq: contexts, sockets, messages. Its declarations are our own, since the crate of that name compiles a libzmq of its own and has no
//! message that lies in somebody else's memory.
//!
//! Invariant: a socket is open, and its context alive, as long as the [`Socket`]. A socket may move from thread to thread and is used by one at a time
//! (it is `Send` and not `Sync`), which is all that libzmq asks for; contexts and messages have no such limits.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_void};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// A message as libzmq has it: 64 bytes that are its own business.
#[repr(C, align(8))]
struct RawMessage([u8; 64]);

#[repr(C)]
struct PollItem {
    socket: *mut c_void,
    fd: c_int,
    events: c_short,
    revents: c_short,
}

type Release = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

unsafe extern "C" {
    fn zmq_errno() -> c_int;
    fn zmq_strerror(number: c_int) -> *const c_char;
    fn zmq_ctx_new() -> *mut c_void;
    fn zmq_ctx_term(context: *mut c_void) -> c_int;
    fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    fn zmq_close(socket: *mut c_void) -> c_int;
    fn zmq_bind(socket: *mut c_void, address: *const c_char) -> c_int;
    fn zmq_connect(socket: *mut c_void, address: *const c_char) -> c_int;
    fn zmq_disconnect(socket: *mut c_void, address: *const c_char) -> c_int;
    fn zmq_setsockopt(socket: *mut c_void, option: c_int, value: *const c_void, size: usize) -> c_int;
    fn zmq_getsockopt(socket: *mut c_void, option: c_int, value: *mut c_void, size: *mut usize) -> c_int;
    fn zmq_socket_monitor(socket: *mut c_void, address: *const c_char, events: c_int) -> c_int;
    fn zmq_poll(items: *mut PollItem, count: c_int, milliseconds: c_long) -> c_int;
    fn zmq_msg_init(message: *mut RawMessage) -> c_int;
    fn zmq_msg_init_size(message: *mut RawMessage, size: usize) -> c_int;
    fn zmq_msg_init_data(
        message: *mut RawMessage,
        data: *mut c_void,
        size: usize,
        release: Option<Release>,
        hint: *mut c_void,
    ) -> c_int;
    fn zmq_msg_send(message: *mut RawMessage, socket: *mut c_void, flags: c_int) -> c_int;
    fn zmq_msg_recv(message: *mut RawMessage, socket: *mut c_void, flags: c_int) -> c_int;
    fn zmq_msg_close(message: *mut RawMessage) -> c_int;
    fn zmq_msg_data(message: *mut RawMessage) -> *mut c_void;
    fn zmq_msg_size(message: *const RawMessage) -> usize;
    fn zmq_msg_more(message: *const RawMessage) -> c_int;
}

const DONTWAIT: c_int = 1;
const SNDMORE: c_int = 2;
const POLLIN: c_short = 1;
/// Of a monitor: a peer has answered as one of ZeroMQ does.
const HANDSHAKE_SUCCEEDED: c_int = 0x1000;
/// Of a monitor: a connection has ended.
const DISCONNECTED: c_int = 0x0200;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Talks to one other.
    Pair,
    /// Takes what publishers send.
    Sub,
    /// Asks, and waits for an answer.
    Req,
    /// Answers.
    Rep,
    /// Publishes, and hears who subscribes.
    Xpub,
}

/// Options whose value is an `int`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Messages that wait for each peer at the most.
    SendHighWater,
    /// Messages of each peer that wait here at the most.
    ReceiveHighWater,
    /// Milliseconds that a send may wait; -1 for any time.
    SendTimeout,
    /// Whether addresses may be of IPv6.
    Ipv6,
    /// Whether a send waits for those who have too much waiting, where it would else drop.
    NoDrop,
    /// Whether each subscription and its end is heard, not only the first and the last of a topic.
    Verboser,
}

/// The last error of libzmq in this thread.
fn error() -> io::Error {
    // SAFETY: takes nothing, and reads a number of this thread.
    let number = unsafe { zmq_errno() };
    // Its own numbers are beyond those of the system, which knows no words for them.
    const OWN: c_int = 156_384_712;
    if number < OWN {
        return io::Error::from_raw_os_error(number);
    }
    // SAFETY: answers static text for any number.
    let text = unsafe { CStr::from_ptr(zmq_strerror(number)) };
    io::Error::other(text.to_string_lossy().into_owned())
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(error()) } else { Ok(result) }
}

/// A libzmq of its own: a thread for its sockets' traffic, and what they share.
#[derive(Debug)]
pub struct Context(NonNull<c_void>);

// SAFETY: libzmq's contexts may be used by any number of threads.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// A context without a socket.
    pub fn new() -> io::Result<Arc<Self>> {
        // SAFETY: takes nothing; NULL is an error.
        let context = unsafe { zmq_ctx_new() };
        NonNull::new(context).map(Self).map(Arc::new).ok_or_else(error)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // Waits for what closed sockets still have to send, as long as their linger allows; a signal must not end that.
        // SAFETY: all sockets are closed, as each holds the context; it is not used any more.
        while unsafe { zmq_ctx_term(self.0.as_ptr()) } < 0 && error().kind() == io::ErrorKind::Interrupted {}
    }
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    raw: NonNull<c_void>,
    /// Dropped behind the socket.
    context: Arc<Context>,
    /// Used by one thread at a time.
    _not_sync: PhantomData<Cell<()>>,
}

// SAFETY: libzmq's sockets may move between threads with a full barrier, which any way of moving this value is.
unsafe impl Send for Socket {}

impl Socket {
    /// A socket that is neither bound nor connected.
    pub fn new(context: &Arc<Context>, kind: Kind) -> io::Result<Self> {
        let kind = match kind {
            Kind::Pair => 0,
            Kind::Sub => 2,
            Kind::Req => 3,
            Kind::Rep => 4,
            Kind::Xpub => 9,
        };
        // SAFETY: the context is alive; NULL is an error.
        let raw = unsafe { zmq_socket(context.0.as_ptr(), kind) };
        let raw = NonNull::new(raw).ok_or_else(error)?;
        Ok(Self { raw, context: context.clone(), _not_sync: PhantomData })
    }

    fn set_bytes(&self, option: c_int, value: &[u8]) -> io::Result<()> {
        let (value, size) = (value.as_ptr().cast(), value.len());
        // SAFETY: libzmq reads as many bytes as it is told; the socket is open and this thread its only user.
        retried(|| check(unsafe { zmq_setsockopt(self.raw.as_ptr(), option, value, size) })).map(drop)
    }

    /// Sets an option.
    pub fn set(&self, setting: Setting, value: i32) -> io::Result<()> {
        let option = match setting {
            Setting::SendHighWater => 23,
            Setting::ReceiveHighWater => 24,
            Setting::SendTimeout => 28,
            Setting::Ipv6 => 42,
            Setting::NoDrop => 69,
            Setting::Verboser => 78,
        };
        self.set_bytes(option, &value.to_ne_bytes())
    }

    /// How long the socket, once closed, goes on sending.
    pub fn set_linger(&self, time: Duration) -> io::Result<()> {
        self.set_bytes(17, &milliseconds(time).to_ne_bytes())
    }

    /// Has the system look after silent connections over TCP: a peer whose machine has gone without a word is noticed after half a minute. Only of
    /// connections that are made later.
    pub fn keep_alive(&self) -> io::Result<()> {
        // On; seconds of silence, seconds between questions, questions without an answer.
        [(34, 1), (36, 15), (37, 5), (35, 3)]
            .iter()
            .try_for_each(|&(option, value): &(c_int, c_int)| self.set_bytes(option, &value.to_ne_bytes()))
    }

    /// Has peers whose messages have larger parts disconnected.
    pub fn set_most_part(&self, bytes: u64) -> io::Result<()> {
        self.set_bytes(22, &i64::try_from(bytes).unwrap_or(i64::MAX).to_ne_bytes())
    }

    /// Has messages delivered that begin so.
    pub fn subscribe(&self, prefix: &[u8]) -> io::Result<()> {
        self.set_bytes(6, prefix)
    }

    /// Listens there.
    pub fn bind(&self, address: &str) -> io::Result<()> {
        let address = CString::new(address)?;
        // SAFETY: a C string; the socket is open and this thread its only user.
        check(unsafe { zmq_bind(self.raw.as_ptr(), address.as_ptr()) }).map(drop)
    }

    /// Has peers there, as soon as and whenever they are.
    pub fn connect(&self, address: &str) -> io::Result<()> {
        let address = CString::new(address)?;
        // SAFETY: a C string; the socket is open and this thread its only user.
        check(unsafe { zmq_connect(self.raw.as_ptr(), address.as_ptr()) }).map(drop)
    }

    /// Connects once more, in place of a connection that is there or is being tried. Messages that wait are lost.
    pub fn reconnect(&self, address: &str) -> io::Result<()> {
        let text = CString::new(address)?;
        // SAFETY: a C string; the socket is open and this thread its only user. It fails if libzmq has forgotten the connection: the better.
        unsafe { zmq_disconnect(self.raw.as_ptr(), text.as_ptr()) };
        self.connect(address)
    }

    /// Connects, and waits until a peer has answered there. False: none has before the deadline; the socket goes on trying.
    pub fn connect_within(&self, address: &str, deadline: Option<Instant>) -> io::Result<bool> {
        let monitor = self.monitor(HANDSHAKE_SUCCEEDED)?;
        let connected = self.connect(address).and_then(|()| monitor.wait_readable(None, deadline));
        self.end_monitor();
        connected
    }

    /// A socket with a message for each connection that ends. To be dropped after this one: libzmq's thread waits for ever to tell a monitor that is gone.
    pub fn disconnections(&self) -> io::Result<Self> {
        self.monitor(DISCONNECTED)
    }

    /// Each socket has one monitor at the most: a second one ends the first.
    fn monitor(&self, events: c_int) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("inproc://aqueduct-monitor-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let text = CString::new(name.as_str())?;
        // SAFETY: a C string; the socket is open and this thread its only user.
        check(unsafe { zmq_socket_monitor(self.raw.as_ptr(), text.as_ptr(), events) })?;
        let monitor = Self::new(&self.context, Kind::Pair)?;
        monitor.set_linger(Duration::ZERO)?;
        // Without a limit: libzmq's thread would wait for who does not look.
        monitor.set(Setting::ReceiveHighWater, 0)?;
        monitor.connect(&name)?;
        Ok(monitor)
    }

    fn end_monitor(&self) {
        // SAFETY: the socket is open and this thread its only user; NULL ends it.
        unsafe { zmq_socket_monitor(self.raw.as_ptr(), std::ptr::null(), 0) };
    }

    /// The address that was bound last, with the port that the system chose.
    pub fn address(&self) -> io::Result<String> {
        let mut text = [0u8; 512];
        let mut size = text.len();
        // SAFETY: libzmq writes no more than `size` bytes, and how many.
        check(unsafe { zmq_getsockopt(self.raw.as_ptr(), 32, text.as_mut_ptr().cast(), &mut size) })?;
        let text = CStr::from_bytes_until_nul(&text).map_err(io::Error::other)?;
        Ok(text.to_string_lossy().into_owned())
    }

    fn get(&self, option: c_int) -> io::Result<c_int> {
        let mut value: c_int = 0;
        let mut size = size_of::<c_int>();
        // SAFETY: libzmq writes no more than `size` bytes, those of an int for these options.
        check(unsafe { zmq_getsockopt(self.raw.as_ptr(), option, (&raw mut value).cast(), &mut size) })?;
        Ok(value)
    }

    /// Whether a message can be received now. Has the descriptor lowered that libzmq raises at news.
    pub fn is_readable(&self) -> io::Result<bool> {
        retried(|| self.get(15)).map(|events| events & c_int::from(POLLIN) != 0)
    }

    /// The descriptor that is readable when there may be news of which [`is_readable`](Self::is_readable) has not yet been asked.
    pub fn news(&self) -> io::Result<BorrowedFd<'_>> {
        let fd = self.get(14)?;
        // SAFETY: libzmq's own descriptor, open as long as the socket.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Waits until a message can be received or, where there is one, the other descriptor be read. False: the deadline has passed.
    pub fn wait_readable(
        &self,
        other: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let fd = other.map_or(-1, |fd| fd.as_raw_fd());
        self.wait(other.map(|_| (std::ptr::null_mut(), fd)), deadline)
    }

    /// Waits until a message can be received from this socket or the other. False: the deadline has passed.
    pub fn wait_either(&self, other: &Self, deadline: Option<Instant>) -> io::Result<bool> {
        self.wait(Some((other.raw.as_ptr(), -1)), deadline)
    }

    fn wait(&self, other: Option<(*mut c_void, c_int)>, deadline: Option<Instant>) -> io::Result<bool> {
        let item = |socket, fd| PollItem { socket, fd, events: POLLIN, revents: 0 };
        let (socket, fd) = other.unwrap_or((std::ptr::null_mut(), -1));
        let mut items = [item(self.raw.as_ptr(), -1), item(socket, fd)];
        let count = if other.is_some() { 2 } else { 1 };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let time = left.map_or(-1, |left| c_long::from(milliseconds(left)));
            // SAFETY: as many items as it is told, of open sockets of which this thread is the only user, and a borrowed descriptor.
            match check(unsafe { zmq_poll(items.as_mut_ptr(), count, time) }) {
                Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives a part of a message, if one is there.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut message = Message::empty();
        // SAFETY: an initialised message; the socket is open and this thread its only user.
        let received =
            retried(|| check(unsafe { zmq_msg_recv(&mut *message.0, self.raw.as_ptr(), DONTWAIT) }));
        match received {
            Ok(_) => Ok(Some(message)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a part of a message, with `more` to follow. `WouldBlock`: there is no space for it, and the call was not to wait, or has waited as long
    /// as the socket's send timeout. `Interrupted`: by a signal. After an error the message is still there to send.
    pub fn send(&self, message: &mut Message, more: bool, wait: bool) -> io::Result<()> {
        let flags = if more { SNDMORE } else { 0 } | if wait { 0 } else { DONTWAIT };
        // SAFETY: an initialised message, which is empty after a success and unchanged after an error; the socket is open and this thread its only user.
        check(unsafe { zmq_msg_send(&mut *message.0, self.raw.as_ptr(), flags) }).map(drop)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end_monitor();
        // SAFETY: open until now, and not used any more. It can fail only for what is no socket.
        unsafe { zmq_close(self.raw.as_ptr()) };
    }
}

/// Again after a signal.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Rounded up, so that nothing ends too early, and no more than libzmq's int holds.
pub fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// A part of a message. On the heap, since libzmq wants it where it is.
pub struct Message(Box<RawMessage>);

// SAFETY: a message belongs to no thread; its memory is released by whichever thread is the last.
unsafe impl Send for Message {}
// SAFETY: what can be read of a shared message does not change.
unsafe impl Sync for Message {}

impl Message {
    fn empty() -> Self {
        let mut raw = Box::new(RawMessage([0; 64]));
        // SAFETY: 64 bytes, aligned to 8, as a message has; it cannot fail.
        unsafe { zmq_msg_init(&mut *raw) };
        Self(raw)
    }

    /// A copy of these bytes.
    pub fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        let mut raw = Box::new(RawMessage([0; 64]));
        // SAFETY: 64 bytes, aligned to 8, as a message has; after an error there is no message.
        check(unsafe { zmq_msg_init_size(&mut *raw, bytes.len()) })?;
        // SAFETY: the message was just made with as many bytes.
        unsafe { zmq_msg_data(&mut *raw).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(Self(raw))
    }

    /// These very bytes, which are released when all peers have got them, by a thread of libzmq's.
    pub fn sharing(bytes: Bytes) -> io::Result<Self> {
        let (data, size) = (bytes.as_ptr().cast_mut().cast(), bytes.len());
        let owner = Box::into_raw(Box::new(bytes));
        let mut raw = Box::new(RawMessage([0; 64]));
        // SAFETY: the bytes stay where they are while their owner lives, which `release` ends; libzmq only reads what it sends.
        let made = check(unsafe { zmq_msg_init_data(&mut *raw, data, size, Some(release), owner.cast()) });
        if let Err(error) = made {
            // SAFETY: just made by a box; without a message nobody else has it.
            drop(unsafe { Box::from_raw(owner) });
            return Err(error);
        }
        Ok(Self(raw))
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        let raw = (&raw const *self.0).cast_mut();
        // SAFETY: an initialised message, whose data libzmq only looks up; as many bytes, or none at NULL.
        unsafe {
            let (data, size) = (zmq_msg_data(raw).cast::<u8>(), zmq_msg_size(raw));
            if size == 0 { &[] } else { std::slice::from_raw_parts(data, size) }
        }
    }

    /// Whether another part of the same message follows.
    pub fn has_more(&self) -> bool {
        // SAFETY: an initialised message.
        unsafe { zmq_msg_more(&raw const *self.0) != 0 }
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: an initialised message that is not used any more.
        unsafe { zmq_msg_close(&mut *self.0) };
    }
}

/// # Safety
/// `owner` is what [`Message::sharing`] gave, and comes here once.
unsafe extern "C" fn release(_: *mut c_void, owner: *mut c_void) {
    // SAFETY: made by Box::into_raw there; libzmq calls this once.
    let owner = unsafe { Box::from_raw(owner.cast::<Bytes>()) };
    // What memory does when it is released may be the program's own code.
    if catch_unwind(AssertUnwindSafe(|| drop(owner))).is_err() {
        log::error!("zmq: memory that was sent panicked when it was released");
    }
}
