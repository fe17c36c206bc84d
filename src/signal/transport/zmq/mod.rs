//! Chunks over ZeroMQ, as pyacq sends and takes them: one publishes, any number subscribe, over TCP or a socket in the file system.
//!
//! | file | what it is |
//! |---|---|
//! | `publisher.rs`, `subscriber.rs` | the two ends |
//! | `address.rs` | where they meet |
//! | `blosc.rs` | compressed chunks |
//! | `ring.rs` | the file of the transfer mode `sharedmem`: who writes it, who reads it |
//! | `absent.rs` | what stands for all that in a build without the feature `zmq` |
//!
//! Each end belongs to one thread at a time. A publisher has a libzmq context of its own, so that its end can wait for what still has to be sent, at most as
//! long as its linger; subscribers share one, which is kept for the process.
//!
//! What libzmq does not bound, and we cannot: a publisher that is connected to can send a message of any number of parts, each within the limit, and a
//! subscriber can ask for any number of topics. Connect to whom you trust with your memory.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ring::{Overflow, Wait};

#[cfg(not(feature = "zmq"))]
mod absent;
#[cfg(feature = "zmq")]
mod address;
#[cfg(feature = "zmq")]
mod blosc;
#[cfg(feature = "zmq")]
mod publisher;
#[cfg(feature = "zmq")]
mod ring;
#[cfg(feature = "zmq")]
mod subscriber;

#[cfg(not(feature = "zmq"))]
pub use absent::{ZmqPublisher, ZmqSubscriber};
#[cfg(feature = "zmq")]
pub(in crate::signal) use address::tcp_address;
#[cfg(feature = "zmq")]
pub use publisher::ZmqPublisher;
#[cfg(feature = "zmq")]
pub use subscriber::ZmqSubscriber;

/// How a publisher sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherConfig {
    /// What is done when a subscriber has `queue` chunks waiting. `Block`: it is waited for. `DropNewest`: the chunk is dropped for that subscriber, without
    /// a count, as libzmq has none; the subscriber sees the gap. With the transfer mode `sharedmem` it must be `DropOldest`, which is what a ring does,
    /// and with `plaindata` it cannot.
    pub overflow: Overflow,
    /// Chunks that wait for each subscriber at the most, beside what the system's sockets hold and what waits at the subscriber. At least 1. A chunk's
    /// memory is shared by all for whom it waits, and held until the last has got it.
    pub queue: u32,
    /// How long the end waits for what still has to be sent. At most 1 hour.
    pub linger: Duration,
    /// Where files are made; `None`: the system's folder for temporary ones (TMPDIR, else /tmp).
    pub folder: Option<PathBuf>,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self { overflow: Overflow::DropNewest, queue: 1000, linger: Duration::from_secs(1), folder: None }
    }
}

/// How a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberConfig {
    /// Chunks that wait here at the most; 1 to 2^31 - 1. When there are more, the publisher has them waiting, or drops them.
    pub queue: u32,
    /// Bytes of a chunk at the most, compressed and not. A publisher that sends a larger message, or what is no message of ZeroMQ at all, is left by libzmq,
    /// which does not connect to it again and does not say so: nothing comes any more, and a new subscriber is needed.
    pub max_chunk: u64,
    /// How long to wait until the publisher has answered; `No`: the connection is made in the background.
    pub connect: Wait,
}

impl Default for SubscriberConfig {
    fn default() -> Self {
        Self { queue: 1000, max_chunk: 1 << 30, connect: Wait::No }
    }
}

/// What became of a subscriber's messages up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriberStats {
    /// Chunks that were delivered.
    pub chunks: u64,
    /// Frames in them.
    pub frames: u64,
    /// Messages that were no chunks of this stream.
    pub malformed: u64,
    /// Connections that ended: the publisher went, or sent a chunk of more than `max_chunk` bytes.
    pub disconnections: u64,
    /// Messages that were dropped by `empty_queue`.
    pub emptied: u64,
    /// Of the transfer mode `sharedmem`: chunks that were overwritten before they were read.
    pub overwritten_chunks: u64,
    /// Frames in them.
    pub overwritten_frames: u64,
}

/// Longer waits at the end are a mistake.
const MOST_LINGER: Duration = Duration::from_secs(3600);

/// The number of chunks as libzmq takes it.
fn queue_length(queue: u32) -> Result<i32> {
    i32::try_from(queue)
        .ok()
        .filter(|&queue| queue > 0)
        .ok_or_else(|| Error::invalid(format!("queue must be 1 to {} chunks (got {queue})", i32::MAX)))
}

impl PublisherConfig {
    fn check(&self) -> Result<()> {
        queue_length(self.queue)?;
        if self.linger > MOST_LINGER {
            let reason = format!("linger must be at most {MOST_LINGER:?} (got {:?})", self.linger);
            return Err(Error::invalid(reason));
        }
        Ok(())
    }
}
