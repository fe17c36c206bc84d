//! Consumers that are too slow: each by its output's overflow policy, and a stop that does not wait for them.

use super::*;
use crate::signal::node::converter::converter;
use crate::signal::node::resizer::resizer;
use crate::signal::node::splitter::splitter;

/// A converter into an output of two chunks per input, and 20 chunks of a frame sent to it.
fn through(overflow: Overflow) -> (Node, SharedOutput, SharedInput) {
    let (first, second) = (inproc(1, Overflow::Block, 100), inproc(1, overflow, 2));
    let last = input(&second);
    let node = converter(input(&first), second.clone()).unwrap();
    for index in 0..20 {
        send(&first, index..index + 1);
    }
    node.start().unwrap();
    (node, second, last)
}

#[test]
fn blocked_outputs_lose_nothing() {
    let (node, second, last) = through(Overflow::Block);
    for index in 0..20 {
        assert_eq!(next(&last, &[0]), (index..index + 1, 0..0));
    }
    node.stop().unwrap();
    assert_eq!((second.stats().dropped_frames, second.stats().published_frames), (0, 20));
}

#[test]
fn dropped_frames_are_gaps_and_counted() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let (node, second, last) = through(overflow);
        assert_eq!(node.wait(GUARD), Some(crate::signal::node::state::State::Ended));
        assert_eq!(second.stats().dropped_frames, 18);
        let expected: [_; 2] = match overflow {
            Overflow::DropNewest => [(0..1, 0..0), (1..2, 0..0)],
            _ => [(18..19, 0..0), (19..20, 0..0)],
        };
        assert_eq!(rest(&last, &[0]), expected);
        assert_eq!(node.stats().frames, 20);
    }
}

#[test]
fn a_stop_does_not_wait_for_a_slow_consumer_and_the_next_start_goes_on() {
    for protocol in [Protocol::Inproc, Protocol::Shm] {
        let config = OutputConfig { queue: 1, ring_chunks: 2, ..OutputConfig::default() };
        let first = inproc(1, Overflow::Block, 100);
        let second = SharedOutput::new(Output::open(params(protocol, 1), &config).unwrap());
        let last = input(&second);
        let node = resizer(input(&first), second.clone(), 3).unwrap();
        // More than 6 chunks out of one that is taken.
        send(&first, 0..20);
        send(&first, 20..23);
        node.start().unwrap();
        while second.stats().waiting_frames == 0 {
            std::thread::yield_now();
        }
        for _ in 0..20 {
            node.stop().unwrap();
            node.start().unwrap();
        }
        let mut found = Vec::new();
        while found.last().is_none_or(|&(_, end)| end < 23) {
            let (frames, gap) = next(&last, &[0]);
            assert_eq!(gap, 0..0);
            found.push((frames.start, frames.end));
        }
        node.stop().unwrap();
        // Where it was stopped, a chunk may be shorter: each frame is there once, in order.
        assert!(found.windows(2).all(|pair| pair[0].1 == pair[1].0), "{found:?}");
        assert_eq!((found[0].0, second.stats().published_frames), (0, 23));
    }
}

#[test]
fn one_slow_output_of_a_splitter_gets_all_and_so_do_the_others() {
    let first = inproc(2, Overflow::Block, 100);
    let slow = inproc(1, Overflow::Block, 1);
    let fast = inproc(1, Overflow::Block, 100);
    let (slow_in, fast_in) = (input(&slow), input(&fast));
    let node = splitter(input(&first), vec![(select(&[0]), slow), (select(&[1]), fast)]).unwrap();
    node.start().unwrap();
    for index in 0..10 {
        send(&first, index..index + 1);
    }
    // The slow one holds one and has taken another: the fast one has got as many, and one more at least.
    for index in 0..2 {
        assert_eq!(next(&fast_in, &[1]).0, index..index + 1);
    }
    for index in 0..10 {
        assert_eq!(next(&slow_in, &[0]), (index..index + 1, 0..0));
    }
    for index in 2..10 {
        assert_eq!(next(&fast_in, &[1]), (index..index + 1, 0..0));
    }
}

#[test]
fn others_that_send_or_receive_do_not_keep_a_stop_waiting() {
    let first = inproc(1, Overflow::Block, 100);
    let second = inproc(1, Overflow::Block, 1);
    let taken = input(&first);
    let node = converter(taken.clone(), second.clone()).unwrap();
    node.start().unwrap();
    let (input_held, output_held) = (taken.lock(), second.lock());
    node.stop().unwrap();
    drop((input_held, output_held));
    let held = taken.lock();
    let error = node.start().unwrap_err();
    assert!(error.message().contains("being waited for by another thread"), "{error}");
    drop(held);
    node.start().unwrap();
}

#[test]
fn what_another_sender_left_waiting_goes_first() {
    let (first, second) = (inproc(1, Overflow::Block, 100), inproc(1, Overflow::Block, 1));
    let last = input(&second);
    let node = converter(input(&first), second.clone()).unwrap();
    let frame = |index: u64| value(index, 0).to_le_bytes().to_vec();
    for index in 0..2 {
        let layout = Layout::c_order(2, &[1, 1]).unwrap();
        second.lock().send_shared(frame(index).into(), layout, None, Wait::No).unwrap();
    }
    assert_eq!(second.stats().waiting_frames, 1);
    send(&first, 2..3);
    node.start().unwrap();
    while node.index() < 3 {
        std::thread::yield_now();
    }
    node.stop().unwrap();
    assert_eq!(second.stats().index, 2);
    node.start().unwrap();
    for index in 0..3 {
        assert_eq!(next(&last, &[0]), (index..index + 1, 0..0));
    }
}
