//! Types of array elements, as numpy knows them: scalars, and records of named fields.
//!
//! Invariant: sizes of a type and of its fields never overflow, and a record's fields lie one behind the other.

use std::fmt;

use super::literal::Literal;
use crate::error::{Error, ErrorKind, Result};

/// Dimensions that an array may have; numpy has the same limit.
pub(super) const MAX_DIMENSIONS: usize = 64;

/// Fields without bytes that a record may have, with all that is in it. All others need bytes of each element, so that no more of them
/// are looked at than come.
const MAX_EMPTY_FIELDS: usize = 64;

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A byte, false if it is 0.
    Bool,
    /// A signed integer in two's complement.
    Int,
    /// An unsigned integer.
    Uint,
    /// An IEEE 754 number, or a long double of 16 bytes.
    Float,
    /// Two floats: real and imaginary part.
    Complex,
    /// Bytes of text, padded with zeros.
    Bytes,
    /// Characters of 4 bytes, padded with zeros.
    Unicode,
    /// A point in time, as a 64-bit count of the unit since 1970.
    Datetime,
    /// A span of time, as a 64-bit count of the unit.
    Timedelta,
    /// Bytes without a meaning.
    Void,
}

/// The letter, and the sizes in bytes that it allows; none where any size will do.
const KINDS: [(char, Kind, &[usize]); 10] = [
    ('b', Kind::Bool, &[1]),
    ('i', Kind::Int, &[1, 2, 4, 8]),
    ('u', Kind::Uint, &[1, 2, 4, 8]),
    ('f', Kind::Float, &[2, 4, 8, 16]),
    ('c', Kind::Complex, &[8, 16, 32]),
    ('S', Kind::Bytes, &[]),
    ('U', Kind::Unicode, &[]),
    ('M', Kind::Datetime, &[8]),
    ('m', Kind::Timedelta, &[8]),
    ('V', Kind::Void, &[]),
];

/// A type without fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: usize,
    /// Whether its most significant byte comes first, where that makes a difference.
    pub big_endian: bool,
    /// Of a time: its unit, as in `ns` or `25us`; empty for none.
    pub unit: String,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty for padding.
    pub name: String,
    /// Its type, or that of its elements.
    pub dtype: Dtype,
    /// Its dimensions, in C order; none for a single value.
    pub shape: Vec<usize>,
    /// Bytes from the record's beginning.
    pub offset: usize,
}

impl Field {
    /// Bytes in all.
    pub fn size(&self) -> usize {
        self.dtype.size() * self.shape.iter().product::<usize>()
    }
}

/// The type of an array's elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dtype {
    /// A number, text or the like.
    Scalar(Scalar),
    /// Fields and the bytes of all.
    Record(Vec<Field>, usize),
}

fn wrong(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("dtype {what}"))
}

fn too_large() -> Error {
    wrong("is larger than memory can be")
}

impl Scalar {
    /// A number in this machine's byte order, of `size` bytes.
    pub(super) fn native(kind: Kind, size: usize) -> Self {
        Self { kind, size, big_endian: cfg!(target_endian = "big"), unit: String::new() }
    }

    /// Reads a text like `<f4` or `>M8[ns]`.
    fn parse(text: &str) -> Result<Self> {
        let unknown = || wrong(format!("{:?} is not supported", shorten(text)));
        let (big_endian, rest) = match text.as_bytes().first() {
            Some(b'<') => (false, &text[1..]),
            Some(b'>') => (true, &text[1..]),
            Some(b'|' | b'=') => (cfg!(target_endian = "big"), &text[1..]),
            _ => (cfg!(target_endian = "big"), text),
        };
        let mut characters = rest.chars();
        let letter = characters.next().ok_or_else(unknown)?;
        let &(_, kind, sizes) = KINDS.iter().find(|(known, ..)| *known == letter).ok_or_else(unknown)?;
        let rest = characters.as_str();
        let (digits, unit) = match rest.split_once('[') {
            Some((digits, unit)) if matches!(kind, Kind::Datetime | Kind::Timedelta) => {
                (digits, unit.strip_suffix(']').filter(|unit| is_unit(unit)).ok_or_else(unknown)?)
            }
            Some(_) => return Err(unknown()),
            None => (rest, ""),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(unknown());
        }
        let number: usize = digits.parse().map_err(|_| too_large())?;
        if !sizes.is_empty() && !sizes.contains(&number) {
            return Err(unknown());
        }
        let each = if kind == Kind::Unicode { 4 } else { 1 };
        let size =
            number.checked_mul(each).filter(|&size| size <= isize::MAX as usize).ok_or_else(too_large)?;
        Ok(Self { kind, size, big_endian, unit: unit.to_owned() })
    }

