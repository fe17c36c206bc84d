//! Types of elements
//!
//! What an element of a dataset is: a number, a text, a record of named fields, or a small array of one of these. The text in `dtype` is that of signal
//! streams (aq_stream_info), as numpy writes it; the other fields say the same for those who do not want to read it.
//!
//! ```c
//! aq_element_type type, field;
//! aq_element_type_init(&type, sizeof type);
//! aq_element_type_init(&field, sizeof field);
//! aq_dataset_dtype(dataset, &type);              // "<f4"; a table: [["time","<f8"],["wave","<i2",[512]]]
//! for (size_t i = 0; i < type.n_fields; i++) {
//!     aq_dataset_field(dataset, i, &field);
//!     printf("%s: %s at byte %zu\n", field.name, field.dtype, field.offset);
//! }
//! ```

// Other files write the struct: `ElementType` holds the texts that it points to, as long as a handle of theirs.

use std::ffi::{CString, c_char};
use std::ptr;

use super::guard::{Outcome, guard};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::dataset::{DataType, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::signal::numpy::dtype_to_json;

/// A signed integer in two's complement, of 1, 2, 4 or 8 bytes.
pub const AQ_ELEMENT_INT: i32 = 0;
/// An unsigned integer of 1, 2, 4 or 8 bytes.
pub const AQ_ELEMENT_UINT: i32 = 1;
/// An IEEE 754 number of 2, 4 or 8 bytes.
pub const AQ_ELEMENT_FLOAT: i32 = 2;
/// Text of a fixed number of bytes, padded; there need not be a NUL at its end.
pub const AQ_ELEMENT_TEXT: i32 = 3;
/// Bytes without a meaning.
pub const AQ_ELEMENT_OPAQUE: i32 = 4;
/// Named fields.
pub const AQ_ELEMENT_RECORD: i32 = 5;

/// What an element is, or a field of it. Initialise it with aq_element_type_init() first. What it points to belongs to the handle that was asked, and
/// is valid until that is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_element_type {
    /// Set by aq_element_type_init().
    pub struct_size: usize,
    /// The name of a field; NULL where it is no field.
    pub name: *const c_char,
    /// The type of an element, or of each of its items where it is an array: as numpy writes it ("<f4", "|S7"), or a JSON list of fields, in the order of
    /// their bytes, each a list of its name, its type and, if it is an array, its shape. Bytes that no field has are a field named "".
    pub dtype: *const c_char,
    /// Bytes of an element, all items of an array included.
    pub size: usize,
    /// Of a field: bytes of its record before it.
    pub offset: usize,
    /// One of AQ_ELEMENT_*: what an element is, or each of its items.
    pub kind: i32,
    /// 1 where numbers have their most significant byte first; 0 where not, or where that means nothing. Of a record its fields say it.
    pub big_endian: i32,
    /// Bytes of an item; `size`, but of an array.
    pub item_size: usize,
    /// Axes of an element that is an array; mostly 0.
    pub ndim: usize,
    /// Items along each of them, in C order.
    pub shape: *const usize,
    /// Fields of a record, without those in fields of it; 0 of others.
    pub n_fields: usize,
}

// SAFETY: numbers and pointers; two i32 fill 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_element_type {
    const NAME: &'static str = "aq_element_type";
    const FIRST_SIZE: usize = 80;
    const DEFAULT: Self = Self {
        struct_size: 0,
        name: ptr::null(),
        dtype: ptr::null(),
        size: 0,
        offset: 0,
        kind: 0,
        big_endian: 0,
        item_size: 0,
        ndim: 0,
        shape: ptr::null(),
        n_fields: 0,
    };
}

/// Writes zeros, and the struct's size.
///
/// @param element the struct
/// @param struct_size sizeof *element
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_element_type_init(
    element: *mut aq_element_type,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(element, struct_size, "element") })
}

/// A type, with the texts that an [`aq_element_type`] points to.
pub struct ElementType {
    own: Described,
    fields: Vec<Described>,
}

impl ElementType {
    /// Describes a type.
    pub fn new(dtype: &DataType) -> Result<Self> {
        let fields = dtype.fields().iter().map(|field| {
            let name = text(&field.name);
            Ok(Described { name: Some(name), offset: field.offset, ..Described::new(&field.dtype)? })
        });
        Ok(Self { fields: fields.collect::<Result<_>>()?, own: Described::new(dtype)? })
    }

    /// Writes it to the argument `element`.
    ///
    /// # Safety
    /// `out` is NULL or a struct of its struct_size. It is used no longer than this value lives, nor moved.
    pub unsafe fn write(&self, out: *mut aq_element_type) -> Result<Outcome> {
        // SAFETY: the caller's promise.
        unsafe { sized::write(out, &self.own.value(), "element") }
    }

