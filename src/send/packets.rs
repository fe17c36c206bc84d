//! How a heap divides into packets, and the bytes of each.
//!
//! All packets of a heap but its last have the same length: the largest multiple of 8 that is allowed. Each has as many of the item
//! pointers that are left as leave room for 8 bytes of payload, or all of them (`repeat_pointers`), and the payload fills it up. So a packet has at least
//! one byte of payload, unless it is the only one: a receiver cannot take a heap for complete before it has all pointers, in whichever order packets
//! come. Where there is not enough payload for that, zeros follow the last item, behind a NULL item that ends it.
//!
//! Invariant: `starts` ascends, and has where each addressed item starts. Plain values; any thread.

use super::heap::{SendHeap, SendValue};
use crate::error::{Error, Result};
use crate::spead::{Header, id};

/// Bytes of the header and of the pointers that every packet has.
const FIXED: usize = 8 + 4 * 8;

/// Bytes of payload for which there is room in a packet of a heap of several.
const LEAST_PAYLOAD: usize = 8;

/// The smallest and the largest size of packets that can be asked for. With the largest, the number of pointers stays below 2^16.
pub const PACKET_SIZES: std::ops::RangeInclusive<usize> = FIXED + 8 + LEAST_PAYLOAD..=512 << 10;

/// Padding.
static ZEROS: [u8; 1024] = [0; 1024];

/// Where the packets of a heap begin and end. It goes with the heap that it was made for.
#[derive(Debug, Clone)]
pub struct Packets {
    /// Item pointers, big-endian.
    pointers: Vec<[u8; 8]>,
    /// Where in the payload each addressed item starts, and its index in the heap.
    starts: Vec<(u64, usize)>,
    /// Bytes of all items.
    items_length: u64,
    /// The same, with padding.
    length: u64,
    /// Words that a packet has for item pointers and payload.
    words: usize,
    /// Every packet has all pointers.
    repeat: bool,
    heap_address_bits: u8,
    count: usize,
}

impl Packets {
    /// Divides a heap into packets of at most `max_packet_size` bytes.
    pub fn new(heap: &SendHeap, max_packet_size: usize) -> Result<Self> {
        check_size(max_packet_size)?;
        let flavour = heap.flavour();
        let bits = flavour.heap_address_bits;
        let mut pointers = Vec::with_capacity(heap.items().len() + 1);
        let (mut starts, mut length) = (Vec::new(), 0u64);
        for (index, item) in heap.items().iter().enumerate() {
            let pointer = match &item.value {
                SendValue::Immediate(value) => 1 << 63 | item.id << bits | value,
                SendValue::Addressed(bytes) => {
                    let start = length;
                    starts.push((start, index));
                    // No more bytes than there is address space, far below 2^64, unless the same ones are referred to very often.
                    length = length.saturating_add(bytes.as_slice().len() as u64);
                    if length >> bits != 0 {
                        return Err(Error::invalid(format!(
                            "heap: its payload must be less than 2^{bits} bytes in {flavour} (got {length})"
                        )));
                    }
                    item.id << bits | start
                }
            };
            pointers.push(pointer.to_be_bytes());
        }
        let words = (max_packet_size - FIXED) / 8;
        let repeat = heap.repeats_pointers();
        if repeat && pointers.len() >= words {
            let least = FIXED + 8 * pointers.len() + LEAST_PAYLOAD;
            let n = pointers.len();
            return Err(Error::invalid(format!(
                "max_packet_size must be at least {least} to repeat {n} item pointers in every packet (got {max_packet_size})"
            )));
        }
        let mut packets = Self {
            pointers,
            starts,
            items_length: length,
            length,
            words,
            repeat,
            heap_address_bits: bits,
            count: 1,
        };
        packets.pad();
        if packets.length >> bits != 0 {
            let length = packets.length;
            return Err(Error::invalid(format!(
                "heap: its payload must be less than 2^{bits} bytes in {flavour} (got {length}, with padding)"
            )));
        }
        packets.count = packets.find_count();
        Ok(packets)
    }

    /// Pointers that a packet has at the most.
    fn most_pointers(&self) -> usize {
        if self.repeat { self.pointers.len() } else { self.words - LEAST_PAYLOAD / 8 }
    }

    /// Packets that it takes for the pointers.
    fn packets_of_pointers(&self) -> usize {
        if self.repeat { 1 } else { self.pointers.len().div_ceil(self.most_pointers()).max(1) }
    }

    /// Adds what is missing so that every packet with pointers has payload.
    fn pad(&mut self) {
        let needed = |packets: usize| match packets {
            0 | 1 => 0,
            n => (LEAST_PAYLOAD * (n - 1) + 1) as u64,
        };
        if self.length < needed(self.packets_of_pointers()) {
            let null = id::NULL << self.heap_address_bits | self.length;
            self.pointers.push(null.to_be_bytes());
            self.length = needed(self.packets_of_pointers());
        }
    }

