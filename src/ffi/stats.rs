//! Statistics
//!
//! The ledger of a stream: every packet ends in exactly one counter, and every heap too.
//!
//! ```text
//! packets = packets_delivered + packets_incomplete + packets_control + packets_pending
//!         + all discards, from truncated to not_udp
//! heaps   = complete_heaps + incomplete_heaps_evicted + incomplete_heaps_flushed
//!         + too_old_heaps + rejected_heaps + place_out_of_bounds_heaps + jump_rejected_heaps + after_stop_heaps
//!         + no_memory_heaps + too_many_items_heaps + heap_too_large_heaps + overflow_newest_heaps
//! ```
//!
//! Both hold in every snapshot; packets_pending is 0 once the stream has ended. Counters only grow; they are published
//! once per batch of packets, and reading them is cheap.

use super::guard::guard;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::recv::stats::{Snapshot, Stat};

/// The statistics of a stream at one moment. Initialise it with aq_recv_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_recv_stats {
    /// Set by aq_recv_stats_init().
    pub struct_size: usize,
    /// 1 if the two sums above hold, else 0 (a bug).
    pub ledger_closed: u64,
    /// Heaps that ended: complete, incomplete or discarded. The heap with the stop item is not among them.
    pub heaps: u64,
    /// Incomplete heaps that had to make room for newer ones.
    pub incomplete_heaps_evicted: u64,
    /// Incomplete heaps left when the stream ended.
    pub incomplete_heaps_flushed: u64,
    /// Packets received, whatever became of them.
    pub packets: u64,
    /// Batches in which they came.
    pub batches: u64,
    /// How often the stream had to wait for its consumer (a full data ring, an empty free ring).
    pub worker_blocked: u64,
    /// Packets in the largest batch.
    pub max_batch: u64,
    /// Heaps that came whole in one packet.
    pub single_packet_heaps: u64,
    /// Table entries looked at to find packets' heaps.
    pub search_dist: u64,
    /// Heaps received in full and put where they belong. (Whether the consumer got the chunk: see `heaps_undelivered`.)
    pub complete_heaps: u64,
    /// Heaps behind the window of chunks, or whose chunk left it before their last packet came.
    pub too_old_heaps: u64,
    /// Heaps that the place callback refused.
    pub rejected_heaps: u64,
    /// Heaps that the place callback put outside their chunk.
    pub place_out_of_bounds_heaps: u64,
    /// Heaps so far ahead that they were taken for an error.
    pub jump_rejected_heaps: u64,
    /// Heaps that came when there was no longer anywhere to put them: the rings had been stopped.
    pub after_stop_heaps: u64,
    /// Heaps for which there was no memory: the allocator had none, or `max_heap_memory` was reached.
    pub no_memory_heaps: u64,
    /// Heaps with more than `max_items` items.
    pub too_many_items_heaps: u64,
    /// Heaps that grew beyond `max_heap_size` without having told their length.
    pub heap_too_large_heaps: u64,
    /// Complete heaps dropped because the ring was full, where the overflow policy is to drop the newest.
    pub overflow_newest_heaps: u64,
    /// Heaps of which packets came without their beginning (in-order mode): it was lost, or the heap had been given up
    /// before. Beside the ledger.
    pub heaps_lost_start: u64,
    /// Packets of complete heaps.
    pub packets_delivered: u64,
    /// Packets of incomplete heaps that were evicted or flushed.
    pub packets_incomplete: u64,
    /// Packets with the stop item, which end the stream.
    pub packets_control: u64,
    /// Packets of heaps in progress.
    pub packets_pending: u64,
    /// Datagrams longer than `max_size`, or cut by a capture's snapshot length.
    pub truncated: u64,
    /// Shorter than a header.
    pub malformed_too_short: u64,
    /// Not SPEAD.
    pub malformed_bad_magic: u64,
    /// Not version 4.
    pub malformed_bad_version: u64,
    /// Widths of identifier and address that do not make up 64 bits.
    pub malformed_bad_widths: u64,
    /// More item pointers than fit in the packet.
    pub malformed_items_overflow: u64,
    /// No heap number.
    pub malformed_no_heap_cnt: u64,
    /// No payload offset.
    pub malformed_no_payload_offset: u64,
    /// No payload length.
    pub malformed_no_payload_length: u64,
    /// A payload longer than the packet.
    pub malformed_payload_overflow: u64,
    /// A payload that ends beyond its heap.
    pub malformed_heap_overflow: u64,
    /// An item beyond the heap's length.
    pub malformed_item_beyond_heap: u64,
    /// Of a heap longer than `max_heap_size`.
    pub heap_too_large: u64,
    /// No heap length, where `allow_unsized_heaps` is off.
    pub no_heap_length: u64,
    /// Not the next packet of its heap, in in-order mode.
    pub out_of_order: u64,
    /// Received before, or of a heap that is complete already.
    pub duplicate: u64,
    /// Received before in part.
    pub overlap: u64,
    /// At odds with earlier packets of its heap about length or flavour.
    pub inconsistent: u64,
    /// Would break its heap into more pieces than are kept track of.
    pub too_fragmented: u64,
    /// Packets of `too_old_heaps`.
    pub too_old: u64,
    /// Packets of `rejected_heaps`.
    pub place_rejected: u64,
    /// Packets of `place_out_of_bounds_heaps`.
    pub place_out_of_bounds: u64,
    /// Packets of `jump_rejected_heaps`.
    pub jump_rejected: u64,
    /// Packets of `no_memory_heaps`.
    pub no_memory: u64,
    /// Packets of `too_many_items_heaps`.
    pub too_many_items: u64,
    /// Packets of `overflow_newest_heaps`.
    pub overflow_newest: u64,
    /// Packets from a sender that is not in the reader's `source_filter`.
    pub source_rejected: u64,
    /// Packets that came too late for a stream that had ended.
    pub after_stop: u64,
    /// Captured frames with a fragment of an IP packet.
    pub fragment: u64,
    /// Captured frames that carry no UDP datagram, or one whose lengths contradict each other.
    pub not_udp: u64,
    /// Datagrams that the kernel dropped because nobody fetched them in time. The kernel counts a bunch that it had
    /// coalesced (GRO) as one: then this is how many bunches there were, at least.
    pub kernel_drops: u64,
    /// Bytes of payload in complete heaps.
    pub bytes_delivered: u64,
    /// Chunks given to the consumer.
    pub chunks_ready: u64,
    /// Chunks with data that could not be given to the consumer at shutdown.
    pub chunks_undelivered: u64,
    /// Heaps that were received, but could not be given to the consumer at shutdown: complete ones in those chunks, or
    /// those for which the ring of heaps had no space left.
    pub heaps_undelivered: u64,
    /// Heaps given to the consumer, one by one: put on the ring of heaps, or passed to the heap callback. With them are
    /// the incomplete ones, if the stream delivers such.
    pub heaps_ready: u64,
    /// Of `heaps_ready`, those taken out of the ring again, where the overflow policy is to drop the oldest.
    pub overflow_oldest_heaps: u64,
    /// Connections accepted by TCP readers.
    pub connections: u64,
    /// Connections that TCP readers refused, as they were not from a sender in their `source_filter`.
    pub connections_rejected: u64,
    /// Bytes between packets that TCP readers skipped to find the next one.
    pub bytes_skipped: u64,
}

