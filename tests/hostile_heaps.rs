//! What must happen with hostile and broken input to streams of heaps: the same traffic through both kinds and every reader gives the same
//! ledger, to the packet; memory and log stay bounded. Streams of chunks: tests/hostile.rs; TCP by itself: tests/tcp.rs.

mod support;

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use aqueduct::error::{Error, ErrorKind};
use aqueduct::recv::heap::{Heap, HeapCallbackStream, HeapRingStream, Overflow, RingConfig};
use aqueduct::recv::reader::{
    BufferReader, InprocQueue, InprocReader, OnGarbage, Reader, TcpConfig, TcpReader, UdpConfig, UdpReader,
};
use aqueduct::recv::stats::{Account, Snapshot, Stat};
use aqueduct::recv::{Stream, StreamConfig};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::group::{GroupLimits, ItemGroup};
use support::lines::{lines_of, listen};
use support::rig::{assert_others_go_on, resident, until, watch};
use support::wire::{Wire, pattern};

const MIB: usize = 1 << 20;

/// One test at a time: each looks at the memory of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // One that has failed is no reason for others to.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of either kind, whose heaps are gathered.
enum Kind {
    Ring(HeapRingStream),
    Callback(HeapCallbackStream, Receiver<Box<Heap>>),
}

impl Kind {
    fn both(pool: &Arc<ThreadPool>, config: &StreamConfig) -> [Self; 2] {
        Self::of(pool, config, RingConfig { heaps: 100, contiguous_only: false, ..RingConfig::default() })
    }

    fn of(pool: &Arc<ThreadPool>, config: &StreamConfig, ring: RingConfig) -> [Self; 2] {
        let (sender, heaps) = channel();
        let callback = move |heap: Box<Heap>, _: &mut [u64]| {
            let _ = sender.send(heap);
        };
        [
            Self::Ring(HeapRingStream::new(pool, config.clone(), ring.clone()).unwrap()),
            Self::Callback(HeapCallbackStream::new(pool, config.clone(), &ring, callback).unwrap(), heaps),
        ]
    }

    fn stream(&self) -> &Stream {
        match self {
            Self::Ring(stream) => stream.stream(),
            Self::Callback(stream, _) => stream.stream(),
        }
    }

    /// All heaps up to the end.
    #[expect(clippy::vec_box, reason = "a stream hands out boxes")]
    fn heaps(&self) -> Vec<Box<Heap>> {
        match self {
            Self::Ring(stream) => std::iter::from_fn(|| stream.get(Wait::Forever).ok()).collect(),
            Self::Callback(stream, heaps) => {
                until("the stream ends", || stream.stream().end_reason().is_some());
                stream.stream().stop().unwrap();
                heaps.try_iter().collect()
            }
        }
    }

    fn end(&self) -> Snapshot {
        self.stream().stop().unwrap();
        let stats = self.stream().snapshot();
        assert!(stats.ledger_closes(), "{stats:?}");
        assert_eq!(stats[Stat::PacketsPending], 0);
        stats
    }
}

/// Delivers packets by some way.
struct Way {
    name: &'static str,
    /// Packets are taken one after the other from a stream of bytes: what has no length cannot be sent.
    is_byte_stream: bool,
    open: fn(&[Vec<u8>]) -> Opened,
}

/// A reader, and what to do once the stream reads.
type Opened = (Box<dyn Reader>, Sending);

type Sending = Box<dyn FnOnce()>;

fn nothing() -> Sending {
    Box::new(|| {})
}

