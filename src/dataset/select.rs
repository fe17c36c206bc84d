//! What of a dataset is wanted: rows, and parts of rows, by index, slice and list, as Python has them.
//!
//! Indexes that are negative count from the end; slices are clipped at both ends and may go backwards; an index out of range is an error. Plain values; the
//! reading of them uses a [`Reader`].

use super::reader::Reader;
use crate::error::{Error, Result};

/// What is wanted along one axis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Axis {
    /// Everything.
    #[default]
    All,
    /// One element; the result has no such axis.
    Index(i64),
    /// Every `step`-th from `start` to before `stop`; `None`: from, or to, the end that the step's sign says.
    Slice {
        /// The first.
        start: Option<i64>,
        /// The one that is not wanted any more.
        stop: Option<i64>,
        /// Not 0.
        step: i64,
    },
    /// These, in this order, as often as they are named.
    List(Vec<i64>),
}

impl Axis {
    /// The elements of an axis of `n`, number `axis`.
    fn resolve(&self, axis: usize, n: u64) -> Result<Picks> {
        let signed = i64::try_from(n).unwrap_or(i64::MAX);
        let index = |i: i64| {
            let at = if i < 0 { i.checked_add(signed) } else { Some(i) };
            at.filter(|at| (0..signed).contains(at)).map(|at| at as u64).ok_or_else(|| {
                let rule = format!("an index of axis {axis} must be within -{n} to {}", signed - 1);
                Error::invalid(format!("{rule} (got {i})"))
            })
        };
        Ok(match self {
            Self::All => Picks::Steps { first: 0, step: 1, count: n },
            Self::Index(i) => Picks::Steps { first: index(*i)?, step: 1, count: 1 },
            Self::List(list) => Picks::List(list.iter().map(|&i| index(i)).collect::<Result<_>>()?),
            Self::Slice { step: 0, .. } => return Err(Error::invalid("step must not be 0 (got 0)")),
            Self::Slice { start, stop, step } => {
                let (low, high) = if *step > 0 { (0, signed) } else { (-1, signed - 1) };
                let clip = |i: i64| if i < 0 { i.saturating_add(signed) } else { i }.clamp(low, high);
                let (default_start, default_stop) = if *step > 0 { (low, high) } else { (high, low) };
                let (start, stop) = (start.map_or(default_start, clip), stop.map_or(default_stop, clip));
                let span = if *step > 0 { stop - start } else { start - stop };
                let count = if span > 0 { (span as u64).div_ceil(step.unsigned_abs()) } else { 0 };
                Picks::Steps { first: start.max(0) as u64, step: *step, count }
            }
        })
    }
}

/// Elements of an axis, all of which there are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Picks {
    Steps { first: u64, step: i64, count: u64 },
    List(Vec<u64>),
}

impl Picks {
    fn count(&self) -> u64 {
        match self {
            Self::Steps { count, .. } => *count,
            Self::List(list) => list.len() as u64,
        }
    }

    /// The element number `i`.
    fn get(&self, i: u64) -> u64 {
        match self {
            // The product is within the axis, as `i` is less than `count`.
            Self::Steps { first, step, .. } => first.wrapping_add_signed(step.wrapping_mul(i as i64)),
            Self::List(list) => list[i as usize],
        }
    }

    /// How many elements from number `i` on follow each other in the dataset as well.
    fn run(&self, i: u64) -> u64 {
        match self {
            Self::Steps { step: 1, count, .. } => count - i,
            Self::Steps { .. } => 1,
            Self::List(list) => {
                let rest = &list[i as usize..];
                1 + rest.windows(2).take_while(|pair| pair[1] == pair[0] + 1).count() as u64
            }
        }
    }

    fn is_all(&self, n: u64) -> bool {
        matches!(self, Self::Steps { first: 0, step: 1, count } if *count == n)
    }
}

/// What is wanted of a dataset: along each axis, the rows first; axes that are not named are wanted whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// No more than the dataset has axes.
    pub axes: Vec<Axis>,
}

