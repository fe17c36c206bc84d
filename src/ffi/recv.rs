//! Receiving streams
//!
//! A stream gets packets from its readers, assembles them into heaps, and counts every one of them. It lives on one
//! worker thread of a pool. aq_recv_stream_new() makes one that hands out heaps, aq_recv_stream_new_callback() one that calls a
//! function with each, aq_chunk_ring_stream_new() one that places them in chunks.
//!
//! A stream ends when it is stopped, when a stop item comes, when the last of its readers has nothing more, or when its
//! rings or its pool are stopped; aq_recv_stream_end_reason() tells. It cannot be started again.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use parking_lot::Mutex;

use super::callback::{Callback, aq_user_free_fn};
use super::chunk::{aq_chunk, aq_chunk_ring, into_handle, take};
use super::copy::{self, AQ_MEMCPY_NONTEMPORAL, AQ_MEMCPY_STD, CPacketCopy, aq_packet_copy_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::memory::{aq_allocator, optional_allocator};
use super::pointer::{self, Out};
use super::sized::{self, SizedStruct, flag};
use super::stats::aq_recv_stats;
use super::status::{self, AQ_OK, aq_status};
use super::text;
use crate::chunk::{AddFree, ChunkRingStream};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::CopyMethod;
use crate::recv::heap::{HeapCallbackStream, HeapRingStream};
use crate::recv::metrics;
use crate::recv::stats::{CustomStat, Mode, Stat};
use crate::recv::{Copier, EndReason, PacketCopy, Stream, StreamConfig};

/// A receiving stream.
pub struct aq_recv_stream {
    _opaque: [u8; 0],
}

impl Opaque for aq_recv_stream {
    const NAME: &'static str = "aq_recv_stream";
    type Inner = ReceivingStream;
}

/// What becomes of a stream's heaps.
pub(super) enum Kind {
    Chunks(ChunkRingStream),
    HeapRing(HeapRingStream),
    HeapCallback(HeapCallbackStream),
}

/// What an aq_recv_stream owns.
pub struct ReceivingStream {
    pub(super) kind: Kind,
    /// The statistics' names as C text.
    stat_names: Vec<CString>,
    /// The port of each reader, 0 if it has none, in the order in which they were added.
    pub(super) ports: Mutex<Vec<u16>>,
}

impl ReceivingStream {
    pub(super) fn new(kind: Kind) -> Self {
        let stats = kind.stream().stats();
        // Names came from C, or are our own: no NUL inside.
        let name = |index| CString::new(stats.name(index).unwrap_or_default()).unwrap_or_default();
        let stat_names = (0..stats.count()).map(name).collect();
        Self { kind, stat_names, ports: Mutex::default() }
    }

    pub(super) fn stream(&self) -> &Stream {
        self.kind.stream()
    }

    fn chunks(&self) -> Result<&ChunkRingStream> {
        match &self.kind {
            Kind::Chunks(chunks) => Ok(chunks),
            _ => Err(Error::state("stream: it is no chunk stream")),
        }
    }
}

impl Kind {
    fn stream(&self) -> &Stream {
        match self {
            Self::Chunks(chunks) => chunks.stream(),
            Self::HeapRing(heaps) => heaps.stream(),
            Self::HeapCallback(heaps) => heaps.stream(),
        }
    }
}

/// How many statistics of its own a program can add to a stream.
pub const AQ_MAX_CUSTOM_STATS: usize = 32;

/// Values are added up.
pub const AQ_STAT_COUNTER: i32 = 0;
/// The largest value stays.
pub const AQ_STAT_MAXIMUM: i32 = 1;

/// A statistic of the program's own; see aq_recv_stream_config_add_stat().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_custom_stat {
    /// Its name; copied when the stream is made.
    pub name: *const c_char,
    /// AQ_STAT_COUNTER or AQ_STAT_MAXIMUM.
    pub mode: i32,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: i32,
}