const WAYS: &[Way] = &[
    Way {
        name: "memory",
        is_byte_stream: true,
        open: |packets| (Box::new(BufferReader::copy_of(&packets.concat())), nothing()),
    },
    Way {
        name: "in-process queue",
        is_byte_stream: false,
        open: |packets| {
            let queue = Arc::new(InprocQueue::new(0).unwrap());
            packets.iter().for_each(|packet| queue.add_packet(packet, Wait::No).unwrap());
            queue.stop();
            (Box::new(InprocReader::new(queue).unwrap()), nothing())
        },
    },
    Way {
        name: "udp",
        is_byte_stream: false,
        open: |packets| {
            let config = UdpConfig { host: "127.0.0.1".into(), max_size: 65_535, ..UdpConfig::default() };
            let reader = UdpReader::new(config).unwrap();
            let (port, packets) = (reader.port(), packets.to_vec());
            let send = move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for packet in packets {
                    assert_eq!(socket.send_to(&packet, ("127.0.0.1", port)).unwrap(), packet.len());
                }
            };
            (Box::new(reader), Box::new(send))
        },
    },
    Way {
        name: "tcp",
        is_byte_stream: true,
        open: |packets| {
            let config = TcpConfig {
                host: "127.0.0.1".into(),
                max_size: MIB,
                on_garbage: OnGarbage::Close,
                ..TcpConfig::default()
            };
            let reader = TcpReader::new(config).unwrap();
            let (port, bytes) = (reader.port(), packets.concat());
            let send = move || {
                TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(&bytes).unwrap();
            };
            (Box::new(reader), Box::new(send))
        },
    },
    #[cfg(feature = "pcap")]
    Way {
        name: "capture file",
        is_byte_stream: false,
        open: |packets| {
            let frames: Vec<Vec<u8>> = packets.iter().map(|packet| support::wire::frame(packet)).collect();
            let frames = frames.iter().map(|frame| (frame.as_slice(), frame.len()));
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&support::wire::capture(frames)).unwrap();
            let reader = aqueduct::recv::reader::PcapReader::open(file.path(), None).unwrap();
            (Box::new(reader), nothing())
        },
    },
];

/// Runs packets through every kind and way; the heaps that came, and all of the ledger that is not zero, must be these.
fn check(
    config: &StreamConfig,
    packets: &[Wire],
    garbage: &[Vec<u8>],
    heaps: &[(u64, bool)],
    expected: &[(Stat, u64)],
) {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let packets: Vec<Vec<u8>> = packets.iter().map(Wire::encode).collect();
    listen();
    let worker = worker_of(&pool);
    let before = resident();
    let mut streams = 0;
    for way in WAYS.iter().filter(|way| garbage.is_empty() || !way.is_byte_stream) {
        for stream in Kind::both(&pool, config) {
            let _watch = watch(way.name);
            streams += 1;
            let mut sent = garbage.to_vec();
            sent.extend_from_slice(&packets);
            sent.push(Wire::stop().encode());
            let (reader, send) = (way.open)(&sent);
            assert!(stream.stream().add_reader(reader).unwrap());
            send();
            let mut found: Vec<(u64, bool)> =
                stream.heaps().iter().map(|heap| (heap.cnt(), heap.is_contiguous())).collect();
            found.sort_unstable();
            assert_eq!(found, heaps, "{}", way.name);
            let stats = stream.end();
            let accounts = Stat::ALL.into_iter().filter(|stat| stat.account() != Account::None);
            let ledger: Vec<(Stat, u64)> =
                accounts.map(|stat| (stat, stats[stat])).filter(|&(_, count)| count > 0).collect();
            let mut expected = expected.to_vec();
            expected.push((Stat::PacketsControl, 1));
            expected.sort_unstable_by_key(|&(stat, _)| stat as usize);
            assert_eq!(ledger, expected, "{}", way.name);
        }
    }
    assert_others_go_on(&pool);
    assert!(resident() < before + 200 * MIB, "{} MiB more", (resident() - before) / MIB);
    // A line for the first of a kind, one for the others.
    let lines = lines_of(worker);
    assert!(lines.len() <= 4 * streams, "{lines:#?}");
}

/// The thread of a pool that has one.
fn worker_of(pool: &Arc<ThreadPool>) -> ThreadId {
    let (sender, thread) = channel();
    let callback = move |_: Box<Heap>, _: &mut [u64]| {
        let _ = sender.send(std::thread::current().id());
    };
    let stream =
        HeapCallbackStream::new(pool, StreamConfig::default(), &RingConfig::default(), callback).unwrap();
    let reader = BufferReader::copy_of(&whole(1).encode());
    assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
    thread.recv().unwrap()
}

