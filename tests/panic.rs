//! A bug in one stream (played by a Rust callback that panics) ends that stream and nothing else.

mod support;

use std::sync::Arc;

use aqueduct::chunk::{AddFree, ChunkRing, ChunkRingStream, ChunkStreamConfig, PlaceRequest, Placement};
use aqueduct::error::ErrorKind;
use aqueduct::recv::reader::BufferReader;
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;
use support::{Layout, consume};

/// A packet that is a whole heap: SPEAD-64-48, `step` as its timestamp.
fn packet(timestamp: u64, payload: &[u8]) -> Vec<u8> {
    let immediate = |id: u64, value: u64| (1 << 63 | id << 48 | value).to_be_bytes();
    let length = payload.len() as u64;
    let mut bytes = vec![0x53, 4, 2, 6, 0, 0, 0, 5];
    for pointer in [
        immediate(1, timestamp + 1),
        immediate(2, length),
        immediate(3, 0),
        immediate(4, length),
        immediate(support::TIMESTAMP, timestamp),
    ] {
        bytes.extend(pointer);
    }
    bytes.extend(payload);
    bytes
}

#[test]
fn a_panic_ends_its_stream_and_tells_the_consumer() {
    let layout = Layout { step: 1, heap_size: 4, heaps_per_chunk: 2 };
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let new = |chunk_config: ChunkStreamConfig| {
        let ring = || Arc::new(ChunkRing::new(4).unwrap());
        let stream =
            ChunkRingStream::new(&pool, StreamConfig::default(), chunk_config, ring(), ring()).unwrap();
        for _ in 0..4 {
            assert!(matches!(stream.add_free_chunk(layout.chunk()), AddFree::Added));
        }
        stream
    };
    let broken = new(ChunkStreamConfig::new(Box::new(|_: &mut PlaceRequest<'_>| -> Placement {
        panic!("on purpose")
    })));
    let packets: Vec<u8> = (0..4).flat_map(|i| packet(i, &[i as u8; 4])).collect();
    assert!(broken.stream().add_reader(Box::new(BufferReader::copy_of(&packets))).unwrap());
    assert_eq!(broken.data_ring().get(Wait::Forever).unwrap_err(), GetError::Stopped);
    broken.stream().stop().unwrap();
    match broken.stream().end_reason() {
        Some(EndReason::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Internal),
        other => panic!("{other:?}"),
    }
    // The worker of both goes on.
    let sound = new(layout.chunk_config());
    assert!(sound.stream().add_reader(Box::new(BufferReader::copy_of(&packets))).unwrap());
    let received = consume(&sound, layout);
    assert_eq!(received.end, EndReason::SourceEnded);
    assert_eq!(received.sha256.len(), 4);
}
