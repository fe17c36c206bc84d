//! `aqueduct recv`: packets from sockets and captures, as heaps or in chunks, to the standard output.

use std::sync::Arc;

use aqueduct::chunk::{ChunkRing, ChunkRingStream, DEFAULT_MAX_CHUNKS};
use aqueduct::error::Error;
use aqueduct::recv::heap::{Heap, HeapRingStream, RingConfig};
use aqueduct::recv::reader::{
    Leftover, Polled, Reader, SourceFilter, TcpConfig, TcpReader, UdpConfig, UdpReader,
};
use aqueduct::recv::{EndReason, PacketSink, Stream, StreamConfig};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::layout::Layout;
use crate::progress::Progress;
use crate::report::{End, Report};
use crate::source::{Address, Source};
use crate::{interrupt, terminal, units};

const EXAMPLES: &str = "\
Without placement options each heap is written with its items, as their descriptors tell. With them
heaps go into chunks. They are placed by an item that counts: heap number = item value / STEP, chunk = heap number / N,
and the heap stands at (heap number modulo N) * heap size. Heaps without the item, without a length
or longer than the heap size are counted and left out.

Examples:
  Whatever comes over TCP, item by item:
    aqueduct recv tcp://0.0.0.0:7148
  A stream whose timestamp (item 0x1600) grows by 4096 per heap of 8 KiB, 64 heaps a chunk:
    aqueduct recv udp://0.0.0.0:7148 --item 0x1600 --step 4096 --heap-size 8Ki --heaps-per-chunk 64
  Two multicast groups, as JSON, until 100 chunks have come:
    aqueduct recv udp://239.1.2.3:7148 udp://239.1.2.4:7148 --item 0x1600 --step 4096 \\
      --heap-size 8Ki --heaps-per-chunk 64 --json --count 100
  What another program receives from port 7148, seen on interface eth1:
    aqueduct recv live:eth1 --filter 'udp dst port 7148'
  A capture, placed by heap number (item 1), only what went to one port:
    aqueduct recv pcap:capture.pcap --filter 'udp dst port 20001' --item 1 --step 1 \\
      --heap-size 8Ki --heaps-per-chunk 64

It ends with the first stop item, when all captures have been read, after N chunks (--count), or on
SIGINT, SIGTERM or SIGHUP; then it writes the statistics. A second signal ends it at once.";

/// Receive SPEAD heaps, item by item or in chunks
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// udp://HOST:PORT or tcp://HOST:PORT, to listen on (port 0: any; [..] around IPv6; a multicast group is joined),
    /// pcap:FILE, or live:INTERFACE to capture; several feed one stream
    #[arg(value_name = "SOURCE", required = true, value_parser = OsStringValueParser::new().try_map(Source::parse))]
    sources: Vec<Source>,

    #[command(flatten)]
    placement: Placement,

    /// Newer heaps that may start before a partial heap is given up
    #[arg(long, help_heading = "Reassembly", value_name = "N", default_value_t = StreamConfig::default().max_heaps)]
    max_heaps: usize,
    /// Interleaved senders, told apart by heap number modulo N
    #[arg(long, help_heading = "Reassembly", value_name = "N", default_value_t = 1)]
    substreams: usize,
    /// Accept a heap's packets in any order
    #[arg(long, help_heading = "Reassembly")]
    out_of_order: bool,
    /// Bugs of the sender to live with: the sum of 1, 2, 4 and 8, or 15 for PySPEAD 0.5.2
    #[arg(long, help_heading = "Reassembly", value_name = "N", default_value_t = 0)]
    bug_compat: u8,
    /// Go on after a stop item
    #[arg(long, help_heading = "Reassembly")]
    no_stop: bool,
    /// Chunks that are filled at the same time [default: 2]
    #[arg(long, help_heading = "Reassembly", value_name = "N")]
    max_chunks: Option<usize>,
    /// Chunks in circulation: those being filled and those waiting to be written [default: max-chunks + 4]
    #[arg(long, help_heading = "Reassembly", value_name = "N")]
    chunks: Option<usize>,

    /// Take only packets that pass this filter (language of tcpdump) from captures, files and live ones
    #[arg(long, help_heading = "Sources", value_name = "EXPR")]
    filter: Option<String>,
    /// Join multicast groups on this interface: its name or, for IPv4, its address
    #[arg(long, help_heading = "Sources", value_name = "NAME")]
    interface: Option<String>,
    /// Take packets only from these senders: addresses and networks, separated by commas
    #[arg(long, help_heading = "Sources", value_name = "LIST", value_parser = senders)]
    from: Option<SourceFilter>,
    /// Longest packet to accept from a socket, in bytes [default: 9200 for UDP, 65536 for TCP]
    #[arg(long, help_heading = "Sources", value_name = "BYTES", value_parser = units::bytes)]
    max_size: Option<usize>,
    /// Receive buffer of each socket or live capture, in bytes [default: 8Mi for UDP, 4Mi for TCP, 16Mi for captures]
    #[arg(long, help_heading = "Sources", value_name = "BYTES", value_parser = units::bytes)]
    buffer_size: Option<usize>,

    /// Stop after N heaps or chunks
    #[arg(long, help_heading = "Output", value_name = "N", value_parser = units::positive)]
    count: Option<u64>,
    /// Write a JSON object per line: each heap with its items, or each chunk with its heaps' SHA-256; then the
    /// statistics
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Heaps that may wait to be written.
const HEAPS: usize = 64;

