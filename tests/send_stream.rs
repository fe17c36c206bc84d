//! Streams that send, end to end: what is submitted comes, or says why not, and the ledger closes.

mod support;

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use aqueduct::error::ErrorKind;
use aqueduct::recv::StreamConfig;
use aqueduct::recv::heap::{HeapRingStream, RingConfig};
use aqueduct::recv::reader::{
    BufferReader, InprocQueue, InprocReader, Reader, TcpConfig, TcpReader, UdpConfig, UdpReader,
};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;
use aqueduct::send::heap::flavour;
use aqueduct::send::pace::{Pace, Pacing};
use aqueduct::send::sink::{
    Destination, FileFormat, FileSink, InprocSink, Sink, TcpSendConfig, TcpSink, UdpSendConfig, UdpSink,
};
use aqueduct::send::{
    End, HeapResult, Order, Report, Request, SendConfig, SendHeap, SendStats, SendStream, SendValue,
    SubmitError,
};
use aqueduct::spead::item::ItemValue;
use aqueduct::spead::{Packet, id};
use support::rig::watch;
use support::wire::pattern;

const DATA: u64 = 0x1000;

fn heap(seed: u64, size: usize) -> Arc<SendHeap> {
    let mut heap = SendHeap::new(flavour(48).unwrap(), false);
    heap.add(0x1600, SendValue::Immediate(seed)).unwrap();
    heap.add(DATA, SendValue::Addressed(pattern(seed, size).into())).unwrap();
    Arc::new(heap)
}

fn stop_heap() -> Arc<SendHeap> {
    let mut heap = SendHeap::new(flavour(48).unwrap(), false);
    heap.add_control(id::STREAM_CTRL_STOP).unwrap();
    Arc::new(heap)
}

fn receiver(reader: Box<dyn Reader>) -> HeapRingStream {
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let config = StreamConfig { max_heaps: 64, ..StreamConfig::default() };
    let stream = HeapRingStream::new(&pool, config, RingConfig::default()).unwrap();
    assert!(stream.stream().add_reader(reader).unwrap());
    stream
}