/// Settings of a stream. Fill it with aq_recv_stream_config_init() first; it is copied when the stream is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_recv_stream_config {
    /// Set by aq_recv_stream_config_init().
    pub struct_size: usize,
    /// How many newer heaps may start before a partial heap is given up, per substream:
    /// 1 .. 2^20, together with substreams; 4 by default.
    pub max_heaps: usize,
    /// Heap numbers modulo this tell interleaved senders apart, each with its own max_heaps: at least 1, the default.
    pub substreams: usize,
    /// Packets of heaps longer than this are discarded (heap_too_large): at least 1 byte; 1 GiB by default. Set to the room that
    /// a heap has in its chunk, it keeps a wrong heap from running into its neighbours.
    pub max_heap_size: u64,
    /// Streams of heaps: bytes that the heaps in progress may have together, at least max_heap_size; heaps beyond are discarded
    /// (no_memory). 0 (default): four times max_heap_size.
    pub max_heap_memory: u64,
    /// Streams of heaps: items that a heap may have; heaps with more are discarded (too_many_items). 1 .. 2^32; 65536 by default.
    pub max_items: usize,
    /// Streams of heaps: where the memory for payloads comes from; NULL (default) for the system's heap. The stream keeps the
    /// allocator alive. Its allocate function gets the packet that the memory is wanted for (of TCP readers, its header and item
    /// pointers only), and is called by the stream's worker.
    pub memory_allocator: *mut aq_allocator,
    /// Called instead of memcpy for each packet's payload; NULL (default) for none. See aq_packet_copy_fn.
    pub packet_copy: aq_packet_copy_fn,
    /// Passed to packet_copy; belongs to the stream from the call that makes it on, also on an error.
    pub packet_copy_user: *mut c_void,
    /// Releases packet_copy_user, after the last call of packet_copy; or NULL.
    pub packet_copy_user_free: aq_user_free_fn,
    /// A number that this stream's chunks carry; 0 by default.
    pub stream_id: u64,
    /// 1: accept a heap's packets in any order. 0 (default): discard a packet that is not the next of its heap.
    pub allow_out_of_order: i32,
    /// 1 (default): accept heaps that do not tell their length; they are never complete. 0: discard them.
    pub allow_unsized_heaps: i32,
    /// 1 (default): end the stream at a stop item. 0: treat its heap as any other.
    pub stop_on_stop_item: i32,
    /// 1: read nothing until aq_recv_stream_start(). 0 (default): read as soon as there is a reader.
    pub explicit_start: i32,
    /// How payloads are copied to where they belong: AQ_MEMCPY_STD (default) or AQ_MEMCPY_NONTEMPORAL.
    pub memcpy: i32,
    /// Which bugs of old senders to put up with when descriptors and values of this stream's heaps are decoded: the sum of
    /// AQ_BUG_COMPAT_* flags; 0 (default) for none.
    pub bug_compat: i32,
    /// How many of custom_stats are in use; aq_recv_stream_config_add_stat() counts.
    pub n_custom_stats: usize,
    /// Statistics of the program's own.
    pub custom_stats: [aq_custom_stat; AQ_MAX_CUSTOM_STATS],
}

// SAFETY: integers and pointers without padding (six i32 in a row; a custom stat is a pointer and two i32).
unsafe impl SizedStruct for aq_recv_stream_config {
    const NAME: &'static str = "aq_recv_stream_config";
    const FIRST_SIZE: usize = 120 + 16 * AQ_MAX_CUSTOM_STATS;
    const DEFAULT: Self = Self {
        struct_size: 0,
        max_heaps: 4,
        substreams: 1,
        max_heap_size: 1 << 30,
        max_heap_memory: 0,
        max_items: 1 << 16,
        memory_allocator: std::ptr::null_mut(),
        packet_copy: None,
        packet_copy_user: std::ptr::null_mut(),
        packet_copy_user_free: None,
        stream_id: 0,
        allow_out_of_order: 0,
        allow_unsized_heaps: 1,
        stop_on_stop_item: 1,
        explicit_start: 0,
        memcpy: AQ_MEMCPY_STD,
        bug_compat: 0,
        n_custom_stats: 0,
        custom_stats: [aq_custom_stat { name: std::ptr::null(), mode: 0, reserved: 0 }; AQ_MAX_CUSTOM_STATS],
    };
}

