//! Chunk streams
//!
//! A chunk stream places each heap's payload in a chunk, where a callback says: the place callback. It fills a window of
//! consecutive chunks; as newer ones are begun, the oldest leaves and is ready. No heap object is built.
//!
//! The window ends at the highest chunk that any heap was placed in and reaches max_chunks back from there. So chunks are
//! ready in the order of their ids (but see max_jump); one in which no heap was placed (even one just before the first heap's) comes out with
//! no flag set, and ids that the window jumps over altogether never come. Before the stream ends, all that are left come out.
//!
//! Chunks come from a free ring and go to a data ring. When there is no free chunk, or no space in the data ring, the
//! stream's readers pause; other streams on the same worker go on.

use std::ffi::c_void;

use super::callback::{Callback, aq_user_free_fn};
use super::chunk::aq_chunk_ring;
use super::guard::{Outcome, guard};
use super::handle;
use super::pointer::{self, Out};
use super::recv::{Kind, ReceivingStream, aq_recv_stream, aq_recv_stream_config, stream_config};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::thread_pool::aq_thread_pool;
use crate::chunk::{ChunkRingStream, ChunkStreamConfig, Place, PlaceRequest, Placement};
use crate::error::Result;

/// What a place callback is given about a heap, and where it writes its answer. The layout is that of spead2's
/// chunk_place_data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_place_data {
    /// The heap's first packet, whole.
    pub packet: *const u8,
    /// Bytes at packet.
    pub packet_size: usize,
    /// The immediate values of the requested items, in their order; -1 where one is missing.
    pub items: *const i64,
    /// Answer: the chunk. -1 at first; below 0 the heap is rejected.
    pub chunk_id: i64,
    /// Answer: the heap's byte in the chunk's present. 0 at first.
    pub heap_index: usize,
    /// Answer: where its payload starts in the chunk's data, in bytes. 0 at first.
    pub heap_offset: usize,
    /// The batch's statistics, to add to, at the indices that aq_recv_stream_config_add_stat() gave. Those below are the
    /// library's own: changing them breaks the ledger.
    pub batch_stats: *mut u64,
    /// max_heap_extra bytes to write to, of any content.
    pub extra: *mut u8,
    /// Answer: where the extra bytes go in the chunk's extra. 0 at first.
    pub extra_offset: usize,
    /// Answer: how many extra bytes were written. 0 at first.
    pub extra_size: usize,
}

/// Says where a heap goes. It is called once per heap, with the first of its packets that comes.
///
/// The whole payload goes there, however long it is: request item 2, the heap's length (-1 if it does not tell), and compare,
/// or set max_heap_size, so that a heap of a wrong size does not run into its neighbours.
///
/// A place outside the chunk is refused, counted (place_out_of_bounds) and logged; nothing is written there.
///
/// @param data the heap, and where to write the answer
/// @param data_size sizeof *data in the library that calls, which may be newer and have more fields at its end
/// @param user the stream's place_user
///
/// - called from: the stream's worker thread
/// - may block: no; every microsecond is lost to the stream
/// - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
/// - valid until: data and all it points to are valid until it returns
/// - on error: leave chunk_id at -1; the heap is counted as rejected
///
/// ```c
/// static void place(aq_chunk_place_data *data, size_t data_size, void *user)
/// {
///     const struct layout *l = user;                 // items: the timestamp, and 2, the heap's length
///     (void)data_size;
///     if (data->items[0] < 0 || data->items[1] != (int64_t)l->heap_size)
///         return;                                    // no timestamp, or a wrong size: rejected, and counted
///     int64_t heap = data->items[0] / l->step;
///     data->chunk_id = heap / l->heaps_per_chunk;
///     data->heap_index = (size_t)(heap % l->heaps_per_chunk);
///     data->heap_offset = data->heap_index * l->heap_size;
/// }
/// ```
pub type aq_chunk_place_fn =
    Option<unsafe extern "C" fn(data: *mut aq_chunk_place_data, data_size: usize, user: *mut c_void)>;

