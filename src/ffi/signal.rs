//! Signal streams
//!
//! A signal stream is an array over time: frames that are alike, each with its index, at a sample rate. An output sends them in chunks to any
//! number of inputs, in the same process, in others, or on other hosts. What both sides must know of a stream are its params, a JSON text:
//! the output gives it out, an input is made with it. They are those of pyacq, whose programs may be at either end (docs/signal-streams.md).
//!
//! The first axis of frames is time; the index of a chunk or a window is that of the frame behind its last. Indices only grow, and
//! tell what is missing.
//!
//! ```c
//! aq_output_stream_config config;
//! aq_output_stream_config_init(&config, sizeof config);
//! const int64_t shape[] = {-1, 16};              // any number of frames of 16 channels
//! config.protocol = AQ_PROTOCOL_SHM;
//! config.dtype = "<i2"; config.shape = shape; config.ndim = 2;
//! config.sample_rate = 30000;
//! check(aq_output_stream_new(&config, &output));
//! aq_output_stream_params_json(output, json, sizeof json, NULL);
//!
//! check(aq_input_stream_connect(json, NULL, &input));          // in another process
//! aq_array_view view;
//! aq_array_view_init(&view, sizeof view);
//! while ((status = aq_input_stream_recv(input, AQ_WAIT_FOREVER, &view)) == AQ_OK) {
//!     if (view.gap_start < view.gap_end)
//!         printf("frames %" PRId64 " to %" PRId64 " are missing\n", view.gap_start, view.gap_end);
//!     process(view.data, view.frames);
//!     aq_array_view_release(&view);
//! }
//! ```

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::guard::{Outcome, guard};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::error::{Error, Result};
use crate::signal::numpy::dtype_to_json;
use crate::signal::params::{Compression, Params, Protocol, TransferMode};

/// ZeroMQ over TCP: between hosts, and with pyacq.
pub const AQ_PROTOCOL_TCP: i32 = 0;
/// ZeroMQ over a socket in the file system: between processes of a host, and with pyacq.
pub const AQ_PROTOCOL_IPC: i32 = 1;
/// Within the process: inputs get references to the same memory.
pub const AQ_PROTOCOL_INPROC: i32 = 2;
/// Shared memory, between processes of a host and a user.
pub const AQ_PROTOCOL_SHM: i32 = 3;

/// Chunks travel as they are.
pub const AQ_TRANSFER_PLAINDATA: i32 = 0;
/// Of tcp and ipc: word of chunks travels; they lie in a file that both sides map, as pyacq has it.
pub const AQ_TRANSFER_SHAREDMEM: i32 = 1;

/// Not compressed.
pub const AQ_COMPRESSION_NONE: i32 = 0;
/// Of tcp and ipc: blosc with its own codec.
pub const AQ_COMPRESSION_BLOSC_BLOSCLZ: i32 = 1;
/// Of tcp and ipc: blosc with LZ4.
pub const AQ_COMPRESSION_BLOSC_LZ4: i32 = 2;

/// The label "analogsignal".
pub const AQ_STREAM_ANALOGSIGNAL: i32 = 0;
/// The label "digitalsignal".
pub const AQ_STREAM_DIGITALSIGNAL: i32 = 1;
/// The label "event".
pub const AQ_STREAM_EVENT: i32 = 2;
/// The label "image".
pub const AQ_STREAM_IMAGE: i32 = 3;
/// The label "video".
pub const AQ_STREAM_VIDEO: i32 = 4;
/// Any other label.
pub const AQ_STREAM_OTHER: i32 = 5;

/// The labels of AQ_STREAM_*, in their order.
const LABELS: [&str; 5] = ["analogsignal", "digitalsignal", "event", "image", "video"];

