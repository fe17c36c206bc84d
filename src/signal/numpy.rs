//! Types of elements as numpy names them: in a text, or in JSON.

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::spead::dtype::{Dtype, Field, Kind};

/// Names that numpy has beside codes such as `<f4`; in this machine's byte order.
const NAMES: [(&str, &str); 21] = [
    ("float16", "f2"),
    ("float32", "f4"),
    ("float64", "f8"),
    ("float", "f8"),
    ("double", "f8"),
    ("single", "f4"),
    ("half", "f2"),
    ("int8", "i1"),
    ("int16", "i2"),
    ("int32", "i4"),
    ("int64", "i8"),
    ("int", "i8"),
    ("uint8", "u1"),
    ("uint16", "u2"),
    ("uint32", "u4"),
    ("uint64", "u8"),
    ("complex64", "c8"),
    ("complex128", "c16"),
    ("complex", "c16"),
    ("bool", "b1"),
    ("bool_", "b1"),
];

/// How deeply records may be nested.
const MOST_DEPTH: usize = 16;

/// Reads a type's name: `float32`, `<f4`, `S32`, `datetime64[ms]`, or a list of fields as numpy or JSON writes it.
pub fn parse_dtype(text: &str) -> Result<Dtype> {
    let text = text.trim();
    if text.starts_with('[') {
        if let Ok(fields) = serde_json::from_str(text) {
            return dtype_from_json(&fields);
        }
        return Dtype::parse_fields(text);
    }
    let code = match NAMES.iter().find(|(name, _)| *name == text) {
        Some((_, code)) => (*code).to_owned(),
        None => text.replacen("datetime64", "M8", 1).replacen("timedelta64", "m8", 1),
    };
    // Without an order it is this machine's.
    let ordered = if code.starts_with(['<', '>', '|', '=']) { code } else { format!("={code}") };
    Dtype::parse_scalar(&native(&ordered))
}

/// With the sign of this machine's byte order for `=`.
fn native(code: &str) -> String {
    let order = if cfg!(target_endian = "big") { ">" } else { "<" };
    match code.strip_prefix('=') {
        // Without an order where there is none to have.
        Some(rest) if rest.starts_with(['S', 'V']) || matches!(rest, "b1" | "i1" | "u1") => {
            format!("|{rest}")
        }
        Some(rest) => format!("{order}{rest}"),
        None => code.to_owned(),
    }
}

/// Reads a type out of JSON: its name, or a list of fields, each a list of a name, a type and, at will, a shape.
pub fn dtype_from_json(value: &Value) -> Result<Dtype> {
    from_json(value, MOST_DEPTH)
}

fn from_json(value: &Value, depth: usize) -> Result<Dtype> {
    let wrong = |what: &str| Error::new(ErrorKind::Format, format!("dtype: {what}"));
    let fields = match value {
        Value::String(text) => return parse_dtype(text),
        Value::Array(fields) if depth > 0 => fields,
        Value::Array(_) => return Err(wrong("records are nested too deeply")),
        _ => return Err(wrong("must be a text or a list of fields")),
    };
    let field = |field: &Value| {
        let parts = field.as_array().map(Vec::as_slice).unwrap_or_default();
        let (name, dtype, shape) = match parts {
            [Value::String(name), dtype] => (name, dtype, None),
            [Value::String(name), dtype, shape] => (name, dtype, Some(shape)),
            _ => return Err(wrong("a field must be a list of a name, a type and, at will, a shape")),
        };
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        let shape = match shape {
            None => Vec::new(),
            Some(Value::Array(counts)) => counts
                .iter()
                .map(count)
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("a field's shape must be a list of numbers"))?,
            Some(value) => {
                vec![count(value).ok_or_else(|| wrong("a field's shape must be a list of numbers"))?]
            }
        };
        Ok(Field { name: name.clone(), dtype: from_json(dtype, depth - 1)?, shape, offset: 0 })
    };
    Dtype::record(fields.iter().map(field).collect::<Result<_>>()?)
}

/// The same as JSON.
pub fn dtype_to_json(dtype: &Dtype) -> Value {
    match dtype {
        Dtype::Scalar(scalar) => json!(scalar.to_string()),
        Dtype::Record(fields, _) => fields
            .iter()
            .map(|field| match field.shape.as_slice() {
                [] => json!([field.name, dtype_to_json(&field.dtype)]),
                shape => json!([field.name, dtype_to_json(&field.dtype), shape]),
            })
            .collect(),
    }
}

