//! Filters
//!
//! A filter changes the chunks of a stream on their way: at an output before they are collected and published, or at an input before they are
//! kept in its history, cut to a length, and given out. Several filters work one behind the other, in the order in which they were added. Each
//! changes what the stream's params say behind it (type, shape, rate, units), and is refused at once when it does not fit what comes out of
//! the one before. Filters are added before the first frame; see docs/filters.md.
//!
//! ```c
//! aq_filter *filter;
//! aq_filter_scale_config scale;
//! aq_filter_scale_config_init(&scale, sizeof scale);
//! scale.use_params = 1;                          // the scale and offset that the stream's params say
//! check(aq_filter_scale_new(&scale, &filter));
//! check(aq_input_stream_add_filter(input, filter));
//! aq_filter_free(filter);                        // the input has what it needs
//! ```

use std::ffi::c_char;
use std::ptr;

use parking_lot::Mutex;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_stream::aq_output_stream;
use super::pointer::{Out, slice};
use super::sized::{self, SizedStruct, flag};
use super::status::aq_status;
use super::text;
use crate::error::{Error, Result};
use crate::signal::array::MAX_AXES;
use crate::signal::filter::{
    Cast, Channels, Decimate, Factors, Field, Filter, Precision, Refused, Reshape, Scale,
};
use crate::signal::numpy::parse_dtype;

/// A filter that is made and may be added to one end of a stream.
pub struct aq_filter {
    _opaque: [u8; 0],
}

// The lock turns the caller's mistake, two threads that add the same filter, into something that is defined.
impl Opaque for aq_filter {
    const NAME: &'static str = "aq_filter";
    type Inner = Mutex<Option<Box<dyn Filter>>>;
}

/// The last axis of a stream, whichever that is.
pub const AQ_LAST_AXIS: i32 = -1;

/// A new handle of a filter.
pub fn new_handle(filter: impl Filter + 'static) -> *mut aq_filter {
    let filter: Box<dyn Filter> = Box::new(filter);
    handle::new(Mutex::new(Some(filter)))
}

/// Moves the filter out of its handle and into a stream by `add`; back, if it is refused.
///
/// # Safety
/// `filter` is NULL or a live handle.
unsafe fn take(
    filter: *mut aq_filter,
    add: impl FnOnce(Box<dyn Filter>) -> Result<(), Refused>,
) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    let handle = unsafe { handle::borrow(filter, "filter") }?;
    let found = handle.lock().take();
    let filter = found.ok_or_else(|| Error::state("filter: it has been added to a stream already"))?;
    add(filter).map(|()| Outcome::Done).map_err(|Refused { filter, error }| {
        *handle.lock() = Some(filter);
        error
    })
}

/// How values are scaled. Initialise it with aq_filter_scale_config_init(), then set what differs from the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_filter_scale_config {
    /// Set by aq_filter_scale_config_init().
    pub struct_size: usize,
    /// What values are multiplied by: finite. Default 1.
    pub scale: f64,
    /// What is added then: finite. Default 0.
    pub offset: f64,
    /// 1: the stream's params say scale and offset, and the two fields above must be 1 and 0. Default 0.
    pub use_params: i32,
    /// Bits of the floats that values become: 32 or 64. Default 0: 64 for what float32 cannot hold without a loss (integers of 32 and 64 bits,
    /// float64, complex128), else 32.
    pub float_bits: u32,
    /// The unit of values then; copied. NULL: as the stream's params say.
    pub units: *const c_char,
}

// SAFETY: numbers and a pointer; an i32 and a u32 fill 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_filter_scale_config {
    const NAME: &'static str = "aq_filter_scale_config";
    const FIRST_SIZE: usize = 40;
    const DEFAULT: Self =
        Self { struct_size: 0, scale: 1.0, offset: 0.0, use_params: 0, float_bits: 0, units: ptr::null() };
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_scale_config_init(
    config: *mut aq_filter_scale_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// A filter that multiplies each value by a factor, and adds an offset: computed in float64, rounded once. Values are then in the stream's
/// units: its params have neither scale nor offset any more. Complex numbers stay complex, and the offset is added to the real part.
///
/// @param config how; copied
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_scale_new(
    config: *const aq_filter_scale_config,
    out: *mut *mut aq_filter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read(config, "config") }?;
        let (scale, offset) = (config.scale, config.offset);
        let factors = match flag(config.use_params, "config: use_params")? {
            false => Factors::Given { scale, offset },
            true if (scale, offset) == (1.0, 0.0) => Factors::OfParams,
            true => {
                let rule = "config: scale and offset must be 1 and 0 when use_params is 1";
                return Err(Error::invalid(format!("{rule} (got {scale} and {offset})")));
            }
        };
        let precision = match config.float_bits {
            0 => Precision::AsNeeded,
            32 => Precision::Single,
            64 => Precision::Double,
            bits => {
                return Err(Error::invalid(format!("config: float_bits must be 0, 32 or 64 (got {bits})")));
            }
        };
        let filter = Scale::new(factors, precision)?;
        // SAFETY: NULL or a string by the caller's contract.
        out.write(match unsafe { text::optional(config.units, "config: units") }? {
            Some(units) => new_handle(filter.with_units(units)),
            None => new_handle(filter),
        });
        Ok(Outcome::Done)
    })
}

