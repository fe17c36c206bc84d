//! Histories
//!
//! A history keeps the latest frames of a stream by their index, and gives any window of them in one piece, without a copy. Inputs keep one
//! if they are told so; it can also be used alone. One thread appends at a time, any number look. A shared history lies in shared
//! memory: other processes open it by its name, and look at the same frames while they are appended.
//!
//! What is looked at is overwritten at some time, and so is told: first look at a view, then ask aq_array_view_check() or
//! aq_array_view_release(); the functions that copy do so themselves.
//!
//! ```c
//! aq_history_config config;
//! aq_history_config_init(&config, sizeof config);
//! const size_t shape[] = {100000, 16};           // the latest 100000 frames of 16 channels
//! config.dtype = "<f4"; config.shape = shape; config.ndim = 2; config.shared = 1;
//! check(aq_history_new(&config, &history));
//! aq_history_append(history, frames, 500, AQ_INDEX_NEXT);
//! aq_history_latest(history, 1000, &view);       // 500 of them are filled
//! ```

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::array_view::{ViewOut, aq_array_view};
use super::guard::{Outcome, guard};
use super::handle::{self, Borrowed, Opaque};
use super::output_config::axes;
use super::output_send::index;
use super::pointer::{Out, slice, write_whole_text};
use super::signal::known;
use super::sized::{self, SizedStruct, flag};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::array::Layout;
use crate::signal::history::{History, HistoryConfig, Waited, Window};
use crate::signal::numpy::{dtype_to_json, parse_dtype};

/// Of a slice: its end is not given, it goes as far as there are frames.
pub const AQ_SLICE_ALL: i64 = 9_223_372_036_854_775_807;

/// A history.
pub struct aq_history {
    _opaque: [u8; 0],
}

impl Opaque for aq_history {
    const NAME: &'static str = "aq_history";
    type Inner = HistoryHandle;
}

/// What a handle owns.
pub struct HistoryHandle {
    /// The history, which others may hold, too.
    pub history: Arc<History>,
    /// Its configuration for C.
    dtype: CString,
    shape: Vec<usize>,
}

impl HistoryHandle {
    /// A handle's content.
    pub fn new(history: Arc<History>) -> Self {
        let config = history.config();
        let dtype = match dtype_to_json(&config.dtype) {
            serde_json::Value::String(name) => name,
            fields => fields.to_string(),
        };
        let shape = std::iter::once(config.frames).chain(config.frame_shape.iter().copied()).collect();
        // C's texts have no zero bytes.
        Self { dtype: CString::new(dtype.replace('\0', " ")).unwrap_or_default(), shape, history }
    }
}

/// What a history keeps. Initialise it with aq_history_config_init(), then set `shape` and `ndim` at least. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_history_config {
    /// Set by aq_history_config_init().
    pub struct_size: usize,
    /// The type of elements, as in aq_output_stream_config; NULL: "float32".
    pub dtype: *const c_char,
    /// `ndim` numbers, each at least 1: how many frames it keeps, and the shape of a frame.
    pub shape: *const usize,
    /// Axes: 1 to 64; the default of 0 must be replaced.
    pub ndim: usize,
    /// The order in which axes lie in memory, time being axis 0, from the one that varies last: each of 0 to ndim - 1 once. NULL: C order.
    /// {1, 0} has each channel in one piece.
    pub axisorder: *const usize,
    /// The value of frames that nobody sent; NaN, the default: NaN, or 0 for what has none.
    pub fill: f64,
    /// 1: in shared memory, for other processes of this host and user to look at. Default 0.
    pub shared: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers; an i32 and a u32 fill 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_history_config {
    const NAME: &'static str = "aq_history_config";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self = Self {
        struct_size: 0,
        dtype: ptr::null(),
        shape: ptr::null(),
        ndim: 0,
        axisorder: ptr::null(),
        fill: f64::NAN,
        shared: 0,
        reserved: 0,
    };
}

impl aq_history_config {
    /// The core's history.
    ///
    /// # Safety
    /// Texts are NULL or strings, lists NULL or as long as is said.
    unsafe fn make(&self) -> Result<History> {
        sized::reserved(self.reserved, "config: reserved")?;
        // SAFETY: the caller's promise.
        let dtype = unsafe { text::optional(self.dtype, "dtype") }?;
        // SAFETY: the caller's promise.
        let shape = unsafe { axes(self.shape, self.ndim, "shape") }?;
        let Some((&frames, frame)) = shape.and_then(<[usize]>::split_first) else {
            return Err(Error::invalid("shape must not be NULL"));
        };
        let axisorder = match self.axisorder.is_null() {
            true => None,
            // SAFETY: the caller's promise: one number for each axis.
            false => Some(unsafe { slice(self.axisorder, self.ndim, "axisorder") }?.to_vec()),
        };
        let config = HistoryConfig {
            dtype: parse_dtype(dtype.unwrap_or("float32"))?,
            frame_shape: frame.to_vec(),
            frames,
            axisorder,
            fill: known(self.fill),
        };
        if flag(self.shared, "shared")? { History::share(&config) } else { History::new(&config) }
    }
}

