//! The same packets to spead2's receiver and to ours: the same heaps must come out, with the same bytes in the same items,
//! in the same order, and the statistics that both have must agree.
//!
//! Random streams with random loss, reordering, duplicates and contradictions, under all combinations of options. Where we
//! differ on purpose (spec: hostile input), such packets are left out, and the reason stands at the place.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh). `AQ_DIFFERENTIAL_CASES` sets how many
//! streams there are; 2000 by default.

mod peer;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aqueduct::recv::heap::{Heap, HeapRingStream, RingConfig};
use aqueduct::recv::stats::Stat;
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::Packet;
use aqueduct::spead::item::ItemValue;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use support::wire::{MemoryReader, STREAM_CTRL, Wire};

/// The value of STREAM_CTRL that ends a stream.
const STOP: u64 = 2;

#[derive(Debug, Clone)]
struct Case {
    max_heaps: usize,
    substreams: usize,
    out_of_order: bool,
    allow_unsized: bool,
    stop_on_stop_item: bool,
    contiguous_only: bool,
    packets: Vec<Vec<u8>>,
}

/// A heap as it is sent.
#[derive(Debug, Clone)]
struct Sent {
    size: usize,
    packet_size: usize,
    address_bits: u8,
    is_unsized: bool,
    repeat_pointers: bool,
    /// Immediate or not, identifier, value or address (modulo the size).
    items: Vec<(bool, u64, u64)>,
    control: Option<u64>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let items =
        prop::collection::vec((any::<bool>(), prop_oneof![0u64..8, 0x1600u64..0x1608], 0u64..256), 0..7);
    (
        prop_oneof![1 => Just(0usize), 6 => 1usize..200],
        4usize..60,
        prop_oneof![6 => Just(48u8), 1 => Just(40), 1 => Just(32)],
        prop::bool::weighted(0.2),
        any::<bool>(),
        items,
        prop_oneof![20 => Just(None), 1 => (0u64..4).prop_map(Some)],
    )
        .prop_map(|(size, packet_size, address_bits, is_unsized, repeat_pointers, items, control)| {
            Sent {
                size,
                // A stop item comes in a heap of one packet: see `case`.
                packet_size: if control == Some(STOP) { 200 } else { packet_size },
                address_bits,
                is_unsized: is_unsized && control != Some(STOP),
                repeat_pointers,
                items,
                control,
            }
        })
}

/// What happens to a packet on its way.
#[derive(Debug, Clone)]
enum Fate {
    Arrives,
    Lost,
    Duplicated(usize),
    Delayed(usize),
    /// Its payload offset is moved.
    Shifted(u64),
    /// It tells another heap length.
    Lengthened(u64),
    /// It does not tell the heap length.
    Mute,
    OtherFlavour,
    Garbage,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        30 => Just(Fate::Arrives),
        3 => Just(Fate::Lost),
        2 => (0usize..9).prop_map(Fate::Duplicated),
        3 => (1usize..14).prop_map(Fate::Delayed),
        1 => (0u64..90).prop_map(Fate::Shifted),
        1 => (1u64..50).prop_map(Fate::Lengthened),
        1 => Just(Fate::Mute),
        1 => Just(Fate::OtherFlavour),
        1 => Just(Fate::Garbage),
    ]
}

fn packets_of(heap_cnt: u64, sent: &Sent) -> Vec<Wire> {
    let payload = support::wire::pattern(heap_cnt, sent.size);
    let mut parts = support::wire::split(heap_cnt, &payload, sent.packet_size);
    for (i, part) in parts.iter_mut().enumerate() {
        part.address_bits = sent.address_bits;
        if sent.is_unsized {
            part.heap_length = None;
        }
        if i == 0 || sent.repeat_pointers {
            for &(immediate, id, value) in &sent.items {
                // Special pointers would make it another packet; descriptors are another test's business.
                match (immediate, id) {
                    (true, 1..=4) | (_, 5 | 6) => {}
                    // Addressed items with identifiers of special ones: the peer hides them, we do not.
                    (false, 1..=4) => {}
                    (true, _) => part.items.push((true, id, value)),
                    // Item pointers beyond the heap are malformed packets to us; the peer takes them and can then
                    // never complete the heap.
                    (false, _) => part.items.push((false, id, value % (sent.size as u64 + 1))),
                }
            }
            if let Some(control) = sent.control {
                part.items.push((true, STREAM_CTRL, control));
            }
        }
    }
    parts
}

