//! Packet layouts
//!
//! A layout says what the bytes of a packet of a fixed size mean: its fields, their types, the byte order, and constants that every
//! packet must have. With it a packet is checked, its values are read by index, and it is written as text or CSV, all without a callback.
//!
//! ```c
//! aq_packet_layout_parse("<header:B=0xaa, time:Q, adc:h, temperature:f", &layout);
//! aq_packet_layout_find(layout, "adc", &adc);                  // once, not for each packet
//! if (aq_packet_layout_check(layout, packet, size) == AQ_OK) {
//!     aq_packet_layout_i64(layout, adc, packet, size, &value);
//!     aq_packet_layout_text(layout, packet, size, ",", line, sizeof line, NULL);
//! }                                                            // "170,1234,-5,21.5\n"
//! ```
//!
//! The text of a layout is a byte order, then fields and padding with commas between them; blanks may stand between any two. A field is
//! name:type or name:type=constant; padding is x, or 4x for 4 bytes. Names are letters, digits and underscores of ASCII, at most 255, do
//! not begin with a digit, and are unique. Constants are integers (170, -1, 0xaa), floats (1.5, 2e-3, inf), True or False, and characters
//! ('a', '\n', '\xff'). There are at most 1024 fields, and at most 2^30 - 1 bytes.
//!
//! Byte orders, types and sizes are those of Python's struct:
//!
//! ```text
//! @   as a C compiler lays out a struct: this machine's byte order, sizes and padding, but none at the end; the default
//! =   this machine's byte order; as the following without padding, and with sizes that are the same everywhere
//! <   the least significant byte first                     > !   the most significant byte first
//!
//! c   a character, 1 byte        h H   integers of 2 bytes     q Q   integers of 8 bytes
//! b B integers of 1 byte         i I   integers of 4 bytes     n N   integers of a pointer's size; only with @
//! ?   a bool, 1 byte             l L   integers of 4 bytes     f d   floats of 4 and 8 bytes
//!                                      (with @, of a C long)   x     padding: no name, no value, no field
//! ```
//!
//! Integers of a capital letter are unsigned. All functions but aq_packet_layout_free() only read: any number of threads may call them
//! at the same time.

use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::SystemTime;

use super::guard::{Outcome, guard};
use super::handle::{self, Borrowed, Opaque};
use super::pointer::{self, Out};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::event::layout::{ByteOrder, Field, FieldType, MAX_FIELDS, PacketLayout, Part, Value};

/// Room for a line as it mostly is: one allocation.
const LINE: usize = 256;

/// The layout of packets of a fixed size.
pub struct aq_packet_layout {
    _opaque: [u8; 0],
}

impl Opaque for aq_packet_layout {
    const NAME: &'static str = "aq_packet_layout";
    type Inner = Named;
}

/// A layout, and its names as C wants them.
pub struct Named {
    layout: Arc<PacketLayout>,
    names: Vec<CString>,
}

impl Named {
    fn new(layout: PacketLayout) -> Self {
        // Names have no zero byte.
        let name = |field: &Field| CString::new(field.name.as_str()).unwrap_or_default();
        Self { names: layout.fields().iter().map(name).collect(), layout: Arc::new(layout) }
    }

    /// The layout, for those who keep it longer than its handle.
    pub(super) fn layout(&self) -> &Arc<PacketLayout> {
        &self.layout
    }

    fn field(&self, index: usize) -> Result<&Field> {
        let fields = self.layout.fields();
        fields.get(index).ok_or_else(|| {
            let reason = format!("index must be below {}, the number of fields (got {index})", fields.len());
            Error::new(ErrorKind::NotFound, reason)
        })
    }
}

/// A part of a new layout: a field, or padding. Set it all to 0 first: `aq_packet_field field = {0};`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_packet_field {
    /// The field's name; copied. NULL for padding.
    pub name: *const c_char,
    /// The character of its type, as in 'h'; 'x' for padding.
    pub letter: i32,
    /// 1 if every packet must have the constant there, else 0.
    pub has_constant: i32,
    /// The constant of the types b h i l q n; else 0.
    pub constant_i64: i64,
    /// The constant of the types B H I L Q N, of ? (0 or 1) and of c (its byte); else 0.
    pub constant_u64: u64,
    /// The constant of the types f (rounded to its precision) and d, which is no NaN; else 0.
    pub constant_f64: f64,
    /// Bytes of padding, at least 1; 0 for a field.
    pub padding: usize,
}