/// The number, the seed and the size of each heap, whose data is that of its seed.
fn received(stream: &HeapRingStream) -> Vec<(u64, u64, usize)> {
    let mut heaps = Vec::new();
    while let Ok(heap) = stream.get(Wait::Forever) {
        let (mut seed, mut data) = (None, vec![]);
        for item in heap.items() {
            match (item.id, item.value) {
                (0x1600, ItemValue::Immediate(value)) => seed = Some(value),
                (DATA, ItemValue::Addressed(bytes)) => data = bytes.to_vec(),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(data, pattern(seed.unwrap(), data.len()));
        heaps.push((heap.cnt(), seed.unwrap(), data.len()));
    }
    heaps
}

fn stats(stream: &SendStream) -> SendStats {
    let stats = stream.stats();
    assert!(stats.ledger_closes(), "{stats:?}");
    stats
}

/// Sends heaps of many sizes and a stop item, and compares what comes.
fn transfer(config: SendConfig, sink: Box<dyn Sink>, receiver: &HeapRingStream) {
    let _watch = watch("a transfer");
    let stream = SendStream::new(config, sink).unwrap();
    let sizes: Vec<usize> = (0..60).map(|i| 1 + i * i * 37 % 20_011).collect();
    let (tx, rx) = mpsc::channel();
    let report = Report::Call(Arc::new(move |result: &HeapResult| tx.send(result.clone()).unwrap()));
    let expected: Vec<_> =
        sizes.iter().enumerate().map(|(i, &size)| (i as u64 + 1, i as u64, size)).collect();
    let last = std::thread::scope(|scope| {
        let received = scope.spawn(|| received(receiver));
        for (i, &size) in sizes.iter().enumerate() {
            let request = Request::new(heap(i as u64, size));
            assert_eq!(stream.submit(request, report.clone(), Wait::Forever).unwrap(), i as u64 + 1);
        }
        let last = stream.send(Request::new(stop_heap()), Wait::Forever).unwrap();
        assert_eq!((&last.end, last.packets_sent, last.packets_unsent), (&End::Sent, 1, 0));
        assert_eq!(received.join().unwrap(), expected);
        last
    });
    drop(report);
    let results: Vec<HeapResult> = rx.try_iter().collect();
    assert_eq!(results.len(), sizes.len());
    assert!(results.iter().all(|result| result.end == End::Sent && result.cnt == result.ticket));
    let stats = stats(&stream);
    assert_eq!((stats.heaps_sent, stats.heaps, stats.heaps_pending), (61, 61, 0));
    assert_eq!(stats.packets_sent, results.iter().map(|result| result.packets_sent).sum::<u64>() + 1);
    assert_eq!(stats.bytes_sent, results.iter().map(|result| result.bytes).sum::<u64>() + last.bytes);
    receiver.stream().stop().unwrap();
    let snapshot = receiver.stream().snapshot();
    assert!(snapshot.ledger_closes());
}

fn localhost(port: u16) -> Destination {
    Destination { host: "127.0.0.1".into(), port }
}

fn udp_config(port: u16) -> UdpSendConfig {
    UdpSendConfig { destinations: vec![localhost(port)], ..UdpSendConfig::default() }
}

fn udp_sink(port: u16) -> Box<dyn Sink> {
    Box::new(UdpSink::new(&udp_config(port)).unwrap())
}

#[test]
fn over_udp_with_and_without_gso_in_all_packet_sizes() {
    for gso in [true, false] {
        for max_packet_size in [200, 1472, 8972, 65_000] {
            for host in ["127.0.0.1", "::1"] {
                let udp = UdpConfig { host: host.into(), max_size: 65_535, ..UdpConfig::default() };
                let reader = UdpReader::new(udp).unwrap();
                let destinations = vec![Destination { host: host.into(), port: reader.port() }];
                let sink =
                    UdpSink::new(&UdpSendConfig { destinations, gso, ..UdpSendConfig::default() }).unwrap();
                // No faster than a receiver can be on a busy machine.
                let pace = Pace { rate: 2e7, ..Pace::default() };
                let config = SendConfig { max_packet_size, pace, ..SendConfig::default() };
                transfer(config, Box::new(sink), &receiver(Box::new(reader)));
            }
        }
    }
}

#[test]
fn over_tcp() {
    for max_packet_size in [200, 65_536] {
        let tcp = TcpConfig { host: "127.0.0.1".into(), ..TcpConfig::default() };
        let reader = TcpReader::new(tcp).unwrap();
        let config = TcpSendConfig {
            destinations: vec![localhost(reader.port())],
            connect_timeout: Duration::from_secs(20),
            buffer_size: 0,
        };
        let receiver = receiver(Box::new(reader));
        let sink = TcpSink::new(&config).unwrap();
        transfer(SendConfig { max_packet_size, ..SendConfig::default() }, Box::new(sink), &receiver);
    }
}

#[test]
fn through_a_queue() {
    for capacity in [1, 0] {
        let queue = Arc::new(InprocQueue::new(capacity).unwrap());
        let receiver = receiver(Box::new(InprocReader::new(queue.clone()).unwrap()));
        let sink = InprocSink::new(vec![queue]).unwrap();
        transfer(SendConfig { max_heaps: 1, ..SendConfig::default() }, Box::new(sink), &receiver);
    }
}

fn file_of_heaps(format: FileFormat, n: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = FileSink::create(file.path(), format).unwrap();
    let stream = SendStream::new(SendConfig::default(), Box::new(sink)).unwrap();
    for i in 0..n {
        stream.submit(Request::new(heap(i, 5000)), Report::Nobody, Wait::Forever).unwrap();
    }
    assert!(stream.flush(Wait::Forever).unwrap());
    assert_eq!(stats(&stream).heaps_sent, n);
    file
}

#[test]
fn into_files() {
    let expected: Vec<_> = (0..9).map(|i| (i + 1, i, 5000)).collect();
    let raw = file_of_heaps(FileFormat::Raw, 9);
    let reader = BufferReader::copy_of(&std::fs::read(raw.path()).unwrap());
    assert_eq!(received(&receiver(Box::new(reader))), expected);
    #[cfg(feature = "pcap")]
    {
        use aqueduct::recv::reader::PcapReader;
        let capture = file_of_heaps(FileFormat::Pcap, 9);
        let reader = PcapReader::open(capture.path(), Some("udp port 7148")).unwrap();
        assert_eq!(received(&receiver(Box::new(reader))), expected);
    }
}

#[test]
fn a_full_disk_is_an_error_of_the_heap() {
    let sink = FileSink::create("/dev/full".as_ref(), FileFormat::Raw).unwrap();
    let stream = SendStream::new(SendConfig::default(), Box::new(sink)).unwrap();
    let result = stream.send(Request::new(heap(1, 5000)), Wait::Forever).unwrap();
    let End::Failed(error) = result.end else { panic!("{result:?}") };
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("/dev/full"), "{error}");
    assert_eq!((result.packets_sent, result.packets_unsent), (0, 4));
    assert_eq!((stats(&stream).heaps_failed, stats(&stream).packets_failed), (1, 4));
}

/// Heaps of two destinations, interleaved: each gets its own packets, in their order, from the address that was asked for.
#[test]
fn interleaved_destinations_get_their_packets_in_order() {
    let _watch = watch("two destinations");
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let destinations = sockets.iter().map(|socket| localhost(socket.local_addr().unwrap().port())).collect();
    let config = UdpSendConfig { destinations, source: "127.0.0.3".into(), ..UdpSendConfig::default() };
    let stream = SendStream::new(SendConfig::default(), Box::new(UdpSink::new(&config).unwrap())).unwrap();
    let requests =
        (0..4).map(|i| Request { substream: i % 2, ..Request::new(heap(i as u64, 10_000)) }).collect();
    stream.submit_group(requests, Order::RoundRobin, Report::Nobody, Wait::Forever).unwrap();
    assert!(stream.flush(Wait::Forever).unwrap());
    assert_eq!((stats(&stream).heaps_sent, stats(&stream).packets_sent), (4, 28));
    for (substream, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true).unwrap();
        let mut found = Vec::new();
        let mut buffer = [0; 2000];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            assert_eq!(from.ip().to_string(), "127.0.0.3");
            let packet = Packet::parse(&buffer[..n]).unwrap();
            found.push((packet.payload_offset(), packet.heap_cnt()));
        }
        let cnts = [1 + substream as u64, 3 + substream as u64];
        let offsets: Vec<u64> = found.iter().step_by(2).map(|&(offset, _)| offset).collect();
        assert!(offsets.is_sorted() && offsets.len() == 7, "{found:?}");
        let expected: Vec<_> = offsets.iter().flat_map(|&offset| cnts.map(|cnt| (offset, cnt))).collect();
        assert_eq!(found, expected);
    }
}

