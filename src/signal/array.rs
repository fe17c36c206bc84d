//! Arrays in memory, as numpy has them: a shape, and for each axis how many bytes lie between its elements.
//!
//! Invariant of [`Layout`]: no product or sum of its numbers overflows, and all elements lie within the `extent` that it tells. Plain values; any
//! thread.

use std::ops::Range;

use crate::error::{Error, Result};

/// Axes of an array at the most; numpy has the same limit.
pub const MAX_AXES: usize = 64;

/// Where the elements of an array are, from the first byte of a block of memory on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of an element.
    item: usize,
    /// Where element (0, 0, ...) is.
    offset: usize,
    /// Elements along each axis.
    shape: Vec<usize>,
    /// Bytes from one element to the next along each axis; may be negative.
    strides: Vec<isize>,
    /// The bytes that elements occupy; empty if there are none.
    extent: Range<usize>,
}

impl Layout {
    /// A layout; an error if there are too many axes, or numbers that no memory can have.
    pub fn new(item: usize, offset: usize, shape: &[usize], strides: &[isize]) -> Result<Self> {
        if shape.len() != strides.len() {
            let reason = format!("strides must be as many as axes, {} (got {})", shape.len(), strides.len());
            return Err(Error::invalid(reason));
        }
        if shape.len() > MAX_AXES {
            return Err(Error::invalid(format!(
                "an array has at most {MAX_AXES} axes (got {})",
                shape.len()
            )));
        }
        let extent = extent(item, offset, shape, strides).ok_or_else(|| {
            let reason = "no memory holds an array of these items, offset, shape and strides";
            Error::invalid(format!("{reason}: {item}, {offset}, {shape:?}, {strides:?}"))
        })?;
        Ok(Self { item, offset, shape: shape.to_vec(), strides: strides.to_vec(), extent })
    }

    /// In C order: the last axis varies first, nothing lies between elements.
    pub fn c_order(item: usize, shape: &[usize]) -> Result<Self> {
        Self::new(item, 0, shape, &c_strides(item, shape)?)
    }

    /// With axis `order[0]` varying last and the last one of `order` first.
    pub fn ordered(item: usize, shape: &[usize], order: &[usize]) -> Result<Self> {
        check_order(shape.len(), order)?;
        let permuted: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let steps = c_strides(item, &permuted)?;
        let mut strides = vec![0; shape.len()];
        for (&axis, step) in order.iter().zip(steps) {
            strides[axis] = step;
        }
        Self::new(item, 0, shape, &strides)
    }

    /// With the offset that puts the element of the lowest address at byte 0.
    pub fn around(item: usize, shape: &[usize], strides: &[isize]) -> Result<Self> {
        let back = |(&count, &stride): (&usize, &isize)| match stride {
            ..0 => stride.unsigned_abs().checked_mul(count.saturating_sub(1)),
            _ => Some(0),
        };
        let mut steps = shape.iter().zip(strides).map(back);
        let offset = match shape.contains(&0) {
            true => Some(0),
            false => steps.try_fold(0usize, |sum, step| sum.checked_add(step?)),
        };
        // Without an offset no memory holds it, which `new` says.
        Self::new(item, offset.unwrap_or(usize::MAX), shape, strides)
    }

    /// Bytes of an element.
    pub fn item(&self) -> usize {
        self.item
    }

    /// Where element (0, 0, ...) is.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes from one element to the next along each axis.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The bytes from the first one of any element to the last.
    pub fn extent(&self) -> Range<usize> {
        self.extent.clone()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Bytes of all elements.
    pub fn size(&self) -> usize {
        self.len() * self.item
    }

    /// The elements `range` of the first axis, in the same memory.
    ///
    /// # Panics
    /// If there is no such range.
    pub fn rows(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.shape[0], "rows {range:?} of {:?}", self.shape);
        let mut rows = self.clone();
        rows.shape[0] = range.len();
        if !rows.is_empty() {
            rows.offset = rows.offset.wrapping_add_signed(rows.strides[0] * range.start as isize);
        }
        // A part of what could be computed before.
        rows.extent = extent(rows.item, rows.offset, &rows.shape, &rows.strides).unwrap_or(0..0);
        rows
    }

