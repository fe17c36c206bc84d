//! Inputs that come, go and are slow; by each policy, nothing is lost without being counted.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::signal::array::Layout;

/// Frames `index - frames..index` of two bytes each, the low bytes of their indices.
fn chunk(index: u64, frames: usize) -> Chunk {
    let data: Vec<u8> = (index - frames as u64..index).flat_map(|i| [i as u8, !(i as u8)]).collect();
    Chunk { index, layout: Layout::c_order(1, &[frames, 2]).unwrap(), data: Bytes::from(data) }
}

fn publisher(capacity: usize, overflow: Overflow) -> InprocPublisher {
    InprocPublisher::new(capacity, overflow).unwrap()
}

fn indices(subscriber: &mut InprocSubscriber) -> Vec<u64> {
    std::iter::from_fn(|| subscriber.receive(Wait::No).ok().map(|chunk| chunk.index)).collect()
}

#[test]
fn the_memory_is_shared_and_found_by_name() {
    let mut output = publisher(4, Overflow::Block);
    let mut params = Params::new(crate::spead::dtype::Dtype::parse_scalar("|u1").unwrap(), &[-1, 2]);
    output.describe(&mut params);
    let params = Params::from_json(&params.to_json()).unwrap();
    assert_eq!(params.protocol, Protocol::Inproc);
    let mut input = InprocSubscriber::connect(&params.interface).unwrap();
    let sent = chunk(3, 3);
    let published = output.publish(&sent, Wait::Forever).unwrap();
    assert_eq!(published, Published { inputs: 1, ..Published::default() });
    let got = input.receive(Wait::Forever).unwrap();
    assert_eq!((got.index, got.data.as_ptr()), (3, sent.data.as_ptr()));
    assert_eq!(input.receive(Wait::No).unwrap_err(), NoChunk::Empty);
    assert_eq!(input.receive(Wait::For(Duration::from_millis(1))).unwrap_err(), NoChunk::TimedOut);
}

#[test]
fn an_output_that_is_gone() {
    let mut output = publisher(4, Overflow::Block);
    let name = output.name().to_owned();
    let mut input = output.subscribe().unwrap();
    output.publish(&chunk(1, 1), Wait::No).unwrap();
    drop(output);
    assert_eq!(input.receive(Wait::Forever).unwrap().index, 1);
    assert_eq!(input.receive(Wait::Forever).unwrap_err(), NoChunk::Ended);
    let error = InprocSubscriber::connect(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains(&name), "{error}");
    assert!(!OUTPUTS.lock().contains_key(&name));
}

