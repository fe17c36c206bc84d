//! Live capture on interfaces of a network of its own: what passes is received, and what the kernel drops is counted.
#![cfg(feature = "pcap")]

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

use aqueduct::error::ErrorKind;
use aqueduct::recv::heap::{HeapRingStream, RingConfig};
use aqueduct::recv::reader::{PcapLiveConfig, PcapLiveReader};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use support::network::{in_a_network_of_its_own, ip};
use support::rig::watch;
use support::wire::Wire;

const GROUP: &str = "239.255.77.1";

fn stream(explicit_start: bool) -> HeapRingStream {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let config = StreamConfig { explicit_start, ..StreamConfig::default() };
    HeapRingStream::new(&pool, config, RingConfig { heaps: 10_000, ..RingConfig::default() }).unwrap()
}

fn capture(stream: &HeapRingStream, config: PcapLiveConfig) {
    let reader = PcapLiveReader::new(config).unwrap();
    assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
}

fn config(device: &str, filter: &str) -> PcapLiveConfig {
    let filter = (!filter.is_empty()).then(|| filter.to_owned());
    PcapLiveConfig { device: device.into(), filter, ..PcapLiveConfig::default() }
}

/// A socket that sends multicast on d0.
fn sender() -> UdpSocket {
    let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
    socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::new(10, 77, 0, 1)).unwrap();
    socket
}

fn send(socket: &UdpSocket, port: u16, packet: &Wire) {
    let packet = packet.encode();
    assert_eq!(socket.send_to(&packet, (GROUP, port)).unwrap(), packet.len());
}

/// The numbers of the heaps that come, and the statistics at the end.
fn all(stream: &HeapRingStream) -> (Vec<u64>, Snapshot) {
    let heaps = std::iter::from_fn(|| stream.get(Wait::Forever).ok().map(|heap| heap.cnt())).collect();
    stream.stream().stop().unwrap();
    let snapshot = stream.stream().snapshot();
    assert!(snapshot.ledger_closes(), "{snapshot:?}");
    (heaps, snapshot)
}

#[test]
fn a_group_that_nobody_joined_is_seen_at_the_other_end() {
    in_a_network_of_its_own(|| {
        let _watch = watch("capture of a group");
        let stream = stream(false);
        capture(&stream, config("d1", "udp dst port 7148"));
        let socket = sender();
        for cnt in 1..=20 {
            send(&socket, 7149, &Wire::whole(100 + cnt, vec![0; 1200]));
            send(&socket, 7148, &Wire::whole(cnt, vec![0; 1200]));
        }
        send(&socket, 7148, &Wire::stop());
        let (heaps, stats) = all(&stream);
        assert_eq!(heaps, (1..=20).collect::<Vec<_>>());
        assert_eq!(stream.stream().end_reason(), Some(EndReason::StopItem));
        assert_eq!((stats[Stat::Packets], stats[Stat::KernelDrops]), (21, 0));
    });
}

#[test]
fn what_this_host_sends_is_taken_only_if_asked_for() {
    in_a_network_of_its_own(|| {
        let _watch = watch("capture of what is sent");
        let socket = sender();
        let (with, without) = (stream(false), stream(false));
        capture(&with, PcapLiveConfig { outgoing: true, ..config("d0", "udp") });
        capture(&without, config("d0", "udp"));
        for cnt in 1..=3 {
            send(&socket, 7148, &Wire::whole(cnt, vec![0; 100]));
        }
        send(&socket, 7148, &Wire::stop());
        assert_eq!(all(&with).0, [1, 2, 3]);
        without.stream().stop().unwrap();
        let (heaps, stats) = all(&without);
        assert_eq!((heaps.len(), stats[Stat::Packets]), (0, 0));
    });
}

/// A ring too small for what comes before anybody looks: each datagram is delivered or counted as dropped.
#[test]
fn drops_of_the_kernel_are_counted() {
    in_a_network_of_its_own(|| {
        let _watch = watch("drops of a capture");
        const SENT: u64 = 3000;
        let stream = stream(true);
        capture(&stream, PcapLiveConfig { buffer_size: 1 << 16, ..config("d1", "udp dst port 7148") });
        let socket = sender();
        for cnt in 1..=SENT {
            send(&socket, 7148, &Wire::whole(cnt, vec![0; 1200]));
        }
        stream.stream().start();
        // What is in the ring is the beginning; and there is room again once its first heap has been delivered.
        let first = stream.get(Wait::Forever).unwrap();
        assert_eq!(first.cnt(), 1);
        support::rig::until("the ring is read", || {
            let now = stream.stream().snapshot();
            now[Stat::Packets] + now[Stat::KernelDrops] >= SENT
        });
        send(&socket, 7148, &Wire::stop());
        let (heaps, stats) = all(&stream);
        assert_eq!(stats[Stat::Packets], heaps.len() as u64 + 2);
        assert_eq!(stats[Stat::Packets] + stats[Stat::KernelDrops], SENT + 1);
        assert!(stats[Stat::KernelDrops] > 1000, "{stats:?}");
    });
}

#[test]
fn other_frames_are_counted_by_what_they_are() {
    in_a_network_of_its_own(|| {
        let _watch = watch("other frames");
        let stream = stream(false);
        capture(&stream, config("d1", "dst host 239.255.77.1 or arp"));
        let socket = sender();
        // Larger than a frame: fragments. To a neighbour that does not answer: ARP.
        send(&socket, 7148, &Wire::whole(1, vec![0; 4000]));
        send(&socket, 7148, &Wire::whole(2, vec![0; 1000]));
        socket.send_to(b"x", "10.77.0.9:7148").unwrap();
        support::rig::until("ARP is seen", || stream.stream().snapshot()[Stat::NotUdp] > 0);
        send(&socket, 7148, &Wire::stop());
        let (heaps, stats) = all(&stream);
        assert_eq!(heaps, [2]);
        assert_eq!(stats[Stat::Fragment], 3);
    });
}

#[test]
fn an_interface_that_goes_away_ends_the_reader() {
    in_a_network_of_its_own(|| {
        let _watch = watch("an interface that goes away");
        let stream = stream(false);
        capture(&stream, config("d1", ""));
        ip("link delete d0");
        all(&stream);
        let Some(EndReason::Failed(error)) = stream.stream().end_reason() else {
            panic!("{:?}", stream.stream().end_reason())
        };
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().starts_with("live capture on \"d1\": "), "{error}");
    });
}
