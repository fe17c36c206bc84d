//! The input's end: a socket that has subscribed. One thread at a time.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::super::{NoChunk, Subscriber};
use super::address::of_params;
use super::ring::{Read, RingReader};
use super::{SubscriberConfig, SubscriberStats, blosc, queue_length};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Limited;
use crate::ring::Wait;
use crate::signal::chunk::Chunk;
use crate::signal::memory;
use crate::signal::params::{Compression, Params, TransferMode};
use crate::signal::wire;
use crate::sys::epoll::AnyOf;
use crate::sys::eventfd::EventFd;
use crate::sys::zmq::{Context, Kind, Message, Setting, Socket};

/// Parts that a message of either transfer mode has.
const MOST_PARTS: usize = 2;
/// Elements begin at a multiple of this, so that they can be used where they are.
const ALIGNMENT: usize = 8;
/// Chunks that were overwritten and are passed over before it is looked at the clock.
const MOST_OVERWRITTEN: usize = 1000;
/// Bytes of the message that tells of frames in a ring.
const WORD: usize = 16;

/// The input's end over ZeroMQ.
///
/// A publisher that is not there, or goes, is waited for: `Ended` never comes. So is one that sends a chunk of more than `max_chunk` bytes: libzmq ends the
/// connection then, and it is made anew; what was sent meanwhile is missed. To one that comes again it is `receive` (or `empty_queue`) that subscribes
/// anew, for which the descriptor becomes readable: chunks before that are missed. A message that is no chunk of this stream is `Failed`, with an error of kind
/// `Format` or `Truncated`, and counted; the stream goes on.
///
/// Its descriptor is level-triggered, as all of this library: readable while there is a message, or news of which nothing is known before the next `receive`, which
/// may then find none. (libzmq's own, ZMQ_FD, is not: it tells of news once. It is one of three that an epoll descriptor watches; the others
/// are that of the socket that tells of connections that ended, and an eventfd that `receive` leaves raised when there is more.)
#[derive(Debug)]
pub struct ZmqSubscriber {
    // Before the sockets, whose descriptors it watches.
    level: OnceCell<Level>,
    socket: Socket,
    /// Tells when the publisher goes, or is thrown out by libzmq: for a message that is too large, or what is no ZeroMQ. Behind the socket, which tells it.
    disconnections: Socket,
    url: String,
    ring: Option<RingReader>,
    compression: Compression,
    item: usize,
    frame: Vec<usize>,
    config: SubscriberConfig,
    stats: SubscriberStats,
    malformed: Limited,
    /// A connection has ended, and is to be mended.
    ended: bool,
    gone: Limited,
}

/// The descriptor that outsiders wait with.
#[derive(Debug)]
struct Level {
    any: AnyOf,
    more: EventFd,
}

/// The context of all subscribers. It is never ended.
fn context() -> std::io::Result<Arc<Context>> {
    static CONTEXT: Mutex<Option<Arc<Context>>> = Mutex::new(None);
    let mut context = CONTEXT.lock();
    match &*context {
        Some(context) => Ok(context.clone()),
        None => Ok(context.insert(Context::new()?).clone()),
    }
}

/// What came, or that nothing did.
type Parts = Option<Result<[Option<Message>; MOST_PARTS]>>;

impl ZmqSubscriber {
    /// Subscribes to the publisher that the params describe, which need not be there yet; with the transfer mode `sharedmem` its file must.
    ///
    /// # Errors
    /// `Invalid`: params or config. `NotFound`: no publisher has answered in the time that it was to be waited for. `Io`, `Format`: the ring's file cannot be opened, or is not of these params.
    pub fn connect(params: &Params, config: &SubscriberConfig) -> Result<Self> {
        params.check()?;
        let queue = queue_length(config.queue)?;
        let url = of_params(params)?;
        let ring = match params.transfermode {
            TransferMode::PlainData => None,
            TransferMode::SharedMem => Some(RingReader::open(params)?),
        };
        let make = || {
            let socket = Socket::new(&context()?, Kind::Sub)?;
            socket.set(Setting::ReceiveHighWater, queue)?;
            socket.set_linger(std::time::Duration::ZERO)?;
            // A header may be larger than what small chunks are limited to.
            socket.set_most_part(config.max_chunk.saturating_add(MOST_HEADER))?;
            socket.keep_alive()?;
            socket.set(Setting::Ipv6, i32::from(url.starts_with("tcp://[")))?;
            socket.subscribe(b"")?;
            let deadline = match config.connect {
                Wait::No => {
                    socket.connect(&url)?;
                    return Ok((socket, true));
                }
                Wait::For(time) => Instant::now().checked_add(time),
                Wait::Forever => None,
            };
            let answered = socket.connect_within(&url, deadline)?;
            Ok((socket, answered))
        };
        let made: std::io::Result<(Socket, bool)> = make();
        let context = |reason: std::io::Error| Error::io(format_args!("connect {url}"), &reason);
        let (socket, answered) = made.map_err(context)?;
        if !answered {
            let reason = format!("connect {url}: no output has answered there within the time");
            return Err(Error::new(ErrorKind::NotFound, reason));
        }
        Ok(Self {
            level: OnceCell::new(),
            disconnections: socket.disconnections().map_err(context)?,
            socket,
            url: url.clone(),
            ring,
            compression: params.compression,
            item: params.dtype.size(),
            frame: params.frame_shape(),
            config: config.clone(),
            stats: SubscriberStats::default(),
            malformed: Limited::new("signal stream: messages that are no chunks"),
            ended: false,
            gone: Limited::new("signal stream: outputs that went"),
        })
    }

