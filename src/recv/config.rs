//! What a receiving stream is told at its creation.

use super::copy::Copier;
use super::stats::CustomStat;
use crate::error::{Error, Result};

/// More partial heaps than this cannot be meant.
const MAX_MAX_HEAPS: usize = 1 << 20;

/// Settings of a stream; they do not change while it lives.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// How many newer heaps (of more than one packet) may start before a partial heap is given up, per substream.
    /// 1 to 2^20; 4 by default.
    pub max_heaps: usize,
    /// Heap numbers modulo this tell interleaved senders apart, each with its own `max_heaps`. At least 1, the default.
    pub substreams: usize,
    /// Packets of heaps longer than this are discarded: at least 1 byte; 1 GiB by default. Set to the size of the place that a
    /// heap has, it keeps a wrong heap from running into its neighbours.
    pub max_heap_size: u64,
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

impl StreamConfig {
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
        if self.max_heaps.saturating_mul(self.substreams) > MAX_MAX_HEAPS {
            return Err(Error::invalid(format!(
                "max_heaps * substreams must be at most {MAX_MAX_HEAPS} (got {} * {})",
                self.max_heaps, self.substreams
            )));
        }
        Ok(())
    }
}