    /// `count` elements of `axis`, from its element `start` on, each `step` behind the one before, in the same memory: what numpy does for
    /// `array[start:stop:step]`. An error if the axis has not all of them.
    pub fn slice(&self, axis: usize, start: usize, step: isize, count: usize) -> Result<Self> {
        let Some(&length) = self.shape.get(axis) else {
            return Err(Error::invalid(format!("axis must be below {} (got {axis})", self.shape.len())));
        };
        let last = (count as isize).checked_sub(1).and_then(|steps| steps.checked_mul(step));
        let last = last.and_then(|reach| start.checked_add_signed(reach));
        if count > 0 && (start >= length || last.is_none_or(|last| last >= length)) {
            return Err(Error::invalid(format!(
                "axis {axis} has no {count} elements from {start} on in steps of {step} (it has {length})"
            )));
        }
        let (mut shape, mut strides) = (self.shape.clone(), self.strides.clone());
        shape[axis] = count;
        let mut offset = self.offset;
        if count > 0 && !self.is_empty() {
            offset = offset.wrapping_add_signed(strides[axis] * start as isize);
        }
        // Where there is no second element, the step has no meaning and may overflow.
        strides[axis] = if count > 1 { strides[axis].wrapping_mul(step) } else { self.item as isize };
        Self::new(self.item, offset, &shape, &strides)
    }

    /// The same order of elements of another size, from byte 0 on; of a dense layout.
    pub(super) fn resized(&self, item: usize) -> Result<Self> {
        debug_assert!(self.is_dense());
        if self.is_empty() || self.item == 0 {
            return Self::c_order(item, &self.shape);
        }
        let size = |bytes: usize| (bytes / self.item).checked_mul(item);
        let too_large = || Error::invalid(format!("no memory holds an array of shape {:?}", self.shape));
        let offset = size(self.offset - self.extent.start).ok_or_else(too_large)?;
        let stride = |(&stride, &count): (&isize, &usize)| match count {
            ..=1 => Some(item as isize),
            _ => (stride / self.item as isize).checked_mul(item as isize),
        };
        let strides = self.strides.iter().zip(&self.shape).map(stride).collect::<Option<Vec<_>>>();
        Self::new(item, offset, &self.shape, &strides.ok_or_else(too_large)?)
    }

    /// Every `step`th element of the first axis from the first on, or from the last on if it is negative.
    ///
    /// # Panics
    /// If `step` is 0, or there is no axis.
    pub fn every(&self, step: isize) -> Self {
        let mut every = self.clone();
        every.shape[0] = self.shape[0].div_ceil(step.unsigned_abs());
        if every.shape[0] > 1 {
            every.strides[0] *= step;
        }
        if step < 0 && !every.is_empty() {
            every.offset = self.offset.wrapping_add_signed(self.strides[0] * (self.shape[0] as isize - 1));
        }
        // A part of what could be computed before.
        every.extent = extent(every.item, every.offset, &every.shape, &every.strides).unwrap_or(0..0);
        every
    }

    /// The axes, those with the longest steps first. Of those that are equal, the earlier ones.
    fn by_step(&self) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..self.shape.len()).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(self.strides[axis].unsigned_abs()));
        axes
    }

    /// Whether all bytes of `extent` belong to elements, each to one.
    pub fn is_dense(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut step = self.item;
        for axis in self.by_step().into_iter().rev().filter(|&axis| self.shape[axis] > 1) {
            if self.strides[axis].unsigned_abs() != step {
                return false;
            }
            step *= self.shape[axis];
        }
        true
    }

    /// Whether the last axis varies first, and nothing lies between elements: found without allocating.
    pub fn is_c_order(&self) -> bool {
        let mut step = self.item;
        for (&count, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if count > 1 && stride != step as isize {
                return self.is_empty();
            }
            // No overflow: these are the bytes of some elements.
            step *= count.max(1);
        }
        true
    }

    /// A dense layout of the same elements, from byte 0 on, in the same order of axes; those of negative steps forward.
    pub fn packed(&self) -> Self {
        let mut strides = vec![0isize; self.shape.len()];
        let mut step = self.item;
        for axis in self.by_step().into_iter().rev() {
            strides[axis] = step as isize;
            step *= self.shape[axis].max(1);
        }
        let extent = if self.is_empty() { 0..0 } else { 0..step };
        Self { item: self.item, offset: 0, shape: self.shape.clone(), strides, extent }
    }

    /// The same elements in memory that begins with the first byte of `extent`.
    pub fn rebased(&self) -> Self {
        let mut layout = self.clone();
        if !layout.is_empty() {
            layout.offset -= self.extent.start;
        } else {
            layout.offset = 0;
        }
        layout.extent = 0..self.extent.len();
        layout
    }
}