#[test]
fn wrong_capacities_and_chunks_are_refused() {
    for capacity in [0, 65537] {
        let error = InprocPublisher::new(capacity, Overflow::Block).unwrap_err();
        assert!(error.message().contains(&format!("(got {capacity})")), "{error}");
    }
    let mut output = publisher(1, Overflow::Block);
    let mut wrong = chunk(3, 3);
    wrong.index = 2;
    assert_eq!(output.publish(&wrong, Wait::No).unwrap_err().kind(), ErrorKind::Invalid);
    let mut short = chunk(3, 3);
    short.data = short.data.slice(..5);
    assert_eq!(output.publish(&short, Wait::No).unwrap_err().kind(), ErrorKind::Invalid);
    let axes = Chunk { index: 1, layout: Layout::c_order(1, &[]).unwrap(), data: Bytes::from_static(&[1]) };
    assert_eq!(output.publish(&axes, Wait::No).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn block_continues_where_it_was() {
    let mut output = publisher(2, Overflow::Block);
    let (mut fast, mut slow) = (output.subscribe().unwrap(), output.subscribe().unwrap());
    for index in 1..=2 {
        assert!(!output.publish(&chunk(index, 1), Wait::No).unwrap().timed_out);
    }
    assert_eq!(indices(&mut fast), [1, 2]);
    for wait in [Wait::No, Wait::For(Duration::from_millis(1))] {
        let published = output.publish(&chunk(3, 1), wait).unwrap();
        assert_eq!(published, Published { inputs: 1, dropped_frames: 0, timed_out: true });
    }
    // The fast one has it once only.
    assert_eq!(indices(&mut fast), [3]);
    let lags: Vec<_> = output.inputs().iter().map(|input| (input.lag_chunks, input.lag_frames)).collect();
    assert_eq!(lags, [(0, 0), (2, 2)]);
    assert_eq!(slow.receive(Wait::No).unwrap().index, 1);
    let published = output.publish(&chunk(3, 1), Wait::Forever).unwrap();
    assert_eq!(published, Published { inputs: 2, dropped_frames: 0, timed_out: false });
    assert_eq!(indices(&mut slow), [2, 3]);
    assert!(indices(&mut fast).is_empty());
    assert_eq!(slow.dropped_frames(), 0);
}

#[test]
fn an_input_that_leaves_is_not_waited_for() {
    let mut output = publisher(1, Overflow::Block);
    let input = output.subscribe().unwrap();
    let sent = chunk(1, 1);
    output.publish(&sent, Wait::No).unwrap();
    let ring = input.input.clone();
    thread::scope(|scope| {
        let publishing = scope.spawn(|| output.publish(&chunk(2, 1), Wait::Forever).unwrap());
        // It leaves when the publisher waits, or before; both are right.
        scope.spawn(move || drop(input));
        let published = publishing.join().unwrap();
        assert_eq!(published, Published { inputs: 0, dropped_frames: 0, timed_out: false });
    });
    assert!(ring.ring.is_empty());
    assert_eq!(output.inputs(), []);
}

#[test]
fn dropping_is_counted_per_input() {
    for (overflow, kept) in [(Overflow::DropNewest, [2, 4]), (Overflow::DropOldest, [8, 10])] {
        let mut output = publisher(2, overflow);
        let (mut fast, mut slow) = (output.subscribe().unwrap(), output.subscribe().unwrap());
        let mut dropped = 0;
        for i in 1..=5 {
            let published = output.publish(&chunk(2 * i, 2), Wait::Forever).unwrap();
            dropped += published.dropped_frames;
            assert_eq!(indices(&mut fast), [2 * i]);
        }
        assert_eq!(dropped, 6);
        assert_eq!((fast.dropped_frames(), slow.dropped_frames()), (0, 6));
        let infos = output.inputs();
        assert_eq!((infos[1].lag_chunks, infos[1].lag_frames, infos[1].dropped_frames), (2, 4, 6));
        assert_eq!(indices(&mut slow), kept);
        assert_eq!(output.inputs()[1].lag_frames, 0);
    }
}

#[test]
fn one_that_joins_late_sees_later_chunks() {
    let mut output = publisher(8, Overflow::Block);
    output.publish(&chunk(1, 1), Wait::No).unwrap();
    let mut input = output.subscribe().unwrap();
    output.publish(&chunk(2, 1), Wait::No).unwrap();
    assert_eq!(indices(&mut input), [2]);
}

#[test]
fn the_descriptor_tells_the_truth() {
    let mut output = publisher(2, Overflow::Block);
    let mut input = output.subscribe().unwrap();
    let readable = |input: &InprocSubscriber| {
        crate::sys::poll::readable(&[input.fd().unwrap()], Some(Duration::ZERO)).unwrap()[0]
    };
    assert!(!readable(&input));
    output.publish(&chunk(1, 1), Wait::No).unwrap();
    assert!(readable(&input));
    input.receive(Wait::No).unwrap();
    assert!(!readable(&input));
    drop(output);
    assert!(readable(&input));
    assert_eq!(input.receive(Wait::No).unwrap_err(), NoChunk::Ended);
}

/// Inputs join, leave and hurry as they like in threads of their own; what an input misses is exactly what was dropped for it.
#[test]
fn many_come_and_go() {
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        let mut output = publisher(3, overflow);
        let hub = output.hub.clone();
        thread::scope(|scope| {
            for number in 0..3u64 {
                let hub = &hub;
                scope.spawn(move || {
                    for round in 0..20 {
                        // The hub refuses once the publisher is gone.
                        let Ok(mut input) = hub.subscribe() else { return };
                        let (mut expected, mut missed) = (None, 0);
                        for _ in 0..5 + 7 * ((number + round) % 5) {
                            let Ok(got) = input.receive(Wait::Forever) else { return };
                            assert_eq!(got.data[0], got.start() as u8);
                            missed += got.start() - expected.unwrap_or(got.start());
                            expected = Some(got.index);
                            if number == 2 {
                                thread::yield_now();
                            }
                        }
                        // Before the first one received, or behind the last, there may be more.
                        assert!(missed <= input.dropped_frames());
                        assert!(overflow != Overflow::Block || missed == 0);
                    }
                });
            }
            for index in 1..=4000u64 {
                let published = output.publish(&chunk(index, 1), Wait::Forever).unwrap();
                assert!(!published.timed_out);
            }
            drop(output);
        });
    }
}

proptest! {
    /// One input: by each policy it gets what a queue of that capacity would hold, and the rest is counted.
    #[test]
    fn as_a_queue(capacity in 1usize..5, policy in 0..3, steps in prop::collection::vec(any::<bool>(), 0..60)) {
        let overflow = [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest][policy as usize];
        let mut output = publisher(capacity, overflow);
        let mut input = output.subscribe().unwrap();
        let mut model = std::collections::VecDeque::new();
        let (mut index, mut dropped) = (0, 0);
        for publish in steps {
            if publish {
                let published = output.publish(&chunk(index + 3, 3), Wait::No).unwrap();
                let full = model.len() == capacity;
                prop_assert_eq!(published.timed_out, full && overflow == Overflow::Block);
                if published.timed_out {
                    continue;
                }
                index += 3;
                if full && overflow == Overflow::DropOldest {
                    model.pop_front();
                }
                if !full || overflow == Overflow::DropOldest {
                    model.push_back(index);
                }
                dropped += 3 * u64::from(full);
            } else {
                prop_assert_eq!(input.receive(Wait::No).ok().map(|chunk| chunk.index), model.pop_front());
            }
            prop_assert_eq!(input.dropped_frames(), dropped);
            let lag = output.inputs()[0].clone();
            prop_assert_eq!((lag.lag_chunks, lag.lag_frames), (model.len() as u64, 3 * model.len() as u64));
        }
    }
}
