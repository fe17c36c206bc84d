//! Where a heap goes: the question, the answer, and what a chunk stream is told at its creation.

use std::fmt;

use crate::error::{Error, Result};

/// Chunks that are filled at the same time, unless said otherwise.
pub const DEFAULT_MAX_CHUNKS: usize = 2;

/// More chunks at a time than this cannot be meant.
const MAX_MAX_CHUNKS: usize = 1 << 20;

/// More requested items, or more extra bytes per heap, than this cannot be meant.
const MAX_ITEMS: usize = 1 << 16;
const MAX_HEAP_EXTRA: usize = 1 << 24;

/// What a place callback is given about a heap, from its first packet.
#[derive(Debug)]
pub struct PlaceRequest<'a> {
    /// The packet, whole.
    pub packet: &'a [u8],
    /// The immediate values of the requested items, -1 where one is missing.
    pub items: &'a [i64],
    /// The batch's statistics, to add to: built-in ones first, then the user's.
    pub stats: &'a mut [u64],
    /// Bytes that can be written, to be copied into the chunk.
    pub extra: &'a mut [u8],
}

/// What a place callback answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The chunk; below 0 the heap is rejected.
    pub chunk_id: i64,
    /// The heap's byte in the chunk's `present`.
    pub heap_index: usize,
    /// Where its payload starts in the chunk's `data`.
    pub heap_offset: usize,
    /// Where its extra bytes go in the chunk's `extra`.
    pub extra_offset: usize,
    /// How many extra bytes were written.
    pub extra_size: usize,
}

impl Placement {
    /// The heap is not wanted.
    pub const REJECT: Self =
        Self { chunk_id: -1, heap_index: 0, heap_offset: 0, extra_offset: 0, extra_size: 0 };
}

/// A place callback. It is called on the stream's worker, once per heap.
pub trait Place: Send {
    /// Decides where a heap goes.
    fn place(&mut self, request: &mut PlaceRequest<'_>) -> Placement;
}

impl<F: FnMut(&mut PlaceRequest<'_>) -> Placement + Send> Place for F {
    fn place(&mut self, request: &mut PlaceRequest<'_>) -> Placement {
        self(request)
    }
}

/// Settings of a chunk stream.
pub struct ChunkStreamConfig {
    /// Items whose immediate values the place callback gets.
    pub items: Vec<u64>,
    /// Chunks that are filled at the same time: 1 to 2^20; 2 by default.
    pub max_chunks: usize,
    /// The place callback.
    pub place: Box<dyn Place>,
    /// Extra bytes that the callback may write per heap, at most 16 MiB.
    pub max_heap_extra: usize,
    /// 0: `present` has a byte per heap. Otherwise a byte per packet, of which all but a heap's last have this many bytes
    /// of payload.
    pub packet_presence_payload_size: usize,
    /// How many chunks the window may jump ahead at the word of a single heap; 0: any number. 2^20 by default. Beyond that, or
    /// to start anew that far back, it takes `jump_confirm` further heaps.
    pub max_jump: u64,
    /// How many further heaps in a row must agree before the window jumps further than that. 8 by default.
    pub jump_confirm: u32,
}

impl fmt::Debug for ChunkStreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkStreamConfig").field("items", &self.items).finish_non_exhaustive()
    }
}

impl ChunkStreamConfig {
    /// The defaults, with that place callback.
    pub fn new(place: Box<dyn Place>) -> Self {
        Self {
            items: Vec::new(),
            max_chunks: DEFAULT_MAX_CHUNKS,
            place,
            max_heap_extra: 0,
            packet_presence_payload_size: 0,
            max_jump: 1 << 20,
            jump_confirm: 8,
        }
    }

    /// Checks every field's range.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_MAX_CHUNKS).contains(&self.max_chunks) {
            return Err(Error::invalid(format!(
                "max_chunks must be between 1 and {MAX_MAX_CHUNKS} (got {})",
                self.max_chunks
            )));
        }
        if self.items.len() > MAX_ITEMS {
            return Err(Error::invalid(format!(
                "n_items must be at most {MAX_ITEMS} (got {})",
                self.items.len()
            )));
        }
        if self.max_heap_extra > MAX_HEAP_EXTRA {
            return Err(Error::invalid(format!(
                "max_heap_extra must be at most {MAX_HEAP_EXTRA} (got {})",
                self.max_heap_extra
            )));
        }
        Ok(())
    }
}
