//! Filters against slow ones of a line each, over any view of an array, and whatever the borders of chunks are.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::half::Half;
use super::*;
use crate::error::ErrorKind;
use crate::signal::array::Layout;
use crate::signal::array::tests::{elements, views_of};
use crate::signal::numpy::parse_dtype;
use crate::spead::dtype::{Dtype, Kind, Scalar};

const NUMBERS: [&str; 14] =
    ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"];

/// A number, of whatever type.
#[derive(Debug, Clone, Copy)]
enum Value {
    Integer(i128),
    Float(f64),
    Complex(f64, f64),
}

fn scalar(dtype: &Dtype) -> &Scalar {
    let Dtype::Scalar(scalar) = dtype else { panic!("{dtype}") };
    scalar
}

/// Bytes in big-endian order.
fn in_order(dtype: &Scalar, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !dtype.big_endian {
        let part = if dtype.kind == Kind::Complex { dtype.size / 2 } else { dtype.size };
        bytes.chunks_mut(part).for_each(<[u8]>::reverse);
    }
    bytes
}

fn read(dtype: &Dtype, bytes: &[u8]) -> Value {
    let dtype = scalar(dtype);
    let bytes = in_order(dtype, bytes);
    let unsigned = |bytes: &[u8]| bytes.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    let float = |bytes: &[u8]| match bytes.len() {
        2 => f64::from(Half(unsigned(bytes) as u16).to_f32()),
        4 => f64::from(f32::from_bits(unsigned(bytes) as u32)),
        _ => f64::from_bits(unsigned(bytes)),
    };
    match dtype.kind {
        Kind::Bool => Value::Integer(i128::from(bytes[0] != 0)),
        Kind::Uint => Value::Integer(unsigned(&bytes).into()),
        Kind::Int => {
            let shift = 64 - 8 * bytes.len();
            Value::Integer(((unsigned(&bytes) << shift) as i64 >> shift).into())
        }
        Kind::Float => Value::Float(float(&bytes)),
        Kind::Complex => {
            let (real, imaginary) = bytes.split_at(bytes.len() / 2);
            Value::Complex(float(real), float(imaginary))
        }
        _ => panic!("{dtype}"),
    }
}

fn write(dtype: &Dtype, value: Value) -> Vec<u8> {
    let dtype = scalar(dtype);
    let is_true = match value {
        Value::Integer(value) => value != 0,
        Value::Float(value) => value != 0.0,
        Value::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
    };
    let real = match value {
        Value::Complex(real, _) => Value::Float(real),
        value => value,
    };
    let integer = match real {
        Value::Integer(value) => value,
        Value::Float(value) | Value::Complex(value, _) => value as i128,
    };
    let float = |size: usize, value: Value| match (size, value) {
        (2, Value::Integer(value)) => Half::of_f64(value as f64).0.to_be_bytes().to_vec(),
        (2, Value::Float(value) | Value::Complex(value, _)) => Half::of_f64(value).0.to_be_bytes().to_vec(),
        (4, Value::Integer(value)) => (value as f32).to_be_bytes().to_vec(),
        (4, Value::Float(value) | Value::Complex(value, _)) => (value as f32).to_be_bytes().to_vec(),
        (_, Value::Integer(value)) => (value as f64).to_be_bytes().to_vec(),
        (_, Value::Float(value) | Value::Complex(value, _)) => value.to_be_bytes().to_vec(),
    };
    let bits = 8 * dtype.size as u32;
    let last = |value: i128| value.to_be_bytes()[16 - dtype.size..].to_vec();
    let bytes = match dtype.kind {
        Kind::Bool => vec![u8::from(is_true)],
        Kind::Uint => last(integer.clamp(0, (1 << bits) - 1)),
        Kind::Int => last(integer.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        Kind::Float => float(dtype.size, real),
        _ => {
            let imaginary = match value {
                Value::Complex(_, imaginary) => Value::Float(imaginary),
                _ => Value::Integer(0),
            };
            [float(dtype.size / 2, real), float(dtype.size / 2, imaginary)].concat()
        }
    };
    in_order(dtype, &bytes)
}

/// Two are the same: also two that are not a number, whose bits may differ.
fn same(one: Value, other: Value) -> bool {
    let float = |one: f64, other: f64| one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan();
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one == other,
        (Value::Float(one), Value::Float(other)) => float(one, other),
        (Value::Complex(a, b), Value::Complex(c, d)) => float(a, c) && float(b, d),
        _ => false,
    }
}

