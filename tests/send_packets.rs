//! What is cut into packets is put together again: heaps of any items, flavour and packet size, in order, out of order, and described.

mod support;

use std::sync::{Arc, LazyLock};

use aqueduct::recv::StreamConfig;
use aqueduct::recv::heap::{HeapRingStream, RingConfig};
use aqueduct::recv::reader::BufferReader;
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::send::group::{Contents, Include, SendGroup};
use aqueduct::send::heap::flavour;
use aqueduct::send::packets::Packets;
use aqueduct::send::{SendHeap, SendValue};
use aqueduct::spead::descriptor::{Descriptor, Layout};
use aqueduct::spead::dtype::Dtype;
use aqueduct::spead::format::Entry;
use aqueduct::spead::group::{GroupLimits, ItemGroup};
use aqueduct::spead::item::ItemValue;
use proptest::collection::vec;
use proptest::prelude::*;

static POOL: LazyLock<Arc<ThreadPool>> = LazyLock::new(|| Arc::new(ThreadPool::new(1, &[]).unwrap()));

#[derive(Clone, Debug)]
enum Item {
    Immediate(u64, u64),
    Addressed(u64, usize),
}

#[derive(Clone, Debug)]
struct Case {
    bits: i64,
    repeat: bool,
    cnt: u64,
    items: Vec<Item>,
    packet_size: usize,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    (2..=7u32, any::<bool>(), any::<u64>(), any::<u64>()).prop_flat_map(|(width, repeat, cnt, seed)| {
        let bits = 8 * width;
        let id = 7..1u64 << (63 - bits).min(16);
        let item = prop_oneof![
            (id.clone(), 0..1u64 << bits).prop_map(|(id, value)| Item::Immediate(id, value)),
            (id, prop_oneof![0..9usize, 0..3000usize]).prop_map(|(id, size)| Item::Addressed(id, size)),
        ];
        let size = prop_oneof![3 => 56..=200usize, 2 => 200..=9000usize];
        (vec(item, 0..12), size).prop_map(move |(items, size)| Case {
            bits: bits.into(),
            repeat,
            cnt,
            packet_size: if repeat { size.max(48 + 8 * items.len()) } else { size },
            items,
            seed,
        })
    })
}

fn build(case: &Case) -> SendHeap {
    let mut heap = SendHeap::new(flavour(case.bits).unwrap(), case.repeat);
    for (i, item) in case.items.iter().enumerate() {
        match *item {
            Item::Immediate(id, value) => heap.add(id, SendValue::Immediate(value)).unwrap(),
            Item::Addressed(id, size) => {
                let bytes = support::wire::pattern(i as u64, size);
                heap.add(id, SendValue::Addressed(bytes.into())).unwrap();
            }
        }
    }
    heap
}

/// An item as it comes: its identifier, and its value or its bytes.
type Found = (u64, Option<u64>, Vec<u8>);

/// An item of a group: identifier, name, shape, layout, and its elements in memory.
type Described<'a> = (u64, &'a str, Vec<Option<usize>>, Layout, Vec<u8>);

/// Items as they are, in an order of their own: an identical item pointer is told once.
fn expected(case: &Case) -> Vec<Found> {
    let mut items: Vec<_> = case
        .items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| match *item {
            Item::Immediate(id, value) => Some((id, Some(value), vec![])),
            Item::Addressed(_, 0) => None,
            Item::Addressed(id, size) => Some((id, None, support::wire::pattern(i as u64, size))),
        })
        .collect();
    items.sort();
    items.dedup_by(|a, b| a.1.is_some() && a == b);
    items
}

