//! Configuration of outputs
//!
//! What a stream carries, and how it travels. Which transport to choose: docs/signal-streams.md.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use super::guard::guard;
use super::heap_stream::{AQ_OVERFLOW_BLOCK, AQ_OVERFLOW_DROP_NEWEST, AQ_OVERFLOW_DROP_OLDEST};
use super::pointer::slice;
use super::signal::{
    AQ_COMPRESSION_NONE, AQ_PROTOCOL_INPROC, AQ_PROTOCOL_SHM, AQ_PROTOCOL_TCP, AQ_STREAM_ANALOGSIGNAL,
    AQ_TRANSFER_PLAINDATA, compression, known, protocol, streamtype, transfermode,
};
use super::sized::{self, SizedStruct, flag};
use super::status::aq_status;
use super::text;
use crate::error::{Error, Result};
use crate::ring::Overflow;
use crate::signal::array::MAX_AXES;
use crate::signal::numpy::parse_dtype;
use crate::signal::open::OutputConfig;
use crate::signal::params::Params;

/// What suits the transport: AQ_OVERFLOW_DROP_OLDEST with AQ_TRANSFER_SHAREDMEM, else AQ_OVERFLOW_BLOCK.
pub const AQ_OVERFLOW_DEFAULT: i32 = -1;

/// What a stream carries, and how. Initialise it with aq_output_stream_config_init(), then set what differs from the defaults. Texts and
/// lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_output_stream_config {
    /// Set by aq_output_stream_config_init().
    pub struct_size: usize,
    /// How chunks travel: one of AQ_PROTOCOL_*. Default AQ_PROTOCOL_TCP.
    pub protocol: i32,
    /// One of AQ_TRANSFER_*. Default AQ_TRANSFER_PLAINDATA.
    pub transfermode: i32,
    /// Of tcp: the address to listen at, or "*"; NULL: "127.0.0.1". Of ipc: an absolute path of the socket, or else one is chosen. Ignored by
    /// others.
    pub interface: *const c_char,
    /// Of tcp: the port to listen at, 1 to 65535; 0, the default: one that the system chooses.
    pub port: i32,
    /// A label: one of AQ_STREAM_*. Default AQ_STREAM_ANALOGSIGNAL.
    pub streamtype: i32,
    /// The label itself, where streamtype is AQ_STREAM_OTHER; NULL else.
    pub streamtype_label: *const c_char,
    /// The type of elements as numpy writes it (`<i2`, `float32`, `datetime64[ms]`), or a list of fields in JSON:
    /// `[["time", "<u8"], ["label", "S16"], ["xy", "<f4", [2]]]`. NULL: "float32".
    pub dtype: *const c_char,
    /// The shape of chunks: `ndim` numbers, the first of which is frames: -1 for any number, or how many each chunk must have. The others at
    /// least 1. NULL: {-1, 1}.
    pub shape: *const i64,
    /// Axes: 1 to 64; 0 where shape is NULL.
    pub ndim: usize,
    /// The order in which axes lie in shared rings and histories, from the one that varies last: each of 0 to ndim - 1 once. NULL: C order.
    pub axisorder: *const usize,
    /// Of AQ_TRANSFER_SHAREDMEM: frames in the file; at least 1. Default 0.
    pub buffer_size: u64,
    /// One of AQ_COMPRESSION_*. Default AQ_COMPRESSION_NONE.
    pub compression: i32,
    /// Of AQ_TRANSFER_SHAREDMEM: 1: the file has every frame twice, so that readers which map it have any window in one piece. Default 0.
    pub doubled: i32,
    /// What to multiply values by to have them in `units`, for those who receive them; NaN, the default: not said.
    pub scale: f64,
    /// What to add then; NaN, the default: not said.
    pub offset: f64,
    /// The unit of values; NULL: none.
    pub units: *const c_char,
    /// Frames per second: positive. Default 1.
    pub sample_rate: f64,
    /// The value of frames that were skipped, in rings and histories; NaN, the default: NaN, or 0 for what has none.
    pub fill: f64,
    /// Frames of a chunk at the least: frames are collected until there are as many. Default 0: each call sends a chunk.
    pub min_chunk_frames: usize,
    /// What happens when an input is too slow: one of AQ_OVERFLOW_*. Default AQ_OVERFLOW_DEFAULT.
    pub overflow: i32,
    /// Of inproc (at most 65536), tcp and ipc: chunks that wait for each input at the most; at least 1. Default 1000.
    pub queue_chunks: u32,
    /// Of shm: chunks in the ring, 1 to 2^20. Default 1024.
    pub ring_chunks: usize,
    /// Of shm: bytes in the ring, 1 to 2^40; a chunk may have nearly half of it. Faster if it fits into the processor's cache. Default 8 MiB.
    pub ring_bytes: usize,
    /// Of shm: inputs at the most, 1 to 1024. Default 64.
    pub max_inputs: usize,
    /// Of tcp and ipc: how long aq_output_stream_free() waits for what still has to be sent, in ns; at most 1 hour. Default 1 s.
    pub linger_ns: i64,
    /// Of ipc and AQ_TRANSFER_SHAREDMEM: the folder for the socket and the file; NULL: that for temporary files (TMPDIR, else /tmp).
    pub folder: *const c_char,
    /// What else is to be in the params, for those receivers that know it: a JSON object; NULL: nothing.
    pub extra_json: *const c_char,
}

