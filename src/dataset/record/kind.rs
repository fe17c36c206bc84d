//! The types of signal streams as HDF5 has them: those that h5py makes of numpy's.

use std::io;

use crate::error::{Error, ErrorKind, Result};
use crate::spead::dtype::{Dtype, Kind as Numpy, Scalar};
use crate::sys::hdf5::{Kind, Library};

/// The type of elements in the file.
///
/// # Errors
/// `Unsupported`: HDF5 has no such type.
pub(super) fn kind(library: &Library, dtype: &Dtype) -> Result<Kind> {
    match dtype {
        Dtype::Scalar(scalar) => of_scalar(library, scalar),
        Dtype::Record(fields, size) => {
            let mut all = Vec::new();
            for field in fields.iter().filter(|field| !field.name.is_empty()) {
                let mut one = kind(library, &field.dtype)?;
                if !field.shape.is_empty() {
                    let shape: Vec<u64> = field.shape.iter().map(|&n| n as u64).collect();
                    one = one.array(library, &shape).map_err(|e| refused(dtype, &e))?;
                }
                all.push((field.name.as_str(), field.offset, one));
            }
            Kind::record(library, *size, &all).map_err(|e| refused(dtype, &e))
        }
    }
}

fn refused(dtype: &Dtype, reason: &io::Error) -> Error {
    let message = format!("dtype {dtype} cannot be written to an HDF5 file: {reason}");
    Error::new(ErrorKind::Unsupported, message)
}

fn of_scalar(library: &Library, scalar: &Scalar) -> Result<Kind> {
    let Scalar { kind, size, big_endian, .. } = *scalar;
    let made = match kind {
        _ if size == 0 => Err(io::Error::other("its elements have no bytes")),
        Numpy::Bool => Kind::boolean(library),
        Numpy::Int => Kind::integer(library, size, true, big_endian),
        Numpy::Uint => Kind::integer(library, size, false, big_endian),
        Numpy::Float => Kind::float(library, size, big_endian),
        Numpy::Complex => {
            let part = || Kind::float(library, size / 2, big_endian);
            part().and_then(|real| Kind::record(library, size, &[("r", 0, real), ("i", size / 2, part()?)]))
        }
        Numpy::Bytes => Kind::text(library, Some(size)),
        Numpy::Void => Kind::opaque(library, size, ""),
        // h5py makes numpy's type of what stands behind it.
        Numpy::Unicode | Numpy::Datetime | Numpy::Timedelta => {
            Kind::opaque(library, size, &format!("NUMPY:{scalar}"))
        }
    };
    made.map_err(|e| refused(&Dtype::Scalar(scalar.clone()), &e))
}
