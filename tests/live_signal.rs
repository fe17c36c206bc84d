//! Signal streams with a peer that has pyacq's wire format from its description, made of pyzmq, numpy and blosc (tests/live/signal_peer.py): both
//! directions, all kinds of arrays, types, compressions, and the ring file.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "zmq")]

mod peer;
#[path = "peer/script.rs"]
mod script;
mod support;

use std::time::{Duration, Instant};

use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::{self, Layout, c_strides};
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::params::Params;
use aqueduct::signal::transport::zmq::{PublisherConfig, SubscriberConfig, ZmqPublisher, ZmqSubscriber};
use aqueduct::signal::transport::{Publisher, Subscriber};
use script::Script;
use serde_json::{Value as Json, json};
use support::rng::Rng;
use support::sha256;

/// Longer, and it hangs.
const GUARD: Wait = Wait::For(Duration::from_secs(60));

fn peer() -> Option<Script> {
    // Its sockets in the file system have relative paths, and stay there.
    std::env::set_current_dir(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Script::new("signal_peer.py")
}

fn described(chunk: &Chunk) -> Json {
    let target = Layout::c_order(chunk.layout.item(), chunk.layout.shape()).unwrap();
    let mut elements = vec![0; target.size()];
    assert!(chunk.layout.extent().end <= chunk.data.len());
    // SAFETY: the layout lies within the data, as just checked, and the target is a vector of its size.
    unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, elements.as_mut_ptr(), &target) };
    json!({ "index": chunk.index, "shape": chunk.layout.shape(), "sha256": sha256(&elements) })
}

/// A chunk of any bytes, as slicing may see an array: axes permuted, reversed, cut.
fn random_chunk(rng: &mut Rng, params: &Params, index: &mut u64) -> Chunk {
    let item = params.dtype.size();
    let rows = [0, 1, 2, 5, 64, 300][rng.below(6)];
    let shape: Vec<usize> = std::iter::once(rows).chain(params.frame_shape()).collect();
    let mut order: Vec<usize> = (0..shape.len()).collect();
    match rng.below(3) {
        0 => order.reverse(),
        1 => order.rotate_left(1),
        _ => {}
    }
    let steps: Vec<usize> = shape.iter().map(|_| [1, 1, 1, 2][rng.below(4)]).collect();
    let wide: Vec<usize> =
        order.iter().map(|&axis| shape[axis] * steps[axis] + [0, 0, 1][rng.below(3)]).collect();
    let full = c_strides(item, &wide).unwrap();
    let (mut offset, mut strides) = (0, vec![0isize; shape.len()]);
    for (&axis, &stride) in order.iter().zip(&full) {
        strides[axis] = stride * steps[axis] as isize;
        if rng.below(4) == 0 && shape[axis] > 0 {
            offset += strides[axis] * (shape[axis] as isize - 1);
            strides[axis] = -strides[axis];
        }
    }
    let size = wide.iter().product::<usize>() * item;
    let mask = if rng.below(2) == 0 { 0xff } else { 3 };
    let data: Vec<u8> = (0..size).map(|_| rng.next() as u8 & mask).collect();
    let layout = Layout::new(item, offset as usize, &shape, &strides).unwrap();
    *index += rows as u64 + [0, 0, 0, 7][rng.below(4)];
    Chunk { index: *index, layout, data: data.into() }
}

fn dtypes() -> Vec<Json> {
    let mut all: Vec<Json> = [
        "float32",
        "<f4",
        ">f4",
        "<f8",
        ">f8",
        "<f2",
        ">f2",
        "|i1",
        "|u1",
        "<i2",
        ">i2",
        "<u2",
        ">u2",
        "<i4",
        ">i4",
        "<u4",
        ">u4",
        "<i8",
        ">i8",
        "<u8",
        ">u8",
        "<c8",
        ">c16",
        "|b1",
        "|S5",
        "S32",
        "<U3",
        "datetime64[ms]",
        "<m8[ns]",
        "|V7",
        "<f16",
    ]
    .iter()
    .map(|name| json!(name))
    .collect();
    all.push(json!([["time", "<u8"], ["label", "S16"], ["duration", ">f4"]]));
    all.push(json!([["a", "|u1"], ["b", ">i2", [2, 3]], ["c", [["x", "<f8"], ["y", "<c8"]]]]));
    // Larger than what blosc shuffles.
    all.push(json!("S300"));
    all
}

