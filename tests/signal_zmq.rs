//! Signal streams over ZeroMQ, both ends ours: what becomes of slow inputs, late ones, hostile messages, wrong addresses, damaged ring files.
#![cfg(feature = "zmq")]

mod support;

use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aqueduct::error::ErrorKind;
use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::params::{Compression, Params, Protocol, TransferMode};
use aqueduct::signal::transport::zmq::{PublisherConfig, SubscriberConfig, ZmqPublisher, ZmqSubscriber};
use aqueduct::signal::transport::{NoChunk, Publisher, Subscriber};
use aqueduct::signal::wire;
use aqueduct::spead::dtype::Dtype;
use aqueduct::sys::epoll::is_readable;
use aqueduct::sys::zmq::{Context, Kind, Message, Setting, Socket};
use bytes::Bytes;
use support::rig::watch;
use support::rng::Rng;

/// Longer, and it hangs.
const GUARD: Wait = Wait::For(Duration::from_secs(60));

fn params(shape: &[i64]) -> Params {
    Params::new(Dtype::parse_scalar("<f4").unwrap(), shape)
}

/// `rows` frames of one float before `index`, each with its index as value.
fn ramp(index: u64, rows: usize) -> Chunk {
    let first = index - rows as u64;
    let data: Vec<u8> = (0..rows as u64).flat_map(|i| ((first + i) as f32).to_le_bytes()).collect();
    Chunk { index, layout: Layout::c_order(4, &[rows, 1]).unwrap(), data: data.into() }
}

fn assert_ramp(chunk: &Chunk) {
    let expected = ramp(chunk.index, chunk.frames());
    assert_eq!(chunk.data, expected.data, "frames {} to {}", chunk.start(), chunk.index);
}

fn wait_for(publisher: &mut ZmqPublisher, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while publisher.subscribers().unwrap() != count {
        assert!(Instant::now() < deadline, "not {count} subscribers");
        std::thread::yield_now();
    }
}

fn pair(params: &Params, config: &PublisherConfig, ours: &SubscriberConfig) -> (ZmqPublisher, ZmqSubscriber) {
    let mut publisher = ZmqPublisher::bind(params, config).unwrap();
    let mut bound = params.clone();
    publisher.describe(&mut bound);
    let subscriber = ZmqSubscriber::connect(&bound, ours).unwrap();
    wait_for(&mut publisher, 1);
    (publisher, subscriber)
}