    /// Bytes of the numbers that it is made of.
    fn unit_size(&self) -> usize {
        match self.kind {
            Kind::Bool | Kind::Bytes | Kind::Void => 1,
            Kind::Unicode => 4,
            Kind::Complex => self.size / 2,
            _ => self.size,
        }
    }
}

/// A unit of time: a number or none, and letters.
fn is_unit(text: &str) -> bool {
    let letters = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let known = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"];
    known.contains(&letters) && text.len() < 24
}

/// As much of a text as a message should have, which an attacker may have written.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match (self.unit_size(), self.big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let letter = KINDS.iter().find(|(_, kind, _)| *kind == self.kind).map_or('V', |(letter, ..)| *letter);
        let number = if self.kind == Kind::Unicode { self.size / 4 } else { self.size };
        write!(f, "{order}{letter}{number}")?;
        if self.unit.is_empty() { Ok(()) } else { write!(f, "[{}]", self.unit) }
    }
}

impl Dtype {
    /// Reads what numpy writes for a type: a text, or a list of fields, each a tuple of a name, a type and, at will, a shape.
    pub(super) fn from_literal(literal: &Literal) -> Result<Self> {
        match literal {
            Literal::Text(text) => Scalar::parse(text).map(Dtype::Scalar),
            Literal::List(fields) => {
                let fields = fields.iter().map(field).collect::<Result<Vec<_>>>()?;
                Self::record(fields)
            }
            other => Err(wrong(format!("must be a string or a list of fields, not {}", other.kind()))),
        }
    }

    /// Reads the code of a scalar, as numpy writes it: `<f4`.
    pub fn parse_scalar(text: &str) -> Result<Self> {
        Scalar::parse(text).map(Dtype::Scalar)
    }

    /// Reads a list of fields, as numpy writes it: `[('x', '<f4'), ('y', '>i2', (2, 3))]`.
    pub fn parse_fields(text: &str) -> Result<Self> {
        Self::from_literal(&Literal::parse(text.as_bytes())?)
    }

    /// A record of these fields, whose offsets are found here.
    pub fn record(mut fields: Vec<Field>) -> Result<Self> {
        let mut size = 0usize;
        for field in &mut fields {
            field.offset = size;
            let elements = product(&field.shape).ok_or_else(too_large)?;
            let bytes = elements.checked_mul(field.dtype.size()).ok_or_else(too_large)?;
            size =
                size.checked_add(bytes).filter(|&size| size <= isize::MAX as usize).ok_or_else(too_large)?;
        }
        let record = Dtype::Record(fields, size);
        match record.empty_fields() {
            0..=MAX_EMPTY_FIELDS => Ok(record),
            empty => Err(wrong(format!("has {empty} fields without bytes, more than {MAX_EMPTY_FIELDS}"))),
        }
    }

    /// Bytes of an element.
    pub fn size(&self) -> usize {
        match self {
            Dtype::Scalar(scalar) => scalar.size,
            Dtype::Record(_, size) => *size,
        }
    }

    /// Bytes that the description of the type itself takes, beside the struct; about.
    pub(super) fn footprint(&self) -> usize {
        let field = |field: &Field| {
            let own = size_of::<Field>() + field.name.len() + size_of_val(field.shape.as_slice());
            own + field.dtype.footprint()
        };
        match self {
            Dtype::Scalar(scalar) => scalar.unit.len(),
            Dtype::Record(fields, _) => fields.iter().map(field).sum(),
        }
    }

    /// How many fields have no bytes, here and in fields.
    fn empty_fields(&self) -> usize {
        let field = |field: &Field| usize::from(field.size() == 0) + field.dtype.empty_fields();
        self.fields().iter().map(field).sum()
    }

    /// The fields of a record, in their order; none of a scalar.
    pub fn fields(&self) -> &[Field] {
        match self {
            Dtype::Scalar(_) => &[],
            Dtype::Record(fields, _) => fields,
        }
    }