/// A selection of one dataset.
struct Resolved {
    picks: Vec<Picks>,
    shape: Vec<u64>,
}

impl Selection {
    fn resolve(&self, shape: &[u64]) -> Result<Resolved> {
        if self.axes.len() > shape.len() {
            let rule = format!("a selection must have at most {} axes", shape.len());
            return Err(Error::invalid(format!("{rule} (got {})", self.axes.len())));
        }
        let (mut picks, mut left) = (Vec::new(), Vec::new());
        for (axis, &n) in shape.iter().enumerate() {
            let wanted = self.axes.get(axis).unwrap_or(&Axis::All);
            let pick = wanted.resolve(axis, n)?;
            if !matches!(wanted, Axis::Index(_)) {
                left.push(pick.count());
            }
            picks.push(pick);
        }
        Ok(Resolved { picks, shape: left })
    }

    /// The shape of what is selected of a dataset of that shape.
    ///
    /// # Errors
    /// `Invalid`: an index is out of range, a step is 0, or there are too many axes.
    pub fn shape(&self, shape: &[u64]) -> Result<Vec<u64>> {
        Ok(self.resolve(shape)?.shape)
    }
}

/// Bytes of rows that are read at a time to take parts out of them.
const PIECE: usize = 1 << 20;

impl Reader {
    /// Reads what is selected to `to`, and returns its shape. `to` may be larger; what is behind stays as it is.
    ///
    /// # Errors
    /// `Invalid`: the selection is out of range, or larger than `to`. Otherwise as [`read`](Reader::read).
    pub fn select(&mut self, selection: &Selection, to: &mut [u8]) -> Result<Vec<u64>> {
        let dataset = self.dataset().clone();
        let (shape, element) = (dataset.shape(), self.element_size());
        let Resolved { picks, shape: wanted } = selection.resolve(shape)?;
        let size = picks.iter().try_fold(element as u64, |size, pick| size.checked_mul(pick.count()));
        let fits = size.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= to.len());
        let Some(size) = fits else {
            let rule = format!("memory for {wanted:?} elements must have {} bytes", size.unwrap_or(u64::MAX));
            return Err(Error::invalid(format!("{rule} (got {})", to.len())));
        };
        if size == 0 {
            return Ok(wanted);
        }
        let to = &mut to[..size];
        let (rows, inner) = (&picks[0], &picks[1..]);
        let row = self.row_size();
        let whole = inner.iter().zip(&shape[1..]).all(|(pick, &n)| pick.is_all(n));
        let part = size / rows.count() as usize;
        let most = if whole { u64::MAX } else { (PIECE / row).max(1) as u64 };
        let (mut i, mut at) = (0, 0);
        let mut memory = Vec::new();
        while i < rows.count() {
            let count = rows.run(i).min(most);
            let (first, size) = (rows.get(i), count as usize * part);
            let to = &mut to[at..at + size];
            if whole {
                self.read(first..first + count, to)?;
            } else {
                super::memory::resize(&mut memory, count as usize * row)?;
                self.read(first..first + count, &mut memory)?;
                for (row, to) in memory.chunks_exact(row).zip(to.chunks_exact_mut(part)) {
                    let mut out = to;
                    gather(inner, &shape[1..], element, row, &mut out);
                }
            }
            (i, at) = (i + count, at + size);
        }
        Ok(wanted)
    }
}

/// Copies the picks of one row to `out`, and moves `out` behind them.
fn gather(picks: &[Picks], shape: &[u64], element: usize, from: &[u8], out: &mut &mut [u8]) {
    let (pick, inner) = match picks.split_first() {
        // The rest is wanted whole.
        None => return copy(from, out),
        Some(_) if picks.iter().zip(shape).all(|(pick, &n)| pick.is_all(n)) => return copy(from, out),
        Some(split) => split,
    };
    let size = shape[1..].iter().product::<u64>() as usize * element;
    let whole = inner.iter().zip(&shape[1..]).all(|(pick, &n)| pick.is_all(n));
    let mut i = 0;
    while i < pick.count() {
        let count = if whole { pick.run(i) } else { 1 };
        let part = &from[pick.get(i) as usize * size..][..count as usize * size];
        if whole {
            copy(part, out);
        } else {
            gather(inner, &shape[1..], element, part, out);
        }
        i += count;
    }
}

