//! What passes through filters: frames in memory that is shared, or that somebody lends for as long as they are filtered.
//!
//! Invariant: all elements that the layout tells can be read for as long as `'a`. Filters look at them, and make others of them; lent memory cannot be
//! kept beyond that, which the lifetime sees to.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::memory::filled;

/// Frames that follow each other.
#[derive(Debug)]
pub struct Frames<'a> {
    index: u64,
    layout: Layout,
    data: Data<'a>,
}

#[derive(Debug)]
enum Data<'a> {
    Lent(*const u8, PhantomData<&'a [u8]>),
    Shared(Bytes),
}

impl Frames<'static> {
    /// A chunk's.
    ///
    /// # Errors
    /// Its layout has no axis, does not lie within its data, or has more frames than its index.
    pub fn shared(chunk: Chunk) -> Result<Self> {
        crate::signal::transport::check_chunk(&chunk)?;
        Ok(Self { index: chunk.index, layout: chunk.layout, data: Data::Shared(chunk.data) })
    }
}

impl<'a> Frames<'a> {
    /// Frames in the memory of somebody else; `index` is the one behind the last.
    ///
    /// # Safety
    /// From `data` on, the bytes that `layout` tells can be read during `'a`; it has an axis, of at most `index` frames.
    pub unsafe fn lent(data: *const u8, layout: Layout, index: u64) -> Self {
        Self { index, layout, data: Data::Lent(data, PhantomData) }
    }

    /// The index behind the last.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The index of the first.
    pub fn start(&self) -> u64 {
        self.index - self.frames() as u64
    }

    /// How many there are.
    pub fn frames(&self) -> usize {
        self.layout.shape()[0]
    }

    /// The axes but time.
    pub fn frame_shape(&self) -> &[usize] {
        &self.layout.shape()[1..]
    }

    /// Where the elements are, from [`as_ptr`](Self::as_ptr) on.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the layout counts from. The bytes of its elements can be read as long as these frames live.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.data {
            Data::Lent(data, _) => *data,
            Data::Shared(data) => data.as_ptr(),
        }
    }

    /// Other frames in the same memory.
    ///
    /// # Errors
    /// They are not within the memory of these, or more than their index.
    pub fn view(self, layout: Layout, index: u64) -> Result<Self> {
        let (new, old) = (layout.extent(), self.layout.extent());
        if !layout.is_empty() && (new.start < old.start || new.end > old.end) {
            return Err(Error::invalid(format!("bytes {new:?} are not within those of the frames, {old:?}")));
        }
        check_index(&layout, index)?;
        Ok(Self { index, layout, ..self })
    }

    /// Frames that were made; their layout lies within the bytes, and they are at most `index`.
    pub(super) fn of_bytes(index: u64, layout: Layout, data: Bytes) -> Self {
        debug_assert!(layout.extent().end <= data.len() && check_index(&layout, index).is_ok());
        Self { index, layout, data: Data::Shared(data) }
    }

    /// The same number of frames with the same index in new memory, which `fill` writes, in the places that `layout` tells; these are dense, from byte 0 on.
    ///
    /// # Safety
    /// `fill` writes all bytes that the layout tells.
    pub(super) unsafe fn made(
        &self,
        layout: Layout,
        fill: impl FnOnce(*mut u8) -> Result<()>,
    ) -> Result<Frames<'static>> {
        let size = layout.size();
        // SAFETY: the caller's promise: a dense layout from byte 0 on has all bytes of its size.
        let data = unsafe { filled(size, |to| fill(to).map(|()| size)) }?;
        Ok(Frames { index: self.index, layout, data: Data::Shared(data) })
    }

    /// The same frames in C order: themselves if they are so, else a copy.
    pub(super) fn in_c_order(self) -> Result<Self> {
        if self.layout.is_c_order() {
            return Ok(self);
        }
        let target = Layout::c_order(self.layout.item(), self.layout.shape())?;
        let (from, layout) = (self.as_ptr(), self.layout());
        // SAFETY: the elements can be read; the copy writes all of the target.
        unsafe {
            self.made(target.clone(), |to| {
                array::copy(from, layout, to, &target);
                Ok(())
            })
        }
    }

    /// As a chunk, which can be kept: lent memory is copied, in the same order of axes.
    pub fn into_chunk(self) -> Result<Chunk> {
        let Self { index, layout, data } = self;
        match data {
            Data::Shared(data) => Ok(Chunk { index, layout, data }),
            Data::Lent(from, _) => {
                let packed = layout.packed();
                // SAFETY: the elements can be read; the copy writes all of the packed layout.
                let data = unsafe {
                    filled(packed.size(), |to| {
                        array::copy(from, &layout, to, &packed);
                        Ok(packed.size())
                    })
                }?;
                Ok(Chunk { index, layout: packed, data })
            }
        }
    }
}

/// Whether frames can be of that layout, and end there.
pub(super) fn check_index(layout: &Layout, index: u64) -> Result<()> {
    let Some(&frames) = layout.shape().first() else {
        return Err(Error::invalid("frames must have at least one axis, time (got none)"));
    };
    if frames as u64 > index || index > i64::MAX as u64 {
        return Err(Error::invalid(format!("{frames} frames cannot end at index {index}")));
    }
    Ok(())
}