// SAFETY: a usize and u64s.
unsafe impl SizedStruct for aq_recv_stats {
    const NAME: &'static str = "aq_recv_stats";
    const FIRST_SIZE: usize = 8 * 66;
    const DEFAULT: Self = Self {
        struct_size: 0,
        ledger_closed: 0,
        heaps: 0,
        incomplete_heaps_evicted: 0,
        incomplete_heaps_flushed: 0,
        packets: 0,
        batches: 0,
        worker_blocked: 0,
        max_batch: 0,
        single_packet_heaps: 0,
        search_dist: 0,
        complete_heaps: 0,
        too_old_heaps: 0,
        rejected_heaps: 0,
        place_out_of_bounds_heaps: 0,
        jump_rejected_heaps: 0,
        after_stop_heaps: 0,
        no_memory_heaps: 0,
        too_many_items_heaps: 0,
        heap_too_large_heaps: 0,
        overflow_newest_heaps: 0,
        heaps_lost_start: 0,
        packets_delivered: 0,
        packets_incomplete: 0,
        packets_control: 0,
        packets_pending: 0,
        truncated: 0,
        malformed_too_short: 0,
        malformed_bad_magic: 0,
        malformed_bad_version: 0,
        malformed_bad_widths: 0,
        malformed_items_overflow: 0,
        malformed_no_heap_cnt: 0,
        malformed_no_payload_offset: 0,
        malformed_no_payload_length: 0,
        malformed_payload_overflow: 0,
        malformed_heap_overflow: 0,
        malformed_item_beyond_heap: 0,
        heap_too_large: 0,
        no_heap_length: 0,
        out_of_order: 0,
        duplicate: 0,
        overlap: 0,
        inconsistent: 0,
        too_fragmented: 0,
        too_old: 0,
        place_rejected: 0,
        place_out_of_bounds: 0,
        jump_rejected: 0,
        no_memory: 0,
        too_many_items: 0,
        overflow_newest: 0,
        source_rejected: 0,
        after_stop: 0,
        fragment: 0,
        not_udp: 0,
        kernel_drops: 0,
        bytes_delivered: 0,
        chunks_ready: 0,
        chunks_undelivered: 0,
        heaps_undelivered: 0,
        heaps_ready: 0,
        overflow_oldest_heaps: 0,
        connections: 0,
        connections_rejected: 0,
        bytes_skipped: 0,
    };
}

