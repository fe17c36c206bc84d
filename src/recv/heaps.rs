//! The heaps in progress: a fixed table, per substream a ring of the last `max_heaps` heaps that started.
//!
//! A new heap takes the next place of its substream's ring; whoever still stands there is evicted. So a heap has the
//! time of `max_heaps` newer ones to complete, whether those complete or not, and a lost packet never keeps memory for
//! good. A completed heap leaves its number in its place, by which late duplicates of its packets are recognised.
//!
//! Heaps that come whole in one packet never enter the table. But they take a place as well, which stays empty: so a heap
//! of which a packet was lost is given up in a stream of small heaps, too.

use std::collections::HashMap;
use std::ops::Range;

use super::ranges::{Misfit, Ranges};
use super::stats::Stat;
use crate::spead::Header;

/// Up to this many heaps per substream are searched one by one; beyond, by a hash map.
const LINEAR_LIMIT: usize = 16;

/// No heap: heap numbers have at most 56 bits.
const NOBODY: u64 = u64::MAX;

/// Bytes of a heap received so far.
#[derive(Debug)]
enum Received {
    /// In-order mode: everything before this offset.
    UpTo(u64),
    /// Out-of-order mode.
    Ranges(Ranges),
}

/// How much of a heap has been received.
#[derive(Debug)]
pub struct Progress {
    /// Packets accepted.
    packets: u64,
    length: Option<u64>,
    heap_address_bits: u8,
    received: Received,
    /// The largest offset that a packet's payload or an item pointer has reached.
    extent: u64,
}

impl Progress {
    /// Nothing, of the heap that `packet` belongs to.
    fn new(packet: &Header<'_>, allow_out_of_order: bool) -> Self {
        let received = match allow_out_of_order {
            true => Received::Ranges(Ranges::default()),
            false => Received::UpTo(0),
        };
        Self {
            packets: 0,
            length: packet.heap_length(),
            heap_address_bits: packet.flavour().heap_address_bits,
            received,
            extent: 0,
        }
    }

    /// All, by one packet that is the whole heap.
    #[inline]
    pub(super) fn whole(packet: &Header<'_>) -> Self {
        let length = packet.payload_length();
        Self {
            packets: 1,
            length: Some(length),
            heap_address_bits: packet.flavour().heap_address_bits,
            received: Received::UpTo(length),
            extent: length,
        }
    }

    /// Takes note of `packet`, or says under which count it is to be discarded.
    pub(super) fn accept(&mut self, packet: &Header<'_>) -> Result<(), Stat> {
        let (length, extent) = self.agree(packet)?;
        let (start, end) = (packet.payload_offset(), packet.payload_offset() + packet.payload_length());
        match &mut self.received {
            Received::UpTo(received) => {
                in_order(*received, start, end)?;
                *received = end;
            }
            Received::Ranges(ranges) => ranges.insert(start, end).map_err(misfit)?,
        }
        self.length = length;
        self.extent = extent;
        self.packets += 1;
        Ok(())
    }

    /// As [`accept`](Self::accept), without taking note.
    pub(super) fn check(&self, packet: &Header<'_>) -> Result<(), Stat> {
        self.agree(packet)?;
        let (start, end) = (packet.payload_offset(), packet.payload_offset() + packet.payload_length());
        match &self.received {
            Received::UpTo(received) => in_order(*received, start, end),
            Received::Ranges(ranges) => ranges.check(start, end).map(|_| ()).map_err(misfit),
        }
    }

    /// The heap's length and extent as `packet` adds to them, if it agrees with what is known.
    #[inline]
    fn agree(&self, packet: &Header<'_>) -> Result<(Option<u64>, u64), Stat> {
        if packet.flavour().heap_address_bits != self.heap_address_bits {
            return Err(Stat::Inconsistent);
        }
        // A checked packet's offset has at most 56 bits: no overflow.
        let mut extent = self.extent.max(packet.payload_offset() + packet.payload_length());
        if packet.heap_length().is_none() {
            // A packet that tells the heap's length has had its pointers checked against it.
            let farthest = packet.pointers().filter_map(|pointer| pointer.address()).max();
            extent = extent.max(farthest.unwrap_or(0));
        }
        let length = match (self.length, packet.heap_length()) {
            (Some(known), Some(told)) if known != told => return Err(Stat::Inconsistent),
            (known, told) => known.or(told),
        };
        if length.is_some_and(|length| extent > length) {
            return Err(Stat::Inconsistent);
        }
        Ok((length, extent))
    }

