//! Streams of heaps as their users hold them.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::Heap;
use super::consumer::{CallbackConsumer, HeapCallback, RingConsumer};
use super::handler::HeapAssembly;
use crate::error::{Error, Result};
use crate::recv::{Stream, StreamConfig};
use crate::ring::{GetError, Overflow, Ring, Wait};
use crate::runtime::ThreadPool;

/// How a stream hands out its heaps.
#[derive(Debug, Clone)]
pub struct RingConfig {
    /// Heaps that fit into the ring between the stream and its consumer: 1 to 2^20; 4 by default. A callback has no ring.
    pub heaps: usize,
    /// Drop incomplete heaps (they are counted). On by default.
    pub contiguous_only: bool,
    /// Let incomplete heaps tell which of their bytes were received. Off by default.
    pub incomplete_keep_payload_ranges: bool,
    /// What to do when the ring is full.
    pub overflow: Overflow,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            heaps: 4,
            contiguous_only: true,
            incomplete_keep_payload_ranges: false,
            overflow: Overflow::Block,
        }
    }
}

/// A ring with more places than this cannot be meant.
const MAX_RING_HEAPS: usize = 1 << 20;

impl RingConfig {
    /// Checks every field's range.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_RING_HEAPS).contains(&self.heaps) {
            return Err(Error::invalid(format!(
                "heaps must be between 1 and {MAX_RING_HEAPS} (got {})",
                self.heaps
            )));
        }
        Ok(())
    }
}

/// A stream that puts its heaps on a ring.
#[derive(Debug)]
pub struct HeapRingStream {
    stream: Stream,
    ring: Arc<Ring<Box<Heap>>>,
    ring_config: RingConfig,
}

impl HeapRingStream {
    /// A stream on a worker of `pool`.
    pub fn new(pool: &Arc<ThreadPool>, config: StreamConfig, ring_config: RingConfig) -> Result<Self> {
        config.check()?;
        ring_config.check()?;
        let ring = Arc::new(Ring::new(ring_config.heaps)?);
        let consumer = RingConsumer::new(ring.clone(), ring_config.overflow);
        let handler = HeapAssembly::new(&config, &ring_config, consumer)?;
        let stream = Stream::new(pool, config, handler)?;
        Ok(Self { stream, ring, ring_config })
    }

    /// The stream proper: readers, statistics, stop.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How it was told to hand out its heaps.
    pub fn ring_config(&self) -> &RingConfig {
        &self.ring_config
    }

    /// The next heap. Heaps that were in the ring when the stream ended still come; then it is `Stopped`.
    pub fn get(&self, wait: Wait) -> Result<Box<Heap>, GetError> {
        let mut heap = self.ring.get(wait)?;
        heap.freeze();
        Ok(heap)
    }

    /// Readable while [`get`](Self::get) would not wait. See [`Ring::data_fd`].
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.ring.data_fd()
    }

    /// Heaps in the ring.
    pub fn ring_size(&self) -> usize {
        self.ring.size()
    }

    /// Heaps that fit into the ring.
    pub fn ring_capacity(&self) -> usize {
        self.ring_config.heaps
    }
}

/// A stream that calls a function with each heap.
#[derive(Debug)]
pub struct HeapCallbackStream {
    stream: Stream,
}

impl HeapCallbackStream {
    /// A stream on a worker of `pool`. Of `ring_config`, `heaps` and `overflow` have no meaning here.
    pub fn new(
        pool: &Arc<ThreadPool>,
        config: StreamConfig,
        ring_config: &RingConfig,
        callback: impl HeapCallback + 'static,
    ) -> Result<Self> {
        config.check()?;
        ring_config.check()?;
        let handler = HeapAssembly::new(&config, ring_config, CallbackConsumer(callback))?;
        Ok(Self { stream: Stream::new(pool, config, handler)? })
    }

    /// The stream proper: readers, statistics, stop.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}