/// What is known of a stream. Initialise it with aq_stream_info_init() first. What it points to belongs to the stream's end that was asked,
/// and is valid until that is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_stream_info {
    /// Set by aq_stream_info_init().
    pub struct_size: usize,
    /// One of AQ_PROTOCOL_*.
    pub protocol: i32,
    /// One of AQ_TRANSFER_*.
    pub transfermode: i32,
    /// One of AQ_COMPRESSION_*.
    pub compression: i32,
    /// One of AQ_STREAM_*.
    pub streamtype: i32,
    /// The label itself.
    pub streamtype_label: *const c_char,
    /// Where the output is, for people: "tcp://127.0.0.1:5000".
    pub address: *const c_char,
    /// The type of elements: as numpy writes it ("<f4"), or a JSON list of fields.
    pub dtype: *const c_char,
    /// Bytes of an element.
    pub item_size: usize,
    /// Bytes of a frame.
    pub frame_size: usize,
    /// Axes, time included.
    pub ndim: usize,
    /// Elements along each axis; -1 along the first: any number of frames.
    pub shape: *const i64,
    /// Frames per second.
    pub sample_rate: f64,
    /// The unit of values; "" if there is none.
    pub units: *const c_char,
    /// What to multiply values by to have them in `units`; NaN: not known.
    pub scale: f64,
    /// What to add then; NaN: not known.
    pub offset: f64,
    /// The value of frames that nobody sent; NaN: NaN, or 0 for what has none.
    pub fill: f64,
    /// Of AQ_TRANSFER_SHAREDMEM: frames in the file.
    pub buffer_size: u64,
}

// SAFETY: numbers and pointers; four i32 fill 16 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_stream_info {
    const NAME: &'static str = "aq_stream_info";
    const FIRST_SIZE: usize = 128;
    const DEFAULT: Self = Self {
        struct_size: 0,
        protocol: 0,
        transfermode: 0,
        compression: 0,
        streamtype: 0,
        streamtype_label: ptr::null(),
        address: ptr::null(),
        dtype: ptr::null(),
        item_size: 0,
        frame_size: 0,
        ndim: 0,
        shape: ptr::null(),
        sample_rate: 0.0,
        units: ptr::null(),
        scale: f64::NAN,
        offset: f64::NAN,
        fill: f64::NAN,
        buffer_size: 0,
    };
}

/// Writes zeros, and the struct's size.
///
/// @param info the struct
/// @param struct_size sizeof *info
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_info_init(info: *mut aq_stream_info, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(info, struct_size, "info") })
}

/// What [`aq_stream_info`] points to, of the params that an end has or had: kept as long as its handle. Only what the texts themselves refer to is
/// given out, which stays where it is when the list grows.
#[derive(Default)]
pub struct Described(Mutex<Vec<Texts>>);

struct Texts {
    params: Arc<Params>,
    streamtype: CString,
    address: CString,
    dtype: CString,
    units: CString,
}

/// Versions of its params that an end is asked for at the most: they change when filters are added, and are kept.
const MOST_VERSIONS: usize = 256;

impl Described {
    /// Writes what is known of the stream with these params to the caller's struct.
    ///
    /// # Safety
    /// `out` is NULL or a struct of its struct_size.
    pub unsafe fn write(&self, params: Arc<Params>, out: *mut aq_stream_info) -> Result<Outcome> {
        let mut versions = self.0.lock();
        if !versions.last().is_some_and(|last| Arc::ptr_eq(&last.params, &params)) {
            if versions.len() >= MOST_VERSIONS {
                return Err(Error::state(format!("info: params have changed {MOST_VERSIONS} times already")));
            }
            versions.push(Texts::new(params));
        }
        let Some(texts) = versions.last() else { return Ok(Outcome::Done) };
        // SAFETY: the caller's promise.
        unsafe { sized::write(out, &texts.info(), "info") }
    }
}

impl Texts {
    fn new(params: Arc<Params>) -> Self {
        // C's texts have no zero bytes.
        let text = |text: &str| CString::new(text.replace('\0', " ")).unwrap_or_default();
        let (streamtype, address) = (text(&params.streamtype), text(&params.address()));
        let (dtype, units) = (text(&dtype_text(&params)), text(&params.units));
        Self { params, streamtype, address, dtype, units }
    }

    fn info(&self) -> aq_stream_info {
        let params = &self.params;
        let label = LABELS.iter().position(|label| *label == params.streamtype);
        aq_stream_info {
            struct_size: 0,
            protocol: number_of_protocol(params.protocol),
            transfermode: number_of_mode(params.transfermode),
            compression: number_of_compression(params.compression),
            streamtype: label.map_or(AQ_STREAM_OTHER, |label| label as i32),
            streamtype_label: self.streamtype.as_ptr(),
            address: self.address.as_ptr(),
            dtype: self.dtype.as_ptr(),
            item_size: params.dtype.size(),
            frame_size: params.frame_size(),
            ndim: params.shape.len(),
            shape: params.shape.as_ptr(),
            sample_rate: params.sample_rate,
            units: self.units.as_ptr(),
            scale: params.scale.unwrap_or(f64::NAN),
            offset: params.offset.unwrap_or(f64::NAN),
            fill: params.fill.unwrap_or(f64::NAN),
            buffer_size: params.buffer_size,
        }
    }
}

