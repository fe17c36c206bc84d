//! From a list of fields to a layout: names, offsets, constants, limits. Errors are the reason alone; who calls says where.

use std::collections::HashSet;

use super::kind::Class;
use super::{ByteOrder, Field, FieldType, MAX_FIELDS, MAX_NAME, MAX_SIZE, PacketLayout, Value};

/// A layout that is being made.
pub(super) struct Builder {
    layout: PacketLayout,
    names: HashSet<String>,
}

impl Builder {
    pub(super) fn new(order: ByteOrder) -> Self {
        let layout = PacketLayout { order, fields: Vec::new(), padding: 0, size: 0 };
        Self { layout, names: HashSet::new() }
    }

    /// Adds a field behind what there is.
    pub(super) fn field(
        &mut self,
        name: &str,
        kind: FieldType,
        constant: Option<Value>,
    ) -> Result<(), String> {
        let order = self.layout.order;
        check_name(name)?;
        let letter = kind.as_char();
        let (size, alignment) = kind.size_and_alignment(order).ok_or_else(|| {
            format!("{name}: the type {letter} needs the byte order @ (got {})", order.as_char())
        })?;
        let constant = constant
            .map(|constant| accept(kind, size, constant))
            .transpose()
            .map_err(|reason| format!("{name}: {reason}"))?;
        if self.layout.fields.len() == MAX_FIELDS {
            return Err(format!("there must be at most {MAX_FIELDS} fields"));
        }
        let offset = self.layout.size.next_multiple_of(alignment);
        let end = within_limit(offset, size)?;
        if !self.names.insert(name.to_owned()) {
            return Err(format!("{name}: there is a field of that name already"));
        }
        let padding = std::mem::take(&mut self.layout.padding);
        self.layout.fields.push(Field { name: name.to_owned(), kind, offset, size, constant, padding });
        self.layout.size = end;
        Ok(())
    }

    /// Adds padding behind what there is.
    pub(super) fn padding(&mut self, count: usize) -> Result<(), String> {
        if count == 0 {
            return Err("padding must be at least 1 byte (got 0)".to_owned());
        }
        self.layout.size = within_limit(self.layout.size, count)?;
        self.layout.padding += count;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<PacketLayout, String> {
        if self.layout.fields.is_empty() {
            Err("there must be at least 1".to_owned())
        } else {
            Ok(self.layout)
        }
    }
}

fn within_limit(offset: usize, size: usize) -> Result<usize, String> {
    let end = offset.checked_add(size).filter(|&end| end <= MAX_SIZE);
    end.ok_or_else(|| format!("a packet must have at most {MAX_SIZE} bytes"))
}

/// Those of a Python identifier, of ASCII.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn check_name(name: &str) -> Result<(), String> {
    let starts_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if !starts_well || !name.bytes().all(is_name_byte) || name.len() > MAX_NAME {
        let shown = &name[..name.floor_char_boundary(40)];
        return Err(format!(
            "a name must be 1 to {MAX_NAME} letters, digits or underscores of ASCII, not beginning with a digit (got {shown:?})"
        ));
    }
    Ok(())
}

/// The least and the largest integer of a type.
pub(super) fn range(kind: FieldType, size: usize) -> (i128, i128) {
    let bits = 8 * size as u32;
    match kind.class() {
        Class::Signed => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        _ => (0, (1 << bits) - 1),
    }
}

/// The constant as its field has it: the same number in the field's type, or the nearest that an `f` can hold.
fn accept(kind: FieldType, size: usize, constant: Value) -> Result<Value, String> {
    let integer = match constant {
        Value::Int(value) => Some(i128::from(value)),
        Value::Uint(value) => Some(value.into()),
        _ => None,
    };
    let letter = kind.as_char();
    match (kind.class(), constant, integer) {
        (Class::Char, Value::Char(_), _) | (Class::Bool, Value::Bool(_), _) => Ok(constant),
        (Class::Signed | Class::Unsigned, _, Some(integer)) => {
            let (least, largest) = range(kind, size);
            let value = if kind.class() == Class::Signed {
                i64::try_from(integer).map(Value::Int)
            } else {
                u64::try_from(integer).map(Value::Uint)
            };
            value.ok().filter(|_| (least..=largest).contains(&integer)).ok_or_else(|| {
                format!("a constant of type {letter} must be between {least} and {largest} (got {integer})")
            })
        }
        (Class::Float, Value::Float(value), _) => accept_float(letter, size, value),
        (Class::Float, _, Some(integer)) => accept_float(letter, size, integer as f64),
        _ => Err(format!("a constant of type {letter} must be {} (got {constant})", rule(kind, size))),
    }
}

fn accept_float(letter: char, size: usize, value: f64) -> Result<Value, String> {
    if value.is_nan() {
        return Err(format!("a constant of type {letter} must be a number (got nan, which equals nothing)"));
    }
    let held = if size == 4 { f64::from(value as f32) } else { value };
    if held.is_infinite() && value.is_finite() {
        let largest = f32::MAX;
        return Err(format!(
            "a constant of type {letter} must be between -{largest:?} and {largest:?}, or infinite (got {value:?})"
        ));
    }
    Ok(Value::Float(held))
}

/// What a constant of this type must be, for messages.
pub(super) fn rule(kind: FieldType, size: usize) -> String {
    match kind.class() {
        Class::Char => r"a character, as in 'a', '\'', '\n' or '\xff'".to_owned(),
        Class::Bool => "True or False".to_owned(),
        Class::Float => "a number that it can hold, as in -1.5, 2e-3 or inf".to_owned(),
        Class::Signed | Class::Unsigned => {
            let (least, largest) = range(kind, size);
            format!("an integer between {least} and {largest}, decimal or as in 0xaa")
        }
    }
}
