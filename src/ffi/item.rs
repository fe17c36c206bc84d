//! Items
//!
//! What a heap's items mean is told by descriptors that the sender puts into heaps now and then: a name, a type, a shape. An
//! item group (aq_item_group) learns them, and keeps the latest value of each item as an array in this machine's byte order.
//!
//! Types are written as numpy writes them: "<f4" (a byte order, a letter, a size in bytes), or
//! "[('time', '<u8'), ('power', '<f4', (2,))]" for records, whose bytes lie one behind the other. Formats that pack bits (a 12-bit
//! integer, say) are unpacked to the smallest integers that hold them. Letters: b bool, i and u integers, f float, c complex, S text
//! in bytes, U text in characters of 4 bytes, M and m times, V bytes without a meaning. Sources: numpy's array interface, and SPEAD's
//! specification for formats.

use std::ffi::{CStr, CString, c_char};

use super::guard::{Outcome, guard};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::error::{Error, Result};
use crate::spead::descriptor::{Descriptor, Layout};
use crate::spead::value::{Number, Value};

/// The last index runs fastest.
pub const AQ_ORDER_C: i32 = 0;
/// The first index runs fastest.
pub const AQ_ORDER_F: i32 = 1;

/// The item is no single number.
pub const AQ_NUMBER_NONE: i32 = 0;
/// A bool or an unsigned integer.
pub const AQ_NUMBER_UNSIGNED: i32 = 1;
/// A signed integer, or a time.
pub const AQ_NUMBER_SIGNED: i32 = 2;
/// A float of 2, 4 or 8 bytes.
pub const AQ_NUMBER_FLOAT: i32 = 3;

/// A field of a record.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_item_field {
    /// Its name; "" for padding.
    pub name: *const c_char,
    /// Its type, or that of its elements.
    pub dtype: *const c_char,
    /// Bytes from the record's beginning.
    pub offset: usize,
    /// Bytes in all.
    pub size: usize,
    /// Its dimensions; 0 for a single value.
    pub n_dims: usize,
    /// As many sizes, in C order.
    pub shape: *const usize,
}

/// An item of a group: its description and its latest value. Initialise it with aq_item_init() first. What it points to belongs to the
/// group, and is valid until the group's next update or its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_item {
    /// Set by aq_item_init().
    pub struct_size: usize,
    /// Its identifier.
    pub id: u64,
    /// Its name.
    pub name: *const c_char,
    /// What it is, for people.
    pub description: *const c_char,
    /// Grows by one with each value and each new description; 0 if there was none of either but the first description.
    pub version: u64,
    /// The type of its elements, as in "<f4".
    pub dtype: *const c_char,
    /// Bytes of an element.
    pub item_size: usize,
    /// The fields of an element; 0 if it is not a record.
    pub n_fields: usize,
    /// As many fields.
    pub fields: *const aq_item_field,
    /// Dimensions of the value; 0 for a single one, and where there is no value yet.
    pub n_dims: usize,
    /// As many sizes.
    pub shape: *const usize,
    /// For each dimension the bytes from one element to the next.
    pub strides: *const usize,
    /// The elements back to back, in this machine's byte order; NULL if no value has come since the item was described.
    pub data: *const u8,
    /// Bytes at data.
    pub size: usize,
    /// AQ_ORDER_C or AQ_ORDER_F.
    pub order: i32,
    /// 1 if the last update brought a value, else 0.
    pub changed: i32,
    /// 1 if there is a value, else 0.
    pub has_value: i32,
    /// What the value is if it is a single number: one of AQ_NUMBER_*; see aq_item_u64() and its like.
    pub number_kind: i32,
    /// That number's bits: of an integer extended to 64, of a float as a double.
    pub number_bits: u64,
}

// SAFETY: numbers and pointers; four 32-bit numbers fill 16 bytes.
unsafe impl SizedStruct for aq_item {
    const NAME: &'static str = "aq_item";
    const FIRST_SIZE: usize = 136;
    const DEFAULT: Self = Self {
        struct_size: 0,
        id: 0,
        name: std::ptr::null(),
        description: std::ptr::null(),
        version: 0,
        dtype: std::ptr::null(),
        item_size: 0,
        n_fields: 0,
        fields: std::ptr::null(),
        n_dims: 0,
        shape: std::ptr::null(),
        strides: std::ptr::null(),
        data: std::ptr::null(),
        size: 0,
        order: AQ_ORDER_C,
        changed: 0,
        has_value: 0,
        number_kind: AQ_NUMBER_NONE,
        number_bits: 0,
    };
}

/// A text for C. It has no zero byte where it comes from a descriptor.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// What the structs of C point to: texts and arrays. A view is boxed and does not change.
pub(super) struct View {
    name: CString,
    description: CString,
    dtype: CString,
    fields: Vec<aq_item_field>,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// What `fields` point to.
    _fields: Vec<(CString, CString, Vec<usize>)>,
}

