//! A chunk: frames that follow each other, and where in the stream they are.

use bytes::Bytes;

use super::array::Layout;

/// Frames that follow each other. Cloning shares the memory.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The index of the frame behind the last.
    pub index: u64,
    /// Where the elements are in `data`: the first axis is time.
    pub layout: Layout,
    /// The memory, which the layout lies within.
    pub data: Bytes,
}

impl Chunk {
    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.layout.shape()[0]
    }

    /// The index of the first frame.
    pub fn start(&self) -> u64 {
        self.index - self.frames() as u64
    }

    /// The frames from `from` to before `to`, counted within the chunk.
    ///
    /// # Panics
    /// If there are no such frames.
    pub fn part(&self, from: usize, to: usize) -> Self {
        let index = self.start() + to as u64;
        Self { index, layout: self.layout.rows(from..to), data: self.data.clone() }
    }
}
