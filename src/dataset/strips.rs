//! Moving elements from a chunk, which is a box of a dataset, to rows of the dataset, and columns out of records on the way.
//!
//! Pure functions. Invariant: a [`Column`] lies within its element.

use std::ops::Range;

/// The bytes of each element that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Bytes before them in the element.
    pub offset: usize,
    /// So many.
    pub size: usize,
    /// Bytes of the element.
    pub element: usize,
}

impl Column {
    /// Whole elements.
    pub fn whole(element: usize) -> Self {
        Self { offset: 0, size: element, element }
    }

    /// Whether elements are wanted whole.
    pub fn is_whole(self) -> bool {
        self.size == self.element
    }

    /// Copies the column of all elements of `from`, of which there are as many as `to` has space for.
    pub fn copy(self, from: &[u8], to: &mut [u8]) {
        match self.size {
            _ if self.is_whole() => to.copy_from_slice(from),
            1 => self.gather::<1>(from, to),
            2 => self.gather::<2>(from, to),
            4 => self.gather::<4>(from, to),
            8 => self.gather::<8>(from, to),
            16 => self.gather::<16>(from, to),
            size => {
                for (element, to) in from.chunks_exact(self.element).zip(to.chunks_exact_mut(size)) {
                    to.copy_from_slice(&element[self.offset..][..size]);
                }
            }
        }
    }

    fn gather<const N: usize>(self, from: &[u8], to: &mut [u8]) {
        for (element, to) in from.chunks_exact(self.element).zip(to.as_chunks_mut::<N>().0) {
            *to = *element[self.offset..].first_chunk().expect("a column lies within its element");
        }
    }

    /// Fills `to` with the column of one element.
    pub fn fill(self, element: &[u8], to: &mut [u8]) {
        let value = &element[self.offset..][..self.size];
        if value.iter().all(|byte| *byte == value[0]) {
            to.fill(value[0]);
            return;
        }
        to.chunks_exact_mut(self.size).for_each(|to| to.copy_from_slice(value));
    }
}

/// Where elements come from: a chunk, or one element for all of them.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// All elements of a chunk.
    Chunk(&'a [u8]),
    /// The same for all.
    Fill(&'a [u8]),
}

/// Copies those elements of a chunk that are in `rows` of the dataset to `to`, which has all elements of these rows.
pub fn copy_rows(
    source: Source<'_>,
    column: Column,
    chunk: &[u64],
    first: &[u64],
    shape: &[u64],
    rows: Range<u64>,
    to: &mut [u8],
) {
    // Along each axis: the elements that the chunk and the rows have both, and where they are in either.
    let rank = shape.len();
    let mut count = vec![0usize; rank];
    for axis in 0..rank {
        let (from, end) = if axis == 0 { (rows.start, rows.end.min(shape[0])) } else { (0, shape[axis]) };
        let (low, high) = (first[axis].max(from), (first[axis] + chunk[axis]).min(end));
        if low >= high {
            return;
        }
        count[axis] = (high - low) as usize;
    }
    let strides = |sizes: &[u64]| {
        let mut strides = vec![1usize; rank];
        for axis in (1..rank).rev() {
            strides[axis - 1] = strides[axis] * sizes[axis] as usize;
        }
        strides
    };
    let (from_strides, to_strides) = (strides(chunk), strides(shape));
    let mut from_at = rows.start.saturating_sub(first[0]) as usize * from_strides[0];
    let mut to_at = first[0].saturating_sub(rows.start) as usize * to_strides[0];
    to_at += (1..rank).map(|axis| first[axis] as usize * to_strides[axis]).sum::<usize>();
    // Axes that both have whole make one strip with the one before.
    let mut inner = rank - 1;
    let mut strip = count[inner];
    while inner > 0 && chunk[inner] == shape[inner] {
        inner -= 1;
        strip *= count[inner];
    }
    // The axes before it count like an odometer.
    let mut index = vec![0usize; inner];
    loop {
        let to = &mut to[to_at * column.size..][..strip * column.size];
        match source {
            Source::Chunk(from) => {
                column.copy(&from[from_at * column.element..][..strip * column.element], to)
            }
            Source::Fill(element) => column.fill(element, to),
        }
        let mut axis = inner;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            from_at += from_strides[axis];
            to_at += to_strides[axis];
            if index[axis] < count[axis] {
                break;
            }
            from_at -= index[axis] * from_strides[axis];
            to_at -= index[axis] * to_strides[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each element, of 3 bytes, holds its own place in the dataset.
    fn value(shape: &[u64], at: &[u64]) -> [u8; 3] {
        let flat = at.iter().zip(shape).fold(0, |flat, (at, n)| flat * n + at) as u16;
        [flat as u8, (flat >> 8) as u8, 0xee]
    }

    fn all(sizes: &[u64]) -> Vec<Vec<u64>> {
        sizes.iter().fold(vec![vec![]], |all, &n| {
            all.iter().flat_map(|at| (0..n).map(move |i| [&at[..], &[i]].concat())).collect()
        })
    }

    fn check(shape: &[u64], chunk: &[u64], rows: Range<u64>, column: Column) {
        let row: u64 = shape[1..].iter().product();
        let mut to = vec![0xaa; ((rows.end - rows.start) * row) as usize * column.size];
        let grid = crate::dataset::index::Grid::new(shape, chunk).unwrap();
        for number in 0..grid.count() {
            let first = grid.first_of(number);
            let data: Vec<u8> = all(chunk)
                .iter()
                .flat_map(|at| {
                    let at: Vec<u64> = at.iter().zip(&first).map(|(a, b)| a + b).collect();
                    let inside = at.iter().zip(shape).all(|(at, n)| at < n);
                    if inside { value(shape, &at) } else { [0xdd; 3] }
                })
                .collect();
            copy_rows(Source::Chunk(&data), column, chunk, &first, shape, rows.clone(), &mut to);
        }
        let expected: Vec<u8> = all(shape)
            .iter()
            .filter(|at| rows.contains(&at[0]))
            .flat_map(|at| value(shape, at)[column.offset..][..column.size].to_vec())
            .collect();
        assert!(to == expected, "{shape:?} {chunk:?} {rows:?} {column:?}");
    }

    #[test]
    fn rows_of_any_rank_are_put_together_from_chunks() {
        let columns = [
            Column::whole(3),
            Column { offset: 1, size: 1, element: 3 },
            Column { offset: 1, size: 2, element: 3 },
        ];
        for (shape, chunk) in [
            (&[10][..], &[3][..]),
            (&[10, 4], &[3, 4]),
            (&[10, 7], &[4, 3]),
            (&[5, 4, 6], &[2, 3, 6]),
            (&[5, 4, 6], &[2, 4, 4]),
            (&[5, 4, 6], &[7, 1, 9]),
            (&[3, 2, 3, 2], &[2, 2, 2, 1]),
        ] {
            for column in columns {
                for start in 0..shape[0] {
                    for end in start + 1..=shape[0] {
                        check(shape, chunk, start..end, column);
                    }
                }
            }
        }
    }

    #[test]
    fn elements_that_never_were_written_are_filled() {
        let mut to = [0; 8];
        let column = Column { offset: 1, size: 2, element: 3 };
        copy_rows(Source::Fill(&[9, 1, 2]), column, &[2], &[2], &[5], 1..5, &mut to);
        assert_eq!(to, [0, 0, 1, 2, 1, 2, 0, 0]);
        column.fill(&[9, 7, 7], &mut to);
        assert_eq!(to, [7; 8]);
    }
}
