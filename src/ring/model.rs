//! Loom models: every interleaving (up to a number of preemptions) and every outdated value that the memory orders
//! allow, for the protocols that a stress test meets only by luck. The command is in `mod.rs`.
//!
//! A lost wake-up shows as a deadlock, a lost item as a wrong result or a leak, a slot owned twice as an
//! overlapping access.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::sync::Level;
use super::{Data, GetError, PutError, Ring, Space, Wait};

/// Runs a model. Two preemptions found all that was broken on purpose; a third costs several times the time.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    let runs = StdArc::new(AtomicUsize::new(0));
    let count = runs.clone();
    builder.check(move || {
        // Not one of loom's: it counts across executions.
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    // A model that loom hardly explores proves nothing (see `AtomicUsize` in `sync.rs`).
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} executions");
    assert!(runs > 100, "only {runs} executions");
}

fn ring<T: Send>(capacity: usize) -> Arc<Ring<T>> {
    Arc::new(Ring::new(capacity).unwrap())
}

fn data_level<T: Send>(ring: &Ring<T>) -> &Level {
    ring.data.level(&Data(&ring.queue)).unwrap()
}

fn space_level<T: Send>(ring: &Ring<T>) -> &Level {
    ring.space.level(&Space(&ring.queue)).unwrap()
}

/// At rest both levels, if asked for, are the truth.
fn assert_levels<T: Send>(ring: &Ring<T>) {
    if let Some(level) = ring.data.level.get() {
        assert_eq!(level.is_raised(), !ring.is_empty() || ring.is_stopped(), "data level");
    }
    if let Some(level) = ring.space.level.get() {
        assert_eq!(level.is_raised(), !ring.is_full() || ring.is_stopped(), "space level");
    }
}

/// A task that sleeps until its waker is called.
struct Task {
    woken: Mutex<bool>,
    came: Condvar,
}

impl Task {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { woken: Mutex::new(false), came: Condvar::new() })
    }

    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.came.wait(woken).unwrap();
        }
        *woken = false;
    }
}

impl Wake for Task {
    fn wake(self: StdArc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.came.notify_one();
    }
}

/// One producer, one consumer, both blocking; boxed items, so that a leak or a double drop shows.
fn one_to_one(capacity: usize, items: usize) {
    check(2, move || {
        let ring = ring(capacity);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                for i in 0..items {
                    ring.put(Box::new(i), Wait::Forever).unwrap();
                }
            })
        };
        for i in 0..items {
            assert_eq!(*ring.get(Wait::Forever).unwrap(), i);
        }
        putter.join().unwrap();
        assert!(ring.is_empty());
    });
}

#[test]
fn one_to_one_capacity_1() {
    one_to_one(1, 3);
}

#[test]
fn one_to_one_capacity_2() {
    one_to_one(2, 3);
}

#[test]
fn two_producers_one_consumer() {
    check(2, || {
        let ring = ring(1);
        let putters = [1, 2].map(|i| {
            let ring = ring.clone();
            thread::spawn(move || ring.put(i, Wait::Forever).unwrap())
        });
        assert_eq!(ring.get(Wait::Forever).unwrap() + ring.get(Wait::Forever).unwrap(), 3);
        for putter in putters {
            putter.join().unwrap();
        }
        assert!(ring.is_empty());
    });
}

#[test]
fn one_producer_two_consumers() {
    check(2, || {
        let ring = ring(2);
        let getters = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || ring.get(Wait::Forever).unwrap())
        });
        ring.put(1, Wait::Forever).unwrap();
        ring.put(2, Wait::Forever).unwrap();
        assert_eq!(getters.map(|getter| getter.join().unwrap()).iter().sum::<usize>(), 3);
        assert!(ring.is_empty());
    });
}

/// A put that races a stop is delivered or handed back, and Stopped is final.
#[test]
fn stop_races_put() {
    check(2, || {
        let ring = ring(1);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let first = ring.put(1, Wait::Forever);
                let second = ring.put(2, Wait::Forever);
                if let Err(error) = &first {
                    assert_eq!(*error, PutError::Stopped(1));
                    assert!(second.is_err());
                }
                usize::from(first.is_ok()) + usize::from(second.is_ok())
            })
        };
        let stopper = {
            let ring = ring.clone();
            thread::spawn(move || ring.stop())
        };
        let mut got = 0;
        loop {
            match ring.get(Wait::Forever) {
                Ok(item) => {
                    got += 1;
                    assert_eq!(item, got);
                }
                Err(error) => {
                    assert_eq!(error, GetError::Stopped);
                    break;
                }
            }
        }
        assert!(ring.is_stopped());
        assert!(stopper.join().unwrap());
        assert_eq!(putter.join().unwrap(), got);
        assert_eq!(ring.get(Wait::No), Err(GetError::Stopped));
        assert_eq!(ring.put(9, Wait::No), Err(PutError::Stopped(9)));
    });
}

