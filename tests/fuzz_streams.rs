//! Damaged packets without end through every kind of stream: nothing panics, the ledger closes, and neither memory nor the log grows.
//!
//! `AQ_FUZZ_PACKETS=10000000 cargo test --release --test fuzz_streams` is the long run; the short one is part of the tests.

mod support;

use std::hint::black_box;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Instant;

use aqueduct::chunk::{Chunk, ChunkRing, ChunkRingStream, ChunkStreamConfig, PlaceRequest, Placement};
use aqueduct::memory::HeapAllocator;
use aqueduct::recv::heap::{Heap, HeapCallbackStream, HeapRingStream, RingConfig};
use aqueduct::recv::reader::{Leftover, OnGarbage, Polled, Reader, TcpConfig, TcpReader};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::recv::{Flow, PacketSink, Stream, StreamConfig};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::group::{GroupLimits, ItemGroup};
use support::lines::{lines_of, listen};
use support::rig::{Plan, resident};
use support::rng::Rng;
use support::wire::{Wire, pattern};

const MIB: usize = 1 << 20;

fn packets() -> u64 {
    std::env::var("AQ_FUZZ_PACKETS").map_or(100_000, |n| n.parse().unwrap())
}

/// Packets of heaps that follow each other, with items and descriptors, most of them damaged in some way.
struct Source {
    rng: Rng,
    /// Descriptors and values as spead2 sends them, to be damaged.
    real: Vec<Vec<u8>>,
    /// No fewer than this number of bytes are left of a packet, and its header's lengths are kept: for a stream of bytes.
    framed: bool,
    cnt: u64,
    next: Vec<u8>,
}

impl Source {
    fn new(seed: u64, framed: bool) -> Self {
        let real = items_packets();
        Self { rng: Rng(seed), real, framed, cnt: 1, next: Vec::new() }
    }