// SAFETY: numbers and pointers; each pair of 32 bits fills 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_output_stream_config {
    const NAME: &'static str = "aq_output_stream_config";
    const FIRST_SIZE: usize = 192;
    const DEFAULT: Self = Self {
        struct_size: 0,
        protocol: AQ_PROTOCOL_TCP,
        transfermode: AQ_TRANSFER_PLAINDATA,
        interface: ptr::null(),
        port: 0,
        streamtype: AQ_STREAM_ANALOGSIGNAL,
        streamtype_label: ptr::null(),
        dtype: ptr::null(),
        shape: ptr::null(),
        ndim: 0,
        axisorder: ptr::null(),
        buffer_size: 0,
        compression: AQ_COMPRESSION_NONE,
        doubled: 0,
        scale: f64::NAN,
        offset: f64::NAN,
        units: ptr::null(),
        sample_rate: 1.0,
        fill: f64::NAN,
        min_chunk_frames: 0,
        overflow: AQ_OVERFLOW_DEFAULT,
        queue_chunks: 1000,
        ring_chunks: 1024,
        ring_bytes: 8 << 20,
        max_inputs: 64,
        linger_ns: 1_000_000_000,
        folder: ptr::null(),
        extra_json: ptr::null(),
    };
}

impl aq_output_stream_config {
    /// The core's params.
    ///
    /// # Safety
    /// Texts are NULL or strings, lists NULL or as long as is said.
    pub unsafe fn params(&self) -> Result<Params> {
        // SAFETY: the caller's promise.
        let texts = unsafe {
            [
                text::optional(self.dtype, "dtype")?,
                text::optional(self.interface, "interface")?,
                text::optional(self.streamtype_label, "streamtype_label")?,
                text::optional(self.units, "units")?,
                text::optional(self.extra_json, "extra_json")?,
            ]
        };
        let [dtype, interface, label, units, extra] = texts;
        // SAFETY: the caller's promise.
        let shape = unsafe { axes(self.shape, self.ndim, "shape") }?.unwrap_or(&[-1, 1]);
        let mut params = Params::new(parse_dtype(dtype.unwrap_or("float32"))?, shape);
        params.protocol = protocol(self.protocol, "protocol")?;
        params.transfermode = transfermode(self.transfermode, "transfermode")?;
        if let Some(interface) = interface {
            params.interface = interface.to_owned();
        }
        params.port = match self.port {
            0 => "*".to_owned(),
            port @ 1..=65535 => port.to_string(),
            port => return Err(Error::invalid(format!("port must be 0 to 65535 (got {port})"))),
        };
        params.streamtype = streamtype(self.streamtype, label)?;
        if !self.axisorder.is_null() {
            // SAFETY: the caller's promise: one number for each axis.
            params.axisorder = Some(unsafe { slice(self.axisorder, shape.len(), "axisorder") }?.to_vec());
        }
        params.buffer_size = self.buffer_size;
        params.compression = compression(self.compression, "compression")?;
        params.double = flag(self.doubled, "doubled")?;
        params.scale = known(self.scale);
        params.offset = known(self.offset);
        params.units = units.unwrap_or_default().to_owned();
        params.sample_rate = self.sample_rate;
        params.fill = known(self.fill);
        if let Some(extra) = extra {
            params.add_extra(extra)?;
        }
        Ok(params)
    }

