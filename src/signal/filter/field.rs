//! One field of records.

use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::array::{Layout, c_strides};
use crate::signal::params::Params;

/// Takes one field of a stream of records. Nothing is copied; the axes that the field has itself come behind those of the stream.
pub struct Field {
    name: String,
    /// Of the field: where it begins in a record, the bytes of an element, its shape.
    fitted: Option<(usize, usize, Vec<usize>)>,
}

impl Field {
    /// The field of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), fitted: None }
    }
}

impl Filter for Field {
    fn name(&self) -> &str {
        "field"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let found = params.dtype.fields().iter().find(|field| field.name == self.name);
        let field = found.cloned().ok_or_else(|| {
            let rule = "name must be that of a field of the stream's dtype";
            Error::invalid(format!("{rule} (got {:?} for {})", self.name, params.dtype))
        })?;
        self.fitted = Some((field.offset, field.dtype.size(), field.shape.clone()));
        params.shape.extend(field.shape.iter().map(|&count| count as i64));
        if !field.shape.is_empty() {
            params.axisorder = None;
        }
        params.dtype = field.dtype;
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        let Some((offset, item, inner)) = &self.fitted else {
            return Err(Error::state("it was not fitted to a stream"));
        };
        let (layout, index) = (frames.layout(), frames.index());
        let shape = [layout.shape(), inner].concat();
        let strides = [layout.strides(), &c_strides(*item, inner)?].concat();
        // Without elements there is no place for the field to be in.
        let offset = if layout.is_empty() { 0 } else { layout.offset() + offset };
        let layout = Layout::new(*item, offset, &shape, &strides)?;
        frames.view(layout, index).map(Some)
    }
}
