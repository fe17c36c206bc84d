//! Random streams, damaged at random, through every reader: an independent model must agree with the stream on every
//! count and on every byte of every chunk.
//!
//! The model does one thing after the other in plain vectors, so that it can be read; it knows the rules from the
//! specification. What is compared beyond it: the ledger closes, nothing is pending, chunk ids increase, and a heap
//! of an undamaged stream that is marked present has exactly its bytes.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aqueduct::chunk::{
    AddFree, Chunk, ChunkRing, ChunkRingStream, ChunkStreamConfig, PlaceRequest, Placement,
};
use aqueduct::memory::{Buffer, HeapAllocator};
use aqueduct::recv::reader::{BufferReader, Reader, UdpConfig, UdpReader};
use aqueduct::recv::stats::{Account, Snapshot, Stat};
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::Malformed;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use support::rig::GUARD;
use support::wire::{self, MemoryReader, Offer, Wire};

/// Room for one heap, and heaps per chunk.
const SLOT: usize = 256;
const HEAPS: usize = 4;
const CHUNK: usize = SLOT * HEAPS;
const EXTRA_PER_HEAP: usize = 4;
/// What chunks are filled with before use.
const BLANK: u8 = 0xd7;
/// Longest datagram that the UDP reader takes.
const UDP_MAX_SIZE: usize = 300;

/// Settings of one case.
#[derive(Debug, Clone)]
struct Setup {
    max_heaps: usize,
    substreams: usize,
    out_of_order: bool,
    allow_unsized: bool,
    max_heap_size: u64,
    max_chunks: usize,
    spare_chunks: usize,
    data_ring: usize,
    presence: usize,
    max_heap_extra: usize,
    max_jump: u64,
    jump_confirm: u32,
    /// One heap in so many is placed somewhere strange; 0: none.
    wild_one_in: u64,
    /// Which ones, and where.
    wild_seed: u64,
}

impl Setup {
    fn flags_per_heap(&self) -> usize {
        SLOT.checked_div(self.presence).map_or(1, |packets| packets + 1)
    }

