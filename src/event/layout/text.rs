//! A packet's values as text, byte for byte as Python's `str()` writes them, and the header above them.
//!
//! Nothing is allocated per value: digits are made on the stack.

use std::time::SystemTime;

use time::OffsetDateTime;

use super::{PacketLayout, Value};
use crate::error::Result;

impl PacketLayout {
    /// Appends the values of `packet` to `out` with `separator` between them, and a newline: floats with the fewest digits that are
    /// the same number again (an `f` becomes a double first), bools as True and False, characters as in b'a'. Padding has none.
    /// Where the packet is not of this layout, nothing is appended.
    pub fn write_text(&self, packet: &[u8], separator: &str, out: &mut Vec<u8>) -> Result<()> {
        self.check(packet)?;
        for (i, field) in self.fields().iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(separator.as_bytes());
            }
            write_value(self.decode(field, packet), out);
        }
        out.push(b'\n');
        Ok(())
    }

    /// The lines above the text of packets, each behind `prefix`: when it was created, this library's version, `creator`, and the
    /// fields' names. Its length does not depend on the time, from 2001 to 2286.
    pub fn text_header(&self, prefix: &str, created: SystemTime, creator: Option<&str>) -> String {
        let names: Vec<&str> = self.fields().iter().map(|field| field.name.as_str()).collect();
        let mut header = format!("{prefix}Created on {}\n", moment(created));
        let mut line = |line: &str| header.extend([prefix, line, "\n"]);
        line(concat!("Aqueduct version: ", env!("CARGO_PKG_VERSION")));
        // Every line of the header can be told from data by its prefix, whatever the creator calls itself.
        for (i, text) in creator.unwrap_or_default().lines().enumerate() {
            line(&if i == 0 { format!("Creator: {text}") } else { text.to_owned() });
        }
        line(&names.join(", "));
        header
    }
}

/// As in `2026-11-24 23:04:49.461783+00:00 (1795561489.461783 s)`. Python leaves out the fraction when it is 0, and its last zeros in
/// the brackets; here the length is always the same.
fn moment(at: SystemTime) -> String {
    let microseconds = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i128,
        Err(before) => -(before.duration().as_nanos().div_ceil(1000) as i128),
    };
    // The years 1 to 9999, which Python knows.
    let microseconds = microseconds.clamp(-62_135_596_800_000_000, 253_402_300_799_999_999) as i64;
    let (seconds, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, second) = date.to_hms();
    let sign = if microseconds < 0 { "-" } else { "" };
    let size = microseconds.unsigned_abs();
    format!(
        "{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}+00:00 ({sign}{}.{:06} s)",
        u8::from(month),
        size / 1_000_000,
        size % 1_000_000
    )
}

fn write_value(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Uint(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) => write_float(value, out),
        Value::Bool(true) => out.extend_from_slice(b"True"),
        Value::Bool(false) => out.extend_from_slice(b"False"),
        Value::Char(value) => {
            // As Python's repr of bytes: in the quotes that need no backslash.
            let quote = if value == b'\'' { b'"' } else { b'\'' };
            out.extend_from_slice(&[b'b', quote]);
            out.extend_from_slice(Escaped::new(value, quote).as_str().as_bytes());
            out.push(quote);
        }
    }
}

/// A character between quotes: itself, or as in `\n` or `\xff`.
pub(super) struct Escaped([u8; 4], usize);

impl Escaped {
    pub(super) fn new(value: u8, quote: u8) -> Self {
        match value {
            b'\t' => Self(*b"\\t  ", 2),
            b'\n' => Self(*b"\\n  ", 2),
            b'\r' => Self(*b"\\r  ", 2),
            _ if value == b'\\' || value == quote => Self([b'\\', value, b' ', b' '], 2),
            b' '..=b'~' => Self([value, b' ', b' ', b' '], 1),
            _ => Self::hexadecimal(value),
        }
    }

    /// As in `\x0a`.
    pub(super) fn hexadecimal(value: u8) -> Self {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        Self([b'\\', b'x', digit(value >> 4), digit(value & 15)], 4)
    }