#[test]
fn stop_wakes_a_putter_and_a_getter() {
    check(2, || {
        let full = ring(1);
        full.put(1, Wait::No).unwrap();
        let empty = ring::<usize>(1);
        let putter = {
            let full = full.clone();
            thread::spawn(move || assert_eq!(full.put(2, Wait::Forever), Err(PutError::Stopped(2))))
        };
        let getter = {
            let empty = empty.clone();
            thread::spawn(move || assert_eq!(empty.get(Wait::Forever), Err(GetError::Stopped)))
        };
        full.stop();
        empty.stop();
        putter.join().unwrap();
        getter.join().unwrap();
    });
}

/// The last of two producers stops the ring; what both put is delivered first.
#[test]
fn last_producer_stops() {
    check(2, || {
        let ring = ring(2);
        ring.add_producer();
        ring.add_producer();
        let producers = [1, 2].map(|i| {
            let ring = ring.clone();
            thread::spawn(move || {
                ring.put(i, Wait::No).unwrap();
                ring.remove_producer().unwrap()
            })
        });
        let mut sum = 0;
        while let Ok(item) = ring.get(Wait::Forever) {
            sum += item;
        }
        assert_eq!(sum, 3);
        let stops = producers.map(|producer| usize::from(producer.join().unwrap()));
        assert_eq!(stops[0] + stops[1], 1);
    });
}

/// Two tasks that only ever use wakers.
#[test]
fn wakers_put_and_get() {
    check(3, || {
        let ring = ring(1);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let task = Task::new();
                let waker = Waker::from(task.clone());
                for i in 0..2 {
                    let mut item = i;
                    while let Err(error) = ring.put_or_wake(item, &waker) {
                        item = error.into_inner();
                        task.sleep();
                    }
                }
            })
        };
        let task = Task::new();
        let waker = Waker::from(task.clone());
        for i in 0..2 {
            let got = loop {
                match ring.get_or_wake(&waker) {
                    Ok(item) => break item,
                    Err(_) => task.sleep(),
                }
            };
            assert_eq!(got, i);
        }
        putter.join().unwrap();
    });
}

#[test]
fn wakers_and_stop() {
    check(3, || {
        let ring = ring(1);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                ring.put(1, Wait::No).unwrap();
                ring.stop();
            })
        };
        let task = Task::new();
        let waker = Waker::from(task.clone());
        let mut got = 0;
        loop {
            match ring.get_or_wake(&waker) {
                Ok(_) => got += 1,
                Err(GetError::Stopped) => break,
                Err(_) => task.sleep(),
            }
        }
        assert_eq!(got, 1);
        putter.join().unwrap();
    });
}

/// Both levels, asked for before; one putter, one getter, neither waits.
fn levels(capacity: usize) {
    check(3, move || {
        let ring = ring(capacity);
        data_level(&ring);
        space_level(&ring);
        assert_levels(&ring);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let _ = ring.put(1, Wait::No);
                let _ = ring.put(2, Wait::No);
            })
        };
        let _ = ring.get(Wait::No);
        let _ = ring.get(Wait::No);
        putter.join().unwrap();
        assert_levels(&ring);
    });
}

#[test]
fn levels_capacity_1() {
    levels(1);
}

#[test]
fn levels_capacity_2() {
    levels(2);
}

#[test]
fn levels_two_consumers() {
    check(2, || {
        let ring = ring(2);
        ring.put(1, Wait::No).unwrap();
        data_level(&ring);
        let getters = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || usize::from(ring.get(Wait::No).is_ok()))
        });
        ring.put(2, Wait::No).unwrap();
        let got: usize = getters.map(|getter| getter.join().unwrap()).iter().sum();
        assert_eq!(ring.size(), 2 - got);
        assert_levels(&ring);
    });
}

#[test]
fn levels_two_producers() {
    check(2, || {
        let ring = ring(2);
        ring.put(1, Wait::No).unwrap();
        space_level(&ring);
        let putters = [2, 3].map(|i| {
            let ring = ring.clone();
            thread::spawn(move || usize::from(ring.put(i, Wait::No).is_ok()))
        });
        ring.get(Wait::No).unwrap();
        let put: usize = putters.map(|putter| putter.join().unwrap()).iter().sum();
        assert_eq!(ring.size(), put);
        assert_levels(&ring);
    });
}

/// The descriptor is first asked for while items move.
#[test]
fn level_asked_for_late() {
    check(2, || {
        let ring = ring(1);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let _ = ring.put(1, Wait::No);
            })
        };
        let getter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let _ = ring.get(Wait::No);
            })
        };
        data_level(&ring);
        space_level(&ring);
        putter.join().unwrap();
        getter.join().unwrap();
        assert_levels(&ring);
    });
}

#[test]
fn levels_and_stop() {
    check(2, || {
        let ring = ring(1);
        data_level(&ring);
        space_level(&ring);
        let putter = {
            let ring = ring.clone();
            thread::spawn(move || {
                let _ = ring.put(1, Wait::No);
            })
        };
        let stopper = {
            let ring = ring.clone();
            thread::spawn(move || ring.stop())
        };
        let _ = ring.get(Wait::No);
        putter.join().unwrap();
        stopper.join().unwrap();
        assert!(data_level(&ring).is_raised());
        assert!(space_level(&ring).is_raised());
    });
}
