//! The ring under real threads: nothing lost, nothing twice, in order; everybody woken; descriptors that tell the
//! truth to poll().

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use aqueduct::ring::{GetError, PutError, Ring, Wait};

/// Waits until the descriptor is readable, at most so many milliseconds (-1: without end).
fn poll(fd: BorrowedFd<'_>, milliseconds: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, milliseconds) };
    assert!(ready >= 0, "poll: {}", std::io::Error::last_os_error());
    ready == 1
}

/// How the items of a stress test go in and out.
#[derive(Clone, Copy)]
enum How {
    Blocking,
    TimedOut,
    Trying,
    Waker,
    Poll,
}

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn put<T: Send>(ring: &Ring<T>, mut item: T, how: How, waker: &Waker) {
    loop {
        let result = match how {
            How::Blocking => ring.put(item, Wait::Forever),
            How::TimedOut => ring.put(item, Wait::For(Duration::from_micros(20))),
            How::Trying | How::Poll => ring.put(item, Wait::No),
            How::Waker => ring.put_or_wake(item, waker),
        };
        item = match result {
            Ok(()) => return,
            Err(PutError::Stopped(_)) => panic!("nobody stops"),
            Err(error) => error.into_inner(),
        };
        match how {
            How::Trying => thread::yield_now(),
            How::Waker => thread::park(),
            How::Poll => assert!(poll(ring.space_fd().unwrap(), 20_000), "no space within 20 s"),
            How::Blocking | How::TimedOut => {}
        }
    }
}

fn get<T: Send>(ring: &Ring<T>, how: How, waker: &Waker) -> Option<T> {
    loop {
        let result = match how {
            How::Blocking => ring.get(Wait::Forever),
            How::TimedOut => ring.get(Wait::For(Duration::from_micros(20))),
            How::Trying | How::Poll => ring.get(Wait::No),
            How::Waker => ring.get_or_wake(waker),
        };
        match result {
            Ok(item) => return Some(item),
            Err(GetError::Stopped) => return None,
            Err(_) => {}
        }
        match how {
            How::Trying => thread::yield_now(),
            How::Waker => thread::park(),
            How::Poll => assert!(poll(ring.data_fd().unwrap(), 20_000), "no data within 20 s"),
            How::Blocking | How::TimedOut => {}
        }
    }
}

/// Every item arrives once, and the items of one producer reach one consumer in order.
fn stress(capacity: usize, producers: &[How], consumers: &[How], items: usize) {
    let ring = &Ring::new(capacity).unwrap();
    // Each item holds one of these: a leak or a second drop shows in the count.
    let witness = &Arc::new(());
    let seen: Vec<AtomicUsize> = (0..producers.len() * items).map(|_| AtomicUsize::new(0)).collect();
    let seen = &seen;
    producers.iter().for_each(|_| ring.add_producer());
    thread::scope(|scope| {
        for (producer, &how) in producers.iter().enumerate() {
            scope.spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                for i in 0..items {
                    put(ring, (producer, i, witness.clone()), how, &waker);
                }
                ring.remove_producer().unwrap();
            });
        }
        for &how in consumers {
            scope.spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                let mut next = vec![0; producers.len()];
                while let Some((producer, i, _)) = get(ring, how, &waker) {
                    assert!(i >= next[producer], "out of order");
                    next[producer] = i + 1;
                    seen[producer * items + i].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) == 1));
    assert!(ring.is_empty() && ring.is_stopped());
    assert_eq!(Arc::strong_count(witness), 1);
}

#[test]
fn stress_blocking() {
    for capacity in [1, 2, 7, 64] {
        stress(capacity, &[How::Blocking; 4], &[How::Blocking; 4], 10_000);
    }
}

#[test]
fn stress_wakers() {
    for capacity in [1, 3, 16] {
        stress(capacity, &[How::Waker; 3], &[How::Waker; 3], 10_000);
    }
}

#[test]
fn stress_descriptors() {
    for capacity in [1, 2, 16] {
        stress(capacity, &[How::Poll; 3], &[How::Poll; 3], 10_000);
    }
}