    pub(super) fn as_str(&self) -> &str {
        // ASCII, whichever it is.
        self.0.get(..self.1).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// As Python's `repr`: with an exponent where it is below -4 or at least 16, and then of two digits at least.
pub(super) fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"inf");
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = Digits::of(buffer.format_finite(value.abs()));
    let (digits, point) = (shortest.digits(), shortest.point);
    match point {
        -3..=0 => {
            out.extend_from_slice(b"0.");
            out.extend_from_slice(&b"000"[..point.unsigned_abs() as usize]);
            out.extend_from_slice(digits);
        }
        1..=16 => match digits.split_at_checked(point as usize) {
            Some((whole, fraction)) if !fraction.is_empty() => {
                out.extend_from_slice(whole);
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
            _ => {
                out.extend_from_slice(digits);
                out.resize(out.len() + point as usize - digits.len(), b'0');
                out.extend_from_slice(b".0");
            }
        },
        _ => {
            let (first, rest) = digits.split_at(1);
            out.extend_from_slice(first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
            let exponent = point - 1;
            out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
            if exponent.abs() < 10 {
                out.push(b'0');
            }
            out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
        }
    }
}

/// A number 0.DIGITS * 10^point. There is at least one digit, and neither the first nor the last is 0, but for "0" itself.
struct Digits {
    bytes: [u8; 24],
    len: usize,
    point: i32,
}

impl Digits {
    /// Takes apart what zmij writes, in whichever of its forms: digits with or without a point and an exponent.
    fn of(text: &str) -> Self {
        let mut number = Self { bytes: [b'0'; 24], len: 0, point: 0 };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut after_point = false;
        for &byte in mantissa.as_bytes() {
            match byte {
                b'.' => after_point = true,
                b'0' if number.len == 0 => number.point -= i32::from(after_point),
                _ => {
                    if let Some(place) = number.bytes.get_mut(number.len) {
                        *place = byte;
                        number.len += 1;
                    }
                    number.point += i32::from(!after_point);
                }
            }
        }
        while number.len > 0 && number.bytes[number.len - 1] == b'0' {
            number.len -= 1;
        }
        if number.len == 0 {
            return Self { bytes: [b'0'; 24], len: 1, point: 1 };
        }
        number.point += exponent.parse::<i32>().unwrap_or(0);
        number
    }

    fn digits(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What Python 3.11 prints; tests/packet_layouts.rs asks it for very many more.
    #[test]
    fn floats_as_python_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (0.1f32.into(), "0.10000000149011612"),
            (0.0001, "0.0001"),
            (0.00012345, "0.00012345"),
            (0.00001, "1e-05"),
            (0.000012345, "1.2345e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (9999999999999998.0, "9999999999999998.0"),
            (12345678901234567.0, "1.2345678901234568e+16"),
            (123456.789, "123456.789"),
            (1e22, "1e+22"),
            (1e100, "1e+100"),
            (2f64.powi(-44), "5.684341886080802e-14"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn characters_as_python_prints_them() {
        let text = |value| {
            let mut out = Vec::new();
            write_value(Value::Char(value), &mut out);
            String::from_utf8(out).unwrap()
        };
        let expected = [
            (b'a', "b'a'"),
            (b' ', "b' '"),
            (b'\'', "b\"'\""),
            (b'"', "b'\"'"),
            (b'\\', r"b'\\'"),
            (b'\n', r"b'\n'"),
            (b'\t', r"b'\t'"),
            (b'\r', r"b'\r'"),
            (0, r"b'\x00'"),
            (0x7f, r"b'\x7f'"),
            (0xff, r"b'\xff'"),
        ];
        expected.iter().for_each(|(value, expected)| assert_eq!(text(*value), *expected));
    }

    #[test]
    fn moments() {
        let at = |microseconds| SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds);
        assert_eq!(
            moment(at(1_795_561_489_461_783)),
            "2026-11-24 23:04:49.461783+00:00 (1795561489.461783 s)"
        );
        assert_eq!(moment(at(951_782_400_000_000)), "2000-02-29 00:00:00.000000+00:00 (951782400.000000 s)");
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1_500_000_001);
        assert_eq!(moment(before), "1969-12-31 23:59:58.499999+00:00 (-1.500001 s)");
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(moment(late), "9999-12-31 23:59:59.999999+00:00 (253402300799.999999 s)");
    }
}
