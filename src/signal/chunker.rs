//! Chunks of other lengths: at least so many frames, for an output, or exactly so many, for an input.
//!
//! Frames are copied only where a chunk is made of several. Frames that do not follow each other are never in one chunk: where some are missing, what was
//! collected goes on as it is.

use bytes::Bytes;

use super::array::{self, Layout};
use super::chunk::Chunk;

/// How long chunks are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As they come.
    Any,
    /// At least so many frames.
    AtLeast(usize),
    /// Exactly so many frames, at least 1; fewer in front of a gap.
    Exactly(usize),
}

/// Collects frames.
#[derive(Debug)]
pub struct Chunker {
    length: Length,
    /// Frames that were collected, in C order.
    pending: Vec<u8>,
    /// Of a frame of `pending`: shape and bytes of an element.
    frame: (Vec<usize>, usize),
    /// The index behind the last of them.
    index: u64,
    frames: usize,
}

impl Chunker {
    /// Nothing collected yet.
    pub fn new(length: Length) -> Self {
        let length =
            if let Length::Exactly(frames) = length { Length::Exactly(frames.max(1)) } else { length };
        Self { length, pending: Vec::new(), frame: (Vec::new(), 1), index: 0, frames: 0 }
    }

    /// Frames that are collected.
    pub fn pending(&self) -> usize {
        self.frames
    }

    /// Whether it would give out a chunk of so many frames as it is.
    pub fn passes(&self, frames: usize) -> bool {
        self.frames == 0
            && match self.length {
                Length::Any => true,
                Length::AtLeast(least) => frames >= least,
                Length::Exactly(exact) => frames == exact,
            }
    }

    /// Takes a chunk; `out` gets those that are ready.
    pub fn push(&mut self, chunk: Chunk, out: &mut impl FnMut(Chunk)) {
        if self.frames > 0 && (chunk.start() != self.index || !self.fits(&chunk)) {
            self.flush(out);
        }
        match self.length {
            Length::Any => out(chunk),
            Length::AtLeast(least) if self.frames == 0 && chunk.frames() >= least => out(chunk),
            Length::AtLeast(least) => {
                self.collect(&chunk);
                if self.frames >= least {
                    self.flush(out);
                }
            }
            Length::Exactly(exact) => {
                // What was collected is completed first; then whole chunks are cut out of this one, where it is.
                let count = chunk.frames();
                let mut from = 0;
                if self.frames > 0 {
                    from = count.min(exact - self.frames);
                    self.collect(&chunk.part(0, from));
                    if self.frames == exact {
                        self.flush(out);
                    }
                }
                while count - from >= exact {
                    out(chunk.part(from, from + exact));
                    from += exact;
                }
                if from < count {
                    self.collect(&chunk.part(from, count));
                }
            }
        }
    }

    fn fits(&self, chunk: &Chunk) -> bool {
        let (shape, item) = &self.frame;
        chunk.layout.shape()[1..] == **shape && chunk.layout.item() == *item
    }

    /// Copies the frames of a chunk behind the others.
    fn collect(&mut self, chunk: &Chunk) {
        let Ok(target) = Layout::c_order(chunk.layout.item(), chunk.layout.shape()) else { return };
        let before = self.pending.len();
        self.pending.resize(before + target.size(), 0);
        // SAFETY: the chunk's layout lies within its data, and the target is as large as the part that was just made.
        unsafe {
            let to = self.pending.as_mut_ptr().add(before);
            array::copy(chunk.data.as_ptr(), &chunk.layout, to, &target);
        }
        self.frame = (chunk.layout.shape()[1..].to_vec(), chunk.layout.item());
        (self.index, self.frames) = (chunk.index, self.frames + chunk.frames());
    }