/// A filter that converts elements to another type: any number to any other, and anything to itself in another byte order, lists of fields
/// included.
///
/// Numbers are converted as numpy's astype does it: floats that become integers lose what is behind the point, of complex numbers that become
/// real the real part is taken, what is not 0 becomes true. But numbers that the new type cannot hold become the nearest that it can, and NaN
/// becomes 0 where there is none: a sample out of range shows at the rail. (numpy wraps integers around, and leaves floats to the processor.)
///
/// @param dtype as in aq_output_stream_config; NULL: the stream's own type in this machine's byte order
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_FORMAT when dtype is none
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_cast_new(dtype: *const c_char, out: *mut *mut aq_filter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        out.write(new_handle(match unsafe { text::optional(dtype, "dtype") }? {
            Some(dtype) => Cast::to(parse_dtype(dtype)?),
            None => Cast::to_native(),
        }));
        Ok(Outcome::Done)
    })
}

/// A filter that takes some elements of an axis: channels mostly. Elements may be of any type. Nothing is copied when the channels have equal
/// distances (0, 1, 2 or 6, 4, 2).
///
/// @param channels which ones, in which order, each as often as it is there; copied
/// @param count how many, at least 1
/// @param axis the axis, at least 1 (0 is time); AQ_LAST_AXIS
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_INVALID when count is 0 or axis out of range
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_channels_new(
    channels: *const usize,
    count: usize,
    axis: i32,
    out: *mut *mut aq_filter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        if count == 0 {
            return Err(Error::invalid("count must be at least 1 (got 0)"));
        }
        // SAFETY: NULL or that many numbers by the caller's contract.
        let channels = unsafe { slice(channels, count, "channels") }?;
        out.write(new_handle(match axis {
            AQ_LAST_AXIS => Channels::new(channels),
            1.. => Channels::of_axis(axis as usize, channels),
            _ => {
                return Err(Error::invalid(format!("axis must be at least 1, or AQ_LAST_AXIS (got {axis})")));
            }
        }));
        Ok(Outcome::Done)
    })
}

/// A filter that takes one field of a stream whose elements are lists of fields. Nothing is copied. Axes that the field has itself come behind
/// those of the stream.
///
/// @param name the field's name
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_field_new(name: *const c_char, out: *mut *mut aq_filter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        out.write(new_handle(Field::new(unsafe { text::required(name, "name") }?)));
        Ok(Outcome::Done)
    })
}

/// A filter that takes every n-th frame: those whose index is a multiple of n, which is then their new index times n, whatever chunks and gaps
/// there are. The index behind a chunk becomes itself over n, rounded up. There is no low-pass filter in it. Nothing is copied.
///
/// @param every n, at least 1
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_INVALID when every is 0
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_decimate_new(every: usize, out: *mut *mut aq_filter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(new_handle(Decimate::new(every)?));
        Ok(Outcome::Done)
    })
}

/// A filter that gives frames other axes, with their elements in C order. Copied only where they lie in another order.
///
/// @param frame_shape elements along each axis but time, positive; one may be -1: as many as there are. May be NULL when ndim is 0; copied
/// @param ndim how many axes: 0 to 63; with 0 each frame is one element
/// @param out receives the filter; free it with aq_filter_free()
/// @return AQ_OK; AQ_E_INVALID when ndim is out of range
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_reshape_new(
    frame_shape: *const i64,
    ndim: usize,
    out: *mut *mut aq_filter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        check_ndim(ndim, "ndim")?;
        // SAFETY: NULL or that many numbers by the caller's contract.
        out.write(new_handle(Reshape::new(unsafe { slice(frame_shape, ndim, "frame_shape") }?)));
        Ok(Outcome::Done)
    })
}

/// A frame has one axis less than an array may have.
pub fn check_ndim(ndim: usize, name: &str) -> Result<()> {
    if ndim < MAX_AXES {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be 0 to {} (got {ndim})", MAX_AXES - 1)))
}

/// Adds a filter to an output, behind those that it has. Frames are then still sent as the output was made for; its params
/// (aq_output_stream_params_json(), aq_output_stream_get_info()) say what inputs get: give them to inputs when all filters are there.
///
/// @param output the output, by which no frame has been sent
/// @param filter the filter, which the output has from then on; its handle may be freed
/// @return AQ_OK; AQ_E_INVALID when the filter does not fit the stream: the message says why; AQ_E_STATE when frames have been sent, or the
///     filter has been added already; AQ_E_IO when the file of AQ_TRANSFER_SHAREDMEM cannot be made anew. After an error everything
///     is as before
///
/// Threads: as aq_output_stream_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_add_filter(
    output: *mut aq_output_stream,
    filter: *mut aq_filter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let mut stream = output.stream.enter()?;
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { take(filter, |filter| stream.add_filter(filter)) }
    })
}

/// Adds a filter to an input, behind those that it has. The input's params then say what it gives out.
///
/// @param input the input, which has received no chunk yet, and keeps no frames (aq_input_stream_set_buffer() comes after)
/// @param filter the filter, which the input has from then on; its handle may be freed
/// @return AQ_OK; AQ_E_INVALID when the filter does not fit the stream: the message says why; AQ_E_STATE when chunks have been received or
///     frames are kept, or the filter has been added already. After an error everything is as before
///
/// Threads: as aq_input_stream_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_add_filter(
    input: *mut aq_input_stream,
    filter: *mut aq_filter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        let mut stream = input.stream.enter()?;
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { take(filter, |filter| stream.add_filter(filter)) }
    })
}

/// Frees a filter's handle. A stream that the filter was added to keeps it.
///
/// @param filter the filter, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no filter, or freed already as far as that can be seen
///
/// Threads: no other call on this filter may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_filter_free(filter: *mut aq_filter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(filter, "filter") }
    })
}
