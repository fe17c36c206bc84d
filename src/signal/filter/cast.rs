//! Another type of elements, or the same in another byte order.

use super::convert::Converter;
use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::params::Params;
use crate::spead::dtype::Dtype;

/// Converts elements to another type: any number to any other, and anything to itself in another byte order, records included.
///
/// Numbers are converted as numpy's `astype` does, but for those that the new type cannot hold: they become the nearest one that it can, and NaN becomes 0
/// where there is none. Of complex numbers that become real ones, the real part is taken. Integers of 64 bits that become floats, and floats that become
/// shorter ones, are rounded to the nearest; too large ones become infinite.
pub struct Cast {
    to: Option<Dtype>,
    converter: Option<Converter>,
}

impl Cast {
    /// To that type.
    pub fn to(dtype: Dtype) -> Self {
        Self { to: Some(dtype), converter: None }
    }

    /// To this machine's byte order, whatever the type is.
    pub fn to_native() -> Self {
        Self { to: None, converter: None }
    }
}

impl Filter for Cast {
    fn name(&self) -> &str {
        "cast"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let from = &params.dtype;
        let to = self.to.clone().unwrap_or_else(|| from.to_native());
        if *from == to {
            self.converter = None;
            return Ok(());
        }
        let converter = Converter::cast(from, &to).ok_or_else(|| {
            let rule = "dtype must be a number for one of numbers, or the stream's own in another byte order";
            Error::invalid(format!("{rule} (got {to} for {from})"))
        })?;
        self.converter = Some(converter);
        params.dtype = to;
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        match &mut self.converter {
            // They are of that type.
            None => Ok(Some(frames)),
            Some(converter) => converter.convert(&frames).map(Some),
        }
    }
}
