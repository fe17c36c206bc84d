//! Groups of items to send
//!
//! A group knows items by their descriptors and keeps their latest values, and makes heaps of what receivers do not know yet: descriptors and values that
//! are new or have changed, or all of them.
//!
//! ```c
//! aq_send_group_new(NULL, &group);
//! aq_send_group_add(group, &descriptor);                            // as often as there are items
//! for (;;) {
//!     aq_send_group_set(group, 0x1600, &timestamp, sizeof timestamp);
//!     aq_send_group_heap(group, NULL, &heap);                       // the descriptors are in the first one only
//!     aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL);
//!     aq_send_heap_free(heap);
//! }
//! ```

use std::ffi::c_void;

use parking_lot::Mutex;

use super::callback::{User, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::item::aq_descriptor;
use super::pointer::{Out, slice};
use super::send_heap::{aq_send_heap, bug_compat, descriptor, into_handle, lent};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::error::{Error, Result};
use crate::send::group::{Contents, Include, SendGroup};
use crate::send::heap::flavour;

/// Items to send.
pub struct aq_send_group {
    _opaque: [u8; 0],
}

impl Opaque for aq_send_group {
    const NAME: &'static str = "aq_send_group";
    type Inner = Mutex<SendGroup>;
}

/// Nothing.
pub const AQ_SEND_NONE: i32 = 0;
/// What is new or has changed since it was put into a heap.
pub const AQ_SEND_STALE: i32 = 1;
/// All that there is.
pub const AQ_SEND_ALL: i32 = 2;

/// How a group's heaps are written. Fill it with aq_send_group_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_group_config {
    /// Set by aq_send_group_config_init().
    pub struct_size: usize,
    /// Bits of a heap address, or of an immediate value: 8, 16 .. 56; 48 by default. Identifiers have 63 minus as many.
    pub heap_address_bits: i32,
    /// Which bugs of receivers to make up for: AQ_BUG_COMPAT_*; 0 (default) for none.
    pub bug_compat: i32,
}

// SAFETY: a usize and two 32-bit numbers; any bytes are valid.
unsafe impl SizedStruct for aq_send_group_config {
    const NAME: &'static str = "aq_send_group_config";
    const FIRST_SIZE: usize = 16;
    const DEFAULT: Self = Self { struct_size: 0, heap_address_bits: 48, bug_compat: 0 };
}

/// What goes into a heap. Fill it with aq_send_contents_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_contents {
    /// Set by aq_send_contents_init().
    pub struct_size: usize,
    /// Which descriptors: AQ_SEND_NONE, AQ_SEND_STALE (default) or AQ_SEND_ALL.
    pub descriptors: i32,
    /// Which values: AQ_SEND_NONE, AQ_SEND_STALE (default) or AQ_SEND_ALL.
    pub values: i32,
    /// 1: every packet has all item pointers; 0 (default).
    pub repeat_pointers: i32,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: i32,
}

// SAFETY: a usize and four 32-bit numbers; any bytes are valid.
unsafe impl SizedStruct for aq_send_contents {
    const NAME: &'static str = "aq_send_contents";
    const FIRST_SIZE: usize = 24;
    const DEFAULT: Self = Self {
        struct_size: 0,
        descriptors: AQ_SEND_STALE,
        values: AQ_SEND_STALE,
        repeat_pointers: 0,
        reserved: 0,
    };
}

fn include(value: i32, name: &str) -> Result<Include> {
    match value {
        AQ_SEND_NONE => Ok(Include::None),
        AQ_SEND_STALE => Ok(Include::Stale),
        AQ_SEND_ALL => Ok(Include::All),
        _ => {
            let rule = format!("contents: {name} must be AQ_SEND_NONE, AQ_SEND_STALE or AQ_SEND_ALL");
            Err(Error::invalid(format!("{rule} (got {value})")))
        }
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
pub unsafe extern "C" fn aq_send_group_config_init(
    config: *mut aq_send_group_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Writes the defaults.
///
/// @param contents the struct
/// @param struct_size sizeof *contents
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_contents_init(
    contents: *mut aq_send_contents,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(contents, struct_size, "contents") })
}

/// Makes a group without items.
///
/// @param config how its heaps are written; NULL for the defaults
/// @param out receives the group; free it with aq_send_group_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_new(
    config: *const aq_send_group_config,
    out: *mut *mut aq_send_group,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let group = SendGroup::new(flavour(c.heap_address_bits.into())?, bug_compat(c.bug_compat)?);
        out.write(handle::new(Mutex::new(group)));
        Ok(Outcome::Done)
    })
}

