//! Heaps
//!
//! A heap is what a stream of heaps hands out: a number, items, and a payload. It owns its memory and may outlive its
//! stream; it belongs to whoever got it, until aq_heap_free().
//!
//! Items are immediate (a number in the item pointer) or addressed (bytes of the payload). Descriptors among them say what
//! they mean: see Items. A heap of which something is missing has its immediate items only.
//!
//! All functions but aq_heap_free() only read: any number of threads may call them at the same time.

use std::sync::atomic::AtomicU64;

use super::guard::{Outcome, guard};
use super::pointer::Out;
use super::status::aq_status;
use crate::error::{Error, ErrorKind, Result};
use crate::recv::Arrival;
use crate::recv::heap::{Heap, HeapMark};
use crate::spead::Flavour;
use crate::spead::item::{Item, ItemValue};

/// A heap.
pub struct aq_heap {
    _opaque: [u8; 0],
}

/// Descriptors give shapes and formats in entries as wide as for SPEAD-64-40, whatever the flavour.
pub const AQ_BUG_COMPAT_DESCRIPTOR_WIDTHS: i32 = 1;
/// A variable dimension is marked by the value 2 of its first byte, not 1.
pub const AQ_BUG_COMPAT_SHAPE_BIT_1: i32 = 2;
/// Arrays described by numpy are in the opposite byte order.
pub const AQ_BUG_COMPAT_SWAP_ENDIAN: i32 = 4;
/// Scalars are sent by format, never as numpy describes.
pub const AQ_BUG_COMPAT_NO_SCALAR_NUMPY: i32 = 8;
/// All bugs of PySPEAD 0.5.2.
pub const AQ_BUG_COMPAT_PYSPEAD_0_5_2: i32 = 15;

/// How a heap's packets were written.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_flavour {
    /// Version of the protocol: 4.
    pub version: i32,
    /// Bits of an item pointer: 64.
    pub item_pointer_bits: i32,
    /// Bits of a heap address, or of an immediate value: 8, 16 .. 56.
    pub heap_address_bits: i32,
    /// The stream's bug_compat.
    pub bug_compat: i32,
}

/// An item as it stands in a heap; see Items for what it means.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_raw_item {
    /// Its identifier.
    pub id: u64,
    /// 1 if the item pointer itself held the value, else 0.
    pub is_immediate: i32,
    /// 0.
    pub reserved: i32,
    /// The value of an immediate item; else 0.
    pub value: u64,
    /// The bytes of an addressed item, valid as long as the heap; NULL for an immediate one.
    pub data: *const u8,
    /// Bytes at data.
    pub size: usize,
}

/// When a packet arrived.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_arrival {
    /// Nanoseconds since the Unix epoch (UTC).
    pub nanoseconds: u64,
    /// 1 if the network card took the time, 0 if the kernel did.
    pub is_hardware: i32,
    /// 0.
    pub reserved: i32,
}

/// A range of a heap's payload.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_range {
    /// Its first byte.
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
}

/// A heap on its way out to the caller.
pub(super) fn into_handle(heap: Box<Heap>) -> *mut aq_heap {
    heap.change_mark(HeapMark::Free, HeapMark::Held);
    Box::into_raw(heap).cast()
}

/// The heap of an argument.
///
/// # Safety
/// `pointer` is NULL, a heap that is not freed, or a handle of another kind.
pub(super) unsafe fn held<'a>(pointer: *const aq_heap) -> Result<&'a Heap> {
    let pointer = pointer.cast::<Heap>();
    if pointer.is_null() {
        return Err(Error::invalid("heap must not be NULL"));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid("heap: not an aq_heap"));
    }
    // SAFETY: the caller's promise; Heap and every handle begin with a 64-bit atomic, which is all that is looked at.
    match unsafe { Heap::mark_at(pointer.cast::<AtomicU64>()) } {
        // SAFETY: the mark says that it is a heap, and the caller's.
        Some(HeapMark::Held) => Ok(unsafe { &*pointer }),
        Some(HeapMark::Free) => Err(Error::invalid("heap: it is already freed")),
        None => Err(Error::invalid("heap: not an aq_heap")),
    }
}

fn raw_item(item: Item<'_>) -> aq_raw_item {
    let none = std::ptr::null();
    let (is_immediate, value, data, size) = match item.value {
        ItemValue::Immediate(value) => (1, value, none, 0),
        ItemValue::Addressed(bytes) => (0, 0, bytes.as_ptr(), bytes.len()),
    };
    aq_raw_item { id: item.id, is_immediate, reserved: 0, value, data, size }
}