fn case() -> impl Strategy<Value = Case> {
    let options = (
        prop_oneof![1usize..6, Just(24usize)],
        1usize..4,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let heaps = prop::collection::vec((sent(), prop::collection::vec(fate(), 50)), 1..14);
    (options, heaps, any::<bool>()).prop_map(|(options, heaps, damaged)| {
        let (max_heaps, substreams, out_of_order, allow_unsized, stop_on_stop_item, contiguous_only) =
            options;
        // A packet's place in the order of arrival, and the packet.
        let mut arrivals: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut time = 0;
        for (number, (sent, fates)) in heaps.iter().enumerate() {
            for (mut packet, fate) in packets_of(number as u64 + 1, sent).into_iter().zip(fates) {
                time += 1;
                // We end at any packet with a stop item, the peer only at one that it would have accepted (in order, of known
                // length, …). So those arrive as they are.
                let fate = match sent.control {
                    Some(STOP) => Fate::Arrives,
                    _ if damaged => fate.clone(),
                    _ => Fate::Arrives,
                };
                let mut at = time;
                match fate {
                    Fate::Arrives => {}
                    Fate::Lost => continue,
                    Fate::Duplicated(after) => arrivals.push((time + after, packet.encode())),
                    Fate::Delayed(by) => at += by,
                    Fate::Shifted(by) => packet.offset += by,
                    Fate::Lengthened(by) => packet.heap_length = packet.heap_length.map(|length| length + by),
                    Fate::Mute => packet.heap_length = None,
                    Fate::OtherFlavour => {
                        packet.address_bits = 56;
                        // Its identifiers have 7 bits.
                        packet.items.retain(|&(_, id, _)| id < 128);
                    }
                    Fate::Garbage => arrivals.push((time, b"no packet".to_vec())),
                }
                arrivals.push((at, packet.encode()));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        let packets = without_late_duplicates(arrivals.into_iter().map(|(_, packet)| packet));
        Case {
            max_heaps,
            substreams,
            out_of_order,
            allow_unsized,
            stop_on_stop_item,
            contiguous_only,
            packets,
        }
    })
}

/// We recognise packets of a heap that was completed a short while ago as duplicates; with the peer they start a ghost of
/// it. So once all of a heap has come, no more packets of it are sent (but whole heaps, which neither side matches).
fn without_late_duplicates(packets: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut received: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
    packets
        .filter(|bytes| {
            let Ok(packet) = Packet::parse(bytes) else { return true };
            if packet.is_whole_heap() {
                return true;
            }
            let bytes = received.entry(packet.heap_cnt()).or_default();
            if let Some(length) = packet.heap_length() {
                // The shortest that was told: it may be complete by any.
                let known = lengths.entry(packet.heap_cnt()).or_insert(length);
                *known = (*known).min(length);
            }
            let length = lengths.get(&packet.heap_cnt()).copied().unwrap_or(u64::MAX);
            let done = (0..length.min(1 << 12)).all(|byte| bytes.contains(&byte)) && length <= 1 << 12;
            bytes.extend(packet.payload_offset()..packet.payload_offset() + packet.payload_length());
            !done
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn for_the_peer(case: &Case) -> Value {
    json!({
        "config": {
            "max_heaps": case.max_heaps,
            "substreams": case.substreams,
            "allow_out_of_order": case.out_of_order,
            "allow_unsized_heaps": case.allow_unsized,
            "stop_on_stop_item": case.stop_on_stop_item,
        },
        "contiguous_only": case.contiguous_only,
        "packets": case.packets.iter().map(|packet| hex(packet)).collect::<Vec<_>>(),
    })
}

fn describe(heap: &Heap) -> Value {
    let items: Vec<Value> = heap
        .items()
        .map(|item| match item.value {
            ItemValue::Immediate(value) => json!([item.id, value]),
            ItemValue::Addressed(bytes) => json!([item.id, hex(bytes)]),
        })
        .collect();
    let about = json!([heap.flavour().heap_address_bits, heap.is_start_of_stream(), heap.is_end_of_stream()]);
    if heap.is_contiguous() {
        return json!([heap.cnt(), about, true, null, null, null, items]);
    }
    let ranges: Vec<_> = heap.payload_ranges().iter().map(|range| json!([range.start, range.end])).collect();
    let length = heap.length().map_or(-1, |length| length as i64);
    json!([heap.cnt(), about, false, length, heap.received_length(), ranges, items])
}

fn ours(pool: &Arc<ThreadPool>, case: &Case) -> Value {
    let config = StreamConfig {
        max_heaps: case.max_heaps,
        substreams: case.substreams,
        allow_out_of_order: case.out_of_order,
        allow_unsized_heaps: case.allow_unsized,
        stop_on_stop_item: case.stop_on_stop_item,
        ..StreamConfig::default()
    };
    let ring = RingConfig {
        heaps: 3,
        contiguous_only: case.contiguous_only,
        incomplete_keep_payload_ranges: true,
        ..RingConfig::default()
    };
    let stream = HeapRingStream::new(pool, config, ring).unwrap();
    assert!(stream.stream().add_reader(MemoryReader::of(case.packets.clone())).unwrap());
    let mut heaps = Vec::new();
    while let Ok(heap) = stream.get(Wait::Forever) {
        heaps.push(describe(&heap));
        Heap::recycle(heap);
    }
    stream.stream().stop().unwrap();
    let stats = stream.stream().snapshot();
    assert!(stats.ledger_closes(), "{stats:?}");
    assert!(matches!(stream.stream().end_reason(), Some(EndReason::StopItem | EndReason::SourceEnded)));
    assert_eq!(stats[Stat::HeapsReady], heaps.len() as u64);
    assert_eq!(stats[Stat::HeapsUndelivered] + stats[Stat::PacketsPending], 0);
    // The peer does not count malformed packets, nor those that come after the stop item.
    let uncounted: u64 = Stat::ALL
        .iter()
        .filter(|stat| stat.name().starts_with("malformed_") || **stat == Stat::PacketsAfterStop)
        .map(|&stat| stats[stat])
        .sum();
    json!({
        "heaps": heaps,
        "stats": {
            "heaps": stats[Stat::Heaps],
            "incomplete_heaps_evicted": stats[Stat::IncompleteHeapsEvicted],
            "incomplete_heaps_flushed": stats[Stat::IncompleteHeapsFlushed],
            "packets": stats[Stat::Packets] - uncounted,
            // The peer counts the heap with the stop item here (and only here), which came in one packet.
            "single_packet_heaps": stats[Stat::SinglePacketHeaps] + stats[Stat::PacketsControl],
        },
    })
}

/// The answers of spead2, or `None` where it is not to be had.
fn peer(cases: &[Case]) -> Option<Vec<Value>> {
    let root = env!("CARGO_MANIFEST_DIR");
    let python = peer::python()?;
    let mut input = tempfile::tempfile().unwrap();
    for case in cases {
        writeln!(input, "{}", for_the_peer(case)).unwrap();
    }
    std::io::Seek::rewind(&mut input).unwrap();
    let output = Command::new(python)
        .arg(format!("{root}/tests/live/receive_spead2.py"))
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn both_receivers_make_the_same_of_the_same_packets() {
    let count = std::env::var("AQ_DIFFERENTIAL_CASES").map_or(2000, |count| count.parse().unwrap());
    let seed = std::env::var("AQ_DIFFERENTIAL_SEED").map_or(1, |seed| seed.parse::<u8>().unwrap());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let cases: Vec<Case> = (0..count).map(|_| case().new_tree(&mut runner).unwrap().current()).collect();
    let Some(theirs) = peer(&cases) else { return };
    assert_eq!(theirs.len(), cases.len());
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let mut delivered = 0;
    for (number, (case, theirs)) in cases.iter().zip(theirs).enumerate() {
        let ours = ours(&pool, case);
        delivered += ours["heaps"].as_array().unwrap().len();
        if ours != theirs {
            let packets: Vec<_> = case.packets.iter().map(|p| format!("{:?}", Packet::parse(p))).collect();
            panic!(
                "case {number}: {case:?}\n{}\nours   {ours}\ntheirs {theirs}",
                packets.join("\n"),
                case = Case { packets: vec![], ..case.clone() }
            );
        }
    }
    // Not by everything having been lost.
    assert!(delivered > count, "{delivered}");
}
