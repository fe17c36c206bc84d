//! Bytes that lie in several places and leave together.

use std::io::IoSlice;

/// One message, or one stretch of a stream of bytes: `head`, and behind it the parts of `body`.
#[derive(Debug, Clone, Copy)]
pub struct Gather<'a> {
    /// The first bytes.
    pub head: &'a [u8],
    /// What follows.
    pub body: &'a [&'a [u8]],
    /// Bytes in all.
    pub size: usize,
}

impl<'a> Gather<'a> {
    /// These bytes.
    pub fn new(head: &'a [u8], body: &'a [&'a [u8]]) -> Self {
        Self { head, body, size: head.len() + body.iter().map(|part| part.len()).sum::<usize>() }
    }

    /// How many places they lie in.
    pub fn parts(&self) -> usize {
        1 + self.body.len()
    }

    /// Appends the places.
    pub fn add_to(&self, slices: &mut Vec<IoSlice<'a>>) {
        slices.push(IoSlice::new(self.head));
        slices.extend(self.body.iter().map(|part| IoSlice::new(part)));
    }
}
