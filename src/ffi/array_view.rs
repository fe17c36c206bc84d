//! Views of arrays
//!
//! A view is a look at frames where they are: at a chunk that was received, into a history, or at what was read of a dataset. It is held until it is released, whatever
//! becomes of the stream, history or reader meanwhile. A chunk's frames, and those of a dataset, do not change. Frames of a history are overwritten at some time, also while a
//! view is held; aq_array_view_check() and aq_array_view_release() tell: first look, or copy, then ask.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::dataset::ResultView;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::array::Layout;
use crate::signal::chunk::Chunk;
use crate::signal::history::{History, Stamp, Window};
use crate::signal::input::Received;

/// Frames where they are. Initialise it with aq_array_view_init() before its first use; after aq_array_view_release() it can be used again.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_array_view {
    /// Set by aq_array_view_init().
    pub struct_size: usize,
    /// Element (0, 0, ...). Elements are of the stream's dtype; read-only.
    pub data: *const c_void,
    /// Bytes of all elements.
    pub size: usize,
    /// Axes, at least 1, the first being time; of what was read of a dataset 0 when every axis was selected by an index.
    pub ndim: usize,
    /// Elements along each axis.
    pub shape: *const usize,
    /// Bytes from one element to the next along each axis; may be negative.
    pub strides: *const isize,
    /// 1 if all elements are in C order without gaps from `data` on, so that `size` bytes can be read at once.
    pub contiguous: i32,
    /// 0.
    pub reserved: u32,
    /// The number of frames, the first number of shape.
    pub frames: usize,
    /// The index behind the last frame in time.
    pub index: i64,
    /// Of a chunk that was received: the frames from `gap_start` to before `gap_end`, right before it, did not come. Mostly both are 0.
    pub gap_start: i64,
    /// See `gap_start`.
    pub gap_end: i64,
    /// What is held; NULL once released. Not to be touched.
    pub held: *mut c_void,
}

// SAFETY: numbers and pointers; an i32 and a u32 fill 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_array_view {
    const NAME: &'static str = "aq_array_view";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        data: ptr::null(),
        size: 0,
        ndim: 0,
        shape: ptr::null(),
        strides: ptr::null(),
        contiguous: 0,
        reserved: 0,
        frames: 0,
        index: 0,
        gap_start: 0,
        gap_end: 0,
        held: ptr::null_mut(),
    };
}

/// What a view holds; behind its `held`.
struct Held {
    _opaque: [u8; 0],
}

impl Opaque for Held {
    const NAME: &'static str = "aq_array_view";
    type Inner = Owner;
}

enum Owner {
    Chunk(Chunk),
    /// What was read of a dataset.
    Result {
        _result: ResultView,
        layout: Layout,
    },
    /// Frames of a history from `start` on, in time.
    Window {
        history: Arc<History>,
        layout: Layout,
        stamp: Stamp,
    },
}

impl Owner {
    fn layout(&self) -> &Layout {
        match self {
            Self::Chunk(chunk) => &chunk.layout,
            Self::Window { layout, .. } | Self::Result { layout, .. } => layout,
        }
    }

    /// Whether the frames were still there.
    fn check(&self) -> Result<()> {
        let Self::Window { history, stamp, .. } = self else { return Ok(()) };
        if history.holds(*stamp) {
            return Ok(());
        }
        let reason = format!("view: frames from {} on were overwritten meanwhile", stamp.start);
        Err(Error::new(ErrorKind::NotFound, reason))
    }
}

/// Where a view is to be written; checked before frames are taken that could not be given out.
pub struct ViewOut(*mut aq_array_view);

impl ViewOut {
    /// The view of the argument `view`, which holds nothing.
    ///
    /// # Safety
    /// `view` is NULL, or a struct of its struct_size that may be written to as long as this value lives.
    pub unsafe fn new(view: *mut aq_array_view) -> Result<Self> {
        // SAFETY: the caller's promise.
        let (known, tail) = unsafe { sized::read_known(view, "view") }?;
        tail?;
        if !known.held.is_null() {
            return Err(Error::state("view: it holds frames; release it first"));
        }
        Ok(Self(view))
    }

    /// Writes a view of a chunk that was received.
    pub fn received(self, received: Received) -> Result<Outcome> {
        let Received { chunk, gap } = received;
        // Within i64: an input refuses others.
        let (index, gap_start, gap_end) = (chunk.index as i64, gap.start as i64, gap.end as i64);
        let data = chunk.data.as_ptr();
        let view = aq_array_view { index, gap_start, gap_end, ..aq_array_view::DEFAULT };
        self.write(Owner::Chunk(chunk), data, view)
    }

