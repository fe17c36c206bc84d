//! Where the chunks of a dataset are: the grid that they make, and a table of their places in the file.
//!
//! | file | what it is |
//! |---|---|
//! | `header.rs` | finds the B-tree of a dataset |
//! | `btree.rs` | reads it, in time proportional to the number of chunks; libhdf5 before 1.14 takes its square |
//!
//! A table does not change. Invariant: chunks are in ascending order of their numbers, each at most once; whether a place is within the file is asked when
//! the chunk is read, so that a wrong one is an error of that chunk.

mod btree;
mod header;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5::{Dataset, Library};

/// A way to read bytes of the file: as many of `size` as there are from `address` on; `None` for none at all.
pub trait Bytes {
    /// Addresses count from the superblock.
    fn read(&self, address: u64, size: usize) -> Option<Vec<u8>>;
}

/// How chunks divide a dataset: number 0 first, the last axis counting fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Elements of a chunk along each axis, at least 1.
    chunk: Vec<u64>,
    /// Chunks along each axis.
    count: Vec<u64>,
    all: u64,
}

impl Grid {
    /// The grid of a dataset of that shape.
    pub fn new(shape: &[u64], chunk: &[u64]) -> Result<Self> {
        let wrong = |what: String| Error::new(ErrorKind::Format, what);
        if chunk.len() != shape.len() || chunk.contains(&0) {
            return Err(wrong(format!("chunks must have a size along each axis (got {chunk:?})")));
        }
        let count: Vec<u64> = shape.iter().zip(chunk).map(|(all, chunk)| all.div_ceil(*chunk)).collect();
        let all = count.iter().try_fold(1u64, |all, &n| all.checked_mul(n));
        let all =
            all.ok_or_else(|| wrong(format!("a dataset of {shape:?} has too many chunks of {chunk:?}")))?;
        Ok(Self { chunk: chunk.to_vec(), count, all })
    }

    /// Axes.
    pub fn rank(&self) -> usize {
        self.chunk.len()
    }

    /// Chunks that there can be.
    pub fn count(&self) -> u64 {
        self.all
    }

    /// Elements of a chunk along each axis.
    pub fn chunk(&self) -> &[u64] {
        &self.chunk
    }

    /// Chunks that share their rows: neighbours in number.
    pub fn per_row(&self) -> u64 {
        self.count[1..].iter().product()
    }

    /// Whether a chunk has all elements of its rows.
    pub fn has_full_rows(&self, shape: &[u64]) -> bool {
        self.chunk[1..] == shape[1..]
    }

    /// The first element of a chunk, along each axis.
    pub fn first_of(&self, mut number: u64) -> Vec<u64> {
        let mut first = vec![0; self.rank()];
        for axis in (0..self.rank()).rev() {
            let count = self.count[axis].max(1);
            first[axis] = number % count * self.chunk[axis];
            number /= count;
        }
        first
    }

    /// The chunk that begins at an element; `None` if none does.
    pub fn number_of_first(&self, first: &[u64]) -> Option<u64> {
        if first.len() != self.rank() {
            return None;
        }
        let mut number = 0;
        for ((&first, &chunk), &count) in first.iter().zip(&self.chunk).zip(&self.count) {
            if first % chunk != 0 || first / chunk >= count {
                return None;
            }
            number = number * count + first / chunk;
        }
        Some(number)
    }
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// From the superblock.
    pub address: u64,
    /// Bytes in the file.
    pub size: u32,
    /// Bit `i`: filter `i` was left out.
    pub mask: u32,
}

/// Chunks of which the index does not tell where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The first.
    pub from: u64,
    /// The one behind the last.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// The places of all chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkTable {
    chunks: Vec<(u64, Chunk)>,
    lost: Vec<Lost>,
}

/// What the table says of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// It is there.
    At(Chunk),
    /// It was never written.
    Nowhere,
    /// The index is damaged.
    Lost(&'a Lost),
}

