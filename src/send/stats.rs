//! The ledger of a sending stream.
//!
//! Invariant, at any time under the stream's lock: what was submitted is what was sent, failed, was cancelled or is pending, in heaps and in packets.

/// What became of heaps and packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendStats {
    /// Heaps that were taken into the queue.
    pub heaps: u64,
    /// Heaps all of whose packets were handed over without an error.
    pub heaps_sent: u64,
    /// Heaps with an error, whether or not some of their packets were handed over.
    pub heaps_failed: u64,
    /// Heaps that were given up before they were sent: at a stop, or as the caller waited no longer.
    pub heaps_cancelled: u64,
    /// Heaps in the queue or on their way.
    pub heaps_pending: u64,
    /// Packets of all heaps that were taken into the queue.
    pub packets: u64,
    /// Packets that were handed over: to the kernel, a queue or a file.
    pub packets_sent: u64,
    /// Packets that were not, by an error of theirs or of their heap.
    pub packets_failed: u64,
    /// Packets that were not, as their heap was given up.
    pub packets_cancelled: u64,
    /// Packets still to be handed over.
    pub packets_pending: u64,
    /// Bytes of the packets that were handed over.
    pub bytes_sent: u64,
    /// How often news came that a packet, handed over before, was not received: nobody listens.
    pub refused: u64,
    /// How often packets were handed over, many at a time.
    pub batches: u64,
    /// Submissions that found the queue full.
    pub queue_full: u64,
}

impl SendStats {
    /// Whether everything that was submitted is accounted for.
    pub fn ledger_closes(&self) -> bool {
        let heaps = self.heaps_sent + self.heaps_failed + self.heaps_cancelled + self.heaps_pending;
        let packets = self.packets_sent + self.packets_failed + self.packets_cancelled + self.packets_pending;
        (heaps, packets) == (self.heaps, self.packets)
    }
}
