//! Packets that another implementation sent.

#[path = "data/mod.rs"]
mod data;

use std::collections::BTreeMap;

use aqueduct::spead::{Packet, id};
use sha2::{Digest, Sha256};

#[test]
fn every_packet_parses() {
    for (name, n) in data::CAPTURES {
        let datagrams = data::datagrams(name);
        assert_eq!(datagrams.len(), n, "{name}");
        for datagram in &datagrams {
            let packet = Packet::parse(datagram).unwrap_or_else(|reason| panic!("{name}: {reason}"));
            assert_eq!(packet.size(), datagram.len(), "{name}");
            assert!(packet.heap_length().is_some(), "{name}");
        }
        assert!(datagrams.iter().any(|datagram| Packet::parse(datagram).unwrap().is_stop()), "{name}");
    }
}

/// Payloads put where their packets say make the heaps that were sent.
#[test]
fn heaps_of_the_chunk_captures() {
    for name in
        ["chunks_1472_48", "chunks_9000_40", "chunks_reordered", "chunks_duplicated", "chunks_single_packet"]
    {
        let json = std::fs::read(data::path(name).with_extension("json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let mut heaps = BTreeMap::new();
        for datagram in data::datagrams(name) {
            let packet = Packet::parse(&datagram).unwrap();
            let flavour = packet.flavour();
            let announced = [json["flavour"][0].as_u64(), json["flavour"][2].as_u64()];
            assert_eq!([flavour.version.into(), flavour.heap_address_bits.into()].map(Some), announced);
            if packet.is_stop() {
                continue;
            }
            let heap = heaps.entry(packet.heap_cnt()).or_insert_with(|| {
                let ids = &json["items"];
                let item = |name: &str| packet.immediate(ids[name].as_u64().unwrap()).unwrap();
                (item("timestamp"), item("channel"), vec![0; packet.heap_length().unwrap() as usize])
            });
            let at = packet.payload_offset() as usize;
            heap.2[at..at + packet.payload().len()].copy_from_slice(packet.payload());
            let raw = packet.pointers().find(|p| Some(p.id()) == json["items"]["raw"].as_u64()).unwrap();
            assert_eq!(raw.address(), Some(0));
            assert_eq!(packet.immediate(id::HEAP_CNT), Some(packet.heap_cnt()));
        }
        let expected = json["heaps"].as_array().unwrap();
        assert_eq!(heaps.len(), expected.len(), "{name}");
        for heap in expected {
            let (timestamp, channel, payload) = &heaps[&heap["cnt"].as_u64().unwrap()];
            assert_eq!(heap["timestamp"].as_u64(), Some(*timestamp), "{name}");
            assert_eq!(heap["channel"].as_u64(), Some(*channel), "{name}");
            let hash: String = Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(heap["sha256"].as_str(), Some(&*hash), "{name}");
        }
    }
}
