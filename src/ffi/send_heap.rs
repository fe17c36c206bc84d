//! Heaps to send
//!
//! A heap to send has items: numbers that stand in the item pointer (immediate), and bytes. Bytes can be lent to the heap without a copy: they must
//! neither change nor go until they are released. A heap may be sent any number of times, to several streams at once; while it is queued it cannot
//! be changed (AQ_E_STATE), but it may be freed: the stream keeps what it needs.
//!
//! ```c
//! aq_send_heap_new(NULL, &heap);                                    // SPEAD-64-48
//! aq_send_heap_add_immediate(heap, 0x1600, timestamp);
//! aq_send_heap_add_item(heap, 0x4300, samples, size, buffer, buffer_release);   // by reference
//! aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL);
//! aq_send_heap_free(heap);
//! ```

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use parking_lot::Mutex;

use super::callback::{User, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::item::{AQ_ORDER_C, AQ_ORDER_F, aq_descriptor};
use super::pointer::{Out, slice};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Buffer;
use crate::send::heap::flavour;
use crate::send::packets::Packets;
use crate::send::{Bytes, SendHeap, SendValue};
use crate::spead::descriptor::{Descriptor, Layout};
use crate::spead::dtype::Dtype;
use crate::spead::format::Entry;

/// A heap to send.
pub struct aq_send_heap {
    _opaque: [u8; 0],
}

impl Opaque for aq_send_heap {
    const NAME: &'static str = "aq_send_heap";
    type Inner = Mutex<Arc<SendHeap>>;
}

/// Control item: the stream starts.
pub const AQ_SEND_CONTROL_START: i32 = 0;
/// Control item: descriptors are sent again.
pub const AQ_SEND_CONTROL_REISSUE: i32 = 1;
/// Control item: the stream ends with this heap.
pub const AQ_SEND_CONTROL_STOP: i32 = 2;
/// Control item: descriptors have changed.
pub const AQ_SEND_CONTROL_UPDATE: i32 = 3;

/// How a heap's packets are written. Fill it with aq_send_heap_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_heap_config {
    /// Set by aq_send_heap_config_init().
    pub struct_size: usize,
    /// Bits of a heap address, or of an immediate value: 8, 16 .. 56; 48 by default. Identifiers have 63 minus as many.
    pub heap_address_bits: i32,
    /// 1: every packet has all item pointers, so that a receiver knows the immediate items whichever packets it gets; 0 (default): each pointer is in
    /// one packet.
    pub repeat_pointers: i32,
}

// SAFETY: a usize and two 32-bit numbers; any bytes are valid.
unsafe impl SizedStruct for aq_send_heap_config {
    const NAME: &'static str = "aq_send_heap_config";
    const FIRST_SIZE: usize = 16;
    const DEFAULT: Self = Self { struct_size: 0, heap_address_bits: 48, repeat_pointers: 0 };
}

/// A heap that is ready, on its way out to the caller.
pub(super) fn into_handle(heap: SendHeap) -> *mut aq_send_heap {
    handle::new(Mutex::new(Arc::new(heap)))
}

/// Changes a heap that is not queued.
fn change(heap: &Mutex<Arc<SendHeap>>, change: impl FnOnce(&mut SendHeap) -> Result<()>) -> Result<Outcome> {
    let mut shared = heap.lock();
    let heap = Arc::get_mut(&mut shared)
        .ok_or_else(|| Error::state("heap: it is queued, and cannot be changed before it is sent"))?;
    change(heap)?;
    Ok(Outcome::Done)
}

/// Refers to memory of the caller until the last reference is gone; then `user_free` runs.
///
/// # Safety
/// `data` is NULL or has `size` bytes that do not change until then; `user_free` may be called once with `user`, from any thread.
pub(super) unsafe fn lent(data: *const u8, size: usize, user: User) -> Result<Bytes> {
    // SAFETY: the caller's promise.
    unsafe { slice(data, size, "data") }?;
    let Some(start) = NonNull::new(data.cast_mut()).filter(|_| size > 0) else {
        drop(user);
        return Ok(Bytes::from(Vec::new()));
    };
    // SAFETY: the caller's promise; that the bytes are only read is that of Bytes.
    Ok(unsafe { Bytes::lent(Buffer::from_raw(start, size, move || drop(user))) })
}

