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

/// Packets that lie one behind the other in memory, and among which none was lost: at least one.
pub struct Run<'a> {
    pub(super) piece: &'a Piece,
    pub(super) range: Range<usize>,
    entries: &'a [Entry],
}

impl<'a> Run<'a> {
    /// How many packets.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Their bytes.
    pub fn size(&self) -> usize {
        self.range.len()
    }

    /// The number behind the last.
    pub fn end(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.number + 1)
    }

    /// Each of them.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> {
        let piece = self.piece;
        let packet = move |entry: &'a Entry| {
            let range = entry.start as usize..entry.start as usize + entry.size as usize;
            Packet { number: entry.number, time: entry.time, piece, range }
        };
        self.entries.iter().map(packet)
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
        let pieces = &self.pieces[behind.min(self.pieces.len())..];
        Items { pieces, entries: entries.iter(), lost, dense: pieces.first().is_some_and(Piece::is_dense) }
    }
}

/// The iterator of [`Batch::items`].
pub struct Items<'a> {
    /// The first is that of `entries`.
    pieces: &'a [Piece],
    entries: std::slice::Iter<'a, Entry>,
    lost: &'a [Lost],
    /// Nothing lies between the packets of the first piece.
    dense: bool,
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
                self.next_piece();
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
    /// Many packets at once, if those that come next lie one behind the other: as many as take no more than `most` bytes when there are `more` bytes to
    /// each.
    pub fn next_run(&mut self, most: u64, more: usize) -> Option<Run<'a>> {
        if self.entries.as_slice().is_empty() && self.pieces.len() > 1 {
            self.next_piece();
        }
        if !self.dense {
            return None;
        }
        let mut entries = self.entries.as_slice();
        if let Some(lost) = self.lost.first() {
            entries = &entries[..entries.partition_point(|entry| entry.number < lost.first)];
        }
        let start = entries.first()?.start as usize;
        let end = |entry: &Entry| entry.start as usize + entry.size as usize;
        let fits = |count: usize| (end(&entries[count - 1]) - start + count * more) as u64 <= most;
        let (mut count, mut too_many) = (0, entries.len() + 1);
        while count + 1 < too_many {
            let middle = count.midpoint(too_many);
            if fits(middle) { count = middle } else { too_many = middle }
        }
        let entries = &entries[..count];
        let range = start..end(entries.last()?);
        self.entries = self.entries.as_slice()[count..].iter();
        Some(Run { piece: self.pieces.first()?, range, entries })
    }

    fn next_piece(&mut self) {
        self.pieces = &self.pieces[1..];
        self.entries = self.pieces[0].entries().iter();
        self.dense = self.pieces[0].is_dense();
    }

    fn next_lost(&mut self) -> Option<Item<'a>> {
        let (lost, rest) = self.lost.split_first()?;
        self.lost = rest;
        Some(Item::Lost(lost))
    }
}
