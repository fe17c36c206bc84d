//! splitter.c: all frames arrive in both of its streams, from its own producer and from another process.

use std::path::Path;

use aqueduct::ring::Wait;
use aqueduct::signal::array::Layout;
use aqueduct::signal::input::Input;
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::open::{InputConfig, OutputConfig};
use aqueduct::signal::output::{Output, Sent};
use aqueduct::signal::params::{Params, Protocol};
use aqueduct::signal::shared::SharedOutput;
use tempfile::TempDir;

use crate::running::{variants, Running, PATIENCE};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What the instrument of the example sends in `channels`, all but the chunk that it misses.
fn sum(channels: std::ops::Range<i64>) -> i64 {
    let frames = (0..50_000).filter(|frame| !(25_000..25_100).contains(frame));
    frames.flat_map(|frame| channels.clone().map(move |channel| frame % 1000 + 1000 * channel)).sum()
}

#[test]
fn its_own_producer() {
    for program in variants("../examples/splitter.c") {
        let built = folder();
        let running = Running::start(&program.build(built.path()), [""; 0], 0);
        let (status, lines, errors) = running.end();
        assert_eq!(status.code(), Some(0), "{lines:?} {errors:?}");
        assert!(lines[0].starts_with("trigger: {") && lines[1].starts_with("signal: {"), "{lines:?}");
        assert_eq!(lines[2], "49900 frames in 499 chunks, 100 missing");
        assert_eq!(lines[3], format!("trigger: 49900 frames, 100 missing, sum {}", sum(0..1)));
        assert_eq!(lines[4], format!("signal: 49900 frames, 100 missing, sum {}", sum(1..8)));
        assert_eq!(lines.len(), 5);
    }
}

const GUARD: Wait = Wait::For(PATIENCE);

/// An output of three channels, and the example that splits them and has told the params of its first stream.
fn start(program: &Path) -> (SharedOutput, Running) {
    let params =
        Params { protocol: Protocol::Shm, ..Params::new(parse_dtype("<i2").expect("a type"), &[-1, 3]) };
    let output = SharedOutput::new(Output::open(params, &OutputConfig::default()).expect("shared memory"));
    let running = Running::start(program, [output.params().to_json()], 0);
    let line = running.stdout.recv_timeout(PATIENCE).expect("the params of the first");
    assert!(line.starts_with("trigger: "), "{line}");
    (output, running)
}

/// Sends ten frames.
fn send(output: &SharedOutput, chunk: i16) {
    let values = (0..10).flat_map(|frame| (0..3).map(move |channel| chunk * 10 + frame + 1000 * channel));
    let data: Vec<u8> = values.flat_map(i16::to_le_bytes).collect();
    let layout = Layout::c_order(2, &[10, 3]).expect("a layout");
    let sent = output.lock().send_shared(data.into(), layout, None, GUARD).expect("sent");
    assert!(matches!(sent, Sent::Taken(published) if !published.timed_out));
}

#[test]
fn a_producer_and_a_consumer_in_other_processes() {
    let built = folder();
    let [program, ..] = &variants("../examples/splitter.c")[..] else { panic!("there is one") };
    let (output, running) = start(&program.build(built.path()));
    // Its second stream is looked at from here.
    let line = running.stdout.recv_timeout(PATIENCE).expect("the params of the second");
    let params = Params::from_json(line.strip_prefix("signal: ").expect("its name")).expect("params");
    assert_eq!((&params.shape[..], params.protocol), (&[-1, 2][..], Protocol::Shm));
    let mut input = Input::connect(params, &InputConfig::default()).expect("it is there");
    for chunk in 0..20 {
        send(&output, chunk);
        let received = input.receive(GUARD).expect("it comes").chunk;
        assert_eq!((received.index, received.layout.shape()), ((chunk as u64 + 1) * 10, &[10, 2][..]));
        let expected = [1000 + chunk * 10, 2000 + chunk * 10].map(i16::to_le_bytes).concat();
        assert_eq!(received.data[..4], expected[..]);
    }
    drop(output);
    let (status, lines, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{lines:?} {errors:?}");
    assert_eq!(lines[0], "200 frames in 20 chunks, 0 missing");
}

/// Takes what a process sent before it was killed, and ends.
#[test]
fn a_producer_that_is_killed() {
    let built = folder();
    let [program, ..] = &variants("../examples/splitter.c")[..] else { panic!("there is one") };
    let program = program.build(built.path());
    let (output, mut first) = start(&program);
    let line = first.stdout.recv_timeout(PATIENCE).expect("the params of the second");
    let params = line.strip_prefix("signal: ").expect("its name");
    let second = Running::start(&program, [params], 0);
    for _ in 0..2 {
        second.stdout.recv_timeout(PATIENCE).expect("its params");
    }
    let params = Params::from_json(params).expect("params");
    let mut input = Input::connect(params, &InputConfig::default()).expect("it is there");
    for chunk in 0..20 {
        send(&output, chunk);
        assert_eq!(input.receive(GUARD).expect("it comes").chunk.index, (chunk as u64 + 1) * 10);
    }
    first.child.kill().expect("it can be killed");
    let (status, lines, errors) = second.end();
    assert_eq!(status.code(), Some(0), "{lines:?} {errors:?}");
    assert_eq!(lines[0], "200 frames in 20 chunks, 0 missing");
    first.child.wait().expect("it has ended");
}

#[test]
fn what_it_cannot_split() {
    let built = folder();
    let [program, ..] = &variants("../examples/splitter.c")[..] else { panic!("there is one") };
    let program = program.build(built.path());
    let (status, _, errors) =
        Running::start(&program, ["{\"protocol\": \"shm\", \"interface\": \"nobody\"}"], 0).end();
    assert_eq!(status.code(), Some(1));
    assert!(errors[0].contains("shm stream \"nobody\""), "{errors:?}");
}
