//! A small heap costs no allocation of its own, neither for itself nor for its items, once heaps that were freed come back.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqueduct::recv::StreamConfig;
use aqueduct::recv::heap::{Heap, HeapCallbackStream, RingConfig};
use aqueduct::recv::reader::BufferReader;
use aqueduct::runtime::ThreadPool;
use support::wire::{Wire, pattern};

/// Counts all allocations of the process.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn small_heaps_are_made_of_those_that_were_freed() {
    const HEAPS: u64 = 20_000;
    let packets = (0..HEAPS).flat_map(|cnt| {
        let heap = Wire::whole(cnt, pattern(cnt, 1024)).item(true, 0x1600, cnt).item(false, 0x1601, 0);
        heap.encode()
    });
    let packets: Vec<u8> = packets.collect();
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    // A callback's stream never waits for its consumer: waits have costs of their own.
    let (sender, ended) = std::sync::mpsc::channel();
    let (mut seen, mut before) = (0, 0);
    let callback = move |heap: Box<Heap>, _: &mut [u64]| {
        assert_eq!((heap.cnt(), heap.items().count()), (seen, 2));
        Heap::recycle(heap);
        seen += 1;
        match seen {
            1000 => before = ALLOCATIONS.load(Ordering::Relaxed),
            HEAPS => sender.send(ALLOCATIONS.load(Ordering::Relaxed) - before).unwrap(),
            _ => {}
        }
    };
    let ring = RingConfig::default();
    let stream = HeapCallbackStream::new(&pool, StreamConfig::default(), &ring, callback).unwrap();
    assert!(stream.stream().add_reader(Box::new(BufferReader::copy_of(&packets))).unwrap());
    let allocations = ended.recv().unwrap();
    assert!(allocations < HEAPS / 100, "{allocations} allocations for {HEAPS} heaps");
}