/// Bytes from one element to the next in C order. Axes of no element have steps as if they had one.
pub fn c_strides(item: usize, shape: &[usize]) -> Result<Vec<isize>> {
    let mut strides = vec![0; shape.len()];
    let mut step = item;
    for (stride, &count) in strides.iter_mut().zip(shape).rev() {
        *stride = isize::try_from(step).unwrap_or(isize::MAX);
        step =
            step.checked_mul(count.max(1)).filter(|&step| step <= isize::MAX as usize).ok_or_else(|| {
                Error::invalid(format!(
                    "no memory holds an array of shape {shape:?} with items of {item} bytes"
                ))
            })?;
    }
    Ok(strides)
}

/// Every axis must occur once.
pub fn check_order(axes: usize, order: &[usize]) -> Result<()> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..axes) {
        return Ok(());
    }
    Err(Error::invalid(format!("axisorder must have each of the {axes} axes once (got {order:?})")))
}

/// The bytes between the first and the last that any element has; `None` if that is more than memory can have, or before its beginning.
fn extent(item: usize, offset: usize, shape: &[usize], strides: &[isize]) -> Option<Range<usize>> {
    // Also an array without elements must not have so many along its other axes that nobody can count them.
    shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n.max(1)))?.checked_mul(item.max(1))?;
    if shape.contains(&0) {
        return Some(0..0);
    }
    let (mut first, mut last) = (isize::try_from(offset).ok()?, isize::try_from(offset).ok()?);
    for (&count, &stride) in shape.iter().zip(strides) {
        let reach = stride.checked_mul(isize::try_from(count - 1).ok()?)?;
        if reach < 0 {
            first = first.checked_add(reach)?;
        } else {
            last = last.checked_add(reach)?;
        }
    }
    let end = last.checked_add(isize::try_from(item).ok()?)?;
    Some(usize::try_from(first).ok()?..usize::try_from(end).ok()?)
}

/// Copies all elements from one array to another of the same shape and item.
///
/// # Safety
/// From `from` on, the bytes that `source` tells can be read, and from `to` on those that `target` tells written; the two do not overlap, and no two
/// elements of `target` do.
pub unsafe fn copy(from: *const u8, source: &Layout, to: *mut u8, target: &Layout) {
    debug_assert_eq!((source.item, &source.shape), (target.item, &target.shape));
    if source.is_empty() {
        return;
    }
    // The axes with the longest steps outside; at the inside, what both have without gaps is one run.
    let mut axes: Vec<(usize, isize, isize)> = target
        .by_step()
        .into_iter()
        .map(|axis| (target.shape[axis], source.strides[axis], target.strides[axis]))
        .filter(|&(count, ..)| count > 1)
        .collect();
    let mut run = target.item;
    while let Some(&(count, near, far)) = axes.last()
        && near == run as isize
        && far == run as isize
    {
        run *= count;
        axes.pop();
    }
    // SAFETY: both are the places of element (0, 0, ...), within what the caller promises.
    let (from, to) = unsafe { (from.add(source.offset), to.add(target.offset)) };
    // SAFETY: the caller's promise, for all elements that these axes reach.
    unsafe { copy_axes(from, to, &axes, run) }
}

/// # Safety
/// All places that `axes` reach from `from` and `to` have `run` bytes, which can be read and written.
unsafe fn copy_axes(from: *const u8, to: *mut u8, axes: &[(usize, isize, isize)], run: usize) {
    let Some((&(count, near, far), inner)) = axes.split_first() else {
        // SAFETY: the caller's promise.
        unsafe { to.copy_from_nonoverlapping(from, run) };
        return;
    };
    if inner.is_empty()
        && let Some(copy_all) = copier_of_items(run)
    {
        // SAFETY: the caller's promise.
        return unsafe { copy_all(from, to, count, near, far) };
    }
    for i in 0..count as isize {
        // SAFETY: within what the axis reaches.
        unsafe { copy_axes(from.offset(i * near), to.offset(i * far), inner, run) };
    }
}

/// Copies so many items, whose distances are the last two numbers.
type CopyItems = unsafe fn(*const u8, *mut u8, usize, isize, isize);

/// The loop for items of so many bytes, if there is one of its own.
fn copier_of_items(item: usize) -> Option<CopyItems> {
    match item {
        1 => Some(copy_items::<1>),
        2 => Some(copy_items::<2>),
        4 => Some(copy_items::<4>),
        8 => Some(copy_items::<8>),
        16 => Some(copy_items::<16>),
        _ => None,
    }
}

