//! Types of elements: what a dataset's bytes mean, and where the fields of a record are.
//!
//! Invariant: the fields of a record, and the elements of an array, lie within the bytes of their element.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::spead::dtype::{self, Dtype, Scalar};
use crate::sys::hdf5::{Class, Kind, Library};

/// How deep records and arrays may be nested in each other.
const MAX_DEPTH: usize = 32;

/// What an element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A signed integer in two's complement, of 1, 2, 4 or 8 bytes.
    Int,
    /// An unsigned integer.
    Uint,
    /// An IEEE 754 number of 2, 4 or 8 bytes.
    Float,
    /// Text of so many bytes, padded.
    Bytes,
    /// Bytes without a meaning.
    Opaque,
    /// Named fields, in the order of the file.
    Record(Vec<Field>),
    /// Several elements of one type.
    Array {
        /// Sizes of the array, slowest axis first.
        shape: Vec<u64>,
        /// What it is made of.
        element: Box<DataType>,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As in the file.
    pub name: String,
    /// Bytes before it in its record.
    pub offset: usize,
    /// What it is.
    pub dtype: DataType,
}

/// The type of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataType {
    /// Bytes, at least 1.
    pub size: usize,
    /// Whether numbers have their most significant byte first. False where that means nothing.
    pub big_endian: bool,
    /// What it is.
    pub form: Form,
}

/// Bytes of a number within an element that are in the wrong order for this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// Bytes before the number.
    pub offset: usize,
    /// Bytes of it: 2, 4 or 8.
    pub size: usize,
    /// How many of them follow each other.
    pub count: usize,
}