fn config() -> StreamConfig {
    StreamConfig { max_heap_size: MIB as u64, max_items: 1000, ..StreamConfig::default() }
}

fn whole(cnt: u64) -> Wire {
    Wire::whole(cnt, pattern(cnt, 100))
}

#[test]
fn heaps_that_claim_too_much() {
    let _alone = alone();
    for allow_out_of_order in [false, true] {
        let config = StreamConfig { allow_out_of_order, ..config() };
        let mut packets: Vec<Wire> =
            [20, 33, 36, 40, 47].map(|bits| Wire::part(bits, (1 << bits) + 1, 0, vec![1; 64])).into();
        packets.push(whole(1));
        let expected = [
            (Stat::CompleteHeaps, 1),
            (Stat::PacketsDelivered, 1),
            (Stat::HeapTooLarge, packets.len() as u64 - 1),
        ];
        check(&config, &packets, &[], &[(1, true)], &expected);
    }
}

#[test]
fn payload_far_out_in_heaps_of_unknown_length() {
    let _alone = alone();
    let config = StreamConfig { allow_out_of_order: true, ..config() };
    let far = |cnt, offset| Wire { heap_length: None, ..Wire::part(cnt, 0, offset, vec![1; 64]) };
    let packets = [far(5, 1 << 40), far(6, (1 << 48) - 64), far(7, MIB as u64 - 63), whole(1)];
    let expected = [(Stat::CompleteHeaps, 1), (Stat::PacketsDelivered, 1), (Stat::HeapTooLarge, 3)];
    check(&config, &packets, &[], &[(1, true)], &expected);
}

/// A gibibyte each, as they say, of which there is a packet: memory is for what has come, and only so much may be claimed.
#[test]
fn heaps_that_claim_what_is_allowed_and_never_come() {
    let _alone = alone();
    const GIB: u64 = 1 << 30;
    for allow_out_of_order in [false, true] {
        let config = StreamConfig { allow_out_of_order, max_heaps: 100, ..StreamConfig::default() };
        let mut packets: Vec<Wire> = (1..=50).map(|cnt| Wire::part(cnt, GIB, 0, vec![1; 64])).collect();
        packets.push(whole(99));
        // Four fit into max_heap_memory, which is four times max_heap_size. A heap of one packet is never in progress.
        let heaps: Vec<(u64, bool)> = (1..=4).map(|cnt| (cnt, false)).chain([(99, true)]).collect();
        let expected = [
            (Stat::CompleteHeaps, 1),
            (Stat::PacketsDelivered, 1),
            (Stat::IncompleteHeapsFlushed, 4),
            (Stat::PacketsIncomplete, 4),
            (Stat::NoMemoryHeaps, 46),
            (Stat::PacketsNoMemory, 46),
        ];
        check(&config, &packets, &[], &heaps, &expected);
    }
}

#[test]
fn packets_that_contradict_each_other() {
    let _alone = alone();
    let config = StreamConfig { allow_out_of_order: true, ..config() };
    let part = |offset: usize, size: usize| {
        Wire::part(1, 100, offset as u64, pattern(1, 100)[offset..][..size].to_vec())
    };
    let packets = [
        part(0, 50),
        part(0, 50),                               // a duplicate
        part(25, 50),                              // an overlap
        Wire::part(1, 101, 50, vec![0; 10]),       // another length
        Wire { address_bits: 40, ..part(50, 50) }, // another flavour
        part(50, 50),                              // completes it
        part(50, 50),                              // a duplicate of a complete heap
        part(0, 50),
    ];
    let expected = [
        (Stat::CompleteHeaps, 1),
        (Stat::PacketsDelivered, 2),
        (Stat::Duplicate, 3),
        (Stat::Overlap, 1),
        (Stat::Inconsistent, 2),
    ];
    check(&config, &packets, &[], &[(1, true)], &expected);
}

