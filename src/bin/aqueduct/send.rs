//! `aqueduct send`: heaps of made-up data, which a receiver can verify.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct::ring::Wait;
use aqueduct::send::group::{Contents, Include, SendGroup};
use aqueduct::send::heap::flavour;
use aqueduct::send::pace::Pace;
use aqueduct::send::sink::{
    Destination, FileFormat, FileSink, Sink, TcpSendConfig, TcpSink, UdpSendConfig, UdpSink,
};
use aqueduct::send::{Report, Request, SendConfig, SendHeap, SendStats, SendStream, SubmitError};
use aqueduct::spead::descriptor::{Descriptor, Layout};
use aqueduct::spead::dtype::Dtype;
use aqueduct::spead::format::Entry;
use aqueduct::spead::id;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::failure::Failure;
use crate::report::hash;
use crate::source::Address;
use crate::{interrupt, terminal, units};

const EXAMPLES: &str = "\
Examples:
  At 4 Gb/s, 10 000 heaps of 1 MiB:
    aqueduct send udp://10.1.0.7:7148 --heaps 10000 --heap-size 1Mi --rate 4G --packet-size 8972
  To two destinations in turn, and verify what one of them got:
    aqueduct recv udp://127.0.0.1:7148 --json > received.txt
    aqueduct send udp://127.0.0.1:7148 udp://127.0.0.1:7149 --json > sent.txt
  Into a capture:
    aqueduct send pcap:made-up.pcap --heaps 10

Each heap has the item 0x1600, `timestamp` (the number of the heap, from 0, times --heap-size), and items 0x1000, 0x1001, … of bytes, `data0`, `data1`, …, that follow
from --seed (0x16 and 0x20, 0x21, … where identifiers have 7 bits). A last heap ends the stream.";

/// Where to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Udp(Address),
    Tcp(Address),
    File(PathBuf, FileFormat),
}

impl Target {
    fn parse(text: OsString) -> Result<Self, String> {
        const EXPECTED: &str = "expected udp://HOST:PORT, tcp://HOST:PORT, pcap:FILE or file:FILE";
        use std::os::unix::ffi::OsStrExt;
        for (prefix, format) in [("pcap:", FileFormat::Pcap), ("file:", FileFormat::Raw)] {
            match text.as_bytes().strip_prefix(prefix.as_bytes()) {
                Some(b"") => return Err(format!("no file after {prefix}")),
                Some(path) => return Ok(Self::File(std::ffi::OsStr::from_bytes(path).into(), format)),
                None => {}
            }
        }
        match text.to_str() {
            Some(text) if text.starts_with("udp:") => Address::parse(text, "udp").map(Self::Udp),
            Some(text) if text.starts_with("tcp:") => Address::parse(text, "tcp").map(Self::Tcp),
            _ => Err(EXPECTED.into()),
        }
    }
}

/// When descriptors are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Descriptors {
    /// With the first heap of each destination
    Once,
    /// With every heap
    Always,
    /// Not at all
    Never,
}

/// Send heaps of made-up data
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where to: udp://HOST:PORT, tcp://HOST:PORT, pcap:FILE or file:FILE (packets, one behind the other). Several of udp or of tcp get heaps in turn
    #[arg(value_name = "DESTINATION", required = true, value_parser = clap::builder::OsStringValueParser::new().try_map(Target::parse))]
    destinations: Vec<Target>,
    /// Heaps in all; 0: until interrupted
    #[arg(long, value_name = "N", default_value_t = 100)]
    heaps: u64,
    /// Bytes of data in a heap
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = units::bytes)]
    heap_size: usize,
    /// Items that these are divided into
    #[arg(long, value_name = "N", default_value = "1", value_parser = units::positive)]
    items: u64,
    /// Bytes of a packet at the most, without the headers of IP and UDP
    #[arg(long, value_name = "BYTES", default_value = "1472", value_parser = units::bytes)]
    packet_size: usize,
    /// Bits of packets per second: 1e9, 500M, 4G; as fast as it goes without it
    #[arg(long, value_name = "BITS_PER_S", value_parser = units::rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Bits of a heap address: 16, 24, … 56
    #[arg(long, value_name = "BITS", default_value_t = 48)]
    heap_address_bits: u8,
    /// When descriptors are sent
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Descriptors::Once)]
    descriptors: Descriptors,
    /// What the data follow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// For multicast groups: the interface to send on, by its address or name
    #[arg(long, value_name = "NAME", default_value = "")]
    interface: String,
    /// Routers that packets may pass; 0: the system's default, which is 1 for multicast groups
    #[arg(long, value_name = "N", default_value_t = 0)]
    ttl: u32,
    /// Hand datagrams to the kernel one by one: programs that capture on this machine see the bunches (GSO) as single long datagrams
    #[arg(long)]
    no_gso: bool,
    /// No heap that ends the stream
    #[arg(long)]
    no_stop: bool,
    /// Print a line of JSON for each heap, with the hashes that `aqueduct recv --json` prints
    #[arg(long)]
    json: bool,
}

