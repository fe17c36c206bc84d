//! The stream that a dataset is played as: what is known of the dataset, in a stream's words.

use crate::dataset::dataset::Dataset;
use crate::dataset::record::PARAMS;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::params::Params;
use crate::spead::dtype::{Dtype, Field, Kind, Scalar};
use crate::sys::hdf5;

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
    let library = hdf5::lock();
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Format, format!("attributes of dataset {}: {e}", dataset.name()))
    };
    let number = |name: &str| dataset.handle.number(&library, name).map_err(failed);
    let text = |name: &str| dataset.handle.text(&library, name).map_err(failed);
    // What a recorder wrote, unless somebody has changed the dataset since. What it says of the type is more than HDF5 can: booleans, times, text.
    if let Some(recorded) = text(PARAMS)?.and_then(|json| Params::from_json(&json).ok())
        && recorded.frame_size() == params.frame_size()
        && recorded.shape.get(1..) == params.shape.get(1..)
    {
        params.dtype = recorded.dtype;
        params.fill = recorded.fill;
        params.streamtype = recorded.streamtype;
        params.extra = recorded.extra;
    }
    if let Some(rate) = number("sample_rate")?.filter(|rate| *rate > 0.0 && rate.is_finite()) {
        params.sample_rate = rate;
    }
    params.scale = number("scale")?;
    params.offset = number("offset")?;
    params.units = text("units")?.unwrap_or_default();
    params.streamtype = text("streamtype")?.unwrap_or(params.streamtype);
    params.check()?;
    Ok(params)
}

/// The recorded rate, if it is known.
pub(super) fn sample_rate(dataset: &Dataset) -> Result<Option<f64>> {
    let library = hdf5::lock();
    let rate = dataset.handle.number(&library, "sample_rate").map_err(|e| {
        Error::new(ErrorKind::Format, format!("attribute sample_rate of dataset {}: {e}", dataset.name()))
    })?;
    Ok(rate.filter(|rate| *rate > 0.0 && rate.is_finite()))
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
