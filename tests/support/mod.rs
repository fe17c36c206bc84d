//! What the end-to-end tests share: a placement by timestamp, and a consumer that hashes each heap as placed.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod lines;
pub mod network;
pub mod rig;
pub mod rng;
pub mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aqueduct::chunk::{
    AddFree, Chunk, ChunkRing, ChunkRingStream, ChunkStreamConfig, PlaceRequest, Placement,
};
use aqueduct::memory::{Allocator, Buffer, HeapAllocator};
use aqueduct::recv::stats::Snapshot;
use aqueduct::recv::{EndReason, Stream, StreamConfig};
use aqueduct::ring::{Ring, Wait};
use aqueduct::runtime::ThreadPool;
use sha2::{Digest, Sha256};

pub const TIMESTAMP: u64 = 0x1600;

/// A file of tests/data.
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Heaps of one size, numbered by a timestamp.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub step: u64,
    pub heap_size: usize,
    pub heaps_per_chunk: usize,
}

impl Layout {
    pub fn place(self, request: &mut PlaceRequest<'_>) -> Placement {
        let timestamp = request.items[0];
        if timestamp < 0 {
            return Placement::REJECT;
        }
        let heap = timestamp as usize / self.step as usize;
        let heap_index = heap % self.heaps_per_chunk;
        Placement {
            chunk_id: (heap / self.heaps_per_chunk) as i64,
            heap_index,
            heap_offset: heap_index * self.heap_size,
            extra_offset: 0,
            extra_size: 0,
        }
    }

    pub fn chunk_config(self) -> ChunkStreamConfig {
        ChunkStreamConfig {
            items: vec![TIMESTAMP],
            ..ChunkStreamConfig::new(Box::new(move |request: &mut PlaceRequest<'_>| self.place(request)))
        }
    }

    pub fn chunk(self) -> Box<Chunk> {
        let block = |size| HeapAllocator.allocate(size, None).unwrap();
        let mut data = block(self.heap_size * self.heaps_per_chunk);
        data.zero();
        Box::new(Chunk::new(data, block(self.heaps_per_chunk), Buffer::empty()).unwrap())
    }

    pub fn heap(self, chunk: &Chunk, index: usize) -> Option<&[u8]> {
        // SAFETY: the flags and the data were zeroed when the chunk was made, and the chunk is ours.
        unsafe {
            let present = std::slice::from_raw_parts(chunk.present.as_ptr(), self.heaps_per_chunk);
            let data = std::slice::from_raw_parts(chunk.data.as_ptr(), chunk.data.len());
            (present[index] == 1).then(|| &data[index * self.heap_size..][..self.heap_size])
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A chunk stream with its rings and `chunks` free chunks.
pub fn chunk_stream(
    config: StreamConfig,
    chunk_config: ChunkStreamConfig,
    layout: Layout,
    chunks: usize,
) -> ChunkRingStream {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let ring = || Arc::new(ChunkRing::new(chunks).unwrap());
    let stream = ChunkRingStream::new(&pool, config, chunk_config, ring(), ring()).unwrap();
    for _ in 0..chunks {
        assert!(matches!(stream.add_free_chunk(layout.chunk()), AddFree::Added));
    }
    stream
}

/// What a consumer found until the stream ended by itself.
pub struct Received {
    pub chunk_ids: Vec<i64>,
    /// By heap number, of the heaps marked present.
    pub sha256: BTreeMap<u64, String>,
    pub stats: Snapshot,
    pub end: EndReason,
}

/// Takes chunks until the data ring stops.
pub fn consume(stream: &ChunkRingStream, layout: Layout) -> Received {
    let mut chunk_ids = vec![];
    let mut hashes = BTreeMap::new();
    let data: &Ring<Box<Chunk>> = stream.data_ring();
    while let Ok(chunk) = data.get(Wait::Forever) {
        chunk_ids.push(chunk.id);
        for index in 0..layout.heaps_per_chunk {
            if let Some(heap) = layout.heap(&chunk, index) {
                let number = chunk.id as u64 * layout.heaps_per_chunk as u64 + index as u64;
                assert!(hashes.insert(number, sha256(heap)).is_none(), "heap {number} came twice");
            }
        }
        stream.add_free_chunk(chunk);
    }
    // The ring stops just before the worker says why.
    stream.stream().stop().unwrap();
    let end = stream.stream().end_reason().unwrap();
    Received { chunk_ids, sha256: hashes, stats: stream.stream().snapshot(), end }
}

/// Runs a stream fed by what `feed` adds, until it ends by itself.
pub fn receive(config: StreamConfig, layout: Layout, feed: impl FnOnce(&Stream)) -> Received {
    let stream = chunk_stream(config, layout.chunk_config(), layout, 6);
    feed(stream.stream());
    consume(&stream, layout)
}