// SAFETY: the pointers of `fields` point into `_fields`, which is never changed.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    pub(super) fn new(descriptor: &Descriptor, value: Option<&Value>) -> Result<Self> {
        let dtype = descriptor.dtype();
        let owned: Vec<_> = dtype
            .fields()
            .iter()
            .map(|field| (c_text(&field.name), c_text(&field.dtype.to_string()), field.shape.clone()))
            .collect();
        // The vectors and strings keep their memory where it is when `owned` moves.
        let fields = dtype.fields().iter().zip(&owned).map(|(field, (name, dtype, shape))| aq_item_field {
            name: name.as_ptr(),
            dtype: dtype.as_ptr(),
            offset: field.offset,
            size: field.size(),
            n_dims: shape.len(),
            shape: shape.as_ptr(),
        });
        Ok(Self {
            name: c_text(&descriptor.name),
            description: c_text(&descriptor.description),
            dtype: c_text(&dtype.to_string()),
            fields: fields.collect(),
            shape: value.map(|value| value.shape.clone()).unwrap_or_default(),
            strides: value.map(Value::strides).unwrap_or_default(),
            _fields: owned,
        })
    }

    /// The struct of C; its pointers are valid as long as this view and `value`.
    pub(super) fn item(
        &self,
        descriptor: &Descriptor,
        value: Option<&Value>,
        version: u64,
        changed: bool,
    ) -> aq_item {
        let (number_kind, number_bits) = match value.and_then(Value::number) {
            None => (AQ_NUMBER_NONE, 0),
            Some(Number::Unsigned(number)) => (AQ_NUMBER_UNSIGNED, number),
            Some(Number::Signed(number)) => (AQ_NUMBER_SIGNED, number as u64),
            Some(Number::Float(number)) => (AQ_NUMBER_FLOAT, number.to_bits()),
        };
        aq_item {
            struct_size: 0,
            id: descriptor.id,
            name: self.name.as_ptr(),
            description: self.description.as_ptr(),
            version,
            dtype: self.dtype.as_ptr(),
            item_size: descriptor.dtype().size(),
            n_fields: self.fields.len(),
            fields: self.fields.as_ptr(),
            n_dims: self.shape.len(),
            shape: self.shape.as_ptr(),
            strides: self.strides.as_ptr(),
            data: value.map_or(std::ptr::null(), |value| value.bytes.as_ptr()),
            size: value.map_or(0, |value| value.bytes.len()),
            order: if descriptor.is_fortran_order() { AQ_ORDER_F } else { AQ_ORDER_C },
            changed: changed.into(),
            has_value: value.is_some().into(),
            number_kind,
            number_bits,
        }
    }
}

/// Writes the defaults.
///
/// @param item the struct
/// @param struct_size sizeof *item
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_init(item: *mut aq_item, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(item, struct_size, "item") })
}

/// The number of an item, for messages.
fn shown(item: &aq_item) -> String {
    if item.name.is_null() {
        return format!("item {:#x}", item.id);
    }
    // SAFETY: the name of a group's item, which is valid by the caller's contract.
    let name = unsafe { CStr::from_ptr(item.name) };
    format!("item {}", name.to_string_lossy())
}

/// The body of a getter.
///
/// # Safety
/// As for [`sized::read`]; `out` is NULL or writable.
unsafe fn number<T>(
    item: *const aq_item,
    out: *mut T,
    wanted: &str,
    convert: impl FnOnce(Number) -> Option<T>,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let item = unsafe { sized::read(item, "item") }?;
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out, "value") }?;
        let (bits, number) = (item.number_bits, item.number_kind);
        let (number, text) = match number {
            AQ_NUMBER_UNSIGNED => (Number::Unsigned(bits), bits.to_string()),
            AQ_NUMBER_SIGNED => (Number::Signed(bits as i64), (bits as i64).to_string()),
            AQ_NUMBER_FLOAT => (Number::Float(f64::from_bits(bits)), f64::from_bits(bits).to_string()),
            _ => return Err(Error::invalid(format!("{}: it is no single number", shown(&item)))),
        };
        let value = convert(number)
            .ok_or_else(|| Error::invalid(format!("{}: {text} is no {wanted}", shown(&item))))?;
        out.write(value);
        Ok(Outcome::Done)
    })
}

/// The value of an item that is a single integer, bool or time, not below 0.
///
/// @param item an item of a group
/// @param value receives the number
/// @return AQ_OK; AQ_E_INVALID when it is an array, a float, or negative
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_u64(item: *const aq_item, value: *mut u64) -> aq_status {
    let convert = |number| match number {
        Number::Unsigned(number) => Some(number),
        Number::Signed(number) => u64::try_from(number).ok(),
        Number::Float(_) => None,
    };
    // SAFETY: the caller's contract.
    unsafe { number(item, value, "unsigned 64-bit integer", convert) }
}