/// The value of `--from`.
fn senders(text: &str) -> Result<SourceFilter, String> {
    match SourceFilter::parse(text) {
        Ok(Some(filter)) => Ok(filter),
        Ok(None) => Err("no senders".into()),
        Err(error) => Err(error.message().into()),
    }
}

/// Where heaps go.
#[derive(Args)]
#[command(next_help_heading = "Placement in chunks (all four, or none)")]
struct Placement {
    /// Item that counts, decimal or 0x...; 1 is the heap number
    #[arg(long, value_name = "ID", value_parser = units::positive)]
    item: Option<u64>,
    /// How much it grows from heap to heap
    #[arg(long, value_name = "N", value_parser = units::positive)]
    step: Option<u64>,
    /// Room for a heap, in bytes; k, M, G, Ki, Mi, Gi may follow
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    heap_size: Option<usize>,
    /// Heaps in a chunk
    #[arg(long, value_name = "N", value_parser = units::bytes)]
    heaps_per_chunk: Option<usize>,
}

impl Placement {
    /// `None` if heaps are not to be placed.
    fn layout(&self) -> Result<Option<Layout>, Failure> {
        if let Self { item: None, step: None, heap_size: None, heaps_per_chunk: None } = self {
            return Ok(None);
        }
        let &Self { item, step, heap_size, heaps_per_chunk } = self;
        let (Some(item), Some(step), Some(heap_size), Some(heaps_per_chunk)) =
            (item, step, heap_size, heaps_per_chunk)
        else {
            let given = [
                ("--item", item.is_some()),
                ("--step", step.is_some()),
                ("--heap-size", heap_size.is_some()),
                ("--heaps-per-chunk", heaps_per_chunk.is_some()),
            ];
            let missing: Vec<&str> =
                given.iter().filter(|(_, given)| !given).map(|&(name, _)| name).collect();
            return Err(Failure::Usage(format!(
                "heaps are placed in chunks by --item, --step, --heap-size and --heaps-per-chunk; missing: {}",
                missing.join(", ")
            )));
        };
        Layout::new(item, step, heap_size, heaps_per_chunk).map(Some).ok_or_else(|| {
            Failure::Usage(format!(
                "--heap-size * --heaps-per-chunk is larger than memory can be ({heap_size} * {heaps_per_chunk})"
            ))
        })
    }
}

/// The failures of all sources, in the order in which they came.
type Failures = Arc<Mutex<Vec<Error>>>;

/// A reader whose failure is noted: the stream's end reason has it only if no other reader went on.
struct Noted {
    reader: Box<dyn Reader>,
    failures: Failures,
}

impl Reader for Noted {
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.reader.fd()
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        let polled = self.reader.poll(sink);
        if let Polled::Failed(error) = &polled {
            self.failures.lock().push(error.clone());
        }
        polled
    }

    fn move_on(&mut self) {
        self.reader.move_on();
    }

    fn leftover(&mut self) -> Leftover {
        self.reader.leftover()
    }
}

