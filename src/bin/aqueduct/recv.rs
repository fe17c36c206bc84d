//! `aqueduct recv`: packets from sockets and captures, in chunks, to the standard output.

use std::sync::Arc;

use aqueduct::chunk::{ChunkRing, ChunkRingStream, DEFAULT_MAX_CHUNKS};
use aqueduct::error::Error;
use aqueduct::recv::reader::{Leftover, Polled, Reader, UdpConfig, UdpReader};
use aqueduct::recv::{EndReason, PacketSink, StreamConfig};
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
Heaps are placed by an item that counts: heap number = item value / STEP, chunk = heap number / N,
and the heap stands at (heap number modulo N) * heap size. Heaps without the item, without a length
or longer than the heap size are counted and left out.

Examples:
  A stream whose timestamp (item 0x1600) grows by 4096 per heap of 8 KiB, 64 heaps a chunk:
    aqueduct recv udp://0.0.0.0:7148 --item 0x1600 --step 4096 --heap-size 8Ki --heaps-per-chunk 64
  Two multicast groups, as JSON, until 100 chunks have come:
    aqueduct recv udp://239.1.2.3:7148 udp://239.1.2.4:7148 --item 0x1600 --step 4096 \\
      --heap-size 8Ki --heaps-per-chunk 64 --json --count 100
  A capture, placed by heap number (item 1), only what went to one port:
    aqueduct recv pcap:capture.pcap --filter 'udp dst port 20001' --item 1 --step 1 \\
      --heap-size 8Ki --heaps-per-chunk 64

It ends with the first stop item, when all captures have been read, after N chunks (--count), or on
SIGINT, SIGTERM or SIGHUP; then it writes the statistics. A second signal ends it at once.";

