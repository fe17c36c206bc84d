//! `aqueduct h5 bench`: how fast a dataset is streamed on this machine.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqueduct::dataset::{BlockQueue, Dataset, File, StreamConfig, stream};
use aqueduct::ring::{GetError, Wait};
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::stdout::Lines;
use crate::{interrupt, terminal, units};

/// Measure how fast a dataset is streamed
#[derive(Args)]
pub struct Options {
    /// An HDF5 file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The path of a dataset in it
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Threads that read and unpack [default: as many as processors]
    #[arg(long, value_name = "N", value_parser = units::positive)]
    threads: Option<u64>,
    /// Blocks that exist [default: 2 x threads + 1]
    #[arg(long, value_name = "N", value_parser = units::positive)]
    read_ahead: Option<u64>,
    /// Rows of a block [default: a row of chunks, or 128 KiB]
    #[arg(long, value_name = "ROWS", value_parser = units::positive)]
    block_size: Option<u64>,
    /// Only this field of each record
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Take blocks in the order of the dataset
    #[arg(long)]
    ordered: bool,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// Between two looks whether the user wants to go on.
const LOOK: Duration = Duration::from_millis(250);

pub fn run(options: &Options) -> Result<(), Failure> {
    let file = File::open(&options.file)?;
    let dataset = Dataset::open(&file, &options.dataset)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let config = StreamConfig {
        threads: options.threads.map_or(cores, number),
        read_ahead: options.read_ahead.map(number),
        block_rows: options.block_size,
        field: options.field.clone(),
        ordered: options.ordered,
        remainder: true,
        ..StreamConfig::default()
    };
    interrupt::on_signal(|| {})?;
    let began = Instant::now();
    let queue = stream(&dataset, &config)?;
    let (bytes, failed) = take(&queue, dataset.rows(), began)?;
    let time = began.elapsed();
    let progress = queue.progress();
    let seconds = time.as_secs_f64().max(1e-9);
    let text = if options.json {
        let line = json!({
            "file": options.file.to_string_lossy(),
            "path": options.dataset,
            "path_kind": dataset.path_kind().to_string(),
            "threads": config.threads,
            "block_size": queue.block_rows(),
            "blocks": progress.blocks_done,
            "blocks_failed": progress.blocks_failed,
            "rows": progress.rows_done,
            "bytes": bytes,
            "bytes_read": progress.read.bytes_read,
            "seconds": seconds,
            "decode_seconds": progress.read.decode_time.as_secs_f64(),
            "blocks_per_s": progress.blocks_done as f64 / seconds,
            "bytes_per_s": bytes as f64 / seconds,
        });
        format!("{line}\n")
    } else {
        format!(
            "{} blocks of {} rows by {} threads, path {}, in {seconds:.3} s: {}blocks/s, {}B/s, {}B/s from the file; {:.0} % of the threads' time unpacking\n",
            progress.blocks_done,
            queue.block_rows(),
            config.threads,
            dataset.path_kind(),
            units::short(progress.blocks_done as f64 / seconds),
            units::short(bytes as f64 / seconds),
            units::short(progress.read.bytes_read as f64 / seconds),
            100.0 * progress.read.decode_time.as_secs_f64() / seconds / config.threads as f64,
        )
    };
    let mut lines = Lines::new();
    lines.write(text.as_bytes())?;
    lines.flush()?;
    match failed {
        None => Ok(()),
        Some(error) => Err(Failure::Run(format!(
            "{} of {} blocks could not be read, for one: {error}",
            progress.blocks_failed, progress.blocks_done
        ))),
    }
}

/// Takes all blocks. Returns their bytes, and the first error of a block.
fn take(queue: &BlockQueue, rows: u64, began: Instant) -> Result<(u64, Option<String>), Failure> {
    let (mut bytes, mut failed) = (0, None);
    let mut shown = began;
    loop {
        match queue.get(Wait::For(LOOK)) {
            Ok(block) => match block.data() {
                Ok(data) => bytes += black_box(data).len() as u64,
                Err(error) => {
                    failed.get_or_insert_with(|| error.message().to_owned());
                }
            },
            Err(GetError::Stopped) => return Ok((bytes, failed)),
            Err(GetError::Empty | GetError::TimedOut) => {}
        }
        if interrupt::requested() {
            queue.close();
        }
        if terminal::is_watched() && shown.elapsed() > LOOK {
            shown = Instant::now();
            let done = queue.progress().rows_done;
            terminal::progress(format!(
                "{:.1} %, {}B/s",
                100.0 * done as f64 / rows as f64,
                units::short(bytes as f64 / began.elapsed().as_secs_f64())
            ));
        }
    }
}