impl Options {
    /// Options that nothing would come of.
    fn check(&self, layout: Option<Layout>) -> Result<(), Failure> {
        let any_socket = self.sources.iter().any(|source| matches!(source, Source::Udp(_) | Source::Tcp(_)));
        let any_capture =
            self.sources.iter().any(|source| matches!(source, Source::Pcap(_) | Source::Live(_)));
        let any_buffer = self.sources.iter().any(|source| !matches!(source, Source::Pcap(_)));
        let any_udp = self.sources.iter().any(|source| matches!(source, Source::Udp(_)));
        let idle = |name, scheme| Err(Failure::Usage(format!("{name} needs a source of scheme {scheme}")));
        match self {
            Self { filter: Some(_), .. } if !any_capture => idle("--filter", "pcap: or live:"),
            Self { interface: Some(_), .. } if !any_udp => idle("--interface", "udp://"),
            Self { from: Some(_), .. } if !any_socket => idle("--from", "udp:// or tcp://"),
            Self { max_size: Some(_), .. } if !any_socket => idle("--max-size", "udp:// or tcp://"),
            Self { buffer_size: Some(_), .. } if !any_buffer => {
                idle("--buffer-size", "udp://, tcp:// or live:")
            }
            Self { chunks: None, max_chunks: None, .. } if layout.is_none() => Ok(()),
            _ if layout.is_none() => Err(Failure::Usage(
                "--chunks and --max-chunks need heaps to be placed, by --item and others".into(),
            )),
            &Self { chunks: Some(chunks), .. } if chunks < self.max_chunks() => {
                let rule = format!("--chunks must be at least --max-chunks, which is {}", self.max_chunks());
                Err(Failure::Usage(format!("{rule} (got {chunks})")))
            }
            _ => Ok(()),
        }
    }

    fn max_chunks(&self) -> usize {
        self.max_chunks.unwrap_or(DEFAULT_MAX_CHUNKS)
    }

    /// Opens a source; the answer has what to say of it once all are open.
    fn open(&self, source: &Source) -> Result<(Box<dyn Reader>, Option<String>), Failure> {
        match source {
            Source::Udp(Address { host, port }) => {
                let defaults = UdpConfig::default();
                let reader = UdpReader::new(UdpConfig {
                    host: host.clone(),
                    interface: self.interface.clone().unwrap_or_default(),
                    source_filter: self.from.clone(),
                    port: *port,
                    max_size: self.max_size.unwrap_or(defaults.max_size),
                    buffer_size: self.buffer_size.unwrap_or(defaults.buffer_size),
                    ..defaults
                })?;
                let address = Address { host: host.clone(), port: reader.port() };
                Ok((Box::new(reader), Some(format!("listening on {address}"))))
            }
            Source::Tcp(Address { host, port }) => {
                let defaults = TcpConfig::default();
                let reader = TcpReader::new(TcpConfig {
                    host: host.clone(),
                    port: *port,
                    source_filter: self.from.clone(),
                    max_size: self.max_size.unwrap_or(defaults.max_size),
                    buffer_size: self.buffer_size.unwrap_or(defaults.buffer_size),
                    ..defaults
                })?;
                let address = Address { host: host.clone(), port: reader.port() };
                Ok((Box::new(reader), Some(format!("listening on {address}"))))
            }
            #[cfg(feature = "pcap")]
            Source::Pcap(path) => {
                let reader = aqueduct::recv::reader::PcapReader::open(path, self.filter.as_deref())?;
                Ok((Box::new(reader), None))
            }
            #[cfg(feature = "pcap")]
            Source::Live(device) => {
                use aqueduct::recv::reader::{PcapLiveConfig, PcapLiveReader};
                let defaults = PcapLiveConfig::default();
                let reader = PcapLiveReader::new(PcapLiveConfig {
                    device: device.clone(),
                    filter: self.filter.clone(),
                    buffer_size: self.buffer_size.unwrap_or(defaults.buffer_size),
                    ..defaults
                })?;
                Ok((Box::new(reader), Some(format!("capturing on {device}"))))
            }
            #[cfg(not(feature = "pcap"))]
            Source::Pcap(_) | Source::Live(_) => {
                Err(Failure::Run("this build cannot read captures: it lacks the feature pcap".into()))
            }
        }
    }

    fn stream_config(&self, layout: Option<Layout>) -> StreamConfig {
        StreamConfig {
            max_heaps: self.max_heaps,
            substreams: self.substreams,
            allow_out_of_order: self.out_of_order,
            // Without its length nobody could say whether a heap stays within its place.
            allow_unsized_heaps: layout.is_none(),
            bug_compat: self.bug_compat,
            stop_on_stop_item: !self.no_stop,
            explicit_start: true,
            ..StreamConfig::default()
        }
    }
}

/// A stream, and what comes out of it.
enum Receiver {
    Heaps(HeapRingStream),
    Chunks(ChunkRingStream, Layout),
}