/// The core's configuration.
///
/// # Safety
/// NULL, or a struct of its struct_size whose names are C texts.
pub(super) unsafe fn stream_config(config: *const aq_recv_stream_config) -> Result<StreamConfig> {
    let (c, tail) = match config.is_null() {
        true => (aq_recv_stream_config::DEFAULT, Ok(())),
        // SAFETY: the caller's promise.
        false => unsafe { sized::read_known(config, "config") }?,
    };
    // First, for it takes over packet_copy_user.
    // SAFETY: the contract of the struct: packet_copy_user_free may be called once with packet_copy_user.
    let copy = unsafe { Callback::new(c.packet_copy, c.packet_copy_user, c.packet_copy_user_free) };
    tail?;
    let user_copy = copy.function.is_some().then(|| copy.required("packet_copy")).transpose()?;
    let stats = c.custom_stats.get(..c.n_custom_stats).ok_or_else(|| too_many_stats(c.n_custom_stats))?;
    let custom_stats = stats
        .iter()
        .enumerate()
        .map(|(i, stat)| {
            let mode = mode(stat.mode, &format!("custom_stats[{i}].mode"))?;
            sized::reserved(stat.reserved, &format!("custom_stats[{i}].reserved"))?;
            // SAFETY: the caller's promise.
            let name = unsafe { text::required(stat.name, &format!("custom_stats[{i}].name")) }?.to_owned();
            Ok(CustomStat { name, mode })
        })
        .collect::<Result<_>>()?;
    let config = StreamConfig {
        max_heaps: c.max_heaps,
        substreams: c.substreams,
        max_heap_size: c.max_heap_size,
        max_heap_memory: c.max_heap_memory,
        max_items: c.max_items,
        // The core checks the rest of the range.
        bug_compat: u8::try_from(c.bug_compat).map_err(|_| {
            Error::invalid(format!("bug_compat must be between 0 and 15 (got {})", c.bug_compat))
        })?,
        // SAFETY: NULL or a live handle by the contract of the struct.
        allocator: unsafe { optional_allocator(c.memory_allocator) }?,
        stream_id: c.stream_id,
        allow_out_of_order: flag(c.allow_out_of_order, "allow_out_of_order")?,
        allow_unsized_heaps: flag(c.allow_unsized_heaps, "allow_unsized_heaps")?,
        stop_on_stop_item: flag(c.stop_on_stop_item, "stop_on_stop_item")?,
        explicit_start: flag(c.explicit_start, "explicit_start")?,
        copy: Copier {
            method: copy::method(c.memcpy)?,
            user: user_copy.map(|copy| Arc::new(CPacketCopy(copy)) as Arc<dyn PacketCopy>),
        },
        custom_stats,
    };
    config.check()?;
    Ok(config)
}

fn mode(value: i32, name: &str) -> Result<Mode> {
    match value {
        AQ_STAT_COUNTER => Ok(Mode::Counter),
        AQ_STAT_MAXIMUM => Ok(Mode::Maximum),
        _ => Err(Error::invalid(format!("{name} must be AQ_STAT_COUNTER or AQ_STAT_MAXIMUM (got {value})"))),
    }
}