fn destination(address: &Address) -> Destination {
    Destination { host: address.host.clone(), port: address.port }
}

fn sink(options: &Options) -> Result<Box<dyn Sink>, Failure> {
    let Options { destinations, interface, ttl, no_gso, .. } = options;
    let addresses = |wanted: fn(&Target) -> Option<&Address>| {
        let found: Option<Vec<Destination>> =
            destinations.iter().map(|target| wanted(target).map(destination)).collect();
        found.ok_or_else(|| Failure::Usage("several destinations must all be udp:// or all be tcp://".into()))
    };
    Ok(match &destinations[..] {
        [Target::File(path, format)] => Box::new(FileSink::create(path, *format)?),
        [Target::Udp(_), ..] => {
            let destinations = addresses(|target| match target {
                Target::Udp(address) => Some(address),
                _ => None,
            })?;
            let interface = interface.clone();
            let config = UdpSendConfig {
                destinations,
                interface,
                ttl: *ttl,
                gso: !no_gso,
                ..UdpSendConfig::default()
            };
            Box::new(UdpSink::new(&config)?)
        }
        _ => {
            let destinations = addresses(|target| match target {
                Target::Tcp(address) => Some(address),
                _ => None,
            })?;
            let connect_timeout = Duration::from_secs(10);
            Box::new(TcpSink::new(&TcpSendConfig { destinations, connect_timeout, buffer_size: 0 })?)
        }
    })
}

/// The items of one destination.
fn group(options: &Options) -> Result<SendGroup, Failure> {
    let mut group = SendGroup::new(flavour(options.heap_address_bits.into())?, 0);
    let bits = u64::from(options.heap_address_bits.min(48));
    let (timestamp_id, data_id) = ids(options);
    let timestamp = Layout::Packed(vec![Entry::new(b'u', bits)?]);
    group.add(Descriptor::new(
        timestamp_id,
        "timestamp",
        "number of the heap times its size",
        vec![],
        timestamp,
    )?)?;
    for i in 0..options.items {
        let layout = Layout::Numpy { dtype: Dtype::parse_scalar("|u1")?, fortran_order: false };
        let shape = vec![Some(size_of_item(options, i))];
        group.add(Descriptor::new(data_id + i, &format!("data{i}"), "made up", shape, layout)?)?;
    }
    Ok(group)
}

/// The identifiers of the timestamp and of the first of data: smaller ones where a flavour has no room for the usual.
fn ids(options: &Options) -> (u64, u64) {
    if options.heap_address_bits > 48 { (0x16, 0x20) } else { (0x1600, 0x1000) }
}

fn size_of_item(options: &Options, i: u64) -> usize {
    let (size, items) = (options.heap_size as u64, options.items);
    (size / items + u64::from(i < size % items)) as usize
}

