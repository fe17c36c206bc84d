//! TCP over loopback: however the bytes are cut, the packets are the same; what ends a connection, and what comes after.

mod data;
mod support;

use std::io::{ErrorKind as IoErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::error::{Error, ErrorKind};
use aqueduct::recv::reader::{BufferReader, OnGarbage, SourceFilter, TcpConfig, TcpReader};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::recv::{Copier, EndReason, PacketCopy, Room, StreamConfig};
use aqueduct::spead::Packet;
use proptest::collection::vec;
use proptest::prelude::*;
use socket2::SockRef;
use support::lines::{lines_of, listen};
use support::rig::{
    GUARD, HEAPS, Plan, Rig, SENTINEL, SLOT, Seen, assert_others_go_on, describe, pool, resident, until,
};
use support::wire::{Wire, pattern, split};
use support::{Layout, receive};

fn whole(heap_cnt: u64) -> Wire {
    Wire::whole(heap_cnt, pattern(heap_cnt, SLOT))
}

fn bytes<'a>(packets: impl IntoIterator<Item = &'a Wire>) -> Vec<u8> {
    packets.into_iter().flat_map(|packet| packet.encode()).collect()
}

fn at_loopback() -> TcpConfig {
    TcpConfig { host: "127.0.0.1".into(), ..TcpConfig::default() }
}

fn connect(host: &str, port: u16) -> TcpStream {
    let stream = TcpStream::connect((host, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
    stream
}

/// Adds a reader; gives its port.
fn add(rig: &Rig, config: TcpConfig) -> u16 {
    let reader = TcpReader::new(config).unwrap();
    let port = reader.port();
    rig.add(Box::new(reader));
    port
}

/// Adds a reader and connects to it.
fn feed(rig: &Rig, config: TcpConfig) -> TcpStream {
    connect("127.0.0.1", add(rig, config))
}

/// Sends bytes and waits until the stream has dealt with all of them.
fn settle(rig: &Rig, sender: &mut TcpStream, bytes: &[u8]) {
    sender.write_all(bytes).unwrap();
    sender.write_all(&Wire::whole(SENTINEL, vec![]).encode()).unwrap();
    rig.wait_placed(SENTINEL);
}

/// Waits until the stream has ended by itself; what its error was.
fn failure(rig: &Rig) -> (Error, Snapshot, Vec<Seen>) {
    let (stats, chunks) = rig.run_out();
    match rig.stream.stream().end_reason() {
        Some(EndReason::Failed(error)) => (error, stats, chunks),
        other => panic!("{other:?}, {}", describe(&stats)),
    }
}

#[test]
fn both_families() {
    for host in ["127.0.0.1", "::1", "localhost", "", "::"] {
        if host.contains(':') && UdpSocket::bind("[::1]:0").is_err() {
            eprintln!("no IPv6 here");
            continue;
        }
        let rig = Plan::new(&pool(1)).build();
        let port = add(&rig, TcpConfig { host: host.into(), ..TcpConfig::default() });
        // "::" listens to IPv4, too.
        let to = if host.is_empty() || host == "::" { "127.0.0.1" } else { host };
        let mut sender = connect(to, port);
        for i in 0..8 {
            sender.write_all(&bytes(&split(i, &pattern(i, SLOT), 100))).unwrap();
        }
        drop(sender);
        let (stats, chunks) = rig.run_out();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded), "{host}");
        assert_eq!(stats[Stat::CompleteHeaps], 8);
        assert_eq!(stats[Stat::Packets], 24);
        assert_eq!(stats[Stat::Connections], 1);
        assert_eq!(chunks.len(), 2);
        for (id, chunk) in chunks.iter().enumerate() {
            let payload: Vec<_> = (0..HEAPS).flat_map(|i| pattern((id * HEAPS + i) as u64, SLOT)).collect();
            assert_eq!(chunk.data, payload);
        }
    }
}

/// Sends `bytes` in pieces of these sizes, over and over.
fn send_in_pieces(port: u16, bytes: &[u8], sizes: &[usize]) {
    let mut sender = connect("127.0.0.1", port);
    let mut rest = bytes;
    for &size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        if sender.write_all(piece).is_err() || after.is_empty() {
            // The stream may have ended at a stop item.
            return;
        }
        rest = after;
    }
}

