//! What each call answers, with one thread or a few; small enough for Miri.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use super::queue::MAX_CAPACITY;
use super::{GetError, PutError, Ring, Wait};
use crate::error::ErrorKind;

const SHORT: Wait = Wait::For(Duration::from_millis(1));

/// Counts its wakings.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (count.clone(), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn capacity_is_checked() {
    let error = Ring::<u8>::new(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.message(), "capacity must be at least 1 (got 0)");
    let error = Ring::<u8>::new(MAX_CAPACITY + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.message(),
        format!("capacity must be at most {MAX_CAPACITY} (got {})", MAX_CAPACITY + 1)
    );
    let error = Ring::<[u8; 1 << 40]>::new(1 << 24).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoMemory);
}

/// First in, first out, over several laps, with every fill level, for capacities that are and are not powers of two.
#[test]
fn order_and_size() {
    for capacity in 1..=9 {
        let ring = Ring::new(capacity).unwrap();
        assert_eq!(ring.capacity(), capacity);
        let (mut put, mut got) = (0, 0);
        for level in (0..=capacity).chain((0..capacity).rev()).cycle().take(6 * capacity) {
            while put - got < level {
                ring.put(put, Wait::No).unwrap();
                put += 1;
            }
            while put - got > level {
                assert_eq!(ring.get(SHORT), Ok(got));
                got += 1;
            }
            assert_eq!(ring.size(), level);
            assert_eq!(ring.is_empty(), level == 0);
            assert_eq!(ring.is_full(), level == capacity);
        }
    }
}

#[test]
fn full_and_empty() {
    let ring = Ring::new(1).unwrap();
    assert_eq!(ring.get(Wait::No), Err(GetError::Empty));
    assert_eq!(ring.get(SHORT), Err(GetError::TimedOut));
    assert_eq!(ring.get(Wait::For(Duration::ZERO)), Err(GetError::TimedOut));
    ring.put(1, Wait::No).unwrap();
    assert_eq!(ring.put(2, Wait::No), Err(PutError::Full(2)));
    assert_eq!(ring.put(3, SHORT), Err(PutError::TimedOut(3)));
    assert_eq!(ring.put(4, Wait::For(Duration::ZERO)).unwrap_err().into_inner(), 4);
    assert_eq!(ring.get(Wait::For(Duration::MAX)), Ok(1));
}

#[test]
fn stop_delivers_the_rest() {
    let ring = Ring::new(3).unwrap();
    ring.put(1, Wait::No).unwrap();
    ring.put(2, Wait::No).unwrap();
    assert!(!ring.is_stopped());
    assert!(ring.stop());
    assert!(!ring.stop());
    assert!(ring.is_stopped());
    for wait in [Wait::No, SHORT, Wait::Forever] {
        assert_eq!(ring.put(3, wait), Err(PutError::Stopped(3)));
    }
    assert_eq!(ring.get(Wait::Forever), Ok(1));
    assert_eq!(ring.get(Wait::No), Ok(2));
    for wait in [Wait::No, SHORT, Wait::Forever] {
        assert_eq!(ring.get(wait), Err(GetError::Stopped));
    }
    assert!(ring.is_empty());
}

#[test]
fn producers_are_counted() {
    let ring = Ring::<u8>::new(1).unwrap();
    assert_eq!(ring.remove_producer().unwrap_err().kind(), ErrorKind::State);
    ring.add_producer();
    ring.add_producer();
    assert_eq!(ring.remove_producer(), Ok(false));
    assert!(!ring.is_stopped());
    assert_eq!(ring.remove_producer(), Ok(true));
    assert!(ring.is_stopped());
    assert_eq!(ring.remove_producer().unwrap_err().kind(), ErrorKind::State);
    ring.add_producer();
    assert_eq!(ring.remove_producer(), Ok(false), "it was stopped before");
}