    /// The same type in this machine's byte order.
    pub(crate) fn to_native(&self) -> Self {
        match self {
            Dtype::Scalar(scalar) => {
                Dtype::Scalar(Scalar { big_endian: cfg!(target_endian = "big"), ..scalar.clone() })
            }
            Dtype::Record(fields, size) => {
                let native = |field: &Field| Field { dtype: field.dtype.to_native(), ..field.clone() };
                Dtype::Record(fields.iter().map(native).collect(), *size)
            }
        }
    }

    /// The same type in the other byte order.
    pub(super) fn swapped(&self) -> Self {
        match self {
            Dtype::Scalar(scalar) => {
                Dtype::Scalar(Scalar { big_endian: !scalar.big_endian, ..scalar.clone() })
            }
            Dtype::Record(fields, size) => {
                let swapped = |field: &Field| Field { dtype: field.dtype.swapped(), ..field.clone() };
                Dtype::Record(fields.iter().map(swapped).collect(), *size)
            }
        }
    }

    /// Turns elements of this type, back to back, into this machine's byte order. Nothing is done about an incomplete one.
    pub(crate) fn make_native(&self, bytes: &mut [u8]) {
        match self {
            Dtype::Scalar(scalar) => {
                if scalar.big_endian != cfg!(target_endian = "big") {
                    reverse(bytes, scalar.unit_size());
                }
            }
            Dtype::Record(_, 0) => {}
            Dtype::Record(fields, size) => {
                for element in bytes.chunks_exact_mut(*size) {
                    for field in fields {
                        if let Some(part) = element.get_mut(field.offset..field.offset + field.size()) {
                            field.dtype.make_native(part);
                        }
                    }
                }
            }
        }
    }
}

/// Reverses the bytes of each number.
fn reverse(bytes: &mut [u8], size: usize) {
    match size {
        0 | 1 => {}
        // Of integers the compiler makes vector instructions, of arrays it does not: measured 1.5 to 3 times as fast.
        2 => bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|b| *b = u16::from_ne_bytes(*b).swap_bytes().to_ne_bytes()),
        4 => bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|b| *b = u32::from_ne_bytes(*b).swap_bytes().to_ne_bytes()),
        8 => bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|b| *b = u64::from_ne_bytes(*b).swap_bytes().to_ne_bytes()),
        _ => bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse),
    }
}