/// Items of a size that is known when this is compiled: a load and a store each, without a call.
///
/// # Safety
/// As for [`copy_axes`], with `N` bytes at each place.
unsafe fn copy_items<const N: usize>(from: *const u8, to: *mut u8, count: usize, near: isize, far: isize) {
    for i in 0..count as isize {
        // SAFETY: the caller's promise; an array of bytes needs no alignment.
        unsafe { to.offset(i * far).cast::<[u8; N]>().write(from.offset(i * near).cast::<[u8; N]>().read()) };
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All elements in C order.
    pub fn elements(data: &[u8], layout: &Layout) -> Vec<u8> {
        let target = Layout::c_order(layout.item, &layout.shape).unwrap();
        let mut out = vec![0; target.size()];
        assert!(layout.extent.end <= data.len());
        // SAFETY: as just checked, and the target is a vector of its size.
        unsafe { copy(data.as_ptr(), layout, out.as_mut_ptr(), &target) };
        out
    }

    /// The same, element by element.
    fn slow_elements(data: &[u8], layout: &Layout) -> Vec<u8> {
        let mut out = Vec::new();
        let mut index = vec![0usize; layout.shape.len()];
        for _ in 0..layout.len() {
            let at = index
                .iter()
                .zip(&layout.strides)
                .fold(layout.offset as isize, |at, (&i, s)| at + i as isize * s);
            out.extend(&data[at as usize..][..layout.item]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < layout.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }

    /// A view of a C-ordered array: axes permuted, cut, stepped over, reversed, as slicing does.
    fn views() -> impl Strategy<Value = (Layout, usize)> {
        prop::sample::select(vec![1usize, 2, 4, 8, 16, 3]).prop_flat_map(|item| views_of(item, 1..4))
    }

    /// Views with items of so many bytes, and the bytes of the memory that they are in.
    pub fn views_of(item: usize, axes: std::ops::Range<usize>) -> impl Strategy<Value = (Layout, usize)> {
        let axis = (1usize..5, 1isize..3, any::<bool>(), any::<u8>());
        (Just(item), prop::collection::vec(axis, axes)).prop_map(|(item, axes)| {
            let full: Vec<usize> = axes.iter().map(|&(count, step, ..)| count * step as usize + 1).collect();
            let strides = c_strides(item, &full).unwrap();
            let mut order: Vec<usize> = (0..axes.len()).collect();
            order.sort_by_key(|&axis| axes[axis].3);
            let (mut offset, mut shape, mut steps) = (0isize, Vec::new(), Vec::new());
            for axis in order {
                let (count, step, reversed, _) = axes[axis];
                shape.push(count);
                if reversed {
                    offset += strides[axis] * step * (count as isize - 1);
                }
                steps.push(if reversed { -strides[axis] * step } else { strides[axis] * step });
            }
            let layout = Layout::new(item, offset as usize, &shape, &steps).unwrap();
            (layout, full.iter().product::<usize>() * item)
        })
    }

    proptest! {
        #[test]
        fn copies_and_packs_any_view((layout, size) in views()) {
            let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
            let expected = slow_elements(&data, &layout);
            prop_assert_eq!(&elements(&data, &layout), &expected);
            let packed = layout.packed();
            prop_assert!(packed.is_dense());
            prop_assert_eq!(packed.extent(), 0..layout.size());
            let mut memory = vec![0xee; packed.size()];
            // SAFETY: the data has all that the layout tells, and the memory is a vector of the packed size.
            unsafe { copy(data.as_ptr(), &layout, memory.as_mut_ptr(), &packed) };
            prop_assert_eq!(&elements(&memory, &packed), &expected);
            if layout.is_dense() {
                let part = &data[layout.extent()];
                prop_assert_eq!(part.len(), layout.size());
                prop_assert_eq!(elements(part, &layout.rebased()), expected);
            }
        }

        #[test]
        fn every_so_many_of_any_view((layout, size) in views(), step in prop::sample::select(vec![1isize, 2, 3, 9, -1, -2, -3, -9])) {
            let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
            let row = layout.size() / layout.shape()[0];
            let all = elements(&data, &layout);
            let rows: Vec<&[u8]> = all.chunks(row).collect();
            let expected: Vec<u8> = match step {
                1.. => rows.iter().step_by(step as usize).copied().flatten().copied().collect(),
                _ => rows.iter().rev().step_by(step.unsigned_abs()).copied().flatten().copied().collect(),
            };
            prop_assert_eq!(elements(&data, &layout.every(step)), expected);
        }

        #[test]
        fn rows_of_any_view((layout, size) in views(), cut in 0usize..5) {
            let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
            let cut = cut.min(layout.shape()[0]);
            let row = layout.size() / layout.shape()[0];
            let all = elements(&data, &layout);
            prop_assert_eq!(elements(&data, &layout.rows(0..cut)), &all[..cut * row]);
            prop_assert_eq!(elements(&data, &layout.rows(cut..layout.shape()[0])), &all[cut * row..]);
        }
    }

    #[test]
    fn slices_of_known_layouts() {
        let c = Layout::c_order(1, &[4, 3]).unwrap();
        let data: Vec<u8> = (0..12).collect();
        assert_eq!(elements(&data, &c.slice(0, 1, 2, 2).unwrap()), [3, 4, 5, 9, 10, 11]);
        assert_eq!(elements(&data, &c.slice(1, 2, -1, 3).unwrap())[..3], [2, 1, 0]);
        assert_eq!(elements(&data, &c.slice(1, 2, isize::MIN, 1).unwrap()), [2, 5, 8, 11]);
        assert!(c.slice(1, 3, 1, 0).unwrap().is_empty());
        for (axis, start, step, count) in [
            (2, 0, 1, 1),
            (1, 3, 1, 1),
            (1, 0, 2, 3),
            (1, 0, -1, 2),
            (1, 0, isize::MAX, 3),
            (0, 0, 1, usize::MAX),
        ] {
            assert!(c.slice(axis, start, step, count).is_err(), "{axis} {start} {step} {count}");
        }
    }

    #[test]
    fn known_layouts() {
        let c = Layout::c_order(4, &[4, 3]).unwrap();
        assert_eq!((c.strides(), c.extent(), c.is_dense()), (&[12, 4][..], 0..48, true));
        let f = Layout::ordered(4, &[4, 3], &[1, 0]).unwrap();
        assert_eq!((f.strides(), f.is_dense()), (&[4, 16][..], true));
        let reversed = Layout::new(4, 36, &[4, 3], &[-12, 4]).unwrap();
        assert_eq!((reversed.extent(), reversed.is_dense()), (0..48, true));
        assert!(c.is_c_order() && !f.is_c_order() && !reversed.is_c_order());
        let column = Layout::new(4, 4, &[4], &[12]).unwrap();
        assert_eq!((column.extent(), column.is_dense()), (4..44, false));
        assert!(!column.is_c_order() && Layout::new(4, 4, &[1], &[12]).unwrap().is_c_order());
        let around = Layout::around(4, &[4, 3], &[-12, 4]).unwrap();
        assert_eq!((around.offset(), around.extent()), (36, 0..48));
        assert_eq!(Layout::around(4, &[0, 3], &[-12, 4]).unwrap().offset(), 0);
        assert!(Layout::around(4, &[3, 3], &[isize::MIN, 4]).is_err());
        let nothing = Layout::new(4, 0, &[0, 3], &[0, 0]).unwrap();
        assert_eq!((nothing.size(), nothing.extent(), nothing.is_dense()), (0, 0..0, true));
        let scalar = Layout::c_order(8, &[]).unwrap();
        assert_eq!((scalar.len(), scalar.extent()), (1, 0..8));
    }

    #[test]
    fn what_no_memory_holds_is_refused() {
        for (item, offset, shape, strides) in [
            (4, 0, &[2][..], &[-4][..]),
            (4, 0, &[usize::MAX][..], &[4][..]),
            (4, usize::MAX, &[1][..], &[4][..]),
            (4, 0, &[2, 2][..], &[isize::MAX, isize::MAX][..]),
            (1, 0, &[0, usize::MAX, 2][..], &[0, 0, 0][..]),
            (4, 0, &[2][..], &[][..]),
            (1, 0, &[1; 65][..], &[0; 65][..]),
        ] {
            assert!(
                Layout::new(item, offset, shape, strides).is_err(),
                "{item} {offset} {shape:?} {strides:?}"
            );
        }
        assert!(Layout::c_order(1 << 32, &[1 << 31]).is_err());
        assert!(
            check_order(2, &[0, 0]).is_err()
                && check_order(2, &[0]).is_err()
                && check_order(2, &[1, 2]).is_err()
        );
    }
}
