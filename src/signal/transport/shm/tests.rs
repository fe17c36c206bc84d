//! Both ends in one process; `tests/shm.rs` has them in several, and kills them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::layout::*;
use super::memory::Ring;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::ring::{Overflow, Wait};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::params::{Params, Protocol};
use crate::signal::transport::{NoChunk, Published, Publisher, Subscriber};
use crate::sys::eventfd::EventFd;
use crate::sys::local::{Connection, Listener};
use crate::sys::memfd::{MemFd, page_size};
use crate::sys::poll;

/// Frames `index - frames..index` of one byte each, `of` their indices.
fn byte(frame: u64) -> u8 {
    (frame % 251) as u8
}

fn chunk(index: u64, frames: usize) -> Chunk {
    let data: Vec<u8> = (index - frames as u64..index).map(byte).collect();
    Chunk { index, layout: Layout::c_order(1, &[frames]).unwrap(), data: Bytes::from(data) }
}

fn check(chunk: &Chunk) {
    let frames = chunk.start()..chunk.index;
    assert_eq!(chunk.data.len(), chunk.frames());
    assert!(frames.zip(&chunk.data).all(|(frame, &found)| found == byte(frame)), "{chunk:?}");
}

fn publisher(chunks: usize, bytes: usize, overflow: Overflow) -> ShmPublisher {
    ShmPublisher::new(&ShmConfig { chunks, bytes, overflow, inputs: 8 }).unwrap()
}

fn connect(output: &ShmPublisher) -> ShmSubscriber {
    ShmSubscriber::connect(output.name()).unwrap()
}

/// Receives all that is there, and checks it.
fn drain(input: &mut ShmSubscriber) -> Vec<u64> {
    let received = std::iter::from_fn(|| input.receive(Wait::No).ok());
    received.inspect(check).map(|chunk| chunk.index).collect()
}

#[test]
fn arrays_arrive_as_they_are() {
    let mut output = publisher(16, 1 << 16, Overflow::Block);
    let mut params = Params::new(crate::spead::dtype::Dtype::parse_scalar("<u2").unwrap(), &[-1, 3]);
    output.describe(&mut params);
    let params = Params::from_json(&params.to_json()).unwrap();
    assert_eq!(params.protocol, Protocol::Shm);
    let mut input = ShmSubscriber::connect(&params.interface).unwrap();
    assert_eq!(input.output_pid(), std::process::id());
    let data = Bytes::from((0..48).collect::<Vec<u8>>());
    let layouts = [
        // Dense: C order, Fortran's, backwards, within more memory.
        Layout::c_order(2, &[4, 3]).unwrap(),
        Layout::ordered(2, &[4, 3], &[1, 0]).unwrap(),
        Layout::new(2, 18, &[4, 3], &[-6, 2]).unwrap(),
        Layout::new(2, 10, &[4, 3], &[6, 2]).unwrap(),
        // Not: with gaps, the same element many times.
        Layout::new(2, 2, &[4, 3], &[12, 4]).unwrap(),
        Layout::new(2, 20, &[3, 3], &[0, 2]).unwrap(),
        // Nothing; more axes.
        Layout::new(2, 0, &[0, 3], &[6, 2]).unwrap(),
        Layout::new(2, 0, &[2, 1, 2, 3], &[12, 100, 6, 2]).unwrap(),
        Layout::c_order(1, &[1; 64]).unwrap(),
    ];
    for layout in layouts {
        let sent = Chunk { index: 10, layout, data: data.clone() };
        output.publish(&sent, Wait::No).unwrap();
        let got = input.receive(Wait::No).unwrap();
        assert_eq!((got.index, got.layout.shape()), (10, sent.layout.shape()));
        assert_eq!(got.data.len(), got.layout.size());
        if sent.layout.is_dense() {
            assert_eq!(got.layout, sent.layout.rebased());
        }
        assert_eq!(elements(&got), elements(&sent));
    }
}

fn elements(chunk: &Chunk) -> Vec<u8> {
    let target = Layout::c_order(chunk.layout.item(), chunk.layout.shape()).unwrap();
    let mut out = vec![0; target.size()];
    assert!(chunk.layout.extent().end <= chunk.data.len());
    // SAFETY: as just checked, and the target is a vector of its size.
    unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, out.as_mut_ptr(), &target) };
    out
}