fn dtypes() -> impl Strategy<Value = Dtype> {
    (prop::sample::select(NUMBERS.to_vec()), any::<bool>())
        .prop_map(|(name, big)| parse_dtype(&format!("{}{name}", if big { '>' } else { '<' })).unwrap())
}

/// Elements that matter: small ones, those at the edges of types, any.
fn numbers(dtype: &Dtype, count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 33
    };
    let mut bytes = Vec::new();
    for _ in 0..count {
        match next() % 3 {
            0 => (0..dtype.size()).for_each(|_| bytes.push(next() as u8)),
            1 => bytes.extend(write(dtype, Value::Float(next() as f64 / 1e7 - 100.0))),
            _ => {
                let edge = 1i128 << [7, 8, 15, 16, 24, 31, 32, 53, 63, 64][next() as usize % 10];
                let sign = if next() % 2 == 0 { 1 } else { -1 };
                bytes.extend(write(dtype, Value::Integer(sign * (edge + i128::from(next() % 3) - 1))));
            }
        }
    }
    bytes
}

fn chain(params: Params, filters: Vec<Box<dyn Filter>>) -> Chain {
    let mut chain = Chain::new(params);
    for filter in filters {
        chain.push(filter).unwrap();
    }
    chain
}

/// A stream of frames that look like this.
fn params(dtype: &Dtype, layout: &Layout) -> Params {
    let frame = layout.shape()[1..].iter().map(|&count| count as i64);
    Params::new(dtype.clone(), &std::iter::once(-1).chain(frame).collect::<Vec<_>>())
}

/// What is left of an array, element by element in C order.
fn filtered(chain: &mut Chain, data: &[u8], layout: &Layout) -> Result<Vec<u8>> {
    let index = chain.next + layout.shape()[0] as u64;
    // SAFETY: the layout lies within the data.
    let frames = unsafe { Frames::lent(data.as_ptr(), layout.clone(), index) };
    assert!(layout.extent().end <= data.len());
    let chunk = chain.apply(frames)?.unwrap();
    assert_eq!(chunk.index, index);
    Ok(elements(&chunk.data, &chunk.layout))
}

