//! Heaps and chunks as packets of an event buffer: a header of fixed size, in little-endian byte order, and then their bytes as they are.
//!
//! The C header has both headers as structs, `aq_chunk_record` and `aq_heap_record`; docs/event-files.md describes them byte by byte.

use crate::chunk::Chunk;
use crate::recv::Arrival;
use crate::recv::heap::Heap;
use crate::spead::item::ItemValue;

/// What a chunk's header begins with: "AQCH".
pub const CHUNK_MAGIC: u32 = u32::from_le_bytes(*b"AQCH");
/// What a heap's header begins with: "AQHP".
pub const HEAP_MAGIC: u32 = u32::from_le_bytes(*b"AQHP");
/// The version of both.
const VERSION: u16 = 1;
/// Bytes of a chunk's header.
pub const CHUNK_HEADER: usize = 48;
/// Bytes of a heap's header.
pub const HEAP_HEADER: usize = 64;
/// Bytes of an item in it.
pub const HEAP_ITEM: usize = 24;

fn start(magic: u32, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(magic.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((size as u16).to_le_bytes());
    bytes
}

/// The header of a chunk, which is followed by `data`, `present` and `extra`.
pub fn chunk_header(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = start(CHUNK_MAGIC, CHUNK_HEADER);
    bytes.extend(chunk.id.to_le_bytes());
    bytes.extend(chunk.stream_id.to_le_bytes());
    for size in [chunk.data.len(), chunk.present.len(), chunk.extra.len()] {
        bytes.extend((size as u64).to_le_bytes());
    }
    debug_assert_eq!(bytes.len(), CHUNK_HEADER);
    bytes
}

/// The header of a heap with its items, which are followed by its payload if all of that was received. An incomplete heap has its immediate
/// items only.
pub fn heap_header(heap: &Heap) -> Vec<u8> {
    let mut bytes = start(HEAP_MAGIC, HEAP_HEADER);
    let payload = heap.payload();
    let time = |arrival: Option<Arrival>| arrival.map_or(0, |arrival| arrival.nanoseconds);
    let length = heap.length().map_or(-1, |length| i64::try_from(length).unwrap_or(i64::MAX));
    bytes.extend(heap.cnt().to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(heap.received_length().to_le_bytes());
    bytes.extend(time(heap.first_arrival()).to_le_bytes());
    bytes.extend(time(heap.last_arrival()).to_le_bytes());
    bytes.extend((payload.map_or(0, <[u8]>::len) as u64).to_le_bytes());
    bytes.extend((heap.items().count() as u32).to_le_bytes());
    bytes.push(heap.flavour().heap_address_bits);
    bytes.push(heap.is_contiguous().into());
    bytes.push(heap.is_start_of_stream().into());
    bytes.push(heap.is_end_of_stream().into());
    debug_assert_eq!(bytes.len(), HEAP_HEADER);
    for item in heap.items() {
        let (kind, value, size) = match item.value {
            ItemValue::Immediate(value) => (0u32, value, 0),
            ItemValue::Addressed(data) => {
                // An item's bytes are a part of the payload.
                let address = payload.map_or(0, |payload| data.as_ptr() as usize - payload.as_ptr() as usize);
                (1, address as u64, data.len())
            }
        };
        bytes.extend(item.id.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        // A heap is smaller than 4 GiB, or could not be put.
        bytes.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
    }
    bytes
}
