//! Streams of heaps: what bounds their memory, what is counted when there is none, and what a heap keeps.

mod support;

use std::sync::Arc;

use aqueduct::error::{Error, ErrorKind, Result};
use aqueduct::memory::{Allocator, Buffer, HeapAllocator};
use aqueduct::recv::heap::{Heap, HeapRingStream, RingConfig};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;
use support::wire::{MemoryReader, Wire, pattern, split};

/// All heaps that come of these packets, and the statistics at the end.
#[allow(clippy::vec_box, reason = "a stream hands out boxes")]
fn receive(config: StreamConfig, ring: RingConfig, packets: Vec<Wire>) -> (Vec<Box<Heap>>, Snapshot) {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let stream = HeapRingStream::new(&pool, config, ring).unwrap();
    let packets = packets.iter().map(Wire::encode);
    assert!(stream.stream().add_reader(MemoryReader::of(packets)).unwrap());
    let heaps = std::iter::from_fn(|| stream.get(Wait::Forever).ok()).collect();
    assert!(matches!(stream.get(Wait::No), Err(GetError::Stopped)));
    stream.stream().stop().unwrap();
    let stats = stream.stream().snapshot();
    assert!(stats.ledger_closes(), "{stats:?}");
    assert_eq!(stats[Stat::PacketsPending], 0);
    (heaps, stats)
}

#[test]
fn heaps_in_progress_share_a_bounded_amount_of_memory() {
    let config = StreamConfig {
        max_heaps: 100,
        max_heap_size: 1000,
        max_heap_memory: 2500,
        ..StreamConfig::default()
    };
    // Two fit at the same time; what the third would have had is free again when the first is complete.
    let mut packets: Vec<_> = (1..=3).map(|cnt| Wire::part(cnt, 1000, 0, pattern(cnt, 10))).collect();
    packets.push(Wire::part(1, 1000, 10, pattern(1, 1000)[10..].to_vec()));
    packets.push(Wire::part(4, 1000, 0, pattern(4, 400)));
    packets.push(Wire::part(3, 1000, 10, vec![0; 990]));
    packets.push(Wire::part(4, 1000, 400, pattern(4, 1000)[400..].to_vec()));
    let (heaps, stats) = receive(config, RingConfig::default(), packets);
    assert_eq!(heaps.iter().map(|heap| heap.cnt()).collect::<Vec<_>>(), [1, 4]);
    for heap in &heaps {
        assert_eq!(heap.payload().unwrap(), pattern(heap.cnt(), 1000));
    }
    assert_eq!(stats[Stat::NoMemoryHeaps], 1);
    assert_eq!(stats[Stat::PacketsNoMemory], 2);
    assert_eq!(stats[Stat::IncompleteHeapsFlushed], 1);
}

#[test]
fn a_heap_of_unknown_length_grows_and_keeps_what_it_has() {
    let payload = pattern(9, 5000);
    let mut packets = split(9, &payload, 7);
    packets.iter_mut().for_each(|packet| packet.heap_length = None);
    let (heaps, stats) = receive(StreamConfig::default(), RingConfig::default(), packets.clone());
    assert_eq!(heaps[0].payload().unwrap(), payload);
    assert_eq!((heaps[0].length(), heaps[0].received_length()), (None, 5000));
    assert_eq!(stats[Stat::IncompleteHeapsFlushed], 1);

    // Not beyond the limit; the packets beyond it are counted, and the heap is what came before.
    let config = StreamConfig { max_heap_size: 700, ..StreamConfig::default() };
    let (heaps, stats) = receive(config, RingConfig::default(), packets.clone());
    assert_eq!(heaps[0].payload().unwrap(), &payload[..700]);
    assert_eq!(stats[Stat::HeapTooLarge], (5000 - 700_u64).div_ceil(7));

    // Nor beyond what all heaps may have together.
    let config = StreamConfig { max_heap_size: 700, max_heap_memory: 1000, ..StreamConfig::default() };
    packets.truncate(100);
    let other = (0..100).map(|i| Wire { heap_cnt: 10, ..packets[i].clone() });
    let both = packets.iter().cloned().zip(other).flat_map(|(a, b)| [a, b]).collect();
    let (heaps, stats) = receive(config, RingConfig::default(), both);
    assert_eq!(heaps.len(), 1, "one of them found no memory to grow");
    assert_eq!(heaps[0].payload().unwrap(), &payload[..700]);
    assert_eq!(stats[Stat::NoMemoryHeaps], 1);
    assert_eq!(stats[Stat::PacketsNoMemory], 100);
}

