//! Filters in C
//!
//! A function of the program as a filter. It looks at the frames of a chunk, and says what is left of them: frames that it writes to memory
//! which it asks for, the same frames, or, if it says nothing, none.
//!
//! ```c
//! static aq_status rectify(const aq_filter_frames *in, aq_filter_output *out, void *user)
//! {
//!     float *to;
//!     const char *from = in->data;               // float32, one axis beside time
//!     aq_status status = aq_filter_output_frames(out, in->frames, (void **)&to);
//!     for (size_t i = 0; status == AQ_OK && i < in->frames; i++)
//!         for (size_t j = 0; j < in->shape[1]; j++)
//!             *to++ = fabsf(*(const float *)(from + (ptrdiff_t)i * in->strides[0] + (ptrdiff_t)j * in->strides[1]));
//!     return status;
//! }
//!
//! check(aq_filter_callback_new(NULL, rectify, NULL, NULL, &filter));
//! ```

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::callback::{Callback, aq_user_free_fn};
use super::filter::{aq_filter, check_ndim, new_handle};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice};
use super::signal::{dtype_text, known};
use super::sized::{self, SizedStruct};
use super::status::{self, aq_status};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::filter::{Frames, Function, Writer};
use crate::signal::numpy::parse_dtype;
use crate::signal::params::Params;
use crate::spead::dtype::Dtype;

/// The frames that a filter gets. Everything in it is valid until the function returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_filter_frames {
    /// The bytes of this struct; later versions have more fields at its end.
    pub struct_size: usize,
    /// Element (0, 0, ...); read-only. It is aligned as whoever sent it has aligned it.
    pub data: *const c_void,
    /// The type of elements, as in aq_stream_info.
    pub dtype: *const c_char,
    /// Bytes of an element.
    pub item_size: usize,
    /// Axes, at least 1; the first is time.
    pub ndim: usize,
    /// Elements along each axis.
    pub shape: *const usize,
    /// Bytes from one element to the next along each axis; may be negative.
    pub strides: *const isize,
    /// The number of frames, at least 1: the first number of shape.
    pub frames: usize,
    /// The index behind the last frame. It goes back when the stream begins again, and when frames are sent again that the transport had refused.
    pub index: i64,
    /// 1 if all elements are in C order without gaps from `data` on.
    pub contiguous: i32,
    /// 0.
    pub reserved: u32,
}

/// Where a filter tells what is left of the frames; it exists until the function returns.
pub struct aq_filter_output {
    _opaque: [u8; 0],
}

impl Opaque for aq_filter_output {
    const NAME: &'static str = "aq_filter_output";
    type Inner = Mutex<Writing>;
}

/// The writer of a call that is running.
pub struct Writing(*mut Writer<'static>);

// SAFETY: the writer is used under the lock only, by functions that the callback calls before it returns.
unsafe impl Send for Writing {}

impl Writing {
    /// Uses the writer of the argument `output`.
    ///
    /// # Safety
    /// `output` is NULL or a live handle; its callback has not returned.
    unsafe fn with<R>(
        output: *mut aq_filter_output,
        f: impl FnOnce(&mut Writer<'static>) -> Result<R>,
    ) -> Result<R> {
        // SAFETY: the caller's promise.
        let handle = unsafe { handle::borrow(output, "output") }?;
        let writing = handle.lock();
        let writer = writing.0;
        // SAFETY: the writer lives until the callback has returned; the lock keeps others away.
        f(unsafe { &mut *writer })
    }
}

/// Filters frames.
///
/// - called from: whichever thread sends through the output, or receives from the input, that it was added to; one call at a time
/// - may block: shortly; the sender or receiver waits, and so do others of the same stream
/// - may call: any function of this library, but what sends through, receives from or changes the same end of the stream, which is AQ_E_STATE;
///   the end's params and statistics can be read
/// - valid until: it returns, `frames` and all in it, and `output`
/// - on error: it answers a negative number (an AQ_E_*), which the call that sends or receives then answers, too: these frames are lost for
///   whoever receives, or not taken by the output, and the stream goes on
pub type aq_filter_fn = Option<
    unsafe extern "C" fn(
        frames: *const aq_filter_frames,
        output: *mut aq_filter_output,
        user: *mut c_void,
    ) -> aq_status,
>;

/// What a filter in C makes of a stream. Initialise it with aq_filter_callback_config_init(), then set what it changes. Texts and lists are
/// copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_filter_callback_config {
    /// Set by aq_filter_callback_config_init().
    pub struct_size: usize,
    /// What it is called in errors; NULL: "callback".
    pub name: *const c_char,
    /// The type that frames must have that come, as in aq_output_stream_config; NULL: any.
    pub require_dtype: *const c_char,
    /// The type of the frames that it makes; NULL: that of those that come.
    pub dtype: *const c_char,
    /// The shape of the frames that it makes, without time: positive numbers; NULL: that of those that come.
    pub frame_shape: *const i64,
    /// Numbers in frame_shape: 0 to 63. With 0, and a frame_shape that is not NULL, frames are single elements.
    pub frame_ndim: usize,
    /// Frames per second that it makes; NaN, the default: as many as come.
    pub sample_rate: f64,
    /// The unit of values; NULL: as before.
    pub units: *const c_char,
}

// SAFETY: numbers and pointers of 64 bits each; any bytes are valid.
unsafe impl SizedStruct for aq_filter_callback_config {
    const NAME: &'static str = "aq_filter_callback_config";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        name: ptr::null(),
        require_dtype: ptr::null(),
        dtype: ptr::null(),
        frame_shape: ptr::null(),
        frame_ndim: 0,
        sample_rate: f64::NAN,
        units: ptr::null(),
    };
}

