//! Filters with numpy as their judge (tests/live/filter_numpy.py): arrays as slicing leaves them, all numbers in both byte orders.
//!
//! Skipped, with a message, where numpy cannot be installed (tools/peer-venv.sh); under CI that is a failure.

mod peer;
#[path = "peer/script.rs"]
mod script;

use aqueduct::signal::array::{self, Layout};
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::filter::{
    Cast, Chain, Channels, Decimate, Factors, Filter, Frames, Precision, Reshape, Scale,
};
use aqueduct::signal::numpy::{dtype_from_json, dtype_to_json};
use aqueduct::signal::params::Params;
use script::Script;
use serde_json::{Value as Json, json};

const NUMBERS: [&str; 25] = [
    "|b1", "|i1", "|u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8",
    "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Has numpy make an array, a filter work on it, and numpy say what it thinks of that. `filter` is told the array's shape.
fn judge(numpy: &mut Script, command: &Json, filter: impl FnOnce(&[usize]) -> Box<dyn Filter>) {
    numpy.tell(command);
    let array = numpy.hear("array");
    let number = |name: &str| array[name].as_u64().unwrap() as usize;
    let numbers =
        |name: &str| array[name].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect::<Vec<_>>();
    let shape: Vec<usize> = numbers("shape").iter().map(|&n| n as usize).collect();
    let strides: Vec<isize> = numbers("strides").iter().map(|&n| n as isize).collect();
    let memory = bytes(array["memory"].as_str().unwrap());
    let layout = Layout::new(number("item"), number("offset"), &shape, &strides).unwrap();
    let frame: Vec<i64> = std::iter::once(-1).chain(numbers("shape").split_off(1)).collect();
    let mut chain = Chain::new(Params::new(dtype_from_json(&command["from"]).unwrap(), &frame));
    chain.push(filter(&shape)).unwrap();
    let chunk = Chunk { index: shape[0] as u64, layout, data: memory.into() };
    let made = chain.apply(Frames::shared(chunk).unwrap()).unwrap().unwrap();
    let target = Layout::c_order(made.layout.item(), made.layout.shape()).unwrap();
    let mut elements = vec![0; target.size()];
    // SAFETY: a chunk's layout lies within its data, and the target is a vector of its size.
    unsafe { array::copy(made.data.as_ptr(), &made.layout, elements.as_mut_ptr(), &target) };
    let dtype = dtype_to_json(&chain.params().dtype);
    numpy.tell(&json!({ "shape": made.layout.shape(), "dtype": dtype, "elements": hex(&elements) }));
    assert_eq!(numpy.hear("judged"), "same", "{command}");
}

#[test]
fn casts_are_numpys() {
    let Some(mut numpy) = Script::new("filter_numpy.py") else { return };
    for (i, from) in NUMBERS.iter().enumerate() {
        for (j, to) in NUMBERS.iter().enumerate() {
            let command = json!({ "do": "cast", "from": from, "to": to, "seed": 100 * i + j });
            judge(&mut numpy, &command, |_| Box::new(Cast::to(dtype_from_json(&json!(to)).unwrap())));
        }
    }
    let record = json!([["a", ">u2"], ["b", "<i4", [2, 3]], ["c", "|S3"], ["d", ">M8[ms]"]]);
    let other = json!([["a", "<u2"], ["b", ">i4", [2, 3]], ["c", "|S3"], ["d", "<M8[ms]"]]);
    for (seed, (from, to)) in
        [(&record, &other), (&json!(">M8[ns]"), &json!("<M8[ns]")), (&json!("<U3"), &json!(">U3"))]
            .into_iter()
            .enumerate()
    {
        let command = json!({ "do": "cast", "from": from, "to": to, "seed": seed });
        judge(&mut numpy, &command, |_| Box::new(Cast::to(dtype_from_json(to).unwrap())));
    }
}

#[test]
fn scaling_is_numpys() {
    let Some(mut numpy) = Script::new("filter_numpy.py") else { return };
    for (seed, from) in NUMBERS.iter().enumerate() {
        let complex = from.contains('c');
        for (precision, real, pair) in [(Precision::Single, "<f4", "<c8"), (Precision::Double, "<f8", "<c16")]
        {
            let to = if complex { pair } else { real };
            let (scale, offset) = (0.195, -6389.76);
            let command = json!({ "do": "scale", "from": from, "to": to, "scale": scale, "offset": offset, "seed": seed });
            judge(&mut numpy, &command, |_| {
                Box::new(Scale::new(Factors::Given { scale, offset }, precision).unwrap())
            });
        }
    }
}

#[test]
fn selections_and_shapes_are_numpys() {
    let Some(mut numpy) = Script::new("filter_numpy.py") else { return };
    let types = [json!("<i2"), json!(">c16"), json!("|S5"), json!([["t", "<u8"], ["x", "|u1", [3]]])];
    for (i, from) in types.iter().enumerate() {
        for seed in 10 * i..10 * i + 10 {
            for indices in [vec![0usize], vec![2, 1, 0], vec![0, 2, 4], vec![1, 1], vec![7, 0, 3, 2, 2]] {
                let command = json!({ "do": "channels", "from": from, "indices": indices, "seed": seed });
                judge(&mut numpy, &command, |shape| {
                    let last = shape[shape.len() - 1];
                    Box::new(Channels::new(&indices.iter().map(|i| i % last).collect::<Vec<_>>()))
                });
            }
            for every in [1, 2, 5] {
                let command = json!({ "do": "decimate", "from": from, "every": every, "seed": seed });
                judge(&mut numpy, &command, |_| Box::new(Decimate::new(every).unwrap()));
            }
            for shape in [vec![-1], vec![1, -1, 1]] {
                let command = json!({ "do": "reshape", "from": from, "shape": shape, "seed": seed });
                judge(&mut numpy, &command, |_| Box::new(Reshape::new(&shape)));
            }
        }
    }
}
