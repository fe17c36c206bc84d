//! Elements of a dataset, or of an attribute, as JSON. Pure functions.

use aqueduct::dataset::{DataType, Form};
use serde_json::{Map, Value as Json, json};

/// All elements in `bytes`.
pub fn elements(dtype: &DataType, bytes: &[u8]) -> Json {
    bytes.chunks_exact(dtype.size).map(|element| one(dtype, element)).collect()
}

fn one(dtype: &DataType, bytes: &[u8]) -> Json {
    // Least significant byte first.
    let mut number = [0u8; 8];
    let size = bytes.len().min(8);
    number[..size].copy_from_slice(&bytes[..size]);
    if dtype.big_endian {
        number[..size].reverse();
    }
    let bits = u64::from_le_bytes(number);
    match &dtype.form {
        Form::Uint => json!(bits),
        Form::Int => json!((bits as i64) << (64 - 8 * size as u32) >> (64 - 8 * size as u32)),
        // NaN and infinities have no JSON: null.
        Form::Float => json!(match size {
            2 => half(bits as u16),
            4 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        }),
        Form::Bytes => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            json!(String::from_utf8_lossy(&bytes[..end]))
        }
        Form::Opaque => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Form::Array { element, .. } => elements(element, bytes),
        Form::Record(fields) => {
            let value = |field: &aqueduct::dataset::Field| {
                let bytes = &bytes[field.offset..][..field.dtype.size];
                (field.name.clone(), one(&field.dtype, bytes))
            };
            Json::Object(fields.iter().map(value).collect::<Map<_, _>>())
        }
    }
}

/// A number of 16 bits: sign, 5 bits of exponent, 10 of mantissa.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_order_and_records() {
        let number = |form, size, big_endian| DataType { size, big_endian, form };
        assert_eq!(elements(&number(Form::Int, 2, true), &[0xff, 0xfe, 0, 5]), json!([-2, 5]));
        assert_eq!(elements(&number(Form::Uint, 4, false), &[1, 0, 0, 0x80]), json!([0x8000_0001u32]));
        assert_eq!(elements(&number(Form::Int, 8, false), &(-3i64).to_le_bytes()), json!([-3]));
        assert_eq!(elements(&number(Form::Float, 4, true), &1.5f32.to_be_bytes()), json!([1.5]));
        assert_eq!(elements(&number(Form::Float, 2, false), &[0, 0xc0, 1, 0]), json!([-2.0, 2f64.powi(-24)]));
        assert_eq!(elements(&number(Form::Float, 8, false), &f64::NAN.to_le_bytes()), json!([null]));
        assert_eq!(elements(&number(Form::Bytes, 3, false), b"ab\0"), json!(["ab"]));
        let field = |name: &str, offset, dtype| aqueduct::dataset::Field { name: name.into(), offset, dtype };
        let fields =
            vec![field("a", 1, number(Form::Uint, 1, false)), field("b", 2, number(Form::Opaque, 2, false))];
        assert_eq!(
            elements(&number(Form::Record(fields), 4, false), &[9, 7, 1, 2]),
            json!([{"a": 7, "b": "0102"}])
        );
    }
}