/// The type of elements as the params' JSON has it, but a plain one without quotes.
pub fn dtype_text(params: &Params) -> String {
    match dtype_to_json(&params.dtype) {
        serde_json::Value::String(name) => name,
        fields => fields.to_string(),
    }
}

fn unknown<T>(name: &str, kind: &str, number: i32) -> Result<T> {
    Err(Error::invalid(format!("{name} must be one of {kind} (got {number})")))
}

/// The protocol of the argument `name`.
pub fn protocol(number: i32, name: &str) -> Result<Protocol> {
    match number {
        AQ_PROTOCOL_TCP => Ok(Protocol::Tcp),
        AQ_PROTOCOL_IPC => Ok(Protocol::Ipc),
        AQ_PROTOCOL_INPROC => Ok(Protocol::Inproc),
        AQ_PROTOCOL_SHM => Ok(Protocol::Shm),
        _ => unknown(name, "AQ_PROTOCOL_*", number),
    }
}

fn number_of_protocol(protocol: Protocol) -> i32 {
    match protocol {
        Protocol::Tcp => AQ_PROTOCOL_TCP,
        Protocol::Ipc => AQ_PROTOCOL_IPC,
        Protocol::Inproc => AQ_PROTOCOL_INPROC,
        Protocol::Shm => AQ_PROTOCOL_SHM,
    }
}

/// The transfer mode of the argument `name`.
pub fn transfermode(number: i32, name: &str) -> Result<TransferMode> {
    match number {
        AQ_TRANSFER_PLAINDATA => Ok(TransferMode::PlainData),
        AQ_TRANSFER_SHAREDMEM => Ok(TransferMode::SharedMem),
        _ => unknown(name, "AQ_TRANSFER_*", number),
    }
}

fn number_of_mode(mode: TransferMode) -> i32 {
    match mode {
        TransferMode::PlainData => AQ_TRANSFER_PLAINDATA,
        TransferMode::SharedMem => AQ_TRANSFER_SHAREDMEM,
    }
}

/// The compression of the argument `name`.
pub fn compression(number: i32, name: &str) -> Result<Compression> {
    match number {
        AQ_COMPRESSION_NONE => Ok(Compression::None),
        AQ_COMPRESSION_BLOSC_BLOSCLZ => Ok(Compression::BloscBloscLz),
        AQ_COMPRESSION_BLOSC_LZ4 => Ok(Compression::BloscLz4),
        _ => unknown(name, "AQ_COMPRESSION_*", number),
    }
}

fn number_of_compression(compression: Compression) -> i32 {
    match compression {
        Compression::None => AQ_COMPRESSION_NONE,
        Compression::BloscBloscLz => AQ_COMPRESSION_BLOSC_BLOSCLZ,
        Compression::BloscLz4 => AQ_COMPRESSION_BLOSC_LZ4,
    }
}

/// The label of a stream: one of ours, or the one that is given.
pub fn streamtype(number: i32, label: Option<&str>) -> Result<String> {
    let ours = usize::try_from(number).ok().and_then(|number| LABELS.get(number));
    match (number, ours, label) {
        (AQ_STREAM_OTHER, _, Some(label)) => Ok(label.to_owned()),
        (AQ_STREAM_OTHER, _, None) => {
            Err(Error::invalid("streamtype_label must not be NULL when streamtype is AQ_STREAM_OTHER"))
        }
        (_, Some(ours), None) => Ok((*ours).to_owned()),
        (_, Some(_), Some(_)) => {
            Err(Error::invalid("streamtype must be AQ_STREAM_OTHER when there is a streamtype_label"))
        }
        _ => unknown("streamtype", "AQ_STREAM_*", number),
    }
}

/// A number of which NaN says that there is none.
pub fn known(number: f64) -> Option<f64> {
    (!number.is_nan()).then_some(number)
}