/// Chunks that are filled at the same time, unless said otherwise.
pub const AQ_DEFAULT_MAX_CHUNKS: usize = 2;

/// Settings of a chunk stream. Fill it with aq_chunk_stream_config_init() first; it is copied when the stream is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_stream_config {
    /// Set by aq_chunk_stream_config_init().
    pub struct_size: usize,
    /// Identifiers of the items whose immediate values the place callback gets; also special ones like 1, the heap number.
    /// Copied when the stream is made.
    pub items: *const u64,
    /// How many items there are in the list; 0 by default.
    pub n_items: usize,
    /// Chunks that are filled at the same time: 1 .. 2^20; AQ_DEFAULT_MAX_CHUNKS by default. With 1, heaps of an earlier chunk
    /// are too old as soon as a later one has begun. At least as many chunks must circulate, better twice as many: with
    /// fewer the stream waits for a free chunk for ever.
    pub max_chunks: usize,
    /// The place callback; required.
    pub place: aq_chunk_place_fn,
    /// Passed to place; belongs to the stream from the call of aq_chunk_ring_stream_new() on, also on an error.
    pub place_user: *mut c_void,
    /// Releases place_user, after the last call of place; or NULL.
    pub place_user_free: aq_user_free_fn,
    /// Extra bytes that place may write per heap: 0 (default) .. 16 MiB. They are copied into the chunk when the heap begins, also
    /// if it never completes; the chunk's extra is not cleared between uses.
    pub max_heap_extra: usize,
    /// 0 (default): present has one byte per heap, set when the heap is complete. Otherwise one byte per packet, at heap_index +
    /// payload offset / this, set when the packet has been written. Then allow_out_of_order is worth setting:
    /// in order, nothing of a heap is taken after its first loss.
    pub packet_presence_payload_size: usize,
    /// How many chunks the window may jump ahead at the word of a single heap; 2^20 by default, 0 for any number. This keeps one
    /// wildly wrong heap from making all later ones too old, and a window that is more than that ahead of the heaps starts anew where
    /// they are: chunk ids then go back. Heaps that are less far behind are too old (counted, and logged), however many.
    pub max_jump: u64,
    /// How many further heaps in a row must agree before the window jumps further than max_jump, ahead or back; 8 by default.
    pub jump_confirm: u32,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: u32,
}

// SAFETY: integers, pointers and Option<fn>s of 8 bytes; two u32 fill the last 8.
unsafe impl SizedStruct for aq_chunk_stream_config {
    const NAME: &'static str = "aq_chunk_stream_config";
    const FIRST_SIZE: usize = 88;
    const DEFAULT: Self = Self {
        struct_size: 0,
        items: std::ptr::null(),
        n_items: 0,
        max_chunks: AQ_DEFAULT_MAX_CHUNKS,
        place: None,
        place_user: std::ptr::null_mut(),
        place_user_free: None,
        max_heap_extra: 0,
        packet_presence_payload_size: 0,
        max_jump: 1 << 20,
        jump_confirm: 8,
        reserved: 0,
    };
}

/// A place callback written in C.
struct CPlace(Callback<unsafe extern "C" fn(*mut aq_chunk_place_data, usize, *mut c_void)>);

impl Place for CPlace {
    #[inline]
    fn place(&mut self, request: &mut PlaceRequest<'_>) -> Placement {
        let mut data = aq_chunk_place_data {
            packet: request.packet.as_ptr(),
            packet_size: request.packet.len(),
            items: request.items.as_ptr(),
            chunk_id: -1,
            heap_index: 0,
            heap_offset: 0,
            batch_stats: request.stats.as_mut_ptr(),
            extra: request.extra.as_mut_ptr(),
            extra_offset: 0,
            extra_size: 0,
        };
        // SAFETY: the caller of aq_chunk_ring_stream_new promised a function of this contract; all pointers in data are valid
        // for the call, and nobody else uses the memory behind them.
        unsafe { (self.0.function)(&mut data, size_of_val(&data), self.0.user.pointer()) };
        Placement {
            chunk_id: data.chunk_id,
            heap_index: data.heap_index,
            heap_offset: data.heap_offset,
            extra_offset: data.extra_offset,
            extra_size: data.extra_size,
        }
    }
}

