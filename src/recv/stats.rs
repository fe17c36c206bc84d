//! A stream's statistics: what they are, how a batch adds to them, and how others read them.
//!
//! The stream's worker counts into a [`Batch`] of its own and publishes it once per batch, under a lock that is held for
//! some tens of nanoseconds; so a snapshot is consistent, and counting costs the hot path one addition.
//!
//! # The ledger
//! Every packet that a reader hands in ends in exactly one counter. With the sums that [`Snapshot`] names:
//!
//! ```text
//! packets = packets_delivered + packets_incomplete + packets_control + packets_pending + discarded (by reason)
//! heaps   = complete_heaps + incomplete_heaps_evicted + incomplete_heaps_flushed + discarded heaps (by reason)
//! ```
//!
//! The first holds for every snapshot; `packets_pending`, the packets of heaps still in progress, is 0 when the stream
//! has ended. What the kernel dropped before anybody saw it stands beside the ledger, in `kernel_drops`.

use std::ops::{Index, IndexMut};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::spead::Malformed;

/// How a batch's value joins the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are added.
    Counter,
    /// The larger one stays.
    Maximum,
    /// The newer one stays.
    Level,
}

/// Where a statistic stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Beside it.
    None,
    /// One of the bins into which packets are sorted.
    Packets,
    /// One of the bins into which heaps are sorted.
    Heaps,
}

macro_rules! statistics {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $mode:ident $account:ident;)*) => {
        /// A built-in statistic; its number is its index.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Stat { $($(#[doc = $doc])* $variant,)* }

        impl Stat {
            /// All built-in statistics, in the order of their indices.
            pub const ALL: [Stat; [$(Stat::$variant),*].len()] = [$(Stat::$variant),*];

            /// The name by which users look it up.
            pub const fn name(self) -> &'static str {
                match self { $(Stat::$variant => $name,)* }
            }

            /// What it counts: the text beside its variant.
            pub fn help(self) -> &'static str {
                match self { $(Stat::$variant => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// How a batch's value joins the total.
            pub const fn mode(self) -> Mode {
                match self { $(Stat::$variant => Mode::$mode,)* }
            }

            /// Where it stands in the ledger.
            pub const fn account(self) -> Account {
                match self { $(Stat::$variant => Account::$account,)* }
            }
        }
    };
}