    /// Packets that brought it.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The heap's length, if any packet told it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes of payload received.
    pub fn received(&self) -> u64 {
        match &self.received {
            Received::UpTo(received) => *received,
            Received::Ranges(ranges) => ranges.received(),
        }
    }

    /// The largest offset that a packet's payload or an item pointer has reached.
    pub fn extent(&self) -> u64 {
        self.extent
    }

    /// The bytes received, in ascending order.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        match &self.received {
            Received::UpTo(0) => Vec::new(),
            Received::UpTo(received) => std::iter::once(0..*received).collect(),
            Received::Ranges(ranges) => ranges.iter().collect(),
        }
    }

    /// All bytes of a heap of known length have been received.
    pub(super) fn is_complete(&self) -> bool {
        self.length == Some(self.received())
    }

    /// All bytes up to where anything of the heap reaches have been received. A heap of unknown length is never more
    /// complete than that.
    pub fn is_contiguous(&self) -> bool {
        self.received() == self.length.unwrap_or(0).max(self.extent)
    }
}

fn in_order(received: u64, start: u64, end: u64) -> Result<(), Stat> {
    match start {
        _ if start == received => Ok(()),
        _ if end <= received => Err(Stat::Duplicate),
        _ if start < received => Err(Stat::Overlap),
        _ => Err(Stat::OutOfOrder),
    }
}

fn misfit(misfit: Misfit) -> Stat {
    match misfit {
        Misfit::Duplicate => Stat::Duplicate,
        Misfit::Overlap => Stat::Overlap,
        Misfit::TooMany => Stat::TooFragmented,
    }
}

/// A heap in progress; `state` is what its consumer keeps about it.
#[derive(Debug)]
pub(super) struct Partial<T> {
    pub(super) state: T,
    pub(super) progress: Progress,
    /// Tells it from others that had its place in the table.
    pub(super) serial: u64,
}

impl<T> Partial<T> {
    /// A heap of which nothing has been received. `packet` is its first.
    pub(super) fn new(packet: &Header<'_>, allow_out_of_order: bool, state: T) -> Self {
        Self { state, progress: Progress::new(packet, allow_out_of_order), serial: 0 }
    }
}

/// One place of the table.
#[derive(Debug)]
enum Place<T> {
    Empty,
    Live(Partial<T>),
    /// The heap was completed.
    Done,
}

/// What the table knows about a heap number.
pub(super) enum Found {
    /// In progress, at this place.
    Live(usize),
    /// Completed a short while ago.
    Done,
    /// Never seen, or long ago.
    Unknown,
}

/// The heaps in progress of one stream.
pub(super) struct Table<T> {
    max_heaps: usize,
    /// Substream s owns the places from s * max_heaps.
    places: Box<[Place<T>]>,
    /// The heap number at each place, or [`NOBODY`].
    numbers: Box<[u64]>,
    /// For each substream, the place (counted from its first) that the next heap takes.
    next: Box<[usize]>,
    /// Place by heap number, where rings are long.
    index: Option<HashMap<u64, usize>>,
    /// The place where a packet's heap was found last: most often the next packet's as well.
    latest: usize,
    /// Heaps entered.
    entered: u64,
    /// Places with a heap number.
    occupied: usize,
}

impl<T> Table<T> {
    pub(super) fn new(max_heaps: usize, substreams: usize) -> Self {
        let len = max_heaps * substreams;
        Self {
            max_heaps,
            places: (0..len).map(|_| Place::Empty).collect(),
            numbers: vec![NOBODY; len].into(),
            next: vec![0; substreams].into(),
            index: (max_heaps > LINEAR_LIMIT).then(HashMap::new),
            latest: 0,
            entered: 0,
            occupied: 0,
        }
    }