/// The core's configuration. Takes over place_user at once.
///
/// # Safety
/// NULL, or a struct of its struct_size that keeps its promises.
unsafe fn chunk_config(config: *const aq_chunk_stream_config) -> Result<ChunkStreamConfig> {
    // SAFETY: the caller's promise.
    let (c, tail) = unsafe { sized::read_known(config, "chunk_config") }?;
    // SAFETY: the contract of the struct: place_user_free may be called once with place_user.
    let place = unsafe { Callback::new(c.place, c.place_user, c.place_user_free) };
    tail?;
    sized::reserved(c.reserved, "chunk_config: reserved")?;
    let place = place.required("chunk_config: place")?;
    // SAFETY: the contract of the struct.
    let items = unsafe { pointer::slice(c.items, c.n_items, "chunk_config: items") }?.to_vec();
    let config = ChunkStreamConfig {
        items,
        max_chunks: c.max_chunks,
        place: Box::new(CPlace(place)),
        max_heap_extra: c.max_heap_extra,
        packet_presence_payload_size: c.packet_presence_payload_size,
        max_jump: c.max_jump,
        jump_confirm: c.jump_confirm,
    };
    config.check()?;
    Ok(config)
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_stream_config_init(
    config: *mut aq_chunk_stream_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes a stream that takes chunks from one ring, fills them, and puts them on another.
///
/// It counts as one producer of the data ring. When it ends by itself, the data ring loses that producer, and is stopped
/// if it was the last; the free ring is left alone. When it is stopped by aq_recv_stream_stop() or _free() while it runs,
/// both rings are stopped. Several streams may share both rings; but the first that is stopped by the user stops them for all,
/// and live chunks of the others are lost (chunks_undelivered): let such streams end by their sources or stop items.
///
/// @param pool where it runs
/// @param config the stream's settings; NULL for the defaults
/// @param chunk_config the chunks' settings; its place_user is released also when this fails
/// @param data_ring where filled chunks go
/// @param free_ring where empty chunks come from
/// @param out receives the stream; free it with aq_recv_stream_free()
/// @return AQ_OK; AQ_E_INVALID when a setting is out of range, or the name of a statistic is empty or taken; AQ_E_VERSION;
///     AQ_E_STATE when the pool is stopped
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_stream_new(
    pool: *mut aq_thread_pool,
    config: *const aq_recv_stream_config,
    chunk_config: *const aq_chunk_stream_config,
    data_ring: *mut aq_chunk_ring,
    free_ring: *mut aq_chunk_ring,
    out: *mut *mut aq_recv_stream,
) -> aq_status {
    guard(|| {
        // Both first, for they take over what the structs hand over.
        // SAFETY: NULL or structs of their struct_size by the caller's contract.
        let (chunk_config, config) = unsafe { (self::chunk_config(chunk_config), stream_config(config)) };
        let (chunk_config, config) = (chunk_config?, config?);
        // SAFETY: NULL or live handles by the caller's contract.
        let (pool, data, free) = unsafe {
            (
                handle::borrow(pool, "pool")?,
                handle::borrow(data_ring, "data_ring")?,
                handle::borrow(free_ring, "free_ring")?,
            )
        };
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let stream = ChunkRingStream::new(&pool, config, chunk_config, data.clone(), free.clone())?;
        out.write(handle::new(ReceivingStream::new(Kind::Chunks(stream))));
        Ok(Outcome::Done)
    })
}
