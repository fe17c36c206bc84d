//! Items of real heaps: what spead2 sent must be what an item group has, value for value.
#![cfg(feature = "pcap")]

mod support;

use std::sync::Arc;

use aqueduct::recv::StreamConfig;
use aqueduct::recv::heap::{Heap, HeapRingStream, RingConfig};
use aqueduct::recv::reader::{PcapReader, Reader};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::dtype::{Dtype, Kind};
use aqueduct::spead::group::{GroupLimits, ItemGroup, Update};
use aqueduct::spead::value::{Number, Value};
use serde_json::{Value as Json, json};

use support::{data, sha256};

/// Calls `check` with each heap of a stream of this reader, and the group after it.
fn each_heap(reader: Box<dyn Reader>, bug_compat: u8, mut check: impl FnMut(&Heap, &ItemGroup, &Update)) {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let config = StreamConfig { bug_compat, ..StreamConfig::default() };
    let stream = HeapRingStream::new(&pool, config, RingConfig::default()).unwrap();
    assert!(stream.stream().add_reader(reader).unwrap());
    let mut group = ItemGroup::new(GroupLimits::default());
    while let Ok(heap) = stream.get(Wait::Forever) {
        let update = group.update(heap.items(), heap.flavour(), heap.bug_compat());
        check(&heap, &group, &update);
    }
}

/// One element as JSON.
fn element(dtype: &Dtype, bytes: &[u8]) -> Json {
    let Dtype::Scalar(scalar) = dtype else {
        let field = |field: &aqueduct::spead::dtype::Field| {
            element(&field.dtype, &bytes[field.offset..field.offset + field.size()])
        };
        return dtype.fields().iter().map(field).collect();
    };
    if scalar.kind == Kind::Bytes {
        return json!(String::from_utf8_lossy(bytes));
    }
    let value =
        Value { dtype: Arc::new(dtype.clone()), shape: vec![], fortran_order: false, bytes: bytes.to_vec() };
    match value.number().unwrap() {
        Number::Unsigned(number) => json!(number),
        Number::Signed(number) => json!(number),
        Number::Float(number) => json!(number),
    }
}

/// An array as nested lists; a line of characters as text.
fn elements(dtype: &Dtype, shape: &[usize], bytes: &[u8]) -> Json {
    match shape {
        [] => element(dtype, bytes),
        [_] if dtype.to_string() == "|S1" => json!(String::from_utf8_lossy(bytes)),
        [n, rest @ ..] => {
            let part = bytes.len() / n.max(&1);
            (0..*n).map(|i| elements(dtype, rest, &bytes[i * part..(i + 1) * part])).collect()
        }
    }
}

/// A type as it is delivered on a machine that has the least significant byte first.
fn native(text: &str) -> String {
    text.replace('>', "<")
}

fn check_capture(name: &str) {
    let text = std::fs::read_to_string(data(&format!("{name}.json"))).unwrap();
    let expected: Json = serde_json::from_str(&text).unwrap();
    let bug_compat = expected["bug_compat"].as_u64().unwrap() as u8;
    let reader = PcapReader::open(&data(&format!("{name}.pcap")), None).unwrap();
    let heaps = expected["heaps"].as_array().unwrap();
    let mut next = 0;
    each_heap(Box::new(reader), bug_compat, |heap, group, update| {
        assert_eq!(update.errors, []);
        if update.changed.is_empty() {
            return;
        }
        let expected_heap = &heaps[next];
        next += 1;
        assert_eq!(heap.cnt(), expected_heap["cnt"].as_u64().unwrap());
        let items = expected_heap["items"].as_object().unwrap();
        assert_eq!(update.changed.len(), items.len());
        for (id, expected) in items {
            let id = u64::from_str_radix(&id[2..], 16).unwrap();
            let item = group.find_id(id).unwrap();
            let value = item.value.as_ref().unwrap();
            assert_eq!(item.version, next as u64, "{}", item.descriptor.name);
            if let Some(expected) = expected.get("value") {
                let found = elements(&value.dtype, &value.shape, &value.bytes);
                // The sender's floats are doubles that it cut to 32 bits.
                let close = |a: &Json, b: &Json| match (a.as_f64(), b.as_f64()) {
                    (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * b.abs(),
                    _ => a == b,
                };
                match (found.as_array(), expected.as_array()) {
                    (Some(found), Some(expected)) if found.iter().all(Json::is_array) => {
                        assert_eq!(found.len(), expected.len());
                        for (found, expected) in found.iter().zip(expected) {
                            let (found, expected) = (found.as_array().unwrap(), expected.as_array().unwrap());
                            assert_eq!(found.len(), expected.len());
                            assert!(
                                found.iter().zip(expected).all(|(a, b)| close(a, b)),
                                "{found:?} {expected:?}"
                            );
                        }
                    }
                    _ => assert_eq!(&found, expected, "{}", item.descriptor.name),
                }
            } else {
                assert_eq!(native(&value.dtype.to_string()), native(expected["dtype"].as_str().unwrap()));
                assert_eq!(json!(value.shape), expected["shape"]);
                assert_eq!(if value.fortran_order { "F" } else { "C" }, expected["order"].as_str().unwrap());
                let found = sha256(&value.c_order_bytes());
                assert_eq!(found, expected["sha256_c_order_native"], "{}", item.descriptor.name);
            }
        }
        for described in expected["descriptors"].as_array().unwrap() {
            let item = group.find_name(described["name"].as_str().unwrap()).unwrap();
            assert_eq!(format!("{:#x}", item.descriptor.id), described["id"]);
            let shape: Vec<i64> = item.descriptor.shape.iter().map(|n| n.map_or(-1, |n| n as i64)).collect();
            assert_eq!(json!(shape), described["shape"]);
        }
    });
    assert_eq!(next, heaps.len());
}

#[test]
fn captures_of_all_flavours_have_the_values_that_were_sent() {
    for name in ["items_48", "items_40", "items_40_pyspead_bugs"] {
        check_capture(name);
    }
}

/// When each frame of a classic capture in little endian was captured, in nanoseconds.
fn times(name: &str) -> Vec<u64> {
    let file = std::fs::read(data(name)).unwrap();
    let number = |at: usize| u64::from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap()));
    let mut times = Vec::new();
    let mut at = 24;
    while at < file.len() {
        times.push(number(at) * 1_000_000_000 + number(at + 4) * 1000);
        at += 16 + number(at + 8) as usize;
    }
    times
}

#[test]
fn heaps_of_a_capture_arrived_when_they_were_captured() {
    let times = times("items_48.pcap");
    let reader = PcapReader::open(&data("items_48.pcap"), None).unwrap();
    let mut arrivals = Vec::new();
    each_heap(Box::new(reader), 0, |heap, _, _| {
        arrivals.extend([heap.first_arrival(), heap.last_arrival()].map(|at| at.unwrap().nanoseconds));
    });
    // All packets in order; the last one is the stop item.
    assert_eq!((arrivals[0], arrivals[11]), (times[0], times[times.len() - 2]));
    assert!(arrivals.iter().all(|at| times.contains(at)) && arrivals.is_sorted());
    assert!(arrivals.chunks(2).all(|heap| heap[0] < heap[1]), "each heap has several packets");
}
