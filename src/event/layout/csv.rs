//! A packet's values as CSV (RFC 4180), and the header above them.

use super::text::{Escaped, write_float};
use super::{PacketLayout, Value};
use crate::error::Result;

impl PacketLayout {
    /// The names of the fields with commas between them, and a newline.
    pub fn csv_header(&self) -> String {
        let names: Vec<&str> = self.fields().iter().map(|field| field.name.as_str()).collect();
        names.join(",") + "\n"
    }

    /// Appends the values of `packet` to `out` with commas between them, and a newline: numbers as in text, bools as true and false,
    /// a character as it is (a comma and a quote in quotes, what cannot be printed as in `\x0a`). Where the packet is not of this
    /// layout, nothing is appended.
    pub fn write_csv(&self, packet: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.check(packet)?;
        for (i, field) in self.fields().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match self.decode(field, packet) {
                Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
                Value::Uint(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
                Value::Float(value) => write_float(value, out),
                Value::Bool(true) => out.extend_from_slice(b"true"),
                Value::Bool(false) => out.extend_from_slice(b"false"),
                Value::Char(b',') => out.extend_from_slice(b"\",\""),
                Value::Char(b'"') => out.extend_from_slice(b"\"\"\"\""),
                Value::Char(value @ b' '..=b'~') => out.push(value),
                Value::Char(value) => {
                    out.extend_from_slice(Escaped::hexadecimal(value).as_str().as_bytes());
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}