#[test]
fn memory_that_is_sent_is_released_once_and_not_copied() {
    struct Counted(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _watch = watch("memory that is sent");
    let (mut publisher, mut subscriber) =
        pair(&params(&[-1, 1]), &PublisherConfig::default(), &SubscriberConfig::default());
    let released = Arc::new(AtomicUsize::new(0));
    let data = Bytes::from_owner(Counted(vec![7; 1 << 20], released.clone()));
    let chunk = Chunk { index: 1 << 18, layout: Layout::c_order(4, &[1 << 18, 1]).unwrap(), data };
    assert_eq!(publisher.publish(&chunk, GUARD).unwrap().inputs, 1);
    drop(chunk);
    let received = subscriber.receive(GUARD).unwrap();
    assert!(received.data.len() == 1 << 20 && received.data.iter().all(|&byte| byte == 7));
    // The end waits for what is on its way, and then nobody has it.
    drop(publisher);
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

#[test]
fn a_slow_input_sees_its_gaps_exactly() {
    let _watch = watch("a slow input");
    let config = PublisherConfig { queue: 4, ..PublisherConfig::default() };
    let (mut publisher, mut subscriber) =
        pair(&params(&[-1, 1]), &config, &SubscriberConfig { queue: 2, ..SubscriberConfig::default() });
    const ROWS: usize = 1 << 14;
    let total = 400;
    for i in 1..=total {
        let published = publisher.publish(&ramp(i * ROWS as u64, ROWS), Wait::No).unwrap();
        assert_eq!((published.inputs, published.timed_out), (1, false));
    }
    let (mut next, mut got, mut lost) = (0, 0, 0);
    let mut last = total;
    // After all that waits, chunks find space again; the first that does tells of the last gap.
    while next < total * ROWS as u64 {
        match subscriber.receive(Wait::No) {
            Ok(chunk) => {
                assert_ramp(&chunk);
                assert!(chunk.start() >= next);
                lost += chunk.start() - next;
                got += chunk.frames() as u64;
                next = chunk.index;
            }
            Err(NoChunk::Empty) => {
                last += 1;
                publisher.publish(&ramp(last * ROWS as u64, ROWS), Wait::No).unwrap();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(lost > 0, "nothing was lost");
    assert_eq!(got + lost, next);
    assert_eq!(subscriber.stats().frames, got);
}

#[test]
fn blocking_loses_nothing() {
    let _watch = watch("blocking");
    let config = PublisherConfig { queue: 2, overflow: Overflow::Block, ..PublisherConfig::default() };
    let (mut publisher, mut subscriber) =
        pair(&params(&[-1, 1]), &config, &SubscriberConfig { queue: 2, ..SubscriberConfig::default() });
    const ROWS: usize = 1 << 14;
    let (mut sent, mut received, mut waited) = (0, 0, 0);
    while received < 300 {
        let chunk = ramp((sent + 1) * ROWS as u64, ROWS);
        let wait = [Wait::No, Wait::For(Duration::from_millis(1))][waited % 2];
        if sent < 300 && !publisher.publish(&chunk, wait).unwrap().timed_out {
            sent += 1;
            continue;
        }
        waited += 1;
        let chunk = subscriber.receive(GUARD).unwrap();
        received += 1;
        assert_eq!(chunk.index, received * ROWS as u64);
        assert_ramp(&chunk);
    }
    assert!(waited > 4, "never was there no space");
    // For as long as it takes, too.
    let reader = std::thread::spawn(move || {
        for i in 301..=400 {
            assert_eq!(subscriber.receive(GUARD).unwrap().index, i * ROWS as u64);
        }
    });
    for i in 301..=400 {
        assert!(!publisher.publish(&ramp(i * ROWS as u64, ROWS), Wait::Forever).unwrap().timed_out);
    }
    reader.join().unwrap();
}

#[test]
fn who_joins_late_has_what_comes_then() {
    let _watch = watch("a late join");
    let (mut publisher, mut early) =
        pair(&params(&[-1, 1]), &PublisherConfig::default(), &SubscriberConfig::default());
    publisher.publish(&ramp(5, 5), GUARD).unwrap();
    let mut bound = params(&[-1, 1]);
    publisher.describe(&mut bound);
    let mut late = ZmqSubscriber::connect(&bound, &SubscriberConfig::default()).unwrap();
    wait_for(&mut publisher, 2);
    publisher.publish(&ramp(8, 3), GUARD).unwrap();
    assert_eq!(late.receive(GUARD).unwrap().start(), 5);
    assert_eq!(early.receive(GUARD).unwrap().index, 5);
    assert_eq!(early.receive(GUARD).unwrap().index, 8);
    drop(late);
    wait_for(&mut publisher, 1);
    // A publisher that goes, and another in its place.
    let config = PublisherConfig::default();
    drop(publisher);
    let mut again = ZmqPublisher::bind(&bound, &config).unwrap();
    assert_eq!(early.receive(Wait::No).unwrap_err(), NoChunk::Empty);
    let deadline = Instant::now() + Duration::from_secs(60);
    while again.subscribers().unwrap() == 0 {
        assert!(matches!(early.receive(Wait::For(Duration::from_millis(5))), Err(NoChunk::TimedOut)));
        assert!(Instant::now() < deadline, "it does not come back");
    }
    again.publish(&ramp(2, 2), GUARD).unwrap();
    assert_eq!(early.receive(GUARD).unwrap().index, 2);
}

#[test]
fn the_descriptor_is_readable_while_there_is_more() {
    let _watch = watch("the descriptor");
    let (mut publisher, mut subscriber) =
        pair(&params(&[-1, 1]), &PublisherConfig::default(), &SubscriberConfig::default());
    let readable = |subscriber: &ZmqSubscriber| is_readable(subscriber.fd().unwrap().as_fd()).unwrap();
    let settle = |subscriber: &mut ZmqSubscriber| {
        while readable(subscriber) {
            assert_eq!(subscriber.receive(Wait::No).unwrap_err(), NoChunk::Empty);
        }
    };
    settle(&mut subscriber);
    for round in 0..20 {
        for i in 1..=10 {
            publisher.publish(&ramp(10 * round + i, 1), GUARD).unwrap();
        }
        for i in 1..=10 {
            // It becomes readable without a call, and stays so.
            let deadline = Instant::now() + Duration::from_secs(60);
            while !readable(&subscriber) {
                assert!(Instant::now() < deadline, "round {round}: not readable for chunk {i}");
                std::thread::yield_now();
            }
            assert!(readable(&subscriber));
            match subscriber.receive(Wait::No) {
                Ok(chunk) => assert_eq!(chunk.index, 10 * round + i),
                // Only the first part has come, or the like: news without a chunk.
                Err(NoChunk::Empty) => {
                    assert_eq!(subscriber.receive(GUARD).unwrap().index, 10 * round + i);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        settle(&mut subscriber);
    }
    for i in 201..=205 {
        publisher.publish(&ramp(i, 1), GUARD).unwrap();
    }
    assert_eq!(subscriber.receive(GUARD).unwrap().index, 201);
    drop(publisher);
    let dropped = subscriber.empty_queue().unwrap();
    assert_eq!(subscriber.stats().emptied, dropped);
    assert_eq!(subscriber.receive(Wait::No).unwrap_err(), NoChunk::Empty);
}

/// Sends messages of any parts.
struct Hostile(Socket);

impl Hostile {
    fn new(mut params: Params) -> (Self, ZmqSubscriber) {
        let socket = Socket::new(&Context::new().unwrap(), Kind::Xpub).unwrap();
        socket.set_linger(Duration::ZERO).unwrap();
        socket.set(Setting::Verboser, 1).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        params.port = socket.address().unwrap().rsplit(':').next().unwrap().to_owned();
        let config = SubscriberConfig { max_chunk: 1 << 16, ..SubscriberConfig::default() };
        let subscriber = ZmqSubscriber::connect(&params, &config).unwrap();
        let hostile = Self(socket);
        hostile.wait();
        (hostile, subscriber)
    }

    /// Until the subscriber is there.
    fn wait(&self) {
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        assert!(self.0.wait_readable(None, deadline).unwrap());
        self.0.receive().unwrap().unwrap();
    }

    /// Until a subscriber has gone and one has come, in whichever order that is told.
    fn is_left_and_found(&self, mut meanwhile: impl FnMut()) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut told = [false; 2];
        while told != [true; 2] {
            match self.0.receive().unwrap() {
                Some(word) => told[usize::from(word.as_slice()[0])] = true,
                None => meanwhile(),
            }
            assert!(Instant::now() < deadline, "gone: {}, come: {}", told[0], told[1]);
        }
    }

    fn send(&self, parts: &[&[u8]]) {
        for (i, part) in parts.iter().enumerate() {
            self.0.send(&mut Message::copy_of(part).unwrap(), i + 1 < parts.len(), true).unwrap();
        }
    }
}

#[test]
fn hostile_messages_are_counted_and_passed_over() {
    let _watch = watch("hostile messages");
    let good = ramp(3, 3);
    let header = wire::encode(3, &good.layout);
    let wide = wire::encode(3, &Layout::c_order(4, &[3, 2]).unwrap());
    let much = wire::encode(1 << 40, &Layout::new(4, 0, &[1 << 40, 1], &[0, 4]).unwrap());
    let huge = vec![0xff; 1050];
    let (hostile, mut subscriber) = Hostile::new(params(&[-1, 1]));
    let mut rng = Rng(5);
    let random: Vec<Vec<u8>> =
        (0..200).map(|i| (0..i % 80).map(|_| rng.next() as u8 & [0xff, 1][i % 2]).collect()).collect();
    let mut all: Vec<Vec<&[u8]>> = vec![
        vec![&header],
        vec![b""],
        vec![&header, &good.data, b""],
        vec![b"x"; 1000],
        vec![&header[..55], &good.data],
        vec![&header, &good.data[..11]],
        vec![&wide, &[0; 24]],
        vec![&much, &good.data],
        vec![&huge, &good.data],
    ];
    all.extend(random.iter().map(|bytes| vec![bytes.as_slice(), &good.data]));
    for (i, parts) in all.iter().enumerate() {
        hostile.send(parts);
        hostile.send(&[&header, &good.data]);
        let error = match subscriber.receive(GUARD) {
            Err(NoChunk::Failed(error)) => error,
            other => panic!("message {i}: {other:?}"),
        };
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert_eq!(subscriber.receive(GUARD).unwrap().data, good.data);
        assert_eq!(subscriber.stats().malformed, i as u64 + 1);
    }
    // More than it takes: libzmq leaves this publisher for good, and the input connects anew, however often.
    for count in 1..4 {
        hostile.send(&[&header, &vec![0; 1 << 20]]);
        hostile.is_left_and_found(|| {
            let nothing = subscriber.receive(Wait::For(Duration::from_millis(5))).unwrap_err();
            assert_eq!(nothing, NoChunk::TimedOut);
        });
        hostile.send(&[&header, &good.data]);
        assert_eq!(subscriber.receive(GUARD).unwrap().data, good.data);
        assert_eq!(subscriber.stats().disconnections, count);
    }
}

#[test]
fn decompression_bombs_are_refused() {
    let _watch = watch("bombs");
    let mut params = params(&[-1, 1]);
    params.compression = Compression::BloscLz4;
    let (hostile, mut subscriber) = Hostile::new(params.clone());
    // What our own publisher makes of zeros, to have containers.
    let (mut publisher, mut other) = pair(
        &params,
        &PublisherConfig::default(),
        &SubscriberConfig { max_chunk: 1 << 30, ..SubscriberConfig::default() },
    );
    let rows = 1 << 22;
    let layout = Layout::c_order(4, &[rows, 1]).unwrap();
    let zeros = Chunk { index: rows as u64, layout, data: vec![0; 4 * rows].into() };
    publisher.publish(&zeros, GUARD).unwrap();
    assert_eq!(other.receive(GUARD).unwrap().data, zeros.data);
    // 16 MiB in a few KiB, by hand: of a header that says so.
    let mut container = vec![2, 1, 0x21, 4];
    container.extend((16u32 << 20).to_le_bytes());
    container.extend((16u32 << 20).to_le_bytes());
    container.extend(64u32.to_le_bytes());
    container.resize(64, 0);
    let header = wire::encode(rows as u64, &zeros.layout);
    for (container, what) in [
        (container.as_slice(), "at most 65536 bytes (got 16777216)"),
        (&container[..20], "not what its header tells"),
        (&[0xff; 40], "version"),
        (b"short", "no container"),
    ] {
        hostile.send(&[&header, container]);
        match subscriber.receive(GUARD) {
            Err(NoChunk::Failed(error)) => assert!(error.message().contains(what), "{error}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn who_only_polls_comes_back_to_a_publisher_that_sent_too_much() {
    let _watch = watch("a descriptor, and too much");
    let good = ramp(3, 3);
    let header = wire::encode(3, &good.layout);
    let (hostile, mut subscriber) = Hostile::new(params(&[-1, 1]));
    let fd = subscriber.fd().unwrap().try_clone_to_owned().unwrap();
    while subscriber.receive(Wait::No).is_ok() {}
    hostile.send(&[&header, &vec![0; 1 << 20]]);
    hostile.is_left_and_found(|| {
        if is_readable(fd.as_fd()).unwrap() {
            assert_eq!(subscriber.receive(Wait::No).unwrap_err(), NoChunk::Empty);
        }
    });
    hostile.send(&[&header, &good.data]);
    assert_eq!(subscriber.receive(GUARD).unwrap().data, good.data);
}

#[test]
fn garbage_at_the_publishers_port_does_no_harm() {
    let _watch = watch("garbage");
    let (mut publisher, mut subscriber) =
        pair(&params(&[-1, 1]), &PublisherConfig::default(), &SubscriberConfig::default());
    let mut bound = params(&[-1, 1]);
    publisher.describe(&mut bound);
    let mut rng = Rng(9);
    for i in 0..50 {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", bound.port.parse().unwrap())).unwrap();
        let mut bytes =
            if i % 2 == 0 { b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL".to_vec() } else { Vec::new() };
        bytes.extend((0..200 * (i % 7)).map(|_| rng.next() as u8));
        let _ = stream.write_all(&bytes);
        publisher.publish(&ramp(i as u64 + 1, 1), GUARD).unwrap();
        assert_eq!(subscriber.receive(GUARD).unwrap().index, i as u64 + 1);
    }
}

#[test]
fn what_cannot_be_bound_or_connected_says_why() {
    let config = PublisherConfig::default();
    let refused = |params: &Params, config: &PublisherConfig| ZmqPublisher::bind(params, config).unwrap_err();
    let mut taken = params(&[-1, 1]);
    let first = ZmqPublisher::bind(&taken, &config).unwrap();
    first.describe(&mut taken);
    let error = refused(&taken, &config);
    let address = format!("bind tcp://127.0.0.1:{}", taken.port);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains(&address) && error.message().contains("in use"), "{error}");
    for (interface, port, kind) in [
        ("192.0.2.1", "*", ErrorKind::Io),
        ("no such interface", "*", ErrorKind::Invalid),
        ("nosuch0", "*", ErrorKind::Io),
        ("127.0.0.1", "seven", ErrorKind::Invalid),
        ("", "*", ErrorKind::Invalid),
    ] {
        let mut params = params(&[-1, 1]);
        (params.interface, params.port) = (interface.into(), port.into());
        assert_eq!(refused(&params, &config).kind(), kind, "{interface} {port}");
    }
    let policy = |overflow| PublisherConfig { overflow, ..PublisherConfig::default() };
    let error = refused(&params(&[-1, 1]), &policy(Overflow::DropOldest));
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("ZeroMQ"), "{error}");
    let mut ring = params(&[-1, 1]);
    (ring.transfermode, ring.buffer_size) = (TransferMode::SharedMem, 10);
    let error = refused(&ring, &policy(Overflow::Block));
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("sharedmem"), "{error}");
    ring.buffer_size = 0;
    assert_eq!(refused(&ring, &policy(Overflow::DropOldest)).kind(), ErrorKind::Invalid);
    ring.buffer_size = 1 << 47;
    assert!(matches!(
        refused(&ring, &policy(Overflow::DropOldest)).kind(),
        ErrorKind::Io | ErrorKind::Invalid
    ));
    let queue = PublisherConfig { queue: 0, ..PublisherConfig::default() };
    assert!(refused(&params(&[-1, 1]), &queue).message().contains("queue"));
    let mut inproc = params(&[-1, 1]);
    inproc.protocol = Protocol::Inproc;
    assert!(refused(&inproc, &config).message().contains("inproc"));
    // The params of an output that is not bound.
    let connect = |params: &Params| ZmqSubscriber::connect(params, &SubscriberConfig::default());
    assert_eq!(connect(&params(&[-1, 1])).unwrap_err().kind(), ErrorKind::Invalid);
    (ring.buffer_size, ring.port) = (10, "1".into());
    assert_eq!(connect(&ring).unwrap_err().kind(), ErrorKind::Invalid);
    ring.shm_id = Some("/nonexistent".into());
    assert_eq!(connect(&ring).unwrap_err().kind(), ErrorKind::Io);
    ring.shm_id = Some("/dev/zero".into());
    assert_eq!(connect(&ring).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn chunks_of_another_shape_are_refused() {
    let mut publisher = ZmqPublisher::bind(&params(&[-1, 1]), &PublisherConfig::default()).unwrap();
    for layout in [
        Layout::c_order(8, &[2, 1]),
        Layout::c_order(4, &[2, 2]),
        Layout::c_order(4, &[2]),
        Layout::c_order(4, &[]),
    ] {
        let chunk = Chunk { index: 2, layout: layout.unwrap(), data: vec![0; 64].into() };
        assert_eq!(publisher.publish(&chunk, Wait::No).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// A ring of 10 frames of one float, its writer and its reader.
fn ring(folder: &std::path::Path) -> (Params, ZmqPublisher, ZmqSubscriber) {
    let mut params = params(&[-1, 1]);
    (params.transfermode, params.buffer_size) = (TransferMode::SharedMem, 10);
    let config = PublisherConfig {
        overflow: Overflow::DropOldest,
        folder: Some(folder.into()),
        ..PublisherConfig::default()
    };
    let (publisher, subscriber) = pair(&params, &config, &SubscriberConfig::default());
    publisher.describe(&mut params);
    (params, publisher, subscriber)
}

#[test]
fn a_ring_gives_what_it_still_has() {
    let _watch = watch("a ring");
    let folder = tempfile::tempdir().unwrap();
    let (params, mut publisher, mut subscriber) = ring(folder.path());
    let path = params.shm_id.clone().unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let found = file.metadata().unwrap();
    assert_eq!((found.len(), found.permissions().mode() & 0o777), (56, 0o600));
    for index in [4, 8, 12, 16, 20, 24] {
        publisher.publish(&ramp(index, 4), Wait::No).unwrap();
    }
    // The ring holds the latest ten.
    let mut chunks = Vec::new();
    while chunks.last().is_none_or(|last: &Chunk| last.index < 24) {
        chunks.push(subscriber.receive(GUARD).unwrap());
        assert_ramp(chunks.last().unwrap());
    }
    assert_eq!(chunks.iter().map(|chunk| chunk.index).collect::<Vec<_>>(), [20, 24]);
    let stats = subscriber.stats();
    assert_eq!((stats.overwritten_chunks, stats.overwritten_frames), (4, 16));
    // What was skipped is filled.
    publisher.publish(&ramp(30, 3), Wait::No).unwrap();
    assert_eq!(subscriber.receive(GUARD).unwrap().start(), 27);
    let mut words = [0; 16];
    file.read_exact_at(&mut words, 0).unwrap();
    assert_eq!(words, [[30, 0, 0, 0, 0, 0, 0, 0]; 2].concat()[..]);
    let mut floats = [0; 40];
    file.read_exact_at(&mut floats, 16).unwrap();
    let floats: Vec<f32> = floats.as_chunks::<4>().0.iter().map(|&float| f32::from_le_bytes(float)).collect();
    assert_eq!((floats[0], floats[3], floats[7], floats[9]), (20.0, 23.0, 27.0, 29.0));
    assert!(floats[4..7].iter().all(|float| float.is_nan()), "{floats:?}");
    for (chunk, what) in
        [(ramp(31, 2), "must not begin before frame 30"), (ramp(45, 11), "at most buffer_size frames")]
    {
        let error = publisher.publish(&chunk, Wait::No).unwrap_err();
        assert!(error.message().contains(what), "{error}");
    }
    drop(publisher);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_ring_that_is_damaged_is_an_error() {
    let _watch = watch("a damaged ring");
    let folder = tempfile::tempdir().unwrap();
    let mut params = params(&[-1, 1]);
    (params.transfermode, params.buffer_size) = (TransferMode::SharedMem, 10);
    let path = folder.path().join("ring");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    params.shm_id = Some(path.to_str().unwrap().into());
    file.set_len(55).unwrap();
    params.port = "1".into();
    let error = ZmqSubscriber::connect(&params, &SubscriberConfig::default()).unwrap_err();
    assert!(error.message().contains("takes 56 bytes (got 55)"), "{error}");
    file.set_len(56).unwrap();
    let (hostile, mut subscriber) = Hostile::new(params);
    let word = |numbers: [u64; 2]| numbers.map(u64::to_be_bytes).concat();
    file.write_all_at(&[20i64.to_ne_bytes(), 20i64.to_ne_bytes()].concat(), 0).unwrap();
    let mut fails = |message: &[&[u8]], kind: ErrorKind, what: &str| {
        hostile.send(message);
        match subscriber.receive(GUARD) {
            Err(NoChunk::Failed(error)) => {
                assert!(error.kind() == kind && error.message().contains(what), "{error}");
            }
            other => panic!("{what}: {other:?}"),
        }
    };
    fails(&[&word([20, 11])], ErrorKind::Format, "11 frames before index 20");
    fails(&[&word([3, 4])], ErrorKind::Format, "4 frames before index 3");
    fails(&[&word([u64::MAX, u64::MAX])], ErrorKind::Format, "cannot be");
    fails(&[&word([20, 3])[..15]], ErrorKind::Format, "16 bytes (got 15)");
    fails(&[&word([20, 3]), b""], ErrorKind::Format, "one part");
    fails(&[&word([21, 3])], ErrorKind::Format, "connect with its params anew");
    hostile.send(&[&word([20, 3])]);
    file.set_len(30).unwrap();
    fails(&[], ErrorKind::Truncated, "made shorter");
    file.set_len(0).unwrap();
    fails(&[&word([20, 3])], ErrorKind::Truncated, "made shorter");
    // Indices that no writer would set.
    file.set_len(56).unwrap();
    file.write_all_at(&[i64::MAX.to_ne_bytes(), i64::MIN.to_ne_bytes()].concat(), 0).unwrap();
    hostile.send(&[&word([25, 3])]);
    assert_eq!(subscriber.receive(GUARD).unwrap().index, 25);
    // Word of an earlier frame than before, in a ring that goes on: of another ring.
    hostile.send(&[&word([24, 3])]);
    assert!(matches!(subscriber.receive(GUARD), Err(NoChunk::Failed(_))));
}

#[test]
fn a_socket_in_the_file_system_leaves_nothing() {
    let _watch = watch("a socket in the file system");
    let folder = tempfile::tempdir().unwrap();
    let mut params = params(&[-1, 1]);
    params.protocol = Protocol::Ipc;
    let config = PublisherConfig { folder: Some(folder.path().into()), ..PublisherConfig::default() };
    let (mut publisher, mut subscriber) = pair(&params, &config, &SubscriberConfig::default());
    publisher.describe(&mut params);
    assert!(params.interface.contains("/pyacq_pipe_") && std::path::Path::new(&params.interface).exists());
    publisher.publish(&ramp(3, 3), GUARD).unwrap();
    // All that was published arrives, though the end comes at once.
    drop(publisher);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_ramp(&subscriber.receive(GUARD).unwrap());
    assert_eq!(subscriber.receive(Wait::For(Duration::from_millis(1))).unwrap_err(), NoChunk::TimedOut);
}

#[test]
fn a_path_that_is_taken_is_left_alone() {
    let _watch = watch("a path that is taken");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut params = params(&[-1, 1]);
    (params.protocol, params.interface) = (Protocol::Ipc, path.to_str().unwrap().to_owned());
    let bind = || ZmqPublisher::bind(&params, &PublisherConfig::default());
    let (mut publisher, mut subscriber) =
        pair(&params, &PublisherConfig::default(), &SubscriberConfig::default());
    let taken = bind().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Io);
    let expected = format!("bind ipc://{}: Address already in use", params.interface);
    assert!(taken.message().starts_with(&expected), "{taken}");
    // Who comes now still finds the first.
    let mut late = ZmqSubscriber::connect(&params, &SubscriberConfig::default()).unwrap();
    wait_for(&mut publisher, 2);
    publisher.publish(&ramp(3, 3), GUARD).unwrap();
    assert_ramp(&subscriber.receive(GUARD).unwrap());
    assert_ramp(&late.receive(GUARD).unwrap());
    // It leaves nothing.
    drop(publisher);
    assert!(!path.exists());
    // What one leaves that was killed is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind().unwrap());
    // A file of somebody else.
    std::fs::write(&path, "data").unwrap();
    let file = bind().unwrap_err();
    assert!(file.message().ends_with("it exists, and is no socket"), "{file}");
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[test]
fn an_input_that_goes_is_not_waited_for() {
    let _watch = watch("an input that goes");
    let config = PublisherConfig { queue: 2, overflow: Overflow::Block, ..PublisherConfig::default() };
    let ours = SubscriberConfig { queue: 2, ..SubscriberConfig::default() };
    let (mut publisher, subscriber) = pair(&params(&[-1, 1]), &config, &ours);
    const ROWS: usize = 1 << 16;
    let mut index = ROWS as u64;
    while !publisher.publish(&ramp(index, ROWS), Wait::For(Duration::from_millis(20))).unwrap().timed_out {
        index += ROWS as u64;
    }
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| publisher.publish(&ramp(index, ROWS), Wait::Forever).unwrap());
        drop(subscriber);
        assert!(!publishing.join().unwrap().timed_out);
    });
    wait_for(&mut publisher, 0);
    for count in 1..=10 {
        let chunk = ramp(index + count * ROWS as u64, ROWS);
        assert!(!publisher.publish(&chunk, Wait::Forever).unwrap().timed_out);
    }
}

/// Also where nothing is sent for long, a peer whose machine has gone is noticed: the system asks after it, at both ends.
#[test]
fn silent_connections_are_looked_after() {
    let _watch = watch("silent connections");
    let (publisher, _subscriber) =
        pair(&params(&[-1, 1]), &PublisherConfig::default(), &SubscriberConfig::default());
    let mut bound = params(&[-1, 1]);
    publisher.describe(&mut bound);
    let port = format!(":{:04X}", bound.port.parse::<u16>().unwrap());
    // Columns of proc_net_tcp(5): local and remote address, state (01: established), and which timer runs (02: keepalive).
    let timers = || {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row[3] == "01" && (row[1].ends_with(&port) || row[2].ends_with(&port)))
            .map(|row| row[5][..2].to_owned())
            .collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while timers() != ["02", "02"] {
        assert!(Instant::now() < deadline, "{:?}", timers());
        std::thread::yield_now();
    }
}
