//! A sender's side written for the tests: packets, capture files, and readers that have no descriptor.

use std::os::fd::BorrowedFd;

use aqueduct::recv::reader::{Leftover, Polled, Reader};
use aqueduct::recv::stats::Stat;
use aqueduct::recv::{Flow, PacketSink};

pub const HEAP_CNT: u64 = 1;
pub const HEAP_LENGTH: u64 = 2;
pub const PAYLOAD_OFFSET: u64 = 3;
pub const PAYLOAD_LENGTH: u64 = 4;
pub const STREAM_CTRL: u64 = 6;

/// One packet before it is bytes.
#[derive(Debug, Clone)]
pub struct Wire {
    /// 8, 16, … 56.
    pub address_bits: u8,
    pub heap_cnt: u64,
    pub heap_length: Option<u64>,
    pub offset: u64,
    pub payload: Vec<u8>,
    /// More item pointers: immediate or not, identifier, value or address.
    pub items: Vec<(bool, u64, u64)>,
}

impl Wire {
    /// A heap in one packet.
    pub fn whole(heap_cnt: u64, payload: Vec<u8>) -> Self {
        let heap_length = Some(payload.len() as u64);
        Self { address_bits: 48, heap_cnt, heap_length, offset: 0, payload, items: vec![] }
    }

    /// A part of a heap of `heap_length` bytes.
    pub fn part(heap_cnt: u64, heap_length: u64, offset: u64, payload: Vec<u8>) -> Self {
        Self { heap_length: Some(heap_length), offset, ..Self::whole(heap_cnt, payload) }
    }

    pub fn item(mut self, immediate: bool, id: u64, value: u64) -> Self {
        self.items.push((immediate, id, value));
        self
    }

    /// A packet that ends the stream.
    pub fn stop() -> Self {
        Self::whole(0, vec![]).item(true, STREAM_CTRL, 2)
    }

    pub fn encode(&self) -> Vec<u8> {
        let specials = [
            Some((true, HEAP_CNT, self.heap_cnt)),
            self.heap_length.map(|length| (true, HEAP_LENGTH, length)),
            Some((true, PAYLOAD_OFFSET, self.offset)),
            Some((true, PAYLOAD_LENGTH, self.payload.len() as u64)),
        ];
        let pointers: Vec<_> = specials.into_iter().flatten().chain(self.items.iter().copied()).collect();
        let count = u16::try_from(pointers.len()).unwrap().to_be_bytes();
        let width = self.address_bits / 8;
        let mut bytes = vec![0x53, 4, 8 - width, width, 0, 0, count[0], count[1]];
        for (immediate, id, value) in pointers {
            assert!(value < 1 << self.address_bits && id < 1 << (63 - self.address_bits));
            let word = u64::from(immediate) << 63 | id << self.address_bits | value;
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }
}

/// The payload of a heap: different for each heap and place.
pub fn pattern(heap_cnt: u64, size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| (heap_cnt.wrapping_mul(97) ^ i.wrapping_mul(31) ^ (i >> 8)) as u8).collect()
}

/// A heap in packets of `packet_size` bytes of payload (the last may be shorter).
pub fn split(heap_cnt: u64, payload: &[u8], packet_size: usize) -> Vec<Wire> {
    let length = payload.len() as u64;
    (0..payload.len().div_ceil(packet_size).max(1))
        .map(|i| {
            let start = i * packet_size;
            let end = payload.len().min(start + packet_size);
            Wire::part(heap_cnt, length, start as u64, payload[start..end].to_vec())
        })
        .collect()
}

/// An Ethernet frame with an IPv4 UDP datagram.
pub fn frame(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes.extend([8, 0]);
    let udp_length = 8 + datagram.len() as u16;
    bytes.extend([0x45, 0]);
    bytes.extend((20 + udp_length).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    bytes.extend([0x10, 0, 0x10, 1]);
    bytes.extend(udp_length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(datagram);
    bytes
}

/// A classic capture file of frames, each with its original length.
pub fn capture<'a>(frames: impl IntoIterator<Item = (&'a [u8], usize)>) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    for word in [0u32, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    for (frame, original) in frames {
        for word in [0, 0, frame.len() as u32, original as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// What a reader hands in.
#[derive(Debug, Clone)]
pub enum Offer {
    Datagram(Vec<u8>),
    Discard(Stat),
}

/// A reader of what is in memory, some at a time.
pub struct MemoryReader {
    offers: Vec<Offer>,
    next: usize,
    per_poll: usize,
}

impl MemoryReader {
    pub fn new(offers: Vec<Offer>, per_poll: usize) -> Self {
        Self { offers, next: 0, per_poll }
    }

    pub fn of(packets: impl IntoIterator<Item = Vec<u8>>) -> Box<Self> {
        Box::new(Self::new(packets.into_iter().map(Offer::Datagram).collect(), 64))
    }
}

impl Reader for MemoryReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        for _ in 0..self.per_poll {
            match self.offers.get(self.next) {
                None => return Polled::Ended,
                Some(Offer::Discard(reason)) => sink.discard(*reason),
                Some(Offer::Datagram(bytes)) => {
                    if sink.packet(bytes) != Flow::Taken {
                        return Polled::Blocked;
                    }
                }
            }
            self.next += 1;
        }
        Polled::More
    }

    fn leftover(&mut self) -> Leftover {
        // All were there from the beginning.
        let packets = (self.offers.len() - self.next) as u64;
        self.next = self.offers.len();
        Leftover { packets, kernel_drops: 0 }
    }
}
