//! The ring against its peers: crossbeam's lock-free queue without waiting, and a locked queue with waiting.
//!
//! `cargo bench --bench ring` prints a table, with `-- --json` a JSON list. Each number is the median of runs that
//! alternate between us and the peer, so that both meet the same machine.

mod support;

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Instant;

use aqueduct::ring::{Ring, Wait};
use crossbeam_queue::ArrayQueue;
use support::{Line, compare};

/// Put-and-get pairs in an uncontended run.
const PAIRS: u64 = 5_000_000;
/// Items in a hand-over run of ours and of the peer's.
const ITEMS: u64 = 4_000_000;
const PEER_ITEMS: u64 = 400_000;
/// The peer's capacity.
const PEER_CAPACITY: usize = 16;

fn main() {
    support::print(&[
        Line::cost(
            "ring/uncontended/arrayqueue",
            compare(uncontended_ring, uncontended_array_queue),
            "ns/pair",
        ),
        Line::rate("ring/handoff/16", compare(|| handoff_ring(16), handoff_locked), "items/s"),
        Line::rate("ring/handoff/128", compare(|| handoff_ring(128), handoff_locked), "items/s"),
    ]);
}

/// Nanoseconds for a put and a get in one thread.
fn uncontended_ring() -> f64 {
    let ring = Ring::new(128).unwrap();
    let start = Instant::now();
    for i in 0..PAIRS {
        ring.put(black_box(i), Wait::No).unwrap();
        black_box(ring.get(Wait::No).unwrap());
    }
    start.elapsed().as_nanos() as f64 / PAIRS as f64
}

/// The same with crossbeam's queue.
fn uncontended_array_queue() -> f64 {
    let queue = ArrayQueue::new(128);
    let start = Instant::now();
    for i in 0..PAIRS {
        queue.push(black_box(i)).unwrap();
        black_box(queue.pop().unwrap());
    }
    start.elapsed().as_nanos() as f64 / PAIRS as f64
}

/// Items per second from one thread to another, both waiting.
fn handoff_ring(capacity: usize) -> f64 {
    let ring = Ring::new(capacity).unwrap();
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            for i in 0..ITEMS {
                ring.put(i, Wait::Forever).unwrap();
            }
        });
        for i in 0..ITEMS {
            assert_eq!(ring.get(Wait::Forever), Ok(i));
        }
        ITEMS as f64 / start.elapsed().as_secs_f64()
    })
}

/// The same with a queue under a lock.
fn handoff_locked() -> f64 {
    let queue = Locked::new(PEER_CAPACITY);
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            for i in 0..PEER_ITEMS {
                queue.put(i);
            }
        });
        for i in 0..PEER_ITEMS {
            assert_eq!(queue.get(), i);
        }
        PEER_ITEMS as f64 / start.elapsed().as_secs_f64()
    })
}

/// What one would write by hand: a lock, a queue, two conditions.
struct Locked {
    queue: Mutex<VecDeque<u64>>,
    data: Condvar,
    space: Condvar,
    capacity: usize,
}

impl Locked {
    fn new(capacity: usize) -> Self {
        let queue = Mutex::new(VecDeque::with_capacity(capacity));
        Self { queue, data: Condvar::new(), space: Condvar::new(), capacity }
    }

    fn put(&self, item: u64) {
        let full = |queue: &mut VecDeque<u64>| queue.len() == self.capacity;
        let mut queue = self.space.wait_while(self.queue.lock().unwrap(), full).unwrap();
        queue.push_back(item);
        drop(queue);
        self.data.notify_one();
    }

    fn get(&self) -> u64 {
        let mut queue = self.data.wait_while(self.queue.lock().unwrap(), |queue| queue.is_empty()).unwrap();
        let item = queue.pop_front().unwrap();
        drop(queue);
        self.space.notify_one();
        item
    }
}
