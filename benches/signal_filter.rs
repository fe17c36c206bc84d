//! Filters of signal streams against memcpy of as many bytes as they read and write: how far from the memory's speed conversions are.
//!
//! `cargo bench --bench signal_filter` prints a table, with `-- --json` a JSON list, with `-- NAME` only what has that in its name. The peer copies half of
//! the bytes that go in and come out, into memory that is as new; so 1.0 is a conversion at the speed of a copy.

mod support;

use std::hint::black_box;
use std::time::Instant;

use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::filter::{Cast, Chain, Channels, Factors, Filter, Frames, Precision, Scale};
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::params::Params;
use bytes::Bytes;
use support::{Line, compare};

/// Elements of a chunk, 64 channels in each frame.
const ELEMENTS: usize = 64 << 10;
const CHANNELS: usize = 64;
/// Elements of a measurement.
const TOTAL: usize = 64 << 20;

/// A name, the type of what comes, and the filters.
type Case = (&'static str, &'static str, Vec<Box<dyn Filter>>);

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted =
        |name: &str| arguments.is_empty() || arguments.iter().any(|only| name.contains(only.as_str()));
    let mut lines = Vec::new();
    let cast = |to: &str| -> Box<dyn Filter> { Box::new(Cast::to(parse_dtype(to).unwrap())) };
    let scale = |precision| -> Box<dyn Filter> {
        Box::new(Scale::new(Factors::Given { scale: 0.195, offset: -6389.76 }, precision).unwrap())
    };
    let every_third: Vec<usize> = (0..CHANNELS).step_by(3).collect();
    let scattered: Vec<usize> = (0..CHANNELS / 2).map(|i| i * 37 % CHANNELS).collect();
    let cases: Vec<Case> = vec![
        ("cast/i2-f4", "<i2", vec![cast("<f4")]),
        ("cast/>i2-f4", ">i2", vec![cast("<f4")]),
        ("cast/>i4-i4", ">i4", vec![cast("<i4")]),
        ("cast/i4-i2", "<i4", vec![cast("<i2")]),
        ("cast/f4-f8", "<f4", vec![cast("<f8")]),
        ("cast/f8-f4", "<f8", vec![cast("<f4")]),
        ("cast/f4-i2", "<f4", vec![cast("<i2")]),
        ("cast/f4-u1", "<f4", vec![cast("|u1")]),
        ("cast/f8-i4", "<f8", vec![cast("<i4")]),
        ("cast/f2-f4", "<f2", vec![cast("<f4")]),
        ("cast/f4-f2", "<f4", vec![cast("<f2")]),
        ("scale/i2-f4", "<i2", vec![scale(Precision::Single)]),
        ("scale/i4-f8", "<i4", vec![scale(Precision::Double)]),
        ("scale/f4-f4", "<f4", vec![scale(Precision::Single)]),
        ("channels/f4/gathered", "<f4", vec![Box::new(Channels::new(&scattered))]),
        ("channels/every third, i2-f4", "<i2", vec![Box::new(Channels::new(&every_third)), cast("<f4")]),
    ];
    for (name, from, filters) in cases {
        let name = format!("filter/{name}");
        if wanted(&name) {
            lines.push(measure(&name, from, filters));
        }
    }
    support::print(&lines);
}

fn measure(name: &str, from: &str, filters: Vec<Box<dyn Filter>>) -> Line {
    let dtype = parse_dtype(from).unwrap();
    let frames = ELEMENTS / CHANNELS;
    let layout = Layout::c_order(dtype.size(), &[frames, CHANNELS]).unwrap();
    // Numbers that are small as any type.
    let data: Bytes = (0..layout.size()).map(|i| (i % 61) as u8).collect();
    let mut chain = Chain::new(Params::new(dtype.clone(), &[-1, CHANNELS as i64]));
    for filter in filters {
        chain.push(filter).unwrap();
    }
    let out = chain.params().frame_size() * frames;
    let half = (chain.params().frame_shape().iter().product::<usize>() * frames * dtype.size() + out) / 2;
    let source = vec![1u8; half];
    let chain = std::cell::RefCell::new(chain);
    let ours = || {
        let mut chain = chain.borrow_mut();
        rate(|| {
            let index = chain.index() + frames as u64;
            let chunk = Chunk { index, layout: layout.clone(), data: data.clone() };
            black_box(chain.apply(Frames::shared(chunk).unwrap()).unwrap().unwrap());
        })
    };
    let peer = || rate(|| drop(black_box(source.to_vec())));
    Line::rate(name, compare(ours, peer), "elements/s")
}

/// Elements of a chunk, per second.
fn rate(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..TOTAL / ELEMENTS {
        work();
    }
    TOTAL as f64 / start.elapsed().as_secs_f64()
}
