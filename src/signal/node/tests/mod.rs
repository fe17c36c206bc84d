//! Nodes between real outputs and inputs: indices and gaps exact, nothing lost that is not counted, and every stop comes to an end.

mod graph;
mod life;
mod model;
mod nodes;
mod slow;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::poll_thread::{Callback, Event, Then, poll_thread};
use super::splitter::Selection;
use super::thread::Node;
use crate::error::Result;
use crate::ring::{Overflow, Wait};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::input::{Input, Received};
use crate::signal::numpy::parse_dtype;
use crate::signal::open::{InputConfig, OutputConfig};
use crate::signal::output::{Output, Sent};
use crate::signal::params::{Params, Protocol};
use crate::signal::shared::{SharedInput, SharedOutput};

/// No test waits longer, whatever is wrong.
const GUARD: Wait = Wait::For(Duration::from_secs(60));

fn params(protocol: Protocol, channels: i64) -> Params {
    Params { protocol, ..Params::new(parse_dtype("<u2").unwrap(), &[-1, channels]) }
}

/// An output with the policy to block.
fn output(protocol: Protocol, channels: i64) -> SharedOutput {
    SharedOutput::new(Output::open(params(protocol, channels), &OutputConfig::default()).unwrap())
}

fn inproc(channels: i64, overflow: Overflow, queue: u32) -> SharedOutput {
    let config = OutputConfig { overflow: Some(overflow), queue, ..OutputConfig::default() };
    SharedOutput::new(Output::open(params(Protocol::Inproc, channels), &config).unwrap())
}

/// An input of that output, found by its params' text.
fn input(output: &SharedOutput) -> SharedInput {
    let params = Params::from_json(&output.params().to_json()).unwrap();
    SharedInput::new(Input::connect(params, &InputConfig::default()).unwrap())
}

fn select(channels: &[usize]) -> Selection {
    Selection { name: "left".into(), channels: channels.to_vec() }
}

/// What channel `channel` of frame `index` is.
fn value(index: u64, channel: usize) -> u16 {
    (index * 31 + channel as u64 * 7) as u16
}

/// Sends frames.
fn send(output: &SharedOutput, frames: Range<u64>) {
    let channels = output.params().shape[1] as usize;
    let values = frames.clone().flat_map(|index| (0..channels).map(move |channel| value(index, channel)));
    let data: Vec<u8> = values.flat_map(u16::to_le_bytes).collect();
    let layout = Layout::c_order(2, &[(frames.end - frames.start) as usize, channels]).unwrap();
    let sent = output.lock().send_shared(data.into(), layout, Some(frames.end), GUARD).unwrap();
    let Sent::Taken(published) = sent else { panic!("{frames:?} were refused") };
    assert!(!published.timed_out, "{frames:?} found no space");
}

/// Values in C order.
fn values(chunk: &Chunk) -> Vec<u16> {
    let target = Layout::c_order(2, chunk.layout.shape()).unwrap();
    let mut bytes = vec![0; target.size()];
    // SAFETY: a chunk's layout lies within its data, and the target is a vector of its size.
    unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, bytes.as_mut_ptr(), &target) };
    bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// The frames of a chunk, and the gap before it. Its values must be those of these channels.
fn checked(received: &Received, channels: &[usize]) -> (Range<u64>, Range<u64>) {
    let frames = received.chunk.start()..received.chunk.index;
    let expected: Vec<u16> =
        frames.clone().flat_map(|index| channels.iter().map(move |&channel| value(index, channel))).collect();
    assert_eq!(values(&received.chunk), expected, "frames {frames:?}");
    (frames, received.gap.clone())
}

/// What comes next.
fn next(input: &SharedInput, channels: &[usize]) -> (Range<u64>, Range<u64>) {
    checked(&input.lock().receive(GUARD).unwrap(), channels)
}

/// What waits in the input, without waiting for more.
fn rest(input: &SharedInput, channels: &[usize]) -> Vec<(Range<u64>, Range<u64>)> {
    let mut input = input.lock();
    std::iter::from_fn(|| input.receive(Wait::No).ok().map(|received| checked(&received, channels))).collect()
}

/// What a poll thread has seen.
#[derive(Default)]
struct Seen {
    chunks: Vec<(Range<u64>, Range<u64>)>,
    events: Vec<String>,
}

/// Keeps what it sees; others may wait for that.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Seen>, Condvar)>);

struct Keeper {
    log: Log,
    channels: Vec<usize>,
}

impl Callback for Keeper {
    fn chunk(&mut self, received: Received) -> Result<Then> {
        let seen = checked(&received, &self.channels);
        self.log.0.0.lock().chunks.push(seen);
        self.log.0.1.notify_all();
        Ok(Then::GoOn)
    }

    fn event(&mut self, event: Event<'_>) {
        self.log.0.0.lock().events.push(format!("{event:?}"));
        self.log.0.1.notify_all();
    }
}

impl Log {
    fn wait(&self, what: impl Fn(&Seen) -> bool) {
        let mut seen = self.0.0.lock();
        while !what(&seen) {
            assert!(!self.0.1.wait_for(&mut seen, Duration::from_secs(60)).timed_out(), "{:?}", seen.chunks);
        }
    }

    /// What was seen up to now.
    fn chunks(&self) -> Vec<(Range<u64>, Range<u64>)> {
        self.0.0.lock().chunks.clone()
    }
}

/// A poll thread that keeps what comes.
fn keeper(input: SharedInput, channels: &[usize]) -> (Node, Log) {
    let log = Log::default();
    let node = poll_thread(input, Keeper { log: log.clone(), channels: channels.to_vec() }).unwrap();
    (node, log)
}