impl fmt::Display for Dtype {
    /// As numpy would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dtype::Scalar(scalar) => scalar.fmt(f),
            Dtype::Record(fields, _) => {
                f.write_str("[")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}('{}', ", field.name.replace('\\', "\\\\").replace('\'', "\\'"))?;
                    match &field.dtype {
                        Dtype::Scalar(scalar) => write!(f, "'{scalar}'")?,
                        record => record.fmt(f)?,
                    }
                    if !field.shape.is_empty() {
                        write!(f, ", {}", Tuple(&field.shape))?;
                    }
                    f.write_str(")")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A shape as Python writes it.
pub(super) struct Tuple<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Tuple<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, n) in self.0.iter().enumerate() {
            write!(f, "{}{n}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}

/// How many elements there are, if that is a number at all. Zeros do not hide dimensions that are none.
pub(super) fn product(shape: &[usize]) -> Option<usize> {
    let nonzero = shape.iter().filter(|&&n| n > 0).try_fold(1usize, |product, &n| product.checked_mul(n))?;
    Some(if shape.contains(&0) { 0 } else { nonzero })
}

fn field(literal: &Literal) -> Result<Field> {
    let Literal::Tuple(parts) = literal else {
        return Err(wrong(format!("has a field that is {}, not a tuple", literal.kind())));
    };
    let (name, dtype, dimensions) = match parts.as_slice() {
        [name, dtype] => (name, dtype, None),
        [name, dtype, dimensions] => (name, dtype, Some(dimensions)),
        _ => return Err(wrong(format!("has a field of {} parts, not 2 or 3", parts.len()))),
    };
    let name = match name {
        Literal::Text(name) => name,
        // A title, and the name.
        Literal::Tuple(pair) => match pair.as_slice() {
            [_, Literal::Text(name)] => name,
            _ => return Err(wrong("has a field whose name is no string")),
        },
        other => return Err(wrong(format!("has a field whose name is {}, not a string", other.kind()))),
    };
    if name.contains('\0') {
        return Err(wrong("has a field with a zero byte in its name"));
    }
    let shape = match dimensions {
        None => Vec::new(),
        Some(Literal::Number(n)) => shape(&[Literal::Number(*n)])?,
        Some(Literal::Tuple(dimensions)) => shape(dimensions)?,
        Some(other) => return Err(wrong(format!("has a field whose shape is {}", other.kind()))),
    };
    Ok(Field { name: name.clone(), dtype: Dtype::from_literal(dtype)?, shape, offset: 0 })
}

/// Dimensions.
pub(super) fn shape(dimensions: &[Literal]) -> Result<Vec<usize>> {
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(wrong(format!("has {} dimensions, more than {MAX_DIMENSIONS}", dimensions.len())));
    }
    let dimension = |literal: &Literal| match *literal {
        Literal::Number(n) => usize::try_from(n)
            .map_err(|_| wrong(format!("has a dimension that is negative or too large: {n}"))),
        ref other => Err(wrong(format!("has a dimension that is {}, not a number", other.kind()))),
    };
    dimensions.iter().map(dimension).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dtype> {
        Dtype::from_literal(&Literal::parse(text.as_bytes())?)
    }

    #[test]
    fn texts_come_back_as_numpy_writes_them() {
        for (text, size, written) in [
            ("'<f4'", 4, "<f4"),
            ("'>i2'", 2, ">i2"),
            ("'|u1'", 1, "|u1"),
            ("'<u1'", 1, "|u1"),
            ("'|b1'", 1, "|b1"),
            ("'>c16'", 16, ">c16"),
            ("'<f16'", 16, "<f16"),
            ("'|S5'", 5, "|S5"),
            ("'>U3'", 12, ">U3"),
            ("'|V7'", 7, "|V7"),
            ("'<M8[ns]'", 8, "<M8[ns]"),
            ("'<m8[25us]'", 8, "<m8[25us]"),
            ("'<m8'", 8, "<m8"),
            ("[('a', '<u2'), ('b', '>f8', (2, 3))]", 50, "[('a', '<u2'), ('b', '>f8', (2, 3))]"),
            ("[('a', [('x', '<u2')], 2), ('', '|V2')]", 6, "[('a', [('x', '<u2')], (2,)), ('', '|V2')]"),
            ("[(('title', 'it\\'s'), '<u2')]", 2, "[('it\\'s', '<u2')]"),
            ("[]", 0, "[]"),
        ] {
            let dtype = parse(text).unwrap();
            assert_eq!((dtype.size(), dtype.to_string().as_str()), (size, written), "{text}");
        }
    }

    #[test]
    fn what_is_no_type() {
        for text in [
            "''",
            "'f'",
            "'<'",
            "'i3'",
            "'f1'",
            "'O'",
            "'|O8'",
            "'<f4x'",
            "'f4,i4'",
            "'(2,)f4'",
            "'<M8[xx]'",
            "'<M8[ns'",
            "'<i4[ns]'",
            "'f+4'",
            "'S99999999999999999999999'",
            "'S9223372036854775808'",
            "'U9223372036854775807'",
            "('f4',)",
            "[('a',)]",
            "[('a', 'f4', (2,), 1)]",
            "[(1, 'f4')]",
            "[('a', 'f4', (-1,))]",
            "[('a', 'f4', 'x')]",
            "{}",
            "3",
            "[('a', 'V1000000000000', (1000000000000,))]",
            "[('a', 'V9000000000000000000'), ('b', 'V9000000000000000000')]",
            "[('a\\x00', 'f4')]",
        ] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Format, "{text}");
        }
        let dimensions = "(1,".to_owned() + &"1,".repeat(64) + ")";
        assert!(parse(&format!("[('a', 'f4', {dimensions})]")).is_err());
    }

    #[test]
    fn bytes_are_put_in_order() {
        let mut bytes: Vec<u8> = (0..13).collect();
        let dtype = parse("[('a', '>u2'), ('b', '<u2'), ('c', '>c8'), ('d', '|u1')]").unwrap();
        dtype.make_native(&mut bytes);
        if cfg!(target_endian = "little") {
            assert_eq!(bytes, [1, 0, 2, 3, 7, 6, 5, 4, 11, 10, 9, 8, 12]);
        }
        let mut text: Vec<u8> = (0..8).collect();
        parse("'>U2'").unwrap().make_native(&mut text);
        assert_eq!(text, [3, 2, 1, 0, 7, 6, 5, 4]);
    }

    #[test]
    fn products_do_not_overflow() {
        assert_eq!(product(&[]), Some(1));
        assert_eq!(product(&[3, 0, 5]), Some(0));
        assert_eq!(product(&[1 << 40, 1 << 40]), None);
        assert_eq!(product(&[1 << 40, 1 << 40, 0]), None);
    }
}
