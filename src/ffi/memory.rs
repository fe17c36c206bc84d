//! Memory
//!
//! An allocator says where memory for payloads comes from. Wherever one can be given, NULL stands for the default.
//! Memory keeps its allocator alive: the handle may be freed first.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::callback::{Callback, User, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer, HeapAllocator, MemoryPool, MmapAllocator};

/// A source of memory.
pub struct aq_allocator {
    _opaque: [u8; 0],
}

impl Opaque for aq_allocator {
    const NAME: &'static str = "aq_allocator";
    type Inner = AllocatorHandle;
}

/// What an aq_allocator owns.
pub struct AllocatorHandle {
    allocator: Arc<dyn Allocator>,
    /// The same, where it is a pool.
    pub(super) pool: Option<Arc<MemoryPool>>,
}

/// Allocates memory: `size` bytes (at least 1) for reading and writing, of any content; NULL if there is none.
///
/// `packet` is the packet that the memory is wanted for, of `packet_size` bytes; NULL where there is none. What is
/// written to `*cookie` (NULL at first) is given back to the release function.
///
/// - called from: any thread that needs memory, several at once
/// - may block: shortly; a stream may be waiting
/// - may call: any function of this library that does not wait
/// - valid until: `packet` and `cookie` are valid until it returns
/// - on error: it returns NULL, and whoever needed the memory answers AQ_E_NOMEM
pub type aq_allocate_fn = Option<
    unsafe extern "C" fn(
        size: usize,
        packet: *const u8,
        packet_size: usize,
        cookie: *mut *mut c_void,
        user: *mut c_void,
    ) -> *mut c_void,
>;

/// Releases memory that the allocate function returned.
///
/// - called from: any thread, several at once, once per allocation
/// - may block: shortly
/// - may call: any function of this library that does not wait
/// - valid until: `memory` and `cookie` are the callback's
/// - on error: there is no way to report one
pub type aq_release_fn =
    Option<unsafe extern "C" fn(memory: *mut c_void, size: usize, cookie: *mut c_void, user: *mut c_void)>;

/// A user's allocator. Fill it with aq_allocator_vtable_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_allocator_vtable {
    /// Set by aq_allocator_vtable_init().
    pub struct_size: usize,
    /// Required.
    pub allocate: aq_allocate_fn,
    /// Required.
    pub release: aq_release_fn,
}

// SAFETY: a usize and two Option<fn>: no padding, and C fills it with functions or NULL.
unsafe impl SizedStruct for aq_allocator_vtable {
    const NAME: &'static str = "aq_allocator_vtable";
    const FIRST_SIZE: usize = 24;
    const DEFAULT: Self = Self { struct_size: 0, allocate: None, release: None };
}

type Functions = (
    unsafe extern "C" fn(usize, *const u8, usize, *mut *mut c_void, *mut c_void) -> *mut c_void,
    unsafe extern "C" fn(*mut c_void, usize, *mut c_void, *mut c_void),
);

/// An allocator written in C.
struct UserAllocator(Arc<Callback<Functions>>);

impl Allocator for UserAllocator {
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
        if size == 0 {
            return Ok(Buffer::empty());
        }
        let (allocate, release) = self.0.function;
        let (hint, hint_size) = packet.map_or((ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        let mut cookie = ptr::null_mut();
        // SAFETY: the caller of aq_allocator_new promised a function of this contract; the hint is live for the call.
        let memory = unsafe { allocate(size, hint, hint_size, &mut cookie, self.0.user.pointer()) };
        let Some(start) = NonNull::new(memory.cast::<u8>()) else {
            let reason = format!("cannot allocate {size} bytes: the allocator returned NULL");
            return Err(Error::new(ErrorKind::NoMemory, reason));
        };
        let functions = self.0.clone();
        // Pointers as numbers, for the release may run on another thread, which the contract allows.
        let (address, cookie) = (memory as usize, cookie as usize);
        // SAFETY: by its contract the function has returned `size` bytes, ours until they are released.
        Ok(unsafe {
            Buffer::from_raw(start, size, move || {
                release(address as *mut c_void, size, cookie as *mut c_void, functions.user.pointer());
            })
        })
    }
}

fn new_handle(allocator: impl Allocator + 'static) -> *mut aq_allocator {
    handle::new(AllocatorHandle { allocator: Arc::new(allocator), pool: None })
}

pub(super) fn new_pool_handle(pool: MemoryPool) -> *mut aq_allocator {
    let pool = Arc::new(pool);
    handle::new(AllocatorHandle { allocator: pool.clone(), pool: Some(pool) })
}

/// The allocator behind an argument that may be NULL.
///
/// # Safety
/// As for [`handle::borrow`].
pub(super) unsafe fn allocator_or_default(
    allocator: *const aq_allocator,
    name: &str,
) -> Result<Arc<dyn Allocator>> {
    if allocator.is_null() {
        return Ok(Arc::new(HeapAllocator));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { handle::borrow(allocator, name) }?.allocator.clone())
}

/// The allocator behind an argument that may be NULL, which means that none is given.
///
/// # Safety
/// As for [`handle::borrow`].
pub(super) unsafe fn optional_allocator(
    allocator: *const aq_allocator,
) -> Result<Option<Arc<dyn Allocator>>> {
    if allocator.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    Ok(Some(unsafe { handle::borrow(allocator, "memory_allocator") }?.allocator.clone()))
}

/// Memory of the caller as a buffer; empty where there is none.
///
/// # Safety
/// NULL, or `size` bytes that are the library's until `owner` is dropped.
pub(super) unsafe fn caller_buffer(
    start: *mut c_void,
    size: usize,
    name: &str,
    owner: Arc<User>,
) -> Result<Buffer> {
    match NonNull::new(start.cast::<u8>()) {
        None if size > 0 => Err(Error::invalid(format!("{name} must not be NULL when its size is {size}"))),
        _ if size > isize::MAX as usize => {
            Err(Error::invalid(format!("{name} cannot have a size of {size} bytes")))
        }
        None => Ok(Buffer::empty()),
        // SAFETY: the caller's promise; the closure keeps the owner until the buffer's end.
        Some(start) => Ok(unsafe { Buffer::from_raw(start, size, move || drop(owner)) }),
    }
}

/// Writes the defaults: no functions.
///
/// @param vtable the struct
/// @param struct_size sizeof *vtable
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_allocator_vtable_init(
    vtable: *mut aq_allocator_vtable,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(vtable, struct_size, "vtable") })
}