/// Bytes that follow from a seed (SplitMix64).
fn made_up(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Gives all items the values of a heap; the answer is its line of JSON, if that is wanted.
fn set(
    options: &Options,
    group: &mut SendGroup,
    heap: u64,
    substream: usize,
) -> Result<Option<String>, Failure> {
    let bits = u32::from(options.heap_address_bits.min(48));
    let timestamp = heap.wrapping_mul(options.heap_size as u64) & ((1 << bits) - 1);
    let width = bits.div_ceil(8).next_power_of_two() as usize;
    let (timestamp_id, data_id) = ids(options);
    let bytes = timestamp.to_ne_bytes();
    let bytes = if cfg!(target_endian = "big") { &bytes[8 - width..] } else { &bytes[..width] };
    group.set(timestamp_id, bytes)?;
    let mut items =
        vec![json!({ "id": format!("{timestamp_id:#x}"), "name": "timestamp", "value": timestamp })];
    for i in 0..options.items {
        let data = made_up(options.seed ^ heap << 20 ^ i, size_of_item(options, i));
        if options.json {
            let (id, name) = (format!("{:#x}", data_id + i), format!("data{i}"));
            items.push(json!({ "id": id, "name": name, "shape": [data.len()], "sha256": hash(&data) }));
        }
        group.set_wire(data_id + i, data.into())?;
    }
    Ok(options
        .json
        .then(|| json!({ "heap": heap + 1, "destination": substream, "items": items }).to_string()))
}

fn submit(stream: &SendStream, request: Request) -> Result<(), Failure> {
    match stream.submit(request, Report::Nobody, Wait::Forever) {
        Ok(_) => Ok(()),
        Err(SubmitError::Invalid(error)) => Err(error.into()),
        Err(other) => Err(Failure::Run(format!("{other:?}"))),
    }
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    let n = options.destinations.len();
    let mut groups = (0..n).map(|_| group(&options)).collect::<Result<Vec<_>, _>>()?;
    let pace = Pace { rate: options.rate.map_or(0.0, |rate| rate / 8.0), ..Pace::default() };
    let config =
        SendConfig { max_packet_size: options.packet_size, max_heaps: 8, pace, ..SendConfig::default() };
    let stream = SendStream::new(config, sink(&options)?)?;
    interrupt::on_signal(|| {})?;
    let descriptors = match options.descriptors {
        Descriptors::Once => Include::Stale,
        Descriptors::Always => Include::All,
        Descriptors::Never => Include::None,
    };
    let contents = Contents { descriptors, values: Include::All, repeat_pointers: false };
    let start = Instant::now();
    let mut stdout = std::io::stdout().lock();
    let mut heap = 0;
    while (options.heaps == 0 || heap < options.heaps) && !interrupt::requested() {
        let substream = (heap % n as u64) as usize;
        let group = &mut groups[substream];
        if let Some(line) = set(&options, group, heap, substream)? {
            // Nobody who reads it any more: the heaps are sent all the same.
            let _ = writeln!(stdout, "{line}");
        }
        submit(&stream, Request { substream, ..Request::new(Arc::new(group.heap(contents)?)) })?;
        heap += 1;
    }
    for (substream, group) in groups.iter().enumerate().filter(|_| !options.no_stop) {
        let mut stop = SendHeap::new(group.flavour(), false);
        stop.add_control(id::STREAM_CTRL_STOP)?;
        submit(&stream, Request { substream, ..Request::new(Arc::new(stop)) })?;
    }
    stream.flush(Wait::Forever)?;
    let stats = stream.stats();
    terminal::say(format_args!("{}", summary(&stats, start.elapsed())));
    if stats.heaps_sent == stats.heaps { Ok(()) } else { Err(Failure::Told) }
}

fn summary(stats: &SendStats, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let mut text = format!(
        "sent {} of {} heaps, {} packets, {}B in {seconds:.2} s ({}b/s)",
        stats.heaps_sent,
        stats.heaps,
        stats.packets_sent,
        units::short(stats.bytes_sent as f64),
        units::short(8.0 * stats.bytes_sent as f64 / seconds.max(1e-9)),
    );
    if stats.heaps_failed > 0 {
        text += &format!(
            "; {} heaps failed ({} packets were not sent)",
            stats.heaps_failed, stats.packets_failed
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read() {
        let parse = |text: &str| Target::parse(text.into());
        assert!(matches!(parse("udp://127.0.0.1:1"), Ok(Target::Udp(address)) if address.port == 1));
        assert!(matches!(parse("tcp://[::1]:1"), Ok(Target::Tcp(_))));
        assert_eq!(parse("pcap:a"), Ok(Target::File("a".into(), FileFormat::Pcap)));
        assert_eq!(parse("file:a:b"), Ok(Target::File("a:b".into(), FileFormat::Raw)));
        for (text, part) in [("pcap:", "no file"), ("x", "expected udp://"), ("udp://1", "no port")] {
            assert!(parse(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn data_follow_from_the_seed() {
        assert_eq!(made_up(1, 12), made_up(1, 20)[..12]);
        assert_ne!(made_up(1, 8), made_up(2, 8));
        assert!(made_up(1, 0).is_empty());
    }
}