/// An element of this type with the value `fill`, where it is a number; without one, NaN where there is such a thing, else 0.
pub fn fill_element(dtype: &Dtype, fill: Option<f64>) -> Vec<u8> {
    let scalar = match dtype {
        Dtype::Scalar(scalar) => scalar,
        Dtype::Record(fields, size) => {
            let mut bytes = vec![0; *size];
            for field in fields {
                let one = fill_element(&field.dtype, fill);
                let all = one.iter().cycle();
                bytes
                    .iter_mut()
                    .skip(field.offset)
                    .take(field.size())
                    .zip(all)
                    .for_each(|(to, from)| *to = *from);
            }
            return bytes;
        }
    };
    let default = if matches!(scalar.kind, Kind::Float | Kind::Complex) { f64::NAN } else { 0.0 };
    let value = fill.unwrap_or(default);
    // Saturates at what the type holds.
    let mut bytes: Vec<u8> = match (scalar.kind, scalar.size) {
        (Kind::Bool, _) => vec![u8::from(value != 0.0)],
        (Kind::Int, 1) => (value as i8).to_be_bytes().to_vec(),
        (Kind::Int, 2) => (value as i16).to_be_bytes().to_vec(),
        (Kind::Int, 4) => (value as i32).to_be_bytes().to_vec(),
        (Kind::Int | Kind::Datetime | Kind::Timedelta, 8) => (value as i64).to_be_bytes().to_vec(),
        (Kind::Uint, 1) => (value as u8).to_be_bytes().to_vec(),
        (Kind::Uint, 2) => (value as u16).to_be_bytes().to_vec(),
        (Kind::Uint, 4) => (value as u32).to_be_bytes().to_vec(),
        (Kind::Uint, 8) => (value as u64).to_be_bytes().to_vec(),
        (Kind::Float, 4) => (value as f32).to_be_bytes().to_vec(),
        (Kind::Float, 8) => value.to_be_bytes().to_vec(),
        (Kind::Float, 2) if value.is_nan() => vec![0x7e, 0],
        (Kind::Complex, 8) => [value as f32; 2].iter().flat_map(|part| part.to_be_bytes()).collect(),
        (Kind::Complex, 16) => [value; 2].iter().flat_map(|part| part.to_be_bytes()).collect(),
        // Text, bytes, and numbers that Rust has not.
        (_, size) => vec![0; size],
    };
    if !scalar.big_endian {
        let unit = if scalar.kind == Kind::Complex { scalar.size / 2 } else { scalar.size };
        if !matches!(scalar.kind, Kind::Bytes | Kind::Unicode | Kind::Void) && unit > 1 {
            bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("float32", "<f4"),
            ("<f4", "<f4"),
            (">i2", ">i2"),
            ("uint8", "|u1"),
            ("bool", "|b1"),
            ("S32", "|S32"),
            ("U4", "<U4"),
            ("datetime64[ms]", "<M8[ms]"),
            ("=i8", "<i8"),
            (" complex128 ", "<c16"),
            ("[('t', '<f8'), ('v', '<i4', (2,))]", "[('t', '<f8'), ('v', '<i4', (2,))]"),
            (r#"[["t", "<f8"], ["v", "<i4", [2]]]"#, "[('t', '<f8'), ('v', '<i4', (2,))]"),
        ] {
            assert_eq!(parse_dtype(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "float33", "<f3", "object", "[", "f4,f4", "O"] {
            assert!(parse_dtype(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_there_and_back() {
        for json in
            [json!("<f4"), json!([["x", "<f4"], ["y", ">i2", [2, 3]], ["z", [["a", "|u1"], ["b", "|S5"]]]])]
        {
            assert_eq!(dtype_to_json(&dtype_from_json(&json).unwrap()), json);
        }
        let mut deep = json!("<f4");
        for _ in 0..40 {
            deep = json!([["x", deep]]);
        }
        for json in
            [json!(1), json!([["x"]]), json!([["x", "<f4", -1]]), json!([[1, "<f4"]]), json!({}), deep]
        {
            assert!(dtype_from_json(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn fills() {
        let fill = |text: &str, fill| fill_element(&parse_dtype(text).unwrap(), fill);
        assert_eq!(fill("<i2", Some(258.0)), [2, 1]);
        assert_eq!(fill(">i2", Some(258.0)), [1, 2]);
        assert_eq!(fill("<u1", Some(300.0)), [255]);
        assert_eq!(fill("<i4", None), [0; 4]);
        assert_eq!(fill("<f4", None), f32::NAN.to_le_bytes());
        assert_eq!(fill(">f8", Some(1.5)), 1.5f64.to_be_bytes());
        assert_eq!(fill("<c8", Some(2.0)), [2f32.to_le_bytes(), 2f32.to_le_bytes()].concat());
        assert_eq!(fill("S3", Some(7.0)), [0; 3]);
        assert_eq!(fill("[('a', '>u2', (2,)), ('b', '|b1')]", Some(1.0)), [0, 1, 0, 1, 1]);
    }
}