    fn make(&mut self) {
        let rng = &mut self.rng;
        if rng.below(4) == 0 {
            let real = &self.real[rng.below(self.real.len())];
            self.next.clone_from(real);
        } else {
            self.cnt += rng.next() % 2;
            let cnt =
                if rng.below(50) == 0 { rng.next() >> 24 } else { self.cnt - (rng.next() % 4).min(self.cnt) };
            let (length, part) = (1 + rng.next() % 600, rng.next() % 4);
            let offset = part * (length / 4);
            let size = if part == 3 { length - offset } else { length / 4 };
            let mut packet = Wire::part(cnt, length, offset, vec![cnt as u8; size as usize]);
            if rng.below(8) == 0 {
                packet.heap_length = None;
            }
            if rng.below(30) == 0 {
                packet = Wire::whole(cnt, pattern(cnt, length as usize));
            }
            for _ in 0..rng.below(4) {
                packet = packet.item(rng.below(2) == 0, 7 + rng.next() % 0x4000, rng.next() % (length + 1));
            }
            self.next = packet.encode();
        }
        for _ in 0..rng.below(4) {
            let headers = self.next.len().min(96);
            if headers == 0 {
                break;
            }
            let range = if rng.below(3) == 0 { self.next.len() } else { headers };
            let at = rng.below(range);
            if self.framed && at < 8 {
                continue;
            }
            match rng.below(5) {
                0 => self.next[at] ^= 1 << rng.below(8),
                1 => self.next[at] = rng.next() as u8,
                2 => self.next[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
                3 if !self.framed => self.next.truncate(at),
                _ => self.next[at] = self.next[at].wrapping_add(1),
            }
        }
    }
}

/// The UDP payloads of a capture of items.
fn items_packets() -> Vec<Vec<u8>> {
    let file = std::fs::read(support::data("items_48.pcap")).unwrap();
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        packets.push(rest[16 + 14 + 20 + 8..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    packets
}

/// Makes packets as the stream takes them.
struct FuzzReader {
    source: Source,
    left: u64,
    is_held: bool,
}

impl FuzzReader {
    fn boxed(seed: u64) -> Box<Self> {
        Box::new(Self { source: Source::new(seed, false), left: packets(), is_held: false })
    }
}

impl Reader for FuzzReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        for _ in 0..64 {
            if self.left == 0 {
                return Polled::Ended;
            }
            if !self.is_held {
                self.source.make();
            }
            self.is_held = sink.packet(&self.source.next) != Flow::Taken;
            if self.is_held {
                return Polled::Blocked;
            }
            self.left -= 1;
        }
        Polled::More
    }

    fn leftover(&mut self) -> Leftover {
        Leftover { packets: u64::from(self.is_held), kernel_drops: 0 }
    }
}

/// The limits that are to hold, small so that a leak would show.
fn config(allow_out_of_order: bool) -> StreamConfig {
    StreamConfig {
        max_heaps: 8,
        substreams: 2,
        max_heap_size: 1 << 16,
        allow_out_of_order,
        // A damaged packet may have a stop item.
        stop_on_stop_item: false,
        bug_compat: if allow_out_of_order { 0 } else { 7 },
        ..StreamConfig::default()
    }
}

/// All that can be asked of a heap.
fn look_at(heap: &Heap, group: &mut ItemGroup) {
    let sum = heap.payload().map_or(0, |bytes| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
    black_box((sum, heap.payload_ranges().len(), heap.length(), heap.is_start_of_stream()));
    let update = group.update(heap.items(), heap.flavour(), heap.bug_compat());
    for &index in &update.changed {
        black_box(
            group.get(index).and_then(|item| item.value.as_ref()).map(|value| value.c_order_bytes().len()),
        );
    }
}

/// A group forgets nothing that it has learned: for an attack without end it has limits.
fn group() -> ItemGroup {
    ItemGroup::new(GroupLimits { max_items: 1000, max_bytes: 1 << 20 })
}

/// A pool of one worker, and that.
fn pool() -> (Arc<ThreadPool>, ThreadId) {
    listen();
    let pool = support::rig::pool(1);
    let rig = Plan::new(&pool).build();
    let worker = rig.settle(&rig.udp());
    (pool, worker)
}

/// Lines that a worker may write however much comes: of some kinds a first one, a sum once a second, and one at the end.
fn check_log(worker: ThreadId, since: Instant) {
    let kinds = 10;
    let lines = lines_of(worker).len();
    assert!((1..kinds * (2 + since.elapsed().as_secs() as usize)).contains(&lines), "{lines}");
}

fn check(stream: &Stream, expected: u64, before: usize) -> Snapshot {
    stream.stop().unwrap();
    let stats = stream.snapshot();
    assert!(stats.ledger_closes(), "{stats:?}");
    assert_eq!(stats[Stat::PacketsPending], 0);
    if expected > 0 {
        assert_eq!(stats[Stat::Packets], expected);
    }
    assert!(stats[Stat::CompleteHeaps] > expected / 1000, "some of it is good: {stats:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    stats
}

#[test]
fn a_ring_of_heaps_and_their_items() {
    for out_of_order in [false, true] {
        let before = resident();
        let ((pool, worker), start) = (pool(), Instant::now());
        let ring = RingConfig {
            contiguous_only: false,
            incomplete_keep_payload_ranges: out_of_order,
            ..RingConfig::default()
        };
        let stream = HeapRingStream::new(&pool, config(out_of_order), ring).unwrap();
        assert!(stream.stream().add_reader(FuzzReader::boxed(1)).unwrap());
        let mut group = group();
        while let Ok(heap) = stream.get(Wait::Forever) {
            look_at(&heap, &mut group);
            Heap::recycle(heap);
        }
        check(stream.stream(), packets(), before);
        drop(stream);
        check_log(worker, start);
    }
}

#[test]
fn a_callback_for_heaps() {
    for out_of_order in [false, true] {
        let before = resident();
        let ((pool, worker), start) = (pool(), Instant::now());
        let mut group = group();
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        let callback = move |heap: Box<Heap>, _: &mut [u64]| {
            let _held = &sender;
            look_at(&heap, &mut group);
        };
        let ring = RingConfig { contiguous_only: false, ..RingConfig::default() };
        let stream = HeapCallbackStream::new(&pool, config(out_of_order), &ring, callback).unwrap();
        assert!(stream.stream().add_reader(FuzzReader::boxed(2)).unwrap());
        while stream.stream().end_reason().is_none() {
            let _ = ended.recv_timeout(std::time::Duration::from_millis(1));
        }
        check(stream.stream(), packets(), before);
        drop(stream);
        check_log(worker, start);
    }
}

#[test]
fn chunks() {
    for out_of_order in [false, true] {
        let before = resident();
        let ((pool, worker), start) = (pool(), Instant::now());
        let rings = [(); 2].map(|()| Arc::new(ChunkRing::new(8).unwrap()));
        let place = |request: &mut PlaceRequest<'_>| {
            let heap = request.items[0];
            Placement {
                chunk_id: heap / 16,
                heap_index: (heap % 16) as usize,
                heap_offset: (heap % 16) as usize * 512,
                extra_offset: 0,
                extra_size: 0,
            }
        };
        let chunks = ChunkStreamConfig {
            items: vec![1, 2],
            // A damaged number is mostly far out: it must not make all that follow too old.
            max_jump: 64,
            ..ChunkStreamConfig::new(Box::new(place))
        };
        let [data, free] = rings.clone();
        let stream = ChunkRingStream::new(&pool, config(out_of_order), chunks, data, free).unwrap();
        for _ in 0..4 {
            let mut chunk = Chunk::allocate(&HeapAllocator, 16 * 512, 16, 0).unwrap();
            chunk.data.zero();
            stream.add_free_chunk(Box::new(chunk));
        }
        assert!(stream.stream().add_reader(FuzzReader::boxed(3)).unwrap());
        while let Ok(chunk) = rings[0].get(Wait::Forever) {
            stream.add_free_chunk(chunk);
        }
        check(stream.stream(), packets(), before);
        drop(stream);
        check_log(worker, start);
    }
}

/// Over TCP the payload is read straight into its place, and what is no packet is skipped.
#[test]
fn a_connection_that_looks_for_packets() {
    let before = resident();
    let ((pool, worker), start) = (pool(), Instant::now());
    let ring = RingConfig { contiguous_only: false, ..RingConfig::default() };
    let stream = HeapRingStream::new(&pool, config(true), ring).unwrap();
    let reader = TcpReader::new(TcpConfig {
        host: "127.0.0.1".into(),
        on_garbage: OnGarbage::Resync,
        ..TcpConfig::default()
    });
    let reader = reader.unwrap();
    let port = reader.port();
    assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
    let sender = std::thread::spawn(move || {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut source = Source::new(4, true);
        let mut bytes = Vec::new();
        for i in 0..packets() {
            source.make();
            bytes.extend_from_slice(&source.next);
            if bytes.len() > 1 << 16 || i + 1 == packets() {
                connection.write_all(&bytes).unwrap();
                bytes.clear();
            }
        }
    });
    let mut group = group();
    while let Ok(heap) = stream.get(Wait::Forever) {
        look_at(&heap, &mut group);
        Heap::recycle(heap);
    }
    sender.join().unwrap();
    // How many packets the receiver sees in it nobody knows: a wrong length takes the next ones with it.
    let stats = check(stream.stream(), 0, before);
    assert!(stats[Stat::Packets] > packets() / 10, "{stats:?}");
    drop(stream);
    check_log(worker, start);
}
