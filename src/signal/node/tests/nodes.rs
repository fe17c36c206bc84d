//! What each node does with chunks, and what it refuses.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::signal::node::converter::converter;
use crate::signal::node::like::like;
use crate::signal::node::resizer::resizer;
use crate::signal::node::splitter::splitter;
use crate::signal::node::state::State;
use serde_json::json;

#[test]
fn a_poll_thread_calls_for_each_chunk_and_at_the_end() {
    for protocol in [Protocol::Inproc, Protocol::Shm] {
        let out = output(protocol, 2);
        let (node, log) = keeper(input(&out), &[0, 1]);
        assert_eq!(node.state(), State::Stopped);
        node.start().unwrap();
        assert_eq!(node.wait(Wait::No), None);
        for frames in [0..3, 3..4, 10..12] {
            send(&out, frames);
        }
        log.wait(|seen| seen.chunks.len() == 3);
        assert_eq!(log.chunks(), [(0..3, 0..0), (3..4, 0..0), (10..12, 4..10)]);
        drop(out);
        assert_eq!(node.wait(GUARD), Some(State::Ended));
        let stats = node.stats();
        assert_eq!((stats.chunks, stats.frames, stats.gaps, stats.missing_frames), (3, 6, 1, 6));
        assert_eq!((stats.restarts, stats.errors, stats.index, node.index()), (0, 0, 12, 12));
        assert_eq!(log.0.0.lock().events, ["Ended"]);
        node.stop().unwrap();
        assert_eq!(node.state(), State::Ended);
    }
}

#[test]
fn an_error_of_the_callback_ends_the_thread() {
    let out = output(Protocol::Inproc, 1);
    let mut count = 0;
    let node = poll_thread(input(&out), move |_: &Received| {
        count += 1;
        if count == 2 { Err(Error::invalid("enough")) } else { Ok(()) }
    })
    .unwrap();
    node.start().unwrap();
    for frame in 0..3 {
        send(&out, frame..frame + 1);
    }
    let failed = State::Failed(Error::invalid("enough"));
    assert_eq!(node.wait(GUARD), Some(failed.clone()));
    assert_eq!(
        (node.stats().chunks, node.stats().errors, node.last_error()),
        (2, 1, Some(Error::invalid("enough")))
    );
    // It was not running when it was stopped: nothing is told twice.
    node.stop().unwrap();
    assert_eq!(node.state(), failed);
    // Goes on behind what it failed with.
    node.start().unwrap();
    send(&out, 3..4);
    while node.index() < 4 {
        std::thread::yield_now();
    }
    assert_eq!((node.state(), node.last_error()), (State::Running, None));
}

#[test]
fn what_is_no_chunk_is_counted_and_the_node_goes_on() {
    let out = output(Protocol::Inproc, 2);
    // The input expects other frames than come.
    let mut wrong = Params::clone(&out.params());
    wrong.shape[1] = 3;
    let node_input = SharedInput::new(Input::connect(wrong, &InputConfig::default()).unwrap());
    let (node, log) = keeper(node_input, &[0, 1]);
    node.start().unwrap();
    for frame in 0..300 {
        send(&out, frame..frame + 1);
    }
    // Behind a hundred it rests, and goes on.
    log.wait(|seen| seen.events.len() > 100);
    assert_eq!(node.state(), State::Running);
    assert!(node.last_error().unwrap().message().contains("a frame must be of shape [3] (got [2])"));
    node.stop().unwrap();
    assert_eq!(node.state(), State::Stopped);
    assert!(node.stats().errors > 100 && node.stats().chunks == 0);
    assert!(log.0.0.lock().events.iter().all(|event| event.starts_with("Malformed")));
}

