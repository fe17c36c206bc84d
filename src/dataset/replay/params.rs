//! The stream that a dataset is played as: what is known of the dataset, in a stream's words.

use crate::dataset::dataset::Dataset;
use crate::dataset::describe::{Attribute, AttributeValue};
use crate::dataset::dtype::{DataType, Form};
use crate::dataset::record::PARAMS;
use crate::error::Result;
use crate::signal::params::Params;
use crate::spead::dtype::{Dtype, Field, Kind, Scalar};

/// The params of a stream with the rows of a dataset as frames: type and shape are the dataset's; `sample_rate`, `units`, `scale`, `offset`, `streamtype` are its
/// attributes of these names, where it has them. What a recorder wrote is played as the stream that it was. How it travels is not said.
///
/// # Errors
/// `Format`: the type is none that streams have.
pub fn stream_params(dataset: &Dataset) -> Result<Params> {
    let (dtype, inner) = dataset.dtype().to_numpy()?;
    let mut shape = vec![-1];
    for n in dataset.shape()[1..].iter().copied().chain(inner.into_iter().map(|n| n as u64)) {
        shape.push(i64::try_from(n).unwrap_or(i64::MAX));
    }
    let mut params = Params::new(with_complex(dtype), &shape);
    let attributes = Attributes::of(dataset)?;
    let (number, text) = (|name: &str| attributes.number(name), |name: &str| attributes.text(name));
    // What a recorder wrote, unless somebody has changed the dataset since. What it says of the type is more than HDF5 can: booleans, times, text.
    if let Some(recorded) = text(PARAMS).and_then(|json| Params::from_json(&json).ok())
        && recorded.frame_size() == params.frame_size()
        && recorded.shape.get(1..) == params.shape.get(1..)
    {
        params.dtype = recorded.dtype;
        params.fill = recorded.fill;
        params.streamtype = recorded.streamtype;
        params.extra = recorded.extra;
    }
    if let Some(rate) = number("sample_rate").filter(|rate| *rate > 0.0 && rate.is_finite()) {
        params.sample_rate = rate;
    }
    params.scale = number("scale");
    params.offset = number("offset");
    params.units = text("units").unwrap_or_default();
    params.streamtype = text("streamtype").unwrap_or(params.streamtype);
    params.check()?;
    Ok(params)
}

/// The recorded rate, if it is known.
pub(super) fn sample_rate(dataset: &Dataset) -> Result<Option<f64>> {
    let rate = Attributes::of(dataset)?.number("sample_rate");
    Ok(rate.filter(|rate| *rate > 0.0 && rate.is_finite()))
}

/// The attributes of a dataset.
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn of(dataset: &Dataset) -> Result<Self> {
        dataset.file().attributes(dataset.name()).map(Self)
    }

    fn value(&self, name: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    /// One that is one number.
    fn number(&self, name: &str) -> Option<f64> {
        match self.value(name)? {
            AttributeValue::Elements(dtype, bytes) => number(dtype, bytes),
            _ => None,
        }
    }

    /// One that is one text.
    fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            AttributeValue::Texts(texts) if texts.len() == 1 => texts.first().cloned(),
            AttributeValue::Elements(DataType { form: Form::Bytes, size, .. }, bytes)
                if bytes.len() == *size =>
            {
                let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        }
    }
}

/// The number that these bytes are, if it is one.
fn number(dtype: &DataType, bytes: &[u8]) -> Option<f64> {
    if bytes.len() != dtype.size || dtype.size > 8 {
        return None;
    }
    // The least significant byte first.
    let mut little = [0; 8];
    for (to, from) in little.iter_mut().zip(bytes) {
        *to = *from;
    }
    if dtype.big_endian {
        little[..dtype.size].reverse();
    }
    let bits = u64::from_le_bytes(little);
    let unused = 64 - 8 * dtype.size as u32;
    match (&dtype.form, dtype.size) {
        (Form::Uint, _) => Some(bits as f64),
        (Form::Int, _) => Some(((bits << unused).cast_signed() >> unused) as f64),
        (Form::Float, 4) => Some(f64::from(f32::from_bits(bits as u32))),
        (Form::Float, 8) => Some(f64::from_bits(bits)),
        _ => None,
    }
}

/// Pairs of numbers that are called `r` and `i` are what h5py makes of complex numbers.
fn with_complex(dtype: Dtype) -> Dtype {
    let Dtype::Record(fields, size) = dtype else { return dtype };
    if let [r, i] = &fields[..]
        && (r.name.as_str(), i.name.as_str()) == ("r", "i")
        && r.dtype == i.dtype
        && r.shape.is_empty()
        && i.shape.is_empty()
        && let Dtype::Scalar(Scalar { kind: Kind::Float, size: 4 | 8, big_endian, .. }) = r.dtype
    {
        return Dtype::Scalar(Scalar { kind: Kind::Complex, size, big_endian, unit: String::new() });
    }
    let complex = |field: Field| Field { dtype: with_complex(field.dtype), ..field };
    Dtype::Record(fields.into_iter().map(complex).collect(), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type() {
        let dtype = |size, big_endian, form| DataType { size, big_endian, form };
        for (value, dtype, bytes) in [
            (-2.0, dtype(2, false, Form::Int), &[0xfe, 0xff][..]),
            (-2.0, dtype(2, true, Form::Int), &[0xff, 0xfe]),
            (65534.0, dtype(2, false, Form::Uint), &[0xfe, 0xff]),
            (30000.0, dtype(8, true, Form::Uint), &30000u64.to_be_bytes()),
            (1.5, dtype(4, true, Form::Float), &1.5f32.to_be_bytes()),
            (0.1, dtype(8, false, Form::Float), &0.1f64.to_le_bytes()),
        ] {
            assert_eq!(number(&dtype, bytes), Some(value), "{dtype}");
            assert_eq!(number(&dtype, &bytes[1..]), None);
        }
        assert_eq!(number(&dtype(2, false, Form::Bytes), &[1, 2]), None);
    }
}