#[test]
fn a_heap_without_its_beginning() {
    let _alone = alone();
    let part = |cnt, i: usize| Wire::part(cnt, 400, i as u64 * 100, vec![1; 100]);
    let packets = [part(1, 1), part(1, 2), part(1, 3), part(2, 0), part(2, 2), part(2, 3), whole(3)];
    let expected = [
        (Stat::CompleteHeaps, 1),
        (Stat::PacketsDelivered, 1),
        (Stat::IncompleteHeapsFlushed, 1),
        (Stat::PacketsIncomplete, 1),
        (Stat::OutOfOrder, 5),
    ];
    check(&config(), &packets, &[], &[(2, false), (3, true)], &expected);
}

#[test]
fn more_items_than_allowed_and_as_many_as_allowed() {
    let _alone = alone();
    let with =
        |cnt: u64, n: u64| (0..n).fold(whole(cnt), |packet, i| packet.item(i % 2 == 0, 0x1000 + i, i % 50));
    let in_parts = |cnt: u64, i: u64| {
        (0..400)
            .fold(Wire::part(cnt, 300, i * 100, vec![0; 100]), |packet, n| packet.item(true, 0x1000 + n, i))
    };
    let packets = [with(1, 900), with(2, 2000), in_parts(3, 0), in_parts(3, 1), in_parts(3, 2), whole(4)];
    let expected = [
        (Stat::CompleteHeaps, 2),
        (Stat::PacketsDelivered, 2),
        (Stat::TooManyItemsHeaps, 2),
        (Stat::PacketsTooManyItems, 4),
    ];
    check(&config(), &packets, &[], &[(1, true), (4, true)], &expected);
}

#[test]
fn datagrams_that_are_no_packets() {
    let _alone = alone();
    let header = |at: usize, value: u8| {
        let mut bytes = whole(1).encode();
        bytes[at] = value;
        bytes
    };
    let without = |missing: usize| {
        let mut bytes = whole(1).encode();
        bytes.drain(8 + 8 * missing..16 + 8 * missing);
        bytes[7] = 3;
        bytes
    };
    let mut cut = whole(1).encode();
    cut.pop();
    let garbage = [
        vec![], // nothing at all
        b"SPEAD".to_vec(),
        header(0, 0x54),
        header(1, 5),
        header(2, 3),
        header(6, 255),
        without(0),
        without(2),
        without(3),
        cut,
        Wire::part(2, 100, 90, vec![0; 20]).encode(),
        whole(2).item(false, 0x1600, 101).encode(),
    ];
    let expected = [
        (Stat::CompleteHeaps, 1),
        (Stat::PacketsDelivered, 1),
        (Stat::MalformedTooShort, 2),
        (Stat::MalformedBadMagic, 1),
        (Stat::MalformedBadVersion, 1),
        (Stat::MalformedBadWidths, 1),
        (Stat::MalformedItemsOverflow, 1),
        (Stat::MalformedNoHeapCnt, 1),
        (Stat::MalformedNoPayloadOffset, 1),
        (Stat::MalformedNoPayloadLength, 1),
        (Stat::MalformedPayloadOverflow, 1),
        (Stat::MalformedHeapOverflow, 1),
        (Stat::MalformedItemBeyondHeap, 1),
    ];
    check(&config(), &[whole(1)], &garbage, &[(1, true)], &expected);
}