#[test]
fn a_converter_keeps_indices_gaps_and_chunks() {
    let (first, second) = (output(Protocol::Inproc, 2), output(Protocol::Shm, 2));
    let last = input(&second);
    let node = converter(input(&first), second).unwrap();
    node.start().unwrap();
    for frames in [5..8, 8..9, 20..22] {
        send(&first, frames);
    }
    let found: Vec<_> = (0..3).map(|_| next(&last, &[0, 1])).collect();
    assert_eq!(found, [(5..8, 0..0), (8..9, 0..0), (20..22, 9..20)]);
    assert_eq!(node.stats().missing_frames, 11);
}

#[test]
fn a_converter_converts_types() {
    let first = output(Protocol::Inproc, 2);
    let wanted = Params { dtype: parse_dtype(">f4").unwrap(), ..params(Protocol::Shm, 2) };
    let second = SharedOutput::new(Output::open(wanted, &OutputConfig::default()).unwrap());
    let last = input(&second);
    let node = converter(input(&first), second).unwrap();
    node.start().unwrap();
    send(&first, 3..5);
    let received = last.lock().receive(GUARD).unwrap().chunk;
    let expected = [(3, 0), (3, 1), (4, 0), (4, 1)]
        .map(|(index, channel)| f32::from(value(index, channel)).to_be_bytes())
        .concat();
    assert_eq!((received.index, &received.data[..]), (5, &expected[..]));
    let text = Params { dtype: parse_dtype("S3").unwrap(), ..params(Protocol::Inproc, 2) };
    let text = SharedOutput::new(Output::open(text, &OutputConfig::default()).unwrap());
    let error = converter(input(&first), text).err().unwrap();
    assert!(error.message().starts_with("stream converter: dtype must be"), "{error}");
}

#[test]
fn a_stream_that_begins_again_does_so_behind_nodes() {
    let (first, second, third) =
        (output(Protocol::Inproc, 1), output(Protocol::Inproc, 1), output(Protocol::Inproc, 1));
    let (seen, last) = (input(&second), input(&third));
    let convert = converter(input(&first), second.clone()).unwrap();
    let resize = resizer(input(&second), third, 2).unwrap();
    convert.start().unwrap();
    resize.start().unwrap();
    send(&first, 0..3);
    assert!(first.lock().reset_index(GUARD).unwrap());
    send(&first, 0..2);
    assert_eq!([next(&seen, &[0]), next(&seen, &[0])], [(0..3, 0..0), (0..2, 0..0)]);
    // The shorter rest before it begins again is not lost.
    let found: Vec<_> = (0..3).map(|_| next(&last, &[0])).collect();
    assert_eq!(found, [(0..2, 0..0), (2..3, 0..0), (0..2, 0..0)]);
    assert_eq!((convert.stats().restarts, resize.stats().restarts), (1, 1));
}

#[test]
fn a_resizer_makes_chunks_of_a_length_at_their_indices() {
    let (first, second) = (output(Protocol::Inproc, 2), output(Protocol::Inproc, 2));
    let last = input(&second);
    let node = resizer(input(&first), second.clone(), 4).unwrap();
    node.start().unwrap();
    for frames in [10..13, 13..21, 21..23, 30..36] {
        send(&first, frames);
    }
    let found: Vec<_> = (0..5).map(|_| next(&last, &[0, 1])).collect();
    assert_eq!(found, [(10..14, 0..0), (14..18, 0..0), (18..22, 0..0), (22..23, 0..0), (30..34, 23..30)]);
    node.stop().unwrap();
    assert_eq!(rest(&last, &[0, 1]), [(34..36, 0..0)]);
    assert_eq!((second.stats().frames, node.stats().frames), (19, 19));
}

