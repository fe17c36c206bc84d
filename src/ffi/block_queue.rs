//! Blocks of rows
//!
//! A queue hands out the blocks of a dataset (aq_streamer_get_queue()), each once, to any threads. A block is lent: aq_block_release(), on any
//! thread, gives its memory back to be filled again. As many blocks exist as `read_ahead` says; who holds them all waits in vain for another.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::element_type::{ElementType, aq_element_type};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice_out};
use super::ring::descriptor;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::wait;
use crate::dataset::{Block, BlockQueue};
use crate::error::{Error, Result};
use crate::ring::GetError;

/// A stream of blocks.
pub struct aq_block_queue {
    _opaque: [u8; 0],
}

impl Opaque for aq_block_queue {
    const NAME: &'static str = "aq_block_queue";
    type Inner = QueueHandle;
}

/// What a handle owns.
pub struct QueueHandle {
    queue: BlockQueue,
    /// What its blocks point to.
    element_type: Arc<ElementType>,
}

impl QueueHandle {
    /// A handle's content.
    pub fn new(queue: BlockQueue) -> Result<Self> {
        Ok(Self { element_type: Arc::new(ElementType::new(queue.dtype())?), queue })
    }
}

/// Rows that were read, or an error instead of them.
pub struct aq_block {
    _opaque: [u8; 0],
}

impl Opaque for aq_block {
    const NAME: &'static str = "aq_block";
    type Inner = BlockHandle;
}

/// What a handle owns.
pub struct BlockHandle {
    block: Block,
    element_type: Arc<ElementType>,
}

/// The outcome of a get that got nothing.
pub(super) fn nothing(reason: GetError) -> Outcome {
    match reason {
        GetError::Empty => Outcome::Empty,
        GetError::TimedOut => Outcome::TimedOut,
        GetError::Stopped => Outcome::Stopped,
    }
}

/// Takes the next block. A block whose rows could not be read is delivered, too: aq_block_data() tells why.
///
/// @param queue the queue
/// @param timeout_ns how long to wait for it (see Waiting)
/// @param block receives the block; give it back with aq_block_release()
/// @return AQ_OK; AQ_EMPTY, AQ_TIMEOUT when none is ready; AQ_STOPPED when the dataset is at its end, or the queue was closed, and all blocks have been
///     taken
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free(). Each block goes to one of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_get(
    queue: *mut aq_block_queue,
    timeout_ns: i64,
    block: *mut *mut aq_block,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(block, "block") }?;
        match queue.queue.get(wait(timeout_ns)?) {
            Ok(block) => {
                out.write(handle::new(BlockHandle { block, element_type: queue.element_type.clone() }));
                Ok(Outcome::Done)
            }
            Err(reason) => Ok(nothing(reason)),
        }
    })
}

/// A file descriptor that is readable (POLLIN) while aq_block_queue_get() would not answer AQ_EMPTY: a block is ready, or the queue is at its end.
///
/// With several threads that get, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
///
/// @param queue the queue
/// @param fd receives the descriptor. It belongs to the queue, until aq_block_queue_free(): only poll it, do not read or close it
/// @return AQ_OK; AQ_E_IO when there is no file descriptor left
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_data_fd(queue: *const aq_block_queue, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_block_queue_data_fd", queue.queue.data_fd())?);
        Ok(Outcome::Done)
    })
}

/// Rows of a block: what block_size said, what was chosen for 0, or all rows of the dataset if it has fewer. A remainder has fewer.
///
/// @param queue the queue
/// @param rows receives the number
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_block_size(
    queue: *const aq_block_queue,
    rows: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(rows, "rows") }?.write(queue.queue.block_rows());
        Ok(Outcome::Done)
    })
}

/// What an element of its blocks is: of the field, if the queue has one.
///
/// @param queue the queue
/// @param element receives it; initialised with aq_element_type_init(); valid until aq_block_queue_free()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_dtype(
    queue: *const aq_block_queue,
    element: *mut aq_element_type,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { queue.element_type.write(element) }
    })
}

/// A field of its blocks' records.
///
/// @param queue the queue
/// @param index its number, from 0 on, in the order of the file
/// @param field receives its name, its place and what it is; initialised with aq_element_type_init(); valid until aq_block_queue_free()
/// @return AQ_OK; AQ_E_NOT_FOUND when there are fewer fields
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_field(
    queue: *const aq_block_queue,
    index: usize,
    field: *mut aq_element_type,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { queue.element_type.write_field(index, field) }
    })
}

/// How far a queue is. Initialise it with aq_block_queue_progress_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_block_queue_progress {
    /// Set by aq_block_queue_progress_init().
    pub struct_size: usize,
    /// Rows of the dataset.
    pub rows: u64,
    /// Rows of the blocks that were read well; of a cyclic queue more than there are, in the end.
    pub rows_done: u64,
    /// Blocks that were read, well or not.
    pub blocks_done: u64,
    /// Those of them that could not be read.
    pub blocks_failed: u64,
    /// Those of them that wait to be taken.
    pub blocks_ready: u64,
    /// Bytes read from the file: of packed chunks as they are there.
    pub bytes_read: u64,
    /// Chunks that were unpacked.
    pub chunks_decoded: u64,
    /// Time that this took, of all threads together, in nanoseconds.
    pub decode_time_ns: u64,
}

// SAFETY: numbers of 8 bytes each; any bytes are valid.
unsafe impl SizedStruct for aq_block_queue_progress {
    const NAME: &'static str = "aq_block_queue_progress";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        rows: 0,
        rows_done: 0,
        blocks_done: 0,
        blocks_failed: 0,
        blocks_ready: 0,
        bytes_read: 0,
        chunks_decoded: 0,
        decode_time_ns: 0,
    };
}

