//! Filters: what is done to chunks on their way, at an output before they are collected and published, or at an input before they are kept and given out.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | the trait [`Filter`], and [`Chain`], filters one behind the other |
//! | `frames.rs` | [`Frames`]: what passes from one to the next |
//! | `scale.rs` | [`Scale`]: a factor and an offset |
//! | `cast.rs` | [`Cast`]: another type of elements, or another byte order |
//! | `convert.rs`, `number.rs`, `half.rs` | how numbers are converted |
//! | `channels.rs` | [`Channels`]: some elements of an axis |
//! | `field.rs` | [`Field`]: one field of records |
//! | `decimate.rs` | [`Decimate`]: every n-th frame |
//! | `reshape.rs` | [`Reshape`]: the elements of a frame, with other axes |
//! | `function.rs` | [`Function`]: what the user wants |
//!
//! Invariant of a chain: what each filter is given fits what the one before said that it makes of the stream's params, and indices never go back. One thread
//! at a time.

mod cast;
mod channels;
mod convert;
mod decimate;
mod field;
mod frames;
mod function;
mod half;
mod number;
mod reshape;
mod scale;

#[cfg(test)]
mod tests;

pub use cast::Cast;
pub use channels::Channels;
pub use decimate::Decimate;
pub use field::Field;
pub use frames::Frames;
pub use function::{Function, Writer};
pub use reshape::Reshape;
pub use scale::{Factors, Precision, Scale};

use std::fmt;

use super::chunk::Chunk;
use super::params::Params;
use crate::error::{Error, Result};

/// Something that is done to chunks.
pub trait Filter: Send {
    /// What it is called in errors.
    fn name(&self) -> &str;

    /// Turns the params of the stream that comes into those of the stream that goes out: type, shape, rate, scale, units. Called once, before any frames
    /// come; or again, if the filter was refused.
    ///
    /// # Errors
    /// The stream is not one that it can be used for; the text names what does not fit.
    fn fit(&mut self, params: &mut Params) -> Result<()>;

    /// Filters frames of the stream that it was made to fit; `None`: nothing is left of them.
    ///
    /// # Errors
    /// These frames are lost. The next ones may come.
    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>>;
}

/// A filter that a chain did not take.
pub struct Refused {
    /// The filter, which can be used elsewhere.
    pub filter: Box<dyn Filter>,
    /// Why.
    pub error: Error,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.filter.name(), self.error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// A filter, and the stream that leaves it.
struct Link {
    filter: Box<dyn Filter>,
    params: Params,
    /// The shape of a frame.
    frame: Vec<usize>,
}

/// Filters one behind the other.
pub struct Chain {
    /// The stream that comes.
    source: Params,
    links: Vec<Link>,
    /// The index behind the last frame that went out.
    next: u64,
}

impl Chain {
    /// No filter yet, for a stream of these params.
    pub fn new(source: Params) -> Self {
        Self { source, links: Vec::new(), next: 0 }
    }

    /// What the stream is behind the last filter.
    pub fn params(&self) -> &Params {
        self.links.last().map_or(&self.source, |link| &link.params)
    }

    /// The same, to add how it is to be found.
    pub(super) fn params_mut(&mut self) -> &mut Params {
        self.links.last_mut().map_or(&mut self.source, |link| &mut link.params)
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The index behind the last frame that went out.
    pub fn index(&self) -> u64 {
        self.next
    }

    /// Adds a filter behind the others.
    ///
    /// # Errors
    /// It does not fit what comes out of the others; the text says why.
    pub fn push(&mut self, mut filter: Box<dyn Filter>) -> Result<(), Refused> {
        let mut params = self.params().clone();
        let fitted = filter.fit(&mut params).and_then(|()| params.check());
        if let Err(error) = fitted {
            let error = told(self.links.len(), filter.name(), &error);
            return Err(Refused { filter, error });
        }
        self.links.push(Link { filter, frame: params.frame_shape(), params });
        Ok(())
    }

    /// Takes the last filter away.
    pub(super) fn pop(&mut self) -> Option<Box<dyn Filter>> {
        self.links.pop().map(|link| link.filter)
    }

    /// Filters frames; `None`: a filter left nothing of them.
    ///
    /// # Errors
    /// A filter failed, or broke its word. Nothing of these frames goes out.
    pub fn apply(&mut self, frames: Frames<'_>) -> Result<Option<Chunk>> {
        let mut frames = frames;
        for (at, Link { filter, params, frame }) in self.links.iter_mut().enumerate() {
            let left = filter.apply(frames);
            let left = left.map_err(|error| told(at, filter.name(), &error))?;
            let Some(left) = left.filter(|left| left.frames() > 0) else { return Ok(None) };
            let (item, found) = (params.dtype.size(), left.frame_shape());
            if left.layout().item() != item || found != frame {
                let rule =
                    format!("frames must be of shape {frame:?} with elements of {item} bytes, as it said");
                let error = Error::invalid(format!("{rule} (got {found:?} of {})", left.layout().item()));
                return Err(told(at, filter.name(), &error));
            }
            frames = left;
        }
        if frames.start() < self.next {
            let rule = format!("filters: the first frame that goes out must be {} or a later one", self.next);
            return Err(Error::invalid(format!("{rule} (got {})", frames.start())));
        }
        let chunk = frames.into_chunk()?;
        self.next = chunk.index;
        Ok(Some(chunk))
    }

    /// Indices go back: the next frame that goes out may be that one. User's functions see that by the index of what comes.
    pub fn go_back(&mut self, index: u64) {
        self.next = index;
    }
}

/// The error of a filter in a chain.
fn told(at: usize, name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("filter {} ({name}): {}", at + 1, error.message()))
}
