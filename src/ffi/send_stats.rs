//! Results and statistics of sending
//!
//! What came of a heap, and the ledger of a stream that sends. Every heap and every packet is in exactly one counter.

use super::guard::guard;
use super::sized::{self, SizedStruct};
use super::status::{self, AQ_OK, AQ_STOPPED, aq_status};
use crate::send::{End, HeapResult, SendStats};

/// What came of a heap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_result {
    /// Set by aq_send_result_init().
    pub struct_size: usize,
    /// What its submission answered, or counted on from that in a group.
    pub ticket: u64,
    /// Its number on the wire.
    pub cnt: u64,
    /// Where it went.
    pub substream: u64,
    /// Packets of it that were handed over: to the kernel, a queue or a file.
    pub packets_sent: u64,
    /// Packets of it that were not.
    pub packets_unsent: u64,
    /// Bytes of the packets that were handed over.
    pub bytes: u64,
    /// AQ_OK; AQ_STOPPED when it was given up, as the stream was stopped; or an error. aq_last_error() of the thread that is told has its message.
    pub status: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: numbers; two of 32 bits fill 8 bytes.
unsafe impl SizedStruct for aq_send_result {
    const NAME: &'static str = "aq_send_result";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        ticket: 0,
        cnt: 0,
        substream: 0,
        packets_sent: 0,
        packets_unsent: 0,
        bytes: 0,
        status: AQ_OK,
        reserved: 0,
    };
}

/// The ledger of a stream that sends. Initialise it with aq_send_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_stats {
    /// Set by aq_send_stats_init().
    pub struct_size: usize,
    /// 1 if the sums below hold, which is always so: heaps = heaps_sent + heaps_failed + heaps_cancelled + heaps_pending, and likewise for packets.
    pub ledger_closed: u64,
    /// Heaps that were taken into the queue.
    pub heaps: u64,
    /// Heaps all of whose packets were handed over without an error.
    pub heaps_sent: u64,
    /// Heaps with an error, whether or not some of their packets were handed over.
    pub heaps_failed: u64,
    /// Heaps that were given up: at a stop, or as aq_send_stream_send() waited no longer.
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
    /// How often news came that packets, handed over before, were not received: nobody listens.
    pub refused: u64,
    /// How often packets were handed over, many at a time.
    pub batches: u64,
    /// Submissions that found the queue full.
    pub queue_full: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_send_stats {
    const NAME: &'static str = "aq_send_stats";
    const FIRST_SIZE: usize = 128;
    const DEFAULT: Self = Self {
        struct_size: 0,
        ledger_closed: 0,
        heaps: 0,
        heaps_sent: 0,
        heaps_failed: 0,
        heaps_cancelled: 0,
        heaps_pending: 0,
        packets: 0,
        packets_sent: 0,
        packets_failed: 0,
        packets_cancelled: 0,
        packets_pending: 0,
        bytes_sent: 0,
        refused: 0,
        batches: 0,
        queue_full: 0,
    };
}

impl From<SendStats> for aq_send_stats {
    fn from(s: SendStats) -> Self {
        Self {
            struct_size: 0,
            ledger_closed: s.ledger_closes().into(),
            heaps: s.heaps,
            heaps_sent: s.heaps_sent,
            heaps_failed: s.heaps_failed,
            heaps_cancelled: s.heaps_cancelled,
            heaps_pending: s.heaps_pending,
            packets: s.packets,
            packets_sent: s.packets_sent,
            packets_failed: s.packets_failed,
            packets_cancelled: s.packets_cancelled,
            packets_pending: s.packets_pending,
            bytes_sent: s.bytes_sent,
            refused: s.refused,
            batches: s.batches,
            queue_full: s.queue_full,
        }
    }
}

/// What the caller is told, and the message that goes with it.
pub(super) fn result(heap: &HeapResult) -> aq_send_result {
    let status = match &heap.end {
        End::Sent => AQ_OK,
        End::Cancelled => AQ_STOPPED,
        End::Failed(error) => {
            status::set_last_error(error.message());
            status::of(error)
        }
    };
    aq_send_result {
        struct_size: size_of::<aq_send_result>(),
        ticket: heap.ticket,
        cnt: heap.cnt,
        substream: heap.substream as u64,
        packets_sent: heap.packets_sent,
        packets_unsent: heap.packets_unsent,
        bytes: heap.bytes,
        status,
        reserved: 0,
    }
}

/// Writes zeros, and the struct's size.
///
/// @param result the struct
/// @param struct_size sizeof *result
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_result_init(result: *mut aq_send_result, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(result, struct_size, "result") })
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stats_init(stats: *mut aq_send_stats, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}
