//! Self-describing heaps that spead2 sends: every item must arrive as it was sent, from memory, over UDP, TCP and multicast.
//!
//! The script tests/live/items_spead2.py draws types, formats, shapes, flavours and redefinitions by a seed, and tells what it
//! sent. Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure. `AQ_LIVE_CASES` sets
//! how many streams are compared from memory.

mod peer;
mod support;

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aqueduct::recv::heap::{Heap, HeapRingStream, RingConfig};
use aqueduct::recv::reader::{
    BufferReader, Reader, SourceFilter, TcpConfig, TcpReader, Timestamps, UdpConfig, UdpReader,
};
use aqueduct::recv::stats::Stat;
use aqueduct::recv::{EndReason, StreamConfig};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::spead::group::{GroupLimits, ItemGroup};
use serde_json::{Value as Json, json};
use support::network::in_a_network_of_its_own;
use support::sha256;

/// Runs the sender; the answer is what it sent.
fn send(python: &str, arguments: &[&str]) -> Json {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/items_spead2.py");
    let output = Command::new(python).arg(script).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "items_spead2.py {arguments:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What came: each heap's items as the sender describes its own, and the times at which it came.
struct Received {
    heaps: Vec<Json>,
    arrivals: Vec<[Option<u64>; 2]>,
}

fn items_of(heap: &Heap, group: &mut ItemGroup) -> Json {
    let update = group.update(heap.items(), heap.flavour(), heap.bug_compat());
    assert_eq!(update.errors, [], "heap {}", heap.cnt());
    let mut items = serde_json::Map::new();
    for &index in &update.changed {
        let item = group.get(index).unwrap();
        let value = item.value.as_ref().unwrap();
        let described = json!({
            "id": item.descriptor.id,
            "dtype": value.dtype.to_string(),
            "shape": value.shape,
            "order": if value.fortran_order { "F" } else { "C" },
            "sha256": sha256(&value.c_order_bytes()),
        });
        items.insert(item.descriptor.name.clone(), described);
    }
    json!({ "cnt": heap.cnt(), "items": items })
}

fn stream(bug_compat: u8) -> HeapRingStream {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let config = StreamConfig { bug_compat, max_heaps: 16, ..StreamConfig::default() };
    HeapRingStream::new(&pool, config, RingConfig::default()).unwrap()
}

fn receive(stream: &HeapRingStream) -> Received {
    let mut group = ItemGroup::new(GroupLimits::default());
    let (mut heaps, mut arrivals) = (Vec::new(), Vec::new());
    while let Ok(heap) = stream.get(Wait::Forever) {
        assert_eq!(heap.is_start_of_stream(), heap.cnt() == 1);
        heaps.push(items_of(&heap, &mut group));
        arrivals.push([heap.first_arrival(), heap.last_arrival()].map(|at| at.map(|at| at.nanoseconds)));
    }
    stream.stream().stop().unwrap();
    assert_eq!(stream.stream().end_reason(), Some(EndReason::StopItem));
    let stats = stream.stream().snapshot();
    assert!(stats.ledger_closes(), "{stats:?}");
    Received { heaps, arrivals }
}

fn compare(received: &Received, sent: &Json, what: &str) {
    let sent = sent["heaps"].as_array().unwrap();
    for (received, sent) in received.heaps.iter().zip(sent) {
        assert_eq!(received, sent, "{what}");
    }
    assert_eq!(received.heaps.len(), sent.len(), "{what}");
}

#[test]
fn random_items_from_memory() {
    let Some(python) = peer::python() else { return };
    let cases = std::env::var("AQ_LIVE_CASES").map_or(40, |cases| cases.parse().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let mut items = 0;
    for seed in 0..cases {
        let sent = send(&python, &[&seed.to_string(), "6", "file", path]);
        let stream = stream(sent["bug_compat"].as_u64().unwrap() as u8);
        let reader = BufferReader::copy_of(&std::fs::read(path).unwrap());
        assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
        compare(&receive(&stream), &sent, &format!("seed {seed}"));
        let heaps = sent["heaps"].as_array().unwrap();
        items += heaps.iter().map(|heap| heap["items"].as_object().unwrap().len()).sum::<usize>();
    }
    assert!(items > 10 * cases as usize);
}

/// A seed whose stream has no bug compatibility, so that it need not be known before.
const SEED: &str = "5";

/// Receives what is sent to a reader.
fn transfer(python: &str, reader: Box<dyn Reader>, arguments: &[&str]) -> Received {
    let _watch = support::rig::watch("a transfer");
    let stream = stream(0);
    assert!(stream.stream().add_reader(reader).unwrap());
    let sent = send(python, &[&[SEED, "20"], arguments].concat());
    assert_eq!(sent["bug_compat"], 0);
    let received = receive(&stream);
    compare(&received, &sent, &arguments.join(" "));
    received
}

/// Each heap's first packet came no later than its last, none before the test, none after now.
fn check_arrivals(arrivals: &[[Option<u64>; 2]], since: SystemTime) {
    let nanoseconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut before = nanoseconds(since);
    for arrivals in arrivals {
        let [Some(first), Some(last)] = *arrivals else { panic!("{arrivals:?}") };
        assert!(before <= first && first <= last, "{before} {first} {last}");
        before = first;
    }
    assert!(before <= nanoseconds(SystemTime::now()));
}

#[test]
fn items_over_udp_and_tcp_with_times_of_arrival() {
    let Some(python) = peer::python() else { return };
    let since = SystemTime::now();
    let host = || "127.0.0.1".to_owned();
    let udp =
        UdpReader::new(UdpConfig { host: host(), timestamps: Timestamps::Hardware, ..UdpConfig::default() });
    let udp = udp.unwrap();
    let port = udp.port().to_string();
    let received = transfer(&python, Box::new(udp), &["udp", "127.0.0.1", &port]);
    check_arrivals(&received.arrivals, since);
    let tcp =
        TcpReader::new(TcpConfig { host: host(), timestamps: Timestamps::Software, ..TcpConfig::default() });
    let tcp = tcp.unwrap();
    let port = tcp.port().to_string();
    let received = transfer(&python, Box::new(tcp), &["tcp", "127.0.0.1", &port]);
    check_arrivals(&received.arrivals, since);
}

/// The kernel has taken no time of what came before it was asked to.
#[test]
fn what_came_before_its_reader_arrived_when_it_was_read() {
    let since = SystemTime::now();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    send_heap("127.0.0.1", ("127.0.0.1", socket.local_addr().unwrap().port()), 1);
    let timestamps = Timestamps::Software;
    let config = UdpConfig { socket: Some(socket.into()), timestamps, ..UdpConfig::default() };
    let stream = stream(0);
    assert!(stream.stream().add_reader(Box::new(UdpReader::new(config).unwrap())).unwrap());
    let heap = stream.get(Wait::Forever).unwrap();
    let arrivals = [heap.first_arrival(), heap.last_arrival()].map(|time| Some(time?.nanoseconds));
    check_arrivals(&[arrivals], since);
}

#[test]
fn without_being_asked_nobody_tells_the_time() {
    let Some(python) = peer::python() else { return };
    let udp = UdpReader::new(UdpConfig { host: "127.0.0.1".into(), ..UdpConfig::default() }).unwrap();
    let port = udp.port().to_string();
    let received = transfer(&python, Box::new(udp), &["udp", "127.0.0.1", &port]);
    assert!(received.arrivals.iter().all(|arrivals| arrivals == &[None, None]));
}

fn multicast(group: &str, interface: &str) -> UdpReader {
    let config = UdpConfig { host: group.into(), interface: interface.into(), ..UdpConfig::default() };
    UdpReader::new(config).unwrap()
}

#[test]
fn items_over_multicast() {
    let Some(python) = peer::python() else { return };
    in_a_network_of_its_own(move || {
        for (group, ours, theirs) in [
            ("239.255.77.1", "10.77.0.1", "10.77.0.1"),
            ("239.255.77.2", "d0", "10.77.0.1"),
            ("ff12::77", "d0", "d0"),
        ] {
            let reader = multicast(group, ours);
            let port = reader.port().to_string();
            transfer(&python, Box::new(reader), &["udp", group, &port, theirs]);
        }
        // SAFETY: a C text.
        let interface_index = unsafe { libc::if_nametoindex(c"d0".as_ptr()) };
        let config = UdpConfig { host: "ff12::78".into(), interface_index, ..UdpConfig::default() };
        let reader = UdpReader::new(config).unwrap();
        let port = reader.port().to_string();
        transfer(&python, Box::new(reader), &["udp", "ff12::78", &port, "d0"]);
    });
}

#[test]
#[cfg(feature = "pcap")]
fn items_captured_on_an_interface() {
    use aqueduct::recv::reader::{PcapLiveConfig, PcapLiveReader};
    let Some(python) = peer::python() else { return };
    in_a_network_of_its_own(move || {
        let since = SystemTime::now();
        // Somebody else's socket, so that nobody complains to the sender; it reads nothing.
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port().to_string();
        let filter = Some(format!("udp dst port {port}"));
        let reader =
            PcapLiveReader::new(PcapLiveConfig { device: "lo".into(), filter, ..PcapLiveConfig::default() });
        let received = transfer(&python, Box::new(reader.unwrap()), &["udp", "127.0.0.1", &port]);
        check_arrivals(&received.arrivals, since);
    });
}

/// A packet that is a whole heap, to a group or host, from an address of this host.
fn send_heap(from: &str, to: (&str, u16), cnt: u64) {
    let socket = std::net::UdpSocket::bind((from, 0)).unwrap();
    if let Ok(interface) = from.parse::<Ipv4Addr>() {
        socket2::SockRef::from(&socket).set_multicast_if_v4(&interface).unwrap();
    }
    let packet = support::wire::Wire::whole(cnt, vec![cnt as u8; 10]).encode();
    assert_eq!(socket.send_to(&packet, to).unwrap(), packet.len());
}

/// The numbers of the heaps that a stream gets, in the order of sending, up to `last`.
fn heaps_until(stream: &HeapRingStream, last: u64) -> Vec<u64> {
    let cnts = std::iter::from_fn(|| stream.get(Wait::Forever).ok().map(|heap| heap.cnt()));
    let mut found: Vec<u64> = Vec::new();
    for cnt in cnts {
        found.push(cnt);
        if cnt == last {
            break;
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn several_groups_on_one_stream_and_no_others() {
    in_a_network_of_its_own(|| {
        let stream = stream(0);
        let first = multicast("239.255.77.1", "d0");
        let port = first.port();
        let more = |host: &str| {
            UdpReader::new(UdpConfig {
                host: host.into(),
                port,
                interface: "d0".into(),
                ..UdpConfig::default()
            })
        };
        let (second, other) = (more("239.255.77.2").unwrap(), more("239.255.77.3").unwrap());
        assert!(stream.stream().add_reader(Box::new(first)).unwrap());
        assert!(stream.stream().add_reader(Box::new(second)).unwrap());
        let from = "10.77.0.1";
        for (cnt, group) in
            [(1, "239.255.77.1"), (2, "239.255.77.3"), (3, "239.255.77.2"), (4, "239.255.77.9")]
        {
            send_heap(from, (group, port), cnt);
        }
        // To the port, but to no group.
        send_heap(from, ("10.77.0.1", port), 5);
        send_heap(from, ("239.255.77.1", port), 6);
        send_heap(from, ("239.255.77.2", port), 7);
        let mut found = heaps_until(&stream, 7);
        if !found.contains(&6) {
            found.extend(heaps_until(&stream, 6));
            found.sort_unstable();
        }
        assert_eq!(found, [1, 3, 6, 7]);
        drop(other);
    });
}

#[test]
fn strangers_are_counted_and_left_out() {
    in_a_network_of_its_own(|| {
        let filter = || SourceFilter::parse("10.77.0.2, 192.0.2.0/24").unwrap();
        let stream = stream(0);
        let config = UdpConfig { host: "0.0.0.0".into(), source_filter: filter(), ..UdpConfig::default() };
        let reader = UdpReader::new(config).unwrap();
        let port = reader.port();
        assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
        for (cnt, from) in [(1, "10.77.0.1"), (2, "10.77.0.2"), (3, "127.0.0.1"), (4, "10.77.0.2")] {
            send_heap(from, ("10.77.0.1", port), cnt);
        }
        assert_eq!(heaps_until(&stream, 4), [2, 4]);
        stream.stream().stop().unwrap();
        let stats = stream.stream().snapshot();
        assert_eq!((stats[Stat::SourceRejected], stats[Stat::Packets]), (2, 4));
        assert!(stats.ledger_closes());

        let stream = self::stream(0);
        let config = TcpConfig { host: "0.0.0.0".into(), source_filter: filter(), ..TcpConfig::default() };
        let reader = TcpReader::new(config).unwrap();
        let to: std::net::SocketAddr = (Ipv4Addr::new(10, 77, 0, 1), reader.port()).into();
        assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
        let connect = |from: [u8; 4]| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
            socket.connect(&to.into()).unwrap();
            std::net::TcpStream::from(socket)
        };
        use std::io::{Read, Write};
        let mut refused = connect([10, 77, 0, 1]);
        assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "closed at once");
        let mut taken = connect([10, 77, 0, 2]);
        taken.write_all(&support::wire::Wire::whole(9, vec![1]).encode()).unwrap();
        assert_eq!(heaps_until(&stream, 9), [9]);
        drop(taken);
        assert!(stream.get(Wait::Forever).is_err());
        let stats = stream.stream().snapshot();
        assert_eq!((stats[Stat::ConnectionsRejected], stats[Stat::Connections]), (1, 1));
    });
}
