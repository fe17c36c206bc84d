//! Selections
//!
//! What of a dataset is wanted, as numpy's indexing has it: along each axis everything, one element, a slice, a list of indexes, or those of a mask; the
//! first axis is that of rows. A selection begins as everything, and is of no dataset: whether it is within one is found out when it is used.
//!
//! Indexes that are negative count from the end. An index out of range is an error; slices are clipped.
//!
//! ```c
//! check(aq_selection_new(&selection));
//! check(aq_selection_slice(selection, 0, 100, AQ_SLICE_OPEN, 2));   // [100::2, ..., 3]
//! check(aq_selection_index(selection, 2, 3));
//! ```

use std::ffi::c_char;

use parking_lot::Mutex;

use super::dataset::aq_dataset;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice, slice_out};
use super::status::aq_status;
use super::text;
use crate::dataset::{Axis, Selection};
use crate::error::{Error, Result};

/// Instead of the start or the stop of a slice: the end of the axis that the step comes from, or goes to.
pub const AQ_SLICE_OPEN: i64 = i64::MIN;

/// Axes of a dataset at the most, in HDF5.
const MOST_AXES: usize = 32;

/// A selection.
pub struct aq_selection {
    _opaque: [u8; 0],
}

/// What is wanted: of which elements, and which field of each.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Elements.
    pub selection: Selection,
    /// A field of each; `None`: all of it.
    pub field: Option<String>,
}

impl Opaque for aq_selection {
    const NAME: &'static str = "aq_selection";
    type Inner = Mutex<Wanted>;
}

/// What the argument `selection` says; NULL: everything.
///
/// # Safety
/// `selection` is NULL or a live handle.
pub unsafe fn wanted(selection: *const aq_selection) -> Result<Wanted> {
    if selection.is_null() {
        return Ok(Wanted::default());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { handle::borrow(selection, "selection") }?.lock().clone())
}

/// Changes one axis.
///
/// # Safety
/// `selection` is NULL or a live handle.
unsafe fn set(selection: *mut aq_selection, axis: usize, wanted: Axis) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    let selection = unsafe { handle::borrow(selection, "selection") }?;
    if axis >= MOST_AXES {
        return Err(Error::invalid(format!("axis must be less than {MOST_AXES} (got {axis})")));
    }
    let axes = &mut selection.lock().selection.axes;
    if axes.len() <= axis {
        axes.resize(axis + 1, Axis::All);
    }
    axes[axis] = wanted;
    // Those at the end that are wanted whole need not be there.
    while axes.last() == Some(&Axis::All) {
        axes.pop();
    }
    Ok(Outcome::Done)
}

/// Makes a selection of everything.
///
/// @param out receives the selection; free it with aq_selection_free()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_new(out: *mut *mut aq_selection) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(Mutex::default()));
        Ok(Outcome::Done)
    })
}

/// Wants everything along an axis, again.
///
/// @param selection the selection
/// @param axis its number; 0: rows
/// @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
///
/// Threads: any; requests that were made with the selection are not changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_all(selection: *mut aq_selection, axis: usize) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { set(selection, axis, Axis::All) })
}

/// Wants one element along an axis, which the result does not have then.
///
/// @param selection the selection
/// @param axis its number; 0: rows
/// @param index the element; negative: from the end, -1 being the last
/// @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
///
/// Threads: as aq_selection_all().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_index(
    selection: *mut aq_selection,
    axis: usize,
    index: i64,
) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { set(selection, axis, Axis::Index(index)) })
}

/// Wants a slice of an axis, as Python has it: clipped to what there is, and backwards with a negative step.
///
/// @param selection the selection
/// @param axis its number; 0: rows
/// @param start the first; negative: from the end; AQ_SLICE_OPEN: the first of all, or with a negative step the last
/// @param stop the one behind the last; negative: from the end; AQ_SLICE_OPEN: as far as there are any
/// @param step from one to the next, not 0
/// @return AQ_OK; AQ_E_INVALID when step is 0, or HDF5 has no such axis
///
/// Threads: as aq_selection_all().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_slice(
    selection: *mut aq_selection,
    axis: usize,
    start: i64,
    stop: i64,
    step: i64,
) -> aq_status {
    guard(|| {
        if step == 0 {
            return Err(Error::invalid("step must not be 0 (got 0)"));
        }
        let open = |bound| (bound != AQ_SLICE_OPEN).then_some(bound);
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { set(selection, axis, Axis::Slice { start: open(start), stop: open(stop), step }) }
    })
}

/// Wants a list of elements along an axis, in this order, each as often as it is named.
///
/// @param selection the selection
/// @param axis its number; 0: rows
/// @param indexes the elements; negative: from the end; copied; may be NULL when there are none
/// @param count how many
/// @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
///
/// Threads: as aq_selection_all().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_list(
    selection: *mut aq_selection,
    axis: usize,
    indexes: *const i64,
    count: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or that many numbers by the caller's contract.
        let indexes = unsafe { slice(indexes, count, "indexes") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { set(selection, axis, Axis::List(indexes.to_vec())) }
    })
}

/// Wants those elements of an axis for which a mask is not 0.
///
/// @param selection the selection
/// @param axis its number; 0: rows
/// @param mask a byte for each element of the axis; copied; may be NULL when there are none
/// @param count how many; it must be as long as the axis of the dataset that the selection is used with
/// @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
///
/// Threads: as aq_selection_all().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_mask(
    selection: *mut aq_selection,
    axis: usize,
    mask: *const u8,
    count: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or that many bytes by the caller's contract.
        let mask = unsafe { slice(mask, count, "mask") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { set(selection, axis, Axis::Mask(mask.iter().map(|byte| *byte != 0).collect())) }
    })
}

/// Wants one field of each record only.
///
/// @param selection the selection
/// @param field its name; copied; NULL: whole records, again
/// @return AQ_OK; AQ_E_INVALID when it is not UTF-8
///
/// Threads: as aq_selection_all().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_field(selection: *mut aq_selection, field: *const c_char) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let selection = unsafe { handle::borrow(selection, "selection") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let field = unsafe { text::optional(field, "field") }?;
        selection.lock().field = field.map(str::to_owned);
        Ok(Outcome::Done)
    })
}

/// The shape of what is selected of a dataset, as it is now.
///
/// @param selection the selection; NULL: everything
/// @param dataset the dataset
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes are left, also when they do not fit: 0 when all have an index
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape; AQ_E_INVALID when the selection is out of range: the message names
///     axis, value and range; AQ_E_NOT_FOUND when there is no such field
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_shape(
    selection: *const aq_selection,
    dataset: *const aq_dataset,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (wanted, dataset) = unsafe { (wanted(selection)?, handle::borrow(dataset, "dataset")?.get()) };
        if let Some(field) = &wanted.field {
            dataset.dtype().field(field)?;
        }
        let selected = wanted.selection.shape(dataset.shape())?;
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(&selected, shape, capacity, ndim, "shape") }
    })
}

/// Frees a selection. Requests that were made with it go on.
///
/// @param selection the selection, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no selection, or freed already as far as that can be seen
///
/// Threads: no other call on this selection may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_selection_free(selection: *mut aq_selection) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(selection, "selection") })
}
