//! A chunk stream between two rings: empty chunks come from one, filled ones go to the other.

use std::sync::Arc;

use super::handler::{ChunkHandler, Undelivered};
use super::item::Chunk;
use super::place::ChunkStreamConfig;
use crate::error::{Error, Result};
use crate::recv::{Stream, StreamConfig};
use crate::ring::{PutError, Ring, Wait};

/// A ring of chunks.
pub type ChunkRing = Ring<Box<Chunk>>;

/// What became of a chunk given back.
#[derive(Debug)]
pub enum AddFree {
    /// It is in the free ring.
    Added,
    /// The free ring has been stopped; nobody needs the chunk any more.
    Stopped(Box<Chunk>),
    /// The free ring is full.
    Full(Box<Chunk>),
}

/// A stream that fills chunks from a free ring and puts them on a data ring.
#[derive(Debug)]
pub struct ChunkRingStream {
    stream: Stream,
    data: Arc<ChunkRing>,
    free: Arc<ChunkRing>,
    /// Filled by the handler at the end; freed with this stream.
    _undelivered: Undelivered,
}

impl ChunkRingStream {
    /// A stream on a worker of `pool`. It registers as a producer of `data`.
    pub fn new(
        pool: &Arc<crate::runtime::ThreadPool>,
        config: StreamConfig,
        chunk_config: ChunkStreamConfig,
        data: Arc<ChunkRing>,
        free: Arc<ChunkRing>,
    ) -> Result<Self> {
        chunk_config.check()?;
        if Arc::ptr_eq(&data, &free) {
            return Err(Error::invalid("data_ring and free_ring must be two rings"));
        }
        let undelivered = Undelivered::default();
        let handler =
            ChunkHandler::new(chunk_config, &config, data.clone(), free.clone(), undelivered.clone());
        // Before the stream can end, and undone if it cannot begin.
        data.add_producer();
        let stream = match Stream::new(pool, config, handler) {
            Ok(stream) => stream,
            Err(error) => {
                data.withdraw_producer();
                return Err(error);
            }
        };
        Ok(Self { stream, data, free, _undelivered: undelivered })
    }

    /// The stream proper: readers, statistics, stop.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Where filled chunks go.
    pub fn data_ring(&self) -> &Arc<ChunkRing> {
        &self.data
    }

    /// Where empty chunks come from.
    pub fn free_ring(&self) -> &Arc<ChunkRing> {
        &self.free
    }

    /// Gives back a chunk to be filled again: clears its presence flags and puts it on the free ring, without waiting.
    pub fn add_free_chunk(&self, mut chunk: Box<Chunk>) -> AddFree {
        chunk.present.zero();
        match self.free.put(chunk, Wait::No) {
            Ok(()) => AddFree::Added,
            Err(PutError::Stopped(chunk)) => AddFree::Stopped(chunk),
            Err(PutError::Full(chunk) | PutError::TimedOut(chunk)) => AddFree::Full(chunk),
        }
    }
}
