//! Self-describing heaps that we send, and spead2 receives: every item must arrive as it was set, from a file, a capture, over UDP and TCP.
//!
//! Types, formats, shapes, flavours, bug compatibility, packet sizes and redefinitions are drawn by a seed. Skipped, with a message, where the peer cannot be
//! installed (tools/peer-venv.sh); under CI that is a failure. `AQ_LIVE_CASES` sets how many streams are compared from files.

mod peer;
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aqueduct::ring::Wait;
use aqueduct::send::group::{Contents, Include, SendGroup};
use aqueduct::send::heap::flavour;
use aqueduct::send::pace::Pace;
use aqueduct::send::sink::{
    Destination, FileFormat, FileSink, Sink, TcpSendConfig, TcpSink, UdpSendConfig, UdpSink,
};
use aqueduct::send::{End, Report, Request, SendConfig, SendHeap, SendStream};
use aqueduct::spead::descriptor::{Descriptor, Layout};
use aqueduct::spead::dtype::{Dtype, Kind};
use aqueduct::spead::format::Entry;
use aqueduct::spead::id;
use aqueduct::spead::value::Value;
use serde_json::{Value as Json, json};
use support::rng::Rng;
use support::sha256;

/// The receiver: a python that takes commands.
struct Receiver {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Receiver {
    fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/receive_items_spead2.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    fn command(&mut self, command: &Json) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    fn answer(&mut self) -> Json {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn port(&mut self) -> u16 {
        self.answer()["port"].as_u64().unwrap() as u16
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

const SCALARS: [&str; 18] = [
    "|u1", "|i1", "<u2", ">u2", "<i4", ">i4", "<u8", ">i8", "<f2", ">f4", "<f8", ">c8", "<c16", "|S5", "<U3",
    ">U2", "|b1", "|V7",
];

/// One stream: what is drawn for it, and what a receiver should make of it.
struct Source {
    rng: Rng,
    bits: i64,
    bug_compat: u8,
    group: SendGroup,
    /// By identifier, up to date.
    items: BTreeMap<u64, String>,
}

impl Source {
    fn new(seed: u64, bug_compat: Option<u8>) -> Self {
        let mut rng = Rng(seed);
        let bits = [24, 32, 40, 48, 56][rng.below(5)];
        let drawn = if rng.below(3) == 0 { rng.below(16) as u8 } else { 0 };
        let bug_compat = bug_compat.unwrap_or(drawn);
        let group = SendGroup::new(flavour(bits).unwrap(), bug_compat);
        let mut source = Self { rng, bits, bug_compat, group, items: BTreeMap::new() };
        for i in 0..1 + source.rng.below(6) {
            source.define(i as u64);
        }
        source
    }

    fn dtype(&mut self, depth: usize) -> String {
        if depth < 2 && self.rng.below(4) == 0 {
            let fields: Vec<String> = (0..1 + self.rng.below(4))
                .map(|i| {
                    let base = self.dtype(depth + 1);
                    let base = if base.starts_with('[') { base } else { format!("'{base}'") };
                    let shape = if self.rng.below(3) == 0 {
                        format!(", ({},)", 1 + self.rng.below(3))
                    } else {
                        String::new()
                    };
                    format!("('field{i}', {base}{shape})")
                })
                .collect();
            return format!("[{}]", fields.join(", "));
        }
        SCALARS[self.rng.below(SCALARS.len())].to_owned()
    }

    fn entry(&mut self) -> Entry {
        let letter = b"uiuifcb"[self.rng.below(7)];
        let bits = match letter {
            b'f' => [32, 64][self.rng.below(2)],
            b'c' => 8,
            b'b' => [1, 8][self.rng.below(2)],
            _ => 1 + self.rng.below(64),
        };
        Entry::new(letter, bits as u64).unwrap()
    }

    /// Describes the i-th item, perhaps anew.
    fn define(&mut self, i: u64) {
        let id = if self.bits == 56 { 0x30 } else { 0x1000 } + i;
        let name = format!("item{i}");
        loop {
            let mut shape: Vec<Option<usize>> =
                (0..self.rng.below(3)).map(|_| Some(1 + self.rng.below(4))).collect();
            let layout = if self.rng.below(2) == 0 {
                let text = self.dtype(0);
                let dtype = if text.starts_with('[') {
                    Dtype::parse_fields(&text)
                } else {
                    Dtype::parse_scalar(&text)
                };
                Layout::Numpy { dtype: dtype.unwrap(), fortran_order: self.rng.below(2) == 0 }
            } else {
                let entries: Vec<Entry> =
                    (0..[1, 1, 2, 3][self.rng.below(4)]).map(|_| self.entry()).collect();
                // An element of less than a byte leaves a variable dimension in doubt.
                let width: usize = entries.iter().map(|entry| usize::from(entry.bits)).sum();
                if width >= 8 && !shape.is_empty() && self.rng.below(2) == 0 {
                    let variable = self.rng.below(shape.len());
                    shape[variable] = None;
                }
                Layout::Packed(entries)
            };
            let descriptor = Descriptor::new(id, &name, "what it is", shape, layout).unwrap();
            // A scalar that has no format, where it would need one, is refused.
            if self.group.add(descriptor).is_ok() {
                self.items.insert(id, name);
                return;
            }
        }
    }

    /// Bytes of a value of a type: any, but for bools and characters.
    fn random(&mut self, dtype: &Dtype, out: &mut Vec<u8>) {
        match dtype {
            Dtype::Record(fields, _) => {
                for field in fields {
                    (0..field.shape.iter().product()).for_each(|_| self.random(&field.dtype, out));
                }
            }
            Dtype::Scalar(scalar) => match scalar.kind {
                Kind::Bool => out.push(self.rng.below(2) as u8),
                Kind::Bytes => out.extend((0..scalar.size).map(|_| b'a' + self.rng.below(26) as u8)),
                Kind::Unicode => {
                    (0..scalar.size / 4)
                        .for_each(|_| out.extend((b'a' as u32 + self.rng.below(26) as u32).to_ne_bytes()));
                }
                _ => out.extend((0..scalar.size).map(|_| self.rng.next() as u8)),
            },
        }
    }

    /// A value of a format's entry: its bytes in memory, and what the receiver tells.
    fn random_entry(&mut self, entry: Entry, out: &mut Vec<u8>) -> Json {
        let bits = u32::from(entry.bits);
        let size = entry.bits.div_ceil(8).next_power_of_two() as usize;
        let raw = self.rng.next() >> (64 - bits);
        let mut push = |value: u64, size: usize| out.extend(&value.to_le_bytes()[..size]);
        match entry.letter {
            'u' => {
                push(raw, size);
                json!(raw)
            }
            'i' => {
                let value = ((raw << (64 - bits)) as i64) >> (64 - bits);
                push(value as u64, size);
                json!(value)
            }
            'f' if bits == 32 => {
                let value = self.rng.below(1 << 20) as f32 / 8.0;
                push(value.to_bits().into(), 4);
                json!(f64::from(value))
            }
            'f' => {
                let value = self.rng.below(1 << 40) as f64 / 8.0;
                push(value.to_bits(), 8);
                json!(value)
            }
            'c' => {
                let value = b'a' + (raw % 26) as u8;
                push(value.into(), 1);
                json!(char::from(value).to_string())
            }
            _ => {
                push(raw & 1, 1);
                json!(raw & 1 == 1)
            }
        }
    }

    /// Gives an item a value, and tells what a receiver should find.
    fn set(&mut self, id: u64) -> Json {
        let descriptor = self.group.descriptor(id).unwrap().clone();
        let shape: Vec<usize> =
            descriptor.shape.iter().map(|size| size.unwrap_or_else(|| 1 + self.rng.below(6))).collect();
        let count = shape.iter().product();
        let mut bytes = Vec::new();
        let about = match &descriptor.layout {
            Layout::Numpy { fortran_order, .. } => {
                let dtype = descriptor.dtype().clone();
                (0..count).for_each(|_| self.random(&dtype, &mut bytes));
                let value = Value {
                    dtype,
                    shape: shape.clone(),
                    fortran_order: *fortran_order,
                    bytes: bytes.clone(),
                };
                json!({
                    "id": id,
                    "shape": shape,
                    "dtype": value.dtype.to_string(),
                    "order": if *fortran_order { "F" } else { "C" },
                    "sha256": sha256(&value.c_order_bytes()),
                })
            }
            Layout::Packed(entries) => {
                let values: Vec<Json> = (0..count)
                    .map(|_| {
                        let mut fields: Vec<Json> =
                            entries.iter().map(|&entry| self.random_entry(entry, &mut bytes)).collect();
                        if fields.len() == 1 { fields.remove(0) } else { Json::Array(fields) }
                    })
                    .collect();
                json!({ "id": id, "shape": shape, "values": values })
            }
        };
        self.group.set(id, &bytes).unwrap();
        about
    }

    /// A heap with a new value of each item.
    fn heap(&mut self, cnt: u64) -> (Arc<SendHeap>, Json) {
        if cnt > 1 && self.rng.below(5) == 0 {
            let i = self.rng.below(self.items.len()) as u64;
            self.define(i);
        }
        let mut items = serde_json::Map::new();
        for (id, name) in self.items.clone() {
            items.insert(name, self.set(id));
        }
        let descriptors = if self.rng.below(5) == 0 { Include::All } else { Include::Stale };
        let contents = Contents { descriptors, values: Include::Stale, repeat_pointers: false };
        let mut heap = self.group.heap(contents).unwrap();
        if cnt == 1 {
            heap.add_control(id::STREAM_CTRL_START).unwrap();
        }
        let about = json!({ "cnt": cnt, "flavour": self.bits, "start": cnt == 1, "items": items });
        (Arc::new(heap), about)
    }
}

/// Sends heaps and a stop item; the answer is what a receiver should find.
fn send(stream: &SendStream, source: &mut Source, n: u64) -> Vec<Json> {
    let mut sent = Vec::new();
    for cnt in 1..=n {
        let (heap, about) = source.heap(cnt);
        let result = stream.send(Request::new(heap), Wait::Forever).unwrap();
        assert_eq!((result.cnt, result.end), (cnt, End::Sent));
        sent.push(about);
    }
    let mut stop = SendHeap::new(flavour(source.bits).unwrap(), false);
    stop.add_control(id::STREAM_CTRL_STOP).unwrap();
    stream.submit(Request::new(Arc::new(stop)), Report::Nobody, Wait::Forever).unwrap();
    assert!(stream.flush(Wait::Forever).unwrap());
    assert!(stream.stats().ledger_closes());
    assert_eq!(stream.stats().heaps_sent, n + 1);
    sent
}

fn compare(received: &Json, sent: &[Json], what: &str) {
    let heaps = received["heaps"].as_array().unwrap();
    for (received, sent) in heaps.iter().zip(sent) {
        assert_eq!(received, sent, "{what}");
    }
    assert_eq!((heaps.len(), &received["incomplete"]), (sent.len(), &json!(0)), "{what}");
}

fn stream(max_packet_size: usize, rate: f64, sink: Box<dyn Sink>) -> SendStream {
    let pace = Pace { rate, ..Pace::default() };
    SendStream::new(SendConfig { max_packet_size, pace, ..SendConfig::default() }, sink).unwrap()
}

#[test]
fn random_items_through_files_and_captures() {
    let Some(python) = peer::python() else { return };
    let _watch = support::rig::watch("files");
    let cases = std::env::var("AQ_LIVE_CASES").map_or(60, |cases| cases.parse().unwrap());
    let mut receiver = Receiver::start(&python);
    for seed in 0..cases {
        let mut source = Source::new(seed, None);
        let file = tempfile::NamedTempFile::new().unwrap();
        let (from, format) =
            if seed % 4 == 3 { ("pcap", FileFormat::Pcap) } else { ("file", FileFormat::Raw) };
        let packet_size = [56, 64, 200, 1472, 1472, 8972][source.rng.below(6)];
        let sink = FileSink::create(file.path(), format).unwrap();
        let sent = send(&stream(packet_size, 0.0, Box::new(sink)), &mut source, 6);
        // The fourth is of senders only.
        receiver.command(&json!({ "from": from, "path": file.path(), "bug_compat": source.bug_compat & 7 }));
        let what = format!("seed {seed}, bug_compat {}, {packet_size}", source.bug_compat);
        compare(&receiver.answer(), &sent, &what);
    }
}

#[test]
fn random_items_over_udp_and_tcp() {
    let Some(python) = peer::python() else { return };
    let _watch = support::rig::watch("networks");
    let mut receiver = Receiver::start(&python);
    for (seed, max_packet_size) in [(1000, 1472), (1001, 4000), (1002, 8972)] {
        for transport in ["udp", "tcp"] {
            receiver.command(&json!({ "from": transport, "bug_compat": 0 }));
            let destinations = vec![Destination { host: "127.0.0.1".into(), port: receiver.port() }];
            let sink: Box<dyn Sink> = match transport {
                "udp" => Box::new(
                    UdpSink::new(&UdpSendConfig { destinations, ..UdpSendConfig::default() }).unwrap(),
                ),
                _ => {
                    let connect_timeout = Duration::from_secs(20);
                    Box::new(
                        TcpSink::new(&TcpSendConfig { destinations, connect_timeout, buffer_size: 0 })
                            .unwrap(),
                    )
                }
            };
            let mut source = Source::new(seed, Some(0));
            let sent = send(&stream(max_packet_size, 20e6, sink), &mut source, 30);
            compare(&receiver.answer(), &sent, transport);
        }
    }
}

/// One stream, two receivers: each gets the heaps of its substream, also when their packets are interleaved.
#[test]
fn substreams_reach_their_receivers() {
    use aqueduct::send::Order;
    let Some(python) = peer::python() else { return };
    let _watch = support::rig::watch("substreams");
    let mut receivers = [Receiver::start(&python), Receiver::start(&python)];
    let destinations = receivers
        .iter_mut()
        .map(|receiver| {
            receiver.command(&json!({ "from": "udp", "bug_compat": 0 }));
            Destination { host: "127.0.0.1".into(), port: receiver.port() }
        })
        .collect();
    let sink = UdpSink::new(&UdpSendConfig { destinations, ..UdpSendConfig::default() }).unwrap();
    let stream = stream(1472, 20e6, Box::new(sink));
    let mut sources = [Source::new(7, Some(0)), Source::new(8, Some(0))];
    let mut sent = [vec![], vec![]];
    for cnt in 1..=10 {
        let mut requests = Vec::new();
        for (substream, source) in sources.iter_mut().enumerate() {
            let (heap, about) = source.heap(cnt);
            sent[substream].push(about);
            requests.push(Request { cnt: Some(cnt), substream, ..Request::new(heap) });
        }
        stream.submit_group(requests, Order::RoundRobin, Report::Nobody, Wait::Forever).unwrap();
    }
    for (substream, source) in sources.iter().enumerate() {
        let mut stop = SendHeap::new(flavour(source.bits).unwrap(), false);
        stop.add_control(id::STREAM_CTRL_STOP).unwrap();
        let request = Request { substream, ..Request::new(Arc::new(stop)) };
        stream.submit(request, Report::Nobody, Wait::Forever).unwrap();
    }
    assert!(stream.flush(Wait::Forever).unwrap());
    assert_eq!((stream.stats().heaps_sent, stream.stats().refused), (22, 0));
    for (receiver, sent) in receivers.iter_mut().zip(&sent) {
        compare(&receiver.answer(), sent, "a substream");
    }
}