impl Receiver {
    fn new(options: &Options, layout: Option<Layout>) -> Result<Self, Failure> {
        let pool = Arc::new(ThreadPool::new(1, &[])?);
        let config = options.stream_config(layout);
        let Some(layout) = layout else {
            let ring = RingConfig { heaps: HEAPS, contiguous_only: false, ..RingConfig::default() };
            return Ok(Self::Heaps(HeapRingStream::new(&pool, config, ring)?));
        };
        let max_chunks = options.max_chunks();
        let chunks = options.chunks.unwrap_or(max_chunks.saturating_add(4));
        // All chunks fit in either ring, so that at a stop every one of them can be handed over.
        let ring = || ChunkRing::new(chunks).map(Arc::new);
        let stream = ChunkRingStream::new(&pool, config, layout.chunk_config(max_chunks), ring()?, ring()?)?;
        for _ in 0..chunks {
            stream.add_free_chunk(layout.allocate()?);
        }
        Ok(Self::Chunks(stream, layout))
    }

    fn stream(&self) -> &Stream {
        match self {
            Self::Heaps(stream) => stream.stream(),
            Self::Chunks(stream, _) => stream.stream(),
        }
    }

    /// Writes the next heap or chunk.
    fn write_next(&self, wait: Wait, report: &mut Report) -> Result<Next, Failure> {
        let got = match self {
            Self::Heaps(stream) => stream.get(wait).map(|heap| {
                let written = report.heap(&heap);
                Heap::recycle(heap);
                written
            }),
            Self::Chunks(stream, layout) => stream.data_ring().get(wait).map(|chunk| {
                let written = report.chunk(&chunk, *layout);
                stream.add_free_chunk(chunk);
                written
            }),
        };
        match got {
            Ok(written) => written.map(|()| Next::Written),
            Err(GetError::Stopped) => Ok(Next::Ended),
            Err(GetError::Empty | GetError::TimedOut) => Ok(Next::NotYet),
        }
    }
}

/// What came of waiting for output.
#[derive(PartialEq)]
enum Next {
    Written,
    NotYet,
    Ended,
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    let layout = options.placement.layout()?;
    options.check(layout)?;
    let receiver = Arc::new(Receiver::new(&options, layout)?);
    let stream = receiver.stream();
    let failures = Failures::default();
    let mut opened = Vec::new();
    for source in &options.sources {
        let (reader, message) = options.open(source)?;
        opened.extend(message);
        stream.add_reader(Box::new(Noted { reader, failures: failures.clone() }))?;
    }
    interrupt::on_signal({
        let receiver = receiver.clone();
        move || {
            // An error only from the stream's own worker, which this is not.
            let _ = receiver.stream().stop();
        }
    })?;
    for message in opened {
        terminal::say(format_args!("{message}"));
    }
    stream.start();

    let mut report = Report::new(options.json);
    let written = write_all(&receiver, &mut report, options.count);
    // When the ring stops, the worker is just about to say why.
    stream.stop()?;
    written?;
    terminal::end_progress();
    let end = End {
        reason: stream.end_reason().unwrap_or(EndReason::User),
        names: stream.stats(),
        stats: stream.snapshot(),
        failures: std::mem::take(&mut *failures.lock()),
    };
    report.end(&end)?;
    verdict(&end)
}

/// Writes until the stream ends, enough has come or nobody reads it.
fn write_all(receiver: &Receiver, report: &mut Report, count: Option<u64>) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let mut written = 0;
    loop {
        let wait = progress.as_ref().map_or(Wait::Forever, Progress::wait);
        match receiver.write_next(wait, report)? {
            Next::Ended => return Ok(()),
            Next::NotYet => {}
            Next::Written => {
                written += 1;
                if report.is_closed() || count.is_some_and(|count| written >= count) {
                    return Ok(());
                }
            }
        }
        if let Some(progress) = &mut progress {
            progress.update(|| receiver.stream().snapshot());
        }
    }
}

/// Whether all went well.
fn verdict(end: &End<'_>) -> Result<(), Failure> {
    if !end.ledger_closed() {
        return Err(Failure::Run(
            "the ledger does not close: this is a bug in Aqueduct, please report it".into(),
        ));
    }
    match &end.reason {
        // A reader's failure is in the log.
        EndReason::Failed(error) if !end.failures.contains(error) => Err(Failure::Run(error.to_string())),
        _ if !end.failures.is_empty() => Err(Failure::Told),
        _ => Ok(()),
    }
}
