//! Heaps and chunks in event buffers
//!
//! A whole heap or chunk can be put as one packet: a header that says what it is, then its bytes. So a recorder of heaps is a receiver, a buffer and a sink.

use super::chunk::{self, aq_chunk};
use super::event::{AQ_EVENT_MAX_SIZE, aq_event_buffer};
use super::event_put::put_outcome;
use super::guard::guard;
use super::handle;
use super::heap::{self, aq_heap};
use super::status::aq_status;
use super::wait::wait;
use crate::event::record;

/// What a chunk that was put begins with; see aq_event_buffer_put_chunk(). Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_record {
    /// The bytes "AQCH".
    pub magic: u32,
    /// 1.
    pub version: u16,
    /// Bytes of this header: 48.
    pub header_size: u16,
    /// The chunk's number.
    pub chunk_id: i64,
    /// The stream_id of its stream.
    pub stream_id: u64,
    /// Bytes of its data, which come first.
    pub data_size: u64,
    /// Bytes of its flags, which come next.
    pub present_size: u64,
    /// Bytes of its extra data, which come last.
    pub extra_size: u64,
}

/// What a heap that was put begins with; see aq_event_buffer_put_heap(). Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_heap_record {
    /// The bytes "AQHP".
    pub magic: u32,
    /// 1.
    pub version: u16,
    /// Bytes of this header: 64.
    pub header_size: u16,
    /// The heap's number.
    pub cnt: u64,
    /// The length that its packets told, in bytes; -1 if they did not.
    pub length: i64,
    /// Bytes of payload received.
    pub received: u64,
    /// When its first packet arrived, in nanoseconds since the Unix epoch; 0 if nobody told.
    pub first_arrival_ns: u64,
    /// The same of its last packet.
    pub last_arrival_ns: u64,
    /// Bytes of payload behind the items; 0 for an incomplete heap.
    pub payload_size: u64,
    /// How many aq_heap_record_item follow.
    pub n_items: u32,
    /// Bits of a heap address in its flavour.
    pub heap_address_bits: u8,
    /// 1 if all of its payload was received, else 0.
    pub complete: u8,
    /// 1 if it starts the stream, else 0.
    pub start_of_stream: u8,
    /// 1 if it ends the stream, else 0.
    pub end_of_stream: u8,
}

/// An item of a heap that was put. Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_heap_record_item {
    /// Its identifier.
    pub id: u64,
    /// The value of an immediate item; else where its bytes begin in the payload.
    pub value: u64,
    /// How many bytes those are; 0 for an immediate item.
    pub size: u32,
    /// 1: its bytes are in the payload; 0: it is immediate.
    pub addressed: u32,
}

const _: () = {
    assert!(size_of::<aq_chunk_record>() == record::CHUNK_HEADER);
    assert!(size_of::<aq_heap_record>() == record::HEAP_HEADER);
    assert!(size_of::<aq_heap_record_item>() == record::HEAP_ITEM);
    assert!(AQ_EVENT_MAX_SIZE == crate::event::frame::MAX_PACKET);
};

/// Puts a copy of a heap: an aq_heap_record, its aq_heap_record_items, and its payload. The heap stays the caller's.
///
/// An incomplete heap has no payload, and only its immediate items.
///
/// @param buffer the buffer
/// @param heap the heap
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return as for aq_event_buffer_put()
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_heap(
    buffer: *mut aq_event_buffer,
    heap: *const aq_heap,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: the caller's contract.
        let heap = unsafe { heap::held(heap) }?;
        let header = record::heap_header(heap);
        let parts = [&header[..], heap.payload().unwrap_or_default()];
        Ok(put_outcome(buffer.put_parts(&parts, wait(timeout_ns)?))?.0)
    })
}

/// Puts a copy of a chunk: an aq_chunk_record, its data, its flags, and its extra data. The chunk stays the caller's.
///
/// @param buffer the buffer
/// @param chunk the chunk, which the caller holds
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return as for aq_event_buffer_put(); AQ_E_STATE when the chunk is in a ring or a stream
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_chunk(
    buffer: *mut aq_event_buffer,
    chunk: *const aq_chunk,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: the caller's contract.
        let chunk = unsafe { chunk::held(chunk) }?;
        let header = record::chunk_header(chunk);
        // SAFETY: the caller holds the chunk, so that nobody writes to it; bytes of its memory, whatever they are.
        let [data, present, extra] =
            [&chunk.data, &chunk.present, &chunk.extra].map(|buffer| unsafe { buffer.as_slice() });
        Ok(put_outcome(buffer.put_parts(&[&header, data, present, extra], wait(timeout_ns)?))?.0)
    })
}