/// What is changed of the params.
struct Changes {
    required: Option<Dtype>,
    dtype: Option<Dtype>,
    frame: Option<Vec<i64>>,
    sample_rate: Option<f64>,
    units: Option<String>,
}

impl Changes {
    /// # Safety
    /// Texts are NULL or strings, lists NULL or as long as is said.
    unsafe fn new(config: &aq_filter_callback_config) -> Result<Self> {
        let dtype = |pointer, name| {
            // SAFETY: the caller's promise.
            unsafe { text::optional(pointer, name) }?.map(parse_dtype).transpose()
        };
        check_ndim(config.frame_ndim, "config: frame_ndim")?;
        let frame = match config.frame_shape.is_null() {
            true if config.frame_ndim > 0 => {
                return Err(Error::invalid(format!(
                    "config: frame_shape must not be NULL when frame_ndim is {}",
                    config.frame_ndim
                )));
            }
            true => None,
            false => {
                // SAFETY: the caller's promise.
                let shape = unsafe { slice(config.frame_shape, config.frame_ndim, "config: frame_shape") }?;
                Some(shape.to_vec())
            }
        };
        Ok(Self {
            required: dtype(config.require_dtype, "config: require_dtype")?,
            dtype: dtype(config.dtype, "config: dtype")?,
            frame,
            sample_rate: known(config.sample_rate),
            // SAFETY: the caller's promise.
            units: unsafe { text::optional(config.units, "config: units") }?.map(str::to_owned),
        })
    }

    fn apply(&self, params: &mut Params) -> Result<()> {
        if let Some(required) = &self.required
            && *required != params.dtype
        {
            return Err(Error::invalid(format!(
                "the stream's dtype must be {required} (got {})",
                params.dtype
            )));
        }
        if let Some(dtype) = &self.dtype {
            params.dtype.clone_from(dtype);
        }
        if let Some(frame) = &self.frame {
            if frame.len() + 1 != params.shape.len() {
                params.axisorder = None;
            }
            params.shape.truncate(1);
            params.shape.extend(frame);
        }
        // It may make as many frames as it likes.
        params.shape[0] = -1;
        params.sample_rate = self.sample_rate.unwrap_or(params.sample_rate);
        if let Some(units) = &self.units {
            params.units.clone_from(units);
        }
        Ok(())
    }
}

