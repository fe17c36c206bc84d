//! The output's end: a socket that publishes. One thread at a time.

use std::io::ErrorKind as IoKind;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;

use super::super::{Published, Publisher};
use super::address::{SocketPath, check_free, ipc_address, not_ours, tcp_address};
use super::ring::RingWriter;
use super::{PublisherConfig, blosc, queue_length};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{Overflow, Wait};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::memory::filled;
use crate::signal::params::{Compression, Params, Protocol, TransferMode};
use crate::signal::wire;
use crate::sys::zmq::{Context, Kind, Message, Setting, Socket, milliseconds};

/// Smaller data is copied into the message: that takes less than a reference to it.
const SHARED_FROM: usize = 1024;
/// What subscribers send is a byte and a topic, which is empty.
const MOST_SUBSCRIPTION: u64 = 256;
/// Words of subscribers that are heard at once.
const MOST_HEARD: usize = 1000;

/// The output's end over ZeroMQ.
///
/// Dropping it waits until all that was published is sent, or the linger has passed, and removes its files.
#[derive(Debug)]
pub struct ZmqPublisher {
    socket: Socket,
    // Behind the socket: they are gone when all is sent.
    ring: Option<RingWriter>,
    path: Option<SocketPath>,
    address: String,
    protocol: Protocol,
    compression: Compression,
    item: usize,
    frame: Vec<usize>,
    overflow: Overflow,
    folder: Option<PathBuf>,
    /// The socket's send timeout.
    timeout: i32,
    subscribers: u64,
}

impl Drop for ZmqPublisher {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            path.leave();
        }
    }
}

impl ZmqPublisher {
    /// Listens where the params say: for `tcp` at their interface and port, which may be `*`; for `ipc` at their interface if that is an absolute path, else at
    /// one of its own. [`describe`](Publisher::describe) tells where that is.
    ///
    /// # Errors
    /// `Invalid`: params or config; `Unsupported`: an overflow policy that the transfer mode cannot have. `Io`: the address is in use or not this machine's,
    /// a file cannot be made, there is no space for it.
    pub fn bind(params: &Params, config: &PublisherConfig) -> Result<Self> {
        params.check()?;
        config.check()?;
        check_overflow(params.transfermode, config.overflow)?;
        if params.transfermode == TransferMode::SharedMem && params.compression != Compression::None {
            let name = params.compression.name();
            let reason = format!("compression must be none with the transfermode sharedmem (got {name:?})");
            return Err(Error::invalid(reason));
        }
        let folder = config.folder.as_deref();
        let (url, path) = match params.protocol {
            Protocol::Tcp => (tcp_address(&params.interface, &params.port, true)?, None),
            Protocol::Ipc => {
                let path = SocketPath::new(&params.interface, folder)?;
                (ipc_address(path.text()?)?, Some(path))
            }
            other => return Err(not_ours(other)),
        };
        let ring = match params.transfermode {
            TransferMode::PlainData => None,
            TransferMode::SharedMem => Some(RingWriter::create(params, folder)?),
        };
        if let Some(ring) = &ring {
            ring.id()?;
        }
        let failed = |reason| Error::io(format_args!("bind {url}"), &reason);
        let make = || {
            if let Some(path) = url.strip_prefix("ipc://") {
                check_free(path)?;
            }
            let socket = Socket::new(&Context::new()?, Kind::Xpub)?;
            socket.set(Setting::SendHighWater, queue_length(config.queue).unwrap_or(i32::MAX))?;
            socket.set_linger(config.linger)?;
            socket.set_most_part(MOST_SUBSCRIPTION)?;
            socket.set(Setting::NoDrop, i32::from(config.overflow == Overflow::Block))?;
            socket.set(Setting::Verboser, 1)?;
            socket.keep_alive()?;
            socket.set(Setting::Ipv6, i32::from(url.starts_with("tcp://[")))?;
            socket.bind(&url)?;
            let address = socket.address()?;
            Ok((socket, address))
        };
        let (socket, address) = make().map_err(failed)?;
        Ok(Self {
            socket,
            ring,
            path,
            address,
            protocol: params.protocol,
            compression: params.compression,
            item: params.dtype.size(),
            frame: params.frame_shape(),
            overflow: config.overflow,
            folder: config.folder.clone(),
            timeout: -1,
            subscribers: 0,
        })
    }

    /// How many have subscribed by now, as they say themselves.
    pub fn subscribers(&mut self) -> Result<u64> {
        self.hear()?;
        Ok(self.subscribers)
    }

    /// Takes in who came and who went.
    fn hear(&mut self) -> Result<()> {
        for _ in 0..MOST_HEARD {
            let heard = self.socket.receive().map_err(|reason| Error::io("hear subscribers", &reason))?;
            let Some(word) = heard else { break };
            match word.as_slice() {
                [1] => self.subscribers += 1,
                [0] => self.subscribers = self.subscribers.saturating_sub(1),
                // Some topic, or no word of a subscriber.
                _ => {}
            }
        }
        Ok(())
    }