/// A field of a layout. Initialise it with aq_packet_field_info_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_packet_field_info {
    /// Set by aq_packet_field_info_init().
    pub struct_size: usize,
    /// Its name; valid as long as the layout.
    pub name: *const c_char,
    /// Bytes from the packet's beginning.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// The character of its type, as in 'h'.
    pub letter: i32,
    /// 1 if every packet must have the constant there, else 0.
    pub has_constant: i32,
    /// The constant of the types b h i l q n; else 0.
    pub constant_i64: i64,
    /// The constant of the types B H I L Q N, of ? (0 or 1) and of c (its byte); else 0.
    pub constant_u64: u64,
    /// The constant of the types f and d; else 0.
    pub constant_f64: f64,
}

// SAFETY: numbers and a pointer; two 32-bit numbers fill 8 bytes.
unsafe impl SizedStruct for aq_packet_field_info {
    const NAME: &'static str = "aq_packet_field_info";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        name: std::ptr::null(),
        offset: 0,
        size: 0,
        letter: 0,
        has_constant: 0,
        constant_i64: 0,
        constant_u64: 0,
        constant_f64: 0.0,
    };
}

/// The character of an argument or field that must be one of `rule`.
fn character<T>(number: i32, find: impl Fn(char) -> Option<T>, rule: &str) -> Result<T> {
    let found = u8::try_from(number).ok().and_then(|byte| find(byte.into()));
    found.ok_or_else(|| {
        let shown = match u8::try_from(number) {
            Ok(byte) if byte.is_ascii_graphic() => format!("'{}'", char::from(byte)),
            _ => number.to_string(),
        };
        Error::invalid(format!("{rule} (got {shown})"))
    })
}

impl aq_packet_field {
    /// # Safety
    /// `name` is NULL or a string.
    unsafe fn part(&self, at: &str) -> Result<Part> {
        let has_constant = sized::flag(self.has_constant, &format!("{at}: has_constant"))?;
        let known = |letter| FieldType::from_char(letter).map(Some).or((letter == 'x').then_some(None));
        let rule = format!("{at}: letter must be one of c b B ? h H i I l L q Q n N f d x");
        let kind = character(self.letter, known, &rule)?;
        let constant = match kind {
            Some(kind) if has_constant => Some(self.constant(kind, at)?),
            _ => None,
        };
        self.check_unused(constant, at)?;
        match kind {
            None if self.name.is_null() && !has_constant => Ok(Part::Padding(self.padding)),
            None => Err(Error::invalid(format!("{at}: padding must have neither a name nor a constant"))),
            Some(kind) if self.padding != 0 => {
                let (letter, padding) = (kind.as_char(), self.padding);
                let rule = format!("{at}: padding must be 0 but for the letter 'x'");
                Err(Error::invalid(format!("{rule} (got {padding} for '{letter}')")))
            }
            Some(kind) => {
                // SAFETY: the caller's promise.
                let name = unsafe { text::required(self.name, &format!("{at}: name")) }?;
                Ok(Part::Field { name: name.to_owned(), kind, constant })
            }
        }
    }

    /// A constant in the wrong place, or one that is not switched on, is most likely a mistake.
    fn check_unused(&self, constant: Option<Value>, at: &str) -> Result<()> {
        let used = constant.as_ref().map(value_field);
        let fields = [
            ("constant_i64", self.constant_i64 == 0),
            ("constant_u64", self.constant_u64 == 0),
            ("constant_f64", self.constant_f64 == 0.0),
        ];
        match (fields.into_iter().find(|(name, is_zero)| !is_zero && Some(*name) != used), used) {
            (None, _) => Ok(()),
            (Some((name, _)), None) => {
                Err(Error::invalid(format!("{at}: {name} must be 0 where there is no constant")))
            }
            (Some((name, _)), Some(used)) => Err(Error::invalid(format!(
                "{at}: {name} must be 0 for its letter, whose constant is {used}"
            ))),
        }
    }