fn too_many_stats(count: usize) -> Error {
    Error::invalid(format!("n_custom_stats must be at most {AQ_MAX_CUSTOM_STATS} (got {count})"))
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_config_init(
    config: *mut aq_recv_stream_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Adds a statistic of the program's own, which callbacks update through batch_stats.
///
/// @param config an initialised configuration
/// @param name its name, not empty and not that of another statistic of the stream (which aq_chunk_ring_stream_new() checks);
///     must stay valid until the stream has been made
/// @param mode AQ_STAT_COUNTER or AQ_STAT_MAXIMUM: how a batch's value joins the total
/// @param index receives its index, for batch_stats and aq_recv_stream_stat_value(); may be NULL
/// @return AQ_OK; AQ_E_INVALID when there are AQ_MAX_CUSTOM_STATS already, name is NULL or the mode is unknown
///
/// Threads: one at a time per configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_config_add_stat(
    config: *mut aq_recv_stream_config,
    name: *const c_char,
    mode: i32,
    index: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let mut c = unsafe { sized::read(config, "config") }?;
        // SAFETY: NULL or a C text by the caller's contract.
        unsafe { text::required(name, "name") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(index, "index") }?;
        self::mode(mode, "mode")?;
        let count = c.n_custom_stats;
        let slot = c.custom_stats.get_mut(count).ok_or_else(|| too_many_stats(count.saturating_add(1)))?;
        *slot = aq_custom_stat { name, mode, reserved: 0 };
        c.n_custom_stats += 1;
        // SAFETY: as for the read above, and writable.
        unsafe { sized::write(config, &c, "config") }?;
        if let Some(out) = out {
            out.write(Stat::ALL.len() + count);
        }
        Ok(Outcome::Done)
    })
}

/// The stream's settings, as it was made with.
///
/// @param stream the stream
/// @param config a struct from aq_recv_stream_config_init(). memory_allocator and packet_copy with its two fellows are left NULL,
///     as they belong to the stream; the names of custom_stats are valid as long as the stream
/// @return AQ_OK; AQ_E_INVALID when the struct was not initialised
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_get_config(
    stream: *const aq_recv_stream,
    config: *mut aq_recv_stream_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        let c = stream.stream().config();
        let mut value = aq_recv_stream_config {
            max_heaps: c.max_heaps,
            substreams: c.substreams,
            max_heap_size: c.max_heap_size,
            max_heap_memory: c.max_heap_memory,
            max_items: c.max_items,
            stream_id: c.stream_id,
            allow_out_of_order: c.allow_out_of_order.into(),
            allow_unsized_heaps: c.allow_unsized_heaps.into(),
            stop_on_stop_item: c.stop_on_stop_item.into(),
            explicit_start: c.explicit_start.into(),
            memcpy: match c.copy.method {
                CopyMethod::Std => AQ_MEMCPY_STD,
                CopyMethod::NonTemporal => AQ_MEMCPY_NONTEMPORAL,
            },
            bug_compat: c.bug_compat.into(),
            n_custom_stats: c.custom_stats.len(),
            ..aq_recv_stream_config::DEFAULT
        };
        let names = stream.stat_names.iter().skip(Stat::ALL.len());
        for ((slot, stat), name) in value.custom_stats.iter_mut().zip(&c.custom_stats).zip(names) {
            let mode = if stat.mode == Mode::Maximum { AQ_STAT_MAXIMUM } else { AQ_STAT_COUNTER };
            *slot = aq_custom_stat { name: name.as_ptr(), mode, reserved: 0 };
        }
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}

/// Starts a stream that was made with explicit_start. Does nothing if it has been started.
///
/// @param stream the stream
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_start(stream: *mut aq_recv_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(stream, "stream") }?.stream().start();
        Ok(Outcome::Done)
    })
}

/// Stops the stream and waits until its worker has let go of it: no callback runs after this returns.
///
/// Partial heaps are given up. Heaps in a stream's own ring can still be taken. Of a chunk stream, live chunks go to the data
/// ring as far as there is space; then both rings are stopped.
/// A stream that has ended by itself is left as it is, and so are its rings.
///
/// @param stream the stream
/// @return AQ_OK, also when it has ended already; AQ_E_STATE from a callback on the stream's own worker thread
///
/// Threads: any but the stream's worker, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_stop(stream: *mut aq_recv_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(stream, "stream") }?.stream().stop()?;
        Ok(Outcome::Done)
    })
}

