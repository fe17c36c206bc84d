//! What both sides of a stream must know of it, and the JSON text in which it goes from one to the other: pyacq's params, with the same names.
//!
//! Names that we do not know are kept: nodes of pyacq send their own with them.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::spead::dtype::Dtype;

/// How chunks go from the output to its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// ZeroMQ over TCP: between hosts.
    #[default]
    Tcp,
    /// ZeroMQ over a socket in the file system: between processes of a host.
    Ipc,
    /// Within the process, without ZeroMQ and without a copy.
    Inproc,
    /// Shared memory of our own, between processes of a host.
    Shm,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransferMode {
    /// The chunks themselves.
    #[default]
    PlainData,
    /// Word of them; they lie in a file that both sides map, as pyacq has it.
    SharedMem,
}

/// How the bytes of chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Blosc with its own codec.
    BloscBloscLz,
    /// Blosc with LZ4.
    BloscLz4,
    /// Blosc with Zstandard; pyacq does not know it.
    BloscZstd,
}

/// Names of the variants, as the params have them.
macro_rules! names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// Its name in the params.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The one of that name.
            pub fn of_name(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(wrong($what, &[$($name),+].join(", "), &format!("{name:?}"))),
                }
            }
        }
    };
}

names!(Protocol, "protocol", Tcp = "tcp", Ipc = "ipc", Inproc = "inproc", Shm = "shm");
names!(TransferMode, "transfermode", PlainData = "plaindata", SharedMem = "sharedmem");
names!(
    Compression,
    "compression",
    None = "",
    BloscBloscLz = "blosc-blosclz",
    BloscLz4 = "blosc-lz4",
    BloscZstd = "blosc-zstd"
);

/// What a stream carries, and where it is to be had.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// How chunks travel.
    pub protocol: Protocol,
    /// The address to bind to; for other protocols than TCP, a name that the output chose.
    pub interface: String,
    /// The TCP port; `*` before the system has chosen one.
    pub port: String,
    /// What is sent.
    pub transfermode: TransferMode,
    /// A label: analogsignal, digitalsignal, event, image, video.
    pub streamtype: String,
    /// The type of elements.
    pub dtype: Dtype,
    /// The shape of a chunk: the first axis is time, and -1 for any length.
    pub shape: Vec<i64>,
    /// The order of axes in a ring, from the one that varies last; `None`: that of C.
    pub axisorder: Option<Vec<usize>>,
    /// The length of a shared ring, in frames.
    pub buffer_size: u64,
    /// How the bytes are compressed.
    pub compression: Compression,
    /// What to multiply values by, to have them in `units`.
    pub scale: Option<f64>,
    /// What to add then.
    pub offset: Option<f64>,
    /// The unit of values, once scaled.
    pub units: String,
    /// Frames per second.
    pub sample_rate: f64,
    /// A shared ring has every frame twice.
    pub double: bool,
    /// The value of frames that were skipped; `None`: NaN, or 0 for integers.
    pub fill: Option<f64>,
    /// The file or object of a shared ring, which the output chose.
    pub shm_id: Option<String>,
    /// What else came with them.
    pub extra: Map<String, Value>,
}

impl Params {
    /// The defaults, for elements of `dtype` and chunks of `shape`.
    pub fn new(dtype: Dtype, shape: &[i64]) -> Self {
        Self {
            protocol: Protocol::default(),
            interface: "127.0.0.1".into(),
            port: "*".into(),
            transfermode: TransferMode::default(),
            streamtype: "analogsignal".into(),
            dtype,
            shape: shape.to_vec(),
            axisorder: None,
            buffer_size: 0,
            compression: Compression::default(),
            scale: None,
            offset: None,
            units: String::new(),
            sample_rate: 1.0,
            double: false,
            fill: None,
            shm_id: None,
            extra: Map::new(),
        }
    }

