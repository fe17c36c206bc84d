//! Copies
//!
//! How a stream copies payloads to where they belong: by one of its own methods, or by a function of the program, which
//! may scatter them.

use std::ffi::c_void;

use super::callback::Callback;
use crate::error::{Error, Result};
use crate::memory::CopyMethod;
use crate::recv::{PacketCopy, Room};
use crate::spead::Packet;

/// Through the caches.
pub const AQ_MEMCPY_STD: i32 = 0;
/// Past the caches, where the processor can (AVX-512 or AVX2, chosen at run time): faster for large heaps that are not used
/// soon after.
pub const AQ_MEMCPY_NONTEMPORAL: i32 = 1;

/// A packet, as a packet copy function sees it. It may get more fields at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_packet {
    /// All of the packet: header, item pointers, payload.
    pub data: *const u8,
    /// Bytes at data.
    pub size: usize,
    /// Its payload, inside data.
    pub payload: *const u8,
    /// Bytes at payload.
    pub payload_length: u64,
    /// Where in the heap the payload starts, in bytes.
    pub payload_offset: u64,
    /// The heap's number.
    pub heap_cnt: u64,
    /// The heap's length in bytes; -1 if the packet does not tell.
    pub heap_length: i64,
    /// Bits of heap address in an item pointer: 8, 16 .. 56; the flavour is SPEAD-64-XX.
    pub heap_address_bits: i32,
    /// 0.
    pub reserved: i32,
}

/// Copies the payload of a packet. It replaces memcpy(heap + packet->payload_offset, packet->payload, packet->payload_length).
///
/// @param heap where the heap's first byte goes: its own memory, or the place of the heap in its chunk
/// @param heap_size bytes at heap that may be written; the payload fits in at its offset
/// @param packet the packet
/// @param packet_size sizeof *packet in the library that calls, which may be newer and have more fields at its end
/// @param user the stream's packet_copy_user
///
/// Of a heap that is not in a chunk, all bytes must have been written when all its packets have been copied.
///
/// - called from: the stream's worker thread, once per packet that is accepted
/// - may block: no; every microsecond is lost to the stream
/// - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
/// - valid until: heap and packet are valid until it returns
/// - on error: there is no way to report one; count it in a statistic of the program's own
pub type aq_packet_copy_fn = Option<
    unsafe extern "C" fn(
        heap: *mut u8,
        heap_size: usize,
        packet: *const aq_packet,
        packet_size: usize,
        user: *mut c_void,
    ),
>;

type CopyFunction = unsafe extern "C" fn(*mut u8, usize, *const aq_packet, usize, *mut c_void);

/// A packet copy function written in C.
pub(super) struct CPacketCopy(pub(super) Callback<CopyFunction>);

// SAFETY: what the header demands of the function is what the trait demands.
unsafe impl PacketCopy for CPacketCopy {
    fn copy(&self, room: Room, packet: &Packet<'_>) {
        let payload = packet.payload();
        let view = aq_packet {
            data: packet.bytes().as_ptr(),
            size: packet.bytes().len(),
            payload: payload.as_ptr(),
            payload_length: payload.len() as u64,
            payload_offset: packet.payload_offset(),
            heap_cnt: packet.heap_cnt(),
            // A heap length has at most 56 bits.
            heap_length: packet.heap_length().map_or(-1, |length| length as i64),
            heap_address_bits: packet.flavour().heap_address_bits.into(),
            reserved: 0,
        };
        let Callback { function, user } = &self.0;
        // SAFETY: the maker of the stream promised a function of this contract; all pointers are valid for the call.
        unsafe { function(room.base.as_ptr(), room.size, &view, size_of_val(&view), user.pointer()) }
    }
}

/// The method behind AQ_MEMCPY_*.
pub(super) fn method(value: i32) -> Result<CopyMethod> {
    match value {
        AQ_MEMCPY_STD => Ok(CopyMethod::Std),
        AQ_MEMCPY_NONTEMPORAL => Ok(CopyMethod::NonTemporal),
        _ => {
            let rule = "memcpy must be AQ_MEMCPY_STD or AQ_MEMCPY_NONTEMPORAL";
            Err(Error::invalid(format!("{rule} (got {value})")))
        }
    }
}
