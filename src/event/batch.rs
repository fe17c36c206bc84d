//! What a flush gives to a sink: packets and losses in the order of their numbers. Any thread; nothing in it changes.

use std::ops::Range;

use super::segment::{Entry, Piece};

/// Packets that were lost one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// How many: all from the first to the last and, where there were too many losses to tell each in its place, some before.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first was put; 0 if that was not taken.
    pub first_time: u64,
    /// When the last was put.
    pub last_time: u64,
}

/// A packet in a batch.
#[derive(Clone)]
pub struct Packet<'a> {
    /// It counts all packets that the buffer was given, also those that were lost.
    pub number: u64,
    /// When it was put, in nanoseconds since the Unix epoch; 0 if that was not taken.
    pub time: u64,
    pub(super) piece: &'a Piece,
    pub(super) range: Range<usize>,
}

impl<'a> Packet<'a> {
    /// Its bytes.
    pub fn data(&self) -> &'a [u8] {
        // SAFETY: the range is that of a committed entry of the piece.
        unsafe { self.piece.bytes(self.range.clone()) }
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.range.len()
    }
}

/// What comes next in a batch.
pub enum Item<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Packets that would stand here.
    Lost(&'a Lost),
}

/// Packets and losses.
pub struct Batch {
    /// Of committed packets, in order.
    pub(super) pieces: Vec<Piece>,
    /// In order.
    pub(super) lost: Vec<Lost>,
    /// All numbers in it are below.
    pub(super) end: u64,
}

impl Batch {
    /// The number behind it: where the next batch begins.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Packets and losses with numbers of at least `from`, in order.
    pub fn items(&self, from: u64) -> Items<'_> {
        let behind =
            self.pieces.partition_point(|piece| piece.entries().last().is_none_or(|e| e.number < from));
        let entries = match self.pieces.get(behind) {
            Some(piece) => &piece.entries()[piece.below(from)..],
            None => &[],
        };
        let lost = &self.lost[self.lost.partition_point(|lost| lost.first < from)..];
        Items { pieces: &self.pieces[behind.min(self.pieces.len())..], entries: entries.iter(), lost }
    }
}

/// The iterator of [`Batch::items`].
pub struct Items<'a> {
    /// The first is that of `entries`.
    pieces: &'a [Piece],
    entries: std::slice::Iter<'a, Entry>,
    lost: &'a [Lost],
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let Some(entry) = self.entries.as_slice().first() else {
                if self.pieces.len() <= 1 {
                    return self.next_lost();
                }
                self.pieces = &self.pieces[1..];
                self.entries = self.pieces[0].entries().iter();
                continue;
            };
            if self.lost.first().is_some_and(|lost| lost.first < entry.number) {
                return self.next_lost();
            }
            self.entries.next();
            if let Some(range) = entry.range() {
                let Entry { number, time, .. } = *entry;
                return Some(Item::Packet(Packet { number, time, piece: &self.pieces[0], range }));
            }
        }
    }
}

impl<'a> Items<'a> {
    fn next_lost(&mut self) -> Option<Item<'a>> {
        let (lost, rest) = self.lost.split_first()?;
        self.lost = rest;
        Some(Item::Lost(lost))
    }
}