    /// The shape of a frame: all axes but time.
    pub fn frame_shape(&self) -> Vec<usize> {
        // Checked to be positive.
        self.shape.iter().skip(1).map(|&count| count as usize).collect()
    }

    /// Bytes of a frame.
    pub fn frame_size(&self) -> usize {
        self.frame_shape().iter().product::<usize>() * self.dtype.size()
    }

    /// Where the output is, for people: `tcp://127.0.0.1:5000`, `shm://NAME`.
    pub fn address(&self) -> String {
        let (protocol, interface, port) = (self.protocol.name(), &self.interface, &self.port);
        match self.protocol {
            Protocol::Tcp if interface.contains(':') && !interface.starts_with('[') => {
                format!("{protocol}://[{interface}]:{port}")
            }
            Protocol::Tcp => format!("{protocol}://{interface}:{port}"),
            _ => format!("{protocol}://{interface}"),
        }
    }

    /// Adds what only some receivers know: a JSON object, whose names are none of the params'.
    pub fn add_extra(&mut self, text: &str) -> Result<()> {
        let known: Map<String, Value> = serde_json::from_str(&self.to_json()).unwrap_or_default();
        for (name, value) in object(text, "extra_json")? {
            if known.contains_key(&name) || name == "shm_id" {
                return Err(wrong("extra_json", "of other names than the params", &format!("{name:?}")));
            }
            self.extra.insert(name, value);
        }
        Ok(())
    }

    /// Reads the JSON text, of which `overrides`, a JSON object, replaces or adds some.
    pub fn from_json_with(text: &str, overrides: &str) -> Result<Self> {
        let mut all = object(text, "params")?;
        all.extend(object(overrides, "overrides_json")?);
        Self::from_json(&Value::Object(all).to_string())
    }

