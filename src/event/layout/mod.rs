//! Layouts of packets: what the bytes of a packet of a fixed size mean, as Python's `struct` has it, with names and constants.
//!
//! ```
//! use aqueduct::event::layout::{PacketLayout, Value};
//! let layout = PacketLayout::parse("<header:B=170, time:Q, adc:h")?;
//! let packet = [170, 1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff];
//! assert_eq!(layout.value(&packet, 2)?, Value::Int(-2));
//! let mut text = Vec::new();
//! layout.write_text(&packet, ",", &mut text)?;
//! assert_eq!(text, b"170,1,-2\n");
//! # Ok::<(), aqueduct::error::Error>(())
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `kind` | byte orders, types, sizes, decoding |
//! | `build` | a list of fields becomes a layout: names, offsets, constants, limits |
//! | `parse` | a line of text becomes a layout |
//! | `print` | a layout becomes that line again |
//! | `text` | a packet's values as text, as the seed writes them, and the header |
//! | `csv` | a packet's values as CSV |
//!
//! Invariant: a layout never changes; its fields lie one behind the other and within its size, of at most [`MAX_SIZE`]; their names
//! are unique identifiers; a constant is a value that its field can hold, and no NaN. Any thread.

mod build;
mod csv;
mod kind;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

pub use kind::{ByteOrder, FieldType};

/// The most fields.
pub const MAX_FIELDS: usize = 1024;
/// The most bytes of a packet.
pub const MAX_SIZE: usize = (1 << 30) - 1;
/// The most bytes of a field's name.
pub const MAX_NAME: usize = 255;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of the types `b h i l q n`.
    Int(i64),
    /// Of the types `B H I L Q N`.
    Uint(u64),
    /// Of the types `f d`.
    Float(f64),
    /// Of the type `?`.
    Bool(bool),
    /// Of the type `c`.
    Char(u8),
}

impl fmt::Display for Value {
    /// As a constant is written in a layout's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::value(*self, f)
    }
}

/// What a layout is made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A field.
    Field {
        /// Letters, digits and underscores of ASCII, not beginning with a digit.
        name: String,
        /// Its type.
        kind: FieldType,
        /// What every packet must have there.
        constant: Option<Value>,
    },
    /// So many bytes without a meaning, at least 1.
    Padding(usize),
}

/// A field of a layout. Padding is none: it has neither a name nor a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
    /// Bytes from the packet's beginning.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// What every packet must have there.
    pub constant: Option<Value>,
    /// Bytes of padding that were asked for in front of it, without those of its alignment.
    padding: usize,
}

/// The layout of packets of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketLayout {
    order: ByteOrder,
    fields: Vec<Field>,
    /// Bytes of padding behind the last field.
    padding: usize,
    size: usize,
}

impl PacketLayout {
    /// A layout of these parts, in order: at least one field, at most [`MAX_FIELDS`].
    pub fn new(order: ByteOrder, parts: impl IntoIterator<Item = Part>) -> Result<Self> {
        let mut builder = build::Builder::new(order);
        for (i, part) in parts.into_iter().enumerate() {
            let added = match part {
                Part::Field { name, kind, constant } => builder.field(&name, kind, constant),
                Part::Padding(count) => builder.padding(count),
            };
            added.map_err(|reason| Error::invalid(format!("fields[{i}]: {reason}")))?;
        }
        builder.finish().map_err(|reason| Error::invalid(format!("fields: {reason}")))
    }

    /// The layout that a line of text describes, as in `<header:B=170, time:Q, 2x, adc:h`: a byte order (default `@`), then
    /// fields (`name:type` or `name:type=constant`) and padding (`x` or `4x`) with commas between them. The `Display` of a layout is
    /// such a line.
    pub fn parse(text: &str) -> Result<Self> {
        parse::layout(text)
    }

    /// The byte order that it was made with.
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// Bytes of a packet.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The index of the field of this name. It looks at one after the other: do it once.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Whether `packet` is such a packet: its size and its constants. Numbers are compared by value, so that -0.0 is 0.0.
    pub fn check(&self, packet: &[u8]) -> Result<()> {
        self.check_size(packet)?;
        for field in &self.fields {
            let Some(expected) = field.constant else { continue };
            let found = self.decode(field, packet);
            if found != expected {
                let name = &field.name;
                let reason = format!("packet: field {name} must be {expected}, its constant (found {found})");
                return Err(Error::new(ErrorKind::Format, reason));
            }
        }
        Ok(())
    }

    /// The value of the field `index` in `packet`, whose size is checked, but not its constants.
    pub fn value(&self, packet: &[u8], index: usize) -> Result<Value> {
        let field = self.fields.get(index).ok_or_else(|| {
            let reason =
                format!("index must be below {}, the number of fields (got {index})", self.fields.len());
            Error::new(ErrorKind::NotFound, reason)
        })?;
        self.check_size(packet)?;
        Ok(self.decode(field, packet))
    }

    fn check_size(&self, packet: &[u8]) -> Result<()> {
        if packet.len() == self.size {
            return Ok(());
        }
        let reason =
            format!("packet: its size must be {} bytes, the layout's (got {})", self.size, packet.len());
        Err(Error::new(ErrorKind::Format, reason))
    }

    /// The value of one of its fields in a packet of the right size.
    fn decode(&self, field: &Field, packet: &[u8]) -> Value {
        let bytes = packet.get(field.offset..field.offset + field.size).unwrap_or_default();
        field.kind.decode(bytes, self.order.is_big())
    }
}
