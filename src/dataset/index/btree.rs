//! The B-tree of version 1, which most files have their chunks in.
//!
//! A node: `TREE`, type 1, level, number of children, both neighbours; then keys and children in turn, one key more than children. A key: size of
//! the chunk, filter mask, and the first element of the chunk along each axis, and one axis more, which is 0. Keys grow in the order of the chunks.
//!
//! Nothing of the file is trusted: what a node that cannot be read or contradicts itself should have told is noted as [`Lost`], and chunks there
//! are errors, not empty. Work and memory are bounded by the size of the file.

use super::header::u64_at;
use super::{Bytes, Chunk, Grid, Lost};

const HEAD: usize = 24;
/// Children that a node usually has, and no more, so that one read gets it all.
const USUAL: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Number in the grid and place, in ascending order of the numbers.
    pub chunks: Vec<(u64, Chunk)>,
    /// Where nothing can be said of chunks.
    pub lost: Vec<Lost>,
}

/// Walks the tree at `root`. `file_size` bounds what is read.
pub fn walk(file: &dyn Bytes, root: u64, grid: &Grid, file_size: u64) -> Found {
    let mut walk = Walk {
        file,
        grid,
        key: 8 + 8 * (grid.rank() + 1),
        // A node is in the file once.
        budget: file_size,
        found: Found::default(),
    };
    walk.node(root, None, 0, grid.count());
    walk.found
}

struct Walk<'a> {
    file: &'a dyn Bytes,
    grid: &'a Grid,
    /// Bytes of a key.
    key: usize,
    /// Bytes of nodes that may still be read.
    budget: u64,
    found: Found,
}

impl Walk<'_> {
    /// Takes the node at `address`, of chunks `from` (inclusive) to `to` (exclusive); its level is `level` where that is known.
    fn node(&mut self, address: u64, level: Option<u8>, from: u64, to: u64) {
        if let Err(reason) = self.try_node(address, level, from, to) {
            self.found.lost.push(Lost { from, to, reason: format!("the index at byte {address}: {reason}") });
        }
    }

    fn try_node(&mut self, address: u64, level: Option<u8>, from: u64, to: u64) -> Result<(), &'static str> {
        const SHORT: &str = "it ends too early";
        let entry = self.key + 8;
        let mut node = self.file.read(address, HEAD + USUAL * entry + self.key).ok_or(SHORT)?;
        if node.len() < HEAD || !node.starts_with(b"TREE\x01") {
            return Err("it is no node of a B-tree of chunks");
        }
        let (own_level, count) = (node[5], usize::from(u16::from_le_bytes([node[6], node[7]])));
        if level.is_some_and(|level| level != own_level) {
            return Err("it is of another level than its parent tells");
        }
        let size = HEAD + count * entry + self.key;
        self.budget = self.budget.checked_sub(size as u64).ok_or("the tree is larger than the file")?;
        if node.len() < size {
            node = self.file.read(address, size).filter(|node| node.len() >= size).ok_or(SHORT)?;
        }
        // The keys first: a node that contradicts itself tells nothing.
        let mut numbers = Vec::with_capacity(count);
        for i in 0..count {
            let number = self
                .number(&node[HEAD + i * entry..][..self.key])
                .ok_or("a key is no chunk of the dataset")?;
            if number < from || number >= to || numbers.last().is_some_and(|&last| number <= last) {
                return Err("its keys are not in order");
            }
            numbers.push(number);
        }
        for (i, &number) in numbers.iter().enumerate() {
            let key = &node[HEAD + i * entry..][..entry];
            let child = u64_at(key, self.key).ok_or(SHORT)?;
            if own_level > 0 {
                let end = numbers.get(i + 1).copied().unwrap_or(to);
                self.node(child, Some(own_level - 1), number, end);
            } else {
                let part = |at| u32::from_le_bytes(std::array::from_fn(|i| key[at + i]));
                self.found.chunks.push((number, Chunk { address: child, size: part(0), mask: part(4) }));
            }
        }
        Ok(())
    }

    /// The number of the chunk that a key stands for.
    fn number(&self, key: &[u8]) -> Option<u64> {
        let first: Vec<u64> = (0..self.grid.rank()).map_while(|axis| u64_at(key, 8 + 8 * axis)).collect();
        self.grid.number_of_first(&first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::index::tests::Memory;

    fn key(size: u32, mask: u32, first: [u64; 2]) -> Vec<u8> {
        let mut key = [size.to_le_bytes(), mask.to_le_bytes()].concat();
        first.iter().chain([&0]).for_each(|n| key.extend(n.to_le_bytes()));
        key
    }

    fn node(level: u8, entries: &[(Vec<u8>, u64)]) -> Vec<u8> {
        let mut node =
            [b"TREE\x01", &[level][..], &(entries.len() as u16).to_le_bytes(), &[0xff; 16]].concat();
        for (key, child) in entries {
            node.extend(key);
            node.extend(child.to_le_bytes());
        }
        node.extend(key(0, 0, [0, 0]));
        node
    }

    /// 4 x 2 chunks of 10 x 5 elements: a root at 0, leaves at 200 and 400.
    fn tree() -> (Vec<u8>, Grid) {
        let mut file = node(1, &[(key(7, 0, [0, 0]), 200), (key(9, 0, [20, 5]), 400)]);
        file.resize(200, 0);
        file.extend(node(0, &[(key(7, 0, [0, 0]), 1000), (key(8, 2, [10, 5]), 2000)]));
        file.resize(400, 0);
        file.extend(node(0, &[(key(9, 0, [20, 5]), 3000)]));
        (file, Grid::new(&[35, 10], &[10, 5]).unwrap())
    }

    fn walked(file: Vec<u8>, grid: &Grid) -> Found {
        let size = file.len() as u64;
        walk(&Memory(file), 0, grid, size)
    }

    #[test]
    fn chunks_are_found_by_their_number() {
        let (file, grid) = tree();
        let found = walked(file, &grid);
        let chunk = |address, size, mask| Chunk { address, size, mask };
        assert_eq!(found.chunks, [(0, chunk(1000, 7, 0)), (3, chunk(2000, 8, 2)), (5, chunk(3000, 9, 0))]);
        assert!(found.lost.is_empty());
    }

    #[test]
    fn a_damaged_leaf_loses_its_own_chunks_only() {
        for (at, value) in
            [(400, b'X'), (405, 1), (400 + HEAD + 8, 21), (400 + HEAD + 8, 0), (401 + HEAD + 8, 99)]
        {
            let (mut file, grid) = tree();
            file[at] = value;
            let found = walked(file, &grid);
            assert_eq!(found.chunks.len(), 2);
            assert_eq!((found.lost[0].from, found.lost[0].to), (5, 8), "{at}");
        }
        let (file, grid) = tree();
        let found = walked(file[..430].to_vec(), &grid);
        assert_eq!((found.chunks.len(), found.lost.len()), (2, 1));
    }

    #[test]
    fn a_tree_that_contains_itself_ends() {
        let (mut file, grid) = tree();
        file[HEAD + 32..][..8].fill(0);
        let found = walked(file, &grid);
        assert_eq!((found.lost[0].from, found.lost[0].to), (0, 5));
        assert!(found.lost[0].reason.contains("another level"), "{}", found.lost[0].reason);
    }
}