    /// The core's configuration.
    ///
    /// # Safety
    /// `folder` is NULL or a string.
    pub unsafe fn config(&self) -> Result<OutputConfig> {
        self.check_ranges()?;
        let folder = match self.folder.is_null() {
            true => None,
            // SAFETY: the caller's promise.
            false => Some(unsafe { text::path(self.folder, "folder") }?.to_owned()),
        };
        Ok(OutputConfig {
            min_chunk_frames: self.min_chunk_frames,
            overflow: overflow(self.overflow)?,
            queue: self.queue_chunks,
            ring_chunks: self.ring_chunks,
            ring_bytes: self.ring_bytes,
            inputs: self.max_inputs,
            linger: Duration::from_nanos(self.linger_ns.cast_unsigned()),
            folder,
        })
    }

    /// Checks the numbers that the transport uses, by the names that they have here.
    fn check_ranges(&self) -> Result<()> {
        let within = |name: &str, number: u64, most: u64| match number {
            number if (1..=most).contains(&number) => Ok(()),
            _ => Err(Error::invalid(format!("{name} must be 1 to {most} (got {number})"))),
        };
        match self.protocol {
            AQ_PROTOCOL_INPROC => within("queue_chunks", self.queue_chunks.into(), 65536)?,
            AQ_PROTOCOL_SHM => {
                within("ring_chunks", self.ring_chunks as u64, 1 << 20)?;
                within("ring_bytes", self.ring_bytes as u64, 1 << 40)?;
                within("max_inputs", self.max_inputs as u64, 1024)?;
            }
            _ => within("queue_chunks", self.queue_chunks.into(), i32::MAX as u64)?,
        }
        if !(0..=MOST_LINGER_NS).contains(&self.linger_ns) {
            let got = self.linger_ns;
            return Err(Error::invalid(format!("linger_ns must be 0 to {MOST_LINGER_NS} (got {got})")));
        }
        Ok(())
    }
}

/// An hour.
const MOST_LINGER_NS: i64 = 3_600_000_000_000;

/// An overflow policy; `None` for the transport's own.
fn overflow(number: i32) -> Result<Option<Overflow>> {
    Ok(Some(match number {
        AQ_OVERFLOW_DEFAULT => return Ok(None),
        AQ_OVERFLOW_BLOCK => Overflow::Block,
        AQ_OVERFLOW_DROP_NEWEST => Overflow::DropNewest,
        AQ_OVERFLOW_DROP_OLDEST => Overflow::DropOldest,
        _ => return Err(Error::invalid(format!("overflow must be one of AQ_OVERFLOW_* (got {number})"))),
    }))
}

/// The numbers of the argument `name`, one for each axis; `None`: there are none.
///
/// # Safety
/// `numbers` is NULL or has `count` of them.
pub unsafe fn axes<'a, T>(numbers: *const T, count: usize, name: &str) -> Result<Option<&'a [T]>> {
    if numbers.is_null() && count == 0 {
        return Ok(None);
    }
    if count == 0 || count > MAX_AXES {
        return Err(Error::invalid(format!("{name} must have 1 to {MAX_AXES} axes (got {count})")));
    }
    // SAFETY: the caller's promise.
    unsafe { slice(numbers, count, name) }.map(Some)
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_config_init(
    config: *mut aq_output_stream_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}