    fn constant(&self, kind: FieldType, at: &str) -> Result<Value> {
        match kind {
            FieldType::Bool => {
                let flag = i32::try_from(self.constant_u64).unwrap_or(i32::MAX);
                Ok(Value::Bool(sized::flag(flag, &format!("{at}: constant_u64 of a bool"))?))
            }
            FieldType::Char => u8::try_from(self.constant_u64).map(Value::Char).map_err(|_| {
                let value = self.constant_u64;
                Error::invalid(format!("{at}: constant_u64 of a character must be at most 255 (got {value})"))
            }),
            FieldType::Float | FieldType::Double => Ok(Value::Float(self.constant_f64)),
            _ if kind.as_char().is_ascii_lowercase() => Ok(Value::Int(self.constant_i64)),
            _ => Ok(Value::Uint(self.constant_u64)),
        }
    }
}

/// Which of C's fields has a constant.
fn value_field(value: &Value) -> &'static str {
    match value {
        Value::Int(_) => "constant_i64",
        Value::Uint(_) | Value::Bool(_) | Value::Char(_) => "constant_u64",
        Value::Float(_) => "constant_f64",
    }
}

/// Makes a layout from its text.
///
/// @param text the text
/// @param out receives the layout; free it with aq_packet_layout_free()
/// @return AQ_OK; AQ_E_INVALID when it is no such text, with the position (in bytes, from 0), what was found there and the rule
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_parse(
    text: *const c_char,
    out: *mut *mut aq_packet_layout,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let text = unsafe { text::required(text, "text") }?;
        out.write(handle::new(Named::new(PacketLayout::parse(text)?)));
        Ok(Outcome::Done)
    })
}

/// Makes a layout from a list.
///
/// ```c
/// aq_packet_field fields[2] = {{0}, {0}};
/// fields[0].name = "header"; fields[0].letter = 'B'; fields[0].has_constant = 1; fields[0].constant_u64 = 0xaa;
/// fields[1].name = "adc";    fields[1].letter = 'h';
/// aq_packet_layout_new('<', fields, 2, &layout);
/// ```
///
/// @param byte_order one of '@', '=', '<', '>', '!'
/// @param fields fields and padding, in order; copied
/// @param n_fields how many, 1 .. 2049; 1 .. 1024 of them are no padding
/// @param out receives the layout; free it with aq_packet_layout_free()
/// @return AQ_OK; AQ_E_INVALID, with the index of the field that breaks a rule
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_new(
    byte_order: i32,
    fields: *const aq_packet_field,
    n_fields: usize,
    out: *mut *mut aq_packet_layout,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: n_fields of them by the caller's contract.
        let fields = unsafe { pointer::slice(fields, n_fields, "fields") }?;
        let order =
            character(byte_order, ByteOrder::from_char, "byte_order must be one of '@' '=' '<' '>' '!'")?;
        let limit = 2 * MAX_FIELDS + 1;
        if n_fields > limit {
            return Err(Error::invalid(format!("n_fields must be at most {limit} (got {n_fields})")));
        }
        // SAFETY: names are NULL or strings by the caller's contract.
        let part = |(i, field): (usize, &aq_packet_field)| unsafe { field.part(&format!("fields[{i}]")) };
        let parts: Vec<Part> = fields.iter().enumerate().map(part).collect::<Result<_>>()?;
        out.write(handle::new(Named::new(PacketLayout::new(order, parts)?)));
        Ok(Outcome::Done)
    })
}

/// Frees a layout.
///
/// @param layout the layout; NULL is fine
/// @return AQ_OK; AQ_E_INVALID when this is no layout
///
/// Threads: one, the last that uses the layout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_free(layout: *mut aq_packet_layout) -> aq_status {
    // SAFETY: NULL or a live handle, not used from here on, by the caller's contract.
    guard(|| unsafe { handle::free(layout, "layout") })
}

/// The body of what asks a layout for something and writes it to `out`.
///
/// # Safety
/// `layout` is NULL or a live handle; `out` is NULL or may be written.
unsafe fn answer<T>(
    layout: *const aq_packet_layout,
    out: *mut T,
    name: &str,
    ask: impl FnOnce(&Named) -> Result<T>,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let layout = unsafe { handle::borrow(layout, "layout") }?;
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out, name) }?;
        out.write(ask(&layout)?);
        Ok(Outcome::Done)
    })
}

/// The size of a packet.
///
/// @param layout the layout
/// @param size receives bytes, 1 .. 2^30 - 1
/// @return AQ_OK; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_size(
    layout: *const aq_packet_layout,
    size: *mut usize,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(layout, size, "size", |named| Ok(named.layout.size())) }
}