    /// The place callback, and the model's.
    fn place(&self, heap_cnt: u64, heap_length: i64) -> Placement {
        let index = heap_cnt as usize % HEAPS;
        let mut placement = Placement {
            chunk_id: (heap_cnt / HEAPS as u64) as i64,
            heap_index: index * self.flags_per_heap(),
            heap_offset: index * SLOT,
            extra_offset: index * EXTRA_PER_HEAP,
            extra_size: if self.max_heap_extra == 0 { 0 } else { EXTRA_PER_HEAP },
        };
        let hash = (heap_cnt ^ self.wild_seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if self.wild_one_in != 0 && hash.is_multiple_of(self.wild_one_in) {
            match hash / self.wild_one_in % 14 {
                0 => placement.chunk_id = -1,
                1 => placement.chunk_id = i64::MIN,
                2 => placement.chunk_id -= 3,
                3 => placement.chunk_id += 5,
                4 => placement.chunk_id = i64::MAX - (hash % 3) as i64,
                5 => placement.heap_offset = CHUNK - 10,
                6 => placement.heap_offset = usize::MAX - (heap_length.max(1) as usize - 1),
                7 => placement.heap_offset += 13,
                8 => placement.heap_index = HEAPS * self.flags_per_heap(),
                9 => placement.heap_index = usize::MAX,
                10 => placement.extra_size = self.max_heap_extra + 1,
                11 => placement.extra_offset = usize::MAX,
                12 => placement.extra_offset = HEAPS * EXTRA_PER_HEAP + 1,
                _ => placement.heap_offset = CHUNK,
            }
        }
        placement
    }

    fn extra(heap_cnt: u64) -> [u8; EXTRA_PER_HEAP] {
        (heap_cnt as u32).wrapping_mul(0x0101_0107).to_be_bytes()
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        (
            (1..5usize, 1..4usize, any::<bool>(), prop::bool::weighted(0.7)),
            prop_oneof![3 => Just(1u64 << 30), 1 => Just(1 << 56), 1 => 1..SLOT as u64],
        ),
        (1..4usize, 0..3usize, 1..4usize),
        (prop_oneof![Just(0), Just(16), Just(50), Just(256)], prop_oneof![Just(0), Just(EXTRA_PER_HEAP)]),
        (prop_oneof![Just(0u64), Just(2), Just(1 << 20)], 0..3u32, prop_oneof![Just(0u64), Just(3), Just(8)]),
        any::<u64>(),
    )
        .prop_map(
            |(
                ((max_heaps, substreams, out_of_order, allow_unsized), max_heap_size),
                (max_chunks, spare_chunks, data_ring),
                (presence, max_heap_extra),
                (max_jump, jump_confirm, wild_one_in),
                wild_seed,
            )| Setup {
                max_heaps,
                substreams,
                out_of_order,
                allow_unsized,
                max_heap_size,
                max_chunks,
                spare_chunks,
                data_ring,
                presence,
                max_heap_extra,
                max_jump,
                jump_confirm,
                wild_one_in,
                wild_seed,
            },
        )
}

/// One heap to send; its number is `gap` + 1 more than the one before.
#[derive(Debug, Clone)]
struct Sent {
    gap: u64,
    size: usize,
    sized: bool,
    packet_size: usize,
    address_bytes: u8,
    odd: Odd,
}

/// What is wrong with one of a heap's packets.
#[derive(Debug, Clone, Copy)]
enum Odd {
    Nothing,
    Flavour(Index),
    LongerHeap(Index),
    NoLength(Index),
    Empty(Index),
    /// A byte too early, where that is possible.
    Shifted(Index),
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        8 => Just(Odd::Nothing),
        1 => any::<Index>().prop_map(Odd::Flavour),
        1 => any::<Index>().prop_map(Odd::LongerHeap),
        1 => any::<Index>().prop_map(Odd::NoLength),
        1 => any::<Index>().prop_map(Odd::Empty),
        1 => any::<Index>().prop_map(Odd::Shifted),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    (
        prop_oneof![8 => Just(0u64), 1 => 0..6u64],
        prop_oneof![1 => Just(0), 1 => Just(SLOT - 1), 6 => 0..SLOT],
        prop::bool::weighted(0.8),
        prop_oneof![Just(16), Just(50), 1..SLOT],
        1..8u8,
        odd(),
    )
        .prop_map(|(gap, size, sized, packet_size, address_bytes, odd)| Sent {
            gap,
            size,
            sized,
            packet_size,
            address_bytes,
            odd,
        })
}

fn packets(heaps: &[Sent]) -> Vec<Vec<u8>> {
    let mut heap_cnt = 0;
    let mut packets = vec![];
    for heap in heaps {
        heap_cnt += 1 + heap.gap;
        let mut wires = wire::split(heap_cnt, &wire::pattern(heap_cnt, heap.size), heap.packet_size);
        let count = wires.len();
        for wire in &mut wires {
            wire.address_bits = heap.address_bytes * 8;
            wire.heap_length = wire.heap_length.filter(|_| heap.sized);
        }
        match heap.odd {
            Odd::Nothing => {}
            Odd::Flavour(at) => wires[at.index(count)].address_bits = (heap.address_bytes % 7 + 1) * 8,
            Odd::LongerHeap(at) => wires[at.index(count)].heap_length = Some(SLOT as u64 - 1),
            Odd::NoLength(at) => wires[at.index(count)].heap_length = None,
            Odd::Shifted(at) => {
                let wire = &mut wires[at.index(count)];
                wire.offset = wire.offset.saturating_sub(1);
            }
            Odd::Empty(at) => {
                let mut empty = wires[at.index(count)].clone();
                empty.payload.clear();
                wires.insert(at.index(count), empty);
            }
        }
        packets.extend(wires.iter().map(Wire::encode));
    }
    packets
}

/// What happens on the way.
#[derive(Debug, Clone)]
enum Damage {
    Lose(Index),
    Repeat(Index, Index),
    Move(Index, Index),
    Truncate(Index, Index),
    FlipBit(Index, Index),
    SetByte(Index, Index, u8),
    Garbage(Index, Vec<u8>),
    /// Only in captures; a plain datagram for the other readers.
    Frame(Index, u8),
}

impl Damage {
    /// Whether what arrives is what was sent, be it late, twice, or never.
    fn keeps_bytes(&self) -> bool {
        !matches!(self, Self::FlipBit(..) | Self::SetByte(..))
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        3 => index().prop_map(Damage::Lose),
        3 => (index(), index()).prop_map(|(a, b)| Damage::Repeat(a, b)),
        3 => (index(), index()).prop_map(|(a, b)| Damage::Move(a, b)),
        1 => (index(), index()).prop_map(|(a, b)| Damage::Truncate(a, b)),
        2 => (index(), index()).prop_map(|(a, b)| Damage::FlipBit(a, b)),
        1 => (index(), index(), any::<u8>()).prop_map(|(a, b, c)| Damage::SetByte(a, b, c)),
        1 => (index(), vec(any::<u8>(), 0..40)).prop_map(|(a, b)| Damage::Garbage(a, b)),
        1 => (index(), 0..3u8).prop_map(|(a, b)| Damage::Frame(a, b)),
    ]
}

const FRAME_FAULTS: [Stat; 3] = [Stat::Fragment, Stat::NotUdp, Stat::Truncated];

fn arrive(packets: Vec<Vec<u8>>, damage: &[Damage]) -> Vec<Offer> {
    let mut offers: Vec<_> = packets.into_iter().map(Offer::Datagram).collect();
    for what in damage {
        let n = offers.len();
        match what {
            Damage::Garbage(at, bytes) => offers.insert(at.index(n + 1), Offer::Datagram(bytes.clone())),
            Damage::Frame(at, fault) => {
                offers.insert(at.index(n + 1), Offer::Discard(FRAME_FAULTS[usize::from(*fault)]));
            }
            _ if n == 0 => {}
            Damage::Lose(at) => drop(offers.remove(at.index(n))),
            Damage::Repeat(from, to) => {
                let again = offers[from.index(n)].clone();
                offers.insert(to.index(n + 1), again);
            }
            Damage::Move(from, to) => {
                let moved = offers.remove(from.index(n));
                offers.insert(to.index(n), moved);
            }
            Damage::Truncate(at, len) => {
                if let Offer::Datagram(bytes) = &mut offers[at.index(n)] {
                    bytes.truncate(len.index(bytes.len() + 1));
                }
            }
            Damage::FlipBit(at, bit) => {
                if let Offer::Datagram(bytes) = &mut offers[at.index(n)]
                    && !bytes.is_empty()
                {
                    let bit = bit.index(8 * bytes.len());
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Damage::SetByte(at, byte, value) => {
                if let Offer::Datagram(bytes) = &mut offers[at.index(n)]
                    && !bytes.is_empty()
                {
                    let byte = byte.index(bytes.len());
                    bytes[byte] = *value;
                }
            }
        }
    }
    // A stop item made by a flipped bit would end the stream somewhere; hostile.rs has stop items.
    offers.retain(|offer| match offer {
        Offer::Datagram(bytes) => !parse(bytes).is_ok_and(|packet| packet.stop),
        Offer::Discard(_) => true,
    });
    offers
}

// ---------------------------------------------------------------------------------------------------------------------
// The model

/// A packet as the specification reads it.
struct Parsed<'a> {
    heap_cnt: u64,
    heap_length: Option<u64>,
    offset: u64,
    payload: &'a [u8],
    address_bits: u8,
    farthest: u64,
    stop: bool,
    size: usize,
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Malformed> {
    if bytes.len() < 8 {
        return Err(Malformed::TooShort);
    }
    if bytes[0] != 0x53 {
        return Err(Malformed::BadMagic);
    }
    if bytes[1] != 4 {
        return Err(Malformed::BadVersion);
    }
    if bytes[2] == 0 || bytes[3] == 0 || u32::from(bytes[2]) + u32::from(bytes[3]) != 8 {
        return Err(Malformed::BadWidths);
    }
    let count = usize::from(bytes[6]) * 256 + usize::from(bytes[7]);
    let start = 8 + 8 * count;
    if bytes.len() < start {
        return Err(Malformed::ItemsOverflow);
    }
    let address_bits = 8 * bytes[3];
    let (mut specials, mut farthest, mut stop) = (BTreeMap::new(), 0, None);
    for word in bytes[8..start].chunks(8) {
        let word = u64::from_be_bytes(word.try_into().unwrap());
        let (immediate, id) = (word >> 63 == 1, (word & (u64::MAX >> 1)) >> address_bits);
        let value = word % (1 << address_bits);
        match (immediate, id) {
            (true, 1..=4) => drop(specials.insert(id, value)),
            (true, 6) => stop = Some(value),
            (true, _) => {}
            (false, _) => farthest = farthest.max(value),
        }
    }
    let heap_cnt = *specials.get(&1).ok_or(Malformed::NoHeapCnt)?;
    let offset = *specials.get(&3).ok_or(Malformed::NoPayloadOffset)?;
    let length = *specials.get(&4).ok_or(Malformed::NoPayloadLength)?;
    let heap_length = specials.get(&2).copied();
    if length > (bytes.len() - start) as u64 {
        return Err(Malformed::PayloadOverflow);
    }
    if heap_length.is_some_and(|heap| offset + length > heap) {
        return Err(Malformed::HeapOverflow);
    }
    if heap_length.is_some_and(|heap| farthest > heap) {
        return Err(Malformed::ItemBeyondHeap);
    }
    let size = start + length as usize;
    let payload = &bytes[start..size];
    Ok(Parsed { heap_cnt, heap_length, offset, payload, address_bits, farthest, stop: stop == Some(2), size })
}

/// Where a heap goes, or how its heap and its packets are counted.
/// A placement, and how often the window had started anew by then; or the counts of heap and packets.
type Fate = Result<(Placement, u32), (Stat, Stat)>;

const TOO_OLD: (Stat, Stat) = (Stat::TooOldHeaps, Stat::PacketsTooOld);
const REJECTED: (Stat, Stat) = (Stat::RejectedHeaps, Stat::PacketsRejected);
const OUTSIDE: (Stat, Stat) = (Stat::OutOfBoundsHeaps, Stat::PacketsOutOfBounds);
const JUMP: (Stat, Stat) = (Stat::JumpRejectedHeaps, Stat::PacketsJumpRejected);

struct Heap {
    heap_cnt: u64,
    done: bool,
    fate: Fate,
    packets: u64,
    length: Option<u64>,
    address_bits: u8,
    /// Disjoint.
    got: Vec<(u64, u64)>,
    extent: u64,
}

impl Heap {
    fn new(packet: &Parsed<'_>, fate: Fate) -> Self {
        Self {
            heap_cnt: packet.heap_cnt,
            done: false,
            fate,
            packets: 0,
            length: packet.heap_length,
            address_bits: packet.address_bits,
            got: vec![],
            extent: 0,
        }
    }

    fn received(&self) -> u64 {
        self.got.iter().map(|(start, end)| end - start).sum()
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Image {
    data: Vec<u8>,
    present: Vec<u8>,
    extra: Vec<u8>,
}

impl std::fmt::Debug for Image {
    /// What differs from a fresh chunk, as runs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, bytes, blank) in
            [("data", &self.data, BLANK), ("present", &self.present, 0), ("extra", &self.extra, BLANK)]
        {
            write!(f, "{name}:")?;
            for (i, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != blank).take(40) {
                write!(f, " {i}={byte:02x}")?;
            }
            write!(f, "; ")?;
        }
        Ok(())
    }
}

struct Model<'a> {
    setup: &'a Setup,
    counts: BTreeMap<&'static str, u64>,
    places: u64,
    /// Per substream the last heaps that started, oldest first.
    started: Vec<VecDeque<Heap>>,
    lost: VecDeque<u64>,
    candidate: Option<(i64, u32)>,
    /// How often the window has started anew.
    generation: u32,
    highest: Option<i64>,
    live: BTreeMap<i64, Image>,
    ready: Vec<(i64, Image)>,
}

impl<'a> Model<'a> {
    fn new(setup: &'a Setup) -> Self {
        Self {
            setup,
            counts: BTreeMap::new(),
            places: 0,
            started: (0..setup.substreams).map(|_| VecDeque::new()).collect(),
            lost: VecDeque::new(),
            candidate: None,
            generation: 0,
            highest: None,
            live: BTreeMap::new(),
            ready: vec![],
        }
    }

    fn count(&mut self, stat: Stat, n: u64) {
        *self.counts.entry(stat.name()).or_default() += n;
    }

    fn get(&self, stat: Stat) -> u64 {
        self.counts.get(stat.name()).copied().unwrap_or(0)
    }

    fn discard(&mut self, reason: Stat) {
        self.count(Stat::Packets, 1);
        self.count(reason, 1);
    }

    fn datagram(&mut self, bytes: &[u8]) {
        let packet = match parse(bytes) {
            Ok(packet) => packet,
            Err(kind) => return self.discard(kind.into()),
        };
        let reach = packet.offset + packet.payload.len() as u64;
        if packet.heap_length.unwrap_or(reach) > self.setup.max_heap_size {
            return self.discard(Stat::HeapTooLarge);
        }
        match packet.heap_length {
            Some(length) if length == packet.payload.len() as u64 => self.whole(&packet),
            None if !self.setup.allow_unsized => self.discard(Stat::Unsized),
            _ => self.part(&packet),
        }
    }

    fn whole(&mut self, packet: &Parsed<'_>) {
        // It takes a place, in which nothing is.
        self.make_room(packet.heap_cnt);
        let heap_cnt = u64::MAX;
        let substream = (packet.heap_cnt % self.setup.substreams as u64) as usize;
        let nothing = Heap { heap_cnt, done: true, ..Heap::new(packet, Err(REJECTED)) };
        self.started[substream].push_back(nothing);
        self.count(Stat::SinglePacketHeaps, 1);
        self.count(Stat::Heaps, 1);
        let mut fate = self.begin(packet);
        if let Ok(placement) = fate {
            fate = self.write(placement, packet).map(|()| placement);
        }
        match fate {
            Ok(placement) => {
                self.complete(placement, packet.payload.len() as u64);
                self.discard(Stat::PacketsDelivered);
            }
            Err((heaps, packets)) => {
                self.count(heaps, 1);
                self.discard(packets);
            }
        }
    }

    fn part(&mut self, packet: &Parsed<'_>) {
        let substream = (packet.heap_cnt % self.setup.substreams as u64) as usize;
        let at = self.started[substream].iter().position(|heap| heap.heap_cnt == packet.heap_cnt);
        let at = match at {
            Some(at) if self.started[substream][at].done => return self.discard(Stat::Duplicate),
            Some(at) => at,
            None => {
                if !self.setup.out_of_order && packet.offset != 0 {
                    if !self.lost.contains(&packet.heap_cnt) {
                        self.count(Stat::HeapsLostStart, 1);
                        self.lost.push_back(packet.heap_cnt);
                        if self.lost.len() > self.setup.max_heaps * self.setup.substreams {
                            self.lost.pop_front();
                        }
                    }
                    return self.discard(Stat::OutOfOrder);
                }
                self.make_room(packet.heap_cnt);
                let fate = self.begin(packet);
                if let Err((heaps, _)) = fate {
                    self.count(Stat::Heaps, 1);
                    self.count(heaps, 1);
                }
                self.started[substream].push_back(Heap::new(packet, fate));
                self.started[substream].len() - 1
            }
        };
        let out_of_order = self.setup.out_of_order;
        let heap = &mut self.started[substream][at];
        let (start, end) = (packet.offset, packet.offset + packet.payload.len() as u64);
        let length = heap.length.or(packet.heap_length);
        let extent = heap.extent.max(end).max(packet.farthest);
        if heap.address_bits != packet.address_bits
            || packet.heap_length.is_some_and(|told| length != Some(told))
            || length.is_some_and(|length| extent > length)
        {
            return self.discard(Stat::Inconsistent);
        }
        let known: u64 = heap.got.iter().map(|&(s, e)| e.min(end).saturating_sub(s.max(start))).sum();
        let received = heap.received();
        let misfit = if out_of_order {
            match known {
                0 => None,
                _ if known == end - start => Some(Stat::Duplicate),
                _ => Some(Stat::Overlap),
            }
        } else if start == received {
            None
        } else if end <= received {
            Some(Stat::Duplicate)
        } else if start < received {
            Some(Stat::Overlap)
        } else {
            Some(Stat::OutOfOrder)
        };
        if let Some(misfit) = misfit {
            return self.discard(misfit);
        }
        heap.length = length;
        heap.extent = extent;
        heap.packets += 1;
        if start < end {
            heap.got.push((start, end));
        }
        self.count(Stat::Packets, 1);
        if let Ok(placement) = self.started[substream][at].fate
            && let Err((heaps, packets)) = self.write(placement, packet)
        {
            self.started[substream][at].fate = Err((heaps, packets));
            self.count(Stat::Heaps, 1);
            self.count(heaps, 1);
        }
        let heap = &mut self.started[substream][at];
        if heap.length == Some(heap.received()) {
            heap.done = true;
            let (fate, packets, bytes) = (heap.fate, heap.packets, heap.received());
            match fate {
                Ok(placement) => {
                    self.count(Stat::Heaps, 1);
                    self.count(Stat::PacketsDelivered, packets);
                    self.complete(placement, bytes);
                }
                Err((_, stat)) => self.count(stat, packets),
            }
        }
    }

    fn make_room(&mut self, heap_cnt: u64) {
        let substream = (heap_cnt % self.setup.substreams as u64) as usize;
        if self.started[substream].len() == self.setup.max_heaps {
            let oldest = self.started[substream].pop_front().unwrap();
            self.give_up(oldest, Stat::IncompleteHeapsEvicted);
        }
    }

    fn give_up(&mut self, heap: Heap, why: Stat) {
        match heap.fate {
            _ if heap.done => {}
            Ok(_) => {
                self.count(Stat::Heaps, 1);
                self.count(why, 1);
                self.count(Stat::PacketsIncomplete, heap.packets);
            }
            Err((_, packets)) => self.count(packets, heap.packets),
        }
    }

    /// One more heap wants to jump far; whether enough have agreed.
    fn agree(&mut self, id: i64) -> bool {
        let agreed = match self.candidate {
            Some((latest, agreed)) if latest.abs_diff(id) <= self.setup.max_jump => agreed + 1,
            _ => 0,
        };
        self.candidate = Some((id, agreed));
        agreed >= self.setup.jump_confirm
    }

    fn begin(&mut self, packet: &Parsed<'_>) -> Fate {
        self.places += 1;
        let length = packet.heap_length;
        let placement = self.setup.place(packet.heap_cnt, length.map_or(-1, |length| length as i64));
        let id = placement.chunk_id;
        if id < 0 {
            return Err(REJECTED);
        }
        let reach = self.setup.max_chunks as i64 - 1;
        if let Some(highest) = self.highest
            && id < (highest - reach).max(0)
        {
            let behind = (highest - reach).abs_diff(id);
            if self.setup.max_jump == 0 || behind <= self.setup.max_jump {
                self.candidate = None;
                return Err(TOO_OLD);
            }
            if !self.agree(id) {
                return Err(TOO_OLD);
            }
            // Enough of them: the window starts anew.
            self.ready.extend(std::mem::take(&mut self.live));
            self.highest = None;
            self.generation += 1;
        }
        let ahead = self.highest.map_or(0, |highest| (i128::from(id) - i128::from(highest)).max(0));
        if self.setup.max_jump != 0 && ahead > i128::from(self.setup.max_jump) && !self.agree(id) {
            return Err(JUMP);
        }
        self.candidate = None;
        if self.highest.is_none_or(|highest| id > highest) {
            let head = (id - reach).max(0);
            while let Some(entry) = self.live.first_entry()
                && *entry.key() < head
            {
                self.ready.push(entry.remove_entry());
            }
            for new in self.highest.map_or(head, |highest| head.max(highest + 1))..=id {
                self.live.insert(
                    new,
                    Image {
                        data: vec![BLANK; CHUNK],
                        present: vec![0; HEAPS * self.setup.flags_per_heap()],
                        extra: vec![BLANK; HEAPS * EXTRA_PER_HEAP],
                    },
                );
            }
            self.highest = Some(id);
        }
        let image = self.live.get_mut(&id).unwrap();
        let fits = |start: usize, len: u64, size: usize| start as u128 + u128::from(len) <= size as u128;
        let bytes = length.unwrap_or(0);
        let flags = match self.setup.presence as u64 {
            0 => 1,
            size => bytes.div_ceil(size).max(1),
        };
        if !fits(placement.heap_offset, bytes, CHUNK)
            || !fits(placement.heap_index, flags, image.present.len())
            || placement.extra_size > self.setup.max_heap_extra
            || !fits(placement.extra_offset, placement.extra_size as u64, image.extra.len())
        {
            return Err(OUTSIDE);
        }
        let extra = Setup::extra(packet.heap_cnt);
        image.extra[placement.extra_offset..][..placement.extra_size]
            .copy_from_slice(&extra[..placement.extra_size]);
        Ok((placement, self.generation))
    }

    fn write(
        &mut self,
        (placement, generation): (Placement, u32),
        packet: &Parsed<'_>,
    ) -> Result<(), (Stat, Stat)> {
        if generation != self.generation {
            return Err(TOO_OLD);
        }
        let Some(image) = self.live.get_mut(&placement.chunk_id) else { return Err(TOO_OLD) };
        let start = placement.heap_offset as u128 + u128::from(packet.offset);
        if start + packet.payload.len() as u128 > CHUNK as u128 {
            return Err(OUTSIDE);
        }
        // A packet without payload has brought nothing that could be present, unless the heap has none either.
        if self.setup.presence != 0 && (!packet.payload.is_empty() || packet.heap_length == Some(0)) {
            let flag = placement.heap_index as u128 + u128::from(packet.offset) / self.setup.presence as u128;
            match image.present.get_mut(usize::try_from(flag).unwrap_or(usize::MAX)) {
                Some(flag) => *flag = 1,
                None => return Err(OUTSIDE),
            }
        }
        image.data[start as usize..][..packet.payload.len()].copy_from_slice(packet.payload);
        Ok(())
    }

    fn complete(&mut self, (placement, _): (Placement, u32), bytes: u64) {
        self.count(Stat::CompleteHeaps, 1);
        self.count(Stat::BytesDelivered, bytes);
        if self.setup.presence == 0
            && let Some(image) = self.live.get_mut(&placement.chunk_id)
        {
            image.present[placement.heap_index] = 1;
        }
    }

    fn finish(&mut self) {
        for substream in 0..self.setup.substreams {
            for heap in std::mem::take(&mut self.started[substream]) {
                self.give_up(heap, Stat::IncompleteHeapsFlushed);
            }
        }
        self.ready.extend(std::mem::take(&mut self.live));
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The stream

#[derive(Debug, Clone, Copy)]
enum Source {
    Memory,
    Buffer,
    #[cfg(feature = "pcap")]
    Pcap,
    Udp,
}

fn source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![
        Source::Memory,
        Source::Memory,
        Source::Buffer,
        #[cfg(feature = "pcap")]
        Source::Pcap,
        Source::Udp,
        Source::Udp,
    ])
}

fn chunk(setup: &Setup) -> Box<Chunk> {
    let mut chunk =
        Chunk::allocate(&HeapAllocator, CHUNK, HEAPS * setup.flags_per_heap(), HEAPS * EXTRA_PER_HEAP)
            .unwrap();
    blank(&mut chunk);
    Box::new(chunk)
}

fn blank(chunk: &mut Chunk) {
    for buffer in [&mut chunk.data, &mut chunk.extra] {
        assert!(buffer.write(0, &vec![BLANK; buffer.len()]));
    }
}

fn image(chunk: &Chunk) -> Image {
    let bytes = |buffer: &Buffer| {
        // SAFETY: all bytes of our chunks have been written, and the chunk is ours now.
        unsafe { std::slice::from_raw_parts(buffer.as_ptr(), buffer.len()) }.to_vec()
    };
    Image { data: bytes(&chunk.data), present: bytes(&chunk.present), extra: bytes(&chunk.extra) }
}

fn pool() -> &'static Arc<ThreadPool> {
    static POOL: OnceLock<Arc<ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| Arc::new(ThreadPool::new(2, &[]).unwrap()))
}

/// The stream, its rings filled with free chunks, and the number of calls of its place callback.
fn stream(setup: &Setup) -> (ChunkRingStream, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let (seen, policy) = (calls.clone(), setup.clone());
    let place = move |request: &mut PlaceRequest<'_>| {
        seen.fetch_add(1, Ordering::Relaxed);
        let &[heap_cnt, heap_length] = request.items else { panic!("two items") };
        let room = request.extra.len().min(EXTRA_PER_HEAP);
        request.extra[..room].copy_from_slice(&Setup::extra(heap_cnt as u64)[..room]);
        policy.place(heap_cnt as u64, heap_length)
    };
    let config = StreamConfig {
        max_heaps: setup.max_heaps,
        substreams: setup.substreams,
        stream_id: 77,
        allow_out_of_order: setup.out_of_order,
        allow_unsized_heaps: setup.allow_unsized,
        max_heap_size: setup.max_heap_size,
        ..StreamConfig::default()
    };
    let chunk_config = ChunkStreamConfig {
        items: vec![wire::HEAP_CNT, wire::HEAP_LENGTH],
        max_chunks: setup.max_chunks,
        max_heap_extra: setup.max_heap_extra,
        packet_presence_payload_size: setup.presence,
        max_jump: setup.max_jump,
        jump_confirm: setup.jump_confirm,
        ..ChunkStreamConfig::new(Box::new(place))
    };
    let chunks = setup.max_chunks + setup.spare_chunks;
    let data = Arc::new(ChunkRing::new(setup.data_ring).unwrap());
    let free = Arc::new(ChunkRing::new(chunks).unwrap());
    let stream = ChunkRingStream::new(pool(), config, chunk_config, data, free).unwrap();
    for _ in 0..chunks {
        assert!(matches!(stream.add_free_chunk(chunk(setup)), AddFree::Added));
    }
    (stream, calls)
}