const SHAPES: [&[i64]; 5] = [&[-1], &[-1, 1], &[-1, 3], &[-1, 4, 3], &[-1, 2, 1, 3]];
const COMPRESSIONS: [&str; 3] = ["", "blosc-blosclz", "blosc-lz4"];

/// Params of plain data, all combinations of transport and compression for each type.
fn plain_streams() -> impl Iterator<Item = Json> {
    let ways =
        COMPRESSIONS.iter().flat_map(|compression| ["tcp", "ipc"].map(|protocol| (*compression, protocol)));
    let dtypes = dtypes();
    ways.enumerate().flat_map(move |(way, (compression, protocol))| {
        let dtypes = dtypes.clone();
        dtypes.into_iter().enumerate().filter(move |(i, _)| (i + way) % 3 == 0 || *i < 2).map(move |(i, dtype)| {
            json!({ "protocol": protocol, "interface": "127.0.0.1", "port": "*", "transfermode": "plaindata", "dtype": dtype,
                "shape": SHAPES[(i + way) % SHAPES.len()], "compression": compression })
        })
    })
}

fn ring_streams() -> impl Iterator<Item = Json> {
    let all = dtypes();
    let orders = [json!(null), json!([0, 1, 2]), json!([1, 2, 0]), json!([2, 0, 1])];
    (0..16).map(move |i| {
        let protocol = ["tcp", "ipc"][i % 2];
        json!({ "protocol": protocol, "interface": "127.0.0.1", "port": "*", "transfermode": "sharedmem",
            "dtype": all[(3 * i) % all.len()], "shape": [-1, 4, 3], "compression": "", "buffer_size": 400,
            "double": i % 4 < 2, "axisorder": orders[i / 4] })
    })
}

fn subscribers(publisher: &mut ZmqPublisher, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while publisher.subscribers().unwrap() != count {
        assert!(Instant::now() < deadline, "nobody subscribes");
        std::thread::yield_now();
    }
}