/// Why a type is not read as it is in the file.
pub(super) enum Odd {
    /// libhdf5 can convert it.
    Convert(&'static str),
    /// It is none that could be streamed.
    No(&'static str),
    /// libhdf5 failed.
    Failed(std::io::Error),
}

impl From<std::io::Error> for Odd {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}

impl DataType {
    /// What libhdf5 says of a type.
    pub(super) fn new(library: &Library, kind: &Kind, depth: usize) -> Result<Self, Odd> {
        let size = kind.size();
        if size == 0 || depth > MAX_DEPTH {
            return Err(Odd::No("a type without bytes, or nested too deeply"));
        }
        let mut big_endian = false;
        let mut order = |kind: &Kind| match kind.is_big_endian(library)? {
            Some(big) => {
                big_endian = big && kind.size() > 1;
                Ok(())
            }
            None => Err(Odd::Convert("numbers in VAX byte order")),
        };
        let form = match kind.class(library)? {
            Class::Integer => {
                order(kind)?;
                if !matches!(size, 1 | 2 | 4 | 8) || !kind.is_full(library) {
                    return Err(Odd::Convert("integers that do not use all their bits"));
                }
                if kind.is_signed(library)? { Form::Int } else { Form::Uint }
            }
            Class::Float => {
                order(kind)?;
                if !kind.is_ieee(library)? {
                    return Err(Odd::Convert("floating-point numbers that are not of IEEE 754"));
                }
                Form::Float
            }
            Class::Text => Form::Bytes,
            Class::Opaque => Form::Opaque,
            Class::Bits => {
                order(kind)?;
                Form::Opaque
            }
            // What the names stand for is told elsewhere.
            Class::Enum => return Self::new(library, &kind.base(library)?, depth + 1),
            Class::Array => {
                let element = Box::new(Self::new(library, &kind.base(library)?, depth + 1)?);
                let shape = kind.array_shape(library)?;
                if shape.iter().try_fold(element.size as u64, |all, &n| all.checked_mul(n))
                    != Some(size as u64)
                {
                    return Err(Odd::No("an array of another size than its elements"));
                }
                Form::Array { shape, element }
            }
            Class::Compound => {
                let mut fields = Vec::new();
                for (name, offset, kind) in kind.fields(library)? {
                    let dtype = Self::new(library, &kind, depth + 1)?;
                    if offset.checked_add(dtype.size).is_none_or(|end| end > size) {
                        return Err(Odd::No("a field that is outside its record"));
                    }
                    fields.push(Field { name, offset, dtype });
                }
                if overlap(&fields) {
                    return Err(Odd::No("fields that overlap"));
                }
                Form::Record(fields)
            }
            Class::Other => return Err(Odd::No("variable length, references or times")),
        };
        Ok(Self { size, big_endian, form })
    }

    /// The fields, if it is a record.
    pub fn fields(&self) -> &[Field] {
        match &self.form {
            Form::Record(fields) => fields,
            _ => &[],
        }
    }

    /// A field, by its name.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.fields().iter().find(|field| field.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.fields().iter().take(10).map(|field| &*field.name).collect();
            let fields = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::new(
                ErrorKind::NotFound,
                format!("field must be one of the dataset: {fields} (got {name})"),
            )
        })
    }

    /// The same as numpy and signal streams have it: a type, and the shape of each element where elements are arrays. Fields are in the order of their
    /// bytes; bytes between them are fields without a name.
    ///
    /// # Errors
    /// `Format`: arrays are too large.
    pub fn to_numpy(&self) -> Result<(Dtype, Vec<usize>)> {
        let scalar = |kind| {
            let (size, big_endian) = (self.size, self.big_endian);
            Ok((Dtype::Scalar(Scalar { kind, size, big_endian, unit: String::new() }), Vec::new()))
        };
        match &self.form {
            Form::Int => scalar(dtype::Kind::Int),
            Form::Uint => scalar(dtype::Kind::Uint),
            Form::Float => scalar(dtype::Kind::Float),
            Form::Bytes => scalar(dtype::Kind::Bytes),
            Form::Opaque => scalar(dtype::Kind::Void),
            Form::Array { shape, element } => {
                let (dtype, inner) = element.to_numpy()?;
                // Within memory, as the element's own size is.
                Ok((dtype, shape.iter().map(|&n| n as usize).chain(inner).collect()))
            }
            Form::Record(fields) => {
                let mut all = Vec::new();
                let mut end = 0;
                for field in in_order(fields) {
                    all.extend(padding(end, field.offset));
                    let (dtype, shape) = field.dtype.to_numpy()?;
                    all.push(dtype::Field { name: field.name.clone(), dtype, shape, offset: 0 });
                    end = field.offset + field.dtype.size;
                }
                all.extend(padding(end, self.size));
                Ok((Dtype::record(all)?, Vec::new()))
            }
        }
    }

    /// What must be swapped for this machine, in an element.
    pub fn swaps(&self) -> Vec<Swap> {
        let mut swaps = Vec::new();
        self.add_swaps(0, &mut swaps);
        swaps
    }

    fn add_swaps(&self, offset: usize, swaps: &mut Vec<Swap>) {
        match &self.form {
            Form::Record(fields) => {
                for field in fields {
                    field.dtype.add_swaps(offset + field.offset, swaps);
                }
            }
            Form::Array { element, .. } => {
                let count = self.size / element.size;
                let mut one = Vec::new();
                element.add_swaps(0, &mut one);
                match one[..] {
                    [Swap { offset: 0, size, count: 1 }] if size == element.size => {
                        swaps.push(Swap { offset, size, count });
                    }
                    _ => {
                        for (i, swap) in (0..count).flat_map(|i| one.iter().map(move |swap| (i, swap))) {
                            swaps.push(Swap { offset: offset + i * element.size + swap.offset, ..*swap });
                        }
                    }
                }
            }
            _ if self.big_endian != cfg!(target_endian = "big") && matches!(self.size, 2 | 4 | 8) => {
                if matches!(self.form, Form::Int | Form::Uint | Form::Float) {
                    swaps.push(Swap { offset, size: self.size, count: 1 });
                }
            }
            _ => {}
        }
    }
}

fn in_order(fields: &[Field]) -> Vec<&Field> {
    let mut fields: Vec<&Field> = fields.iter().collect();
    fields.sort_by_key(|field| field.offset);
    fields
}

fn overlap(fields: &[Field]) -> bool {
    in_order(fields).windows(2).any(|pair| pair[0].offset + pair[0].dtype.size > pair[1].offset)
}

/// Bytes of a record that no field has.
fn padding(from: usize, to: usize) -> Option<dtype::Field> {
    let size = to.checked_sub(from).filter(|&size| size > 0)?;
    let dtype = Scalar { kind: dtype::Kind::Void, size, big_endian: false, unit: String::new() };
    Some(dtype::Field { name: String::new(), dtype: Dtype::Scalar(dtype), shape: Vec::new(), offset: 0 })
}