fn copy(from: &[u8], out: &mut &mut [u8]) {
    let (to, rest) = std::mem::take(out).split_at_mut(from.len());
    to.copy_from_slice(from);
    *out = rest;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(start: Option<i64>, stop: Option<i64>, step: i64) -> Axis {
        Axis::Slice { start, stop, step }
    }

    fn picked(axis: &Axis, n: u64) -> Vec<u64> {
        let picks = axis.resolve(0, n).unwrap();
        (0..picks.count()).map(|i| picks.get(i)).collect()
    }

    #[test]
    fn slices_are_those_of_python() {
        assert_eq!(picked(&Axis::All, 3), [0, 1, 2]);
        assert_eq!(picked(&slice(Some(1), Some(-1), 2), 6), [1, 3]);
        assert_eq!(picked(&slice(None, None, -1), 3), [2, 1, 0]);
        assert_eq!(picked(&slice(Some(4), Some(0), -2), 6), [4, 2]);
        assert_eq!(picked(&slice(Some(-100), Some(100), 4), 6), [0, 4]);
        assert_eq!(picked(&slice(Some(100), None, -3), 6), [5, 2]);
        assert!(picked(&slice(Some(2), Some(2), 1), 6).is_empty());
        assert!(picked(&slice(Some(3), Some(1), 1), 6).is_empty());
        assert_eq!(picked(&slice(None, None, i64::MIN), 6), [5]);
        assert_eq!(picked(&slice(Some(i64::MIN), Some(i64::MAX), i64::MAX), 6), [0]);
        assert!(picked(&slice(None, None, -1), 0).is_empty());
        assert_eq!(picked(&Axis::List(vec![3, -1, 3]), 6), [3, 5, 3]);
        assert_eq!(picked(&Axis::Index(-6), 6), [0]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let says = |axis: Axis, words: &str| {
            let error = Selection { axes: vec![Axis::All, axis] }.shape(&[9, 6]).unwrap_err();
            assert!(error.message().contains(words), "{error}");
        };
        says(Axis::Index(6), "an index of axis 1 must be within -6 to 5 (got 6)");
        says(Axis::Index(i64::MIN), "(got -9223372036854775808)");
        says(Axis::List(vec![0, -7]), "(got -7)");
        says(slice(None, None, 0), "step must not be 0");
        let error = Selection { axes: vec![Axis::All; 3] }.shape(&[9, 6]).unwrap_err();
        assert!(error.message().contains("at most 2 axes (got 3)"), "{error}");
        let axes = vec![Axis::Index(2), slice(None, None, 4)];
        assert_eq!(Selection { axes }.shape(&[9, 6, 5]).unwrap(), [2, 5]);
    }

    #[test]
    fn parts_of_a_row_are_gathered() {
        let shape = [4, 3, 5];
        let row: Vec<u8> = (0..60).flat_map(|i| [i, 0xee]).collect();
        let axes = [
            Axis::All,
            Axis::Index(1),
            slice(None, None, -2),
            slice(Some(1), Some(3), 1),
            Axis::List(vec![2, 0, 1]),
            Axis::List(vec![1, 2]),
        ];
        for a in &axes {
            for b in &axes {
                for c in &axes {
                    let picks: Vec<Picks> =
                        [a, b, c].iter().zip(shape).map(|(axis, n)| axis.resolve(0, n).unwrap()).collect();
                    let mut expected = Vec::new();
                    for i in picked(a, 4) {
                        for j in picked(b, 3) {
                            expected
                                .extend(picked(c, 5).iter().flat_map(|k| [(i * 15 + j * 5 + k) as u8, 0xee]));
                        }
                    }
                    let mut found = vec![0; expected.len()];
                    let mut out = &mut found[..];
                    gather(&picks, &shape, 2, &row, &mut out);
                    assert!(out.is_empty());
                    assert_eq!(found, expected, "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}
