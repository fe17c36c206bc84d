//! Properties of the wire format over generated packets.

#![cfg(feature = "pcap")] // the bodies of the fuzz targets need it

#[path = "../fuzz/src/bodies.rs"]
mod bodies;

use aqueduct::spead::{Flavour, Packet, id};
use proptest::collection::vec;
use proptest::prelude::*;

/// A packet to send: everything a receiver should find in it.
#[derive(Clone, Debug)]
struct Sent {
    address_width: u8,
    reserved: [u8; 2],
    heap_cnt: u64,
    heap_length: Option<u64>,
    payload_offset: u64,
    payload: Vec<u8>,
    /// All pointers in their order: immediate, identifier, value or address.
    pointers: Vec<(bool, u64, u64)>,
}

impl Sent {
    fn encode(&self) -> Vec<u8> {
        let n = self.pointers.len();
        let mut bytes = vec![b'S', 4, 8 - self.address_width, self.address_width];
        bytes.extend(self.reserved);
        bytes.extend([(n / 256) as u8, (n % 256) as u8]);
        for (immediate, id, low) in &self.pointers {
            // The pointer as two big-endian fields beside each other, the flag then set in the first byte.
            let split = usize::from(self.address_width);
            let first = bytes.len();
            bytes.extend(&id.to_be_bytes()[split..]);
            bytes.extend(&low.to_be_bytes()[8 - split..]);
            assert!(bytes[first] < 0x80 && bytes.len() == first + 8);
            bytes[first] |= if *immediate { 0x80 } else { 0 };
        }
        bytes.extend(&self.payload);
        bytes
    }
}

/// Small identifiers often, because they are special; otherwise anything that fits.
fn identifier(address_width: u8) -> impl Strategy<Value = u64> {
    prop_oneof![1 => 0..=8u64, 3 => 0..1u64 << (63 - 8 * u32::from(address_width))]
}

fn sent() -> impl Strategy<Value = Sent> {
    (1..=7u8, any::<[u8; 2]>(), vec(any::<u8>(), 0..=200))
        .prop_flat_map(|(address_width, reserved, payload)| {
            let limit = 1u64 << (8 * u32::from(address_width));
            let length = payload.len() as u64;
            let offset = 0..limit - length;
            let item = (any::<bool>(), identifier(address_width), 0..limit);
            let decoy = (1..=4u64, 0..limit);
            (
                (Just(address_width), Just(reserved), Just(payload)),
                (0..limit, offset, 0..limit, any::<bool>()),
                vec(item, 0..12),
                vec(decoy, 0..4),
                Just(()).prop_perturb(|(), rng| rng),
            )
        })
        .prop_map(
            |(
                (address_width, reserved, payload),
                (heap_cnt, offset, extra, sized),
                items,
                decoys,
                mut rng,
            )| {
                let limit = 1u64 << (8 * u32::from(address_width));
                let end = offset + payload.len() as u64;
                let heap_length = sized.then(|| end + extra % (limit - end));
                // Ordinary items: anything but an immediate special, with addresses inside the heap.
                let mut pointers: Vec<_> = items
                    .into_iter()
                    .filter(|(immediate, id, _)| !(*immediate && (1..=4).contains(id)))
                    .map(|(immediate, id, low)| match heap_length {
                        Some(length) if !immediate => (false, id, low % (length + 1)),
                        _ => (immediate, id, low),
                    })
                    .collect();
                // Each special somewhere, and its decoys somewhere before it.
                let specials = [
                    (1, Some(heap_cnt)),
                    (2, heap_length),
                    (3, Some(offset)),
                    (4, Some(payload.len() as u64)),
                ];
                for (id, value) in specials {
                    let Some(value) = value else { continue };
                    let at = rng.random_range(0..=pointers.len());
                    pointers.insert(at, (true, id, value));
                    for (_, value) in decoys.iter().filter(|(decoy, _)| *decoy == id) {
                        let before = rng.random_range(0..=at);
                        pointers.insert(before, (true, id, *value));
                    }
                }
                Sent {
                    address_width,
                    reserved,
                    heap_cnt,
                    heap_length,
                    payload_offset: offset,
                    payload,
                    pointers,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(data in vec(any::<u8>(), 0..300)) {
        bodies::packet(&data);
    }

    /// Random bytes behind a plausible header.
    #[test]
    fn random_pointers(width in 1..=7u8, n in 0..24u8, rest in vec(any::<u8>(), 0..300)) {
        let mut data = vec![b'S', 4, 8 - width, width, 0, 0, 0, n];
        data.extend(rest);
        bodies::packet(&data);
    }

    #[test]
    fn what_was_sent_is_found(sent in sent(), trailing in vec(any::<u8>(), 0..20)) {
        let mut bytes = sent.encode();
        let size = bytes.len();
        bytes.extend(trailing);
        let packet = Packet::parse(&bytes).expect("a valid packet");
        prop_assert_eq!(packet.flavour(), Flavour { version: 4, heap_address_bits: 8 * sent.address_width });
        prop_assert_eq!(packet.heap_cnt(), sent.heap_cnt);
        prop_assert_eq!(packet.heap_length(), sent.heap_length);
        prop_assert_eq!(packet.payload_offset(), sent.payload_offset);
        prop_assert_eq!(packet.payload(), &sent.payload);
        prop_assert_eq!(packet.size(), size);
        prop_assert_eq!(packet.bytes(), &bytes[..size]);
        let found: Vec<_> = packet.pointers().map(|p| (p.is_immediate(), p.id(), p.value())).collect();
        prop_assert_eq!(&found, &sent.pointers);
        for (_, id, _) in &sent.pointers {
            let last = sent.pointers.iter().rev().find(|p| p.0 && p.1 == *id).map(|p| p.2);
            prop_assert_eq!(packet.immediate(*id), last);
        }
        prop_assert_eq!(packet.stream_ctrl(), packet.immediate(id::STREAM_CTRL));
        bodies::packet(&bytes);
    }

    /// A damaged packet is an error or a view inside its bytes; the model knows which.
    #[test]
    fn damaged(sent in sent(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = sent.encode();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bodies::packet(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        bodies::packet(&bytes);
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(bytes.as_ptr_range().contains(&packet.bytes().as_ptr()));
            prop_assert!(packet.size() <= bytes.len());
        }
    }
}