impl From<&Snapshot> for aq_recv_stats {
    fn from(s: &Snapshot) -> Self {
        Self {
            struct_size: 0,
            ledger_closed: s.ledger_closes().into(),
            heaps: s[Stat::Heaps],
            incomplete_heaps_evicted: s[Stat::IncompleteHeapsEvicted],
            incomplete_heaps_flushed: s[Stat::IncompleteHeapsFlushed],
            packets: s[Stat::Packets],
            batches: s[Stat::Batches],
            worker_blocked: s[Stat::WorkerBlocked],
            max_batch: s[Stat::MaxBatch],
            single_packet_heaps: s[Stat::SinglePacketHeaps],
            search_dist: s[Stat::SearchDist],
            complete_heaps: s[Stat::CompleteHeaps],
            too_old_heaps: s[Stat::TooOldHeaps],
            rejected_heaps: s[Stat::RejectedHeaps],
            place_out_of_bounds_heaps: s[Stat::OutOfBoundsHeaps],
            jump_rejected_heaps: s[Stat::JumpRejectedHeaps],
            after_stop_heaps: s[Stat::AfterStopHeaps],
            no_memory_heaps: s[Stat::NoMemoryHeaps],
            too_many_items_heaps: s[Stat::TooManyItemsHeaps],
            heap_too_large_heaps: s[Stat::TooLargeHeaps],
            overflow_newest_heaps: s[Stat::OverflowNewestHeaps],
            heaps_lost_start: s[Stat::HeapsLostStart],
            packets_delivered: s[Stat::PacketsDelivered],
            packets_incomplete: s[Stat::PacketsIncomplete],
            packets_control: s[Stat::PacketsControl],
            packets_pending: s[Stat::PacketsPending],
            truncated: s[Stat::Truncated],
            malformed_too_short: s[Stat::MalformedTooShort],
            malformed_bad_magic: s[Stat::MalformedBadMagic],
            malformed_bad_version: s[Stat::MalformedBadVersion],
            malformed_bad_widths: s[Stat::MalformedBadWidths],
            malformed_items_overflow: s[Stat::MalformedItemsOverflow],
            malformed_no_heap_cnt: s[Stat::MalformedNoHeapCnt],
            malformed_no_payload_offset: s[Stat::MalformedNoPayloadOffset],
            malformed_no_payload_length: s[Stat::MalformedNoPayloadLength],
            malformed_payload_overflow: s[Stat::MalformedPayloadOverflow],
            malformed_heap_overflow: s[Stat::MalformedHeapOverflow],
            malformed_item_beyond_heap: s[Stat::MalformedItemBeyondHeap],
            heap_too_large: s[Stat::HeapTooLarge],
            no_heap_length: s[Stat::Unsized],
            out_of_order: s[Stat::OutOfOrder],
            duplicate: s[Stat::Duplicate],
            overlap: s[Stat::Overlap],
            inconsistent: s[Stat::Inconsistent],
            too_fragmented: s[Stat::TooFragmented],
            too_old: s[Stat::PacketsTooOld],
            place_rejected: s[Stat::PacketsRejected],
            place_out_of_bounds: s[Stat::PacketsOutOfBounds],
            jump_rejected: s[Stat::PacketsJumpRejected],
            no_memory: s[Stat::PacketsNoMemory],
            too_many_items: s[Stat::PacketsTooManyItems],
            overflow_newest: s[Stat::PacketsOverflowNewest],
            source_rejected: s[Stat::SourceRejected],
            after_stop: s[Stat::PacketsAfterStop],
            fragment: s[Stat::Fragment],
            not_udp: s[Stat::NotUdp],
            kernel_drops: s[Stat::KernelDrops],
            bytes_delivered: s[Stat::BytesDelivered],
            chunks_ready: s[Stat::ChunksReady],
            chunks_undelivered: s[Stat::ChunksUndelivered],
            heaps_undelivered: s[Stat::HeapsUndelivered],
            heaps_ready: s[Stat::HeapsReady],
            overflow_oldest_heaps: s[Stat::OverflowOldestHeaps],
            connections: s[Stat::Connections],
            connections_rejected: s[Stat::ConnectionsRejected],
            bytes_skipped: s[Stat::BytesSkipped],
        }
    }
}

/// Writes zeros, and the struct's size, without which it cannot be filled.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stats_init(stats: *mut aq_recv_stats, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}