/// As numpy writes it: `<f4`, `|S8`, `(2,3)>i2`, `{a: <i4, b: |u1}`.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match (self.size, self.big_endian) {
            (1, _) => '|',
            (_, false) => '<',
            (_, true) => '>',
        };
        match &self.form {
            Form::Int => write!(f, "{order}i{}", self.size),
            Form::Uint => write!(f, "{order}u{}", self.size),
            Form::Float => write!(f, "{order}f{}", self.size),
            Form::Bytes => write!(f, "|S{}", self.size),
            Form::Opaque => write!(f, "|V{}", self.size),
            Form::Array { shape, element } => {
                write!(f, "(")?;
                for n in shape {
                    write!(f, "{n},")?;
                }
                write!(f, "){element}")
            }
            Form::Record(fields) => {
                write!(f, "{{")?;
                for (i, field) in fields.iter().enumerate() {
                    write!(f, "{}{}: {}", if i > 0 { ", " } else { "" }, field.name, field.dtype)?;
                }
                write!(f, "}}")
            }
        }
    }
}

/// Puts the numbers of all elements of `size` bytes in `data` into this machine's byte order.
pub fn swap_elements(swaps: &[Swap], size: usize, data: &mut [u8]) {
    for swap in swaps {
        match swap.size {
            2 => swap_numbers::<2>(swap, size, data),
            4 => swap_numbers::<4>(swap, size, data),
            _ => swap_numbers::<8>(swap, size, data),
        }
    }
}

fn swap_numbers<const N: usize>(swap: &Swap, size: usize, data: &mut [u8]) {
    if N * swap.count == size {
        // The common case is one loop that becomes vector instructions.
        data.as_chunks_mut::<N>().0.iter_mut().for_each(|number| number.reverse());
        return;
    }
    for element in data.chunks_exact_mut(size) {
        let numbers = &mut element[swap.offset..][..N * swap.count];
        numbers.as_chunks_mut::<N>().0.iter_mut().for_each(|number| number.reverse());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(size: usize, big_endian: bool, form: Form) -> DataType {
        DataType { size, big_endian, form }
    }

    fn record() -> DataType {
        let big = number(4, true, Form::Float);
        let array = DataType {
            size: 8,
            big_endian: false,
            form: Form::Array { shape: vec![2], element: Box::new(big.clone()) },
        };
        let fields = [("a", 0, number(1, false, Form::Uint)), ("b", 1, big), ("c", 5, array)];
        let fields =
            fields.map(|(name, offset, dtype)| Field { name: name.to_owned(), offset, dtype }).to_vec();
        number(13, false, Form::Record(fields))
    }

    #[test]
    fn types_read_as_numpy_writes_them() {
        assert_eq!(number(2, true, Form::Int).to_string(), ">i2");
        assert_eq!(number(5, false, Form::Bytes).to_string(), "|S5");
        assert_eq!(record().to_string(), "{a: |u1, b: >f4, c: (2,)>f4}");
    }

    #[test]
    fn numpy_has_fields_in_order_and_padding_between_them() {
        let Form::Record(mut fields) = record().form else { unreachable!() };
        fields[0].offset = 15;
        let record = number(18, false, Form::Record(fields.clone()));
        let (dtype, shape) = record.to_numpy().unwrap();
        assert!(shape.is_empty());
        let json = crate::signal::numpy::dtype_to_json(&dtype).to_string();
        assert_eq!(json, r#"[["","|V1"],["b",">f4"],["c",">f4",[2]],["","|V2"],["a","|u1"],["","|V2"]]"#);
        assert_eq!((dtype.size(), dtype.fields().len()), (18, 6));
        assert!(!overlap(&fields));
        fields[0].offset = 7;
        assert!(overlap(&fields));
        let (dtype, shape) = fields[2].dtype.to_numpy().unwrap();
        assert_eq!((dtype.to_string(), shape), (">f4".to_owned(), vec![2]));
    }

    #[test]
    fn numbers_of_a_record_are_swapped_where_they_are() {
        let record = record();
        let swaps = record.swaps();
        assert_eq!(swaps, [Swap { offset: 1, size: 4, count: 1 }, Swap { offset: 5, size: 4, count: 2 }]);
        let mut data: Vec<u8> = (0..26).collect();
        swap_elements(&swaps, 13, &mut data);
        assert_eq!(data[..13], [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9]);
        assert_eq!(data[13..18], [13, 17, 16, 15, 14]);
        let mut numbers = [1, 2, 3, 4];
        swap_elements(&number(2, true, Form::Int).swaps(), 2, &mut numbers);
        assert_eq!(numbers, [2, 1, 4, 3]);
        assert_eq!(number(1, true, Form::Int).swaps(), []);
    }

    #[test]
    fn a_field_that_there_is_not_is_named() {
        let error = record().field("d").unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::NotFound, "field must be one of the dataset: a, b, c (got d)")
        );
        assert_eq!(record().field("b").unwrap().offset, 1);
    }
}