#[test]
fn a_flood_of_garbage_is_counted_and_hardly_logged() {
    let _alone = alone();
    const FLOOD: u64 = 50_000;
    listen();
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let before = resident();
    let worker = worker_of(&pool);
    for stream in Kind::both(&pool, &config()) {
        let queue = Arc::new(InprocQueue::new(1000).unwrap());
        assert!(stream.stream().add_reader(Box::new(InprocReader::new(queue.clone()).unwrap())).unwrap());
        let _watch = watch("a flood");
        for offset in [0, 50] {
            let packet = Wire::part(1, 100, offset, vec![1; 50]).encode();
            queue.add_packet(&packet, Wait::Forever).unwrap();
        }
        for i in 0..FLOOD {
            let packet = match i % 4 {
                0 => vec![i as u8 | 0x80; 40],
                1 => Wire::part(i, 1 << 40, 0, vec![0; 8]).encode(),
                2 => Wire::part(1, 100, 50, vec![0; 10]).encode(), // of a heap that is complete
                _ => Wire::part(5, 100, 50, vec![0; 10]).encode(), // of a heap that never began
            };
            queue.add_packet(&packet, Wait::Forever).unwrap();
        }
        queue.stop();
        until("all is read", || stream.stream().end_reason().is_some());
        let stats = stream.end();
        for stat in [Stat::MalformedBadMagic, Stat::HeapTooLarge, Stat::Duplicate, Stat::OutOfOrder] {
            assert_eq!(stats[stat], FLOOD / 4, "{}", stat.name());
        }
        assert_eq!(stats[Stat::HeapsLostStart], 1);
    }
    // What is no packet: of each stream the first, and sums of the rest at most once a second.
    let lines = lines_of(worker);
    assert!((4..=20).contains(&lines.len()), "{lines:?}");
    assert!(resident() < before + 50 * MIB, "{} MiB more", (resident() - before) / MIB);
    assert_others_go_on(&pool);
}