#[test]
fn what_cannot_be_is_refused() {
    for (config, what) in [
        (ShmConfig { chunks: 0, ..ShmConfig::default() }, "slots must be 1 to 1048576 (got 0)"),
        (ShmConfig { chunks: (1 << 20) + 1, ..ShmConfig::default() }, "(got 1048577)"),
        (ShmConfig { bytes: 0, ..ShmConfig::default() }, "bytes must be 1 to"),
        (ShmConfig { bytes: (1 << 40) + 1, ..ShmConfig::default() }, "(got 1099511627777)"),
        (ShmConfig { inputs: 0, ..ShmConfig::default() }, "inputs must be 1 to 1024 (got 0)"),
        (ShmConfig { inputs: 1025, ..ShmConfig::default() }, "(got 1025)"),
    ] {
        let error = ShmPublisher::new(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(what), "{error}");
    }
    let mut output = publisher(2, 1 << 16, Overflow::Block);
    assert_eq!(output.bytes(), 1 << 16);
    let error = output.publish(&chunk(40_000, 40_000), Wait::No).unwrap_err();
    assert!(error.message().contains("at most 32768 bytes"), "{error}");
    // The largest: its header takes a line.
    let most = (1 << 15) - 64;
    assert!(output.publish(&chunk(40_000, most + 1), Wait::No).is_err());
    let mut input = connect(&output);
    output.publish(&chunk(40_000, most), Wait::No).unwrap();
    assert_eq!(drain(&mut input), [40_000]);
    let huge = Layout::new(8, 0, &[1 << 40], &[0]).unwrap();
    let huge = Chunk { index: 1 << 50, layout: huge, data: Bytes::from_static(&[0; 8]) };
    assert_eq!(output.publish(&huge, Wait::No).unwrap_err().kind(), ErrorKind::Invalid);
    for name in ["", "a\0b", &"x".repeat(101)] {
        assert_eq!(ShmSubscriber::connect(name).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn the_end_comes_after_all_chunks() {
    let mut output = publisher(4, 1 << 16, Overflow::Block);
    let name = output.name().to_owned();
    let (mut early, mut never) = (connect(&output), connect(&output));
    output.publish(&chunk(2, 2), Wait::No).unwrap();
    output.publish(&chunk(4, 2), Wait::No).unwrap();
    assert_eq!(never.receive(Wait::No).unwrap().index, 2);
    drop(output);
    assert_eq!(drain(&mut early), [2, 4]);
    assert_eq!(early.ended(), Some(EndReason::Closed));
    assert_eq!(early.receive(Wait::Forever).unwrap_err(), NoChunk::Ended);
    assert_eq!(never.receive(Wait::Forever).unwrap().index, 4);
    assert_eq!(never.receive(Wait::Forever).unwrap_err(), NoChunk::Ended);
    let error = ShmSubscriber::connect(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains(&name), "{error}");
}

#[test]
fn those_who_wait_are_woken() {
    // A ring of two, so that both sides wait.
    let mut output = publisher(2, 1 << 16, Overflow::Block);
    let mut input = connect(&output);
    thread::scope(|scope| {
        scope.spawn(move || {
            for index in 1..=3000 {
                assert!(!output.publish(&chunk(index, 1), Wait::Forever).unwrap().timed_out);
                if index % 500 == 0 {
                    // Long enough for the input to sleep; nothing depends on it.
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        for index in 1..=3000 {
            assert_eq!(input.receive(Wait::Forever).unwrap().index, index);
        }
        assert_eq!(input.receive(Wait::Forever).unwrap_err(), NoChunk::Ended);
        assert_eq!((input.ended(), input.dropped_frames()), (Some(EndReason::Closed), 0));
    });
}

#[test]
fn block_writes_for_all_or_for_none() {
    let mut output = publisher(2, 1 << 16, Overflow::Block);
    let (mut fast, mut slow) = (connect(&output), connect(&output));
    for index in [3, 6] {
        let published = output.publish(&chunk(index, 3), Wait::No).unwrap();
        assert_eq!(published, Published { inputs: 2, dropped_frames: 0, timed_out: false });
    }
    assert_eq!(drain(&mut fast), [3, 6]);
    for wait in [Wait::No, Wait::For(Duration::from_millis(1))] {
        assert!(output.publish(&chunk(9, 3), wait).unwrap().timed_out);
    }
    let lags: Vec<_> = output.inputs().iter().map(|input| (input.lag_chunks, input.lag_frames)).collect();
    assert_eq!(lags, [(0, 0), (2, 6)]);
    assert!(drain(&mut fast).is_empty());
    assert_eq!(slow.receive(Wait::No).unwrap().index, 3);
    assert!(!output.publish(&chunk(9, 3), Wait::No).unwrap().timed_out);
    assert!(output.publish(&chunk(12, 3), Wait::No).unwrap().timed_out);
    assert_eq!(drain(&mut fast), [9]);
    // One that goes is not waited for.
    drop(slow);
    assert!(!output.publish(&chunk(12, 3), Wait::Forever).unwrap().timed_out);
    assert_eq!(output.publish(&chunk(15, 3), Wait::Forever).unwrap().inputs, 1);
    assert_eq!(output.inputs().len(), 1);
    assert_eq!(drain(&mut fast), [12, 15]);
    assert_eq!(fast.dropped_frames(), 0);
}

/// The bytes are what is short here, not the slots.
#[test]
fn block_counts_bytes() {
    let mut output = publisher(1024, 1 << 16, Overflow::Block);
    let mut input = connect(&output);
    let published = |output: &mut ShmPublisher, index| {
        !output.publish(&chunk(index, 16_000), Wait::No).unwrap().timed_out
    };
    let fit = (1..10).take_while(|i| published(&mut output, 16_000 * i)).count() as u64;
    assert_eq!(fit, 65536 / (64 + 16_000));
    let view = input.view(Wait::No).unwrap();
    assert_eq!(view.index(), 16_000);
    assert!(!published(&mut output, 16_000 * (fit + 1)));
    assert!(view.release());
    assert!(published(&mut output, 16_000 * (fit + 1)));
    assert_eq!(drain(&mut input), (2..=fit + 1).map(|i| 16_000 * i).collect::<Vec<_>>());
}

#[test]
fn drop_newest_drops_for_all_and_counts() {
    let mut output = publisher(4, 1 << 16, Overflow::DropNewest);
    let (mut fast, mut slow) = (connect(&output), connect(&output));
    for index in 1..=4 {
        assert_eq!(output.publish(&chunk(2 * index, 2), Wait::Forever).unwrap().inputs, 2);
        assert_eq!(drain(&mut fast), [2 * index]);
    }
    for index in 5..=7 {
        let published = output.publish(&chunk(2 * index, 2), Wait::Forever).unwrap();
        assert_eq!(published, Published { inputs: 0, dropped_frames: 4, timed_out: false });
    }
    let infos = output.inputs();
    assert_eq!((infos[1].lag_chunks, infos[1].lag_frames, infos[1].dropped_frames), (4, 8, 6));
    assert_eq!((infos[0].lag_chunks, infos[0].lag_frames, infos[0].dropped_frames), (0, 0, 6));
    assert_eq!(drain(&mut slow), [2, 4, 6, 8]);
    assert!(!output.publish(&chunk(16, 2), Wait::Forever).unwrap().timed_out);
    assert_eq!((drain(&mut slow), drain(&mut fast)), (vec![16], vec![16]));
    assert_eq!((slow.dropped_frames(), fast.dropped_frames()), (6, 6));
    let infos = output.inputs();
    assert!(infos.iter().all(|info| (info.lag_frames, info.dropped_frames) == (0, 6)), "{infos:?}");
}

#[test]
fn drop_oldest_overwrites_and_the_input_finds_out() {
    let mut output = publisher(8, 1 << 16, Overflow::DropOldest);
    let mut input = connect(&output);
    for index in 1..=100 {
        assert_eq!(output.publish(&chunk(3 * index, 3), Wait::No).unwrap().inputs, 1);
    }
    let info = output.inputs().remove(0);
    assert_eq!((info.lag_chunks, info.lag_frames, info.dropped_frames), (8, 24, 276));
    // Three quarters of what could be there.
    let received = drain(&mut input);
    assert_eq!(received, (95..=100).map(|index| 3 * index).collect::<Vec<_>>());
    assert_eq!(input.dropped_frames(), 94 * 3);
    let info = output.inputs().remove(0);
    assert_eq!((info.lag_chunks, info.lag_frames, info.dropped_frames), (0, 0, 94 * 3));
}

#[test]
fn one_that_joins_late_sees_later_chunks() {
    let mut output = publisher(8, 1 << 16, Overflow::DropOldest);
    for index in 1..=20 {
        output.publish(&chunk(index, 1), Wait::No).unwrap();
    }
    let mut input = connect(&output);
    assert_eq!(input.receive(Wait::No).unwrap_err(), NoChunk::Empty);
    output.publish(&chunk(21, 1), Wait::No).unwrap();
    assert_eq!(drain(&mut input), [21]);
    assert_eq!(input.dropped_frames(), 0);
}

#[test]
fn a_view_that_was_overwritten_says_so() {
    let mut output = publisher(1024, 1 << 16, Overflow::DropOldest);
    let mut input = connect(&output);
    let mut index = 0;
    let mut publish = |count: u64| {
        for _ in 0..count {
            index += 1000;
            output.publish(&chunk(index, 1000), Wait::No).unwrap();
        }
    };
    publish(1);
    let view = input.view(Wait::No).unwrap();
    assert_eq!((view.index(), view.size(), view.layout().shape()), (1000, 1000, &[1000][..]));
    // SAFETY: it is intact, and this thread is the one that writes.
    assert!((0..1000).all(|i| unsafe { view.as_ptr().add(i).read() } == byte(i as u64)));
    // As many as just fit beside it: a record has 1088 bytes.
    publish(65536 / 1088 - 1);
    assert!(view.is_intact());
    publish(1);
    assert!(!view.is_intact());
    assert!(!view.release());
    assert_eq!(input.dropped_frames(), 1000);
    assert_eq!(input.receive(Wait::No).unwrap().index, 2000);
    let view = input.view(Wait::No).unwrap();
    assert_eq!(view.index(), 3000);
    assert!(view.release());
    assert_eq!(input.dropped_frames(), 1000);
}

#[test]
fn the_descriptor_is_readable_until_there_is_nothing() {
    let mut output = publisher(8, 1 << 16, Overflow::Block);
    let mut input = connect(&output);
    let readable = |input: &ShmSubscriber| poll::is_readable(input.fd().unwrap());
    output.publish(&chunk(1, 1), Wait::No).unwrap();
    assert!(readable(&input));
    assert_eq!(drain(&mut input), [1]);
    assert!(!readable(&input));
    for index in 2..=3 {
        output.publish(&chunk(index, 1), Wait::No).unwrap();
        assert!(readable(&input));
    }
    assert_eq!(input.receive(Wait::Forever).unwrap().index, 2);
    assert!(readable(&input));
    assert_eq!(input.receive(Wait::Forever).unwrap().index, 3);
    assert_eq!(input.receive(Wait::For(Duration::from_millis(1))).unwrap_err(), NoChunk::TimedOut);
    assert!(!readable(&input));
    thread::scope(|scope| {
        scope.spawn(move || {
            output.publish(&chunk(4, 1), Wait::No).unwrap();
            output
        });
        let fd = input.fd().unwrap();
        while !poll::readable(&[fd], None).unwrap()[0] {}
        assert_eq!(input.receive(Wait::No).unwrap().index, 4);
        // The output is dropped with its thread's result, and closes.
    });
    loop {
        match input.receive(Wait::No) {
            Err(NoChunk::Ended) => break,
            Err(NoChunk::Empty) => while !poll::readable(&[input.fd().unwrap()], None).unwrap()[0] {},
            other => panic!("{other:?}"),
        }
    }
    assert!(readable(&input));
}

#[test]
fn there_may_be_so_many() {
    let output = publisher(8, 1 << 16, Overflow::Block);
    let mut inputs: Vec<_> = (0..8).map(|_| connect(&output)).collect();
    let error = ShmSubscriber::connect(output.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("as many inputs as it may have"), "{error}");
    inputs.pop();
    // The output notices by itself.
    while output.inputs().len() == 8 {
        thread::yield_now();
    }
    connect(&output);
}

/// One input, and an output that publishes as it likes: what is received is right and in order, and what is not is counted exactly.
fn as_a_history(chunks: usize, policy: Overflow, steps: Vec<(bool, usize)>) -> Result<(), TestCaseError> {
    let mut output = publisher(chunks, 1, policy);
    let most = output.bytes() / 2 - 64;
    let mut input = connect(&output);
    let mut waiting: VecDeque<(u64, u64)> = VecDeque::new();
    let (mut index, mut received, mut offered) = (0, 0, 0);
    for (publish, size) in steps {
        let frames = size % (most + 1);
        if publish {
            let published = output.publish(&chunk(index + frames as u64, frames), Wait::No).unwrap();
            if published.timed_out {
                prop_assert!(!waiting.is_empty());
                continue;
            }
            index += frames as u64;
            offered += frames as u64;
            if published.dropped_frames == 0 && published.inputs > 0 {
                waiting.push_back((index, frames as u64));
            }
        } else {
            match input.receive(Wait::No) {
                Err(NoChunk::Empty) => prop_assert!(waiting.is_empty()),
                Err(other) => prop_assert!(false, "{other:?}"),
                Ok(got) => {
                    check(&got);
                    while waiting.front().is_some_and(|&(index, _)| index != got.index) {
                        prop_assert_eq!(policy, Overflow::DropOldest);
                        waiting.pop_front();
                    }
                    // Empty chunks have the index of the one before.
                    if got.frames() == 0 {
                        while waiting.front().is_some_and(|&(_, frames)| frames != 0) {
                            waiting.pop_front();
                        }
                    }
                    let front = waiting.pop_front();
                    prop_assert_eq!(front, Some((got.index, got.frames() as u64)));
                    received += got.frames() as u64;
                    prop_assert_eq!(received + input.dropped_frames(), got.index);
                }
            }
        }
        let info = output.inputs().into_iter().next();
        if let Some(info) = info.filter(|_| offered > 0) {
            let sum = received + info.dropped_frames + info.lag_frames;
            prop_assert_eq!(sum, offered, "{:?}", info);
        }
    }
    drop(output);
    let mut last = None;
    while let Ok(got) = input.receive(Wait::No) {
        check(&got);
        received += got.frames() as u64;
        last = Some(got.index);
    }
    prop_assert_eq!(input.ended(), Some(EndReason::Closed));
    if let Some(last) = last {
        prop_assert_eq!(received + input.dropped_frames(), last);
        prop_assert!(policy == Overflow::DropNewest || last == index);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_frame_is_received_or_counted(
        chunks in 1usize..9,
        policy in prop::sample::select(vec![Overflow::Block, Overflow::DropNewest, Overflow::DropOldest]),
        steps in prop::collection::vec((any::<bool>(), prop_oneof![1usize..40, 1usize..5000]), 0..80),
    ) {
        as_a_history(chunks, policy, steps)?;
    }

    /// Somebody has written to everything that is not fixed: errors, or chunks within bounds; never a hang.
    #[test]
    fn a_ring_that_is_spoilt(
        spoilt in prop::collection::vec((0usize..12, 0usize..8, number()), 1..6),
        header in prop::collection::vec((0usize..8, number()), 0..4),
        blocks in any::<bool>(),
    ) {
        let overflow = if blocks { Overflow::Block } else { Overflow::DropOldest };
        let mut output = publisher(4, 1, overflow);
        let mut input = connect(&output);
        for index in 1..=3 {
            output.publish(&chunk(100 * index, 100), Wait::No).unwrap();
        }
        let ring = output.ring();
        for (word, value) in header {
            // SAFETY: within the record of the first chunk, which begins the data; nobody else uses it now.
            unsafe { ring.at(0).cast::<u64>().add(word).write(value) };
        }
        for (what, word, value) in spoilt {
            match what {
                0 => ring.published().store(value, Ordering::Relaxed),
                1 => ring.claimed_chunks().store(value, Ordering::Relaxed),
                2 => ring.claimed_bytes().store(value, Ordering::Relaxed),
                number => {
                    let number = number as u64 % 4;
                    let mut words = ring.load_slot(number).words();
                    words[word] = value;
                    ring.spoil_slot(number, words);
                }
            }
        }
        for _ in 0..20 {
            match input.receive(Wait::No) {
                Ok(got) => {
                    prop_assert!(got.layout.extent().end <= got.data.len());
                    prop_assert!(got.frames() as u64 <= got.index);
                }
                Err(NoChunk::Failed(e)) => {
                    prop_assert_eq!(e.kind(), ErrorKind::Format);
                    break;
                }
                Err(_) => break,
            }
            if let Ok(view) = input.view(Wait::No) {
                prop_assert!(view.layout().extent().end <= view.size());
                prop_assert!(view.size() <= output.bytes());
                // SAFETY: mapped, whatever it holds.
                (0..view.size()).for_each(|i| { std::hint::black_box(unsafe { view.as_ptr().add(i).read() }); });
            }
        }
    }

    #[test]
    fn any_header(numbers in prop::collection::vec(number(), 8), valid in 0usize..9, size in number()) {
        let good = Header::new(4, 4096, true, 4096).unwrap();
        let mut bytes = good.encode();
        for (i, number) in numbers.iter().enumerate().skip(valid) {
            bytes[8 * i..][..8].copy_from_slice(&number.to_ne_bytes());
        }
        if let Ok(header) = Header::parse(&bytes, size, 4096) {
            prop_assert!(header.size() as u64 <= size);
            prop_assert!(header.data >= HEADER + header.slots * SLOT);
            prop_assert!(header.slots.is_power_of_two() && header.bytes.is_power_of_two());
        }
    }

    #[test]
    fn any_record(header in prop::collection::vec(number(), 0..12), size in 0u64..1000, frames in 0u64..5) {
        let bytes: Vec<u8> = header.iter().flat_map(|number| number.to_ne_bytes()).collect();
        if let Ok(layout) = parse_record(&bytes, size, frames) {
            prop_assert!(layout.extent().end as u64 <= size);
            prop_assert_eq!(layout.shape()[0] as u64, frames);
            let mut again = [0; MOST_RECORD_HEADER];
            let length = encode_record(&layout, 0, &mut again);
            prop_assert_eq!(&again[..length], &bytes[..]);
        }
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..10,
        any::<u64>(),
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u64..200).prop_map(|n| n.wrapping_neg())
    ]
}

impl Ring {
    fn spoil_slot(&self, number: u64, words: [u64; SLOT_WORDS]) {
        let at = HEADER + number as usize * SLOT;
        let offset = at as isize - self.header.data as isize;
        // SAFETY: a slot of the ring, before its data; the tests use it from one thread.
        unsafe { self.at(0).offset(offset).cast::<[u64; SLOT_WORDS]>().write(words) };
    }
}

#[test]
fn headers_that_are_wrong_say_what() {
    let good = Header { slots: 4, bytes: 4096, data: 8192, lossless: true, pid: 7 };
    assert_eq!(Header::parse(&good.encode(), 12288, 4096).unwrap(), good);
    let with = |at: usize, bytes: &[u8]| {
        let mut header = good.encode();
        header[at..at + bytes.len()].copy_from_slice(bytes);
        Header::parse(&header, 12288, 4096).unwrap_err()
    };
    for (error, kind, what) in [
        (with(0, b"PK"), ErrorKind::Format, "must begin with AQSHRING"),
        (with(8, &2u32.to_ne_bytes()), ErrorKind::Version, "must be version 1 (got 2)"),
        (with(12, &64u32.to_ne_bytes()), ErrorKind::Format, "4096 bytes (got 64)"),
        (
            with(16, &3u64.to_ne_bytes()),
            ErrorKind::Format,
            "slots must be a power of two, 2 to 1048576 (got 3)",
        ),
        (with(24, &2048u64.to_ne_bytes()), ErrorKind::Format, "(got 2048)"),
        (with(24, &8192u64.to_ne_bytes()), ErrorKind::Truncated, "16384 bytes (got 12288)"),
        (with(32, &4096u64.to_ne_bytes()), ErrorKind::Format, "behind byte 4352 (got 4096)"),
        (with(32, &8193u64.to_ne_bytes()), ErrorKind::Format, "(got 8193)"),
        (with(40, &2u32.to_ne_bytes()), ErrorKind::Format, "policy must be 0 or 1 (got 2)"),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(what), "{error}");
    }
}

/// What an input says to one who answers with `message` and `fds`.
fn answer(message: &[u8], fds: &[BorrowedFd<'_>]) -> Error {
    let name = crate::signal::transport::name::unique_name();
    let listener = Listener::new(&name).unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| ShmSubscriber::connect(&name).unwrap_err());
        while !poll::readable(&[listener.as_fd()], None).unwrap()[0] {}
        let connection: Connection = listener.accept().unwrap();
        if !message.is_empty() {
            connection.send(message, fds).unwrap();
        }
        drop(connection);
        connecting.join().unwrap()
    })
}

#[test]
fn offers_that_are_wrong_say_what() {
    let offer = encode_offer(OFFERED);
    let with = |at: usize, byte: u8| {
        let mut offer = offer;
        offer[at] = byte;
        offer
    };
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    let short = MemFd::new(c"test", 100).unwrap();
    let empty = MemFd::new(c"test", 1 << 16).unwrap();
    let page = MemFd::new(c"test", PAGE).unwrap();
    let event = EventFd::new().unwrap();
    let three = |memory, page| [memory, page, event.as_fd()];
    for (error, kind, what) in [
        (answer(b"", &[]), ErrorKind::NotFound, "there is none of that name"),
        (answer(b"hello", &[]), ErrorKind::Truncated, "must have 16 bytes (got 5)"),
        (answer(b"HTTP/1.1 200 OK!", &[]), ErrorKind::Format, "no output of a stream"),
        (answer(&with(8, 9), &[]), ErrorKind::Version, "must be version 1 (got 9)"),
        (answer(&with(12, 9), &[]), ErrorKind::Format, "must be 0 to 3 (got 9)"),
        (answer(&encode_offer(REFUSED_USER), &[]), ErrorKind::Io, "another user"),
        (answer(&encode_offer(REFUSED_RESOURCES), &[]), ErrorKind::NoMemory, "no memory or descriptors"),
        (answer(&offer, &[]), ErrorKind::Truncated, "3 descriptors (got 0)"),
        (answer(&offer, &three(file.as_fd(), page.as_fd())), ErrorKind::Format, "not sealed"),
        (answer(&offer, &three(event.as_fd(), page.as_fd())), ErrorKind::Format, "not sealed"),
        (answer(&offer, &three(empty.as_fd(), short.as_fd())), ErrorKind::Truncated, "4096 bytes (got 100)"),
        (answer(&offer, &three(empty.as_fd(), page.as_fd())), ErrorKind::Format, "begin with AQSHRING"),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(what), "{error}");
        assert!(error.message().starts_with("shm stream \"aqueduct-"), "{error}");
    }
    // Shorter than its header says.
    let header = Header::new(4, 1 << 16, true, page_size()).unwrap();
    let memory = MemFd::new(c"test", header.size()).unwrap();
    let ring = Ring::new(&memory, header, true).unwrap();
    ring.write_header();
    let longer = Header { bytes: 1 << 20, ..header }.encode();
    // SAFETY: the beginning of the ring, which nobody else uses: as far before its data as the header says.
    unsafe { ring.at(0).sub(header.data).cast::<[u8; FIXED]>().write(longer) };
    let error = answer(&offer, &three(memory.as_fd(), page.as_fd()));
    assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
}

/// An input with a fault stores nonsense in its page: the output goes on.
#[test]
fn an_input_cannot_harm_the_output() {
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        let mut output = publisher(4, 1 << 16, overflow);
        let (mut good, mut bad) = (connect(&output), connect(&output));
        output.publish(&chunk(1, 1), Wait::No).unwrap();
        for (i, nonsense) in [0, 1, u64::MAX, 1 << 63, 12345].into_iter().enumerate() {
            bad.spoil_page(nonsense);
            let published =
                output.publish(&chunk(2 + i as u64, 1), Wait::For(Duration::from_millis(1))).unwrap();
            let _ = output.inputs();
            if nonsense != 0 {
                assert_eq!((published.timed_out, published.dropped_frames), (false, 0), "{nonsense}");
            }
            assert!(drain(&mut good).len() <= 2);
        }
        let _ = bad.receive(Wait::No);
    }
}