    /// Gives out what is collected, however little it is.
    pub fn flush(&mut self, out: &mut impl FnMut(Chunk)) {
        if self.frames == 0 {
            return;
        }
        let (shape, item) = &self.frame;
        let shape: Vec<usize> = [self.frames].iter().chain(shape).copied().collect();
        let layout = Layout::c_order(*item, &shape);
        let data = Bytes::from(std::mem::take(&mut self.pending));
        self.frames = 0;
        if let Ok(layout) = layout {
            out(Chunk { index: self.index, layout, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames of two elements that tell their index.
    fn chunk(start: u64, frames: usize) -> Chunk {
        let frame = |i: usize| [(start as usize + i) as u8, !(start as usize + i) as u8];
        let data: Vec<u8> = (0..frames).flat_map(frame).collect();
        let layout = Layout::c_order(1, &[frames, 2]).unwrap();
        Chunk { index: start + frames as u64, layout, data: data.into() }
    }

    /// Indices in a chunk, whose elements are checked.
    fn indices(chunk: &Chunk) -> std::ops::Range<u64> {
        let mut bytes = vec![0; chunk.layout.size()];
        let target = Layout::c_order(1, chunk.layout.shape()).unwrap();
        // SAFETY: the chunk's layout lies within its data, and the target is a vector of its size.
        unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, bytes.as_mut_ptr(), &target) };
        for (i, frame) in bytes.chunks(2).enumerate() {
            let index = (chunk.start() + i as u64) as u8;
            assert_eq!(frame, [index, !index]);
        }
        chunk.start()..chunk.index
    }

    fn run(length: Length, chunks: &[(u64, usize)]) -> Vec<std::ops::Range<u64>> {
        let mut chunker = Chunker::new(length);
        let mut found = Vec::new();
        let mut start = 0;
        for &(gap, frames) in chunks {
            start += gap;
            chunker.push(chunk(start, frames), &mut |chunk| found.push(indices(&chunk)));
            start += frames as u64;
        }
        chunker.flush(&mut |chunk| found.push(indices(&chunk)));
        found
    }

    #[test]
    fn lengths() {
        let sent = [(0, 3), (0, 4), (0, 9), (5, 2), (0, 1)];
        assert_eq!(run(Length::Any, &sent), [0..3, 3..7, 7..16, 21..23, 23..24]);
        assert_eq!(run(Length::AtLeast(5), &sent), [0..7, 7..16, 21..24]);
        assert_eq!(run(Length::Exactly(5), &sent), [0..5, 5..10, 10..15, 15..16, 21..24]);
        assert_eq!(run(Length::Exactly(1), &[(0, 2)]), [0..1, 1..2]);
    }

    #[test]
    fn a_chunk_that_is_long_enough_is_not_copied() {
        let sent = chunk(0, 10);
        let mut found = Vec::new();
        Chunker::new(Length::Exactly(5)).push(sent.clone(), &mut |chunk| found.push(chunk));
        Chunker::new(Length::AtLeast(5)).push(sent.clone(), &mut |chunk| found.push(chunk));
        assert!(found.len() == 3 && found.iter().all(|chunk| chunk.data.as_ptr() == sent.data.as_ptr()));
    }

    proptest! {
        /// Every frame once, in order; lengths as asked for, but in front of a gap.
        #[test]
        fn any_lengths(
            sent in prop::collection::vec((prop_oneof![3 => Just(0u64), 1 => 1u64..5], 1usize..20), 0..20),
            length in prop_oneof![
                Just(Length::Any),
                (1usize..12).prop_map(Length::AtLeast),
                (1usize..12).prop_map(Length::Exactly),
            ],
        ) {
            let found = run(length, &sent);
            let mut start = 0;
            let expected: Vec<u64> = sent.iter().flat_map(|&(gap, frames)| {
                let first = start + gap;
                start = first + frames as u64;
                first..start
            }).collect();
            prop_assert_eq!(found.iter().cloned().flatten().collect::<Vec<_>>(), expected);
            for (i, range) in found.iter().enumerate() {
                let frames = (range.end - range.start) as usize;
                // The last one was flushed; before a gap they are as they are.
                let is_free = found.get(i + 1).is_none_or(|next| next.start != range.end);
                match length {
                    Length::Any => {}
                    Length::AtLeast(least) => prop_assert!(is_free || frames >= least),
                    Length::Exactly(exact) => prop_assert!(frames == exact || is_free && frames < exact),
                }
            }
        }
    }
}