    /// Whether the numbers can be those of a stream.
    pub fn check(&self) -> Result<()> {
        let shown = || format!("{:?}", self.shape);
        let Some((&time, frame)) = self.shape.split_first() else {
            return Err(wrong("shape", "at least one axis, time", "none"));
        };
        if self.shape.len() > super::array::MAX_AXES {
            let most = format!("at most {} axes", super::array::MAX_AXES);
            return Err(wrong("shape", &most, &self.shape.len().to_string()));
        }
        if time < -1 || time == 0 {
            return Err(wrong("shape", "-1 or a number of frames along the first axis", &shown()));
        }
        if frame.iter().any(|&count| count < 1) {
            return Err(wrong("shape", "positive but along the first axis", &shown()));
        }
        let frame: Vec<usize> = self.frame_shape();
        super::array::Layout::c_order(self.dtype.size(), &frame)?;
        if let Some(order) = &self.axisorder {
            super::array::check_order(self.shape.len(), order)?;
        }
        if !(self.sample_rate > 0.0 && self.sample_rate.is_finite()) {
            return Err(wrong(
                "sample_rate",
                "a positive number of frames per second",
                &self.sample_rate.to_string(),
            ));
        }
        Ok(())
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        let dtype = super::numpy::dtype_to_json(&self.dtype);
        let Value::Object(mut all) = json!({
            "protocol": self.protocol.name(),
            "interface": self.interface,
            "port": self.port,
            "transfermode": self.transfermode.name(),
            "streamtype": self.streamtype,
            "dtype": dtype,
            "shape": self.shape,
            "axisorder": self.axisorder,
            "buffer_size": self.buffer_size,
            "compression": self.compression.name(),
            "scale": self.scale,
            "offset": self.offset,
            "units": self.units,
            "sample_rate": self.sample_rate,
            "double": self.double,
            "fill": self.fill,
        }) else {
            return String::new();
        };
        if let Some(id) = &self.shm_id {
            all.insert("shm_id".into(), json!(id));
        }
        for (name, value) in &self.extra {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Value::Object(all).to_string()
    }

    /// Reads the JSON text; what is not in it has its default.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut all = object(text, "params")?;
        let mut take = |name: &str| all.remove(name).filter(|value| !value.is_null());
        let dtype = match take("dtype") {
            Some(value) => super::numpy::dtype_from_json(&value)?,
            None => Dtype::parse_scalar("<f4")?,
        };
        let shape = match take("shape") {
            Some(value) => numbers(&value, "shape")?,
            None => vec![-1, 1],
        };
        let mut params = Self::new(dtype, &shape);
        if let Some(value) = take("protocol") {
            params.protocol = Protocol::of_name(text_of(&value, "protocol")?)?;
        }
        if let Some(value) = take("interface") {
            params.interface = text_of(&value, "interface")?.to_owned();
        }
        if let Some(value) = take("port") {
            params.port = match &value {
                Value::Number(port) => port.to_string(),
                value => text_of(value, "port")?.to_owned(),
            };
        }
        if let Some(value) = take("transfermode") {
            params.transfermode = TransferMode::of_name(text_of(&value, "transfermode")?)?;
        }
        if let Some(value) = take("streamtype") {
            params.streamtype = text_of(&value, "streamtype")?.to_owned();
        }
        if let Some(value) = take("axisorder") {
            let axis = |axis: i64| usize::try_from(axis).unwrap_or(usize::MAX);
            params.axisorder = Some(numbers(&value, "axisorder")?.into_iter().map(axis).collect());
        }
        if let Some(value) = take("buffer_size") {
            params.buffer_size =
                value.as_u64().ok_or_else(|| wrong("buffer_size", "a number of frames", &kind_of(&value)))?;
        }
        if let Some(value) = take("compression") {
            params.compression = Compression::of_name(text_of(&value, "compression")?)?;
        }
        params.scale = take("scale").map(|value| number(&value, "scale")).transpose()?;
        params.offset = take("offset").map(|value| number(&value, "offset")).transpose()?;
        params.fill = take("fill").map(|value| number(&value, "fill")).transpose()?;
        if let Some(value) = take("units") {
            params.units = text_of(&value, "units")?.to_owned();
        }
        if let Some(value) = take("sample_rate") {
            params.sample_rate = number(&value, "sample_rate")?;
        }
        if let Some(value) = take("double") {
            params.double =
                value.as_bool().ok_or_else(|| wrong("double", "true or false", &kind_of(&value)))?;
        }
        if let Some(value) = take("shm_id") {
            params.shm_id = Some(text_of(&value, "shm_id")?.to_owned());
        }
        params.extra = all;
        params.check()?;
        Ok(params)
    }
}

/// Longer texts are not params.
const MOST_TEXT: usize = 1 << 20;

/// The JSON object in `text`.
fn object(text: &str, name: &str) -> Result<Map<String, Value>> {
    let format = |reason: String| Error::new(ErrorKind::Format, reason);
    if text.len() > MOST_TEXT {
        return Err(format(format!("{name} must be at most {MOST_TEXT} bytes (got {})", text.len())));
    }
    match serde_json::from_str(text).map_err(|e| format(format!("{name}: not JSON: {e}")))? {
        Value::Object(all) => Ok(all),
        value => Err(format(format!("{name} must be a JSON object (got {})", kind_of(&value)))),
    }
}

fn wrong(name: &str, rule: &str, found: &str) -> Error {
    Error::new(ErrorKind::Format, format!("params: {name} must be {rule} (got {found})"))
}

fn kind_of(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn text_of<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(name, "a text", &kind_of(value)))
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value.as_f64().ok_or_else(|| wrong(name, "a number", &kind_of(value)))
}

fn numbers(value: &Value, name: &str) -> Result<Vec<i64>> {
    let list = value.as_array().filter(|list| list.len() <= super::array::MAX_AXES);
    list.and_then(|list| list.iter().map(Value::as_i64).collect())
        .ok_or_else(|| wrong(name, "a list of integers", &kind_of(value)))
}
