//! `aqueduct bench`: the highest rate at which heaps get from one end to the other without a loss, both ends in this process.
//!
//! Each rate is tried with a new sender and a new receiver. A rate is kept if every packet that was sent ended in a complete heap and the sender kept up with it.

mod cpu;
mod ends;
mod search;

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::failure::Failure;
use crate::{interrupt, terminal, units};
use ends::Outcome;
use search::{Found, Search};

const EXAMPLES: &str = "\
Examples:
  Over loopback, 1 MiB heaps in packets of 1472 bytes:
    aqueduct bench udp
  As with jumbo frames, from 4 Gb/s upwards, 5 s at each rate:
    aqueduct bench udp --packet-size 8972 --rate 4G --seconds 5
  Over a queue of this process, as JSON:
    aqueduct bench mem --json

The rate is doubled until it is too much, then the gap is halved until it is less than --precision.
A rate that fails is tried once more, as other programs may have been in the way.";

/// What is between the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Datagrams
    Udp,
    /// A connection
    Tcp,
    /// A queue in this process
    Mem,
}

/// Find the highest loss-free rate between two ends on this machine
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What is between the ends
    #[arg(value_name = "TRANSPORT", value_enum)]
    transport: Transport,
    /// Bytes of data in a heap
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = units::bytes)]
    heap_size: usize,
    /// Bytes of a packet at the most, without the headers of IP and UDP
    #[arg(long, value_name = "BYTES", default_value = "1472", value_parser = units::bytes)]
    packet_size: usize,
    /// The rate to start at, in bits of packets per second
    #[arg(long, value_name = "BITS_PER_S", default_value = "1G", value_parser = units::rate, allow_negative_numbers = true)]
    rate: f64,
    /// How long each rate is tried
    #[arg(long, value_name = "S", default_value = "1", value_parser = units::factor, allow_negative_numbers = true)]
    seconds: f64,
    /// How close to get, as a part of the rate
    #[arg(long, value_name = "PART", default_value = "0.05", value_parser = units::factor, allow_negative_numbers = true)]
    precision: f64,
    /// An address of this machine, between whose ends packets go (not for mem)
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Receive buffer of the socket, in bytes; for mem, of the queue
    #[arg(long, value_name = "BYTES", default_value = "8Mi", value_parser = units::bytes)]
    buffer_size: usize,
    /// Print a line of JSON for each try, and one for the result
    #[arg(long)]
    json: bool,
}

/// Times that a rate is tried before it counts as too high.
const TRIES: u32 = 2;

/// The longest time for which a rate can be tried, in seconds.
const LONGEST: f64 = 3600.0;

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    if options.seconds > LONGEST {
        return Err(Failure::Usage(format!("--seconds must be at most {LONGEST} (got {})", options.seconds)));
    }
    if !(0.001..1.0).contains(&options.precision) {
        return Err(Failure::Usage(format!(
            "--precision must be at least 0.001 and less than 1 (got {})",
            options.precision
        )));
    }
    interrupt::on_signal(|| {})?;
    if !options.json {
        print(HEADING);
    }
    let mut search = Search::new(options.rate, options.precision);
    let mut best: Option<Outcome> = None;
    while let Some(rate) = search.next()
        && !interrupt::requested()
    {
        let outcome = attempt(&options, rate)?;
        search.tell(outcome.is_kept());
        if outcome.is_kept() {
            best = Some(outcome);
        }
    }
    end(&options, search.found(), best.as_ref())
}

/// Tries a rate, if need be several times.
fn attempt(options: &Options, rate: f64) -> Result<Outcome, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = ends::transfer(options, rate, Duration::from_secs_f64(options.seconds))?;
        print(&if options.json { outcome.json().to_string() } else { outcome.row() });
        if !outcome.ledgers_close() {
            return Err(Failure::Run(
                "the ledger does not close: this is a bug in Aqueduct, please report it".into(),
            ));
        }
        if outcome.is_kept() || tries == TRIES || interrupt::requested() {
            return Ok(outcome);
        }
    }
}

const HEADING: &str = "  rate asked        got   sender CPU  receiver CPU     packets        lost
        Gb/s       Gb/s         s/GB          s/GB        sent";

/// A line of data. Nobody who reads it any more: then the last status is what is left to tell.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn end(options: &Options, found: Found, best: Option<&Outcome>) -> Result<(), Failure> {
    if options.json {
        let result = json!({
            "transport": format!("{:?}", options.transport).to_lowercase(),
            "heap_size": options.heap_size,
            "packet_size": options.packet_size,
            "highest": best.map(Outcome::json),
            "too_high_bits_per_s": found.too_high,
            "precise": found.precise,
        });
        print(&result.to_string());
    } else if let Some(best) = best {
        print(&best.ledger());
    }
    let Some(best) = best else {
        return Err(Failure::Run(format!(
            "no rate without a loss was found, down to {}b/s",
            units::short(found.too_high.unwrap_or(options.rate))
        )));
    };
    let note = if found.precise { "" } else { " at least (the search did not come to its end)" };
    terminal::say(format_args!("highest loss-free rate: {}b/s{note}", units::short(best.bits_per_second())));
    Ok(())
}
