//! splitter.c: all frames arrive in both of its streams, from its own producer and from another process.

use aqueduct::ring::Wait;
use aqueduct::signal::array::Layout;
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

#[test]
fn a_producer_and_a_consumer_in_other_processes() {
    let built = folder();
    let [program, ..] = &variants("../examples/splitter.c")[..] else { panic!("there is one") };
    let program = program.build(built.path());
    let params =
        Params { protocol: Protocol::Shm, ..Params::new(parse_dtype("<i2").expect("a type"), &[-1, 3]) };
    let output = Output::open(params, &OutputConfig::default()).expect("shared memory");
    let output = SharedOutput::new(output);
    let running = Running::start(&program, [output.params().to_json()], 0);
    // Its second stream is looked at from here.
    running.stdout.recv_timeout(PATIENCE).expect("the params of the first");
    let line = running.stdout.recv_timeout(PATIENCE).expect("the params of the second");
    let params = Params::from_json(line.strip_prefix("signal: ").expect("its name")).expect("params");
    assert_eq!((&params.shape[..], params.protocol), (&[-1, 2][..], Protocol::Shm));
    let mut input =
        aqueduct::signal::input::Input::connect(params, &InputConfig::default()).expect("it is there");
    let guard = Wait::For(PATIENCE);
    let layout = Layout::c_order(2, &[10, 3]).expect("a layout");
    for chunk in 0..20i16 {
        let values = (0..10).flat_map(|frame| (0..3).map(move |channel| chunk * 10 + frame + 1000 * channel));
        let data: Vec<u8> = values.flat_map(i16::to_le_bytes).collect();
        let sent = output.lock().send_shared(data.into(), layout.clone(), None, guard).expect("sent");
        assert!(matches!(sent, Sent::Taken(published) if !published.timed_out));
        let received = input.receive(guard).expect("it comes").chunk;
        assert_eq!((received.index, received.layout.shape()), ((chunk as u64 + 1) * 10, &[10, 2][..]));
        assert_eq!(
            received.data[..4],
            [1000 + chunk * 10, 2000 + chunk * 10].map(i16::to_le_bytes).concat()[..]
        );
    }
    drop(output);
    let (status, lines, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{lines:?} {errors:?}");
    assert_eq!(lines[0], "200 frames in 20 chunks, 0 missing");
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