/// Receive SPEAD heaps in chunks
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// udp://HOST:PORT (port 0: any; [..] around IPv6; a multicast group is joined) or pcap:FILE; several feed one
    /// stream
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
    /// Chunks that are filled at the same time
    #[arg(long, help_heading = "Reassembly", value_name = "N", default_value_t = DEFAULT_MAX_CHUNKS)]
    max_chunks: usize,
    /// Chunks in circulation: those being filled and those waiting to be written [default: max-chunks + 4]
    #[arg(long, help_heading = "Reassembly", value_name = "N")]
    chunks: Option<usize>,

    /// Take only packets that pass this filter (language of tcpdump) from captures
    #[arg(long, help_heading = "Sources", value_name = "EXPR")]
    filter: Option<String>,
    /// Longest UDP packet to accept, in bytes [default: 9200]
    #[arg(long, help_heading = "Sources", value_name = "BYTES", value_parser = units::bytes)]
    max_size: Option<usize>,
    /// Receive buffer of each UDP socket, in bytes [default: 8Mi]
    #[arg(long, help_heading = "Sources", value_name = "BYTES", value_parser = units::bytes)]
    buffer_size: Option<usize>,

    /// Stop after N chunks
    #[arg(long, help_heading = "Output", value_name = "N", value_parser = units::positive)]
    count: Option<u64>,
    /// Write a JSON object per line: each chunk with its heaps' SHA-256, then the statistics
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Where heaps go.
#[derive(Args)]
#[command(next_help_heading = "Placement (all four are needed)")]
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
    fn layout(&self) -> Result<Layout, Failure> {
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
                "heaps are placed in chunks by --item, --step, --heap-size and --heaps-per-chunk; missing: {} \
                 (output of single heaps comes in a later version)",
                missing.join(", ")
            )));
        };
        Layout::new(item, step, heap_size, heaps_per_chunk).ok_or_else(|| {
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

    fn leftover(&mut self) -> Leftover {
        self.reader.leftover()
    }
}

impl Options {
    /// Options that nothing would come of.
    fn check(&self) -> Result<(), Failure> {
        let any_udp = self.sources.iter().any(|source| matches!(source, Source::Udp(_)));
        let any_pcap = self.sources.iter().any(|source| matches!(source, Source::Pcap(_)));
        let idle = |name, scheme| Err(Failure::Usage(format!("{name} needs a source of scheme {scheme}")));
        match self {
            Self { filter: Some(_), .. } if !any_pcap => idle("--filter", "pcap:"),
            Self { max_size: Some(_), .. } if !any_udp => idle("--max-size", "udp://"),
            Self { buffer_size: Some(_), .. } if !any_udp => idle("--buffer-size", "udp://"),
            &Self { chunks: Some(chunks), max_chunks, .. } if chunks < max_chunks => Err(Failure::Usage(
                format!("--chunks must be at least --max-chunks, which is {max_chunks} (got {chunks})"),
            )),
            _ => Ok(()),
        }
    }

    /// Opens a source. For UDP the answer has the address that it listens on.
    fn open(&self, source: &Source) -> Result<(Box<dyn Reader>, Option<Address>), Failure> {
        match source {
            Source::Udp(Address { host, port }) => {
                let defaults = UdpConfig::default();
                let reader = UdpReader::new(UdpConfig {
                    host: host.clone(),
                    port: *port,
                    max_size: self.max_size.unwrap_or(defaults.max_size),
                    buffer_size: self.buffer_size.unwrap_or(defaults.buffer_size),
                    ..UdpConfig::default()
                })?;
                let address = Address { host: host.clone(), port: reader.port() };
                Ok((Box::new(reader), Some(address)))
            }
            #[cfg(feature = "pcap")]
            Source::Pcap(path) => {
                let reader = aqueduct::recv::reader::PcapReader::open(path, self.filter.as_deref())?;
                Ok((Box::new(reader), None))
            }
            #[cfg(not(feature = "pcap"))]
            Source::Pcap(_) => {
                Err(Failure::Run("this build cannot read captures: it lacks the feature pcap".into()))
            }
        }
    }

    fn stream_config(&self) -> StreamConfig {
        StreamConfig {
            max_heaps: self.max_heaps,
            substreams: self.substreams,
            allow_out_of_order: self.out_of_order,
            // Without its length nobody could say whether a heap stays within its place.
            allow_unsized_heaps: false,
            explicit_start: true,
            ..StreamConfig::default()
        }
    }
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    options.check()?;
    let layout = options.placement.layout()?;
    let chunks = options.chunks.unwrap_or(options.max_chunks.saturating_add(4));
    // All chunks fit in either ring, so that at a stop every one of them can be handed over.
    let ring = || ChunkRing::new(chunks).map(Arc::new);
    let pool = Arc::new(ThreadPool::new(1, &[])?);
    let chunk_config = layout.chunk_config(options.max_chunks);
    let stream = ChunkRingStream::new(&pool, options.stream_config(), chunk_config, ring()?, ring()?)?;
    let stream = Arc::new(stream);

    let failures = Failures::default();
    let mut listening = Vec::new();
    for source in &options.sources {
        let (reader, address) = options.open(source)?;
        listening.extend(address);
        stream.stream().add_reader(Box::new(Noted { reader, failures: failures.clone() }))?;
    }
    for _ in 0..chunks {
        stream.add_free_chunk(layout.allocate()?);
    }
    interrupt::on_signal({
        let stream = stream.clone();
        move || {
            // An error only from the stream's own worker, which this is not.
            let _ = stream.stream().stop();
        }
    })?;
    for address in listening {
        terminal::say(format_args!("listening on {address}"));
    }
    stream.stream().start();

    let mut report = Report::new(layout, options.json);
    let written = write_chunks(&stream, &mut report, options.count);
    // When the data ring stops, the worker is just about to say why.
    stream.stream().stop()?;
    written?;
    terminal::end_progress();
    let end = End {
        reason: stream.stream().end_reason().unwrap_or(EndReason::User),
        names: stream.stream().stats(),
        stats: stream.stream().snapshot(),
        failures: std::mem::take(&mut *failures.lock()),
    };
    report.end(&end)?;
    verdict(&end)
}

/// Writes chunks until the stream ends, enough of them have come or nobody reads them.
fn write_chunks(stream: &ChunkRingStream, report: &mut Report, count: Option<u64>) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let mut written = 0;
    loop {
        let wait = progress.as_ref().map_or(Wait::Forever, Progress::wait);
        match stream.data_ring().get(wait) {
            Ok(chunk) => {
                report.chunk(&chunk)?;
                stream.add_free_chunk(chunk);
                written += 1;
                if report.is_closed() || count.is_some_and(|count| written >= count) {
                    return Ok(());
                }
            }
            Err(GetError::Stopped) => return Ok(()),
            Err(GetError::Empty | GetError::TimedOut) => {}
        }
        if let Some(progress) = &mut progress {
            progress.update(|| stream.stream().snapshot());
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
