//! The ledger of a buffer.

use super::segment::Amount;

/// What became of the packets.
///
/// At any moment `put` = `waiting` + `flushed` + `popped` + `cleared` + `overflow_oldest` + `overflow_newest`, in packets and in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// That the buffer accounts for.
    pub put: Amount,
    /// In the buffer now.
    pub waiting: Amount,
    /// That all sinks have.
    pub flushed: Amount,
    /// Taken out one by one.
    pub popped: Amount,
    /// Forgotten by `clear`.
    pub cleared: Amount,
    /// The oldest, dropped to make space.
    pub overflow_oldest: Amount,
    /// Dropped because there was no space.
    pub overflow_newest: Amount,
    /// Puts that were answered full, timed out, stopped or out of memory: the caller kept the packet.
    pub refused: u64,
    /// Puts that had to wait for space.
    pub blocked: u64,
    /// Reserved and then cancelled.
    pub cancelled: u64,
    /// Reserved and not yet committed.
    pub reserved: u64,
    /// Flushes, also those without a packet.
    pub flushes: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
    /// Bytes that all sinks wrote, without headers.
    pub written_bytes: u64,
}