/// What a row's event costs once, it must not cost for ever: each as a flood, counted to the packet.
#[test]
fn every_event_may_come_in_floods() {
    let _alone = alone();
    const FLOOD: u64 = 20_000;
    type Row = (&'static str, Stat, fn(&mut StreamConfig), fn(u64) -> Wire);
    let rows: [Row; 12] = [
        ("too large", Stat::HeapTooLarge, |_| {}, |i| Wire::part(i, 1 << (33 + i % 14), 0, vec![1; 64])),
        (
            "far offset",
            Stat::HeapTooLarge,
            |config| config.allow_out_of_order = true,
            |i| Wire { heap_length: None, ..Wire::part(i, 0, 1 << 40, vec![1; 64]) },
        ),
        ("incomplete", Stat::PacketsIncomplete, |_| {}, |i| Wire::part(i, MIB as u64, 0, vec![1; 64])),
        (
            "no memory",
            Stat::PacketsNoMemory,
            // One more than those that may be in progress, which stay as long as the others are none.
            |config| (config.max_heaps, config.max_heap_memory) = (1 << 20, MIB as u64),
            |i| Wire::part(i, MIB as u64, 0, vec![1; 64]),
        ),
        (
            "too many items",
            Stat::PacketsTooManyItems,
            |config| config.max_items = 20,
            |i| (0..21).fold(whole(i), |packet, n| packet.item(true, 0x1000 + n, i)),
        ),
        ("duplicate", Stat::Duplicate, |_| {}, |_| Wire::part(1, 100, 0, vec![1; 50])),
        (
            "overlap",
            Stat::Overlap,
            |config| config.allow_out_of_order = true,
            |i| if i == 0 { Wire::part(1, 100, 0, vec![1; 50]) } else { Wire::part(1, 100, 25, vec![1; 50]) },
        ),
        ("length", Stat::Inconsistent, |_| {}, |i| Wire::part(1, 100 + i, 0, vec![1; 50])),
        ("lost start", Stat::OutOfOrder, |_| {}, |i| Wire::part(i, 100, 50, vec![1; 50])),
        ("item beyond", Stat::MalformedItemBeyondHeap, |_| {}, |i| whole(i).item(false, 0x1600, 1 << 40)),
        (
            "no length",
            Stat::Unsized,
            |config| config.allow_unsized_heaps = false,
            |i| Wire { heap_length: None, ..whole(i) },
        ),
        (
            "stop items that are none",
            Stat::PacketsDelivered,
            |config| config.stop_on_stop_item = false,
            |_| Wire::stop(),
        ),
    ];
    listen();
    let ring = RingConfig { overflow: Overflow::DropOldest, ..RingConfig::default() };
    for (name, stat, change, packet) in rows {
        let mut config = config();
        change(&mut config);
        let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
        let worker = worker_of(&pool);
        for stream in Kind::of(&pool, &config, ring.clone()) {
            let before = resident();
            let lines_before = lines_of(worker).len();
            let queue = Arc::new(InprocQueue::new(1000).unwrap());
            assert!(stream.stream().add_reader(Box::new(InprocReader::new(queue.clone()).unwrap())).unwrap());
            let _watch = watch(name);
            (0..FLOOD).for_each(|i| queue.add_packet(&packet(i).encode(), Wait::Forever).unwrap());
            queue.stop();
            drop(stream.heaps());
            let (stats, grown) = (stream.end(), resident().saturating_sub(before) / MIB);
            assert_eq!(stats[Stat::Packets], FLOOD, "{name}");
            assert!((FLOOD - 1..=FLOOD).contains(&stats[stat]), "{name}: {}", stats[stat]);
            // The callback's heaps are gathered up to the end.
            assert!(grown < 64, "{name}: {grown} MiB more");
            // The first, a sum once a second, and one at the end.
            let lines = lines_of(worker).split_off(lines_before);
            assert!(lines.len() < 10, "{name}: {lines:#?}");
        }
        assert_others_go_on(&pool);
    }
}

/// As many items as a heap may have, and as a packet can: the pointers of a heap are found again without looking at all.
#[test]
fn as_many_items_as_there_can_be() {
    let _alone = alone();
    let all = |cnt: u64, n: u64| (0..n).fold(whole(cnt), |packet, i| packet.item(true, 0x1000, i));
    let many = |cnt: u64, part: u64, from: u64| {
        let packet = Wire::part(cnt, 100, part * 5, pattern(cnt, 100)[part as usize * 5..][..5].to_vec());
        (from..from + 8000).fold(packet, |packet, i| packet.item(true, 0x1000, i))
    };
    // Zero-length items, too; 20 packets with the same 8000 pointers; and 20 with 8000 others each, which are too many.
    let empty = (0..20_000).fold(whole(2), |packet, i| packet.item(false, 0x1000 + i, 50));
    let mut packets = vec![all(1, 65_535 - 4), empty];
    packets.extend((0..20).map(|part| many(3, part, 0)));
    packets.extend((0..20).map(|part| many(4, part, 8000 * part)));
    packets.push(whole(5));
    let config = StreamConfig { max_items: StreamConfig::default().max_items, ..config() };
    let expected = [
        (Stat::CompleteHeaps, 4),
        (Stat::PacketsDelivered, 23),
        (Stat::TooManyItemsHeaps, 1),
        (Stat::PacketsTooManyItems, 20),
    ];
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    for stream in Kind::both(&pool, &config) {
        let before = resident();
        let _watch = watch("many items");
        let queue = Arc::new(InprocQueue::new(0).unwrap());
        packets.iter().for_each(|packet| queue.add_packet(&packet.encode(), Wait::No).unwrap());
        queue.stop();
        assert!(stream.stream().add_reader(Box::new(InprocReader::new(queue).unwrap())).unwrap());
        let counts: Vec<_> = stream.heaps().iter().map(|heap| (heap.cnt(), heap.items().count())).collect();
        // Of items at one place, the last has the bytes.
        assert_eq!(counts, [(1, 65_531), (2, 1), (3, 8000), (5, 0)]);
        let stats = stream.end();
        for (stat, count) in expected {
            assert_eq!(stats[stat], count, "{}", stat.name());
        }
        let grown = resident().saturating_sub(before) / MIB;
        assert!(grown < 64, "{grown} MiB more");
    }
}

/// Descriptors as an attacker would write them: an error each, and the other items of the heap are delivered.
#[test]
fn hostile_descriptors_cost_their_item_only() {
    let _alone = alone();
    let dtypes = [
        "__import__('os').system('true')".to_owned(),
        "{'descr': '>f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000)}".to_owned(),
        format!("{{'descr': {}'u1', 'fortran_order': False, 'shape': (1,)}}", "(".repeat(3000)),
        "{'descr': '|V1000000000000', 'fortran_order': False, 'shape': ()}".to_owned(),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}".to_owned(),
        "{'descr': '<f\u{fc}', 'fortran_order': False, 'shape': (1,)}".to_owned(),
        "{'descr': '<f4'".to_owned(),
        format!(
            "{{'descr': [{}('', 'u1')], 'fortran_order': False, 'shape': ()}}",
            "('', 'V0'), ".repeat(65)
        ),
    ];
    let before = resident();
    for dtype in &dtypes {
        let mut heap = DescribedHeap::default();
        heap.describe(0x2001, "good", "{'descr': '<u2', 'fortran_order': False, 'shape': (2,)}");
        heap.describe(0x2002, "bad", dtype);
        heap.value(0x2001, &[1, 0, 2, 0]);
        heap.value(0x2002, &[0; 64]);
        let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
        let stream = HeapRingStream::new(&pool, StreamConfig::default(), RingConfig::default()).unwrap();
        assert!(stream.stream().add_reader(Box::new(BufferReader::copy_of(&heap.encode()))).unwrap());
        let heap = stream.get(Wait::Forever).unwrap();
        let mut group = ItemGroup::new(GroupLimits::default());
        let update = group.update(heap.items(), heap.flavour(), heap.bug_compat());
        assert!(!update.errors.is_empty(), "{dtype:.60}");
        for error in update.errors.iter().map(|error| &error.error) {
            assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::NoMemory), "{dtype:.60}: {error}");
            assert!(error.message().len() < 500, "{dtype:.60}: {error}");
        }
        let good: Vec<_> = update.changed.iter().map(|&index| group.get(index).unwrap()).collect();
        assert_eq!(good.len(), 1, "{dtype:.60}");
        assert_eq!(good[0].descriptor.name, "good");
        assert_eq!(good[0].value.as_ref().unwrap().c_order_bytes(), [1, 0, 2, 0].as_slice());
    }
    assert!(resident() < before + 50 * MIB);
}