    fn check_chunk(&self, chunk: &Chunk) -> Result<()> {
        let (item, frame) = (chunk.layout.item(), chunk.layout.shape().get(1..));
        if item == self.item && frame == Some(&self.frame) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a chunk must have items of {} bytes and frames of shape {:?} (got {item} and {:?})",
            self.item,
            self.frame,
            frame.unwrap_or_default()
        )))
    }

    /// Header and data, as they go.
    fn parts(&self, chunk: &Chunk) -> Result<(Vec<u8>, Bytes)> {
        let (layout, data) = dense(chunk)?;
        let data = match self.compression {
            Compression::None => data,
            compression => blosc::compress(compression, self.item, &data)?,
        };
        Ok((wire::encode(chunk.index, &layout), data))
    }

    /// Sends the first part of a message, waiting as long as the call may. False: there was no space.
    fn send_first(&mut self, message: &mut Message, more: bool, wait: Wait) -> Result<bool> {
        let failed = |reason| Error::io("publish", &reason);
        let waits = self.overflow == Overflow::Block && wait != Wait::No;
        let deadline = match wait {
            Wait::For(time) => Instant::now().checked_add(time),
            Wait::No | Wait::Forever => None,
        };
        // Without the wait first: it takes a call less.
        let mut waiting = false;
        loop {
            match self.socket.send(message, more, waiting) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == IoKind::Interrupted => {}
                Err(error) if error.kind() == IoKind::WouldBlock => {
                    if !waits || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Ok(false);
                    }
                    waiting = true;
                }
                Err(error) => return Err(failed(error)),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.map_or(-1, milliseconds);
            if timeout != self.timeout {
                self.socket.set(Setting::SendTimeout, timeout).map_err(failed)?;
                self.timeout = timeout;
            }
        }
    }

    /// Sends what follows a first part, for which there is always space: libzmq counts whole messages.
    fn send_last(&self, message: &mut Message) -> Result<()> {
        loop {
            match self.socket.send(message, false, false) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == IoKind::Interrupted => {}
                Err(error) => {
                    let reason = format!("publish: the second part of a message: {error}");
                    return Err(Error::new(ErrorKind::Internal, reason));
                }
            }
        }
    }
}

/// What a transfer mode can do when there is no space.
fn check_overflow(mode: TransferMode, overflow: Overflow) -> Result<()> {
    let reason = match (mode, overflow) {
        (TransferMode::PlainData, Overflow::DropOldest) => {
            "overflow policy drop_oldest: ZeroMQ (tcp, ipc) has no way to drop what waits; it can block or drop_newest"
        }
        (TransferMode::SharedMem, Overflow::Block | Overflow::DropNewest) => {
            "the transfermode sharedmem writes over its oldest frames: overflow policy must be drop_oldest"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Unsupported, reason))
}

/// The same elements without gaps: the chunk's own memory, if they are so already, or a copy in the same order of axes.
fn dense(chunk: &Chunk) -> Result<(Layout, Bytes)> {
    let layout = &chunk.layout;
    if layout.is_empty() {
        // As numpy has it on the wire: with strides of zero.
        let strides = vec![0; layout.shape().len()];
        return Ok((Layout::new(layout.item(), 0, layout.shape(), &strides)?, Bytes::new()));
    }
    if layout.is_dense() {
        return Ok((layout.rebased(), chunk.data.slice(layout.extent())));
    }
    let packed = layout.packed();
    // SAFETY: a chunk's layout lies within its data; the packed one fills the memory, which is new.
    let data = unsafe {
        filled(packed.size(), |to| {
            array::copy(chunk.data.as_ptr(), layout, to, &packed);
            Ok(packed.size())
        })?
    };
    Ok((packed, data))
}

fn message(bytes: &[u8]) -> Result<Message> {
    Message::copy_of(bytes).map_err(|_| no_memory(bytes.len()))
}

fn no_memory(bytes: usize) -> Error {
    Error::new(ErrorKind::NoMemory, format!("no memory for a message of {bytes} bytes"))
}

impl Publisher for ZmqPublisher {
    /// `inputs` are those who have subscribed by now; what is dropped for them is not known here. With the policy to block, all get the chunk or, when the
    /// time has passed, none.
    fn publish(&mut self, chunk: &Chunk, wait: Wait) -> Result<Published> {
        self.check_chunk(chunk)?;
        self.hear()?;
        let mut published = Published { inputs: self.subscribers, ..Published::default() };
        if let Some(ring) = &mut self.ring {
            ring.write(chunk)?;
            let word = [chunk.index.to_be_bytes(), (chunk.frames() as u64).to_be_bytes()].concat();
            self.send_first(&mut message(&word)?, false, Wait::No)?;
            return Ok(published);
        }
        let (header, data) = self.parts(chunk)?;
        let size = data.len();
        let mut data = match size {
            SHARED_FROM.. => Message::sharing(data).map_err(|_| no_memory(size))?,
            _ => message(&data)?,
        };
        if self.send_first(&mut message(&header)?, true, wait)? {
            self.send_last(&mut data)?;
        } else {
            published = Published { inputs: 0, timed_out: true, ..published };
        }
        Ok(published)
    }

    fn adapt(&mut self, params: &Params) -> Result<()> {
        if self.ring.is_some() {
            let ring = RingWriter::create(params, self.folder.as_deref())?;
            ring.id()?;
            self.ring = Some(ring);
        }
        (self.item, self.frame) = (params.dtype.size(), params.frame_shape());
        Ok(())
    }

    /// How many have subscribed by now.
    fn input_count(&mut self) -> Result<u64> {
        self.subscribers()
    }

    fn reset_index(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.reset_index();
        }
    }

    fn describe(&self, params: &mut Params) {
        params.protocol = self.protocol;
        match &self.path {
            Some(path) => params.interface = path.text().unwrap_or_default().to_owned(),
            None => {
                params.port = self.address.rsplit(':').next().unwrap_or_default().to_owned();
            }
        }
        if let Some(id) = self.ring.as_ref().and_then(|ring| ring.id().ok()) {
            params.shm_id = Some(id.to_owned());
        }
    }
}