/// Calls the function with frames of a dtype that is written like this.
fn call(
    callback: &Callback<
        unsafe extern "C" fn(*const aq_filter_frames, *mut aq_filter_output, *mut c_void) -> aq_status,
    >,
    dtype: &CString,
    frames: &Frames<'_>,
    writer: &mut Writer<'_>,
) -> Result<()> {
    let layout = frames.layout();
    let given = aq_filter_frames {
        struct_size: size_of::<aq_filter_frames>(),
        // SAFETY: the first element is one of those that can be read; there is one, as chains do not filter empty chunks.
        data: unsafe { frames.as_ptr().add(layout.offset()) }.cast(),
        dtype: dtype.as_ptr(),
        item_size: layout.item(),
        ndim: layout.shape().len(),
        shape: layout.shape().as_ptr(),
        strides: layout.strides().as_ptr(),
        frames: frames.frames(),
        // Streams have no larger one.
        index: frames.index() as i64,
        contiguous: layout.is_c_order().into(),
        reserved: 0,
    };
    // The lifetime is that of this call, after which the handle is gone.
    let output = handle::new::<aq_filter_output>(Mutex::new(Writing(ptr::from_mut(writer).cast())));
    // SAFETY: the maker of the filter promised a function of this contract; all pointers are valid for the call.
    let answer = unsafe { (callback.function)(&raw const given, output, callback.user.pointer()) };
    // SAFETY: made above; nobody may use it any more by the callback's contract.
    unsafe { handle::free(output, "output") }?;
    if answer < 0 {
        let kind = status::kind(answer).unwrap_or(ErrorKind::Io);
        return Err(Error::new(kind, format!("the program's function answered {answer}")));
    }
    Ok(())
}

/// Writes the defaults: the filter changes nothing of the params.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_callback_config_init(
    config: *mut aq_filter_callback_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// A filter that calls a function of the program.
///
/// @param config what it makes of the stream; copied; NULL: frames of the same type and shape
/// @param function filters frames
/// @param user what it is called with
/// @param user_free releases user, when the filter and the stream that has it are freed
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_INVALID when function is NULL or a field of config is out of range; AQ_E_FORMAT when a dtype is none
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_callback_new(
    config: *const aq_filter_callback_config,
    function: aq_filter_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_filter,
) -> aq_status {
    // SAFETY: the caller's contract.
    let callback = unsafe { Callback::new(function, user, user_free) };
    guard(|| {
        let callback = callback.required("function")?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: texts and lists by the caller's contract.
        let changes = unsafe { Changes::new(&config) }?;
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::optional(config.name, "config: name") }?.unwrap_or("callback");
        // Of what comes: written when the filter is added, read when it is called.
        let dtype = Arc::new(Mutex::new(Arc::new(CString::default())));
        let found = dtype.clone();
        let describe = move |params: &mut Params| {
            *found.lock() = Arc::new(CString::new(dtype_text(params)).unwrap_or_default());
            changes.apply(params)
        };
        let filter = Function::new(name, describe, move |frames: &Frames<'_>, writer: &mut Writer<'_>| {
            let dtype = dtype.lock().clone();
            call(&callback, &dtype, frames, writer)
        });
        out.write(new_handle(filter));
        Ok(Outcome::Done)
    })
}

/// Memory for the frames that a filter makes: in C order, of the type and shape that its config says, all zero, beginning on a cache line. They
/// take the place of those that came; frames of an earlier call are forgotten.
///
/// @param output what the filter was called with
/// @param frames how many; 0: none are left
/// @param data receives where to write them, until the filter returns
/// @return AQ_OK; AQ_E_NOMEM; AQ_E_INVALID when no memory holds so many
///
/// Threads: the filter's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_output_frames(
    output: *mut aq_filter_output,
    frames: usize,
    data: *mut *mut c_void,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let data = unsafe { Out::new(data, "data") }?;
        // SAFETY: NULL or a live handle, while the filter runs, by the caller's contract.
        data.write(unsafe {
            Writing::with(output, |writer| Ok(writer.frames(frames)?.as_mut_ptr().cast()))
        }?);
        Ok(Outcome::Done)
    })
}

/// The index behind the last of the frames that a filter makes; without this call it is that of the frames that came. Indices must not go back.
///
/// @param output what the filter was called with
/// @param index the index, at least 0
/// @return AQ_OK; AQ_E_INVALID when index is negative
///
/// Threads: the filter's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_output_index(output: *mut aq_filter_output, index: i64) -> aq_status {
    guard(|| {
        let number = u64::try_from(index)
            .map_err(|_| Error::invalid(format!("index must be at least 0 (got {index})")))?;
        // SAFETY: NULL or a live handle, while the filter runs, by the caller's contract.
        unsafe {
            Writing::with(output, |writer| {
                writer.index(number);
                Ok(())
            })
        }?;
        Ok(Outcome::Done)
    })
}

/// The frames go on as they are, without a copy.
///
/// @param output what the filter was called with
/// @return AQ_OK; AQ_E_STATE when the filter changes the type or shape of the stream
///
/// Threads: the filter's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_output_same(output: *mut aq_filter_output) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle, while the filter runs, by the caller's contract.
        unsafe { Writing::with(output, Writer::same) }?;
        Ok(Outcome::Done)
    })
}