/// The allocator that is used where none is given: the system's heap, aligned to 64 bytes.
///
/// @param out receives the allocator; free it with aq_allocator_free()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_allocator_default(out: *mut *mut aq_allocator) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(out, "out") }?.write(new_handle(HeapAllocator));
        Ok(Outcome::Done)
    })
}

/// An allocator whose functions are the caller's: memory of a GPU, of a shared segment, of a NUMA node.
///
/// @param vtable its functions; copied
/// @param user passed to them; belongs to the allocator from now on, also on an error
/// @param user_free releases user, after the last piece of memory was released; or NULL
/// @param out receives the allocator; free it with aq_allocator_free()
/// @return AQ_OK; AQ_E_INVALID when a function is missing
///
/// Threads: any; the functions are called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_allocator_new(
    vtable: *const aq_allocator_vtable,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_allocator,
) -> aq_status {
    guard(|| {
        // SAFETY: user_free may be called once with user, by the contract of callbacks.
        let user = unsafe { User::new(user, user_free) };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let vtable = unsafe { sized::read(vtable, "vtable") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let missing = |name: &str| Error::invalid(format!("vtable: {name} must not be NULL"));
        let allocate = vtable.allocate.ok_or_else(|| missing("allocate"))?;
        let release = vtable.release.ok_or_else(|| missing("release"))?;
        let callback = Callback { function: (allocate, release), user };
        out.write(new_handle(UserAllocator(Arc::new(callback))));
        Ok(Outcome::Done)
    })
}

/// An allocator of memory straight from mmap(2): page-aligned, zeroed, returned to the system when released.
///
/// @param flags for mmap(2) beside MAP_PRIVATE | MAP_ANONYMOUS, for example MAP_POPULATE; MAP_FIXED is ignored
/// @param prefer_huge 1 to take huge pages (2 MiB) where the system has them, and ordinary ones where it has not; else 0
/// @param out receives the allocator; free it with aq_allocator_free()
/// @return AQ_OK; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_mmap_allocator_new(
    flags: c_int,
    prefer_huge: i32,
    out: *mut *mut aq_allocator,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let prefer_huge = sized::flag(prefer_huge, "prefer_huge")?;
        out.write(new_handle(MmapAllocator { flags, prefer_huge, node: None }));
        Ok(Outcome::Done)
    })
}

/// An allocator of memory of one NUMA node, straight from mmap(2) and bound by mbind(2): the node of the network card and of the
/// cores that receive. As the base of a memory pool it gives a pool of that node.
///
/// @param node the node, as the kernel numbers them
/// @param flags as for aq_mmap_allocator_new()
/// @param prefer_huge as for aq_mmap_allocator_new()
/// @param out receives the allocator; free it with aq_allocator_free()
/// @return AQ_OK; AQ_E_INVALID when there is no such node; AQ_E_IO when the system does not let memory be bound
///
/// Threads: any. Memory may be used by threads of other nodes, slower.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_numa_allocator_new(
    node: i32,
    flags: c_int,
    prefer_huge: i32,
    out: *mut *mut aq_allocator,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let prefer_huge = sized::flag(prefer_huge, "prefer_huge")?;
        let node = usize::try_from(node)
            .map_err(|_| Error::invalid(format!("node must be at least 0 (got {node})")))?;
        out.write(new_handle(MmapAllocator::on_node(node, flags, prefer_huge)?));
        Ok(Outcome::Done)
    })
}

/// Lets go of an allocator; memory that came from it stays valid.
///
/// @param allocator the allocator, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_allocator_free(allocator: *mut aq_allocator) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(allocator, "allocator") })
}