statistics! {
    /// Heaps that ended: complete, incomplete or discarded. The heap with the stop item is not among them.
    Heaps "heaps" Counter None;
    /// Incomplete heaps that had to make room for newer ones.
    IncompleteHeapsEvicted "incomplete_heaps_evicted" Counter Heaps;
    /// Incomplete heaps left when the stream ended.
    IncompleteHeapsFlushed "incomplete_heaps_flushed" Counter Heaps;
    /// Packets received, whatever became of them.
    Packets "packets" Counter None;
    /// Batches in which they came.
    Batches "batches" Counter None;
    /// How often the stream had to wait for its consumer (a full data ring, an empty free ring).
    WorkerBlocked "worker_blocked" Counter None;
    /// Packets in the largest batch.
    MaxBatch "max_batch" Maximum None;
    /// Heaps that came whole in one packet.
    SinglePacketHeaps "single_packet_heaps" Counter None;
    /// Table entries looked at to find packets' heaps.
    SearchDist "search_dist" Counter None;

    /// Heaps received in full and put where they belong. (Whether the consumer got the chunk: see `heaps_undelivered`.)
    CompleteHeaps "complete_heaps" Counter Heaps;
    /// Heaps behind the window of chunks, or whose chunk left it before their last packet came.
    TooOldHeaps "too_old_heaps" Counter Heaps;
    /// Heaps that the place callback refused.
    RejectedHeaps "rejected_heaps" Counter Heaps;
    /// Heaps that the place callback put outside their chunk.
    OutOfBoundsHeaps "place_out_of_bounds_heaps" Counter Heaps;
    /// Heaps so far ahead that they were taken for an error.
    JumpRejectedHeaps "jump_rejected_heaps" Counter Heaps;
    /// Heaps that came when there was no longer anywhere to put them: the rings had been stopped.
    AfterStopHeaps "after_stop_heaps" Counter Heaps;
    /// Heaps for which there was no memory: the allocator had none, or `max_heap_memory` was reached.
    NoMemoryHeaps "no_memory_heaps" Counter Heaps;
    /// Heaps with more than `max_items` items.
    TooManyItemsHeaps "too_many_items_heaps" Counter Heaps;
    /// Heaps that grew beyond `max_heap_size` without having told their length.
    TooLargeHeaps "heap_too_large_heaps" Counter Heaps;
    /// Complete heaps dropped because the ring was full, where the overflow policy is to drop the newest.
    OverflowNewestHeaps "overflow_newest_heaps" Counter Heaps;
    /// Heaps of which packets came without their beginning (in-order mode): it was lost, or the heap had been given up
    /// before. Beside the ledger.
    HeapsLostStart "heaps_lost_start" Counter None;

    /// Packets of complete heaps.
    PacketsDelivered "packets_delivered" Counter Packets;
    /// Packets of incomplete heaps that were evicted or flushed.
    PacketsIncomplete "packets_incomplete" Counter Packets;
    /// Packets with the stop item, which end the stream.
    PacketsControl "packets_control" Counter Packets;
    /// Packets of heaps in progress.
    PacketsPending "packets_pending" Level Packets;
    /// Datagrams longer than `max_size`, or cut by a capture's snapshot length.
    Truncated "truncated" Counter Packets;
    /// Shorter than a header.
    MalformedTooShort "malformed_too_short" Counter Packets;
    /// Not SPEAD.
    MalformedBadMagic "malformed_bad_magic" Counter Packets;
    /// Not version 4.
    MalformedBadVersion "malformed_bad_version" Counter Packets;
    /// Widths of identifier and address that do not make up 64 bits.
    MalformedBadWidths "malformed_bad_widths" Counter Packets;
    /// More item pointers than fit in the packet.
    MalformedItemsOverflow "malformed_items_overflow" Counter Packets;
    /// No heap number.
    MalformedNoHeapCnt "malformed_no_heap_cnt" Counter Packets;
    /// No payload offset.
    MalformedNoPayloadOffset "malformed_no_payload_offset" Counter Packets;
    /// No payload length.
    MalformedNoPayloadLength "malformed_no_payload_length" Counter Packets;
    /// A payload longer than the packet.
    MalformedPayloadOverflow "malformed_payload_overflow" Counter Packets;
    /// A payload that ends beyond its heap.
    MalformedHeapOverflow "malformed_heap_overflow" Counter Packets;
    /// An item beyond the heap's length.
    MalformedItemBeyondHeap "malformed_item_beyond_heap" Counter Packets;
    /// Of a heap longer than `max_heap_size`.
    HeapTooLarge "heap_too_large" Counter Packets;
    /// No heap length, where `allow_unsized_heaps` is off.
    Unsized "no_heap_length" Counter Packets;
    /// Not the next packet of its heap, in in-order mode.
    OutOfOrder "out_of_order" Counter Packets;
    /// Received before, or of a heap that is complete already.
    Duplicate "duplicate" Counter Packets;
    /// Received before in part.
    Overlap "overlap" Counter Packets;
    /// At odds with earlier packets of its heap about length or flavour.
    Inconsistent "inconsistent" Counter Packets;
    /// Would break its heap into more pieces than are kept track of.
    TooFragmented "too_fragmented" Counter Packets;
    /// Packets of `too_old_heaps`.
    PacketsTooOld "too_old" Counter Packets;
    /// Packets of `rejected_heaps`.
    PacketsRejected "place_rejected" Counter Packets;
    /// Packets of `place_out_of_bounds_heaps`.
    PacketsOutOfBounds "place_out_of_bounds" Counter Packets;
    /// Packets of `jump_rejected_heaps`.
    PacketsJumpRejected "jump_rejected" Counter Packets;
    /// Packets of `no_memory_heaps`.
    PacketsNoMemory "no_memory" Counter Packets;
    /// Packets of `too_many_items_heaps`.
    PacketsTooManyItems "too_many_items" Counter Packets;
    /// Packets of `overflow_newest_heaps`.
    PacketsOverflowNewest "overflow_newest" Counter Packets;
    /// Packets from a sender that is not in the reader's `source_filter`.
    SourceRejected "source_rejected" Counter Packets;
    /// Packets that came too late for a stream that had ended.
    PacketsAfterStop "after_stop" Counter Packets;
    /// Captured frames with a fragment of an IP packet.
    Fragment "fragment" Counter Packets;
    /// Captured frames that carry no UDP datagram, or one whose lengths contradict each other.
    NotUdp "not_udp" Counter Packets;

    /// Datagrams that the kernel dropped because nobody fetched them in time. The kernel counts a bunch that it had
    /// coalesced (GRO) as one: then this is how many bunches there were, at least.
    KernelDrops "kernel_drops" Counter None;
    /// Bytes of payload in complete heaps.
    BytesDelivered "bytes_delivered" Counter None;
    /// Chunks given to the consumer.
    ChunksReady "chunks_ready" Counter None;
    /// Chunks with data that could not be given to the consumer at shutdown.
    ChunksUndelivered "chunks_undelivered" Counter None;
    /// Heaps that were received, but could not be given to the consumer at shutdown: complete ones in those chunks, or
    /// those for which the ring of heaps had no space left.
    HeapsUndelivered "heaps_undelivered" Counter None;
    /// Heaps given to the consumer, one by one: put on the ring of heaps, or passed to the heap callback. With them are
    /// the incomplete ones, if the stream delivers such.
    HeapsReady "heaps_ready" Counter None;
    /// Of `heaps_ready`, those taken out of the ring again, where the overflow policy is to drop the oldest.
    OverflowOldestHeaps "overflow_oldest_heaps" Counter None;
    /// Connections accepted by TCP readers.
    Connections "connections" Counter None;
    /// Connections that TCP readers refused, as they were not from a sender in their `source_filter`.
    ConnectionsRejected "connections_rejected" Counter None;
    /// Bytes between packets that TCP readers skipped to find the next one.
    BytesSkipped "bytes_skipped" Counter None;
}