#[test]
fn wakers_are_woken_once() {
    let ring = Ring::new(1).unwrap();
    let (data, data_waker) = Count::new();
    let (space, space_waker) = Count::new();
    assert_eq!(ring.get_or_wake(&data_waker), Err(GetError::Empty));
    if !cfg!(miri) {
        // Kept once. Under Miri no two clones of a waker are known to wake the same task.
        assert_eq!(ring.get_or_wake(&data_waker), Err(GetError::Empty));
    }
    assert_eq!(data.get(), 0);
    assert_eq!(ring.put_or_wake(1, &space_waker), Ok(()));
    assert_eq!((data.get(), space.get()), (1, 0));
    assert_eq!(ring.put_or_wake(2, &space_waker), Err(PutError::Full(2)));
    assert_eq!(ring.get_or_wake(&data_waker), Ok(1));
    assert_eq!((data.get(), space.get()), (1, 1));
    ring.put(3, Wait::No).unwrap();
    ring.get(Wait::No).unwrap();
    assert_eq!((data.get(), space.get()), (1, 1), "nobody waits");

    assert_eq!(ring.get_or_wake(&data_waker), Err(GetError::Empty));
    ring.stop();
    assert_eq!((data.get(), space.get()), (2, 1));
    assert_eq!(ring.get_or_wake(&data_waker), Err(GetError::Stopped));
    assert_eq!(ring.put_or_wake(4, &space_waker), Err(PutError::Stopped(4)));
}

/// A waker may come straight back.
#[test]
fn a_waker_may_use_the_ring() {
    struct Getter(Arc<Ring<u8>>, AtomicUsize);
    impl Wake for Getter {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(self.clone());
            while let Ok(item) = self.0.get_or_wake(&waker) {
                self.1.fetch_add(item.into(), Ordering::SeqCst);
            }
        }
    }
    let ring = Arc::new(Ring::new(1).unwrap());
    let getter = Arc::new(Getter(ring.clone(), AtomicUsize::new(0)));
    getter.clone().wake();
    for _ in 0..3 {
        ring.put(5, Wait::No).unwrap();
    }
    assert_eq!(getter.1.load(Ordering::SeqCst), 15);
    ring.stop();
    assert_eq!(Arc::strong_count(&getter), 1, "no waker is left behind");
}

#[test]
fn dropping_drops_what_is_inside() {
    let item = Arc::new(());
    for inside in 0..=3 {
        let ring = Ring::new(3).unwrap();
        ring.put(item.clone(), Wait::No).unwrap();
        drop(ring.get(Wait::No).unwrap());
        for _ in 0..inside {
            ring.put(item.clone(), Wait::No).unwrap();
        }
        assert_eq!(Arc::strong_count(&item), 1 + inside);
        drop(ring.put(item.clone(), Wait::No));
        drop(ring);
        assert_eq!(Arc::strong_count(&item), 1);
    }
}

#[test]
fn hand_over_between_threads() {
    for capacity in [1, 2, 3] {
        let ring = Ring::new(capacity).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..50 {
                    ring.put(Box::new(i), Wait::Forever).unwrap();
                }
                ring.stop();
            });
            for i in 0..50 {
                assert_eq!(*ring.get(Wait::Forever).unwrap(), i);
            }
            assert_eq!(ring.get(Wait::Forever).unwrap_err(), GetError::Stopped);
        });
    }
}

#[test]
fn many_to_many() {
    let ring = Ring::new(2).unwrap();
    let sum = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            ring.add_producer();
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 1..=20 {
                    ring.put(Box::new(i), Wait::Forever).unwrap();
                }
                ring.remove_producer().unwrap();
            });
            scope.spawn(|| {
                while let Ok(item) = ring.get(Wait::Forever) {
                    sum.fetch_add(*item, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 2 * 210);
}

#[test]
fn words() {
    assert_eq!(format!("{:?}", PutError::Full(1)), "Full(..)");
    assert_eq!(PutError::Stopped(1).to_string(), "the ring is stopped");
    assert_eq!(GetError::Empty.to_string(), "the ring is empty");
    let ring = Ring::<u8>::new(4).unwrap();
    assert_eq!(format!("{ring:?}"), "Ring { capacity: 4, size: 0, stopped: false, .. }");
}

#[test]
fn a_stop_wakes_who_watches_it_and_nothing_else_does() {
    let ring = Ring::new(1).unwrap();
    let wakes = Arc::new(Count(AtomicUsize::new(0)));
    let (waker, other) = (Waker::from(wakes.clone()), Waker::from(Arc::new(Count(AtomicUsize::new(0)))));
    assert!(ring.watch_stop(&waker));
    assert!(ring.watch_stop(&waker));
    ring.unwatch_stop(&other);
    ring.unwatch_stop(&waker);
    ring.put(1, Wait::No).unwrap();
    ring.get(Wait::No).unwrap();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    ring.stop();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "one of the two watches was taken back");
    assert!(!ring.watch_stop(&waker), "it is stopped already");
}
