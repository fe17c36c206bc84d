//! Item groups
//!
//! An item group keeps what a stream's heaps have told: the items that they describe, and the latest value of each. Feed it every heap,
//! in order:
//!
//! ```c
//! aq_item item;
//! aq_item_init(&item, sizeof item);
//! while (aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap) == AQ_OK) {
//!     if (aq_item_group_update(group, heap) != AQ_OK)
//!         fprintf(stderr, "%s\n", aq_last_error());
//!     aq_heap_free(heap);
//!     if (aq_item_group_find_name(group, "temperature", &item) == AQ_OK && item.changed)
//!         use(item.data, item.size);
//! }
//! ```

use std::ffi::{CString, c_char};

use parking_lot::Mutex;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::heap::{aq_heap, beyond, held};
use super::item::{DescriptorView, View, aq_descriptor, aq_item};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::{self, aq_status};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::recv::heap::Heap;
use crate::spead::descriptor::{Broken, Descriptor};
use crate::spead::group::{GroupItem, GroupLimits, ItemGroup};
use crate::spead::id;
use crate::spead::item::ItemValue;

/// An item group.
pub struct aq_item_group {
    _opaque: [u8; 0],
}

impl Opaque for aq_item_group {
    const NAME: &'static str = "aq_item_group";
    type Inner = Mutex<Group>;
}

/// The group, what C's structs point to, and what came of the last update.
#[derive(Default)]
pub struct Group {
    items: ItemGroup,
    /// By index, since the last update.
    views: Vec<Option<Box<View>>>,
    changed: Vec<usize>,
    errors: Vec<(u64, aq_status, CString)>,
}

/// What a group may hold, whatever its sender sends.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_item_group_config {
    /// Set by aq_item_group_config_init().
    pub struct_size: usize,
    /// Items, at least 1; 65536 by default. Further ones are errors of an update (AQ_E_NOMEM).
    pub max_items: usize,
    /// Bytes of all values, names and descriptions together; 2^32 by default. What is beyond is an error of an update (AQ_E_NOMEM).
    pub max_bytes: usize,
}

// SAFETY: integers of one size.
unsafe impl SizedStruct for aq_item_group_config {
    const NAME: &'static str = "aq_item_group_config";
    const FIRST_SIZE: usize = 24;
    const DEFAULT: Self = Self { struct_size: 0, max_items: 65_536, max_bytes: 1 << 32 };
}

/// What went wrong with one item.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_item_error {
    /// The item's identifier; 0 if a descriptor did not tell one.
    pub id: u64,
    /// AQ_E_FORMAT or AQ_E_NOMEM.
    pub status: aq_status,
    /// 0.
    pub reserved: i32,
    /// A sentence; valid until the group's next update or its end.
    pub message: *const c_char,
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_config_init(
    config: *mut aq_item_group_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes an item group that knows nothing.
///
/// @param config its limits; NULL for the defaults
/// @param out receives the group; free it with aq_item_group_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_new(
    config: *const aq_item_group_config,
    out: *mut *mut aq_item_group,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        if c.max_items == 0 {
            return Err(Error::invalid("max_items must be at least 1 (got 0)"));
        }
        let limits = GroupLimits { max_items: c.max_items, max_bytes: c.max_bytes };
        out.write(handle::new(Mutex::new(Group { items: ItemGroup::new(limits), ..Group::default() })));
        Ok(Outcome::Done)
    })
}