fn is_same_array(dtype: &Dtype, found: &[u8], expected: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.chunks(dtype.size()).zip(expected.chunks(dtype.size())) {
        let (found, expected) = (read(dtype, found), read(dtype, expected));
        prop_assert!(same(found, expected), "{:?} is not {:?}", found, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Any number to any other, in any order of bytes, of any view.
    #[test]
    fn casts(
        (from, (layout, size)) in dtypes().prop_flat_map(|from| (Just(from.clone()), views_of(from.size(), 1..4))),
        to in dtypes(),
        seed: u64,
    ) {
        let data = numbers(&from, size / from.size(), seed);
        let mut chain = chain(params(&from, &layout), vec![Box::new(Cast::to(to.clone()))]);
        prop_assert_eq!(&chain.params().dtype, &to);
        let found = filtered(&mut chain, &data, &layout).unwrap();
        let source = elements(&data, &layout);
        // Bytes that are not touched: also those of a true that is not 1.
        let untouched = from == to || from.to_native() == to.to_native();
        let cast = |element: &[u8]| write(&to, read(&from, element));
        let expected: Vec<u8> = source.chunks(from.size()).flat_map(cast).collect();
        if from == to {
            prop_assert_eq!(&found, &source);
        }
        if untouched && from != to {
            let back = Cast::to(from.clone());
            let layout = Layout::c_order(to.size(), layout.shape()).unwrap();
            let mut back = super::tests::chain(params(&to, &layout), vec![Box::new(back)]);
            prop_assert_eq!(filtered(&mut back, &found, &layout).unwrap(), source);
        }
        is_same_array(&to, &found, &expected)?;
    }

    /// Factors of numbers.
    #[test]
    fn scales(
        (from, (layout, size)) in dtypes().prop_flat_map(|from| (Just(from.clone()), views_of(from.size(), 1..4))),
        (scale, offset) in (-10.0..10.0, -1e3..1e3),
        precision in prop::sample::select(vec![Precision::AsNeeded, Precision::Single, Precision::Double]),
        seed: u64,
    ) {
        let data = numbers(&from, size / from.size(), seed);
        let filter = Scale::new(Factors::Given { scale, offset }, precision).unwrap();
        let mut chain = chain(params(&from, &layout), vec![Box::new(filter)]);
        let to = chain.params().dtype.clone();
        let expected: Vec<u8> = elements(&data, &layout).chunks(from.size()).flat_map(|element| {
            write(&to, match read(&from, element) {
                Value::Integer(value) => Value::Float(value as f64 * scale + offset),
                Value::Float(value) => Value::Float(value * scale + offset),
                Value::Complex(real, imaginary) => Value::Complex(real * scale + offset, imaginary * scale),
            })
        }).collect();
        is_same_array(&to, &filtered(&mut chain, &data, &layout).unwrap(), &expected)?;
    }

    /// Any elements of any axis but time, also of things that are not numbers.
    #[test]
    fn channels(
        (layout, size) in prop::sample::select(vec![1usize, 4, 7, 8]).prop_flat_map(|item| views_of(item, 2..4)),
        axis in 1usize..3,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        let axis = axis.min(layout.shape().len() - 1);
        let picks: Vec<usize> = picks.iter().map(|pick| pick.index(layout.shape()[axis])).collect();
        let dtype = Dtype::parse_scalar(&format!("|V{}", layout.item())).unwrap();
        let mut chain = chain(params(&dtype, &layout), vec![Box::new(Channels::of_axis(axis, &picks))]);
        let inner = layout.shape()[axis + 1..].iter().product::<usize>() * layout.item();
        let expected: Vec<u8> = elements(&data, &layout)
            .chunks(inner * layout.shape()[axis])
            .flat_map(|all| picks.iter().flat_map(|&pick| all[pick * inner..][..inner].to_vec()).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(filtered(&mut chain, &data, &layout).unwrap(), expected);
    }

    /// Elements in C order, whatever the axes.
    #[test]
    fn reshapes((layout, size) in views_of(2, 1..4), to_all: bool) {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        let reversed: Vec<i64> = layout.shape()[1..].iter().rev().map(|&count| count as i64).collect();
        let shape = if to_all { vec![-1] } else { reversed };
        let mut chain = chain(params(&parse_dtype("i2").unwrap(), &layout), vec![Box::new(Reshape::new(&shape))]);
        prop_assert_eq!(filtered(&mut chain, &data, &layout).unwrap(), elements(&data, &layout));
    }

    /// One field of records.
    #[test]
    fn fields((layout, size) in views_of(9, 1..3)) {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        let record = parse_dtype("[('a', '|u1'), ('b', '>i2', (3,)), ('c', '<i2')]").unwrap();
        for (name, range) in [("a", 0..1), ("b", 1..7), ("c", 7..9)] {
            let mut chain = chain(params(&record, &layout), vec![Box::new(Field::new(name))]);
            let expected: Vec<u8> =
                elements(&data, &layout).chunks(9).flat_map(|record| record[range.clone()].to_vec()).collect();
            prop_assert_eq!(filtered(&mut chain, &data, &layout).unwrap(), expected);
        }
    }

    /// The same comes out, wherever chunks begin and end.
    #[test]
    fn borders_of_chunks_do_not_matter(
        borders in prop::collection::vec(1usize..40, 0..12),
        every in 1usize..9,
        start in 0u64..30,
    ) {
        let total = 200usize;
        let data: Vec<u8> = (0..total as i32 * 3).flat_map(|i| (i * 77_777).to_be_bytes()).collect();
        let layout = Layout::c_order(4, &[total, 3]).unwrap();
        let run = |borders: &[usize]| {
            let factors = Factors::Given { scale: 0.5, offset: -3.0 };
            let mut chain = chain(params(&parse_dtype(">i4").unwrap(), &layout), vec![
                Box::new(Decimate::new(every).unwrap()),
                Box::new(Channels::new(&[2, 0, 1, 1])),
                Box::new(Scale::new(factors, Precision::AsNeeded).unwrap()),
                Box::new(Cast::to(parse_dtype(">i2").unwrap())),
                Box::new(Reshape::new(&[2, 2])),
            ]);
            let (mut out, mut at, mut next) = (Vec::new(), 0, None);
            for frames in borders.iter().copied().chain([total]) {
                let to = (at + frames).min(total);
                let index = start + to as u64;
                // SAFETY: the layout lies within the data.
                let part = unsafe { Frames::lent(data.as_ptr(), layout.rows(at..to), index) };
                at = to;
                if part.frames() == 0 {
                    continue;
                }
                if let Some(chunk) = chain.apply(part).unwrap() {
                    assert!(next.is_none_or(|next| next == chunk.start()));
                    next = Some(chunk.index);
                    out.extend(elements(&chunk.data, &chunk.layout));
                }
            }
            (next, out)
        };
        let whole = run(&[]);
        prop_assert_eq!(whole.0, Some((start + total as u64).div_ceil(every as u64)));
        prop_assert_eq!(run(&borders), whole);
    }
}

#[test]
fn large_arrays_pass_through_blocks() {
    // More than a block, and not a multiple of it; dense, reversed, every other.
    let count = 50_021usize;
    let data: Vec<u8> = (0..count as u32 * 2).flat_map(|i| i.to_be_bytes()).collect();
    for (step, start) in [(1, 0), (-1, 1), (-1, 0), (1, 1)] {
        for layout in
            [Layout::c_order(4, &[count, 2]).unwrap(), Layout::ordered(4, &[count, 2], &[1, 0]).unwrap()]
        {
            let full = if step < 0 { layout.slice(0, count - 1, -1, count).unwrap() } else { layout };
            let view = if start == 1 { full.slice(1, 1, 1, 1).unwrap() } else { full };
            let (from, to) = (parse_dtype(">u4").unwrap(), parse_dtype(">f8").unwrap());
            let mut chain = chain(params(&from, &view), vec![Box::new(Cast::to(to.clone()))]);
            let found = filtered(&mut chain, &data, &view).unwrap();
            let source = elements(&data, &view);
            let expected: Vec<u8> =
                source.chunks(4).flat_map(|value| write(&to, read(&from, value))).collect();
            assert!(found == expected, "{step} {start}");
        }
    }
}

#[test]
fn what_is_dense_keeps_its_order_and_what_can_be_seen_is_not_copied() {
    let data = Bytes::from(vec![1u8; 4 * 6 * 2]);
    let f_order = Layout::ordered(2, &[4, 6], &[1, 0]).unwrap();
    let shared = || Frames::shared(Chunk { index: 4, layout: f_order.clone(), data: data.clone() }).unwrap();
    let stream = params(&parse_dtype("i2").unwrap(), &f_order);
    let mut cast = chain(stream.clone(), vec![Box::new(Cast::to(parse_dtype("f8").unwrap()))]);
    assert_eq!(cast.apply(shared()).unwrap().unwrap().layout.strides(), [8, 32]);
    let views: Vec<Box<dyn Filter>> = vec![
        Box::new(Channels::new(&[5, 3, 1])),
        Box::new(Decimate::new(3).unwrap()),
        Box::new(Cast::to_native()),
    ];
    let chunk = chain(stream, views).apply(shared()).unwrap().unwrap();
    assert_eq!(chunk.data.as_ptr(), data.as_ptr());
    assert_eq!((chunk.index, chunk.layout.shape(), chunk.layout.strides()), (2, &[2, 3][..], &[6, -16][..]));
}

#[test]
fn records_and_times_change_their_byte_order() {
    let record = parse_dtype("[('a', '>u2'), ('b', '<u4', (2,)), ('c', '>M8[ns]')]").unwrap();
    let layout = Layout::c_order(18, &[2]).unwrap();
    let data: Vec<u8> = (0..36).collect();
    let mut chain = chain(params(&record, &layout), vec![Box::new(Cast::to_native())]);
    assert_eq!(chain.params().dtype.to_string(), "[('a', '<u2'), ('b', '<u4', (2,)), ('c', '<M8[ns]')]");
    let found = filtered(&mut chain, &data, &layout).unwrap();
    assert_eq!(found[..18], [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 17, 16, 15, 14, 13, 12, 11, 10]);
}

#[test]
fn params_behind_filters() {
    let mut params = Params::new(parse_dtype(">i4").unwrap(), &[100, 4]);
    (params.scale, params.offset, params.fill) = (Some(0.25), Some(1.0), Some(8.0));
    (params.sample_rate, params.units) = (1000.0, "uV".into());
    params.axisorder = Some(vec![1, 0]);
    params.extra.insert(
        "channel_info".into(),
        json!([{ "name": "a" }, { "name": "b" }, { "name": "c" }, { "name": "d" }]),
    );
    params.extra.insert("nb_channel".into(), json!(4));
    let mut chain = Chain::new(params);
    chain.push(Box::new(Scale::new(Factors::OfParams, Precision::AsNeeded).unwrap())).unwrap();
    let now = chain.params();
    assert_eq!(
        (now.dtype.to_string().as_str(), now.scale, now.offset, now.fill),
        ("<f8", None, None, Some(3.0))
    );
    assert_eq!(now.units, "uV");
    chain.push(Box::new(Channels::new(&[3, 0]))).unwrap();
    assert_eq!(chain.params().shape, [100, 2]);
    assert_eq!(chain.params().extra["channel_info"], json!([{ "name": "d" }, { "name": "a" }]));
    assert_eq!(chain.params().extra["nb_channel"], 2);
    chain.push(Box::new(Decimate::new(10).unwrap())).unwrap();
    assert_eq!((chain.params().shape[0], chain.params().sample_rate), (10, 100.0));
    assert_eq!(chain.params().axisorder, Some(vec![1, 0]));
    chain.push(Box::new(Decimate::new(3).unwrap())).unwrap();
    assert_eq!(chain.params().shape[0], -1);
    chain.push(Box::new(Reshape::new(&[1, -1, 1]))).unwrap();
    assert_eq!(chain.params().shape, [-1, 1, 2, 1]);
    assert_eq!((&chain.params().axisorder, chain.params().extra.len()), (&None, 0));
    let volts = Scale::new(Factors::Given { scale: 1e-6, offset: 0.0 }, Precision::Single).unwrap();
    chain.push(Box::new(volts.with_units("V"))).unwrap();
    assert_eq!((chain.params().units.as_str(), chain.params().dtype.to_string().as_str()), ("V", "<f4"));
}

#[test]
fn types_of_scaled_numbers() {
    for (from, to) in [
        ("b1", "f4"),
        ("i2", "f4"),
        ("u4", "f8"),
        ("i8", "f8"),
        ("f2", "f4"),
        (">f8", "f8"),
        ("c8", "c8"),
        ("c16", "c16"),
    ] {
        let mut chain = Chain::new(Params::new(parse_dtype(from).unwrap(), &[-1]));
        let factors = Factors::Given { scale: 2.0, offset: 0.0 };
        chain.push(Box::new(Scale::new(factors, Precision::AsNeeded).unwrap())).unwrap();
        assert_eq!(chain.params().dtype, parse_dtype(to).unwrap(), "{from}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let of = |dtype: &str, shape: &[i64]| Params::new(parse_dtype(dtype).unwrap(), shape);
    let cast = |dtype: &str| -> Box<dyn Filter> { Box::new(Cast::to(parse_dtype(dtype).unwrap())) };
    let scale =
        || -> Box<dyn Filter> { Box::new(Scale::new(Factors::OfParams, Precision::AsNeeded).unwrap()) };
    let channels =
        |axis, indices: &[usize]| -> Box<dyn Filter> { Box::new(Channels::of_axis(axis, indices)) };
    let reshape = |shape: &[i64]| -> Box<dyn Filter> { Box::new(Reshape::new(shape)) };
    let cases: Vec<(Params, Box<dyn Filter>, &str)> = vec![
        (of("S5", &[-1]), cast("f4"), "(cast): dtype must be a number for one of numbers"),
        (of("M8[ms]", &[-1]), cast("M8[ns]"), "(got <M8[ns] for <M8[ms])"),
        (of("f16", &[-1]), cast("f8"), "(got <f8 for <f16)"),
        (
            of("S5", &[-1]),
            scale(),
            "(scale): the stream's params must have a scale or an offset (got neither)",
        ),
        (
            of("f4", &[-1]),
            channels(1, &[0]),
            "(channels): axis must be one behind the first, which is time (got 1",
        ),
        (of("f4", &[-1, 2]), channels(0, &[0]), "which is time (got 0"),
        (of("f4", &[-1, 2]), channels(1, &[0, 2]), "channels must be below 2, which axis 1 has (got 2)"),
        (of("f4", &[-1, 2]), channels(1, &[]), "at least one channel (got none)"),
        (
            of("f4", &[-1, 6]),
            reshape(&[4]),
            "(reshape): shape must have the 6 elements that a frame of shape [6] has (got [4])",
        ),
        (of("f4", &[-1, 6]), reshape(&[4, -1]), "(got [4, -1])"),
        (of("f4", &[-1, 6]), reshape(&[-1, -1]), "of which one may be -1 (got [-1, -1])"),
        (of("f4", &[-1, 6]), reshape(&[0, 6]), "positive numbers"),
        (of("f4", &[-1, 6]), reshape(&[i64::MAX, i64::MAX]), "must have the 6 elements"),
        (
            of("f4", &[-1, 6]),
            Box::new(Field::new("x")),
            "(field): name must be that of a field of the stream's dtype (got \"x\" for <f4)",
        ),
    ];
    for (params, filter, expected) in cases {
        let mut chain = Chain::new(params.clone());
        let refused = chain.push(filter).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::Invalid);
        let message = refused.error.message();
        assert!(message.starts_with("filter 1 (") && message.contains(expected), "{message}");
        assert_eq!(chain.params(), &params);
    }
    assert!(Decimate::new(0).is_err());
    assert!(Scale::new(Factors::Given { scale: f64::NAN, offset: 0.0 }, Precision::Single).is_err());
}

/// Runs chunks of bytes, given as start and length, through a chain.
fn run(chain: &mut Chain, chunks: &[(u64, usize)]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    for &(start, frames) in chunks {
        let data: Vec<u8> = (start..start + frames as u64).map(|i| i as u8).collect();
        let chunk = Chunk {
            index: start + frames as u64,
            layout: Layout::c_order(1, &[frames]).unwrap(),
            data: data.into(),
        };
        if let Some(chunk) = chain.apply(Frames::shared(chunk).unwrap()).unwrap() {
            out.push((chunk.index, elements(&chunk.data, &chunk.layout)));
        }
    }
    out
}

#[test]
fn decimation_goes_by_the_index() {
    let stream = Params::new(parse_dtype("u1").unwrap(), &[-1]);
    let mut third = chain(stream.clone(), vec![Box::new(Decimate::new(3).unwrap())]);
    let chunks = [(1, 2), (3, 1), (4, 6), (20, 5), (25, 2)];
    // From 10 to 20 frames 12, 15 and 18 are missing: 4 to 6 of the new ones.
    assert_eq!(run(&mut third, &chunks), [(2, vec![3]), (4, vec![6, 9]), (9, vec![21, 24])]);
    third.go_back(0);
    assert_eq!(run(&mut third, &[(0, 4)]), [(2, vec![0, 3])]);
    let mut all = chain(stream.clone(), vec![Box::new(Decimate::new(1).unwrap())]);
    assert_eq!(run(&mut all, &[(5, 2)]), [(7, vec![5, 6])]);
    let mut first = chain(stream, vec![Box::new(Decimate::new(usize::MAX).unwrap())]);
    assert_eq!(run(&mut first, &[(0, 4), (4, 9)]), [(1, vec![0])]);
}

#[test]
fn functions_make_drop_keep_and_fail() {
    let stream = Params::new(parse_dtype("u1").unwrap(), &[-1]);
    let sum = Function::new(
        "sum",
        |params| {
            params.dtype = parse_dtype("<u2")?;
            Ok(())
        },
        |frames, out| {
            let bytes = elements_of(frames);
            match bytes[0] {
                0 => return Err(Error::invalid("it begins with 0")),
                1 => return Ok(()),
                2 => out.index(1),
                _ => {}
            }
            let sum: u16 = bytes.iter().map(|&byte| u16::from(byte)).sum();
            out.frames(7)?;
            assert!(out.same().unwrap_err().message().contains("changes the type"));
            out.frames(1)?.copy_from_slice(&sum.to_le_bytes());
            Ok(())
        },
    );
    let mut chain = chain(stream.clone(), vec![Box::new(Cast::to_native()), Box::new(sum)]);
    let of = |start, frames| chunk_of(start, frames);
    let error = chain.apply(of(0, 2)).unwrap_err();
    assert_eq!(error.message(), "filter 2 (sum): it begins with 0");
    assert!(chain.apply(of(1, 2)).unwrap().is_none());
    let made = chain.apply(of(100, 3)).unwrap().unwrap();
    assert_eq!((made.index, made.frames(), &made.data[..]), (103, 1, &[0x2f, 1][..]));
    assert!(made.data.as_ptr().addr().is_multiple_of(64));
    let error = chain.apply(of(2, 1)).unwrap_err();
    assert!(error.message().contains("must be 103 or a later one (got 0)"), "{error}");

    let keep = Function::new("keep", |_| Ok(()), |_, out| out.same());
    let mut chain = super::tests::chain(stream, vec![Box::new(keep)]);
    assert_eq!(run(&mut chain, &[(3, 2)]), [(5, vec![3, 4])]);
}

fn chunk_of(start: u64, frames: usize) -> Frames<'static> {
    let data: Vec<u8> = (start..start + frames as u64).map(|i| i as u8).collect();
    let layout = Layout::c_order(1, &[frames]).unwrap();
    Frames::shared(Chunk { index: start + frames as u64, layout, data: data.into() }).unwrap()
}

fn elements_of(frames: &Frames<'_>) -> Vec<u8> {
    let extent = frames.layout().extent();
    // SAFETY: the extent can be read.
    let data = unsafe { std::slice::from_raw_parts(frames.as_ptr(), extent.end) };
    elements(data, frames.layout())
}

/// A filter of somebody else that does not do what it says.
struct Liar;

impl Filter for Liar {
    fn name(&self) -> &str {
        "liar"
    }

    fn fit(&mut self, params: &mut Params) -> Result<()> {
        params.shape.push(2);
        Ok(())
    }

    fn apply<'a>(&mut self, frames: Frames<'a>) -> Result<Option<Frames<'a>>> {
        Ok(Some(frames))
    }
}

#[test]
fn a_filter_that_breaks_its_word_is_found_out() {
    let mut chain = chain(Params::new(parse_dtype("u1").unwrap(), &[-1]), vec![Box::new(Liar)]);
    let error = chain.apply(chunk_of(0, 2)).unwrap_err();
    assert!(
        error.message().contains("filter 1 (liar): frames must be of shape [2] with elements of 1 bytes"),
        "{error}"
    );
    let view = chunk_of(0, 4).view(Layout::c_order(1, &[5]).unwrap(), 5).unwrap_err();
    assert!(view.message().contains("are not within those of the frames"), "{view}");
}