impl From<Malformed> for Stat {
    fn from(kind: Malformed) -> Self {
        match kind {
            Malformed::TooShort => Self::MalformedTooShort,
            Malformed::BadMagic => Self::MalformedBadMagic,
            Malformed::BadVersion => Self::MalformedBadVersion,
            Malformed::BadWidths => Self::MalformedBadWidths,
            Malformed::ItemsOverflow => Self::MalformedItemsOverflow,
            Malformed::NoHeapCnt => Self::MalformedNoHeapCnt,
            Malformed::NoPayloadOffset => Self::MalformedNoPayloadOffset,
            Malformed::NoPayloadLength => Self::MalformedNoPayloadLength,
            Malformed::PayloadOverflow => Self::MalformedPayloadOverflow,
            Malformed::HeapOverflow => Self::MalformedHeapOverflow,
            Malformed::ItemBeyondHeap => Self::MalformedItemBeyondHeap,
        }
    }
}

/// A statistic of the user's, updated from callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomStat {
    /// A name that no other statistic of the stream has.
    pub name: String,
    /// How a batch's value joins the total.
    pub mode: Mode,
}

/// What one batch adds; it belongs to the stream's worker. Built-in statistics first, then the user's.
#[derive(Debug)]
pub struct Batch(Box<[u64]>);

impl Batch {
    fn new(len: usize) -> Self {
        Self(vec![0; len.max(Stat::ALL.len())].into())
    }