/// Stops the stream as aq_recv_stream_stop() does, and frees it. Its rings and its pool may be freed before or after.
///
/// @param stream the stream, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE, and nothing done, from a callback on the stream's own worker thread
///
/// Threads: no other call on this stream may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_free(stream: *mut aq_recv_stream) -> aq_status {
    guard(|| {
        if !stream.is_null() {
            // SAFETY: a live handle by the caller's contract.
            let poisoned_or_idle = unsafe { handle::borrow(stream, "stream") };
            if poisoned_or_idle.is_ok_and(|stream| stream.stream().must_not_wait()) {
                return Err(Error::state("stream: cannot be freed from a callback on its own worker thread"));
            }
        }
        // SAFETY: NULL or a live handle, not used again, by the caller's contract.
        unsafe { handle::free(stream, "stream") }
    })
}

/// The stream is running.
pub const AQ_END_RUNNING: i32 = 0;
/// It was stopped by aq_recv_stream_stop() or aq_recv_stream_free().
pub const AQ_END_USER: i32 = 1;
/// A stop item came.
pub const AQ_END_STOP_ITEM: i32 = 2;
/// All readers have come to their end.
pub const AQ_END_SOURCE: i32 = 3;
/// A ring that it needs was stopped: the data ring, which it notices at once, or the free ring, when it needs a chunk.
pub const AQ_END_RING_STOPPED: i32 = 4;
/// Its thread pool was stopped.
pub const AQ_END_POOL_STOPPED: i32 = 5;
/// All readers have come to their end, at least one of them by an error.
pub const AQ_END_ERROR: i32 = 6;

/// A short text for a reason why a stream ended, in English, e.g. "a stop item came".
///
/// @param reason any number; unknown ones have a text, too
/// @return static text, never NULL
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn aq_end_reason_string(reason: i32) -> *const c_char {
    let text = match reason {
        AQ_END_RUNNING => c"it is running",
        AQ_END_USER => c"it was stopped",
        AQ_END_STOP_ITEM => c"a stop item came",
        AQ_END_SOURCE => c"its sources have nothing more",
        AQ_END_RING_STOPPED => c"a ring that it needs was stopped",
        AQ_END_POOL_STOPPED => c"its thread pool was stopped",
        AQ_END_ERROR => c"its sources have nothing more, one of them by an error",
        _ => c"unknown reason",
    };
    text.as_ptr()
}

/// Why the stream ended.
///
/// @param stream the stream
/// @param reason receives one of AQ_END_*
/// @param error receives the error's status if the reason is AQ_END_ERROR, else AQ_OK; may be NULL
/// @param message receives the error's text (else an empty one), cut to what fits and ended by NUL; may be NULL
/// @param message_size bytes at message
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// int32_t reason;
/// char message[256];
/// aq_recv_stream_end_reason(stream, &reason, NULL, message, sizeof message);
/// if (reason == AQ_END_ERROR)
///     fprintf(stderr, "%s\n", message);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_end_reason(
    stream: *const aq_recv_stream,
    reason: *mut i32,
    error: *mut aq_status,
    message: *mut c_char,
    message_size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let (reason, error) = unsafe { (Out::new(reason, "reason")?, Out::optional(error, "error")?) };
        let end = stream.stream().end_reason();
        let failure = match &end {
            Some(EndReason::Failed(failure)) => Some(failure),
            _ => None,
        };
        // SAFETY: NULL or message_size writable bytes by the caller's contract.
        unsafe { pointer::write_text(failure.map_or("", Error::message), message, message_size) };
        if let Some(error) = error {
            error.write(failure.map_or(AQ_OK, status::of));
        }
        reason.write(match end {
            None => AQ_END_RUNNING,
            Some(EndReason::User) => AQ_END_USER,
            Some(EndReason::StopItem) => AQ_END_STOP_ITEM,
            Some(EndReason::SourceEnded) => AQ_END_SOURCE,
            Some(EndReason::RingStopped) => AQ_END_RING_STOPPED,
            Some(EndReason::PoolStopped) => AQ_END_POOL_STOPPED,
            Some(EndReason::Failed(_)) => AQ_END_ERROR,
        });
        Ok(Outcome::Done)
    })
}

