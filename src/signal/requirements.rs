//! What a receiver requires of a stream before it connects to it.
//!
//! Plain values; any thread.

use super::numpy::dtype_to_json;
use super::params::{Params, Protocol, TransferMode};
use crate::error::{Error, Result};
use crate::spead::dtype::Dtype;

/// What a stream must be; `None`: anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requirements {
    /// How its chunks travel.
    pub protocol: Option<Protocol>,
    /// What is sent.
    pub transfermode: Option<TransferMode>,
    /// The type of its elements.
    pub dtype: Option<Dtype>,
    /// The shape of its chunks; -1 along an axis stands for any length.
    pub shape: Option<Vec<i64>>,
}

impl Requirements {
    /// An error that names the first requirement that the stream does not meet.
    pub fn check(&self, params: &Params) -> Result<()> {
        let differs = |name: &str, required: &str, found: &str| {
            Err(Error::invalid(format!("the stream must have {name} {required} (got {found})")))
        };
        if let Some(protocol) = self.protocol
            && protocol != params.protocol
        {
            return differs("protocol", protocol.name(), params.protocol.name());
        }
        if let Some(mode) = self.transfermode
            && mode != params.transfermode
        {
            return differs("transfermode", mode.name(), params.transfermode.name());
        }
        if let Some(dtype) = &self.dtype
            && *dtype != params.dtype
        {
            let text = |dtype: &Dtype| dtype_to_json(dtype).to_string();
            return differs("dtype", &text(dtype), &text(&params.dtype));
        }
        if let Some(shape) = &self.shape {
            let alike = |(&wanted, &found): (&i64, &i64)| wanted == -1 || wanted == found;
            if shape.len() != params.shape.len() || !shape.iter().zip(&params.shape).all(alike) {
                return differs("shape", &format!("{shape:?}"), &format!("{:?}", params.shape));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::numpy::parse_dtype;

    #[test]
    fn each_requirement() {
        let params = Params::new(parse_dtype("<f4").unwrap(), &[-1, 3, 2]);
        let any = Requirements::default();
        let shape = |shape: &[i64]| Requirements { shape: Some(shape.to_vec()), ..any.clone() };
        let dtype = |text: &str| Requirements { dtype: Some(parse_dtype(text).unwrap()), ..any.clone() };
        for met in
            [any.clone(), shape(&[-1, 3, 2]), shape(&[-1, -1, -1]), shape(&[-1, 3, -1]), dtype("float32")]
        {
            met.check(&params).unwrap();
        }
        for (unmet, reason) in [
            (
                Requirements { protocol: Some(Protocol::Shm), ..any.clone() },
                "must have protocol shm (got tcp)",
            ),
            (
                Requirements { transfermode: Some(TransferMode::SharedMem), ..any.clone() },
                "must have transfermode sharedmem (got plaindata)",
            ),
            (dtype(">f4"), "must have dtype \">f4\" (got \"<f4\")"),
            (shape(&[-1, 3]), "must have shape [-1, 3] (got [-1, 3, 2])"),
            (shape(&[-1, 4, 2]), "must have shape [-1, 4, 2]"),
            (shape(&[-1, 3, 1]), "must have shape [-1, 3, 1]"),
            (shape(&[10, 3, 2]), "must have shape [10, 3, 2]"),
        ] {
            let error = unmet.check(&params).unwrap_err();
            assert!(error.message().contains(reason), "{error}");
        }
    }
}