    fn find_count(&self) -> usize {
        let first = self.packets_of_pointers();
        // From here on all packets are alike.
        let rest = self.length.saturating_sub(self.offset(first));
        first + rest.div_ceil((self.capacity(first)).max(1) as u64) as usize
    }

    /// The pointers of a packet, as indices.
    fn pointers_of(&self, packet: usize) -> std::ops::Range<usize> {
        let n = self.pointers.len();
        if self.repeat {
            return 0..n;
        }
        let most = self.most_pointers();
        let start = packet.saturating_mul(most).min(n);
        start..(start + most).min(n)
    }

    /// Bytes of payload for which a packet has room.
    fn capacity(&self, packet: usize) -> usize {
        8 * (self.words - self.pointers_of(packet).len())
    }

    /// Where the payload of a packet starts, were there enough of it.
    fn offset(&self, packet: usize) -> u64 {
        let words = self.words as u64;
        let all = words * packet as u64;
        let pointers = match self.repeat {
            true => self.pointers.len() as u64 * packet as u64,
            false => self.pointers_of(packet).start as u64,
        };
        8 * (all - pointers)
    }

    fn payload_of(&self, packet: usize) -> std::ops::Range<u64> {
        self.offset(packet).min(self.length)..self.offset(packet + 1).min(self.length)
    }

    /// How many packets there are; at least 1.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the payload, with padding.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of a packet.
    pub fn size(&self, packet: usize) -> usize {
        let payload = self.payload_of(packet);
        FIXED + 8 * self.pointers_of(packet).len() + (payload.end - payload.start) as usize
    }

    /// Bytes of all packets.
    pub fn total_size(&self) -> u64 {
        let pointers = match self.repeat {
            true => self.pointers.len() as u64 * self.count as u64,
            false => self.pointers.len() as u64,
        };
        FIXED as u64 * self.count as u64 + 8 * pointers + self.length
    }

    /// Appends a packet up to its payload. Of `cnt`, as many bits are taken as an address has.
    pub fn head(&self, packet: usize, cnt: u64, out: &mut Vec<u8>) {
        let pointers = self.pointers.get(self.pointers_of(packet)).unwrap_or_default();
        let payload = self.payload_of(packet);
        let bits = self.heap_address_bits;
        let [n_high, n_low] = (4 + pointers.len() as u16).to_be_bytes();
        out.extend_from_slice(&[Header::MAGIC, 4, 8 - bits / 8, bits / 8, 0, 0, n_high, n_low]);
        for (id, value) in [
            (id::HEAP_CNT, cnt & ((1 << bits) - 1)),
            (id::HEAP_LENGTH, self.length),
            (id::PAYLOAD_OFFSET, payload.start),
            (id::PAYLOAD_LENGTH, payload.end - payload.start),
        ] {
            out.extend_from_slice(&(1 << 63 | id << bits | value).to_be_bytes());
        }
        out.extend_from_slice(pointers.as_flattened());
    }

    /// Appends the parts of a packet's payload: bytes of the heap that this was made for.
    pub fn body<'a>(&self, heap: &'a SendHeap, packet: usize, out: &mut Vec<&'a [u8]>) {
        let range = self.payload_of(packet);
        let mut at = range.start;
        // The last item that starts there or before; those without bytes are passed over.
        let mut next = self.starts.partition_point(|&(start, _)| start <= at).saturating_sub(1);
        while at < range.end {
            let item =
                self.starts.get(next).and_then(|&(start, index)| Some((start, heap.items().get(index)?)));
            let Some((start, item)) = item.filter(|_| at < self.items_length) else { break };
            next += 1;
            let SendValue::Addressed(bytes) = &item.value else { continue };
            let from = (at - start) as usize;
            let to = (range.end - start).min(bytes.as_slice().len() as u64) as usize;
            if let Some(part) = bytes.as_slice().get(from..to).filter(|part| !part.is_empty()) {
                out.push(part);
                at += part.len() as u64;
            }
        }
        while at < range.end {
            let n = (range.end - at).min(ZEROS.len() as u64);
            out.push(ZEROS.get(..n as usize).unwrap_or_default());
            at += n;
        }
    }

    /// Appends all of a packet to `out`.
    pub fn write(&self, heap: &SendHeap, packet: usize, cnt: u64, out: &mut Vec<u8>) {
        let mut parts = Vec::new();
        self.head(packet, cnt, out);
        self.body(heap, packet, &mut parts);
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}

