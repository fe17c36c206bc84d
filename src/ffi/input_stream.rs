//! Input streams
//!
//! An input receives the frames that an output sends from the time on that it connects, in order, and is told exactly which ones are missing.
//! It can keep the latest frames in a history (aq_input_stream_set_buffer()), to be looked at by their index.

use std::ffi::c_char;
use std::ptr;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::output_stream::axes;
use super::pointer::{Out, write_whole_text};
use super::signal::{Described, aq_stream_info, protocol, transfermode};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::error::Result;
use crate::signal::input::Input;
use crate::signal::numpy::parse_dtype;
use crate::signal::open::InputConfig;
use crate::signal::params::Params;
use crate::signal::requirements::Requirements;
use crate::signal::shared::SharedInput;

/// Of a requirement: any will do.
pub const AQ_ANY: i32 = -1;

/// An input.
pub struct aq_input_stream {
    _opaque: [u8; 0],
}

impl Opaque for aq_input_stream {
    const NAME: &'static str = "aq_input_stream";
    type Inner = InputHandle;
}

/// What a handle owns.
pub struct InputHandle {
    /// The input, which others may hold, too.
    pub stream: SharedInput,
    described: Described,
}

impl InputHandle {
    /// A handle's content.
    pub fn new(stream: SharedInput) -> Self {
        Self { stream, described: Described::default() }
    }
}

/// How an input receives, and what it requires of the stream. Initialise it with aq_input_stream_config_init(), then set what differs from the
/// defaults. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_input_stream_config {
    /// Set by aq_input_stream_config_init().
    pub struct_size: usize,
    /// Frames of each chunk, in front of a gap and at the end fewer. Default 0: chunks as they were sent.
    pub chunk_frames: usize,
    /// The protocol that the stream must have: one of AQ_PROTOCOL_*. Default AQ_ANY.
    pub require_protocol: i32,
    /// The transfer mode that it must have: one of AQ_TRANSFER_*. Default AQ_ANY.
    pub require_transfermode: i32,
    /// The type that its elements must have, as in aq_output_stream_config; NULL: any.
    pub require_dtype: *const c_char,
    /// The shape that its chunks must have; -1 along an axis: any. NULL: any.
    pub require_shape: *const i64,
    /// Axes of require_shape: 1 to 64; 0 where it is NULL.
    pub require_ndim: usize,
    /// Params that replace those of the output, or are added: a JSON object; NULL: none. As `{"interface": "10.0.0.1"}` where the output is
    /// behind another address.
    pub overrides_json: *const c_char,
    /// Of tcp and ipc: chunks that wait here at the most; 0, the default: 1000.
    pub queue_chunks: u32,
    /// 0.
    pub reserved: u32,
    /// Of tcp and ipc: bytes of a chunk at the most; 0, the default: 2^30.
    pub max_chunk_bytes: u64,
    /// Of tcp and ipc: how long to wait until the output has answered, in ns; AQ_WAIT_FOREVER. Default 0: the connection is made in the
    /// background, and the output need not be there yet.
    pub connect_timeout_ns: i64,
}

// SAFETY: numbers and pointers; each pair of 32 bits fills 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_input_stream_config {
    const NAME: &'static str = "aq_input_stream_config";
    const FIRST_SIZE: usize = 80;
    const DEFAULT: Self = Self {
        struct_size: 0,
        chunk_frames: 0,
        require_protocol: AQ_ANY,
        require_transfermode: AQ_ANY,
        require_dtype: ptr::null(),
        require_shape: ptr::null(),
        require_ndim: 0,
        overrides_json: ptr::null(),
        queue_chunks: 0,
        reserved: 0,
        max_chunk_bytes: 0,
        connect_timeout_ns: 0,
    };
}

impl aq_input_stream_config {
    /// The core's configuration.
    ///
    /// # Safety
    /// Texts are NULL or strings, lists NULL or as long as is said.
    unsafe fn config(&self) -> Result<InputConfig> {
        sized::reserved(self.reserved, "config: reserved")?;
        // SAFETY: the caller's promise.
        let dtype = unsafe { text::optional(self.require_dtype, "require_dtype") }?;
        // SAFETY: the caller's promise.
        let shape = unsafe { axes(self.require_shape, self.require_ndim, "require_shape") }?;
        let required = |number: i32| Some(number).filter(|&number| number != AQ_ANY);
        Ok(InputConfig {
            chunk_frames: self.chunk_frames,
            queue: self.queue_chunks,
            max_chunk: self.max_chunk_bytes,
            connect: Some(wait(self.connect_timeout_ns)?),
            requirements: Requirements {
                protocol: required(self.require_protocol)
                    .map(|number| protocol(number, "require_protocol"))
                    .transpose()?,
                transfermode: required(self.require_transfermode)
                    .map(|number| transfermode(number, "require_transfermode"))
                    .transpose()?,
                dtype: dtype.map(parse_dtype).transpose()?,
                shape: shape.map(<[i64]>::to_vec),
            },
        })
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
pub unsafe extern "C" fn aq_input_stream_config_init(
    config: *mut aq_input_stream_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Connects to the output of a stream, and receives what it sends from then on.
///
/// An inproc or shm output must be there. A tcp or ipc output is looked for in the background, and again when it comes back after its end:
/// chunks that it sends before the connection is made are missed. aq_output_stream_wait_inputs() tells an output that its inputs are there.
///
/// @param params_json what the output says of itself (aq_output_stream_params_json(), or pyacq's params)
/// @param config how to receive, and what is required; copied; NULL for the defaults
/// @param out receives the input; free it with aq_input_stream_free()
/// @return AQ_OK; AQ_E_FORMAT when params_json or overrides_json are none; AQ_E_INVALID when a field of config is out of range, or the stream
///     is not what is required: the message says what differs; AQ_E_NOT_FOUND when there is no such output (inproc, shm), or it did not
///     answer in connect_timeout_ns; AQ_E_STATE when it has as many inputs as it may have; AQ_E_UNSUPPORTED when the transport
///     needs a feature that this build lacks; AQ_E_VERSION when the output is of another version that cannot be read; AQ_E_IO
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_connect(
    params_json: *const c_char,
    config: *const aq_input_stream_config,
    out: *mut *mut aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let json = unsafe { text::required(params_json, "params_json") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: texts and lists by the caller's contract.
        let (config, overrides) =
            unsafe { (c.config()?, text::optional(c.overrides_json, "overrides_json")?) };
        let params = Params::from_json_with(json, overrides.unwrap_or("{}"))?;
        let stream = SharedInput::new(Input::connect(params, &config)?);
        out.write(handle::new(InputHandle::new(stream)));
        Ok(Outcome::Done)
    })
}

/// The params of the stream as the input has them, overrides included: a JSON text in one line.
///
/// @param input the input
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_params_json(
    input: *const aq_input_stream,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(&input.stream.params().to_json(), buffer, size, needed) }
    })
}

/// What is known of a stream.
///
/// @param input the input
/// @param info receives it; initialised with aq_stream_info_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_get_info(
    input: *const aq_input_stream,
    info: *mut aq_stream_info,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { input.described.write(input.stream.params(), info) }
    })
}

/// Closes an input. Views that are held stay valid. An input that others use (nodes) is closed when they are freed, too.
///
/// @param input the input, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no input, or freed already as far as that can be seen
///
/// Threads: no other call on this input may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_free(input: *mut aq_input_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(input, "input") }
    })
}
