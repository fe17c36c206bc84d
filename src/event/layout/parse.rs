//! From a line of text to a layout. Errors name the position (in bytes, from 0), what was found there, and the rule.
//!
//! ```text
//! layout   = [order] part { "," part }          blanks (space, tab) may stand between any two
//! order    = "@" | "=" | "<" | ">" | "!"
//! part     = name ":" type [ "=" constant ]  |  [ count ] "x"
//! constant = integer | float | "True" | "False" | "'" character "'"
//! ```

use super::build::{self, Builder};
use super::kind::Class;
use super::{ByteOrder, FieldType, PacketLayout, Value};
use crate::error::{Error, Result};

/// What is left to read.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// An error at a position.
fn wrong(at: usize, reason: impl std::fmt::Display) -> Error {
    Error::invalid(format!("layout: byte {at}: {reason}"))
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    /// The next character if it is this one, and blanks behind it.
    fn eat(&mut self, wanted: char) -> bool {
        let eaten = self.rest().starts_with(wanted);
        if eaten {
            self.at += wanted.len_utf8();
            self.skip_blanks();
        }
        eaten
    }

    /// As many bytes as `belongs` holds for: ASCII.
    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        let taken = rest.get(..len).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// An error that tells what stands at `at`.
    fn expected(&self, at: usize, rule: impl std::fmt::Display) -> Error {
        let rest = self.text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return wrong(at, format_args!("found the end, but {rule}"));
        }
        let word = rest.find([',', ' ', '\t']).unwrap_or(rest.len()).max(1);
        let shown = &rest[..rest.ceil_char_boundary(word.min(24))];
        wrong(at, format_args!("found {shown:?}, but {rule}"))
    }
}

pub(super) fn layout(text: &str) -> Result<PacketLayout> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_blanks();
    let order = cursor.rest().chars().next().and_then(ByteOrder::from_char);
    if let Some(order) = order {
        cursor.eat(order.as_char());
    }
    let mut builder = Builder::new(order.unwrap_or_default());
    loop {
        part(&mut cursor, &mut builder, order.unwrap_or_default())?;
        cursor.skip_blanks();
        if cursor.rest().is_empty() {
            break;
        }
        let at = cursor.at;
        if !cursor.eat(',') {
            return Err(cursor.expected(at, "a comma or the end must follow here"));
        }
    }
    builder.finish().map_err(|reason| Error::invalid(format!("layout: fields: {reason}")))
}

fn part(cursor: &mut Cursor<'_>, builder: &mut Builder, order: ByteOrder) -> Result<()> {
    let start = cursor.at;
    let count = cursor.take(|byte| byte.is_ascii_digit());
    if !count.is_empty() {
        // "4x"; what is too large for a usize is too large for a packet.
        let count = count.parse().unwrap_or(usize::MAX);
        if cursor.take(build::is_name_byte) != "x" {
            return Err(cursor.expected(start, "a field begins with its name, and padding is as in 4x"));
        }
        return builder.padding(count).map_err(|reason| wrong(start, reason));
    }
    let name = cursor.take(build::is_name_byte);
    cursor.skip_blanks();
    let at = cursor.at;
    if !cursor.eat(':') {
        return match name {
            "x" => builder.padding(1).map_err(|reason| wrong(start, reason)),
            "" => Err(cursor.expected(start, "a field must begin with its name here")),
            _ => {
                Err(cursor
                    .expected(at, format_args!("a colon and a type must follow the name {}", shown(name))))
            }
        };
    }
    let at = cursor.at;
    let kind = cursor.rest().chars().next().and_then(FieldType::from_char);
    let kind = kind.ok_or_else(|| {
        cursor.expected(at, "the type of a field must be one of c b B ? h H i I l L q Q n N f d")
    })?;
    cursor.eat(kind.as_char());
    let constant = if cursor.eat('=') { Some(constant(cursor, kind, order)?) } else { None };
    builder.field(name, kind, constant).map_err(|reason| wrong(start, reason))
}

fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(40)]
}

fn constant(cursor: &mut Cursor<'_>, kind: FieldType, order: ByteOrder) -> Result<Value> {
    let at = cursor.at;
    let size = kind.size_and_alignment(order).map_or(8, |(size, _)| size);
    let value = match kind.class() {
        Class::Char => character(cursor),
        Class::Bool => match cursor.take(build::is_name_byte) {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        },
        Class::Signed | Class::Unsigned => {
            let (least, largest) = build::range(kind, size);
            integer(cursor.take(is_number_byte)).filter(|n| (least..=largest).contains(n)).and_then(|n| {
                if n < 0 {
                    i64::try_from(n).ok().map(Value::Int)
                } else {
                    u64::try_from(n).ok().map(Value::Uint)
                }
            })
        }
        Class::Float => float(cursor.take(is_number_byte), size),
    };
    value.ok_or_else(|| {
        let (letter, rule) = (kind.as_char(), build::rule(kind, size));
        cursor.expected(at, format_args!("a constant of type {letter} must be {rule}"))
    })
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// A decimal number, or a hexadecimal one after 0x.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // from_str_radix would take a second sign.
    let first = digits.bytes().next()?;
    if !first.is_ascii_hexdigit() {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().map(|number| sign * number)
}

/// A number or an infinity, read with the precision of its field. A number that is too large is no infinity.
fn float(text: &str, size: usize) -> Option<Value> {
    let number = if size == 4 { f64::from(text.parse::<f32>().ok()?) } else { text.parse().ok()? };
    let names_infinity = text.trim_start_matches(['+', '-']).eq_ignore_ascii_case("inf");
    (number.is_finite() || number.is_infinite() && names_infinity).then_some(Value::Float(number))
}

/// A character in single quotes; a backslash before `n`, `r`, `t`, `'`, `\` or `xNN`, which any byte may be written as.
fn character(cursor: &mut Cursor<'_>) -> Option<Value> {
    let rest = cursor.rest().as_bytes();
    let (value, len) = match *rest {
        [b'\'', b'\\', b'x', high, low, b'\'', ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            ((16 * digit(high)? + digit(low)?) as u8, 6)
        }
        [b'\'', b'\\', escaped, b'\'', ..] => {
            let value = match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'\'' | b'\\' => escaped,
                _ => return None,
            };
            (value, 4)
        }
        [b'\'', value @ (b' '..=b'~'), b'\'', ..] if value != b'\'' && value != b'\\' => (value, 3),
        _ => return None,
    };
    cursor.at += len;
    Some(Value::Char(value))
}