/// The descriptor of an argument.
///
/// # Safety
/// `pointer` is NULL or a struct of its struct_size, and what it points to is as it says.
pub(super) unsafe fn descriptor(pointer: *const aq_descriptor) -> Result<Descriptor> {
    // SAFETY: the caller's promise.
    let d = unsafe { sized::read(pointer, "descriptor") }?;
    sized::reserved(d.reserved, "descriptor: reserved")?;
    // SAFETY: NULL or C texts by the caller's promise.
    let (name, description, dtype) = unsafe {
        let name = text::required(d.name, "descriptor: name")?;
        let description = text::optional(d.description, "descriptor: description")?.unwrap_or_default();
        (name, description, text::optional(d.dtype, "descriptor: dtype")?)
    };
    // SAFETY: NULL or arrays of these lengths by the caller's promise.
    let (format, sizes) = unsafe {
        (slice(d.format, d.n_format, "descriptor: format")?, slice(d.shape, d.n_dims, "descriptor: shape")?)
    };
    let size = |&size: &i64| match size {
        -1 => Ok(None),
        _ => usize::try_from(size).map(Some).map_err(|_| {
            Error::invalid(format!("descriptor: a size in shape must be -1 or at least 0 (got {size})"))
        }),
    };
    let shape = sizes.iter().map(size).collect::<Result<_>>()?;
    let fortran_order = match d.order {
        AQ_ORDER_C => false,
        AQ_ORDER_F => true,
        order => {
            return Err(Error::invalid(format!("descriptor: order must be one of AQ_ORDER_* (got {order})")));
        }
    };
    let layout = match (dtype, format) {
        (Some(dtype), []) => {
            let dtype = match dtype.starts_with('[') {
                true => Dtype::parse_fields(dtype)?,
                false => Dtype::parse_scalar(dtype)?,
            };
            Layout::Numpy { dtype, fortran_order }
        }
        (Some(_), _) => return Err(Error::invalid("descriptor: only one of dtype and format may be set")),
        (None, format) if !fortran_order => {
            let entry = |entry: &super::item::aq_format_entry| {
                let (letter, bits) = (u8::try_from(entry.letter), u64::try_from(entry.bits));
                Entry::new(letter.unwrap_or(0), bits.unwrap_or(0))
            };
            Layout::Packed(format.iter().map(entry).collect::<Result<_>>()?)
        }
        (None, _) => return Err(Error::invalid("descriptor: AQ_ORDER_F needs a dtype, not a format")),
    };
    Descriptor::new(d.id, name, description, shape, layout)
}

/// bug_compat as an argument.
pub(super) fn bug_compat(value: i32) -> Result<u8> {
    match u8::try_from(value) {
        Ok(value @ 0..=15) => Ok(value),
        _ => Err(Error::invalid(format!("bug_compat must be between 0 and 15 (got {value})"))),
    }
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_config_init(
    config: *mut aq_send_heap_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes a heap without items.
///
/// @param config how its packets are written; NULL for the defaults
/// @param out receives the heap; free it with aq_send_heap_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_new(
    config: *const aq_send_heap_config,
    out: *mut *mut aq_send_heap,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let repeat_pointers = sized::flag(c.repeat_pointers, "config: repeat_pointers")?;
        out.write(into_handle(SendHeap::new(flavour(c.heap_address_bits.into())?, repeat_pointers)));
        Ok(Outcome::Done)
    })
}

/// Adds a number that stands in the item pointer.
///
/// @param heap the heap
/// @param id the item's identifier
/// @param value less than 2^heap_address_bits
/// @return AQ_OK; AQ_E_INVALID when id or value is too large for the flavour, or id is one of those that describe packets (1 .. 4);
///     AQ_E_STATE while the heap is queued
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_add_immediate(
    heap: *mut aq_send_heap,
    id: u64,
    value: u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        change(&heap, |heap| heap.add(id, SendValue::Immediate(value)))
    })
}

/// Adds bytes by reference. They are not copied, neither here nor when packets are made: the kernel takes them from there.
///
/// @param heap the heap
/// @param id the item's identifier
/// @param data the bytes as they stand on the wire: big-endian for a format, as described for a dtype. They must not change until they are released. Receivers
///     do not see an item without any bytes.
/// @param size bytes at data
/// @param user what user_free is called with
/// @param user_free called once, when neither the heap nor a stream needs the bytes any more, from any thread; or NULL. Also called when this call
///     fails.
/// @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_add_item(
    heap: *mut aq_send_heap,
    id: u64,
    data: *const u8,
    size: usize,
    user: *mut c_void,
    user_free: aq_user_free_fn,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's contract.
        let user = unsafe { User::new(user, user_free) };
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        // SAFETY: the caller's contract.
        let bytes = unsafe { lent(data, size, user) }?;
        // `bytes` goes last, without the heap's lock: what releases them may come back here.
        change(&heap, |heap| heap.add(id, SendValue::Addressed(bytes.clone())))
    })
}

