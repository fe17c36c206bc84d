//! Signal streams over ZeroMQ beside raw libzmq of the same pattern, in one run: two parts a message, TCP on loopback, a publisher's thread and a
//! subscriber's, nothing dropped; and ours within the process beside libzmq's `inproc`.
//!
//! `cargo bench --bench signal_zmq` prints a table, with `-- --json` a JSON list, with `-- WORD` only the lines that have it in their name. `AQ_BENCH_MIB`: MiB of
//! a measurement (512). Raw libzmq sends from and receives into messages of its own: `copy` makes each from the
//! program's memory by memcpy, as zmq_send does and as pyacq's default; `shared` refers to it, as ours does.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::params::Params;
use aqueduct::signal::transport::inproc::InprocPublisher;
use aqueduct::signal::transport::zmq::{PublisherConfig, SubscriberConfig, ZmqPublisher, ZmqSubscriber};
use aqueduct::signal::transport::{Publisher, Subscriber};
use aqueduct::signal::wire;
use aqueduct::spead::dtype::Dtype;
use aqueduct::sys::zmq::{Context, Kind, Message, Setting, Socket};
use bytes::Bytes;
use support::{Line, compare, is_wanted};

const QUEUE: u32 = 64;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// GB/s of what `receive` takes until it has all, from its first message on.
fn measure(size: usize, count: usize, mut receive: impl FnMut()) -> f64 {
    receive();
    let begin = Instant::now();
    for _ in 1..count {
        receive();
    }
    (size * (count - 1)) as f64 / begin.elapsed().as_secs_f64() / 1e9
}

fn chunk(size: usize, i: usize, data: &Bytes) -> Chunk {
    let rows = size / 4;
    let layout = Layout::c_order(4, &[rows, 1]).unwrap();
    Chunk { index: ((i + 1) * rows) as u64, layout, data: data.clone() }
}

/// GB/s from a publisher on a thread of its own to a subscriber.
fn transfer(
    mut publisher: impl Publisher + 'static,
    mut subscriber: impl Subscriber,
    size: usize,
    count: usize,
) -> f64 {
    let sender = thread::spawn(move || {
        let mut chunk = chunk(size, 0, &Bytes::from(vec![1; size]));
        for _ in 0..count {
            publisher.publish(&chunk, Wait::Forever).unwrap();
            chunk.index += chunk.frames() as u64;
        }
    });
    let speed = measure(size, count, || {
        let chunk = subscriber.receive(Wait::Forever).unwrap();
        assert_eq!(chunk.data.len(), size);
    });
    sender.join().unwrap();
    speed
}

/// Ours, over TCP.
fn ours(size: usize, count: usize) -> f64 {
    let mut params = Params::new(Dtype::parse_scalar("<f4").unwrap(), &[-1, 1]);
    let config = PublisherConfig { overflow: Overflow::Block, queue: QUEUE, ..PublisherConfig::default() };
    let mut publisher = ZmqPublisher::bind(&params, &config).unwrap();
    publisher.describe(&mut params);
    let config = SubscriberConfig { queue: QUEUE, ..SubscriberConfig::default() };
    let subscriber = ZmqSubscriber::connect(&params, &config).unwrap();
    while publisher.subscribers().unwrap() == 0 {
        thread::yield_now();
    }
    transfer(publisher, subscriber, size, count)
}

/// Ours within the process, without ZeroMQ.
fn inproc(size: usize, count: usize) -> f64 {
    let publisher = InprocPublisher::new(QUEUE as usize, Overflow::Block).unwrap();
    let subscriber = publisher.subscribe().unwrap();
    transfer(publisher, subscriber, size, count)
}

/// How raw libzmq sends.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Tcp,
    Inproc,
}

fn raw(way: Way, size: usize, count: usize, shared: bool) -> f64 {
    let context = Context::new().unwrap();
    let publisher = Socket::new(&context, Kind::Xpub).unwrap();
    publisher.set(Setting::SendHighWater, QUEUE as i32).unwrap();
    publisher.set(Setting::NoDrop, 1).unwrap();
    publisher.set_linger(Duration::from_secs(10)).unwrap();
    publisher.bind(if way == Way::Tcp { "tcp://127.0.0.1:*" } else { "inproc://bench" }).unwrap();
    // Over TCP a context of its own, as ours has.
    let own = Context::new().unwrap();
    let subscriber = Socket::new(if way == Way::Tcp { &own } else { &context }, Kind::Sub).unwrap();
    subscriber.set(Setting::ReceiveHighWater, QUEUE as i32).unwrap();
    subscriber.subscribe(b"").unwrap();
    subscriber.connect(&publisher.address().unwrap()).unwrap();
    publisher.wait_readable(None, None).unwrap();
    let sender = thread::spawn(move || {
        let data = Bytes::from(vec![1; size]);
        let header = wire::encode(0, &chunk(size, 0, &data).layout);
        for _ in 0..count {
            publisher.send(&mut Message::copy_of(&header).unwrap(), true, true).unwrap();
            let mut message =
                if shared { Message::sharing(data.clone()) } else { Message::copy_of(&data) }.unwrap();
            publisher.send(&mut message, false, true).unwrap();
        }
    });
    let speed = measure(size, count, || {
        let mut more = true;
        while more {
            match subscriber.receive().unwrap() {
                Some(part) => more = part.has_more(),
                None => drop(subscriber.wait_readable(None, None).unwrap()),
            }
        }
    });
    sender.join().unwrap();
    speed
}

fn main() {
    let mib = number("AQ_BENCH_MIB", 512);
    let mut lines = Vec::new();
    for (length, size) in [("1K", 1 << 10), ("64K", 64 << 10), ("1M", 1 << 20)] {
        // Small messages are slow; no more than so many.
        let count = ((mib << 20) / size).min(200_000);
        for (how, shared) in [("shared", true), ("copy", false)] {
            let name = format!("signal/zmq/{how}/{length}");
            if is_wanted(&name) {
                let both = compare(|| ours(size, count), || raw(Way::Tcp, size, count, shared));
                lines.push(Line::rate(name, both, "GB/s"));
            }
            let name = format!("signal/inproc/zmq/{how}/{length}");
            if size == 64 << 10 && is_wanted(&name) {
                let both = compare(|| inproc(size, 4 * count), || raw(Way::Inproc, size, count, shared));
                lines.push(Line::rate(name, both, "GB/s"));
            }
        }
    }
    support::print(&lines);
}