pub(super) fn flavour(flavour: Flavour, bug_compat: u8) -> aq_flavour {
    aq_flavour {
        version: flavour.version.into(),
        item_pointer_bits: 64,
        heap_address_bits: flavour.heap_address_bits.into(),
        bug_compat: bug_compat.into(),
    }
}

/// The body of a function that answers one value about a heap.
///
/// # Safety
/// As for [`held`]; `out` is NULL or writable.
unsafe fn answer<T>(
    heap: *const aq_heap,
    out: *mut T,
    name: &str,
    value: impl FnOnce(&Heap) -> Result<T>,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let heap = unsafe { held(heap) }?;
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out, name) }?;
        out.write(value(heap)?);
        Ok(Outcome::Done)
    })
}

/// The heap's number.
///
/// @param heap the heap
/// @param cnt receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_cnt(heap: *const aq_heap, cnt: *mut u64) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, cnt, "cnt", |heap| Ok(heap.cnt())) }
}

/// How the heap's packets were written.
///
/// @param heap the heap
/// @param flavour receives it
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_flavour(heap: *const aq_heap, flavour: *mut aq_flavour) -> aq_status {
    let value = |heap: &Heap| Ok(self::flavour(heap.flavour(), heap.bug_compat()));
    // SAFETY: the caller's contract.
    unsafe { answer(heap, flavour, "flavour", value) }
}

/// Whether the heap says that the stream starts.
///
/// @param heap the heap
/// @param yes receives 1 or 0
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_is_start_of_stream(heap: *const aq_heap, yes: *mut i32) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, yes, "yes", |heap| Ok(heap.is_start_of_stream().into())) }
}

/// Whether the heap says that the stream ends. Such a heap is handed out only where stop_on_stop_item is 0.
///
/// @param heap the heap
/// @param yes receives 1 or 0
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_is_end_of_stream(heap: *const aq_heap, yes: *mut i32) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, yes, "yes", |heap| Ok(heap.is_end_of_stream().into())) }
}

/// Whether nothing of the heap is missing. Of a heap whose packets did not tell its length, that is as far as its payloads
/// and item pointers reach.
///
/// @param heap the heap
/// @param yes receives 1 or 0; always 1 with contiguous_only
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_is_complete(heap: *const aq_heap, yes: *mut i32) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, yes, "yes", |heap| Ok(heap.is_contiguous().into())) }
}

/// The length that the heap's packets told.
///
/// @param heap the heap
/// @param length receives the length in bytes; -1 if they told none
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_length(heap: *const aq_heap, length: *mut i64) -> aq_status {
    let value = |heap: &Heap| Ok(heap.length().map_or(-1, |length| length as i64));
    // SAFETY: the caller's contract.
    unsafe { answer(heap, length, "length", value) }
}

/// How much of the heap's payload was received.
///
/// @param heap the heap
/// @param length receives the number of bytes
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_received_length(heap: *const aq_heap, length: *mut u64) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, length, "length", |heap| Ok(heap.received_length())) }
}

/// How many ranges of an incomplete heap's payload are known to have been received.
///
/// @param heap the heap
/// @param count receives the number: 0 for a complete heap, and without incomplete_keep_payload_ranges
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_payload_range_count(heap: *const aq_heap, count: *mut usize) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, count, "count", |heap| Ok(heap.payload_ranges().len())) }
}

/// A range of an incomplete heap's payload that was received. Ranges are in ascending order and do not touch.
///
/// @param heap the heap
/// @param index 0 .. aq_heap_payload_range_count() - 1
/// @param range receives the range
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_payload_range(
    heap: *const aq_heap,
    index: usize,
    range: *mut aq_range,
) -> aq_status {
    let value = |heap: &Heap| {
        let ranges = heap.payload_ranges();
        let found = ranges.get(index).ok_or_else(|| beyond(index, ranges.len(), "payload ranges"))?;
        Ok(aq_range { start: found.start, end: found.end })
    };
    // SAFETY: the caller's contract.
    unsafe { answer(heap, range, "range", value) }
}

pub(super) fn beyond(index: usize, count: usize, what: &str) -> Error {
    let rule = format!("index must be below {count}, the number of {what}");
    Error::new(ErrorKind::NotFound, format!("{rule} (got {index})"))
}

/// The heap's payload.
///
/// @param heap the heap
/// @param data receives its address, valid as long as the heap. Of an incomplete heap, bytes outside of what was received are
///     of any content
/// @param size receives the number of bytes; may be NULL
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_payload(
    heap: *const aq_heap,
    data: *mut *const u8,
    size: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a heap by the caller's contract.
        let heap = unsafe { held(heap) }?;
        // SAFETY: NULL or writable by the caller's contract.
        let (data, size) = unsafe { (Out::new(data, "data")?, Out::optional(size, "size")?) };
        let (start, bytes) = heap.raw_payload();
        data.write(start.cast_const());
        if let Some(size) = size {
            size.write(bytes);
        }
        Ok(Outcome::Done)
    })
}

