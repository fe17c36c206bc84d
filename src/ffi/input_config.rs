//! Configuration of inputs
//!
//! How an input receives, and what the stream must be.

use std::ffi::c_char;
use std::ptr;

use super::guard::guard;
use super::output_config::axes;
use super::signal::{protocol, transfermode};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::error::Result;
use crate::signal::numpy::parse_dtype;
use crate::signal::open::InputConfig;
use crate::signal::requirements::Requirements;

/// Of a requirement: any will do.
pub const AQ_ANY: i32 = -1;

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
    pub unsafe fn config(&self) -> Result<InputConfig> {
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