#[test]
fn stress_all_ways_at_once() {
    let ways = [How::Blocking, How::TimedOut, How::Trying, How::Waker, How::Poll];
    for capacity in [1, 5, 32] {
        stress(capacity, &ways, &ways, 5_000);
    }
}

/// Whether they sleep already or not: a stop reaches them all.
#[test]
fn stop_wakes_everybody() {
    for round in 0..200 {
        let full = Ring::new(1).unwrap();
        full.put(0, Wait::No).unwrap();
        let empty = Ring::<usize>::new(1).unwrap();
        let waits = [Wait::Forever, Wait::For(Duration::from_secs(60))];
        let started = AtomicUsize::new(0);
        thread::scope(|scope| {
            for wait in waits {
                let (full, empty, started) = (&full, &empty, &started);
                scope.spawn(move || {
                    started.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(full.put(1, wait), Err(PutError::Stopped(1)));
                });
                scope.spawn(move || {
                    started.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(empty.get(wait), Err(GetError::Stopped));
                });
            }
            scope.spawn(|| assert!(poll(empty.data_fd().unwrap(), -1)));
            scope.spawn(|| assert!(poll(full.space_fd().unwrap(), -1)));
            while round % 2 == 0 && started.load(Ordering::Relaxed) < 4 {
                thread::yield_now();
            }
            assert!(full.stop());
            assert!(empty.stop());
        });
        assert_eq!(full.get(Wait::No), Ok(0));
    }
}

/// A put that returns Ok before the stop is delivered; one that does not is handed back.
#[test]
fn stop_loses_nothing() {
    for _ in 0..300 {
        let ring = Ring::new(3).unwrap();
        let (put, got) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while ring.put((), Wait::Forever).is_ok() {
                        put.fetch_add(1, Ordering::Relaxed);
                    }
                });
                scope.spawn(|| {
                    while ring.get(Wait::Forever).is_ok() {
                        got.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while got.load(Ordering::Relaxed) < 10 {
                thread::yield_now();
            }
            ring.stop();
        });
        assert_eq!(put.into_inner(), got.into_inner());
        assert!(ring.is_empty());
    }
}

#[test]
fn descriptors_are_levels() {
    let ring = Ring::new(2).unwrap();
    ring.put(1, Wait::No).unwrap();
    // Asked for late: both conditions hold already.
    let (data, space) = (ring.data_fd().unwrap(), ring.space_fd().unwrap());
    let levels = || (poll(data, 0), poll(space, 0));
    assert_eq!(ring.data_fd().unwrap().as_raw_fd(), data.as_raw_fd());
    for _ in 0..3 {
        assert_eq!(levels(), (true, true));
        assert_eq!(levels(), (true, true), "polling changes nothing");
        ring.put(2, Wait::No).unwrap();
        assert_eq!(levels(), (true, false));
        ring.get(Wait::No).unwrap();
        assert_eq!(levels(), (true, true));
        ring.get(Wait::No).unwrap();
        assert_eq!(levels(), (false, true));
        ring.put(1, Wait::No).unwrap();
    }
    ring.put(2, Wait::No).unwrap();
    ring.stop();
    assert_eq!(levels(), (true, true));
    ring.get(Wait::No).unwrap();
    ring.get(Wait::No).unwrap();
    assert_eq!(levels(), (true, true), "stopped: neither call waits");
}

/// At rest after a fight of putters and getters, the descriptors are the truth.
#[test]
fn descriptors_settle() {
    for capacity in [1, 2, 3] {
        for _ in 0..300 {
            let ring = Ring::new(capacity).unwrap();
            let (data, space) = (ring.data_fd().unwrap(), ring.space_fd().unwrap());
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !stop.load(Ordering::Relaxed) {
                            let _ = ring.put(0, Wait::No);
                        }
                    });
                    scope.spawn(|| {
                        for _ in 0..100 {
                            let _ = ring.get(Wait::No);
                        }
                        stop.store(true, Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(poll(data, 0), !ring.is_empty());
            assert_eq!(poll(space, 0), !ring.is_full());
        }
    }
}