/// How many items the heap has. Items without bytes and padding are not among them; descriptors are.
///
/// @param heap the heap
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_item_count(heap: *const aq_heap, count: *mut usize) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(heap, count, "count", |heap| Ok(heap.items().count())) }
}

/// An item of the heap. Finding item after item takes time proportional to the index: for heaps of thousands of items use
/// aq_heap_items().
///
/// @param heap the heap
/// @param index 0 .. aq_heap_item_count() - 1
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_item(
    heap: *const aq_heap,
    index: usize,
    item: *mut aq_raw_item,
) -> aq_status {
    let value = |heap: &Heap| {
        let found = heap.items().nth(index).map(raw_item);
        found.ok_or_else(|| beyond(index, heap.items().count(), "items"))
    };
    // SAFETY: the caller's contract.
    unsafe { answer(heap, item, "item", value) }
}

/// All items of the heap, or as many as there is space for.
///
/// @param heap the heap
/// @param items an array that receives them; may be NULL if capacity is 0
/// @param capacity how many fit into the array
/// @param count receives how many the heap has, which may be more
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_items(
    heap: *const aq_heap,
    items: *mut aq_raw_item,
    capacity: usize,
    count: *mut usize,
) -> aq_status {
    let value = |heap: &Heap| {
        if capacity > 0 && (items.is_null() || !items.is_aligned()) {
            return Err(Error::invalid("items must not be NULL (nor misaligned) when capacity is not 0"));
        }
        let mut found = 0;
        for item in heap.items() {
            if found < capacity {
                // SAFETY: capacity elements may be written by the caller's contract.
                unsafe { items.add(found).write(raw_item(item)) };
            }
            found += 1;
        }
        Ok(found)
    };
    // SAFETY: the caller's contract.
    unsafe { answer(heap, count, "count", value) }
}

/// The first item of the heap with an identifier.
///
/// @param heap the heap
/// @param id the identifier
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_find_item(
    heap: *const aq_heap,
    id: u64,
    item: *mut aq_raw_item,
) -> aq_status {
    let value = |heap: &Heap| {
        let found = heap.items().find(|item| item.id == id).map(raw_item);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("id: the heap has no item {id:#x}")))
    };
    // SAFETY: the caller's contract.
    unsafe { answer(heap, item, "item", value) }
}

/// When the heap's first and last packet arrived, in the order of arrival. UDP and TCP readers tell that if they are asked to (`timestamps`),
/// captures always, other readers never.
///
/// @param heap the heap
/// @param first receives the time of the first; may be NULL
/// @param last receives the time of the last; may be NULL
/// @return AQ_OK; AQ_E_NOT_FOUND when the reader did not tell
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_arrival(
    heap: *const aq_heap,
    first: *mut aq_arrival,
    last: *mut aq_arrival,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a heap by the caller's contract.
        let heap = unsafe { held(heap) }?;
        // SAFETY: NULL or writable by the caller's contract.
        let outs = unsafe { [Out::optional(first, "first")?, Out::optional(last, "last")?] };
        for (out, arrival) in outs.into_iter().zip([heap.first_arrival(), heap.last_arrival()]) {
            let Some(Arrival { nanoseconds, hardware }) = arrival else {
                let reason = "heap: when its packets arrived is not known; no reader was asked to tell";
                return Err(Error::new(ErrorKind::NotFound, reason));
            };
            if let Some(out) = out {
                out.write(aq_arrival { nanoseconds, is_hardware: hardware.into(), reserved: 0 });
            }
        }
        Ok(Outcome::Done)
    })
}

/// Frees a heap.
///
/// @param heap the heap, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no heap, or freed already as far as that can be seen
///
/// Threads: no other call on this heap may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_free(heap: *mut aq_heap) -> aq_status {
    guard(|| {
        if heap.is_null() {
            return Ok(Outcome::Done);
        }
        // SAFETY: a heap, or a handle of another kind, by the caller's contract.
        if !unsafe { held(heap) }?.change_mark(HeapMark::Held, HeapMark::Free) {
            return Err(Error::invalid("heap: another thread is freeing it"));
        }
        // SAFETY: it is a heap of into_handle, and the change of mark makes sure that nobody else takes it.
        Heap::recycle(unsafe { Box::from_raw(heap.cast::<Heap>()) });
        Ok(Outcome::Done)
    })
}