/// Takes over what a heap has to say: first its descriptors, then the values of all items that are described. A descriptor that says the
/// same again changes nothing; one that says something else of an item, or gives its name to another, replaces it, and its value is
/// gone. Items without a descriptor are left alone; see aq_heap_item() for those. A descriptor without an identifier is ignored.
///
/// An item whose description or value is wrong stays as it was; all others are updated. aq_item_group_error() tells about each.
///
/// @param group the group
/// @param heap a complete heap; nothing of it is needed afterwards
/// @return AQ_OK; AQ_E_FORMAT (or AQ_E_NOMEM) when something is wrong with an item: aq_last_error() tells about the first, and all
///     others are updated; AQ_E_INVALID when the heap is incomplete
///
/// Threads: any, but what the group's items point to must not be in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_update(group: *mut aq_item_group, heap: *const aq_heap) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: NULL or a heap by the caller's contract.
        let heap = unsafe { held(heap) }?;
        if !heap.is_contiguous() {
            return Err(Error::invalid(format!("heap: it is incomplete (heap {})", heap.cnt())));
        }
        let mut group = group.lock();
        group.views.clear();
        let update = group.items.update(heap.items(), heap.flavour(), heap.bug_compat());
        group.changed = update.changed;
        let message = |error: &Error| CString::new(error.message()).unwrap_or_default();
        let kept = update.errors.iter().map(|e| (e.id.unwrap_or(0), status::of(&e.error), message(&e.error)));
        group.errors = kept.collect();
        match update.errors.into_iter().next() {
            Some(first) => Err(first.error),
            None => Ok(Outcome::Done),
        }
    })
}

impl Group {
    /// The struct for an item.
    fn item(&mut self, index: usize) -> Result<Option<aq_item>> {
        if self.views.len() < self.items.len() {
            self.views.resize_with(self.items.len(), || None);
        }
        let (Some(item), Some(view)) = (self.items.get(index), self.views.get_mut(index)) else {
            return Ok(None);
        };
        let GroupItem { descriptor, value, version, changed } = item;
        let view = match view {
            Some(view) => view,
            empty => empty.insert(Box::new(View::new(descriptor, value.as_ref())?)),
        };
        Ok(Some(view.item(descriptor, value.as_ref(), *version, *changed)))
    }
}

/// The body of a function that answers an item.
///
/// # Safety
/// The contracts of the arguments.
unsafe fn answer(
    group: *mut aq_item_group,
    item: *mut aq_item,
    find: impl FnOnce(&Group) -> Result<usize>,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let group = unsafe { handle::borrow(group, "group") }?;
        let mut group = group.lock();
        let index = find(&group)?;
        let found = group.item(index)?.ok_or_else(|| beyond(index, group.items.len(), "items"))?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(item, &found, "item") }
    })
}

/// The body of a function that answers a number.
///
/// # Safety
/// The contracts of the arguments.
unsafe fn count(group: *mut aq_item_group, out: *mut usize, of: impl FnOnce(&Group) -> usize) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out, "count") }?;
        out.write(of(&group.lock()));
        Ok(Outcome::Done)
    })
}

/// How many items the group knows.
///
/// @param group the group
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_count(group: *mut aq_item_group, count: *mut usize) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { self::count(group, count, |group| group.items.len()) }
}

/// An item of the group. Items keep their indices until an update replaces one.
///
/// @param group the group
/// @param index 0 .. aq_item_group_count() - 1
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any, but aq_item_group_update() ends what the item points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_at(
    group: *mut aq_item_group,
    index: usize,
    item: *mut aq_item,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(group, item, |_| Ok(index)) }
}

/// The item with an identifier.
///
/// @param group the group
/// @param id the identifier
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any, but aq_item_group_update() ends what the item points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_find_id(
    group: *mut aq_item_group,
    id: u64,
    item: *mut aq_item,
) -> aq_status {
    let find = |group: &Group| {
        let missing = || Error::new(ErrorKind::NotFound, format!("id: the group has no item {id:#x}"));
        group.items.index_of_id(id).ok_or_else(missing)
    };
    // SAFETY: the caller's contract.
    unsafe { answer(group, item, find) }
}

/// The item with a name.
///
/// @param group the group
/// @param name the name
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any, but aq_item_group_update() ends what the item points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_find_name(
    group: *mut aq_item_group,
    name: *const c_char,
    item: *mut aq_item,
) -> aq_status {
    let find = |group: &Group| {
        // SAFETY: NULL or a C text by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        let missing = || Error::new(ErrorKind::NotFound, format!("name: the group has no item {name:?}"));
        group.items.index_of_name(name).ok_or_else(missing)
    };
    // SAFETY: the caller's contract.
    unsafe { answer(group, item, find) }
}