fn port_of_nobody() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_closed_port_is_an_error_of_each_heap_and_the_stream_goes_on() {
    let _watch = watch("a closed port");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = UdpSendConfig {
        destinations: vec![localhost(port_of_nobody()), localhost(socket.local_addr().unwrap().port())],
        ..UdpSendConfig::default()
    };
    let stream = SendStream::new(SendConfig::default(), Box::new(UdpSink::new(&config).unwrap())).unwrap();
    for _ in 0..3 {
        let result = stream.send(Request::new(heap(1, 100)), Wait::Forever).unwrap();
        let End::Failed(error) = &result.end else { panic!("{result:?}") };
        assert!(error.message().contains("nobody listens there"), "{error}");
        assert_eq!((result.packets_sent, result.packets_unsent), (1, 0));
        let other = Request { substream: 1, ..Request::new(heap(2, 100)) };
        assert_eq!(stream.send(other, Wait::Forever).unwrap().end, End::Sent);
    }
    let stats = stats(&stream);
    assert_eq!((stats.heaps_failed, stats.heaps_sent, stats.packets_sent), (3, 3, 6));
    assert!(stats.refused >= 3);
    let mut buffer = [0; 2000];
    let n = socket.recv(&mut buffer).unwrap();
    assert_eq!(Packet::parse(&buffer[..n]).unwrap().heap_cnt(), 2);
}

#[test]
fn what_the_kernel_does_not_take_is_an_error_of_the_heap() {
    let _watch = watch("refusals of the kernel");
    support::network::in_a_network_of_its_own(|| {
        // An interface with an MTU of 1500.
        let config = UdpSendConfig {
            destinations: vec![Destination { host: "10.77.0.9".into(), port: 7148 }],
            ..UdpSendConfig::default()
        };
        let large = SendConfig { max_packet_size: 9000, ..SendConfig::default() };
        let stream = SendStream::new(large, Box::new(UdpSink::new(&config).unwrap())).unwrap();
        // More packets than one batch has.
        let result = stream.send(Request::new(heap(1, 1_000_000)), Wait::Forever).unwrap();
        let End::Failed(error) = &result.end else { panic!("{result:?}") };
        assert!(
            error.message().contains("sending 9000 bytes to 10.77.0.9:7148 (more than the path's MTU"),
            "{error}"
        );
        assert_eq!((result.packets_sent, result.packets_unsent), (0, 112));
        assert_eq!(stats(&stream).packets_failed, 112);
        let small = stream.send(Request::new(heap(1, 100)), Wait::Forever).unwrap();
        assert_eq!(small.end, End::Sent);
        let config = UdpSendConfig { fragment: true, ..config };
        let stream = SendStream::new(large, Box::new(UdpSink::new(&config).unwrap())).unwrap();
        assert_eq!(stream.send(Request::new(heap(1, 100_000)), Wait::Forever).unwrap().end, End::Sent);
        // No route leads there.
        let config = UdpSendConfig {
            destinations: vec![Destination { host: "192.0.2.1".into(), port: 7148 }],
            ..UdpSendConfig::default()
        };
        let error = UdpSink::new(&config).err().unwrap();
        assert!(error.message().contains("connect to 192.0.2.1:7148"), "{error}");
    });
}