/// What one heap says is not multiplied by the messages about it, nor kept without a limit.
#[test]
fn long_descriptors_are_neither_repeated_nor_hoarded() {
    let _alone = alone();
    let before = resident();
    // A long name, and many values that do not fit: a message each.
    let mut heap = DescribedHeap::default();
    heap.describe(0x2001, &"n".repeat(MIB / 2), "{'descr': '<u8', 'fortran_order': False, 'shape': (9,)}");
    let mut packet = Wire { items: heap.items.clone(), ..Wire::whole(1, heap.payload.clone()) };
    (0..2000).for_each(|value| packet.items.push((true, 0x2001, value)));
    let mut group = ItemGroup::new(GroupLimits::default());
    let errors = update_from(&mut group, packet.encode(), &[]);
    assert_eq!(errors.len(), 2000);
    assert!(errors.iter().all(|error| error.message().len() < 500), "{:.500}", errors[0].message());
    drop(errors);
    assert!(resident() < before + 50 * MIB, "{} MiB more", (resident() - before) / MIB);

    // Long descriptions, heap after heap, of ever new items.
    let limits = GroupLimits { max_bytes: 4 * MIB, ..GroupLimits::default() };
    let mut group = ItemGroup::new(limits);
    let mut refused = 0;
    for i in 0..200 {
        let mut heap = DescribedHeap::default();
        let name = format!("{i}{}", "n".repeat(MIB / 2));
        heap.describe(0x2001 + i, &name, "{'descr': '<u8', 'fortran_order': False, 'shape': ()}");
        let errors = update_from(&mut group, heap.encode(), &[]);
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::NoMemory), "{errors:?}");
        refused += errors.len();
    }
    assert_eq!((group.len(), refused), (3, 197), "4 MiB hold three names of half a MiB, twice each");
    assert!(resident() < before + 50 * MIB, "{} MiB more", (resident() - before) / MIB);

    // Records of many fields are larger in memory than as a text, and entries of a format are than those on the wire.
    let fields: String = (0..60_000).map(|i| format!("('{i}','u1'),")).collect();
    let header = format!("{{'descr': [{fields}], 'fortran_order': False, 'shape': ()}}");
    let mut group = ItemGroup::new(limits);
    for i in 0..20 {
        let mut heap = DescribedHeap::default();
        heap.describe(0x2001 + i, &format!("record {i}"), &header);
        let errors = update_from(&mut group, heap.encode(), &[]);
        assert_eq!(errors.len(), 1, "{i}");
        assert_eq!(errors[0].kind(), ErrorKind::NoMemory);
        heap = DescribedHeap::default();
        heap.describe_format(0x3001 + i, &[*b"u\0\x08"; 200_000].concat());
        let errors = update_from(&mut group, heap.encode(), &[]);
        assert_eq!(errors.len(), 1, "{i}");
        assert_eq!(errors[0].kind(), ErrorKind::Format);
        assert!(errors[0].message().contains("200000 entries"), "{}", errors[0].message());
    }
    assert!(group.is_empty());
    assert!(resident() < before + 100 * MIB, "{} MiB more", (resident() - before) / MIB);
}