#[test]
fn a_splitter_sends_each_output_its_channels() {
    let first = output(Protocol::Inproc, 5);
    let selections = [vec![0, 1], vec![4, 2, 0], vec![3], vec![1, 1, 4, 0]];
    let mut outputs = Vec::new();
    let mut lasts = Vec::new();
    for (number, channels) in selections.iter().enumerate() {
        let selection = select(channels);
        let made = selection.params(&first.params()).unwrap();
        assert_eq!(made.shape, [-1, channels.len() as i64]);
        let protocol = if number % 2 == 0 { Protocol::Shm } else { Protocol::Inproc };
        let out = Output::open(Params { protocol, ..made }, &OutputConfig::default()).unwrap();
        let out = SharedOutput::new(out);
        lasts.push(input(&out));
        outputs.push((selection, out));
    }
    let node = splitter(input(&first), outputs).unwrap();
    node.start().unwrap();
    send(&first, 0..7);
    send(&first, 9..10);
    for (last, channels) in lasts.iter().zip(&selections) {
        assert_eq!([next(last, channels), next(last, channels)], [(0..7, 0..0), (9..10, 7..9)]);
    }
}

#[test]
fn channels_are_described() {
    let mut params = params(Protocol::Tcp, 3);
    params.sample_rate = 1000.0;
    params.units = "mV".into();
    params.extra.insert("nb_channel".into(), json!(3));
    params.extra.insert("channel_info".into(), json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    let made = select(&[2, 0]).params(&params).unwrap();
    assert_eq!((made.sample_rate, &*made.units, &made.shape[..]), (1000.0, "mV", &[-1, 2][..]));
    assert_eq!(made.extra["nb_channel"], json!(2));
    assert_eq!(made.extra["channel_info"], json!([{"name": "c"}, {"name": "a"}]));
}

#[test]
fn an_output_like_the_input_is_where_it_is_wanted() {
    let first = output(Protocol::Shm, 3);
    let mut told = Params::clone(&first.params());
    (told.units, told.shm_id) = ("mV".into(), Some("x".into()));
    told.extra.insert("channel_info".into(), json!([1, 2, 3]));
    let made = like(&told, &params(Protocol::Inproc, 77));
    assert_eq!((made.protocol, &*made.interface, &*made.port), (Protocol::Inproc, "127.0.0.1", "*"));
    assert_eq!((&made.shape[..], &*made.units, made.shm_id), (&[-1, 3][..], "mV", None));
    assert_eq!(made.extra, told.extra);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |result: Result<Node>| result.err().unwrap();
    let first = output(Protocol::Inproc, 3);
    let error = select(&[0, 3]).params(&first.params()).unwrap_err();
    let rule = "channels must be below 3, which axis 1 has (got 3)";
    assert_eq!(error.message(), format!("channel splitter: output \"left\": {rule}"));
    let error = select(&[]).params(&first.params()).unwrap_err();
    assert!(error.message().contains("at least one channel"), "{error}");
    let mut flat = Params::clone(&first.params());
    flat.shape = vec![-1];
    assert!(select(&[0]).params(&flat).unwrap_err().message().contains("axis must be one behind the first"));
    assert!(refused(splitter(input(&first), vec![])).message().contains("at least one output"));
    let error = refused(splitter(input(&first), vec![(select(&[0]), output(Protocol::Inproc, 2))]));
    assert!(
        error.message().contains("frames of shape [1]") && error.message().contains("(got [2]"),
        "{error}"
    );

    let error = refused(resizer(input(&first), output(Protocol::Inproc, 3), 0));
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Invalid, "chunk resizer: frames must be at least 1 (got 0)")
    );
    let error = refused(resizer(input(&first), output(Protocol::Inproc, 2), 1));
    assert!(error.message().contains("shape [3]") && error.message().contains("(got [2]"), "{error}");
    let error = refused(converter(input(&first), output(Protocol::Inproc, 2)));
    assert!(error.message().contains("shape [3] (got [2])"), "{error}");
    // Another input must fit, too.
    let node = converter(input(&first), output(Protocol::Inproc, 3)).unwrap();
    let error = node.set_input(input(&output(Protocol::Inproc, 2))).unwrap_err();
    assert!(error.message().contains("shape [2] (got [3])"), "{error}");
}