/// The interface goes down under a stream, and comes up again.
#[test]
fn an_interface_that_is_down_is_an_error_of_the_heap_and_the_stream_goes_on() {
    use support::network::ip;
    let _watch = watch("an interface that is down");
    support::network::in_a_network_of_its_own(|| {
        let group = UdpConfig { host: "239.255.77.9".into(), interface: "d0".into(), ..UdpConfig::default() };
        let reader = UdpReader::new(group).unwrap();
        let config = UdpSendConfig {
            destinations: vec![
                Destination { host: "239.255.77.9".into(), port: reader.port() },
                Destination { host: "10.77.0.9".into(), port: 7148 },
            ],
            ..UdpSendConfig::default()
        };
        let on_d0 = UdpSendConfig {
            destinations: vec![Destination { host: "ff12::79".into(), port: 7148 }],
            interface: "d0".into(),
            ..UdpSendConfig::default()
        };
        let of_v6 = SendStream::new(SendConfig::default(), Box::new(UdpSink::new(&on_d0).unwrap())).unwrap();
        let send_v6 = || of_v6.send(Request::new(heap(1, 100)), Wait::Forever).unwrap().end;
        assert_eq!(send_v6(), End::Sent);
        let receiver = receiver(Box::new(reader));
        let stream =
            SendStream::new(SendConfig::default(), Box::new(UdpSink::new(&config).unwrap())).unwrap();
        let send = |seed: u64, size: usize, substream: usize| {
            let request = Request { substream, ..Request::new(heap(seed, size)) };
            stream.send(request, Wait::Forever).unwrap()
        };
        assert_eq!(send(1, 3000, 0).end, End::Sent);
        ip("link set d0 down");
        for (substream, address) in [(0, "239.255.77.9"), (1, "10.77.0.9")] {
            // More packets than one batch has: none of them leaves.
            let result = send(2, 1_000_000, substream);
            let End::Failed(error) = &result.end else { panic!("{result:?}") };
            let message = error.message();
            assert!(message.contains(&format!("sending 1472 bytes to {address}:")), "{error}");
            assert!(message.contains("unreachable") || message.contains("is down"), "{error}");
            assert_eq!((error.kind(), result.packets_sent), (ErrorKind::Io, 0));
            assert!(result.packets_unsent > 600);
        }
        assert!(matches!(send_v6(), End::Failed(error) if error.message().contains("to [ff12::79%")));
        ip("link set d0 up");
        support::network::until_it_is_up("d0");
        ip("route add 224.0.0.0/4 dev d0");
        // The group is one of the interface, which the socket of the reader has been in all the time.
        assert_eq!(send(3, 3000, 0).end, End::Sent);
        stream.submit(Request::new(stop_heap()), Report::Nobody, Wait::Forever).unwrap();
        assert!(stream.flush(Wait::Forever).unwrap());
        let stats = stats(&stream);
        assert_eq!((stats.heaps_sent, stats.heaps_failed, stats.heaps_pending), (3, 2, 0));
        // Whatever came came whole.
        assert_eq!(received(&receiver), [(1, 1, 3000), (4, 3, 3000)]);
    });
}

/// What comes out of d1 until a stop item.
#[cfg(feature = "pcap")]
fn at_the_other_end(port: u16) -> HeapRingStream {
    use aqueduct::recv::reader::{PcapLiveConfig, PcapLiveReader};
    let filter = Some(format!("udp dst port {port}"));
    let config = PcapLiveConfig { device: "d1".into(), filter, ..PcapLiveConfig::default() };
    receiver(Box::new(PcapLiveReader::new(config).unwrap()))
}

/// `tc ARGUMENTS`; false, with a message, where it is missing or the kernel lacks what is asked for.
fn tc(arguments: &str) -> bool {
    let status = std::process::Command::new("tc").args(arguments.split(' ')).status();
    let works = status.as_ref().is_ok_and(|status| status.success());
    if !works {
        eprintln!("SKIPPED: tc {arguments}: {status:?}");
    }
    works
}

/// A device's queue that is shorter than what the socket's buffer holds: the kernel drops datagrams, and says so only if it is asked to.
#[test]
#[cfg(feature = "pcap")]
fn a_device_whose_queue_is_full_loses_nothing() {
    let _watch = watch("a full queue of a device");
    support::network::in_a_network_of_its_own(|| {
        if !tc("qdisc add dev d0 root tbf rate 80mbit burst 20kb limit 30kb") {
            return;
        }
        let config = UdpSendConfig {
            destinations: vec![Destination { host: "239.255.77.9".into(), port: 7148 }],
            gso: false,
            ..UdpSendConfig::default()
        };
        let there = at_the_other_end(7148);
        let stream =
            SendStream::new(SendConfig::default(), Box::new(UdpSink::new(&config).unwrap())).unwrap();
        for seed in 0..2 {
            let result = stream.send(Request::new(heap(seed, 1_000_000)), Wait::Forever).unwrap();
            assert_eq!((result.end, result.packets_sent), (End::Sent, 699));
        }
        stream.submit(Request::new(stop_heap()), Report::Nobody, Wait::Forever).unwrap();
        assert_eq!(received(&there), [(1, 0, 1_000_000), (2, 1, 1_000_000)]);
        assert_eq!(stats(&stream).heaps_failed, 0);
    });
}

