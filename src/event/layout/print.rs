//! From a layout to the line of text that it can be parsed from again.

use std::fmt::{self, Write as _};

use super::text;
use super::{FieldType, PacketLayout, Value};

impl fmt::Display for PacketLayout {
    /// As in `<header:B=170,time:Q,2x,adc:h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.order.as_char())?;
        for (i, field) in self.fields.iter().enumerate() {
            if i > 0 {
                f.write_char(',')?;
            }
            padding(field.padding, "", ",", f)?;
            write!(f, "{}:{}", field.name, field.kind.as_char())?;
            match (field.kind, field.constant) {
                (_, None) => {}
                // Its own shortest digits, not those of the double that it is kept as.
                (FieldType::Float, Some(Value::Float(constant))) => write!(f, "={:?}", constant as f32)?,
                (_, Some(constant)) => write!(f, "={constant}")?,
            }
        }
        padding(self.padding, ",", "", f)
    }
}

fn padding(count: usize, before: &str, after: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match count {
        0 => Ok(()),
        1 => write!(f, "{before}x{after}"),
        _ => write!(f, "{before}{count}x{after}"),
    }
}

pub(super) fn value(value: Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Int(value) => write!(f, "{value}"),
        Value::Uint(value) => write!(f, "{value}"),
        // Shortest digits that are the same number again.
        Value::Float(value) => write!(f, "{value:?}"),
        Value::Bool(true) => f.write_str("True"),
        Value::Bool(false) => f.write_str("False"),
        Value::Char(value) => write!(f, "'{}'", text::Escaped::new(value, b'\'').as_str()),
    }
}