/// Writes zeros, and the struct's size.
///
/// @param progress the struct
/// @param struct_size sizeof *progress
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_progress_init(
    progress: *mut aq_block_queue_progress,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(progress, struct_size, "progress") })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How far the queue is.
///
/// @param queue the queue
/// @param progress receives it; initialised with aq_block_queue_progress_init()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_get_progress(
    queue: *const aq_block_queue,
    progress: *mut aq_block_queue_progress,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        let found = queue.queue.progress();
        let value = aq_block_queue_progress {
            struct_size: 0,
            rows: queue.queue.dataset_rows(),
            rows_done: found.rows_done,
            blocks_done: found.blocks_done,
            blocks_failed: found.blocks_failed,
            blocks_ready: found.blocks_ready,
            bytes_read: found.read.bytes_read,
            chunks_decoded: found.read.chunks_decoded,
            decode_time_ns: nanoseconds(found.read.decode_time),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(progress, &value, "progress") }
    })
}

/// Ends the queue early: no more blocks are begun. Those that were are delivered still, then aq_block_queue_get() answers AQ_STOPPED, also in
/// threads that are waiting. A queue may be closed at any time, and again.
///
/// @param queue the queue
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_close(queue: *mut aq_block_queue) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(queue, "queue") }?.queue.close();
        Ok(Outcome::Done)
    })
}

/// Closes the queue and frees it. It waits for its threads, which finish the block that each is reading. Blocks that the program holds stay valid until they are
/// released.
///
/// @param queue the queue, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this queue may be running or follow; close it and join the threads that get from it first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_queue_free(queue: *mut aq_block_queue) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(queue, "queue") })
}

/// The rows of a block, in C order: rows() times the bytes of a row.
///
/// @param block the block
/// @param data receives where they are: writable by nobody, aligned to a page, valid until aq_block_release()
/// @param size receives their bytes; may be NULL
/// @return AQ_OK; when the rows could not be read, why: AQ_E_FORMAT or AQ_E_TRUNCATED where the file is damaged, AQ_E_IO, AQ_E_NOMEM. The blocks behind it are not
///     affected
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_data(
    block: *const aq_block,
    data: *mut *const c_void,
    size: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let block = unsafe { handle::borrow(block, "block") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let (out, size) = unsafe { (Out::new(data, "data")?, Out::optional(size, "size")?) };
        let bytes = block.block.data()?;
        out.write(ptr::from_ref(bytes).cast());
        if let Some(size) = size {
            size.write(bytes.len());
        }
        Ok(Outcome::Done)
    })
}

/// Elements of the block along each axis: its rows first, then as the dataset.
///
/// @param block the block
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes there are, at least 1, also when they do not fit
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_shape(
    block: *const aq_block,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let block = unsafe { handle::borrow(block, "block") }?;
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(&block.block.shape(), shape, capacity, ndim, "shape") }
    })
}

/// What an element of the block is.
///
/// @param block the block
/// @param element receives it; initialised with aq_element_type_init(); valid until aq_block_release()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_dtype(block: *const aq_block, element: *mut aq_element_type) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let block = unsafe { handle::borrow(block, "block") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { block.element_type.write(element) }
    })
}

/// Writes a number of a block.
///
/// # Safety
/// As an exported function's.
unsafe fn number(
    block: *const aq_block,
    out: *mut u64,
    name: &str,
    of: impl FnOnce(&Block) -> Result<u64>,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let block = unsafe { handle::borrow(block, "block") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(out, name) }?.write(of(&block.block)?);
        Ok(Outcome::Done)
    })
}

/// Rows of the block, also of one that could not be read.
///
/// @param block the block
/// @param rows receives the number, at least 1
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_rows(block: *const aq_block, rows: *mut u64) -> aq_status {
    // SAFETY: NULL or valid by the caller's contract.
    unsafe { number(block, rows, "rows", |block| Ok(block.rows())) }
}

/// The number in the dataset of the block's first row.
///
/// @param block the block
/// @param row receives the number
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_first_row(block: *const aq_block, row: *mut u64) -> aq_status {
    // SAFETY: NULL or valid by the caller's contract.
    unsafe { number(block, row, "row", |block| Ok(block.first_row())) }
}

/// The number in the dataset of one of the block's rows: that of the first and `index`, but behind the joint of a cyclic queue, where it begins anew at 0.
///
/// @param block the block
/// @param index which of its rows, from 0 on
/// @param row receives the number
/// @return AQ_OK; AQ_E_INVALID when the block has no such row
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_row_number(block: *const aq_block, index: u64, row: *mut u64) -> aq_status {
    let of = |block: &Block| {
        if index < block.rows() {
            return Ok(block.row_number(index));
        }
        Err(Error::invalid(format!("index must be less than {}, its rows (got {index})", block.rows())))
    };
    // SAFETY: NULL or valid by the caller's contract.
    unsafe { number(block, row, "row", of) }
}

/// How many blocks come before it in the order of the dataset; a cyclic queue goes on counting.
///
/// @param block the block
/// @param number receives it, from 0 on
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the block but aq_block_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_number(block: *const aq_block, number: *mut u64) -> aq_status {
    // SAFETY: NULL or valid by the caller's contract.
    unsafe { self::number(block, number, "number", |block| Ok(block.number())) }
}

/// Gives the block back: its memory is filled again. Also when its queue is freed already.
///
/// @param block the block, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: any; no other call on this block may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_block_release(block: *mut aq_block) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(block, "block") })
}