/// Asked to pace, the kernel does over TCP; over UDP with fq, in whose absence all goes its way as without.
#[test]
fn the_kernel_paces_where_it_can() {
    let _watch = watch("pacing by the kernel");
    let pace = Pace { rate: 4e6, burst_size: 200_000, pacing: Pacing::Kernel, ..Pace::default() };
    let config = SendConfig { pace, ..SendConfig::default() };
    let listener = TcpReader::new(TcpConfig { host: "127.0.0.1".into(), ..TcpConfig::default() }).unwrap();
    let to = TcpSendConfig {
        destinations: vec![localhost(listener.port())],
        connect_timeout: Duration::from_secs(20),
        buffer_size: 0,
    };
    let sink = TcpSink::new(&to).unwrap();
    transfer(config, Box::new(sink), &receiver(Box::new(listener)));
    let queue = Arc::new(InprocQueue::new(1 << 20).unwrap());
    let sink = InprocSink::new(vec![queue.clone()]).unwrap();
    transfer(config, Box::new(sink), &receiver(Box::new(InprocReader::new(queue).unwrap())));
    support::network::in_a_network_of_its_own(move || {
        for fq in [false, true] {
            if fq && !tc("qdisc replace dev d0 root fq") {
                return;
            }
            let udp =
                UdpConfig { host: "239.255.77.9".into(), interface: "d0".into(), ..UdpConfig::default() };
            let reader = UdpReader::new(udp).unwrap();
            let to = UdpSendConfig {
                destinations: vec![Destination { host: "239.255.77.9".into(), port: reader.port() }],
                ..UdpSendConfig::default()
            };
            let mut sink = UdpSink::new(&to).unwrap();
            assert_eq!(sink.pace(&pace, 1472).unwrap().is_none(), fq);
            transfer(config, Box::new(sink), &receiver(Box::new(reader)));
        }
    });
}

/// Nobody answers there: the kernel gives up after some seconds, and what waited for an answer is lost.
#[test]
fn a_host_that_does_not_answer_is_an_error_of_a_heap() {
    let _watch = watch("a host that does not answer");
    support::network::in_a_network_of_its_own(|| {
        let config = UdpSendConfig {
            destinations: vec![Destination { host: "10.77.0.9".into(), port: 7148 }],
            ..UdpSendConfig::default()
        };
        let pace = Pace { rate: 5000.0, burst_size: 1, ..Pace::default() };
        let config = (SendConfig { pace, ..SendConfig::default() }, UdpSink::new(&config).unwrap());
        let stream = SendStream::new(config.0, Box::new(config.1)).unwrap();
        let failed = (0..200).find_map(|seed| {
            match stream.send(Request::new(heap(seed, 500)), Wait::Forever).unwrap().end {
                End::Failed(error) => Some(error),
                _ => None,
            }
        });
        let failed = failed.expect("news of the host");
        assert!(failed.message().contains("to 10.77.0.9:7148 (nobody answers there,"), "{failed}");
        assert!(stats(&stream).refused > 0);
    });
}