    /// Writes the field number `index` to the argument `field`.
    ///
    /// # Safety
    /// As for [`Self::write`].
    pub unsafe fn write_field(&self, index: usize, out: *mut aq_element_type) -> Result<Outcome> {
        let field = self.fields.get(index).ok_or_else(|| {
            let rule = format!("index must be less than {}, the fields that there are", self.fields.len());
            Error::new(ErrorKind::NotFound, format!("{rule} (got {index})"))
        })?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(out, &field.value(), "field") }
    }
}

struct Described {
    name: Option<CString>,
    offset: usize,
    dtype: CString,
    size: usize,
    kind: i32,
    big_endian: bool,
    item_size: usize,
    shape: Vec<usize>,
    n_fields: usize,
}

impl Described {
    fn new(dtype: &DataType) -> Result<Self> {
        let (numpy, shape) = dtype.to_numpy()?;
        let name = match dtype_to_json(&numpy) {
            serde_json::Value::String(name) => name,
            fields => fields.to_string(),
        };
        let mut item = dtype;
        while let Form::Array { element, .. } = &item.form {
            item = element;
        }
        let kind = match &item.form {
            Form::Int => AQ_ELEMENT_INT,
            Form::Uint => AQ_ELEMENT_UINT,
            Form::Float => AQ_ELEMENT_FLOAT,
            Form::Bytes => AQ_ELEMENT_TEXT,
            Form::Opaque | Form::Array { .. } => AQ_ELEMENT_OPAQUE,
            Form::Record(_) => AQ_ELEMENT_RECORD,
        };
        Ok(Self {
            name: None,
            offset: 0,
            dtype: text(&name),
            size: dtype.size,
            kind,
            big_endian: item.big_endian,
            item_size: item.size,
            shape,
            n_fields: item.fields().len(),
        })
    }

    fn value(&self) -> aq_element_type {
        aq_element_type {
            struct_size: 0,
            name: self.name.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
            dtype: self.dtype.as_ptr(),
            size: self.size,
            offset: self.offset,
            kind: self.kind,
            big_endian: self.big_endian.into(),
            item_size: self.item_size,
            ndim: self.shape.len(),
            shape: self.shape.as_ptr(),
            n_fields: self.n_fields,
        }
    }
}

/// C's texts have no zero bytes.
fn text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Field;
    use crate::ffi::status::{AQ_OK, last_error};
    use std::ffi::CStr;

    #[test]
    fn a_record_is_described_with_its_fields() {
        let number = |form, size| DataType { size, big_endian: size > 2, form };
        let pair = Form::Record(vec![Field { name: "r".into(), offset: 0, dtype: number(Form::Float, 4) }]);
        let array = |shape: &[u64], element, size| {
            number(Form::Array { shape: shape.to_vec(), element: Box::new(element) }, size)
        };
        let wave = array(&[2], array(&[3], number(Form::Int, 2), 6), 12);
        let pairs = array(&[5], number(pair, 4), 20);
        let fields = vec![
            Field { name: "wave".into(), offset: 1, dtype: wave },
            Field { name: "pairs".into(), offset: 13, dtype: pairs },
        ];
        let described =
            ElementType::new(&DataType { size: 33, big_endian: false, form: Form::Record(fields) }).unwrap();
        let mut found = aq_element_type::DEFAULT;
        // SAFETY: a live struct; the texts live as long as `described`.
        unsafe {
            assert_eq!(aq_element_type_init(&mut found, size_of::<aq_element_type>()), AQ_OK);
            described.write(&mut found).unwrap();
            let dtype = r#"[["","|V1"],["wave","<i2",[2,3]],["pairs",[["r",">f4"]],[5]]]"#;
            assert_eq!(CStr::from_ptr(found.dtype).to_str().unwrap(), dtype);
            assert!(found.name.is_null() && found.n_fields == 2 && found.size == 33);
            assert_eq!((found.kind, found.item_size, found.ndim), (AQ_ELEMENT_RECORD, 33, 0));
            described.write_field(0, &mut found).unwrap();
            assert_eq!(CStr::from_ptr(found.name), c"wave");
            assert_eq!(CStr::from_ptr(found.dtype), c"<i2");
            assert_eq!((found.kind, found.big_endian, found.offset), (AQ_ELEMENT_INT, 0, 1));
            assert_eq!((found.size, found.item_size, found.ndim, found.n_fields), (12, 2, 2, 0));
            assert_eq!(std::slice::from_raw_parts(found.shape, 2), [2, 3]);
            described.write_field(1, &mut found).unwrap();
            assert_eq!((found.kind, found.item_size, found.n_fields), (AQ_ELEMENT_RECORD, 4, 1));
            let error = guard(|| described.write_field(2, &mut found));
            assert!(error < 0 && last_error().contains("less than 2"), "{}", last_error());
        }
    }
}
