//! Filters that the user writes.

use super::frames::check_index;
use super::{Filter, Frames};
use crate::error::{Error, Result};
use crate::signal::array::Layout;
use crate::signal::memory::Blank;
use crate::signal::params::Params;

/// A function as a filter.
///
/// It gets frames, which it may only look at, and a [`Writer`], through which it tells what is left of them: other frames, the same, or, if it says nothing,
/// none. An error that it returns goes to whoever sends or receives; these frames are lost then, and the stream goes on. It may not block for long: the
/// stream waits.
pub struct Function<P, F> {
    name: String,
    describe: P,
    function: F,
    /// Of what it makes: bytes of an element, shape of a frame.
    fitted: Option<(usize, Vec<usize>)>,
    /// Frames that come are such, too.
    same_type: bool,
}

impl<P, F> Function<P, F>
where
    P: FnMut(&mut Params) -> Result<()> + Send,
    F: FnMut(&Frames<'_>, &mut Writer<'_>) -> Result<()> + Send,
{
    /// A filter that is called `name` in errors. `describe` turns the params of what comes into those of what `function` makes of it.
    pub fn new(name: impl Into<String>, describe: P, function: F) -> Self {
        Self { name: name.into(), describe, function, fitted: None, same_type: false }
    }
}

/// What a function makes of frames.
pub struct Writer<'w> {
    item: usize,
    frame: &'w [usize],
    /// It may leave them as they are.
    same_type: bool,
    index: u64,
    made: Made,
}

enum Made {
    Nothing,
    Same,
    Frames(Layout, Blank),
}

impl Writer<'_> {
    /// Memory for `count` frames of the type and shape that the filter makes, in C order, all zero, beginning on a cache line. Memory that was given before
    /// is forgotten.
    ///
    /// # Errors
    /// `NoMemory`, or no memory holds so many.
    pub fn frames(&mut self, count: usize) -> Result<&mut [u8]> {
        self.made = Made::Nothing;
        let shape = [&[count], self.frame].concat();
        let layout = Layout::c_order(self.item, &shape)?;
        let blank = Blank::new(layout.size())?;
        self.made = Made::Frames(layout, blank);
        match &mut self.made {
            Made::Frames(_, blank) => Ok(blank.bytes()),
            _ => Ok(&mut []),
        }
    }

    /// The index behind the last of the frames that it makes. Without this it is that of the frames that came.
    pub fn index(&mut self, index: u64) {
        self.index = index;
    }

    /// The frames go on as they are.
    ///
    /// # Errors
    /// They are not of the type and shape that the filter makes.
    pub fn same(&mut self) -> Result<()> {
        if !self.same_type {
            let reason = "frames cannot stay the same: the filter changes the type or shape of the stream";
            return Err(Error::state(reason));
        }
        self.made = Made::Same;
        Ok(())
    }
}

impl<P, F> Filter for Function<P, F>
where
    P: FnMut(&mut Params) -> Result<()> + Send,
    F: FnMut(&Frames<'_>, &mut Writer<'_>) -> Result<()> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        let before = params.clone();
        (self.describe)(params)?;
        params.check()?;
        self.same_type = before.dtype == params.dtype && before.frame_shape() == params.frame_shape();
        if before.frame_shape().last() != params.frame_shape().last() {
            params.extra.remove("channel_info");
            params.extra.remove("nb_channel");
        }
        self.fitted = Some((params.dtype.size(), params.frame_shape()));
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        let Some((item, frame)) = &self.fitted else {
            return Err(Error::state("it was not fitted to a stream"));
        };
        let (item, same_type, index) = (*item, self.same_type, frames.index());
        let mut writer = Writer { item, frame, same_type, index, made: Made::Nothing };
        (self.function)(&frames, &mut writer)?;
        let Writer { index, made, .. } = writer;
        match made {
            Made::Nothing => Ok(None),
            Made::Same => {
                let layout = frames.layout().clone();
                frames.view(layout, index).map(Some)
            }
            Made::Frames(layout, blank) => {
                check_index(&layout, index)?;
                Ok(Some(Frames::of_bytes(index, layout, blank.into_bytes())))
            }
        }
    }
}