/// The number of fields; padding is none.
///
/// @param layout the layout
/// @param count receives it, 1 .. 1024
/// @return AQ_OK; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_field_count(
    layout: *const aq_packet_layout,
    count: *mut usize,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(layout, count, "count", |named| Ok(named.layout.fields().len())) }
}

/// The index of the field of this name. It looks at one after the other: ask once, not for each packet.
///
/// @param layout the layout
/// @param name the name
/// @param index receives the index
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_find(
    layout: *const aq_packet_layout,
    name: *const c_char,
    index: *mut usize,
) -> aq_status {
    let find = |named: &Named| {
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        named.layout.find(name).ok_or_else(|| {
            let shown = &name[..name.floor_char_boundary(100)];
            Error::new(ErrorKind::NotFound, format!("name: the layout has no field {shown:?}"))
        })
    };
    // SAFETY: the caller's contract.
    unsafe { answer(layout, index, "index", find) }
}

/// Writes the defaults.
///
/// @param info the struct
/// @param struct_size sizeof *info
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_field_info_init(
    info: *mut aq_packet_field_info,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(info, struct_size, "info") })
}

/// What a field is.
///
/// @param layout the layout
/// @param index the field, 0 .. aq_packet_layout_field_count() - 1
/// @param info receives it; initialised with aq_packet_field_info_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such field
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_field(
    layout: *const aq_packet_layout,
    index: usize,
    info: *mut aq_packet_field_info,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let layout = unsafe { handle::borrow(layout, "layout") }?;
        let field = layout.field(index)?;
        let mut value = aq_packet_field_info {
            name: layout.names.get(index).map_or(std::ptr::null(), |name| name.as_ptr()),
            offset: field.offset,
            size: field.size,
            letter: field.kind.as_char() as i32,
            has_constant: field.constant.is_some().into(),
            ..SizedStruct::DEFAULT
        };
        match field.constant {
            Some(Value::Int(constant)) => value.constant_i64 = constant,
            Some(Value::Uint(constant)) => value.constant_u64 = constant,
            Some(Value::Bool(constant)) => value.constant_u64 = constant.into(),
            Some(Value::Char(constant)) => value.constant_u64 = constant.into(),
            Some(Value::Float(constant)) => value.constant_f64 = constant,
            None => {}
        }
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(info, &value, "info") }
    })
}

/// Whether a packet is of this layout: its size, and its constants. They are compared by value, so that -0.0 is 0.0.
///
/// @param layout the layout
/// @param packet the packet
/// @param packet_size its bytes
/// @return AQ_OK; AQ_E_FORMAT when it is not, with the field, its constant and what was found
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_check(
    layout: *const aq_packet_layout,
    packet: *const u8,
    packet_size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: a live handle, and packet_size bytes, or NULL, by the caller's contract.
        let (layout, packet) = unsafe { arguments(layout, packet, packet_size) }?;
        layout.layout.check(packet)?;
        Ok(Outcome::Done)
    })
}

/// The layout and the packet of a call.
///
/// # Safety
/// `layout` is NULL or a live handle; `packet` is NULL or has `size` readable bytes.
unsafe fn arguments<'a>(
    layout: *const aq_packet_layout,
    packet: *const u8,
    size: usize,
) -> Result<(Borrowed<'a, aq_packet_layout>, &'a [u8])> {
    // SAFETY: the caller's promise.
    let layout = unsafe { handle::borrow(layout, "layout") }?;
    // SAFETY: the caller's promise.
    Ok((layout, unsafe { pointer::slice(packet, size, "packet") }?))
}

/// The body of a getter.
///
/// # Safety
/// As for [`arguments`]; `out` is NULL or may be written.
unsafe fn number<T>(
    layout: *const aq_packet_layout,
    index: usize,
    packet: *const u8,
    packet_size: usize,
    out: *mut T,
    wanted: &str,
    convert: impl FnOnce(Value) -> Option<T>,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (layout, packet) = unsafe { arguments(layout, packet, packet_size) }?;
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out, "value") }?;
        let value = layout.layout.value(packet, index)?;
        let converted = convert(value).ok_or_else(|| {
            let (name, kind) =
                layout.field(index).map_or(("", ' '), |field| (&*field.name, field.kind.as_char()));
            Error::invalid(format!("field {name} of type {kind}: {value} is no {wanted}"))
        })?;
        out.write(converted);
        Ok(Outcome::Done)
    })
}