/// Our publisher, the peer's subscriber.
fn to_peer(peer: &mut Script, params: &Json, seed: u64, chunks: usize) {
    let _watch = support::rig::watch("a stream to the peer");
    let params = Params::from_json(&params.to_string()).unwrap();
    let ring = params.shm_id.is_some() || params.buffer_size > 0;
    let overflow = if ring { Overflow::DropOldest } else { Overflow::Block };
    let folder = tempfile::tempdir().unwrap();
    let config =
        PublisherConfig { overflow, folder: Some(folder.path().into()), ..PublisherConfig::default() };
    let mut publisher = ZmqPublisher::bind(&params, &config).unwrap();
    let mut bound = params.clone();
    publisher.describe(&mut bound);
    let text: Json = serde_json::from_str(&bound.to_json()).unwrap();
    peer.tell(&json!({ "do": "subscribe", "params": text, "chunks": chunks }));
    peer.hear("ready");
    subscribers(&mut publisher, 1);
    let (mut rng, mut index, mut sent) = (Rng(seed), 0, Vec::new());
    for _ in 0..chunks {
        let chunk = random_chunk(&mut rng, &params, &mut index);
        let published = publisher.publish(&chunk, GUARD).unwrap();
        assert_eq!((published.inputs, published.timed_out), (1, false));
        sent.push(described(&chunk));
    }
    let received = peer.hear("chunks");
    let received = received.as_array().unwrap();
    assert_eq!(received.len(), sent.len());
    let mut overwritten = 0;
    for (received, sent) in received.iter().zip(&sent) {
        if ring && !received["overwritten"].is_null() {
            assert_eq!(received["index"], sent["index"]);
            overwritten += 1;
        } else {
            assert_eq!(received, sent, "{text}");
        }
    }
    assert!(overwritten < chunks, "all were overwritten");
    drop(publisher);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

/// The peer's publisher, our subscriber.
fn from_peer(peer: &mut Script, params: &Json, seed: u64, chunks: usize) {
    let _watch = support::rig::watch("a stream from the peer");
    peer.tell(&json!({ "do": "publish", "params": params, "seed": seed, "chunks": chunks }));
    let text = peer.hear("params");
    let params = Params::from_json(&text.to_string()).unwrap();
    let mut subscriber = ZmqSubscriber::connect(&params, &SubscriberConfig::default()).unwrap();
    let sent = peer.hear("chunks");
    let sent = sent.as_array().unwrap();
    let ring = params.buffer_size > 0;
    let mut received = Vec::new();
    // The last one cannot be overwritten.
    while received.len() as u64 + subscriber.stats().overwritten_chunks < chunks as u64 {
        let chunk = subscriber.receive(GUARD).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert!(chunk.data.is_empty() || chunk.data.as_ptr().addr().is_multiple_of(8));
        received.push(described(&chunk));
    }
    let stats = subscriber.stats();
    assert_eq!(stats.malformed, 0);
    if ring {
        // What was overwritten is left out, and nothing else.
        let expected = sent.iter().filter(|chunk| received.contains(chunk));
        assert!(received.iter().eq(expected), "{text}");
    } else {
        assert_eq!(received, *sent, "{text}");
    }
}

#[test]
fn plain_data_to_the_peer() {
    let Some(mut peer) = peer() else { return };
    for (seed, params) in plain_streams().enumerate() {
        to_peer(&mut peer, &params, seed as u64, 12);
    }
}

#[test]
fn plain_data_from_the_peer() {
    let Some(mut peer) = peer() else { return };
    for (seed, params) in plain_streams().enumerate() {
        from_peer(&mut peer, &params, seed as u64, 12);
    }
}

#[test]
fn rings_to_the_peer() {
    let Some(mut peer) = peer() else { return };
    for (seed, params) in ring_streams().enumerate() {
        to_peer(&mut peer, &params, seed as u64, 12);
    }
}

#[test]
fn rings_from_the_peer() {
    let Some(mut peer) = peer() else { return };
    for (seed, params) in ring_streams().enumerate() {
        from_peer(&mut peer, &params, seed as u64, 12);
    }
}

#[test]
fn a_peer_that_is_killed_and_comes_again() {
    let Some(mut first) = peer() else { return };
    let _watch = support::rig::watch("a peer that comes again");
    let mut params = json!({ "protocol": "tcp", "interface": "127.0.0.1", "port": "*", "transfermode": "plaindata", "dtype": "<f4",
        "shape": [-1, 2], "compression": "" });
    first.tell(&json!({ "do": "publish", "params": params, "seed": 1, "chunks": 5 }));
    let bound = first.hear("params");
    params["port"] = bound["port"].clone();
    let ours = Params::from_json(&bound.to_string()).unwrap();
    let mut subscriber = ZmqSubscriber::connect(&ours, &SubscriberConfig::default()).unwrap();
    for life in 0..3 {
        // libzmq subscribes anew within calls of its socket only.
        let mut received = Vec::new();
        while received.len() < 5 {
            received.push(described(&subscriber.receive(GUARD).unwrap()));
        }
        assert_eq!(Json::from(received), first.hear("chunks"), "life {life}");
        first.kill();
        if life < 2 {
            first = peer().unwrap();
            first.tell(&json!({ "do": "publish", "params": params, "seed": life, "chunks": 5 }));
            first.hear("params");
        }
    }
    assert_eq!(subscriber.stats().malformed, 0);
}