    /// What became of the messages up to now.
    pub fn stats(&self) -> SubscriberStats {
        self.stats
    }

    /// Drops the messages that wait, and says how many these were. No more than twice the queue's length at once, as more may come meanwhile.
    pub fn empty_queue(&mut self) -> Result<u64> {
        let mut dropped = 0;
        while dropped < 2 * u64::from(self.config.queue) && self.take().map_err(failed)?.is_some() {
            dropped += 1;
        }
        self.stats.emptied += dropped;
        self.settle().map_err(failed)?;
        Ok(dropped)
    }

    /// Takes a message, if there is one, all of its parts.
    fn take(&mut self) -> std::io::Result<Parts> {
        let mut parts = [const { None }; MOST_PARTS];
        let mut count = 0;
        loop {
            let Some(message) = self.socket.receive()? else {
                // All parts of a message come at once.
                return Ok(None);
            };
            let more = message.has_more();
            if let Some(part) = parts.get_mut(count) {
                *part = Some(message);
            }
            count += 1;
            if !more {
                break;
            }
        }
        if count > MOST_PARTS {
            return Ok(Some(Err(wrong(format!("a chunk has at most {MOST_PARTS} parts (got {count})")))));
        }
        Ok(Some(Ok(parts)))
    }

    /// Makes a chunk of a message's parts; `None` for one that was overwritten.
    fn decode(&mut self, parts: [Option<Message>; MOST_PARTS]) -> Result<Option<Chunk>> {
        let [Some(header), data] = parts else { return Err(wrong("it has no parts".to_owned())) };
        if self.ring.is_some() {
            return self.decode_word(&header, data.as_ref());
        }
        let Some(data) = data else { return Err(wrong("it has one part, and no data".to_owned())) };
        let header = header.as_slice();
        let size = match self.compression {
            Compression::None => data.as_slice().len(),
            // Of no elements there may be nothing, also nothing compressed.
            _ if data.as_slice().is_empty() => 0,
            _ => blosc::content_size(data.as_slice(), self.config.max_chunk)?,
        };
        if size as u64 > self.config.max_chunk {
            return Err(wrong(format!("a chunk has at most {} bytes (got {size})", self.config.max_chunk)));
        }
        let (index, layout) = wire::parse(header, self.item, size)?;
        if layout.shape()[1..] != self.frame {
            let (expected, got) = (&self.frame, &layout.shape()[1..]);
            return Err(wrong(format!("frames have shape {expected:?} (got {got:?})")));
        }
        // Strides of 0 would make much out of little.
        if layout.size() > size {
            let (len, item) = (layout.len(), self.item);
            return Err(wrong(format!("{len} elements of {item} bytes do not fit into {size}")));
        }
        let data = match self.compression {
            Compression::None => shared(data)?,
            _ if size == 0 => memory::nothing(),
            _ => blosc::decompress(data.as_slice(), size)?,
        };
        Ok(Some(Chunk { index, layout, data }))
    }

    /// Reads the frames of which word came.
    fn decode_word(&mut self, word: &Message, data: Option<&Message>) -> Result<Option<Chunk>> {
        let (words, rest) = word.as_slice().as_chunks::<8>();
        let ([index, rows], [], None, Some(ring)) = (words, rest, data, &mut self.ring) else {
            let size = word.as_slice().len();
            return Err(wrong(format!("word of frames is one part of {WORD} bytes (got {size})")));
        };
        let (index, rows) = (u64::from_be_bytes(*index), u64::from_be_bytes(*rows));
        match ring.read(index, rows, self.config.max_chunk)? {
            Read::Chunk(chunk) => Ok(Some(chunk)),
            Read::Overwritten => {
                self.stats.overwritten_chunks += 1;
                self.stats.overwritten_frames += rows;
                Ok(None)
            }
        }
    }

