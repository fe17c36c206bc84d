//! Signal streams over ZeroMQ beside raw libzmq of the same pattern, in one run: two parts a message, TCP on loopback, a publisher's thread and a
//! subscriber's, nothing dropped.
//!
//! ```sh
//! cargo bench --bench signal_zmq            # MiB of a measurement, rounds: AQ_BENCH_MIB (1024), AQ_BENCH_ROUNDS (5)
//! ```
//!
//! The rounds of all alternate; shown are the medians, and their ratio. Raw libzmq sends from and receives into messages of its own: `copy` makes each from the
//! program's memory by memcpy, as zmq_send does and as pyacq's default; `shared` refers to it, as ours does.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::params::Params;
use aqueduct::signal::transport::zmq::{PublisherConfig, SubscriberConfig, ZmqPublisher, ZmqSubscriber};
use aqueduct::signal::transport::{Publisher, Subscriber};
use aqueduct::signal::wire;
use aqueduct::spead::dtype::Dtype;
use aqueduct::sys::zmq::{Context, Kind, Message, Setting, Socket};
use bytes::Bytes;
use support::median;

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

fn ours(size: usize, count: usize) -> f64 {
    let mut params = Params::new(Dtype::parse_scalar("<f4").unwrap(), &[-1, 1]);
    let config = PublisherConfig { overflow: Overflow::Block, queue: QUEUE, ..PublisherConfig::default() };
    let mut publisher = ZmqPublisher::bind(&params, &config).unwrap();
    publisher.describe(&mut params);
    let config = SubscriberConfig { queue: QUEUE, ..SubscriberConfig::default() };
    let mut subscriber = ZmqSubscriber::connect(&params, &config).unwrap();
    while publisher.subscribers().unwrap() == 0 {
        thread::yield_now();
    }
    let sender = thread::spawn(move || {
        let data = Bytes::from(vec![1; size]);
        for i in 0..count {
            publisher.publish(&chunk(size, i, &data), Wait::Forever).unwrap();
        }
    });
    let speed = measure(size, count, || {
        let chunk = subscriber.receive(Wait::Forever).unwrap();
        assert_eq!(chunk.data.len(), size);
    });
    sender.join().unwrap();
    speed
}

fn raw(size: usize, count: usize, shared: bool) -> f64 {
    let context = Context::new().unwrap();
    let publisher = Socket::new(&context, Kind::Xpub).unwrap();
    publisher.set(Setting::SendHighWater, QUEUE as i32).unwrap();
    publisher.set(Setting::NoDrop, 1).unwrap();
    publisher.set_linger(Duration::from_secs(10)).unwrap();
    publisher.bind("tcp://127.0.0.1:*").unwrap();
    // A context of its own, as ours has.
    let subscriber = Socket::new(&Context::new().unwrap(), Kind::Sub).unwrap();
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
    let (mib, rounds) = (number("AQ_BENCH_MIB", 1024), number("AQ_BENCH_ROUNDS", 5));
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "bytes", "ours", "raw shared", "raw copy", "to shared", "to copy"
    );
    for size in [1 << 10, 64 << 10, 1 << 20] {
        // Small messages are slow; no more than so many.
        let count = ((mib << 20) / size).min(200_000);
        let mut speeds = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            speeds[0].push(ours(size, count));
            speeds[1].push(raw(size, count, true));
            speeds[2].push(raw(size, count, false));
        }
        let [ours, shared, copy] = speeds.map(median);
        println!(
            "{size:>8} {ours:>7.3} GB/s {shared:>7.3} GB/s {copy:>7.3} GB/s {:>11.3}x {:>11.3}x",
            ours / shared,
            ours / copy
        );
    }
}