#[test]
fn a_broken_connection_is_an_error_of_every_heap_after_it() {
    let _watch = watch("a broken connection");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = TcpSendConfig {
        destinations: vec![localhost(listener.local_addr().unwrap().port())],
        connect_timeout: Duration::from_secs(20),
        buffer_size: 0,
    };
    let sink = TcpSink::new(&config).unwrap();
    let stream = SendStream::new(SendConfig::default(), Box::new(sink)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let large = heap(1, 64 << 20);
    stream.submit(Request::new(large), Report::Keep, Wait::Forever).unwrap();
    // In the middle of the heap.
    peer.read_exact(&mut [0; 100_000]).unwrap();
    drop(peer);
    let result = stream.next_result(Wait::Forever).unwrap();
    let End::Failed(error) = &result.end else { panic!("{result:?}") };
    assert!(error.message().contains("is broken"), "{error}");
    assert!(result.packets_sent > 0 && result.packets_unsent > 0);
    let next = stream.send(Request::new(heap(2, 100)), Wait::Forever).unwrap();
    assert_eq!(next.end, End::Failed(error.clone()));
    assert_eq!(stats(&stream).heaps_failed, 2);
    drop(listener);
    assert!(TcpSink::new(&config).err().unwrap().message().contains("connect to 127.0.0.1"));
}

/// A stream that is stuck in its first heap: nobody takes what is in the queue.
fn stuck() -> (SendStream, Arc<InprocQueue>) {
    let queue = Arc::new(InprocQueue::new(1).unwrap());
    let sink = InprocSink::new(vec![queue.clone()]).unwrap();
    let stream =
        SendStream::new(SendConfig { max_heaps: 2, ..SendConfig::default() }, Box::new(sink)).unwrap();
    (stream, queue)
}

#[test]
fn a_full_queue_of_heaps_holds_submitters_back() {
    let _watch = watch("a full queue");
    let (stream, queue) = stuck();
    let submit = |wait| stream.submit(Request::new(heap(1, 4000)), Report::Keep, wait);
    assert_eq!(stream.next_result(Wait::No), Err(GetError::Empty));
    assert_eq!(stream.next_result(Wait::For(Duration::from_millis(1))), Err(GetError::TimedOut));
    submit(Wait::No).unwrap();
    submit(Wait::No).unwrap();
    assert_eq!(submit(Wait::No), Err(SubmitError::Full));
    assert_eq!(submit(Wait::For(Duration::from_millis(1))), Err(SubmitError::TimedOut));
    assert!(!stream.flush(Wait::For(Duration::from_millis(1))).unwrap());
    assert_eq!(stats(&stream).queue_full, 2);
    let receiver = receiver(Box::new(InprocReader::new(queue).unwrap()));
    assert!(stream.flush(Wait::Forever).unwrap());
    // Results that nobody fetches keep their places.
    assert_eq!(submit(Wait::No), Err(SubmitError::Full));
    assert!(aqueduct::sys::poll::is_readable(stream.results_fd().as_fd()));
    assert_eq!(stream.next_result(Wait::No).unwrap().ticket, 1);
    submit(Wait::No).unwrap();
    assert_eq!(stream.next_result(Wait::No).unwrap().ticket, 2);
    assert_eq!(stream.next_result(Wait::Forever).unwrap().ticket, 3);
    assert!(!aqueduct::sys::poll::is_readable(stream.results_fd().as_fd()));
    drop(stream);
    drop(receiver);
}

#[test]
fn who_waits_no_longer_gives_the_heap_up() {
    let _watch = watch("giving up");
    let (stream, queue) = stuck();
    let outcome = stream.send(Request::new(heap(1, 40_000)), Wait::For(Duration::from_millis(20)));
    assert_eq!(outcome, Err(SubmitError::TimedOut));
    let receiver = receiver(Box::new(InprocReader::new(queue).unwrap()));
    assert!(stream.flush(Wait::Forever).unwrap());
    let stats = stats(&stream);
    // It may have been in one batch as a whole.
    assert_eq!(stats.heaps_cancelled + stats.heaps_sent, 1);
    drop((stream, receiver));
}

#[test]
fn a_stop_cancels_what_is_queued_and_tells() {
    let _watch = watch("a stop");
    let (stream, queue) = stuck();
    let (tx, rx) = mpsc::channel();
    let report = Report::Call(Arc::new(move |result: &HeapResult| tx.send(result.clone()).unwrap()));
    stream.submit(Request::new(heap(1, 400_000)), report.clone(), Wait::No).unwrap();
    stream.submit(Request::new(heap(2, 4000)), report, Wait::No).unwrap();
    stream.stop().unwrap();
    stream.stop().unwrap();
    let results: Vec<HeapResult> = rx.iter().collect();
    assert_eq!(results.iter().map(|result| &result.end).collect::<Vec<_>>(), [&End::Cancelled; 2]);
    assert_eq!(results[1].packets_sent, 0);
    let stats = stats(&stream);
    assert_eq!((stats.heaps_cancelled, stats.heaps_pending, stats.packets_pending), (2, 0, 0));
    let again = stream.submit(Request::new(heap(1, 1)), Report::Nobody, Wait::Forever);
    assert_eq!(again, Err(SubmitError::Stopped));
    assert_eq!(stream.next_result(Wait::Forever), Err(GetError::Stopped));
    drop(queue);
}

#[test]
fn a_callback_may_submit_and_must_not_wait() {
    let _watch = watch("a callback");
    let queue = Arc::new(InprocQueue::new(0).unwrap());
    let sink = InprocSink::new(vec![queue.clone()]).unwrap();
    let stream = Arc::new(SendStream::new(SendConfig::default(), Box::new(sink)).unwrap());
    let (tx, rx) = mpsc::channel();
    let inside = stream.clone();
    let report = Report::Call(Arc::new(move |_: &HeapResult| {
        let state = |result: Result<(), aqueduct::error::Error>| result.unwrap_err().kind();
        tx.send(state(inside.stop())).unwrap();
        tx.send(state(inside.flush(Wait::Forever).map(|_| ()))).unwrap();
        inside.submit(Request::new(heap(2, 10)), Report::Nobody, Wait::No).unwrap();
        assert!(inside.send(Request::new(heap(2, 10)), Wait::Forever).is_err());
    }));
    stream.submit(Request::new(heap(1, 10)), report, Wait::No).unwrap();
    assert_eq!([rx.recv().unwrap(), rx.recv().unwrap()], [ErrorKind::State; 2]);
    assert!(stream.flush(Wait::Forever).unwrap());
    assert_eq!(stats(&stream).heaps_sent, 2);
}

/// The heap numbers of packets in a file, in their order.
fn order_of(order: Order, sizes: &[usize]) -> Vec<u64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = FileSink::create(file.path(), FileFormat::Raw).unwrap();
    let config = SendConfig { max_packet_size: 1048, first_cnt: 10, cnt_step: 10, ..SendConfig::default() };
    let stream = SendStream::new(config, Box::new(sink)).unwrap();
    let requests = sizes.iter().map(|&size| Request::new(heap(0, size))).collect();
    assert_eq!(stream.submit_group(requests, order, Report::Keep, Wait::No).unwrap(), 1);
    assert!(stream.flush(Wait::Forever).unwrap());
    let mut tickets: Vec<u64> = sizes.iter().map(|_| stream.next_result(Wait::No).unwrap().ticket).collect();
    tickets.sort_unstable();
    assert_eq!(tickets, (1..=sizes.len() as u64).collect::<Vec<_>>());
    let bytes = std::fs::read(file.path()).unwrap();
    let mut rest = &bytes[..];
    let mut cnts = Vec::new();
    while !rest.is_empty() {
        let packet = Packet::parse(rest).unwrap();
        cnts.push(packet.heap_cnt() / 10);
        rest = &rest[packet.size()..];
    }
    cnts
}