fn receive(bytes: &[u8], config: StreamConfig) -> Vec<(u64, Vec<Found>)> {
    let stream = HeapRingStream::new(&POOL, config, RingConfig::default()).unwrap();
    assert!(stream.stream().add_reader(Box::new(BufferReader::copy_of(bytes))).unwrap());
    let mut heaps = Vec::new();
    while let Ok(heap) = stream.get(Wait::Forever) {
        assert!(heap.is_contiguous());
        let mut items: Vec<_> = heap
            .items()
            .map(|item| match item.value {
                ItemValue::Immediate(value) => (item.id, Some(value), vec![]),
                ItemValue::Addressed(bytes) => (item.id, None, bytes.to_vec()),
            })
            .collect();
        items.sort();
        heaps.push((heap.cnt(), items));
    }
    heaps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn heaps_come_as_they_were_sent(case in case()) {
        let heap = build(&case);
        let packets = Packets::new(&heap, case.packet_size).unwrap();
        let mut all: Vec<Vec<u8>> = (0..packets.count()).map(|i| {
            let mut packet = Vec::new();
            packets.write(&heap, i, case.cnt, &mut packet);
            prop_assert_eq!(packet.len(), packets.size(i));
            prop_assert!(packet.len() <= case.packet_size);
            Ok(packet)
        }).collect::<Result<_, _>>()?;
        let sent = [(case.cnt & ((1 << case.bits) - 1), expected(&case))];
        prop_assert_eq!(&receive(&all.concat(), StreamConfig::default())[..], &sent[..]);
        let mut rng = support::rng::Rng(case.seed);
        (1..all.len()).for_each(|i| all.swap(i, rng.below(i + 1)));
        let config = StreamConfig { allow_out_of_order: true, ..StreamConfig::default() };
        let received = receive(&all.concat(), config);
        // Addressed items of no bytes beside padding may get that, where pointers come in another order.
        let no_empty = !case.items.iter().any(|item| matches!(item, Item::Addressed(_, 0)));
        if no_empty {
            prop_assert_eq!(&received[..], &sent[..]);
        }
    }

    #[test]
    fn described_values_come_as_they_were_set(
        width in 4..=7i64,
        bug_compat in 0..16u8,
        values in vec(any::<u16>(), 1..50),
        scalar in any::<f64>(),
        narrow in 0..1u16 << 12,
        text in "[a-z]{1,20}",
        packet_size in 64..2000usize,
    ) {
        let numpy = |text: &str| {
            Layout::Numpy { dtype: Dtype::parse_scalar(text).unwrap(), fortran_order: false }
        };
        let packed = |letter, bits| Layout::Packed(vec![Entry::new(letter, bits).unwrap()]);
        let shape = vec![Some(values.len())];
        let mut group = SendGroup::new(flavour(8 * width).unwrap(), bug_compat);
        let array: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        // Described in one byte order, and read in the other, that of bug_compat 4 would be.
        let items: [Described; 5] = [
            (0x40, "array", shape.clone(), numpy("<u2"), array.clone()),
            (0x41, "big", shape, numpy(">u2"), array),
            (0x42, "scalar", vec![], numpy("<f8"), scalar.to_ne_bytes().to_vec()),
            (0x43, "narrow", vec![], packed(b'u', 12), narrow.to_ne_bytes().to_vec()),
            (0x44, "text", vec![None], packed(b'c', 8), text.into_bytes()),
        ];
        for (id, name, shape, layout, value) in &items {
            group.add(Descriptor::new(*id, name, "what", shape.clone(), layout.clone()).unwrap()).unwrap();
            group.set(*id, value).unwrap();
        }
        let heap = group.heap(Contents { descriptors: Include::Stale, ..Contents::default() }).unwrap();
        let packets = Packets::new(&heap, packet_size).unwrap();
        let mut bytes = Vec::new();
        (0..packets.count()).for_each(|i| packets.write(&heap, i, 1, &mut bytes));
        let config = StreamConfig { bug_compat, ..StreamConfig::default() };
        let stream = HeapRingStream::new(&POOL, config, RingConfig::default()).unwrap();
        prop_assert!(stream.stream().add_reader(Box::new(BufferReader::copy_of(&bytes))).unwrap());
        let heap = stream.get(Wait::Forever).unwrap();
        let mut received = ItemGroup::new(GroupLimits::default());
        let update = received.update(heap.items(), heap.flavour(), heap.bug_compat());
        prop_assert_eq!(update.errors, []);
        for (id, name, _, _, value) in &items {
            let item = received.find_name(name).unwrap();
            prop_assert_eq!(item.descriptor.id, *id);
            prop_assert_eq!(&item.value.as_ref().unwrap().bytes, value, "{}", name);
        }
    }
}