/// How many items the last update brought a value for.
///
/// @param group the group
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_changed_count(
    group: *mut aq_item_group,
    count: *mut usize,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { self::count(group, count, |group| group.changed.len()) }
}

/// An item that the last update brought a value for.
///
/// @param group the group
/// @param index 0 .. aq_item_group_changed_count() - 1
/// @param item receives the item
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any, but aq_item_group_update() ends what the item points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_changed(
    group: *mut aq_item_group,
    index: usize,
    item: *mut aq_item,
) -> aq_status {
    let find = |group: &Group| {
        let changed = &group.changed;
        changed.get(index).copied().ok_or_else(|| beyond(index, changed.len(), "changed items"))
    };
    // SAFETY: the caller's contract.
    unsafe { answer(group, item, find) }
}

/// How many errors the last update met.
///
/// @param group the group
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_error_count(
    group: *mut aq_item_group,
    count: *mut usize,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { self::count(group, count, |group| group.errors.len()) }
}

/// An error that the last update met.
///
/// @param group the group
/// @param index 0 .. aq_item_group_error_count() - 1
/// @param error receives it
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any, but aq_item_group_update() ends what the error points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_error(
    group: *mut aq_item_group,
    index: usize,
    error: *mut aq_item_error,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let group = unsafe { handle::borrow(group, "group") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let error = unsafe { Out::new(error, "error") }?;
        let group = group.lock();
        let (id, status, message) =
            group.errors.get(index).ok_or_else(|| beyond(index, group.errors.len(), "errors"))?;
        error.write(aq_item_error { id: *id, status: *status, reserved: 0, message: message.as_ptr() });
        Ok(Outcome::Done)
    })
}

/// Frees a group and all that its items point to.
///
/// @param group the group, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no group, or freed already as far as that can be seen
///
/// Threads: no other call on this group may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_group_free(group: *mut aq_item_group) -> aq_status {
    // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
    guard(|| unsafe { handle::free(group, "group") })
}

/// The descriptors of a heap, each read or with what is wrong about it. Kept with the heap.
type Descriptors = Vec<Result<DescriptorView>>;

fn descriptors(heap: &Heap) -> Result<&Descriptors> {
    let read = || {
        let mut found = Descriptors::new();
        for item in heap.items() {
            let ItemValue::Addressed(bytes) = item.value else { continue };
            if item.id == id::DESCRIPTOR {
                match Descriptor::parse(bytes, heap.bug_compat()) {
                    Ok(Some(descriptor)) => found.push(DescriptorView::new(&descriptor)),
                    Ok(None) => {}
                    Err(Broken { error, .. }) => found.push(Err(error)),
                }
            }
        }
        found
    };
    heap.attachment(read).ok_or_else(|| Error::new(ErrorKind::Internal, "heap: it holds something else"))
}

/// How many descriptors a heap has, also such as cannot be read. One without an identifier describes nothing and is not among them.
///
/// @param heap the heap
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_descriptor_count(heap: *const aq_heap, count: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a heap by the caller's contract.
        let heap = unsafe { held(heap) }?;
        // SAFETY: NULL or writable by the caller's contract.
        let count = unsafe { Out::new(count, "count") }?;
        count.write(descriptors(heap)?.len());
        Ok(Outcome::Done)
    })
}

/// A descriptor of a heap.
///
/// @param heap the heap
/// @param index 0 .. aq_heap_descriptor_count() - 1
/// @param descriptor receives it; what it points to is valid as long as the heap
/// @return AQ_OK; AQ_E_FORMAT when it cannot be read; AQ_E_NOT_FOUND; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_heap_descriptor(
    heap: *const aq_heap,
    index: usize,
    descriptor: *mut aq_descriptor,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a heap by the caller's contract.
        let heap = unsafe { held(heap) }?;
        let all = descriptors(heap)?;
        let found = all.get(index).ok_or_else(|| beyond(index, all.len(), "descriptors"))?;
        let view = found.as_ref().map_err(Error::clone)?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(descriptor, &view.descriptor(), "descriptor") }
    })
}