#[test]
fn captures_arrive_whole_in_whatever_pieces() {
    for name in ["chunks_1472_48", "chunks_9000_40", "chunks_single_packet"] {
        let text = std::fs::read_to_string(support::data(&format!("{name}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let step = json["timestamp_step"].as_u64().unwrap();
        let heap_size = json["heap_bytes"].as_u64().unwrap() as usize;
        let layout = Layout { step, heap_size, heaps_per_chunk: 8 };
        let packets = data::datagrams(name).concat();
        for sizes in [&[usize::MAX][..], &[1], &[7, 1500, 1, 4000], &[65_000, 3], &[1448]] {
            // Byte by byte, a part will do.
            let packets = if sizes == [1] { &packets[..packets.len() / 20] } else { &packets[..] };
            let received = receive(StreamConfig::default(), layout, |stream| {
                let reader = TcpReader::new(at_loopback()).unwrap();
                let port = reader.port();
                assert!(stream.add_reader(Box::new(reader)).unwrap());
                let (packets, sizes) = (packets.to_vec(), sizes.to_vec());
                std::thread::spawn(move || send_in_pieces(port, &packets, &sizes));
            });
            assert!(received.stats.ledger_closes(), "{}", describe(&received.stats));
            let heaps = json["heaps"].as_array().unwrap();
            for heap in heaps {
                let number = heap["timestamp"].as_u64().unwrap() / step;
                let sha256 = received.sha256.get(&number);
                if sizes != [1] || sha256.is_some() {
                    assert_eq!(
                        sha256.map(String::as_str),
                        heap["sha256"].as_str(),
                        "heap {number} of {name}"
                    );
                }
            }
            if sizes == [1] {
                assert_eq!(received.stats[Stat::Truncated], 1);
                assert!(received.stats[Stat::CompleteHeaps] >= heaps.len() as u64 / 20 - 1);
            } else {
                assert_eq!(received.end, EndReason::StopItem);
                assert_eq!(received.stats[Stat::CompleteHeaps], heaps.len() as u64);
                assert_eq!(received.stats[Stat::PacketsControl], 1);
            }
        }
    }
}

/// Scatters nothing: copies each payload to where it belongs, as the library would.
struct Copies;

// SAFETY: it writes each payload to its place in the room, and nothing else.
unsafe impl PacketCopy for Copies {
    fn copy(&self, room: Room, packet: &Packet<'_>) {
        let payload = packet.payload();
        // SAFETY: the room holds the packet's payload at its offset.
        unsafe {
            let to = room.base.add(packet.payload_offset() as usize);
            to.as_ptr().copy_from_nonoverlapping(payload.as_ptr(), payload.len());
        }
    }
}

/// How a stream is to be set up, and what is sent to it.
#[derive(Debug, Clone)]
struct Case {
    out_of_order: bool,
    user_copy: bool,
    max_heaps: usize,
    max_heap_size: u64,
    packets: Vec<Wire>,
    pieces: Vec<usize>,
}

fn packets() -> impl Strategy<Value = Vec<Wire>> {
    let heap = (0u64..24, 0usize..=SLOT, 1usize..150, any::<bool>());
    let order = vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..8), 0..20);
    (vec(heap, 1..30), order).prop_map(|(heaps, changes)| {
        let mut packets = vec![];
        for (heap_cnt, size, part, unsized_heap) in heaps {
            let mut parts = split(heap_cnt, &pattern(heap_cnt, size), part);
            if unsized_heap && parts.len() > 1 {
                parts.iter_mut().for_each(|packet| packet.heap_length = None);
            }
            packets.extend(parts);
        }
        for (from, to, what) in changes {
            let (from, to) = (from.index(packets.len()), to.index(packets.len()));
            let packet = packets[from].clone();
            match what {
                0 => drop(packets.remove(from)),
                1 => packets[from].heap_cnt = packets[to].heap_cnt,
                2 => packets.insert(to, packet.clone()),
                3 => packets[from].items.push((true, 0x1234, 5)),
                _ => packets.swap(from, to),
            }
            if packets.is_empty() {
                packets.push(packet);
            }
        }
        packets
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let pieces = vec(prop_oneof![1usize..20, 1usize..2000], 1..20);
    let max_heap_size = prop_oneof![Just(1u64 << 20), Just(200)];
    (any::<bool>(), any::<bool>(), 1usize..4, max_heap_size, packets(), pieces).prop_map(
        |(out_of_order, user_copy, max_heaps, max_heap_size, packets, pieces)| Case {
            out_of_order,
            user_copy,
            max_heaps,
            max_heap_size,
            packets,
            pieces,
        },
    )
}

impl Case {
    fn rig(&self) -> Rig {
        let mut plan = Plan { chunks: 16, ..Plan::new(&pool(1)) };
        plan.config.allow_out_of_order = self.out_of_order;
        plan.config.max_heaps = self.max_heaps;
        plan.config.max_heap_size = self.max_heap_size;
        if self.user_copy {
            plan.config.copy = Copier { user: Some(Arc::new(Copies)), ..Copier::default() };
        }
        plan.build()
    }
}

/// Everything but how it came.
fn comparable(stats: &Snapshot) -> Vec<(&'static str, u64)> {
    let how = [Stat::Batches, Stat::MaxBatch, Stat::Connections];
    Stat::ALL.iter().filter(|stat| !how.contains(stat)).map(|&stat| (stat.name(), stats[stat])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn a_connection_gives_what_the_same_bytes_in_memory_give(case in cases()) {
        let bytes = bytes(&case.packets);
        let rig = case.rig();
        rig.add(Box::new(BufferReader::copy_of(&bytes)));
        let (expected, expected_chunks) = rig.run_out();
        let rig = case.rig();
        let port = add(&rig, at_loopback());
        send_in_pieces(port, &bytes, &case.pieces);
        let (stats, chunks) = rig.run_out();
        prop_assert_eq!(comparable(&stats), comparable(&expected));
        prop_assert_eq!(chunks, expected_chunks);
        prop_assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
    }
}

/// Long packets take the direct way; between them are short ones.
#[test]
fn long_and_short_packets_in_turn() {
    const SIZE: usize = 3 << 20;
    let layout = Layout { step: 1, heap_size: SIZE, heaps_per_chunk: 2 };
    let mut packets = vec![];
    let mut expected = vec![];
    for (number, part) in
        [60_000, 8972, 1000, 65_000, 30_000, 8191, 65_536 - 64, 20_000].into_iter().enumerate()
    {
        let payload = pattern(number as u64, SIZE);
        expected.push(support::sha256(&payload));
        for packet in split(number as u64 + 1, &payload, part) {
            packets.extend(packet.item(true, support::TIMESTAMP, number as u64).encode());
        }
    }
    packets.extend(Wire::stop().encode());
    for sizes in [&[usize::MAX][..], &[100_000, 17], &[4096]] {
        let received = receive(StreamConfig::default(), layout, |stream| {
            let reader = TcpReader::new(at_loopback()).unwrap();
            let port = reader.port();
            assert!(stream.add_reader(Box::new(reader)).unwrap());
            let packets = packets.clone();
            std::thread::spawn(move || send_in_pieces(port, &packets, sizes));
        });
        assert_eq!(received.end, EndReason::StopItem);
        assert_eq!(received.sha256.into_values().collect::<Vec<_>>(), expected);
        assert_eq!(received.stats[Stat::CompleteHeaps], 8);
    }
}

/// Sends the first `n` bytes of a packet and waits until its heap has been placed; gives the rest.
fn send_part(rig: &Rig, sender: &mut TcpStream, packet: &Wire, n: usize) -> Vec<u8> {
    let bytes = packet.encode();
    sender.write_all(&bytes[..n]).unwrap();
    rig.wait_placed(packet.heap_cnt);
    bytes[n..].to_vec()
}

/// What may become of a heap, through another connection, while a payload of it is on its way.
#[test]
fn a_heap_that_is_gone_when_the_rest_of_its_packet_comes() {
    for gone in ["evicted", "chunk left", "completed", "overlapped", "stays"] {
        let mut plan = Plan { max_chunks: 1, ..Plan::new(&pool(1)) }.out_of_order();
        plan.config.max_heaps = 8;
        if gone == "evicted" {
            plan.config.max_heaps = 1;
            plan.max_chunks = 2;
        }
        let rig = plan.build();
        let (mut one, mut other) = (feed(&rig, at_loopback()), feed(&rig, at_loopback()));
        // Its payload differs from that of the same heap over the other connection.
        let slow = Wire::part(1, 200, 0, vec![0xaa; 150]);
        let is_part = |heap_cnt: u64, from: usize, to: usize| {
            Wire::part(heap_cnt, 200, from as u64, pattern(heap_cnt, 200)[from..to].to_vec())
        };
        let rest = send_part(&rig, &mut one, &slow, 90);
        match gone {
            "evicted" => settle(&rig, &mut other, &bytes(&[is_part(2, 0, 100)])),
            "chunk left" => settle(&rig, &mut other, &whole(4).encode()),
            "completed" => settle(&rig, &mut other, &bytes(&[is_part(1, 0, 130), is_part(1, 130, 200)])),
            "overlapped" => settle(&rig, &mut other, &bytes(&[is_part(1, 100, 200)])),
            _ => settle(&rig, &mut other, &bytes(&[is_part(1, 150, 200)])),
        }
        settle(&rig, &mut one, &rest);
        let stats = rig.stop();
        let chunk = rig.chunks().into_iter().find(|chunk| chunk.id == 0).unwrap();
        let heap = &chunk.data[SLOT..SLOT + 200];
        let tell = format!("{gone}: {}", describe(&stats));
        let (complete, stat) = match gone {
            "evicted" => (0, Stat::PacketsIncomplete),
            "chunk left" => (1, Stat::PacketsTooOld),
            "completed" => (1, Stat::Duplicate),
            "overlapped" => (0, Stat::Overlap),
            _ => (1, Stat::PacketsDelivered),
        };
        assert_eq!(stats[Stat::CompleteHeaps], complete, "{tell}");
        assert!(stats[stat] >= 1, "{tell}");
        match gone {
            "completed" => assert_eq!(heap, pattern(1, 200), "{tell}"),
            "overlapped" => assert_eq!(&heap[100..], &pattern(1, 200)[100..], "{tell}"),
            "stays" => assert_eq!(heap, [&[0xaa; 150], &pattern(1, 200)[150..]].concat(), "{tell}"),
            _ => {}
        }
    }
}

#[test]
fn two_connections_share_a_stream() {
    let rig = Plan { chunks: 16, ..Plan::new(&pool(1)) }.build();
    let ports = [add(&rig, at_loopback()), add(&rig, at_loopback())];
    let threads = ports.map(|port| {
        let own = (ports[1] == port) as u64;
        // Of all heaps those with even or with odd numbers, whole or in parts.
        std::thread::spawn(move || {
            let heaps = (0..20).map(|i| 2 * i + own);
            let packets: Vec<_> = heaps.flat_map(|i| split(i, &pattern(i, SLOT), 64 << (i % 3))).collect();
            send_in_pieces(port, &bytes(&packets), &[50, 200, 13]);
        })
    });
    let (stats, chunks) = rig.run_out();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(stats[Stat::Connections], 2);
    // One may be far ahead of the other; then heaps are too old, or evicted: each is counted, which `run_out` checks.
    let present: usize = chunks.iter().flat_map(|chunk| &chunk.present).map(|&flag| usize::from(flag)).sum();
    assert_eq!(stats[Stat::CompleteHeaps] as usize, present);
    for chunk in chunks {
        for index in (0..HEAPS).filter(|&index| chunk.present[index] == 1) {
            let heap_cnt = (chunk.id as usize * HEAPS + index) as u64;
            assert_eq!(chunk.data[index * SLOT..][..SLOT], pattern(heap_cnt, SLOT));
        }
    }
}

/// A packet whose PAYLOAD_LENGTH says `length`, without a heap length.
fn claims(length: u64) -> Vec<u8> {
    let mut bytes = Wire { heap_length: None, ..Wire::whole(1, vec![]) }.encode();
    let word = bytes.len() - 8;
    bytes[word..].copy_from_slice(&(1 << 63 | 4 << 48 | length).to_be_bytes());
    bytes
}

#[test]
fn what_breaks_a_connection_ends_the_stream_and_says_why() {
    let bad = |at: usize, value: u8| {
        let mut bytes = whole(1).encode();
        bytes[at] = value;
        bytes
    };
    let cut = |n: usize| whole(1).encode()[..n].to_vec();
    let size = whole(1).encode().len();
    let many_items = bad(6, 0xff);
    let cases: Vec<(Vec<u8>, ErrorKind, Stat, String)> = vec![
        (
            b"GET / HTTP/1.1\r\n\r\n".into(),
            ErrorKind::Format,
            Stat::MalformedBadMagic,
            "first byte is not 0x53".into(),
        ),
        (bad(1, 3), ErrorKind::Format, Stat::MalformedBadVersion, "version is not 4".into()),
        (bad(2, 9), ErrorKind::Format, Stat::MalformedBadWidths, "widths".into()),
        (bad(9, 9), ErrorKind::Format, Stat::MalformedNoHeapCnt, "HEAP_CNT is missing".into()),
        (bad(39, 1), ErrorKind::Format, Stat::MalformedHeapOverflow, "beyond HEAP_LENGTH".into()),
        (
            many_items,
            ErrorKind::Format,
            Stat::Truncated,
            "a packet of 522280 bytes, more than max_size (65536)".into(),
        ),
        (
            claims(1 << 39),
            ErrorKind::Format,
            Stat::Truncated,
            format!("a packet of {} bytes", (1u64 << 39) + 32),
        ),
        (
            claims(65_536 - 31),
            ErrorKind::Format,
            Stat::Truncated,
            "a packet of 65537 bytes, more than max_size".into(),
        ),
        (cut(1), ErrorKind::Truncated, Stat::Truncated, "closed after the first 1 bytes of a packet".into()),
        (
            cut(20),
            ErrorKind::Truncated,
            Stat::Truncated,
            "closed after the first 20 bytes of a packet".into(),
        ),
        (
            cut(40),
            ErrorKind::Truncated,
            Stat::Truncated,
            format!("closed after 40 of the {size} bytes of a packet"),
        ),
        (
            cut(100),
            ErrorKind::Truncated,
            Stat::Truncated,
            format!("closed after 100 of the {size} bytes of a packet"),
        ),
    ];
    let pool = pool(1);
    for (broken, kind, stat, text) in cases {
        let rig = Plan::new(&pool).build();
        let mut sender = feed(&rig, at_loopback());
        let from = sender.local_addr().unwrap();
        sender.write_all(&[bytes(&[whole(0)]), broken].concat()).unwrap();
        sender.shutdown(std::net::Shutdown::Write).unwrap();
        let (error, stats, chunks) = failure(&rig);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(&text), "{error}; {text}");
        assert!(error.message().contains(&format!("connection from {from}")), "{error}");
        assert_eq!((stats[stat], stats[Stat::Packets]), (1, 2), "{error}: {}", describe(&stats));
        assert_eq!(stats[Stat::CompleteHeaps], 1);
        assert_eq!(chunks[0].data[..SLOT], pattern(0, SLOT));
        // It was closed at our side, too.
        until("the connection is closed", || (&sender).write_all(&[0]).is_err());
    }
    assert_others_go_on(&pool);
}

/// As much as `max_size` is accepted, and nothing of it is touched ahead of the data.
#[test]
fn max_size_is_the_limit_exactly() {
    let rig = Plan::new(&pool(1)).build();
    let size = whole(0).encode().len();
    let mut sender = feed(&rig, TcpConfig { max_size: size, ..at_loopback() });
    settle(&rig, &mut sender, &bytes(&[whole(0), whole(1)]));
    assert_eq!(rig.stop()[Stat::CompleteHeaps], 2);
    let rig = Plan::new(&pool(1)).build();
    let mut sender = feed(&rig, TcpConfig { max_size: size - 1, ..at_loopback() });
    sender.write_all(&bytes(&[whole(0)])).unwrap();
    let (error, stats, _) = failure(&rig);
    assert!(error.message().contains(&format!("a packet of {size} bytes")), "{error}");
    assert_eq!((stats[Stat::Truncated], stats[Stat::Packets]), (1, 1));

    let before = resident();
    let rig = Plan::new(&pool(1)).build();
    let mut sender = feed(&rig, TcpConfig { max_size: 1 << 30, ..at_loopback() });
    sender.write_all(&claims((1 << 30) - 32)).unwrap();
    sender.write_all(&[0; 1000]).unwrap();
    rig.wait_placed(1);
    // Chunks are small: the heap is out of bounds, and the payload is skipped, as far as it comes.
    sender.write_all(&[0; 1 << 20]).unwrap();
    drop(sender);
    let (error, stats, _) = failure(&rig);
    assert!(error.message().contains("of the 1073741824 bytes of a packet"), "{error}");
    assert_eq!((stats[Stat::OutOfBoundsHeaps], stats[Stat::Truncated]), (1, 1), "{}", describe(&stats));
    assert!(resident() < before + (64 << 20));
}

#[test]
fn a_reset_is_an_error() {
    for partial in [true, false] {
        let rig = Plan::new(&pool(1)).build();
        let mut sender = feed(&rig, at_loopback());
        settle(&rig, &mut sender, &whole(0).encode());
        if partial {
            send_part(&rig, &mut sender, &whole(1), 100);
        }
        SockRef::from(&sender).set_linger(Some(Duration::ZERO)).unwrap();
        drop(sender);
        let (error, stats, _) = failure(&rig);
        let kind = if partial { ErrorKind::Truncated } else { ErrorKind::Io };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains("reset"), "{error}");
        assert_eq!(stats[Stat::Truncated], u64::from(partial));
        assert_eq!(stats[Stat::Packets], 2 + u64::from(partial));
    }
}

#[test]
fn resync_finds_the_next_packet_at_any_byte() {
    let garbage: [(&[u8], Stat); 5] = [
        (b"x", Stat::MalformedBadMagic),
        (b"hello, world: no packet", Stat::MalformedBadMagic),
        (&[0x53; 11], Stat::MalformedBadVersion),
        // A header with too many pointers, and one whose pointers make no sense.
        (&[0x53, 4, 2, 6, 0, 0, 0xff, 0xff], Stat::Truncated),
        (&[0x53, 4, 2, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], Stat::MalformedNoHeapCnt),
    ];
    for pieces in [&[usize::MAX][..], &[1], &[3, 50]] {
        let rig = Plan::new(&pool(1)).build();
        let port = add(&rig, TcpConfig { on_garbage: OnGarbage::Resync, ..at_loopback() });
        let mut sent = vec![];
        for (i, (garbage, _)) in garbage.iter().enumerate() {
            sent.extend(whole(i as u64).encode());
            sent.extend(*garbage);
        }
        sent.extend(whole(5).encode());
        sent.extend(b"and nothing after this");
        send_in_pieces(port, &sent, pieces);
        let (stats, chunks) = rig.run_out();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
        assert_eq!(stats[Stat::CompleteHeaps], 6, "{}", describe(&stats));
        let skipped: usize = garbage.iter().map(|(garbage, _)| garbage.len()).sum();
        assert_eq!(stats[Stat::BytesSkipped] as usize, skipped + 22);
        assert_eq!(stats[Stat::Packets], 6 + 6, "one for each loss of sync");
        for (_, stat) in garbage {
            let more = 2 * u64::from(stat == Stat::MalformedBadMagic);
            assert_eq!(stats[stat], 1 + more, "{}: {}", stat.name(), describe(&stats));
        }
        assert_eq!(chunks[0].present, [1; HEAPS]);
    }
}

/// Candidates for a header that cost most to look at: neither memory, nor the log, nor others suffer.
#[test]
fn a_flood_of_garbage_is_survived() {
    const ROUNDS: u64 = 4;
    listen();
    let pool = pool(1);
    let rig = Plan::new(&pool).build();
    let mut sender = feed(&rig, TcpConfig { on_garbage: OnGarbage::Resync, ..at_loopback() });
    let worker = {
        sender.write_all(&Wire::whole(SENTINEL, vec![]).encode()).unwrap();
        rig.wait_placed(SENTINEL)
    };
    let before = resident();
    let worst = [0x53, 4, 2, 6, 0, 0, 0x01, 0xff].repeat(4096);
    for i in 0..ROUNDS {
        // Each gets the stream out of step once more.
        sender.write_all(&worst).unwrap();
        sender.write_all(&[0; 4096]).unwrap();
        sender.write_all(&whole(i).encode()).unwrap();
    }
    settle(&rig, &mut sender, &[]);
    assert_others_go_on(&pool);
    let stats = rig.stop();
    assert_eq!(stats[Stat::BytesSkipped], ROUNDS * (32_768 + 4096));
    assert_eq!(stats[Stat::MalformedNoHeapCnt], ROUNDS);
    assert_eq!(stats[Stat::SinglePacketHeaps], ROUNDS + 2);
    assert!(resident() < before + (32 << 20));
    assert!(lines_of(worker).len() < 20, "{:?}", lines_of(worker));
}

#[test]
fn a_sender_that_stops_in_mid_packet_holds_up_nobody() {
    let pool = pool(1);
    for part in [1, 20, 100] {
        let rig = Plan::new(&pool).build();
        let mut slow = feed(&rig, at_loopback());
        let mut good = feed(&rig, at_loopback());
        slow.write_all(&whole(0).encode()[..part]).unwrap();
        settle(&rig, &mut good, &whole(1).encode());
        rig.wait_for("both are connected", |stats| stats[Stat::Connections] == 2);
        assert_others_go_on(&pool);
        let stats = rig.stop();
        assert_eq!(stats[Stat::SinglePacketHeaps], 2, "{}", describe(&stats));
        // What there is of the slow one's, if it has been read at all.
        assert_eq!(stats[Stat::Packets], 2 + stats[Stat::PacketsAfterStop]);
        assert!(stats[Stat::PacketsAfterStop] <= 1);
    }
}

#[test]
fn what_is_left_at_the_end_is_counted() {
    for end in ["stop item", "stop"] {
        let rig = Plan::new(&pool(1)).data_ring(1).build();
        let mut packets: Vec<_> = (0..40).map(|i| whole(i).item(true, 6, 0)).collect();
        if end == "stop item" {
            // Its own payload is counted with it.
            packets[5] = whole(5).item(true, 6, 2);
        }
        let mut sent = bytes(&packets);
        sent.extend(&whole(40).encode()[..50]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = connect("127.0.0.1", listener.local_addr().unwrap().port());
        sender.write_all(&sent).unwrap();
        // Everything is there before the reader is, so that it comes in one read.
        add(&rig, TcpConfig { listener: Some(OwnedFd::from(listener)), ..TcpConfig::default() });
        let stats = if end == "stop item" {
            rig.run_out().0
        } else {
            rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] == 1);
            rig.stop()
        };
        assert_eq!(stats[Stat::Packets], 41, "{end}: {}", describe(&stats));
        let (complete, left) = if end == "stop item" { (5, 35) } else { (12, 29) };
        assert_eq!((stats[Stat::CompleteHeaps], stats[Stat::PacketsAfterStop]), (complete, left), "{end}");
    }
}

#[test]
fn a_stream_that_waits_holds_up_the_sender_and_loses_nothing() {
    const COUNT: u64 = 4000;
    let rig = Plan::new(&pool(1)).data_ring(1).build();
    let port = add(&rig, TcpConfig { buffer_size: 8192, ..at_loopback() });
    let mut sender = connect("127.0.0.1", port);
    SockRef::from(&sender).set_send_buffer_size(8192).unwrap();
    sender.set_nonblocking(true).unwrap();
    let packets = (0..COUNT).flat_map(|i| split(i, &pattern(i, SLOT), 100 + i as usize % 200));
    let sent = bytes(&packets.collect::<Vec<_>>());
    let mut position = 0;
    // Until nothing more goes, neither into the stream nor into the buffers between.
    while position < sent.len() {
        match sender.write(&sent[position..]) {
            Ok(n) => position += n,
            Err(error) => {
                assert_eq!(error.kind(), IoErrorKind::WouldBlock);
                if rig.stream.stream().snapshot()[Stat::WorkerBlocked] > 0 {
                    break;
                }
            }
        }
    }
    assert!(position < 200_000, "{position} of {} bytes are on their way", sent.len());
    assert_eq!(rig.stream.stream().snapshot()[Stat::CompleteHeaps], 12);
    sender.set_nonblocking(false).unwrap();
    let sending = std::thread::spawn(move || sender.write_all(&sent[position..]).unwrap());
    let (stats, chunks) = rig.run_out();
    sending.join().unwrap();
    assert_eq!(stats[Stat::CompleteHeaps], COUNT, "{}", describe(&stats));
    let received: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
    assert!(received == (0..COUNT).flat_map(|i| pattern(i, SLOT)).collect::<Vec<_>>());
}

#[test]
fn one_connection_and_no_more() {
    let rig = Plan::new(&pool(1)).build();
    let port = add(&rig, at_loopback());
    let mut sender = connect("127.0.0.1", port);
    settle(&rig, &mut sender, &whole(0).encode());
    // Nobody listens any more.
    assert_eq!(TcpStream::connect(("127.0.0.1", port)).unwrap_err().kind(), IoErrorKind::ConnectionRefused);
    drop(sender);
    let (stats, _) = rig.run_out();
    assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
    assert_eq!((stats[Stat::Connections], stats[Stat::CompleteHeaps]), (1, 1));
}

#[test]
fn one_connection_after_the_other() {
    listen();
    let rig = Plan { chunks: 16, ..Plan::new(&pool(1)) }.build();
    let port = add(&rig, TcpConfig { reconnect: true, ..at_loopback() });
    for round in 0..8 {
        let mut sender = connect("127.0.0.1", port);
        settle(&rig, &mut sender, &bytes(&split(round, &pattern(round, SLOT), 100)));
        // How it ends is nothing to the next.
        match round % 4 {
            0 => drop(sender),
            1 => sender.write_all(b"garbage!").unwrap(),
            2 => drop(send_part(&rig, &mut sender, &whole(round + 1), 100)),
            _ => {
                SockRef::from(&sender).set_linger(Some(Duration::ZERO)).unwrap();
                drop(sender);
            }
        }
    }
    // Two at the same time: the second waits for its turn.
    let (mut first, mut second) = (connect("127.0.0.1", port), connect("127.0.0.1", port));
    second.write_all(&bytes(&[whole(9), Wire::whole(SENTINEL, vec![])])).unwrap();
    settle(&rig, &mut first, &whole(8).encode());
    drop(first);
    let thread = rig.wait_placed(SENTINEL);
    let stats = rig.stop();
    assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::User));
    assert_eq!(stats[Stat::Connections], 10, "{}", describe(&stats));
    assert_eq!(stats[Stat::CompleteHeaps], 10);
    assert_eq!(stats[Stat::MalformedBadMagic], 2);
    assert_eq!(stats[Stat::Truncated], 2);
    let lines: Vec<_> =
        lines_of(thread).into_iter().filter(|line| line.contains("ended with an error")).collect();
    assert!(lines[0].contains("malformed packet"), "{lines:?}");
    assert!(lines.len() <= 3, "{lines:?}");
    // Nobody listens any more.
    until("the port is closed", || TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// Connections without end, from strangers and with garbage or half a packet, cost neither memory, nor descriptors, nor lines of the log, also
/// where each of them is given a smaller buffer than was asked for.
#[test]
fn a_flood_of_connections_is_survived() {
    const FLOOD: u64 = 400;
    listen();
    let pool = pool(1);
    for strangers in [false, true] {
        let rig = Plan::new(&pool).build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let source_filter = strangers.then(|| SourceFilter::parse("192.0.2.1").unwrap());
        let config = TcpConfig {
            listener: Some(OwnedFd::from(listener)),
            buffer_size: usize::MAX,
            reconnect: true,
            source_filter: source_filter.flatten(),
            ..TcpConfig::default()
        };
        add(&rig, config);
        let worker = rig.settle(&rig.udp());
        let (before, lines_before) = (resident(), lines_of(worker).len());
        for i in 0..FLOOD {
            let mut sender = connect("127.0.0.1", port);
            // It may be closed by now.
            let _ = sender.write_all(if i % 2 == 0 { b"garbage!" } else { &[0x53, 4] });
        }
        let stat = if strangers { Stat::ConnectionsRejected } else { Stat::Connections };
        rig.wait_for("all have come", |stats| stats[stat] == FLOOD);
        if !strangers {
            rig.wait_for("all have gone", |s| s[Stat::MalformedBadMagic] + s[Stat::Truncated] == FLOOD);
        }
        assert_others_go_on(&pool);
        rig.stop();
        assert!(resident() < before + (32 << 20));
        // The first of its kind, a sum once a second, and one at the end: of connections, of those that failed, of small buffers.
        let lines = lines_of(worker).split_off(lines_before);
        assert!((3..20).contains(&lines.len()), "{lines:#?}");
    }
}

#[test]
fn an_acceptor_of_the_caller_stays_the_callers() {
    let pool = pool(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for reconnect in [false, true, false] {
        let rig = Plan::new(&pool).build();
        let duplicate = OwnedFd::from(listener.try_clone().unwrap());
        let config = TcpConfig {
            listener: Some(duplicate),
            host: "not a host".into(),
            reconnect,
            ..TcpConfig::default()
        };
        assert_eq!(add(&rig, config), port);
        for round in 0..=u64::from(reconnect) {
            let mut sender = connect("127.0.0.1", port);
            settle(&rig, &mut sender, &whole(round).encode());
        }
        let stats = if reconnect { rig.stop() } else { rig.run_out().0 };
        assert_eq!(stats[Stat::Connections], 1 + u64::from(reconnect));
    }
    // It still listens.
    let _sender = connect("127.0.0.1", port);
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap();
}

#[test]
fn what_cannot_be_listened_to_is_an_error_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let at = |host: &str, port| TcpConfig { host: host.into(), port, ..TcpConfig::default() };
    let fd = |fd: OwnedFd| TcpConfig { listener: Some(fd), ..TcpConfig::default() };
    let connected = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let local = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let is_no_listener = "acceptor_fd must be a listening stream socket";
    let cases = [
        (at("127.0.0.1", port), ErrorKind::Io, format!("bind to 127.0.0.1:{port}: Address already in use")),
        (at("192.0.2.1", 0), ErrorKind::Io, "bind to 192.0.2.1:0: ".into()),
        (at("no-such-host.invalid", 0), ErrorKind::Io, "resolving host \"no-such-host.invalid\": ".into()),
        (at("nul\0inside", 0), ErrorKind::Io, "nul".into()),
        (fd(connected.into()), ErrorKind::Invalid, is_no_listener.into()),
        (fd(UdpSocket::bind("127.0.0.1:0").unwrap().into()), ErrorKind::Invalid, is_no_listener.into()),
        (fd(local.into()), ErrorKind::Invalid, "IPv4 or IPv6".into()),
        (fd(std::fs::File::open("/dev/null").unwrap().into()), ErrorKind::Io, "SO_TYPE".into()),
        (TcpConfig { max_size: 0, ..at("", 0) }, ErrorKind::Invalid, "max_size must be".into()),
        (TcpConfig { max_size: (1 << 30) + 1, ..at("", 0) }, ErrorKind::Invalid, "(got 1073741825)".into()),
        (
            TcpConfig { batch_delay: Duration::from_millis(2), ..at("", 0) },
            ErrorKind::Invalid,
            "batch_delay must be at most 1ms (got 2ms)".into(),
        ),
    ];
    for (config, kind, text) in cases {
        let tell = format!("{config:?}");
        let error = TcpReader::new(config).err().expect(&tell);
        assert_eq!(error.kind(), kind, "{tell}: {error}");
        assert!(error.message().contains(&text), "{tell}: {error}");
    }
}

#[test]
fn a_port_is_free_again_when_its_stream_has_stopped() {
    let pool = pool(1);
    let mut port = 0;
    for _ in 0..5 {
        let rig = Plan::new(&pool).build();
        port = add(&rig, TcpConfig { port, ..at_loopback() });
        let mut sender = connect("127.0.0.1", port);
        settle(&rig, &mut sender, &[]);
        // Our side closes first, and keeps the connection in mind for a while.
        rig.stop();
    }
}

const CHILD: &str = "AQUEDUCT_TEST_TCP_CHILD";

/// Runs [`in_a_process_of_its_own`] in one: descriptors are the whole process's.
#[test]
fn no_descriptor_is_left_behind() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn in_a_process_of_its_own() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let pool = pool(1);
    let open = || std::fs::read_dir("/proc/self/fd").map(|entries| entries.count()).unwrap();
    let round = |reconnect| {
        let rig = Plan::new(&pool).build();
        let port = add(&rig, TcpConfig { reconnect, ..at_loopback() });
        let mut sender = connect("127.0.0.1", port);
        settle(&rig, &mut sender, &whole(0).encode());
        drop(sender);
        if reconnect {
            settle(&rig, &mut connect("127.0.0.1", port), &[]);
        }
        rig.stop();
        rig.stream.data_ring().stop();
    };
    round(true);
    let before = open();
    for i in 0..20 {
        round(i % 2 == 0);
        assert!(TcpReader::new(TcpConfig { host: "192.0.2.1".into(), ..TcpConfig::default() }).is_err());
    }
    assert_eq!(open(), before);

    // Without descriptors no connection can be accepted: the reader says so.
    let rig = Plan::new(&pool).build();
    let port = add(&rig, at_loopback());
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let set_limit = |limit| {
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: 4096 };
        // SAFETY: the kernel reads a live rlimit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    };
    set_limit(3);
    let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&address.into()).unwrap();
    let (error, _, _) = failure(&rig);
    set_limit(4096);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains(&format!("accept on 127.0.0.1:{port}: Too many open files")), "{error}");
    assert_others_go_on(&pool);
}
