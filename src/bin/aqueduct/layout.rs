//! Where heaps go in chunks, by the value of a counter item; and the way back, from a chunk to its heaps.
//!
//! Heap number = item value / step; its chunk = heap number / heaps per chunk. Beside each heap its length is noted in
//! the chunk's extra bytes, so that what an earlier heap left behind a shorter one is not taken for data.

use aqueduct::chunk::{Chunk, ChunkStreamConfig, Place, PlaceRequest, Placement};
use aqueduct::error::Result;
use aqueduct::log::Limited;
use aqueduct::memory::{Allocator, HeapAllocator, MmapAllocator};
use aqueduct::spead::id;

/// Bytes in which a heap's length is noted.
const NOTE: usize = size_of::<u64>();

/// How heaps are laid out in a chunk.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The item that counts.
    pub item: u64,
    /// How much it counts per heap; at least 1.
    pub step: u64,
    /// Room for a heap, in bytes.
    pub heap_size: usize,
    /// At least 1.
    pub heaps_per_chunk: usize,
    /// `heap_size * heaps_per_chunk`
    chunk_size: usize,
    /// `NOTE * heaps_per_chunk`
    notes_size: usize,
}

impl Layout {
    /// `None` if a chunk would be larger than memory can be.
    pub fn new(item: u64, step: u64, heap_size: usize, heaps_per_chunk: usize) -> Option<Self> {
        let fits =
            |size: usize| heaps_per_chunk.checked_mul(size).filter(|&size| isize::try_from(size).is_ok());
        let (chunk_size, notes_size) = (fits(heap_size)?, fits(NOTE)?);
        Some(Self { item, step, heap_size, heaps_per_chunk, chunk_size, notes_size })
    }

    /// What a chunk stream of this layout is told.
    pub fn chunk_config(self, max_chunks: usize) -> ChunkStreamConfig {
        let place = Placer { layout: self, too_long: Limited::new("heaps longer than --heap-size") };
        ChunkStreamConfig {
            items: vec![self.item, id::HEAP_LENGTH],
            max_heap_extra: NOTE,
            max_chunks,
            ..ChunkStreamConfig::new(Box::new(place))
        }
    }

    /// A chunk, all zero.
    pub fn allocate(self) -> Result<Box<Chunk>> {
        let mut data = MmapAllocator { prefer_huge: true, ..MmapAllocator::default() }
            .allocate(self.chunk_size, None)?;
        // Touches every page as well, so that the first packets do not wait for the system to find them.
        data.zero();
        let mut notes = HeapAllocator.allocate(self.notes_size, None)?;
        notes.zero();
        Ok(Box::new(Chunk::new(data, HeapAllocator.allocate(self.heaps_per_chunk, None)?, notes)?))
    }

    /// The bytes of each heap of a chunk from [`allocate`](Self::allocate), `None` where it is not present.
    pub fn heaps(self, chunk: &Chunk) -> impl Iterator<Item = Option<&[u8]>> {
        // SAFETY: `allocate` has zeroed data and extra bytes, and Chunk::new the flags.
        let (data, present, notes) =
            unsafe { (chunk.data.as_slice(), chunk.present.as_slice(), chunk.extra.as_slice()) };
        let slots = data.chunks_exact(self.heap_size).zip(present).zip(notes.as_chunks::<NOTE>().0);
        slots.map(|((slot, &present), &length)| {
            let length = usize::try_from(u64::from_ne_bytes(length)).ok()?;
            slot.get(..length).filter(|_| present == 1)
        })
    }
}

/// The place callback.
struct Placer {
    layout: Layout,
    too_long: Limited,
}

impl Place for Placer {
    fn place(&mut self, request: &mut PlaceRequest<'_>) -> Placement {
        let Layout { step, heap_size, heaps_per_chunk, .. } = self.layout;
        // -1 is what a missing item has.
        let &[value, length] = request.items else { return Placement::REJECT };
        let (Ok(value), Ok(length)) = (u64::try_from(value), u64::try_from(length)) else {
            return Placement::REJECT;
        };
        if length > heap_size as u64 {
            // It would run into the next heap.
            self.too_long.note(|| format!("{length} bytes"));
            return Placement::REJECT;
        }
        let heap = value / step;
        let (chunk_id, heap_index) =
            (heap / heaps_per_chunk as u64, (heap % heaps_per_chunk as u64) as usize);
        let Ok(chunk_id) = i64::try_from(chunk_id) else { return Placement::REJECT };
        request.extra[..NOTE].copy_from_slice(&length.to_ne_bytes());
        Placement {
            chunk_id,
            heap_index,
            heap_offset: heap_index * heap_size,
            extra_offset: heap_index * NOTE,
            extra_size: NOTE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(layout: Layout, items: [i64; 2]) -> (Placement, u64) {
        let mut extra = [0; NOTE];
        let mut placer = Placer { layout, too_long: Limited::new("") };
        let placement =
            placer.place(&mut PlaceRequest { packet: &[], items: &items, stats: &mut [], extra: &mut extra });
        (placement, u64::from_ne_bytes(extra))
    }

    #[test]
    fn heaps_go_where_their_counter_says() {
        let layout = Layout::new(0x1600, 10, 100, 4).unwrap();
        let (placement, length) = place(layout, [67, 80]);
        let expected =
            Placement { chunk_id: 1, heap_index: 2, heap_offset: 200, extra_offset: 16, extra_size: 8 };
        assert_eq!((placement, length), (expected, 80));
        for items in [[-1, 80], [67, -1], [67, 101]] {
            assert_eq!(place(layout, items).0, Placement::REJECT);
        }
        assert!(place(layout, [i64::MAX, 0]).0.chunk_id > 0);
    }

    #[test]
    fn heaps_are_found_again_at_their_length() {
        let layout = Layout::new(1, 1, 4, 3).unwrap();
        let mut chunk = layout.allocate().unwrap();
        assert!(chunk.data.write(4, b"abcd"));
        assert!(chunk.extra.write(8, &3u64.to_ne_bytes()));
        assert!(chunk.present.write(1, &[1]));
        assert_eq!(layout.heaps(&chunk).collect::<Vec<_>>(), [None, Some(&b"abc"[..]), None]);
    }

    #[test]
    fn what_cannot_be_allocated_is_refused() {
        assert!(Layout::new(1, 1, usize::MAX, 2).is_none());
        assert!(Layout::new(1, 1, 1, usize::MAX / 4).is_none());
    }
}