/// The statistics at one moment.
///
/// @param stream the stream
/// @param stats a struct from aq_recv_stats_init()
/// @return AQ_OK; AQ_E_INVALID when the struct was not initialised
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// aq_recv_stats stats;
/// aq_recv_stats_init(&stats, sizeof stats);
/// aq_recv_stream_get_stats(stream, &stats);
/// printf("%" PRIu64 " packets, closed: %d\n", stats.packets, (int)stats.ledger_closed);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_get_stats(
    stream: *const aq_recv_stream,
    stats: *mut aq_recv_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &aq_recv_stats::from(&stream.stream().snapshot()), "stats") }
    })
}

/// How many statistics there are, the program's own included.
///
/// @param stream the stream
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_stat_count(
    stream: *const aq_recv_stream,
    count: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(count, "count") }?.write(stream.stat_names.len());
        Ok(Outcome::Done)
    })
}

fn no_such_stat(index: usize, count: usize) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("index must be below {count}, the number of statistics (got {index})"),
    )
}

/// The name of a statistic. Names stay; indices may change from one version of the library to the next.
///
/// @param stream the stream
/// @param index 0 .. aq_recv_stream_stat_count() - 1
/// @param name receives the name, valid as long as the stream
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_stat_name(
    stream: *const aq_recv_stream,
    index: usize,
    name: *mut *const c_char,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(name, "name") }?;
        let found =
            stream.stat_names.get(index).ok_or_else(|| no_such_stat(index, stream.stat_names.len()))?;
        out.write(found.as_ptr());
        Ok(Outcome::Done)
    })
}

/// The index of a statistic.
///
/// @param stream the stream
/// @param name its name, as in aq_recv_stats or as given to aq_recv_stream_config_add_stat()
/// @param index receives the index
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_stat_index(
    stream: *const aq_recv_stream,
    name: *const c_char,
    index: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(index, "index") }?;
        // SAFETY: NULL or a C text by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        let found = stream.stream().stats().index(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("name: the stream has no statistic {name:?}"))
        })?;
        out.write(found);
        Ok(Outcome::Done)
    })
}

/// The value of a statistic.
///
/// @param stream the stream
/// @param index from aq_recv_stream_stat_index() or aq_recv_stream_config_add_stat()
/// @param value receives the value
/// @return AQ_OK; AQ_E_NOT_FOUND
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_stat_value(
    stream: *const aq_recv_stream,
    index: usize,
    value: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(value, "value") }?;
        let found = stream.stream().snapshot().get(index);
        out.write(found.ok_or_else(|| no_such_stat(index, stream.stat_names.len()))?);
        Ok(Outcome::Done)
    })
}

/// The statistics of a stream in the text format of Prometheus (0.0.4), to be served as `text/plain; version=0.0.4`.
///
/// A statistic `x` of aq_recv_stats is the counter `aqueduct_recv_x_total` (`max_batch` and `packets_pending`: gauges without
/// `_total`), the program's own are `aqueduct_recv_custom_total` and `aqueduct_recv_custom_maximum` with the label `name`, and
/// `aqueduct_recv_running` is 1 until the stream has ended. Each has the label `stream`, which is the stream's `stream_id`. For several
/// streams see aq_recv_streams_metrics(): texts of single streams cannot be joined, for a metric may appear only once.
///
/// @param stream the stream
/// @param buffer receives the text, ended by NUL; may be NULL when size is 0
/// @param size the buffer's bytes; 16 KiB are enough for a stream without own statistics
/// @param needed receives how many bytes the text takes with its NUL, also when the buffer is too small; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when the buffer is too small: nothing was written to it
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// char text[32768];
/// size_t needed;
/// if (aq_recv_stream_metrics(stream, text, sizeof text, &needed) == AQ_OK)
///     respond("text/plain; version=0.0.4", text, needed - 1);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_metrics(
    stream: *const aq_recv_stream,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        let text = metrics::prometheus(&[stream.stream()])?;
        // SAFETY: the caller's contract is the same.
        unsafe { pointer::write_whole_text(&text, buffer, size, needed) }
    })
}