/// Copies a window to the argument `buffer`, in C order.
///
/// # Safety
/// `buffer` is NULL or has `size` bytes that may be written.
pub unsafe fn copy_out(
    history: &History,
    window: &Window,
    buffer: *mut c_void,
    size: usize,
) -> Result<Outcome> {
    let needed = window.layout.size();
    if buffer.is_null() && needed > 0 {
        return Err(Error::invalid("buffer must not be NULL"));
    }
    if size < needed {
        let reason = format!("size must be at least {needed}, the bytes of these frames (got {size})");
        return Err(Error::new(ErrorKind::Truncated, reason));
    }
    // SAFETY: as many bytes by the caller's promise, none of ours.
    unsafe { history.copy_window_to(window, buffer.cast()) }?;
    Ok(Outcome::Done)
}

/// The end of a slice.
pub fn slice_end(number: i64) -> Option<i64> {
    Some(number).filter(|&number| number != AQ_SLICE_ALL)
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_config_init(
    config: *mut aq_history_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes a history. Its index is 0, and all frames before are filled.
///
/// @param config what it keeps; copied
/// @param out receives the history; free it with aq_history_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype is none; AQ_E_NOMEM; AQ_E_UNSUPPORTED when it is to
///     be shared, and axisorder has more than 1024 elements in the axes before time; AQ_E_IO
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_new(
    config: *const aq_history_config,
    out: *mut *mut aq_history,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read(config, "config") }?;
        // SAFETY: texts and lists by the caller's contract.
        let history = unsafe { config.make() }?;
        out.write(handle::new(HistoryHandle::new(Arc::new(history))));
        Ok(Outcome::Done)
    })
}

/// Opens a history that another process of this host and user has shared, to look at it. It stays readable when that process has ended.
///
/// @param name as aq_history_name() tells it there
/// @param out receives the history; free it with aq_history_free()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none of that name, or no longer; AQ_E_INVALID when it cannot be a name; AQ_E_STATE when 1024 look
///     at it already; AQ_E_VERSION when it is of a version that cannot be read; AQ_E_FORMAT or AQ_E_TRUNCATED when it is no history; AQ_E_IO
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_open(name: *const c_char, out: *mut *mut aq_history) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        out.write(handle::new(HistoryHandle::new(Arc::new(History::open(name)?))));
        Ok(Outcome::Done)
    })
}

/// The name by which others open a shared history.
///
/// @param history the history
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer; AQ_E_STATE when the history is not shared
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_name(
    history: *const aq_history,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        let name = history.history.name();
        let name = name.ok_or_else(|| Error::state("history: it is not shared, and has no name"))?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(name, buffer, size, needed) }
    })
}

/// What a history keeps; also of one that was opened. `axisorder` is NULL.
///
/// @param history the history
/// @param config receives it; initialised with aq_history_config_init(). What it points to belongs to the handle
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_get_config(
    history: *const aq_history,
    config: *mut aq_history_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        let value = aq_history_config {
            dtype: history.dtype.as_ptr(),
            shape: history.shape.as_ptr(),
            ndim: history.shape.len(),
            fill: history.history.config().fill.unwrap_or(f64::NAN),
            shared: history.history.name().is_some().into(),
            ..aq_history_config::DEFAULT
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}

/// Appends frames. Frames that an index ahead skips are filled.
///
/// @param history a history of this process
/// @param data the frames: elements of its dtype, in C order; copied; may be NULL when there are none
/// @param frames how many: at most as many as it keeps
/// @param index the index behind the last of them, or AQ_INDEX_NEXT
/// @return AQ_OK; AQ_E_INVALID when there are too many, or the index would go back; AQ_E_STATE when the history is another process's
///
/// Threads: one at a time; others wait. Any may look meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_append(
    history: *mut aq_history,
    data: *const c_void,
    frames: usize,
    index: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history: Borrowed<'_, aq_history> = unsafe { handle::borrow(history, "history") }?;
        let index = self::index(index)?.map(u64::cast_signed);
        let config = history.history.config();
        let shape: Vec<usize> = std::iter::once(frames).chain(config.frame_shape.iter().copied()).collect();
        let layout = Layout::c_order(config.dtype.size(), &shape)?;
        // SAFETY: NULL or that many frames by the caller's contract.
        let data = unsafe { slice(data.cast::<u8>(), layout.size(), "data") }?;
        // SAFETY: as many bytes as the layout tells.
        unsafe { history.history.append(data.as_ptr(), &layout, index) }?;
        Ok(Outcome::Done)
    })
}