    /// The next chunk, an error for what is none, or nothing; that also after many that were overwritten.
    fn next(&mut self) -> Result<Option<Chunk>> {
        for _ in 0..MOST_OVERWRITTEN {
            let Some(parts) = self.take().map_err(failed)? else { break };
            match parts.and_then(|parts| self.decode(parts)) {
                Ok(Some(chunk)) => {
                    self.stats.chunks += 1;
                    self.stats.frames += chunk.frames() as u64;
                    return Ok(Some(chunk));
                }
                Ok(None) => {}
                Err(error) => {
                    self.stats.malformed += 1;
                    self.malformed.note(|| error.to_string());
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Connects anew if the connection has ended, and no message is left of it. To a publisher that comes again libzmq would do so by itself, but not to one that
    /// it has thrown out. True: messages that came before that may have come meanwhile.
    fn mend(&mut self) -> std::io::Result<bool> {
        let mut ended = false;
        while self.disconnections.receive()?.is_some() {
            ended = true;
        }
        if self.ended {
            self.stats.disconnections += 1;
            let most = self.config.max_chunk;
            self.gone.note(|| {
                format!(
                    "{} ended, or sent a chunk of more than {most} bytes; it is connected to anew",
                    self.url
                )
            });
            self.socket.reconnect(&self.url)?;
        }
        // All messages of a connection are there before it is told that it ended: once more they are looked for.
        self.ended = ended;
        Ok(ended)
    }

    /// Has the descriptor, if anybody asked for it, tell whether there is more.
    fn settle(&self) -> std::io::Result<()> {
        let Some(level) = self.level.get() else { return Ok(()) };
        if self.ended || self.socket.is_readable()? || self.disconnections.is_readable()? {
            level.more.raise();
        } else {
            level.more.lower();
        }
        Ok(())
    }
}

/// Bytes of the longest header.
const MOST_HEADER: u64 = 8 * (3 + 2 * crate::signal::array::MAX_AXES as u64);

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Format, format!("message: {what}"))
}

fn failed(reason: std::io::Error) -> Error {
    Error::io("receive", &reason)
}

/// A message's own memory, or a copy if elements would not be aligned there, which happens to small ones only.
fn shared(message: Message) -> Result<Bytes> {
    let data = message.as_slice();
    if data.as_ptr().addr().is_multiple_of(ALIGNMENT) && !data.is_empty() {
        return Ok(Bytes::from_owner(message));
    }
    memory::copy_of(data)
}

impl Subscriber for ZmqSubscriber {
    fn receive(&mut self, wait: Wait) -> Result<Chunk, NoChunk> {
        let deadline = match wait {
            Wait::No | Wait::Forever => None,
            Wait::For(time) => Instant::now().checked_add(time),
        };
        let result = loop {
            match self.next() {
                Ok(Some(chunk)) => break Ok(chunk),
                Err(error) => break Err(NoChunk::Failed(error)),
                Ok(None) if self.mend().map_err(|reason| NoChunk::Failed(failed(reason)))? => continue,
                Ok(None) if wait == Wait::No => break Err(NoChunk::Empty),
                Ok(None) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    break Err(NoChunk::TimedOut);
                }
                Ok(None) => {}
            }
            match self.socket.wait_either(&self.disconnections, deadline) {
                Ok(true) => {}
                Ok(false) => break Err(NoChunk::TimedOut),
                Err(reason) => break Err(NoChunk::Failed(failed(reason))),
            }
        };
        if let Err(reason) = self.settle() {
            log::error!("signal stream: whether there is more cannot be found out: {reason}");
        }
        result
    }

    fn fd(&self) -> Result<BorrowedFd<'_>> {
        if self.level.get().is_none() {
            let make = || {
                let more = EventFd::new()?;
                // What there is now is found out by the first `receive`.
                more.raise();
                let any = AnyOf::new(&[self.socket.news()?, self.disconnections.news()?, more.as_fd()])?;
                Ok(Level { any, more })
            };
            let level = make().map_err(|reason| Error::io("make a descriptor of a subscriber", &reason))?;
            let _ = self.level.set(level);
        }
        match self.level.get() {
            Some(level) => Ok(level.any.as_fd()),
            None => Err(Error::new(ErrorKind::Internal, "a subscriber has no descriptor")),
        }
    }
}