    /// Writes a view of what was read of a dataset.
    pub fn result(self, result: ResultView) -> Result<Outcome> {
        let layout = layout(&result)?;
        let data = result.data().as_ptr();
        self.write(Owner::Result { _result: result, layout }, data, aq_array_view::DEFAULT)
    }

    /// Writes a view into a history.
    pub fn window(self, history: Arc<History>, window: Window) -> Result<Outcome> {
        let Window { data, layout, stop, stamp } = window;
        let view = aq_array_view { index: stop, ..aq_array_view::DEFAULT };
        self.write(Owner::Window { history, layout, stamp }, data.as_ptr(), view)
    }

    fn write(self, owner: Owner, data: *const u8, view: aq_array_view) -> Result<Outcome> {
        let held = handle::new::<Held>(owner);
        // SAFETY: just made.
        let written = unsafe { handle::borrow(held, "view") }.and_then(|owner| {
            // The lists lie in the handle, which stays where it is.
            let value = aq_array_view { held: held.cast(), ..describe(owner.layout(), data, view) };
            // SAFETY: checked by new.
            unsafe { sized::write(self.0, &value, "view") }
        });
        written.inspect_err(|_| {
            // SAFETY: just made, and known to nobody.
            let _ = unsafe { handle::free(held, "view") };
        })
    }
}

/// What a view says of its memory.
fn describe(layout: &Layout, data: *const u8, view: aq_array_view) -> aq_array_view {
    let empty = layout.is_empty();
    aq_array_view {
        // wrapping_add: within the memory by the layout's invariant, but where there are no elements.
        data: if empty { data } else { data.wrapping_add(layout.offset()) }.cast(),
        size: layout.size(),
        ndim: layout.shape().len(),
        shape: layout.shape().as_ptr(),
        strides: layout.strides().as_ptr(),
        contiguous: layout.is_c_order().into(),
        frames: layout.shape().first().copied().unwrap_or(0),
        ..view
    }
}

fn layout(result: &ResultView) -> Result<Layout> {
    // Within memory, as the result is, but for axes of a result without elements.
    let axis = |&n: &u64| usize::try_from(n).unwrap_or(usize::MAX);
    Layout::c_order(result.item_size(), &result.shape().iter().map(axis).collect::<Vec<_>>())
}

/// Calls a function with a view of what was read of a dataset, which holds nothing that could be released.
pub fn with_view(result: &ResultView, function: impl FnOnce(*const aq_array_view)) -> Result<()> {
    let layout = layout(result)?;
    let struct_size = size_of::<aq_array_view>();
    let view = aq_array_view { struct_size, ..aq_array_view::DEFAULT };
    function(&describe(&layout, result.data().as_ptr(), view));
    Ok(())
}

/// Writes zeros, and the struct's size: a view that holds nothing.
///
/// @param view the struct
/// @param struct_size sizeof *view
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_array_view_init(view: *mut aq_array_view, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(view, struct_size, "view") })
}

/// Whether what was read through a view until now were its frames. Of a chunk, and of nothing, always.
///
/// @param view the view
/// @return AQ_OK; AQ_E_NOT_FOUND when frames were overwritten meanwhile: what was read since the last AQ_OK is not to be used
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_array_view_check(view: *const aq_array_view) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let held = unsafe { sized::read(view, "view") }?.held.cast::<Held>();
        if !held.is_null() {
            // SAFETY: what a view holds, by the caller's contract.
            unsafe { handle::borrow(held, "view") }?.check()?;
        }
        Ok(Outcome::Done)
    })
}

/// Checks a view as aq_array_view_check() does, and gives its frames back: its pointers are not valid any more, and it holds nothing,
/// whatever the status. A view that holds nothing stays as it is.
///
/// @param view the view
/// @return AQ_OK; AQ_E_NOT_FOUND when frames were overwritten meanwhile: what was read since the last AQ_OK is not to be used
///
/// Threads: one at a time for a view; any thread, at the same time as any function of the stream or history.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_array_view_release(view: *mut aq_array_view) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let held = unsafe { sized::read(view, "view") }?.held.cast::<Held>();
        if held.is_null() {
            return Ok(Outcome::Done);
        }
        // SAFETY: what a view holds, by the caller's contract.
        let checked = unsafe { handle::borrow(held, "view") }?.check();
        // SAFETY: as above.
        unsafe { sized::write(view, &aq_array_view::DEFAULT, "view") }?;
        // SAFETY: nobody knows it any more.
        unsafe { handle::free(held, "view") }?;
        checked.map(|()| Outcome::Done)
    })
}