/// As aq_recv_stream_metrics(), for several streams in one text.
///
/// @param streams the streams; each must have a `stream_id` of its own
/// @param n_streams how many; with 0 the text has no samples
/// @param buffer receives the text, ended by NUL; may be NULL when size is 0
/// @param size the buffer's bytes
/// @param needed receives how many bytes the text takes with its NUL, also when the buffer is too small; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when the buffer is too small: nothing was written to it; AQ_E_INVALID when two streams have the
///     same identifier, or one of them is no stream
///
/// Threads: any, at the same time as all functions of the streams but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_streams_metrics(
    streams: *const *const aq_recv_stream,
    n_streams: usize,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or that many pointers by the caller's contract.
        let streams = unsafe { pointer::slice(streams, n_streams, "streams") }?;
        let borrow = |(i, &stream): (usize, &*const aq_recv_stream)| {
            // SAFETY: NULL or a live handle by the caller's contract.
            unsafe { handle::borrow(stream, &format!("streams[{i}]")) }
        };
        let handles = streams.iter().enumerate().map(borrow).collect::<Result<Vec<_>>>()?;
        let text = metrics::prometheus(&handles.iter().map(|handle| handle.stream()).collect::<Vec<_>>())?;
        // SAFETY: the caller's contract is the same.
        unsafe { pointer::write_whole_text(&text, buffer, size, needed) }
    })
}

/// Gives a chunk to be filled (again): clears its present flags and puts it on the free ring, without waiting.
///
/// @param stream a chunk stream
/// @param chunk the chunk; on AQ_OK it belongs to the stream, on any other status to the caller still (on AQ_FULL with its
///     present flags cleared). If the free ring has been stopped nobody needs the chunk any more: it is freed, and the answer
///     is AQ_OK
/// @return AQ_OK; AQ_FULL when the free ring is full: it should have a place for every chunk; AQ_E_STATE when the caller does
///     not hold the chunk, or the stream is no chunk stream
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_free_chunk(
    stream: *mut aq_recv_stream,
    chunk: *mut aq_chunk,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        let chunks = stream.chunks()?;
        // SAFETY: NULL or a chunk by the caller's contract.
        Ok(match chunks.add_free_chunk(unsafe { take(chunk) }?) {
            AddFree::Added | AddFree::Stopped(_) => Outcome::Done,
            AddFree::Full(chunk) => {
                into_handle(chunk);
                Outcome::Full
            }
        })
    })
}

/// The ring that filled chunks go to.
///
/// @param stream a chunk stream
/// @param ring receives a handle to the ring; free it with aq_chunk_ring_free(), which leaves the ring itself to the stream
/// @return AQ_OK; AQ_E_STATE when the stream is no chunk stream
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_data_ring(
    stream: *const aq_recv_stream,
    ring: *mut *mut aq_chunk_ring,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(ring, "ring") }?.write(handle::new(stream.chunks()?.data_ring().clone()));
        Ok(Outcome::Done)
    })
}

/// The ring that empty chunks come from.
///
/// @param stream a chunk stream
/// @param ring receives a handle to the ring; free it with aq_chunk_ring_free(), which leaves the ring itself to the stream
/// @return AQ_OK; AQ_E_STATE when the stream is no chunk stream
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_free_ring(
    stream: *const aq_recv_stream,
    ring: *mut *mut aq_chunk_ring,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(ring, "ring") }?.write(handle::new(stream.chunks()?.free_ring().clone()));
        Ok(Outcome::Done)
    })
}