/// Adds a copy of bytes.
///
/// @param heap the heap
/// @param id the item's identifier
/// @param data the bytes, as for aq_send_heap_add_item(); copied
/// @param size bytes at data
/// @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_add_copy(
    heap: *mut aq_send_heap,
    id: u64,
    data: *const u8,
    size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        // SAFETY: NULL or that many bytes by the caller's contract.
        let bytes = unsafe { slice(data, size, "data") }?;
        change(&heap, |heap| heap.add(id, SendValue::Addressed(bytes.into())))
    })
}

/// Adds the description of an item, for receivers that do not know it. aq_send_group describes items by itself.
///
/// @param heap the heap
/// @param descriptor id, name, description, shape, order, and a dtype or a format; copied. native_dtype is not looked at.
/// @param bug_compat which bugs of receivers to make up for: AQ_BUG_COMPAT_*; 0 for none
/// @return AQ_OK; AQ_E_INVALID; AQ_E_FORMAT when the dtype or format is none; AQ_E_STATE while the heap is queued
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_add_descriptor(
    heap: *mut aq_send_heap,
    descriptor: *const aq_descriptor,
    bug_compat: i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        // SAFETY: the caller's contract.
        let described = unsafe { self::descriptor(descriptor) }?;
        let bugs = self::bug_compat(bug_compat)?;
        change(&heap, |heap| heap.add_descriptor(described.to_bytes(heap.flavour(), bugs)?))
    })
}

/// Adds a message to the receiver about the stream.
///
/// @param heap the heap
/// @param control one of AQ_SEND_CONTROL_*
/// @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_add_control(heap: *mut aq_send_heap, control: i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        let value = match control {
            AQ_SEND_CONTROL_START..=AQ_SEND_CONTROL_UPDATE => control as u64,
            _ => {
                let rule = "control must be one of AQ_SEND_CONTROL_*";
                return Err(Error::invalid(format!("{rule} (got {control})")));
            }
        };
        change(&heap, |heap| heap.add_control(value))
    })
}

/// Writes a heap's packets, one behind the other, without a stream: for tests, and for transports of the program's own.
///
/// @param heap the heap
/// @param cnt its number: less than 2^heap_address_bits
/// @param max_packet_size bytes that a packet may have: 56 .. 524288
/// @param buffer receives the packets; NULL when capacity is 0
/// @param capacity bytes at buffer
/// @param size receives how many bytes all packets take, also when they do not fit
/// @return AQ_OK; AQ_E_TRUNCATED when capacity is less than that; AQ_E_INVALID
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_encode(
    heap: *const aq_send_heap,
    cnt: u64,
    max_packet_size: usize,
    buffer: *mut u8,
    capacity: usize,
    size: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let heap = unsafe { handle::borrow(heap, "heap") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(size, "size") }?;
        let heap = heap.lock().clone();
        let bits = heap.flavour().heap_address_bits;
        if cnt >> bits != 0 {
            let flavour = heap.flavour();
            return Err(Error::invalid(format!(
                "cnt must be less than 2^{bits} in {flavour} (got {cnt:#x})"
            )));
        }
        let packets = Packets::new(&heap, max_packet_size)?;
        let needed = usize::try_from(packets.total_size()).unwrap_or(usize::MAX);
        if buffer.is_null() && capacity > 0 {
            return Err(Error::invalid(format!("buffer must not be NULL when its capacity is {capacity}")));
        }
        out.write(needed);
        if needed > capacity {
            let rule = format!("capacity must be at least {needed}, which the packets take (got {capacity})");
            return Err(Error::new(ErrorKind::Truncated, rule));
        }
        let (mut packet, mut at) = (Vec::new(), 0);
        for index in 0..packets.count() {
            packet.clear();
            packets.write(&heap, index, cnt, &mut packet);
            // SAFETY: all packets take `needed` bytes, and the buffer has as many by the caller's contract.
            unsafe { buffer.add(at).copy_from_nonoverlapping(packet.as_ptr(), packet.len()) };
            at += packet.len();
        }
        Ok(Outcome::Done)
    })
}

/// Frees a heap. What is queued of it is still sent, and bytes that were lent are released after that.
///
/// @param heap the heap, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this heap may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_heap_free(heap: *mut aq_send_heap) -> aq_status {
    // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
    guard(|| unsafe { handle::free(heap, "heap") })
}
