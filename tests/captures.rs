//! Real traffic of spead2, from capture files, through a chunk stream: every payload must be the one that was sent.
#![cfg(feature = "pcap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use aqueduct::recv::reader::PcapReader;
use aqueduct::recv::stats::Stat;
use aqueduct::recv::{EndReason, StreamConfig};
use serde_json::Value;
use support::{Layout, Received, TIMESTAMP, data, receive};

/// What a capture's JSON says was sent.
struct Expected {
    json: Value,
    layout: Layout,
    /// SHA-256 by heap number (timestamp / step); the heap's cnt is its number + 1.
    sha256: BTreeMap<u64, String>,
}

impl Expected {
    fn load(name: &str) -> Self {
        let text = std::fs::read_to_string(data(&format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let step = json["timestamp_step"].as_u64().unwrap();
        let sha256 = json["heaps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|heap| {
                (heap["timestamp"].as_u64().unwrap() / step, heap["sha256"].as_str().unwrap().to_owned())
            })
            .collect();
        let heap_size = json["heap_bytes"].as_u64().unwrap() as usize;
        assert_eq!(json["items"]["timestamp"].as_u64().unwrap(), TIMESTAMP);
        Self { json, layout: Layout { step, heap_size, heaps_per_chunk: 8 }, sha256 }
    }

    /// Heap numbers from a list of heap cnts; the stop heap, the last, is left out.
    fn numbers(&self, list: &str) -> BTreeSet<u64> {
        let stop = self.sha256.len() as u64;
        let cnts = self.json[list].as_array().unwrap();
        cnts.iter().map(|cnt| cnt.as_u64().unwrap() - 1).filter(|&number| number != stop).collect()
    }
}

fn run(name: &str, config: StreamConfig) -> (Expected, Received) {
    let expected = Expected::load(name);
    let reader = PcapReader::open(&data(&format!("{name}.pcap")), None).unwrap();
    let received = receive(config, expected.layout, |stream| {
        assert!(stream.add_reader(Box::new(reader)).unwrap());
    });
    assert!(received.stats.ledger_closes(), "{:?}", received.stats);
    assert_eq!(received.stats[Stat::PacketsPending], 0);
    for (number, sha256) in &received.sha256 {
        assert_eq!(sha256, &expected.sha256[number], "heap {number} of {name}");
    }
    (expected, received)
}

#[test]
fn undamaged_captures_arrive_whole() {
    for name in ["chunks_1472_48", "chunks_9000_40", "chunks_single_packet"] {
        let (expected, received) = run(name, StreamConfig::default());
        assert_eq!(received.end, EndReason::StopItem);
        let stats = &received.stats;
        let heaps = expected.sha256.len() as u64;
        assert_eq!(received.sha256.len() as u64, heaps, "{name}");
        assert_eq!(stats[Stat::Heaps], heaps, "the stop heap is not counted");
        assert_eq!(stats[Stat::CompleteHeaps], heaps);
        assert_eq!(stats[Stat::PacketsControl], 1);
        assert_eq!(stats[Stat::PacketsDelivered], stats[Stat::Packets] - 1);
        assert_eq!(stats[Stat::BytesDelivered], heaps * expected.layout.heap_size as u64);
        let whole = if name == "chunks_single_packet" { heaps } else { 0 };
        assert_eq!(stats[Stat::SinglePacketHeaps], whole);
        let ids: Vec<i64> = (0..(heaps as i64 + 7) / 8).collect();
        assert_eq!(received.chunk_ids, ids);
    }
}

#[test]
fn damaged_captures_give_the_heaps_that_can_be_had() {
    for name in ["chunks_lossy", "chunks_reordered", "chunks_duplicated"] {
        let config = StreamConfig { allow_out_of_order: true, ..StreamConfig::default() };
        let (expected, received) = run(name, config);
        let stats = &received.stats;
        let complete: BTreeSet<u64> = received.sha256.keys().copied().collect();
        assert_eq!(complete, expected.numbers("complete_cnts"), "{name}");
        let incomplete = expected.numbers("incomplete_cnts").len() as u64;
        let given_up = stats[Stat::IncompleteHeapsEvicted] + stats[Stat::IncompleteHeapsFlushed];
        assert_eq!(given_up, incomplete, "{name}: no ghost heaps, none forgotten");
        assert_eq!(stats[Stat::Heaps], complete.len() as u64 + incomplete);
        let duplicates = expected.json["duplicated_packets"].as_array().unwrap().len() as u64;
        assert_eq!(stats[Stat::Duplicate], duplicates, "{name}");
    }
}

#[test]
fn in_order_mode_discards_what_comes_out_of_order_and_counts_it() {
    let (expected, received) = run("chunks_lossy", StreamConfig::default());
    assert_eq!(received.sha256.keys().copied().collect::<BTreeSet<_>>(), expected.numbers("complete_cnts"));
    let (_, received) = run("chunks_reordered", StreamConfig::default());
    assert!(received.stats[Stat::OutOfOrder] > 0);
    assert!(received.stats[Stat::HeapsLostStart] > 0);
    let (expected, received) = run("chunks_duplicated", StreamConfig::default());
    assert_eq!(received.sha256.len(), expected.sha256.len());
    assert_eq!(received.stats[Stat::Duplicate], 11);
}