#[test]
fn items_are_bounded_and_told_apart() {
    let packet = |offset, items: std::ops::Range<u64>| {
        let packet = Wire::part(1, 40, offset, pattern(1, 40)[offset as usize..][..20].to_vec());
        items.fold(packet, |packet, value| packet.item(true, 0x2000 + value % 3, value))
    };
    // 1000 different ones, of which 500 come twice.
    let packets = vec![packet(0, 0..1000), packet(20, 500..1000)];
    let config = StreamConfig { max_items: 1000, ..StreamConfig::default() };
    let (heaps, _) = receive(config, RingConfig::default(), packets.clone());
    assert_eq!(heaps[0].items().count(), 1000);
    let config = StreamConfig { max_items: 999, ..StreamConfig::default() };
    let (heaps, stats) = receive(config, RingConfig::default(), packets);
    assert!(heaps.is_empty());
    assert_eq!((stats[Stat::TooManyItemsHeaps], stats[Stat::PacketsTooManyItems]), (1, 2));
}

/// Has memory for so many heaps in a row, then has none.
struct Meagre(std::sync::atomic::AtomicUsize);

impl Allocator for Meagre {
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
        use std::sync::atomic::Ordering::Relaxed;
        assert_eq!(packet.map(|packet| packet[0]), Some(0x53), "the packet is shown");
        if self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            return Err(Error::new(ErrorKind::NoMemory, "no more"));
        }
        HeapAllocator.allocate(size, packet)
    }
}

#[test]
fn a_failing_allocator_costs_the_heaps_that_it_fails() {
    let allocator = Arc::new(Meagre(3.into()));
    let config = StreamConfig { allocator: Some(allocator), max_heaps: 10, ..StreamConfig::default() };
    let packets = (1..=5).flat_map(|cnt| split(cnt, &pattern(cnt, 100), 50)).collect();
    let (heaps, stats) = receive(config, RingConfig::default(), packets);
    assert_eq!(heaps.iter().map(|heap| heap.cnt()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((stats[Stat::NoMemoryHeaps], stats[Stat::PacketsNoMemory]), (2, 4));
}

#[test]
fn freed_heaps_are_used_again_without_a_trace_of_what_was_in_them() {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let ring = RingConfig { heaps: 1, contiguous_only: false, ..RingConfig::default() };
    let stream = HeapRingStream::new(&pool, StreamConfig::default(), ring).unwrap();
    let packets = (0..50).flat_map(|cnt| {
        let packet = Wire::whole(cnt, pattern(cnt, 100 - cnt as usize)).item(true, 0x3000 + cnt, cnt);
        // Every second one lacks its last byte.
        let length = 100 - cnt + cnt % 2;
        [Wire { heap_length: Some(length), ..packet }]
    });
    let packets = packets.map(|packet| packet.encode());
    assert!(stream.stream().add_reader(MemoryReader::of(packets)).unwrap());
    let mut seen = 0;
    while let Ok(heap) = stream.get(Wait::Forever) {
        let cnt = heap.cnt();
        seen += 1;
        assert_eq!(heap.items().map(|item| item.id).collect::<Vec<_>>(), [0x3000 + cnt]);
        assert_eq!(heap.is_contiguous(), cnt % 2 == 0);
        assert_eq!(heap.raw_payload().1 as u64, 100 - cnt + cnt % 2);
        match heap.payload() {
            Some(payload) => assert_eq!(payload, pattern(cnt, 100 - cnt as usize)),
            None => assert_eq!(heap.received_length(), 100 - cnt),
        }
        Heap::recycle(heap);
    }
    assert_eq!(seen, 50);
}

#[test]
fn a_stream_that_waits_for_its_consumer_stops_at_once_and_tells_what_it_could_not_deliver() {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let ring = RingConfig { heaps: 2, contiguous_only: false, ..RingConfig::default() };
    let config = StreamConfig { max_heaps: 3, ..StreamConfig::default() };
    let stream = HeapRingStream::new(&pool, config, ring).unwrap();
    // Three in progress, then whole ones until it blocks.
    let started = (100..103).map(|cnt| Wire::part(cnt, 50, 0, pattern(cnt, 20)));
    let whole = (0..10).map(|cnt| Wire::whole(cnt, pattern(cnt, 5)));
    let packets: Vec<_> = started.chain(whole).map(|packet| packet.encode()).collect();
    assert!(stream.stream().add_reader(MemoryReader::of(packets)).unwrap());
    while stream.stream().snapshot()[Stat::WorkerBlocked] == 0 {
        std::thread::yield_now();
    }
    stream.stream().stop().unwrap();
    assert_eq!(stream.stream().end_reason(), Some(EndReason::User));
    let stats = stream.stream().snapshot();
    assert!(stats.ledger_closes(), "{stats:?}");
    let got: Vec<_> = std::iter::from_fn(|| stream.get(Wait::Forever).ok()).map(|heap| heap.cnt()).collect();
    // The first whole heap makes the oldest one in progress be given up.
    assert_eq!(got, [100, 0]);
    assert_eq!(stats[Stat::HeapsReady], 2);
    let incomplete = stats[Stat::IncompleteHeapsEvicted] + stats[Stat::IncompleteHeapsFlushed];
    assert_eq!(stats[Stat::HeapsUndelivered], stats[Stat::CompleteHeaps] + incomplete - 2);
    assert!(stats[Stat::HeapsUndelivered] > 0);
}