#[test]
fn groups_go_one_by_one_or_in_turn() {
    assert_eq!(order_of(Order::Serial, &[2500, 500, 2500]), [1, 1, 1, 2, 3, 3, 3]);
    assert_eq!(order_of(Order::RoundRobin, &[2500, 500, 2500]), [1, 2, 3, 1, 3, 1, 3]);
    // Over several batches, of which each ends where the next begins.
    let long = 1_000_000;
    let serial = order_of(Order::Serial, &[long, long, 10, long]);
    assert!(serial.is_sorted());
    let turns = order_of(Order::RoundRobin, &[long, long]);
    assert!(turns.chunks(2).all(|pair| pair.len() == 2 && pair[0] != pair[1]));
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let queue = Arc::new(InprocQueue::new(0).unwrap());
    let sink = || Box::new(InprocSink::new(vec![queue.clone()]).unwrap());
    let stream = SendStream::new(SendConfig::default(), sink()).unwrap();
    let message = |request: Request| match stream.submit(request, Report::Nobody, Wait::No) {
        Err(SubmitError::Invalid(error)) => error.message().to_owned(),
        other => panic!("{other:?}"),
    };
    let good = || Request::new(heap(1, 1));
    assert_eq!(
        message(Request { substream: 1, ..good() }),
        "substream must be less than 1, the number of destinations (got 1)"
    );
    assert_eq!(
        message(Request { cnt: Some(1 << 48), ..good() }),
        "cnt must be less than 2^48 in SPEAD-64-48 (got 0x1000000000000)"
    );
    assert!(message(Request { rate: Some(-1.0), ..good() }).contains("rate must be 0, or between"));
    let group = stream.submit_group(vec![good(); 5], Order::Serial, Report::Nobody, Wait::No);
    let Err(SubmitError::Invalid(error)) = group else { panic!() };
    assert_eq!(error.message(), "a group of 5 heaps is larger than max_heaps (4)");
    let error = |config| SendStream::new(config, sink()).err().unwrap().message().to_owned();
    let default = SendConfig::default();
    assert!(
        error(SendConfig { max_packet_size: 10, ..default }).contains("max_packet_size must be between 56")
    );
    assert!(error(SendConfig { max_heaps: 0, ..default }).contains("max_heaps must be between 1"));
    for pace in [
        Pace { rate: f64::NAN, ..Pace::default() },
        Pace { rate: 0.5, ..Pace::default() },
        Pace { burst_size: 0, ..Pace::default() },
        Pace { burst_rate_ratio: 0.9, ..Pace::default() },
        Pace { burst_rate_ratio: f64::NAN, ..Pace::default() },
    ] {
        assert!(SendStream::new(SendConfig { pace, ..default }, sink()).is_err(), "{pace:?}");
    }
    let udp = SendStream::new(SendConfig { max_packet_size: 65_508, ..default }, udp_sink(9));
    assert_eq!(udp.err().unwrap().message(), "max_packet_size must be at most 65507 here (got 65508)");
    assert_eq!(stats(&stream).heaps, 0);
    for config in [
        UdpSendConfig { destinations: vec![], ..udp_config(9) },
        UdpSendConfig { destinations: vec![localhost(0)], ..udp_config(9) },
        UdpSendConfig { interface: "lo".into(), ..udp_config(9) },
        UdpSendConfig { ttl: 256, ..udp_config(9) },
        UdpSendConfig { source: "x".into(), ..udp_config(9) },
    ] {
        assert_eq!(UdpSink::new(&config).err().unwrap().kind(), ErrorKind::Invalid, "{config:?}");
    }
}

