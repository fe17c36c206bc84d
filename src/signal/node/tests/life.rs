//! Starting and stopping: as often as one likes, from the wrong place, with a producer that comes and goes.

use super::*;
use crate::error::ErrorKind;
use crate::signal::node::converter::converter;
use crate::signal::node::resizer::resizer;
use crate::signal::node::state::State;
use crate::sys::poll::is_readable;
use std::sync::{OnceLock, Weak};

#[test]
fn a_node_cannot_stop_itself_but_may_ask() {
    let out = output(Protocol::Inproc, 1);
    let (told, found) = std::sync::mpsc::channel();
    let this: Arc<OnceLock<Weak<Node>>> = Arc::default();
    let own = this.clone();
    let node = poll_thread(input(&out), move |received: &Received| {
        let node = own.get().unwrap().upgrade().unwrap();
        let kinds = [node.stop(), node.start(), node.set_input(node.input())]
            .map(|result| result.unwrap_err().kind());
        node.ask_to_stop();
        told.send((received.chunk.index, kinds)).unwrap();
        Ok(())
    });
    let node = Arc::new(node.unwrap());
    this.set(Arc::downgrade(&node)).unwrap();
    node.start().unwrap();
    send(&out, 0..1);
    send(&out, 1..2);
    assert_eq!(node.wait(GUARD), Some(State::Stopped));
    // The second chunk waits in the input.
    assert_eq!(found.try_iter().collect::<Vec<_>>(), [(1, [ErrorKind::State; 3])]);
    node.start().unwrap();
    assert_eq!(found.recv_timeout(Duration::from_secs(60)).unwrap().0, 2);
}

/// Stops itself behind the second chunk.
struct Two(u32);

impl Callback for Two {
    fn chunk(&mut self, _: Received) -> Result<Then> {
        self.0 += 1;
        Ok(if self.0 == 2 { Then::Stop } else { Then::GoOn })
    }
}

#[test]
fn a_callback_may_stop_its_node() {
    let out = output(Protocol::Inproc, 1);
    let node = poll_thread(input(&out), Two(0)).unwrap();
    for index in 0..4 {
        send(&out, index..index + 1);
    }
    node.start().unwrap();
    assert_eq!((node.wait(GUARD), node.index()), (Some(State::Stopped), 2));
}

#[test]
fn the_last_owner_may_be_the_callback() {
    let out = output(Protocol::Inproc, 1);
    let own: Arc<Mutex<Option<Node>>> = Arc::default();
    let inside = own.clone();
    let (told, found) = std::sync::mpsc::channel();
    let node = poll_thread(input(&out), move |_: &Received| {
        drop(inside.lock().take());
        told.send(()).unwrap();
        Ok(())
    });
    let node = node.unwrap();
    node.start().unwrap();
    *own.lock() = Some(node);
    send(&out, 0..1);
    found.recv_timeout(Duration::from_secs(60)).unwrap();
    // The thread ends, and lets its callback go.
    assert!(found.recv_timeout(Duration::from_secs(60)).is_err());
}

#[test]
fn descriptors_tell_whether_it_runs() {
    let out = output(Protocol::Inproc, 1);
    let (node, _) = keeper(input(&out), &[0]);
    assert!(is_readable(node.done_fd()));
    node.start().unwrap();
    assert!(!is_readable(node.done_fd()));
    assert_eq!(node.start().unwrap_err().message(), "stream node: it runs already");
    assert_eq!(node.set_input(input(&out)).unwrap_err().kind(), ErrorKind::State);
    node.stop().unwrap();
    node.stop().unwrap();
    assert!(is_readable(node.done_fd()));
}

#[test]
fn what_passes_while_it_is_stopped_waits() {
    let (first, second) = (output(Protocol::Inproc, 1), output(Protocol::Inproc, 1));
    let last = input(&second);
    let node = converter(input(&first), second).unwrap();
    for round in 0..3u64 {
        send(&first, 3 * round..3 * round + 2);
        node.start().unwrap();
        assert_eq!(next(&last, &[0]).0, 3 * round..3 * round + 2);
        node.stop().unwrap();
    }
    // Indices were not begun anew.
    assert_eq!((node.stats().index, node.stats().gaps, node.stats().restarts), (8, 2, 0));
}

#[test]
fn hundreds_of_rounds_lose_nothing() {
    let (first, second, third) =
        (output(Protocol::Shm, 2), output(Protocol::Inproc, 2), output(Protocol::Shm, 2));
    let (last, threshold) = (input(&third), 3000u64);
    let nodes = [
        converter(input(&first), second.clone()).unwrap(),
        resizer(input(&second), third.clone(), 7).unwrap(),
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0..threshold {
                send(&first, index..index + 1);
            }
        });
        let taken = scope.spawn(|| {
            let mut expected = 0;
            while expected < threshold {
                let (frames, gap) = next(&last, &[0, 1]);
                assert_eq!((frames.start, gap), (expected, 0..0));
                expected = frames.end;
            }
        });
        let mut rounds = 0;
        while !taken.is_finished() {
            nodes.iter().for_each(|node| node.start().unwrap());
            for _ in 0..rounds % 50 {
                std::thread::yield_now();
            }
            nodes.iter().for_each(|node| node.stop().unwrap());
            rounds += 1;
        }
    });
    // And many rounds of nothing.
    for _ in 0..300 {
        nodes.iter().for_each(|node| node.start().unwrap());
        nodes.iter().rev().for_each(|node| node.stop().unwrap());
    }
    assert_eq!(third.stats().published_frames, threshold);
}

#[test]
fn starts_and_stops_from_everywhere_come_to_an_end() {
    let out = output(Protocol::Inproc, 1);
    let (node, _) = keeper(input(&out), &[0]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    // Another may have started it.
                    let _ = node.start();
                    node.stop().unwrap();
                }
            });
        }
    });
    assert_eq!(node.state(), State::Stopped);
}

#[test]
fn a_producer_that_is_started_anew_is_connected_anew() {
    let first = output(Protocol::Shm, 1);
    let second = output(Protocol::Inproc, 1);
    let last = input(&second);
    let node = converter(input(&first), second).unwrap();
    node.start().unwrap();
    send(&first, 0..5);
    drop(first);
    assert_eq!(node.wait(GUARD), Some(State::Ended));
    // Again: it ends at once.
    node.start().unwrap();
    assert_eq!(node.wait(GUARD), Some(State::Ended));
    let again = output(Protocol::Shm, 1);
    node.set_input(input(&again)).unwrap();
    node.start().unwrap();
    send(&again, 0..2);
    assert_eq!([next(&last, &[0]), next(&last, &[0])], [(0..5, 0..0), (0..2, 0..0)]);
    assert_eq!(node.stats().restarts, 1);
}

#[test]
fn free_in_any_order() {
    for order in 0..6 {
        let (first, second) = (output(Protocol::Shm, 1), output(Protocol::Inproc, 1));
        let (log_node, log) = keeper(input(&second), &[0]);
        let node = converter(input(&first), second.clone()).unwrap();
        log_node.start().unwrap();
        node.start().unwrap();
        send(&first, 0..1);
        log.wait(|seen| seen.chunks.len() == 1);
        let mut parts: Vec<Box<dyn std::any::Any + Send>> =
            vec![Box::new(first), Box::new(second), Box::new(node), Box::new(log_node)];
        parts.rotate_left(order % 4);
        if order > 3 {
            parts.reverse();
        }
        parts.into_iter().for_each(drop);
    }
}