/// A field's value as an integer: that of an integer, of a bool (0 or 1) or of a character (its byte).
///
/// The packet's size is checked, its constants are not.
///
/// @param layout the layout
/// @param index the field, 0 .. aq_packet_layout_field_count() - 1
/// @param packet the packet
/// @param packet_size its bytes
/// @param value receives the value
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size; AQ_E_INVALID when the value is
///     a float or above 2^63 - 1
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_i64(
    layout: *const aq_packet_layout,
    index: usize,
    packet: *const u8,
    packet_size: usize,
    value: *mut i64,
) -> aq_status {
    let convert = |value| match value {
        Value::Int(value) => Some(value),
        Value::Uint(value) => i64::try_from(value).ok(),
        Value::Bool(value) => Some(value.into()),
        Value::Char(value) => Some(value.into()),
        Value::Float(_) => None,
    };
    // SAFETY: the caller's contract.
    unsafe { number(layout, index, packet, packet_size, value, "signed 64-bit integer", convert) }
}

/// A field's value as an unsigned integer: that of an integer, of a bool (0 or 1) or of a character (its byte).
///
/// The packet's size is checked, its constants are not.
///
/// @param layout the layout
/// @param index the field, 0 .. aq_packet_layout_field_count() - 1
/// @param packet the packet
/// @param packet_size its bytes
/// @param value receives the value
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size; AQ_E_INVALID when the value is
///     a float or negative
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_u64(
    layout: *const aq_packet_layout,
    index: usize,
    packet: *const u8,
    packet_size: usize,
    value: *mut u64,
) -> aq_status {
    let convert = |value| match value {
        Value::Int(value) => u64::try_from(value).ok(),
        Value::Uint(value) => Some(value),
        Value::Bool(value) => Some(value.into()),
        Value::Char(value) => Some(value.into()),
        Value::Float(_) => None,
    };
    // SAFETY: the caller's contract.
    unsafe { number(layout, index, packet, packet_size, value, "unsigned 64-bit integer", convert) }
}

/// A field's value as a double: that of a float, the nearest to an integer, that of a bool (0 or 1) or of a character (its byte).
///
/// The packet's size is checked, its constants are not.
///
/// @param layout the layout
/// @param index the field, 0 .. aq_packet_layout_field_count() - 1
/// @param packet the packet
/// @param packet_size its bytes
/// @param value receives the value
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_f64(
    layout: *const aq_packet_layout,
    index: usize,
    packet: *const u8,
    packet_size: usize,
    value: *mut f64,
) -> aq_status {
    let convert = |value| match value {
        Value::Int(value) => Some(value as f64),
        Value::Uint(value) => Some(value as f64),
        Value::Bool(value) => Some(u8::from(value).into()),
        Value::Char(value) => Some(value.into()),
        Value::Float(value) => Some(value),
    };
    // SAFETY: the caller's contract.
    unsafe { number(layout, index, packet, packet_size, value, "double", convert) }
}

/// Writes the line of a packet, which is UTF-8.
///
/// # Safety
/// As for [`pointer::write_whole_text`].
unsafe fn write_line(line: Vec<u8>, buffer: *mut c_char, size: usize, needed: *mut usize) -> Result<Outcome> {
    let line = String::from_utf8(line)
        .map_err(|_| Error::new(ErrorKind::Internal, "the text of a packet is not UTF-8"))?;
    // SAFETY: the caller's promise.
    unsafe { pointer::write_whole_text(&line, buffer, size, needed) }
}