#[test]
fn to_a_group_on_an_interface() {
    support::network::in_a_network_of_its_own(|| {
        for (group, interface) in [("239.255.77.9", "10.77.0.1"), ("239.255.77.9", "d0"), ("ff12::79", "d0")]
        {
            let udp = UdpConfig { host: group.into(), interface: "d0".into(), ..UdpConfig::default() };
            let reader = UdpReader::new(udp).unwrap();
            let config = UdpSendConfig {
                destinations: vec![Destination { host: group.into(), port: reader.port() }],
                interface: interface.into(),
                ttl: 2,
                ..UdpSendConfig::default()
            };
            let pace = Pace { rate: 2e7, ..Pace::default() };
            let sink = UdpSink::new(&config).unwrap();
            let config = SendConfig { max_packet_size: 1400, pace, ..SendConfig::default() };
            transfer(config, Box::new(sink), &receiver(Box::new(reader)));
        }
    });
}

/// Many threads submit heaps of all sizes, waiting or not, told in every way, alone and in groups, at rates of their own, until somebody stops the stream: every heap that was
/// taken is told about once, and all is accounted for.
#[test]
fn every_heap_has_one_end_whatever_happens() {
    use std::sync::atomic::{AtomicU64, Ordering};
    use support::rng::Rng;
    let _watch = watch("many threads");
    for seed in 0..12 {
        let queues: Vec<_> = (0..2).map(|_| Arc::new(InprocQueue::new(50).unwrap())).collect();
        let receivers: Vec<_> = queues
            .iter()
            .map(|queue| receiver(Box::new(InprocReader::new(queue.clone()).unwrap())))
            .collect();
        let sink = InprocSink::new(queues).unwrap();
        let config = SendConfig { max_heaps: 6, max_packet_size: 500, ..SendConfig::default() };
        let stream = SendStream::new(config, Box::new(sink)).unwrap();
        let told = [const { AtomicU64::new(0) }; 4];
        let (taken, told) = (AtomicU64::new(0), Arc::new(told));
        let note = |result: &HeapResult, told: &[AtomicU64; 4]| {
            let which = match &result.end {
                End::Sent => 0,
                End::Failed(_) => 1,
                End::Cancelled => 2,
            };
            told[which].fetch_add(1, Ordering::SeqCst);
            told[3].fetch_add(result.packets_sent, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (stream, taken, told) = (&stream, &taken, &told);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 100 + thread);
                    loop {
                        let request = |rng: &mut Rng| Request {
                            substream: rng.below(2),
                            rate: [None, Some(0.0), Some(5e7)][rng.below(3)],
                            ..Request::new(heap(rng.next() >> 20, rng.below(4000)))
                        };
                        let wait =
                            [Wait::No, Wait::For(Duration::from_micros(500)), Wait::Forever][rng.below(3)];
                        let outcome = if rng.below(4) == 0 {
                            match stream.send(request(&mut rng), wait) {
                                Ok(result) => {
                                    note(&result, told);
                                    taken.fetch_add(1, Ordering::SeqCst);
                                    Ok(0)
                                }
                                // It may have been taken and given up: then nobody is told but the counters.
                                Err(SubmitError::TimedOut) => Ok(0),
                                Err(error) => Err(error),
                            }
                        } else {
                            let n = 1 + rng.below(3);
                            let order = [Order::Serial, Order::RoundRobin][rng.below(2)];
                            let requests = (0..n).map(|_| request(&mut rng)).collect();
                            let report = match rng.below(2) {
                                0 => Report::Keep,
                                _ => {
                                    let told = told.clone();
                                    Report::Call(Arc::new(move |result: &HeapResult| note(result, &told)))
                                }
                            };
                            let outcome = stream.submit_group(requests, order, report, wait);
                            if outcome.is_ok() {
                                taken.fetch_add(n as u64, Ordering::SeqCst);
                            }
                            outcome
                        };
                        match outcome {
                            Ok(_) | Err(SubmitError::Full | SubmitError::TimedOut) => {}
                            Err(SubmitError::Stopped) => break,
                            Err(SubmitError::Invalid(error)) => panic!("{error}"),
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Ok(result) = stream.next_result(Wait::Forever) {
                        note(&result, &told);
                    }
                });
            }
            for receiver in &receivers {
                scope.spawn(move || while receiver.get(Wait::Forever).is_ok() {});
            }
            scope.spawn(|| {
                while stream.stats().heaps_sent < 300 {
                    assert!(stream.stats().ledger_closes());
                    std::thread::yield_now();
                }
                stream.stop().unwrap();
                receivers.iter().for_each(|receiver| receiver.stream().stop().unwrap());
            });
        });
        let stats = stats(&stream);
        let told: Vec<u64> = told.iter().map(|told| told.load(Ordering::SeqCst)).collect();
        assert_eq!((stats.heaps_pending, stats.packets_pending, stats.heaps_failed), (0, 0, 0));
        // What `send` gave up is in the counters only.
        let given_up = stats.heaps - taken.load(Ordering::SeqCst);
        assert_eq!(told[0] + told[1] + told[2] + given_up, stats.heaps, "{told:?} {stats:?}");
        assert!(told[0] <= stats.heaps_sent && told[2] <= stats.heaps_cancelled);
        assert!(told[3] <= stats.packets_sent);
    }
}