impl ChunkTable {
    fn from_unordered(mut chunks: Vec<(u64, Chunk)>, mut lost: Vec<Lost>) -> Self {
        chunks.sort_by_key(|(number, _)| *number);
        // Twice the same: nobody can tell which is right.
        for pair in chunks.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let number = pair[0].0;
            lost.push(Lost { from: number, to: number + 1, reason: "the index has it twice".to_owned() });
        }
        chunks.dedup_by_key(|(number, _)| *number);
        Self { chunks, lost }
    }

    /// Chunks of which the place is known.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Where a chunk is.
    pub fn find(&self, number: u64) -> Place<'_> {
        if let Some(lost) = self.lost.iter().find(|lost| lost.from <= number && number < lost.to) {
            return Place::Lost(lost);
        }
        // Most datasets have all their chunks: each is where its number says.
        let hint = usize::try_from(number).ok().and_then(|i| self.chunks.get(i));
        if let Some((_, chunk)) = hint.filter(|(found, _)| *found == number) {
            return Place::At(*chunk);
        }
        match self.chunks.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(i) => Place::At(self.chunks[i].1),
            Err(_) => Place::Nowhere,
        }
    }
}

/// Makes the table of a dataset of a file with the superblock at `base`. `None` if that takes libhdf5 for each chunk: an index of the newer file format, and a version before 1.14.
pub(super) fn table(
    library: &Library,
    dataset: &Dataset,
    file: &dyn Bytes,
    grid: &Grid,
    (base, file_size): (u64, u64),
) -> Result<Option<ChunkTable>> {
    match dataset.header(library).and_then(|address| header::chunk_index(file, address)) {
        Some(header::Root::Tree(None)) => return Ok(Some(ChunkTable::default())),
        Some(header::Root::Tree(Some(root))) => {
            let found = btree::walk(file, root, grid, file_size);
            return Ok(Some(ChunkTable::from_unordered(found.chunks, found.lost)));
        }
        Some(header::Root::Other) | None => {}
    }
    // Some versions count addresses from the start of the file here, some from the superblock.
    if base != 0 {
        return Ok(None);
    }
    let (mut chunks, mut outside) = (Vec::new(), 0u64);
    let can = dataset.each_chunk(library, grid.rank(), |first, mask, address, size| {
        match (grid.number_of_first(first), u32::try_from(size)) {
            (Some(number), Ok(size)) => chunks.push((number, Chunk { address, size, mask })),
            _ => outside += 1,
        }
    });
    match can {
        Ok(true) if outside == 0 => Ok(Some(ChunkTable::from_unordered(chunks, Vec::new()))),
        _ => Ok(None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub struct Memory(pub Vec<u8>);

    impl Bytes for Memory {
        fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
            let from = self.0.get(usize::try_from(address).ok()?..)?;
            Some(from[..size.min(from.len())].to_vec())
        }
    }

    #[test]
    fn a_grid_numbers_its_chunks() {
        let grid = Grid::new(&[35, 10, 3], &[10, 5, 3]).unwrap();
        assert_eq!((grid.rank(), grid.count(), grid.per_row()), (3, 8, 2));
        for number in 0..8 {
            assert_eq!(grid.number_of_first(&grid.first_of(number)), Some(number));
        }
        assert_eq!(grid.first_of(5), [20, 5, 0]);
        assert_eq!(grid.number_of_first(&[20, 6, 0]), None);
        assert_eq!(grid.number_of_first(&[40, 0, 0]), None);
        assert_eq!(grid.number_of_first(&[0, 0]), None);
        assert!(!grid.has_full_rows(&[35, 10, 3]));
        assert!(Grid::new(&[35, 10], &[10, 10]).unwrap().has_full_rows(&[35, 10]));
        assert!(Grid::new(&[u64::MAX, 4], &[1, 1]).is_err());
        assert!(Grid::new(&[4], &[0]).is_err());
        assert_eq!(Grid::new(&[0], &[4]).unwrap().count(), 0);
    }

    #[test]
    fn chunks_are_found_or_known_to_be_lost() {
        let chunk = |address| Chunk { address, size: 1, mask: 0 };
        let lost = vec![Lost { from: 20, to: 30, reason: String::new() }];
        let unordered = vec![(9, chunk(9)), (0, chunk(0)), (1, chunk(1)), (40, chunk(40)), (40, chunk(41))];
        let table = ChunkTable::from_unordered(unordered, lost);
        for number in [0, 1, 9] {
            assert_eq!(table.find(number), Place::At(chunk(number)));
        }
        assert_eq!(table.find(2), Place::Nowhere);
        assert!(matches!(table.find(29), Place::Lost(_)));
        assert_eq!(table.find(30), Place::Nowhere);
        assert!(matches!(table.find(40), Place::Lost(lost) if lost.reason.contains("twice")));
        assert_eq!((table.chunks.len(), table.lost.len()), (4, 2));
    }
}
