//! What an event buffer is told.

use std::sync::Arc;
use std::time::Duration;

use super::frame::MAX_PACKET;
use crate::error::{Error, Result};
use crate::memory::Allocator;
use crate::ring::Overflow;

/// What a buffer is for. It decides what happens when it is full, unless that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Everything is to be written: who puts waits when it is full.
    #[default]
    Fifo,
    /// The latest packets are to be kept: the oldest go when it is full.
    Circular,
}

/// How a buffer is made.
#[derive(Clone)]
pub struct Config {
    /// What it is for.
    pub kind: Kind,
    /// It is almost full with so many packets; 0: never.
    pub flush_size: u64,
    /// A flush is due when the last one was longer ago; `None`: never for that reason.
    pub flush_timeout: Option<Duration>,
    /// The most packets in it; 0: any number.
    pub capacity: u64,
    /// The most bytes of packets in it; 0: any number.
    pub capacity_bytes: u64,
    /// What becomes of a packet that finds it full; `None`: as its kind wants it.
    pub overflow: Option<Overflow>,
    /// Note when each packet was put.
    pub timestamps: bool,
    /// Where the memory comes from, 1 MiB at a time, and what larger packets need.
    pub allocator: Arc<dyn Allocator>,
}

/// As often as the seed flushes.
pub const DEFAULT_FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for Config {
    fn default() -> Self {
        Self {
            kind: Kind::Fifo,
            flush_size: 0,
            flush_timeout: Some(DEFAULT_FLUSH_TIMEOUT),
            capacity: 0,
            capacity_bytes: 0,
            overflow: None,
            timestamps: true,
            allocator: <dyn Allocator>::default_allocator(),
        }
    }
}

impl Config {
    /// What becomes of a packet that finds the buffer full.
    pub fn overflow(&self) -> Overflow {
        self.overflow.unwrap_or(match self.kind {
            Kind::Fifo => Overflow::Block,
            Kind::Circular => Overflow::DropOldest,
        })
    }

    /// Whether a packet of `size` bytes can be put at all.
    pub(super) fn check_size(&self, size: usize) -> Result<()> {
        if size > MAX_PACKET {
            return Err(Error::invalid(format!("size must be at most {MAX_PACKET} (got {size})")));
        }
        if self.capacity_bytes > 0 && size as u64 > self.capacity_bytes {
            let capacity = self.capacity_bytes;
            return Err(Error::invalid(format!(
                "size must be at most capacity_bytes, {capacity} (got {size})"
            )));
        }
        Ok(())
    }
}
