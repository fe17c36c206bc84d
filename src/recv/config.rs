//! What a receiving stream is told at its creation.

use std::fmt;
use std::sync::Arc;

use super::copy::Copier;
use super::stats::CustomStat;
use crate::error::{Error, Result};
use crate::memory::Allocator;

/// More partial heaps than this cannot be meant.
const MAX_MAX_HEAPS: usize = 1 << 20;

/// All flags of `bug_compat` that there are.
const ALL_BUGS: u8 = 15;

/// Settings of a stream; they do not change while it lives.
#[derive(Clone)]
pub struct StreamConfig {
    /// How many newer heaps may start before a partial heap is given up, per substream.
    /// 1 to 2^20; 4 by default.
    pub max_heaps: usize,
    /// Heap numbers modulo this tell interleaved senders apart, each with its own `max_heaps`. At least 1, the default.
    pub substreams: usize,
    /// Packets of heaps longer than this are discarded: at least 1 byte; 1 GiB by default. Set to the size of the place that a
    /// heap has, it keeps a wrong heap from running into its neighbours.
    pub max_heap_size: u64,
    /// Bytes that the heaps in progress of a stream of heaps may have together; packets of heaps beyond are discarded. 0, the
    /// default, is four times `max_heap_size`.
    pub max_heap_memory: u64,
    /// Items that a heap may have, in a stream of heaps; heaps with more are discarded. 1 to 2^32; 65536 by default.
    pub max_items: usize,
    /// Which bugs of old senders to put up with, when descriptors and values of this stream's heaps are decoded: the sum of
    /// `spead::bug_compat` flags, 0 to 15.
    pub bug_compat: u8,
    /// Where a stream of heaps gets the memory for payloads; the heap by default.
    pub allocator: Option<Arc<dyn Allocator>>,
    /// A number that chunks of this stream carry.
    pub stream_id: u64,
    /// Accept a heap's packets in any order. Off by default: a packet that is not the next of its heap is discarded.
    pub allow_out_of_order: bool,
    /// Accept heaps that do not tell their length. On by default.
    pub allow_unsized_heaps: bool,
    /// End the stream at a stop item. On by default.
    pub stop_on_stop_item: bool,
    /// Read nothing until the stream is started. Off by default.
    pub explicit_start: bool,
    /// How payloads are copied to where they belong.
    pub copy: Copier,
    /// The user's statistics.
    pub custom_stats: Vec<CustomStat>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_heaps: 4,
            substreams: 1,
            max_heap_size: 1 << 30,
            max_heap_memory: 0,
            max_items: 1 << 16,
            bug_compat: 0,
            allocator: None,
            stream_id: 0,
            allow_out_of_order: false,
            allow_unsized_heaps: true,
            stop_on_stop_item: true,
            explicit_start: false,
            copy: Copier::default(),
            custom_stats: Vec::new(),
        }
    }
}

impl fmt::Debug for StreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConfig")
            .field("max_heaps", &self.max_heaps)
            .field("substreams", &self.substreams)
            .field("max_heap_size", &self.max_heap_size)
            .field("allow_out_of_order", &self.allow_out_of_order)
            .field("stream_id", &self.stream_id)
            .finish_non_exhaustive()
    }
}

impl StreamConfig {
    /// Bytes that the heaps in progress may have together.
    pub(super) fn heap_memory_limit(&self) -> u64 {
        match self.max_heap_memory {
            0 => self.max_heap_size.saturating_mul(4),
            limit => limit,
        }
    }

    /// Checks every field's range.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("max_heaps", self.max_heaps), ("substreams", self.substreams)] {
            if !(1..=MAX_MAX_HEAPS).contains(&value) {
                return Err(Error::invalid(format!(
                    "{name} must be between 1 and {MAX_MAX_HEAPS} (got {value})"
                )));
            }
        }
        if self.max_heap_size == 0 {
            return Err(Error::invalid("max_heap_size must be at least 1 (got 0)"));
        }
        if self.max_heap_memory != 0 && self.max_heap_memory < self.max_heap_size {
            return Err(Error::invalid(format!(
                "max_heap_memory must be 0 or at least max_heap_size, {} (got {})",
                self.max_heap_size, self.max_heap_memory
            )));
        }
        if !(1..=1 << 32).contains(&(self.max_items as u64)) {
            return Err(Error::invalid(format!(
                "max_items must be between 1 and 2^32 (got {})",
                self.max_items
            )));
        }
        if self.bug_compat > ALL_BUGS {
            return Err(Error::invalid(format!(
                "bug_compat must be between 0 and {ALL_BUGS} (got {})",
                self.bug_compat
            )));
        }
        if self.max_heaps.saturating_mul(self.substreams) > MAX_MAX_HEAPS {
            return Err(Error::invalid(format!(
                "max_heaps * substreams must be at most {MAX_MAX_HEAPS} (got {} * {})",
                self.max_heaps, self.substreams
            )));
        }
        Ok(())
    }
}
