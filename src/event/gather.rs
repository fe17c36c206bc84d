//! What is to be written next, as few stretches of memory as possible: packets where they lie, and bytes that were made for the file.

use std::io::IoSlice;
use std::ops::Range;

use super::batch::{Packet, Run};
use super::segment::Piece;

/// Stretches of memory, in order.
pub struct Gather<'a> {
    stretches: Vec<Stretch<'a>>,
    /// What was made for the file.
    made: Vec<u8>,
    bytes: u64,
}

enum Stretch<'a> {
    Packets(&'a Piece, Range<usize>),
    /// Of `made`.
    Made(Range<usize>),
}

impl<'a> Gather<'a> {
    /// Nothing yet; `memory`, as of [`into_memory`](Self::into_memory), is for what is made.
    pub fn new(memory: Vec<u8>) -> Self {
        Self { stretches: Vec::new(), made: memory, bytes: 0 }
    }

    /// The memory of what was made, for the next one.
    pub fn into_memory(mut self) -> Vec<u8> {
        self.made.clear();
        self.made
    }

    /// Adds a packet, which stays where it is.
    #[inline]
    pub fn push(&mut self, packet: &Packet<'a>) {
        self.push_range(packet.piece, &packet.range);
    }

    /// Adds packets, which stay where they are.
    pub fn push_run(&mut self, run: &Run<'a>) {
        self.push_range(run.piece, &run.range);
    }

    #[inline]
    fn push_range(&mut self, piece: &'a Piece, range: &Range<usize>) {
        self.bytes += range.len() as u64;
        if let Some(Stretch::Packets(last_piece, last)) = self.stretches.last_mut()
            && std::ptr::eq(*last_piece, piece)
            && last.end == range.start
        {
            last.end = range.end;
        } else {
            self.stretches.push(Stretch::Packets(piece, range.clone()));
        }
    }

    /// Adds bytes, which are copied.
    #[inline]
    pub fn push_copy(&mut self, bytes: &[u8]) {
        self.made.extend_from_slice(bytes);
        self.close_made();
    }

    /// Adds what `make` appends to its argument.
    pub fn push_made<T>(&mut self, make: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = make(&mut self.made);
        self.close_made();
        result
    }

    /// All that was made is in a stretch.
    #[inline]
    fn close_made(&mut self) {
        let end = self.made.len();
        if let Some(Stretch::Made(range)) = self.stretches.last_mut() {
            self.bytes += (end - range.end) as u64;
            range.end = end;
            return;
        }
        let start = self.stretches.iter().rev().find_map(|stretch| match stretch {
            Stretch::Made(range) => Some(range.end),
            Stretch::Packets(..) => None,
        });
        let start = start.unwrap_or(0);
        self.bytes += (end - start) as u64;
        self.stretches.push(Stretch::Made(start..end));
    }

    /// Bytes of all stretches.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that were made or copied.
    pub fn made(&self) -> usize {
        self.made.len()
    }

    /// The stretches, as writev wants them.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let slice = |stretch: &Stretch<'a>| match stretch {
            // SAFETY: made of committed packets of the piece without anything between them.
            Stretch::Packets(piece, range) => IoSlice::new(unsafe { piece.bytes(range.clone()) }),
            Stretch::Made(range) => IoSlice::new(&self.made[range.clone()]),
        };
        self.stretches.iter().map(slice).collect()
    }

    /// Nothing is to be written any more. The memory is kept.
    pub fn clear(&mut self) {
        self.stretches.clear();
        self.made.clear();
        self.bytes = 0;
    }
}