/// Gives the stream what arrives, through the reader, and tells the model what the reader makes of it.
fn feed(source: Source, offers: Vec<Offer>, stream: &ChunkRingStream, model: &mut Model<'_>) -> EndReason {
    let add = |reader: Box<dyn Reader>| assert!(stream.stream().add_reader(reader).unwrap());
    match source {
        Source::Memory => {
            for offer in &offers {
                match offer {
                    Offer::Datagram(bytes) => model.datagram(bytes),
                    Offer::Discard(reason) => model.discard(*reason),
                }
            }
            add(Box::new(MemoryReader::new(offers, 7)));
            EndReason::SourceEnded
        }
        Source::Buffer => {
            let mut bytes = vec![];
            for offer in &offers {
                if let Offer::Datagram(datagram) = offer {
                    bytes.extend(datagram);
                }
            }
            let mut rest = &bytes[..];
            let mut end = EndReason::SourceEnded;
            while !rest.is_empty() {
                match parse(rest) {
                    // Bytes of two packets can make up a packet of neither.
                    Ok(packet) if packet.stop => {
                        if packet.heap_length == Some(packet.payload.len() as u64) {
                            model.make_room(packet.heap_cnt);
                        }
                        model.discard(Stat::PacketsControl);
                        end = EndReason::StopItem;
                        break;
                    }
                    Ok(packet) => {
                        model.datagram(&rest[..packet.size]);
                        rest = &rest[packet.size..];
                    }
                    Err(kind) => {
                        model.discard(kind.into());
                        let at = bytes.len() - rest.len();
                        let text = format!(
                            "buffer: malformed packet at byte {at} of {}: {}",
                            bytes.len(),
                            kind.name()
                        );
                        let error = aqueduct::error::Error::new(aqueduct::error::ErrorKind::Format, text);
                        end = EndReason::Failed(error);
                        break;
                    }
                }
            }
            add(Box::new(BufferReader::copy_of(&bytes)));
            end
        }
        #[cfg(feature = "pcap")]
        Source::Pcap => {
            let frames: Vec<(Vec<u8>, usize)> = offers
                .iter()
                .map(|offer| {
                    let mut frame = match offer {
                        Offer::Datagram(bytes) => {
                            model.datagram(bytes);
                            wire::frame(bytes)
                        }
                        Offer::Discard(reason) => {
                            model.discard(*reason);
                            wire::frame(&[1; 60])
                        }
                    };
                    let original = frame.len();
                    match offer {
                        Offer::Discard(Stat::Fragment) => frame[20] = 0x20,
                        Offer::Discard(Stat::NotUdp) => frame[13] = 6,
                        Offer::Discard(_) => frame.truncate(70),
                        Offer::Datagram(_) => {}
                    }
                    (frame, original)
                })
                .collect();
            let mut file = tempfile::NamedTempFile::new().unwrap();
            let bytes = wire::capture(frames.iter().map(|(frame, original)| (&frame[..], *original)));
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            add(Box::new(aqueduct::recv::reader::PcapReader::open(file.path(), None).unwrap()));
            EndReason::SourceEnded
        }
        Source::Udp => {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = socket.local_addr().unwrap();
            let reader = UdpReader::new(UdpConfig {
                max_size: UDP_MAX_SIZE,
                socket: Some(OwnedFd::from(socket)),
                ..UdpConfig::default()
            });
            add(Box::new(reader.unwrap()));
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            for offer in &offers {
                let bytes = match offer {
                    Offer::Datagram(bytes) => bytes,
                    Offer::Discard(_) => &vec![0; UDP_MAX_SIZE + 1],
                };
                match bytes.len() > UDP_MAX_SIZE {
                    true => model.discard(Stat::Truncated),
                    false => model.datagram(bytes),
                }
                sender.send_to(bytes, to).unwrap();
            }
            model.make_room(0);
            model.discard(Stat::PacketsControl);
            sender.send_to(&Wire::stop().encode(), to).unwrap();
            EndReason::StopItem
        }
    }
}