/// Checks a size that packets may have at the most.
pub fn check_size(max_packet_size: usize) -> Result<()> {
    if PACKET_SIZES.contains(&max_packet_size) {
        return Ok(());
    }
    let (least, most) = (PACKET_SIZES.start(), PACKET_SIZES.end());
    Err(Error::invalid(format!(
        "max_packet_size must be between {least} (header 8, packet items 32, an item pointer 8, payload 8) and {most} (got {max_packet_size})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::heap::flavour;
    use crate::spead::Packet;

    fn heap(bits: i64, repeat: bool, items: &[SendValue]) -> SendHeap {
        let mut heap = SendHeap::new(flavour(bits).unwrap(), repeat);
        for (i, item) in items.iter().enumerate() {
            heap.add(0x20 + i as u64, item.clone()).unwrap();
        }
        heap
    }

    fn bytes(n: usize) -> SendValue {
        SendValue::Addressed((0..n).map(|i| (i % 251) as u8 + 1).collect::<Vec<_>>().into())
    }

    fn packets(heap: &SendHeap, size: usize) -> Vec<Vec<u8>> {
        let plan = Packets::new(heap, size).unwrap();
        let mut all = Vec::new();
        for i in 0..plan.count() {
            let mut packet = Vec::new();
            plan.write(heap, i, 7, &mut packet);
            assert_eq!(packet.len(), plan.size(i));
            assert!(packet.len() <= size);
            let parsed = Packet::parse(&packet).unwrap();
            assert_eq!(parsed.size(), packet.len());
            assert!(plan.count() == 1 || parsed.payload_length() > 0);
            all.push(packet);
        }
        assert_eq!(all.iter().map(|packet| packet.len() as u64).sum::<u64>(), plan.total_size());
        let (last, others) = all.split_last().unwrap();
        assert!(others.iter().all(|packet| packet.len() == size / 8 * 8), "{size}");
        assert!(last.len() <= size);
        all
    }

    #[test]
    fn a_packet_byte_by_byte() {
        let heap = heap(48, false, &[SendValue::Immediate(0x1234), bytes(2)]);
        let expected = [
            &[0x53, 4, 2, 6, 0, 0, 0, 6][..],
            &[0x80, 1, 0, 0, 0, 0, 0, 7],
            &[0x80, 2, 0, 0, 0, 0, 0, 2],
            &[0x80, 3, 0, 0, 0, 0, 0, 0],
            &[0x80, 4, 0, 0, 0, 0, 0, 2],
            &[0x80, 0x20, 0, 0, 0, 0, 0x12, 0x34],
            &[0, 0x21, 0, 0, 0, 0, 0, 0],
            &[1, 2],
        ];
        assert_eq!(packets(&heap, 1472), [expected.concat()]);
    }

    #[test]
    fn packets_fill_up() {
        let one = heap(48, false, &[bytes(8192)]);
        // 1472 - 40 - 8 in the first, 1472 - 40 in the others.
        let lengths: Vec<u64> =
            packets(&one, 1472).iter().map(|p| Packet::parse(p).unwrap().payload_length()).collect();
        assert_eq!(lengths, [1424, 1432, 1432, 1432, 1432, 1040]);
        let repeated = heap(48, true, &[bytes(8192)]);
        let offsets: Vec<u64> =
            packets(&repeated, 1479).iter().map(|p| Packet::parse(p).unwrap().payload_offset()).collect();
        assert_eq!(offsets, [0, 1424, 2848, 4272, 5696, 7120]);
    }

    #[test]
    fn pointers_that_need_several_packets_have_payload_in_each() {
        // Two words after the fixed part: a pointer and 8 bytes.
        for n in 1..20 {
            for length in 0..40 {
                let mut items = vec![SendValue::Immediate(1); n];
                items.push(bytes(length));
                let heap = heap(40, false, &items);
                for size in [56, 63, 64, 72, 200, 1472] {
                    let all = packets(&heap, size);
                    let pointers: usize =
                        all.iter().map(|p| Packet::parse(p).unwrap().pointers().len() - 4).sum();
                    let padded = Packet::parse(&all[0]).unwrap().heap_length().unwrap() > length as u64;
                    assert_eq!(pointers, n + 1 + usize::from(padded));
                }
            }
        }
    }

    #[test]
    fn what_is_refused_names_the_numbers() {
        let message = |heap: &SendHeap, size| Packets::new(heap, size).unwrap_err().message().to_owned();
        let small = heap(48, true, &[SendValue::Immediate(1), bytes(1)]);
        assert_eq!(
            message(&small, 55),
            "max_packet_size must be between 56 (header 8, packet items 32, an item pointer 8, payload 8) and 524288 (got 55)"
        );
        assert!(message(&small, (512 << 10) + 1).ends_with("(got 524289)"));
        assert_eq!(
            message(&small, 56),
            "max_packet_size must be at least 64 to repeat 2 item pointers in every packet (got 56)"
        );
        assert!(Packets::new(&small, 64).is_ok());
        let large = heap(16, false, &[bytes(40_000), bytes(30_000)]);
        assert_eq!(
            message(&large, 1472),
            "heap: its payload must be less than 2^16 bytes in SPEAD-64-16 (got 70000)"
        );
    }
}