/// Adds an item, without a value. One with the same identifier is described anew, and its value is gone.
///
/// @param group the group
/// @param descriptor id, name, description, shape, order, and a dtype or a format; copied. native_dtype is not looked at.
/// @return AQ_OK; AQ_E_INVALID when it does not fit in the flavour, has the name of another item, or a receiver could make nothing of it; AQ_E_FORMAT when
///     the dtype or format is none
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_add(
    group: *mut aq_send_group,
    descriptor: *const aq_descriptor,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: the caller's contract.
        let described = unsafe { self::descriptor(descriptor) }?;
        let old = group.lock().add(described)?;
        drop(old);
        Ok(Outcome::Done)
    })
}

/// Sets an item's value, as a receiver's item group gives it out: elements back to back, in this machine's byte order; those of a format each in the
/// smallest type that holds it (12 bits in 16). A value of a fixed size that fits goes into the item pointer. It counts as changed, whatever it was before.
///
/// @param group the group
/// @param id the item's identifier
/// @param data the elements; copied
/// @param size bytes at data: just those of the shape; or a multiple of those without the variable dimension, which then follows from it
/// @return AQ_OK; AQ_E_INVALID when the size is not that; AQ_E_NOT_FOUND
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_set(
    group: *mut aq_send_group,
    id: u64,
    data: *const c_void,
    size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: NULL or that many bytes by the caller's contract.
        let elements = unsafe { slice(data.cast::<u8>(), size, "data") }?;
        // The old value is dropped without the lock: its release may come back here.
        let old = group.lock().set(id, elements)?;
        drop(old);
        Ok(Outcome::Done)
    })
}

/// Sets an item's value to bytes by reference, as for aq_send_heap_add_item(): as they stand on the wire, and not copied. Their size is not checked.
///
/// @param group the group
/// @param id the item's identifier
/// @param data the bytes, which must not change until they are released
/// @param size bytes at data
/// @param user what user_free is called with
/// @param user_free called once, when neither the group nor a heap nor a stream needs the bytes any more, from any thread; or NULL. Also called when
///     this call fails.
/// @return AQ_OK; AQ_E_INVALID; AQ_E_NOT_FOUND
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_set_reference(
    group: *mut aq_send_group,
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
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: the caller's contract.
        let bytes = unsafe { lent(data, size, user) }?;
        let old = group.lock().set_wire(id, bytes.clone())?;
        drop(old);
        Ok(Outcome::Done)
    })
}

/// Makes a heap, and takes what is in it as known to receivers from now on. More can be added to it, such as a control item.
///
/// @param group the group
/// @param contents what goes into it; NULL for descriptors and values that are new or have changed
/// @param out receives the heap; free it with aq_send_heap_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_heap(
    group: *mut aq_send_group,
    contents: *const aq_send_contents,
    out: *mut *mut aq_send_heap,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(contents, "contents") }?;
        sized::reserved(c.reserved, "contents: reserved")?;
        let contents = Contents {
            descriptors: include(c.descriptors, "descriptors")?,
            values: include(c.values, "values")?,
            repeat_pointers: sized::flag(c.repeat_pointers, "contents: repeat_pointers")?,
        };
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let heap = group.lock().heap(contents)?;
        out.write(into_handle(heap));
        Ok(Outcome::Done)
    })
}

/// Frees a group. Its heaps are not touched.
///
/// @param group the group, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this group may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_group_free(group: *mut aq_send_group) -> aq_status {
    // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
    guard(|| unsafe { handle::free(group, "group") })
}
