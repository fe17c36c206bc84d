//! `aqueduct h5 play`: a dataset as a signal stream, at a rate.

use std::path::PathBuf;
use std::time::Duration;

use aqueduct::dataset::replay::{Replay, ReplayConfig, stream_params};
use aqueduct::dataset::{Dataset, File};
use aqueduct::ring::Wait;
use aqueduct::signal::node::state::State;
use aqueduct::signal::open::OutputConfig;
use aqueduct::signal::output::Output;
use aqueduct::signal::params::{Params, Protocol};
use aqueduct::signal::registry::{DEFAULT_ENDPOINT, Publication};
use aqueduct::signal::shared::SharedOutput;
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::stdout::Lines;
use crate::{interrupt, terminal, units};

const EXAMPLES: &str = "\
Examples:
  Play a recording at its own rate, when somebody listens:
    aqueduct h5 play run7.h5 raw/adc --inputs 1 > params.json &
    aqueduct stream tail \"$(head -1 params.json)\"
  For ever, ten times a second, under a name:
    aqueduct h5 play run7.h5 raw/adc --rate 10 --loop 0 --publish adc";

/// Play a dataset as a signal stream
///
/// The first line on the standard output is the stream's params, a JSON text, with which receivers connect.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// An HDF5 file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The path of a dataset in it
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Rows per second, or "max" [default: as recorded, the dataset's attribute sample_rate]
    #[arg(long, value_name = "ROWS", value_parser = rate)]
    rate: Option<f64>,
    /// Play it so many times; 0: until it is interrupted
    #[arg(long = "loop", value_name = "TIMES", default_value_t = 1)]
    loops: u64,
    /// The first row
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    start: u64,
    /// The row behind the last [default: all]
    #[arg(long, value_name = "ROW")]
    stop: Option<u64>,
    /// Rows of a chunk [default: those of 20 ms]
    #[arg(long, value_name = "ROWS", value_parser = units::positive)]
    chunk: Option<u64>,
    /// Threads that read and unpack
    #[arg(long, value_name = "N", value_parser = units::positive, default_value_t = 2)]
    threads: u64,
    /// How frames travel
    #[arg(long, value_enum, default_value = "shm")]
    protocol: Way,
    /// Where to listen, of tcp; port 0: any
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    endpoint: String,
    /// Wait for so many receivers before the first row
    #[arg(long, value_name = "N", default_value_t = 0)]
    inputs: u64,
    /// Publish it under this name
    #[arg(long, value_name = "NAME")]
    publish: Option<String>,
    /// The registry to publish it in
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ENDPOINT)]
    registry: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// Shared memory, on this host
    Shm,
    /// ZeroMQ over TCP
    Tcp,
    /// ZeroMQ over a socket in the file system
    Ipc,
}

/// Between two looks whether the user wants to go on.
const LOOK: Duration = Duration::from_millis(100);

fn rate(text: &str) -> Result<f64, String> {
    match text {
        "max" => Ok(f64::INFINITY),
        _ => match text.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
            _ => Err("must be a positive number of rows per second, or \"max\"".to_owned()),
        },
    }
}

pub fn run(options: &Options) -> Result<(), Failure> {
    interrupt::on_signal(|| {})?;
    let file = File::open(&options.file)?;
    let dataset = Dataset::open(&file, &options.dataset)?;
    let mut params = stream_params(&dataset)?;
    params.protocol = match options.protocol {
        Way::Shm => Protocol::Shm,
        Way::Tcp => Protocol::Tcp,
        Way::Ipc => Protocol::Ipc,
    };
    if params.protocol == Protocol::Tcp {
        let (host, port) = address(&options.endpoint)?;
        params = Params { interface: host, port, ..params };
    }
    if let Some(rate) = options.rate.filter(|rate| rate.is_finite()) {
        // What receivers are told is what they get.
        params.sample_rate = rate;
    }
    let output = SharedOutput::new(Output::open(params, &OutputConfig::default())?);
    let config = ReplayConfig {
        rate: options.rate,
        first_row: options.start,
        end_row: options.stop,
        loops: options.loops,
        chunk_rows: options.chunk,
        threads: usize::try_from(options.threads).unwrap_or(usize::MAX),
    };
    let replay = Replay::to_stream(dataset, &config, output.clone())?;
    let _publication = match &options.publish {
        Some(name) => Some(Publication::new(&options.registry, name, &output.params())?),
        None => None,
    };
    let mut lines = Lines::new();
    lines.write(format!("{}\n", output.params().to_json()).as_bytes())?;
    lines.flush()?;
    while !output.wait_inputs(options.inputs, Wait::For(LOOK))? {
        if interrupt::requested() {
            return Ok(());
        }
    }
    replay.start()?;
    let state = loop {
        if let Some(state) = replay.wait(Wait::For(LOOK)) {
            break state;
        }
        if interrupt::requested() {
            replay.stop();
        }
    };
    let stats = replay.stats();
    terminal::say(format_args!(
        "{} rows in {} chunks, {} bytes; at most {:.1} ms late",
        stats.rows,
        stats.chunks,
        stats.bytes,
        stats.late.as_secs_f64() * 1e3
    ));
    match state {
        State::Failed(error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// A host and a port, as the params have them.
fn address(text: &str) -> Result<(String, String), Failure> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, 0)) if !host.is_empty() => Ok((host.to_owned(), "*".to_owned())),
        Some((host, port)) if !host.is_empty() => Ok((host.to_owned(), port.to_string())),
        _ => Err(Failure::Usage(format!("--endpoint must be HOST:PORT (got {text})"))),
    }
}