/// A packet's values as Python prints them, and a newline: floats with the fewest digits that are the same number again (1e-05, 1e+16,
/// inf, nan, -0.0; an f becomes a double first), bools as True and False, characters as in b'a' or b'\x00'. It is the text that
/// baldaquin's to_text() gives.
///
/// @param layout the layout
/// @param packet the packet; its size and its constants are checked
/// @param packet_size its bytes
/// @param separator what stands between two values; NULL for ","
/// @param buffer receives the text and a NUL; may be NULL if size is 0
/// @param size its bytes
/// @param needed receives the bytes of the text and its NUL, also on AQ_E_TRUNCATED; may be NULL
/// @return AQ_OK; AQ_E_FORMAT when the packet is not of this layout; AQ_E_TRUNCATED when it does not fit, and nothing was written to
///     buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_text(
    layout: *const aq_packet_layout,
    packet: *const u8,
    packet_size: usize,
    separator: *const c_char,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: a live handle, and packet_size bytes, or NULL, by the caller's contract.
        let (layout, packet) = unsafe { arguments(layout, packet, packet_size) }?;
        // SAFETY: NULL or a string by the caller's contract.
        let separator = unsafe { text::optional(separator, "separator") }?.unwrap_or(",");
        let mut line = Vec::with_capacity(LINE);
        layout.layout.write_text(packet, separator, &mut line)?;
        // SAFETY: the caller's contract.
        unsafe { write_line(line, buffer, size, needed) }
    })
}

/// A packet's values as a line of CSV: as aq_packet_layout_text() with commas, but bools are true and false, and a character is itself
/// (a comma and a quote in quotes, what cannot be printed as in \x0a).
///
/// @param layout the layout
/// @param packet the packet; its size and its constants are checked
/// @param packet_size its bytes
/// @param buffer receives the line and a NUL; may be NULL if size is 0
/// @param size its bytes
/// @param needed receives the bytes of the line and its NUL, also on AQ_E_TRUNCATED; may be NULL
/// @return AQ_OK; AQ_E_FORMAT when the packet is not of this layout; AQ_E_TRUNCATED when it does not fit, and nothing was written to
///     buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_csv(
    layout: *const aq_packet_layout,
    packet: *const u8,
    packet_size: usize,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: a live handle, and packet_size bytes, or NULL, by the caller's contract.
        let (layout, packet) = unsafe { arguments(layout, packet, packet_size) }?;
        let mut line = Vec::with_capacity(LINE);
        layout.layout.write_csv(packet, &mut line)?;
        // SAFETY: the caller's contract.
        unsafe { write_line(line, buffer, size, needed) }
    })
}

/// The lines above the text of packets: when they were written (now), by which version, for whom, and the fields' names.
///
/// ```text
/// #Created on 2026-11-24 23:04:49.461783+00:00 (1795561489.461783 s)
/// #Aqueduct version: 0.1.0
/// #Creator: the creator
/// #header, time, adc
/// ```
///
/// @param layout the layout
/// @param prefix what each line begins with; NULL for "#"
/// @param creator for the third line; NULL for none
/// @param buffer receives the text and a NUL; may be NULL if size is 0
/// @param size its bytes
/// @param needed receives the bytes of the text and its NUL, which are always the same, also on AQ_E_TRUNCATED; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_text_header(
    layout: *const aq_packet_layout,
    prefix: *const c_char,
    creator: *const c_char,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let layout = unsafe { handle::borrow(layout, "layout") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let prefix = unsafe { text::optional(prefix, "prefix") }?.unwrap_or("#");
        // SAFETY: NULL or a string by the caller's contract.
        let creator = unsafe { text::optional(creator, "creator") }?;
        let header = layout.layout.text_header(prefix, SystemTime::now(), creator);
        // SAFETY: the caller's contract.
        unsafe { pointer::write_whole_text(&header, buffer, size, needed) }
    })
}

/// The line above the CSV of packets: the fields' names.
///
/// @param layout the layout
/// @param buffer receives the line and a NUL; may be NULL if size is 0
/// @param size its bytes
/// @param needed receives the bytes of the line and its NUL, also on AQ_E_TRUNCATED; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_csv_header(
    layout: *const aq_packet_layout,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let layout = unsafe { handle::borrow(layout, "layout") }?;
        // SAFETY: the caller's contract.
        unsafe { pointer::write_whole_text(&layout.layout.csv_header(), buffer, size, needed) }
    })
}

/// The layout as a line of text, from which aq_packet_layout_parse() makes an equal one.
///
/// @param layout the layout
/// @param buffer receives the text and a NUL; may be NULL if size is 0
/// @param size its bytes
/// @param needed receives the bytes of the text and its NUL, also on AQ_E_TRUNCATED; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_packet_layout_describe(
    layout: *const aq_packet_layout,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let layout = unsafe { handle::borrow(layout, "layout") }?;
        // SAFETY: the caller's contract.
        unsafe { pointer::write_whole_text(&layout.layout.to_string(), buffer, size, needed) }
    })
}