    /// All values, for callbacks.
    pub fn values(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl Index<Stat> for Batch {
    type Output = u64;
    #[inline]
    fn index(&self, stat: Stat) -> &u64 {
        &self.0[stat as usize]
    }
}

impl IndexMut<Stat> for Batch {
    #[inline]
    fn index_mut(&mut self, stat: Stat) -> &mut u64 {
        &mut self.0[stat as usize]
    }
}

/// The published statistics of a stream; read by any thread.
#[derive(Debug)]
pub struct Stats {
    custom: Vec<CustomStat>,
    totals: Mutex<Box<[u64]>>,
}

impl Stats {
    /// Statistics with the user's after the built-in ones.
    pub fn new(custom: Vec<CustomStat>) -> Result<Self> {
        for (i, stat) in custom.iter().enumerate() {
            let name = &stat.name;
            let taken =
                Stat::ALL.iter().any(|s| s.name() == name) || custom[..i].iter().any(|s| s.name == *name);
            if stat.mode == Mode::Level {
                return Err(Error::invalid(format!("custom_stats[{i}].mode must be counter or maximum")));
            }
            if taken || name.is_empty() {
                return Err(Error::invalid(format!(
                    "custom_stats[{i}].name must be new and not empty (got {name:?})"
                )));
            }
        }
        let totals = Mutex::new(vec![0; Stat::ALL.len() + custom.len()].into());
        Ok(Self { custom, totals })
    }

    /// How many there are, the user's included.
    pub fn count(&self) -> usize {
        Stat::ALL.len() + self.custom.len()
    }

    /// The user's, which follow the built-in ones.
    pub fn custom(&self) -> &[CustomStat] {
        &self.custom
    }

    /// The name of the statistic with that index.
    pub fn name(&self, index: usize) -> Option<&str> {
        match Stat::ALL.get(index) {
            Some(stat) => Some(stat.name()),
            None => self.custom.get(index - Stat::ALL.len()).map(|stat| stat.name.as_str()),
        }
    }

    /// The index of the statistic with that name.
    pub fn index(&self, name: &str) -> Option<usize> {
        (0..self.count()).find(|&index| self.name(index) == Some(name))
    }

    /// All values at one moment between two batches.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.totals.lock().clone())
    }

    /// An empty batch for these statistics.
    pub fn batch(&self) -> Batch {
        Batch::new(self.count())
    }

    /// Adds `batch` to the totals and empties it.
    pub fn publish(&self, batch: &mut Batch) {
        let modes = Stat::ALL.iter().map(|s| s.mode()).chain(self.custom.iter().map(|s| s.mode));
        let mut totals = self.totals.lock();
        for ((total, value), mode) in totals.iter_mut().zip(&mut batch.0).zip(modes) {
            let value = std::mem::take(value);
            match mode {
                Mode::Counter => *total = total.wrapping_add(value),
                Mode::Maximum => *total = (*total).max(value),
                Mode::Level => *total = value,
            }
        }
    }
}

/// The values of all statistics at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(Box<[u64]>);

impl Index<Stat> for Snapshot {
    type Output = u64;
    fn index(&self, stat: Stat) -> &u64 {
        &self.0[stat as usize]
    }
}

impl Snapshot {
    /// The value of the statistic with that index, the user's included.
    pub fn get(&self, index: usize) -> Option<u64> {
        self.0.get(index).copied()
    }

    /// True if every packet and every heap is in exactly one bin.
    pub fn ledger_closes(&self) -> bool {
        let sum =
            |account| -> u64 { Stat::ALL.iter().filter(|s| s.account() == account).map(|&s| self[s]).sum() };
        self[Stat::Packets] == sum(Account::Packets) && self[Stat::Heaps] == sum(Account::Heaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(name: &str, mode: Mode) -> CustomStat {
        CustomStat { name: name.into(), mode }
    }

    #[test]
    fn batches_join_by_mode() {
        let stats = Stats::new(vec![custom("sum", Mode::Counter), custom("peak", Mode::Maximum)]).unwrap();
        let (sum, peak) = (stats.index("sum").unwrap(), stats.index("peak").unwrap());
        let mut batch = stats.batch();
        for (value, pending) in [(5, 2), (3, 0)] {
            batch.values()[sum] += value;
            batch.values()[peak] = value;
            batch[Stat::PacketsPending] = pending;
            stats.publish(&mut batch);
            assert!(batch.values().iter().all(|&v| v == 0));
        }
        let snapshot = stats.snapshot();
        assert_eq!(snapshot.get(sum), Some(8));
        assert_eq!(snapshot.get(peak), Some(5));
        assert_eq!(snapshot[Stat::PacketsPending], 0);
        assert_eq!(snapshot.get(stats.count()), None);
    }

    #[test]
    fn names_are_unique_and_found() {
        let stats = Stats::new(vec![]).unwrap();
        for index in 0..stats.count() {
            assert_eq!(stats.index(stats.name(index).unwrap()), Some(index));
        }
        for names in [vec!["packets"], vec!["a", "a"], vec![""]] {
            let custom = names.iter().map(|n| custom(n, Mode::Counter)).collect();
            assert!(Stats::new(custom).unwrap_err().message().contains("custom_stats["));
        }
    }

    #[test]
    fn the_ledger_notices_a_lost_packet() {
        let stats = Stats::new(vec![]).unwrap();
        let mut batch = stats.batch();
        batch[Stat::Packets] = 2;
        batch[Stat::Duplicate] = 1;
        stats.publish(&mut batch);
        assert!(!stats.snapshot().ledger_closes());
        batch[Stat::PacketsPending] = 1;
        stats.publish(&mut batch);
        assert!(stats.snapshot().ledger_closes());
    }
}
