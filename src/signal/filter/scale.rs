//! Values in their units: a factor and an offset.

use super::convert::Converter;
use super::number::{Element, Number};
use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::params::Params;

/// Where the factor and the offset are from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Factors {
    /// They are these.
    Given {
        /// What values are multiplied by.
        scale: f64,
        /// What is added then.
        offset: f64,
    },
    /// The stream's params say them; where they have one only, the other is 1, or 0.
    OfParams,
}

/// Which floats values become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// `Double` for integers of more than 24 bits and for floats of 64, which would lose something; else `Single`.
    #[default]
    AsNeeded,
    /// float32, or complex64.
    Single,
    /// float64, or complex128.
    Double,
}

/// Multiplies each value by a factor and adds an offset. It is computed in float64 and rounded once.
///
/// Values are then in the stream's units: its params have neither scale nor offset any more. What is to be filled in for frames that are missing is
/// scaled, too. An offset is added to the real part of complex numbers.
pub struct Scale {
    factors: Factors,
    precision: Precision,
    units: Option<String>,
    converter: Option<Converter>,
}

impl Scale {
    /// With these factors.
    ///
    /// # Errors
    /// One of them is not finite.
    pub fn new(factors: Factors, precision: Precision) -> Result<Self> {
        if let Factors::Given { scale, offset } = factors {
            check(scale, "scale")?;
            check(offset, "offset")?;
        }
        Ok(Self { factors, precision, units: None, converter: None })
    }

    /// The units are these then, not those of the stream.
    pub fn with_units(self, units: impl Into<String>) -> Self {
        Self { units: Some(units.into()), ..self }
    }
}

fn check(value: f64, name: &str) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be a finite number (got {value})")))
}

impl Filter for Scale {
    fn name(&self) -> &str {
        "scale"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let (scale, offset) = match self.factors {
            Factors::Given { scale, offset } => (scale, offset),
            Factors::OfParams if params.scale.is_none() && params.offset.is_none() => {
                return Err(Error::invalid(
                    "the stream's params must have a scale or an offset (got neither)",
                ));
            }
            Factors::OfParams => (params.scale.unwrap_or(1.0), params.offset.unwrap_or(0.0)),
        };
        check(scale, "the params' scale")?;
        check(offset, "the params' offset")?;
        let dtype = &params.dtype;
        let element = Element::of(dtype).ok_or_else(|| {
            Error::invalid(format!("the stream's dtype must be one of numbers (got {dtype})"))
        })?;
        let long =
            matches!(element.number, Number::I32 | Number::U32 | Number::I64 | Number::U64 | Number::F64);
        let short = match self.precision {
            Precision::AsNeeded => !long,
            Precision::Single => true,
            Precision::Double => false,
        };
        let converter = Converter::scale(dtype, element, short, scale, offset)?;
        params.dtype = converter.to().clone();
        self.converter = Some(converter);
        params.fill = params.fill.map(|fill| fill * scale + offset);
        (params.scale, params.offset) = (None, None);
        if let Some(units) = &self.units {
            params.units.clone_from(units);
        }
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        match &mut self.converter {
            Some(converter) => converter.convert(&frames).map(Some),
            None => Err(Error::state("it was not fitted to a stream")),
        }
    }
}