/// The value of an item that is a single integer, bool or time.
///
/// @param item an item of a group
/// @param value receives the number
/// @return AQ_OK; AQ_E_INVALID when it is an array, a float, or above 2^63 - 1
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_i64(item: *const aq_item, value: *mut i64) -> aq_status {
    let convert = |number| match number {
        Number::Unsigned(number) => i64::try_from(number).ok(),
        Number::Signed(number) => Some(number),
        Number::Float(_) => None,
    };
    // SAFETY: the caller's contract.
    unsafe { number(item, value, "signed 64-bit integer", convert) }
}

/// The value of an item that is a single number, as the nearest double.
///
/// @param item an item of a group
/// @param value receives the number
/// @return AQ_OK; AQ_E_INVALID when it is an array, or a float of 16 bytes
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_item_f64(item: *const aq_item, value: *mut f64) -> aq_status {
    let convert = |number| match number {
        Number::Unsigned(number) => Some(number as f64),
        Number::Signed(number) => Some(number as f64),
        Number::Float(number) => Some(number),
    };
    // SAFETY: the caller's contract.
    unsafe { number(item, value, "double", convert) }
}

/// The letter and width of an element's part, where a descriptor gives a format.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_format_entry {
    /// 'u', 'i', 'f', 'c' or 'b'.
    pub letter: i32,
    /// Bits.
    pub bits: i32,
}

/// A descriptor in a heap. Initialise it with aq_descriptor_init() first. What it points to belongs to the heap, and is valid as long as
/// that.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_descriptor {
    /// Set by aq_descriptor_init().
    pub struct_size: usize,
    /// The identifier of the item that it describes.
    pub id: u64,
    /// The item's name.
    pub name: *const c_char,
    /// What it is, for people.
    pub description: *const c_char,
    /// The type of its elements on the wire, as in ">f4"; NULL if a format tells it.
    pub dtype: *const c_char,
    /// The type of its elements as an item group delivers them.
    pub native_dtype: *const c_char,
    /// Parts of an element, where a format tells them; 0 with a dtype.
    pub n_format: usize,
    /// As many.
    pub format: *const aq_format_entry,
    /// Dimensions.
    pub n_dims: usize,
    /// As many sizes; -1 for the one, at most, that follows from the size of a value.
    pub shape: *const i64,
    /// AQ_ORDER_C or AQ_ORDER_F.
    pub order: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: numbers and pointers; two 32-bit numbers fill 8 bytes.
unsafe impl SizedStruct for aq_descriptor {
    const NAME: &'static str = "aq_descriptor";
    const FIRST_SIZE: usize = 88;
    const DEFAULT: Self = Self {
        struct_size: 0,
        id: 0,
        name: std::ptr::null(),
        description: std::ptr::null(),
        dtype: std::ptr::null(),
        native_dtype: std::ptr::null(),
        n_format: 0,
        format: std::ptr::null(),
        n_dims: 0,
        shape: std::ptr::null(),
        order: AQ_ORDER_C,
        reserved: 0,
    };
}

/// Writes the defaults.
///
/// @param descriptor the struct
/// @param struct_size sizeof *descriptor
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_descriptor_init(descriptor: *mut aq_descriptor, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(descriptor, struct_size, "descriptor") })
}

/// What an [`aq_descriptor`] points to.
pub(super) struct DescriptorView {
    view: View,
    id: u64,
    wire_dtype: Option<CString>,
    format: Vec<aq_format_entry>,
    shape: Vec<i64>,
    order: i32,
}

impl DescriptorView {
    pub(super) fn new(descriptor: &Descriptor) -> Result<Self> {
        let (wire_dtype, format) = match &descriptor.layout {
            Layout::Numpy { dtype, .. } => (Some(c_text(&dtype.to_string())), Vec::new()),
            Layout::Packed(entries) => {
                let entry = |entry: &crate::spead::format::Entry| aq_format_entry {
                    letter: entry.letter as i32,
                    bits: entry.bits.into(),
                };
                (None, entries.iter().map(entry).collect())
            }
        };
        Ok(Self {
            view: View::new(descriptor, None)?,
            id: descriptor.id,
            wire_dtype,
            format,
            shape: descriptor.shape.iter().map(|size| size.map_or(-1, |size| size as i64)).collect(),
            order: if descriptor.is_fortran_order() { AQ_ORDER_F } else { AQ_ORDER_C },
        })
    }

    pub(super) fn descriptor(&self) -> aq_descriptor {
        aq_descriptor {
            struct_size: 0,
            id: self.id,
            name: self.view.name.as_ptr(),
            description: self.view.description.as_ptr(),
            dtype: self.wire_dtype.as_ref().map_or(std::ptr::null(), |dtype| dtype.as_ptr()),
            native_dtype: self.view.dtype.as_ptr(),
            n_format: self.format.len(),
            format: self.format.as_ptr(),
            n_dims: self.shape.len(),
            shape: self.shape.as_ptr(),
            order: self.order,
            reserved: 0,
        }
    }
}