/// Values that cost a sender nothing are taken at no great cost either, whatever their type.
#[test]
fn many_values_of_a_large_type_share_it() {
    let _alone = alone();
    let fields: String = (0..30_000).map(|i| format!("('{i}','u1'),")).collect();
    let header = format!("{{'descr': [{fields}], 'fortran_order': False, 'shape': (0,)}}");
    let mut heap = DescribedHeap::default();
    heap.describe(0x2001, "none of a large record", &header);
    let mut packet = Wire { items: heap.items.clone(), ..Wire::whole(1, heap.payload.clone()) };
    (0..60_000).for_each(|value| packet.items.push((true, 0x2001, value)));
    let _watch = watch("60 000 values");
    let mut group = ItemGroup::new(GroupLimits::default());
    assert!(update_from(&mut group, packet.encode(), &[0]).is_empty());
    let item = group.get(0).unwrap();
    assert_eq!(item.version, 60_000);
    assert!(Arc::ptr_eq(&item.value.as_ref().unwrap().dtype, item.descriptor.dtype()));
}

/// What goes wrong when a group is told of a heap in one packet.
fn update_from(group: &mut ItemGroup, packet: Vec<u8>, changed: &[usize]) -> Vec<Error> {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let stream = HeapRingStream::new(&pool, StreamConfig::default(), RingConfig::default()).unwrap();
    let queue = Arc::new(InprocQueue::new(0).unwrap());
    queue.add_packet(&packet, Wait::No).unwrap();
    assert!(stream.stream().add_reader(Box::new(InprocReader::new(queue).unwrap())).unwrap());
    let heap = stream.get(Wait::Forever).unwrap();
    let update = group.update(heap.items(), heap.flavour(), heap.bug_compat());
    assert_eq!(update.changed, changed);
    update.errors.into_iter().map(|error| error.error).collect()
}

/// A heap of descriptors and values, in one packet.
#[derive(Default)]
struct DescribedHeap {
    payload: Vec<u8>,
    items: Vec<(bool, u64, u64)>,
}

impl DescribedHeap {
    fn value(&mut self, id: u64, bytes: &[u8]) {
        self.items.push((false, id, self.payload.len() as u64));
        self.payload.extend(bytes);
    }

    /// An item of identifier 5, whose bytes are a heap of their own.
    fn describe(&mut self, id: u64, name: &str, dtype: &str) {
        let text = [name.as_bytes(), b"", dtype.as_bytes()].concat();
        let inner = Wire::whole(1, text).item(true, 0x14, id).item(false, 0x10, 0).item(
            false,
            0x15,
            name.len() as u64,
        );
        self.value(5, &inner.encode());
    }

    fn describe_format(&mut self, id: u64, format: &[u8]) {
        let inner = Wire::whole(1, format.to_vec()).item(true, 0x14, id).item(false, 0x13, 0);
        self.value(5, &inner.encode());
    }

    fn encode(&self) -> Vec<u8> {
        Wire { items: self.items.clone(), ..Wire::whole(1, self.payload.clone()) }.encode()
    }
}