/// The frames from `start` to before `stop`, where they are.
///
/// @param history the history
/// @param start the index of the first: at least aq_history_first_index()
/// @param stop the index behind the last: at most aq_history_index()
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or not any more; AQ_E_STATE when the view holds something
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_get(
    history: *const aq_history,
    start: i64,
    stop: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let window = history.history.window(start, stop)?;
        view.window(history.history.clone(), window)
    })
}

/// Every `step`th frame from `start` on to before `stop`, where they are, as numpy's `[start:stop:step]`: negative ends count from the newest
/// frame back, a negative step has time run backwards. No end is moved: one that is not within the frames that are there is an error.
///
/// @param history the history
/// @param start where to begin; AQ_SLICE_ALL: with the oldest frame, or the newest if step is negative
/// @param stop where to end; AQ_SLICE_ALL: behind the newest frame, or the oldest if step is negative
/// @param step not 0
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when an end is not there; AQ_E_INVALID when step is 0; AQ_E_STATE when the view holds something
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_get_slice(
    history: *const aq_history,
    start: i64,
    stop: i64,
    step: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let window = history.history.slice(slice_end(start), slice_end(stop), step)?;
        view.window(history.history.clone(), window)
    })
}

/// The newest frames, where they are. Those from before the first one are filled.
///
/// @param history the history
/// @param frames how many: at most as many as it keeps
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when it does not keep as many; AQ_E_STATE when the view holds something
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_latest(
    history: *const aq_history,
    frames: usize,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let window = history.history.latest(frames)?;
        view.window(history.history.clone(), window)
    })
}

/// Copies the frames from `start` to before `stop`, in C order.
///
/// @param history the history
/// @param start the index of the first: at least aq_history_first_index()
/// @param stop the index behind the last: at most aq_history_index()
/// @param buffer receives them; may be NULL when there are none. After an error, what is in it is not to be used
/// @param size its bytes
/// @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or were overwritten while they were copied; AQ_E_TRUNCATED when they do not fit
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_copy(
    history: *const aq_history,
    start: i64,
    stop: i64,
    buffer: *mut c_void,
    size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        let window = history.history.window(start, stop)?;
        // SAFETY: NULL or that many bytes by the caller's contract.
        unsafe { copy_out(&history.history, &window, buffer, size) }
    })
}

/// The index of the oldest frame; negative before there have been as many as it keeps: those read as filled.
///
/// @param history the history
/// @param index receives it, which may be another at once
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_first_index(history: *const aq_history, index: *mut i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(index, "index") }?.write(history.history.first_index());
        Ok(Outcome::Done)
    })
}

/// The index behind the newest frame.
///
/// @param history the history
/// @param index receives it, which may be another at once
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_index(history: *const aq_history, index: *mut i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(index, "index") }?.write(history.history.index());
        Ok(Outcome::Done)
    })
}

/// Waits until the index is `index` or more.
///
/// @param history the history
/// @param index which
/// @param timeout_ns how long to wait; see Waiting
/// @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when it is not; AQ_STOPPED when it will not be, as the process that appended has ended, or freed it
///
/// Threads: any number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_wait(
    history: *const aq_history,
    index: i64,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        let wait = wait(timeout_ns)?;
        Ok(match history.history.wait(index, wait) {
            Waited::There => Outcome::Done,
            Waited::Ended => Outcome::Stopped,
            Waited::TimedOut if wait == Wait::No => Outcome::Empty,
            Waited::TimedOut => Outcome::TimedOut,
        })
    })
}

/// Begins again at index 0. What is in it stays and counts as older; views of before are reported as overwritten.
///
/// @param history a history of this process
/// @return AQ_OK; AQ_E_STATE when the history is another process's
///
/// Threads: as aq_history_append().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_reset(history: *mut aq_history) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let history = unsafe { handle::borrow(history, "history") }?;
        history.history.check_own()?;
        history.history.reset();
        Ok(Outcome::Done)
    })
}

/// Frees a history. Views that are held stay valid, and so does the history of an input, and what other processes have opened.
///
/// @param history the history, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no history, or freed already as far as that can be seen
///
/// Threads: no other call on this history may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_free(history: *mut aq_history) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(history, "history") }
    })
}