    fn ring_start(&self, heap_cnt: u64) -> usize {
        (heap_cnt % self.next.len() as u64) as usize * self.max_heaps
    }

    /// Looks a heap number up, adding the entries looked at to `search_dist`.
    pub(super) fn find(&mut self, heap_cnt: u64, search_dist: &mut u64) -> Found {
        *search_dist += 1;
        if self.numbers[self.latest] != heap_cnt {
            let place = match &self.index {
                Some(index) => index.get(&heap_cnt).copied(),
                None => {
                    let start = self.ring_start(heap_cnt);
                    let ring = &self.numbers[start..start + self.max_heaps];
                    *search_dist += ring.len() as u64;
                    ring.iter().position(|&number| number == heap_cnt).map(|i| start + i)
                }
            };
            match place {
                Some(place) => self.latest = place,
                None => return Found::Unknown,
            }
        }
        match self.places[self.latest] {
            Place::Live(_) => Found::Live(self.latest),
            Place::Done => Found::Done,
            Place::Empty => Found::Unknown,
        }
    }

    /// The heap in progress at `place`.
    pub(super) fn get(&mut self, place: usize) -> Option<&mut Partial<T>> {
        match &mut self.places[place] {
            Place::Live(heap) => Some(heap),
            _ => None,
        }
    }

    /// Frees the place that a heap with this number will take, and gives whoever was still in progress there.
    pub(super) fn make_room(&mut self, heap_cnt: u64) -> Option<Partial<T>> {
        let start = self.ring_start(heap_cnt);
        self.clear(start + self.next[start / self.max_heaps])
    }

    /// No heap is in progress, nor remembered.
    #[inline]
    pub(super) fn is_vacant(&self) -> bool {
        self.occupied == 0
    }

    /// Leaves the place empty that [`make_room`](Self::make_room) has freed.
    pub(super) fn pass(&mut self, heap_cnt: u64) {
        let substream = self.ring_start(heap_cnt) / self.max_heaps;
        self.next[substream] = (self.next[substream] + 1) % self.max_heaps;
    }

    /// Enters a heap at the place that [`make_room`](Self::make_room) has freed.
    pub(super) fn insert(&mut self, heap_cnt: u64, mut heap: Partial<T>) -> usize {
        self.entered += 1;
        self.occupied += 1;
        heap.serial = self.entered;
        let start = self.ring_start(heap_cnt);
        let next = &mut self.next[start / self.max_heaps];
        let place = start + *next;
        *next = (*next + 1) % self.max_heaps;
        self.places[place] = Place::Live(heap);
        self.numbers[place] = heap_cnt;
        if let Some(index) = &mut self.index {
            index.insert(heap_cnt, place);
        }
        self.latest = place;
        place
    }

    /// Takes out a heap that is complete; its number stays.
    pub(super) fn complete(&mut self, place: usize) -> Option<Partial<T>> {
        match std::mem::replace(&mut self.places[place], Place::Done) {
            Place::Live(heap) => Some(heap),
            _ => None,
        }
    }

    fn clear(&mut self, place: usize) -> Option<Partial<T>> {
        let number = std::mem::replace(&mut self.numbers[place], NOBODY);
        if number != NOBODY {
            self.occupied -= 1;
        }
        if let Some(index) = &mut self.index {
            index.remove(&number);
        }
        match std::mem::replace(&mut self.places[place], Place::Empty) {
            Place::Live(heap) => Some(heap),
            _ => None,
        }
    }

    /// Takes out all heaps in progress, per substream in the order in which they started.
    pub(super) fn drain(&mut self) -> Vec<Partial<T>> {
        let mut heaps = Vec::new();
        for substream in 0..self.next.len() {
            for i in 0..self.max_heaps {
                let place = substream * self.max_heaps + (self.next[substream] + i) % self.max_heaps;
                heaps.extend(self.clear(place));
            }
        }
        heaps
    }
}