/// Takes all chunks, and gives them back to be filled again.
fn consume(stream: &ChunkRingStream) -> Vec<(i64, Image)> {
    let mut chunks = vec![];
    loop {
        let mut chunk = match stream.data_ring().get(Wait::For(GUARD)) {
            Ok(chunk) => chunk,
            Err(GetError::Stopped) => break,
            Err(error) => panic!("the stream hangs: {error:?}"),
        };
        assert_eq!(chunk.stream_id, 77);
        chunks.push((chunk.id, image(&chunk)));
        blank(&mut chunk);
        assert!(matches!(stream.add_free_chunk(chunk), AddFree::Added));
    }
    // The ring stops just before the worker says why.
    stream.stream().stop().unwrap();
    chunks
}

fn check_counts(stats: &Snapshot, model: &Model<'_>) {
    let compared = Stat::ALL.into_iter().filter(|stat| stat.account() != Account::None).chain([
        Stat::Packets,
        Stat::Heaps,
        Stat::HeapsLostStart,
        Stat::SinglePacketHeaps,
        Stat::BytesDelivered,
    ]);
    for stat in compared {
        assert_eq!(stats[stat], model.get(stat), "{}", stat.name());
    }
    assert_eq!(stats[Stat::PacketsPending], 0);
    assert_eq!(stats[Stat::KernelDrops], 0);
    assert_eq!(stats[Stat::ChunksUndelivered], 0);
    assert!(stats.ledger_closes(), "{stats:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        // More with PROPTEST_CASES.
        cases: ProptestConfig::default().cases.max(1000),
        failure_persistence: None,
        // Where each failure is a hang, simplifying it takes too long.
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_packet_and_every_byte_is_accounted_for(
        setup in setup(),
        source in source(),
        heaps in vec(sent(), 0..24),
        damage in vec(damage(), 0..20),
    ) {
        let offers = arrive(packets(&heaps), &damage);
        let offered = offers.len() as u64;
        let mut model = Model::new(&setup);
        let (stream, calls) = stream(&setup);
        let end = feed(source, offers, &stream, &mut model);
        model.finish();
        let chunks = consume(&stream);

        prop_assert_eq!(stream.stream().end_reason(), Some(end));
        let stats = stream.stream().snapshot();
        check_counts(&stats, &model);
        match source {
            Source::Udp => prop_assert_eq!(stats[Stat::Packets], offered + 1),
            Source::Buffer => {}
            _ => prop_assert_eq!(stats[Stat::Packets], offered),
        }
        prop_assert_eq!(calls.load(Ordering::Relaxed), model.places, "calls of the place callback");
        prop_assert_eq!(stats[Stat::ChunksReady], chunks.len() as u64);
        // The window starts anew only where far jumps are held back.
        let restarts = chunks.windows(2).filter(|pair| pair[0].0 >= pair[1].0).count() as u32;
        prop_assert!(restarts <= model.generation, "chunk ids increase");
        let ids = |chunks: &[(i64, Image)]| chunks.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&chunks), ids(&model.ready));
        for ((id, found), (_, expected)) in chunks.iter().zip(&model.ready) {
            prop_assert_eq!(found, expected, "chunk {}", id);
        }

        // Once more without the model: what is marked as there is there.
        let intact = damage.iter().all(Damage::keeps_bytes) && setup.wild_one_in == 0;
        if intact && setup.presence == 0 && !matches!(source, Source::Buffer) {
            let mut heap_cnt = 0;
            for heap in &heaps {
                heap_cnt += 1 + heap.gap;
                let (id, index) = ((heap_cnt / HEAPS as u64) as i64, heap_cnt as usize % HEAPS);
                if let Some((_, image)) = chunks.iter().find(|chunk| chunk.0 == id)
                    && image.present[index] == 1
                {
                    let place = &image.data[index * SLOT..][..heap.size];
                    prop_assert_eq!(place, &wire::pattern(heap_cnt, heap.size)[..], "heap {}", heap_cnt);
                }
            }
        }
    }
}
