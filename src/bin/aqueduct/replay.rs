//! `aqueduct replay`: the UDP payloads of a capture, sent again.

#[cfg(feature = "pcap")]
mod send;
#[cfg(feature = "pcap")]
mod sender;

use std::path::PathBuf;

use clap::Args;

use crate::source::Address;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  At 200 Mb/s of UDP payload:
    aqueduct replay capture.pcap udp://127.0.0.1:7148 --rate 200M
  With the times of the capture, at half its speed, three times over:
    aqueduct replay capture.pcap udp://127.0.0.1:7148 --speed 0.5 --loop 3

Without --rate, --timed or --speed packets go as fast as this machine sends them, which may well be
faster than any receiver can take them. A sender that was held up catches up, by 100 ms at the most.";

/// Send the UDP payloads of a capture again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Capture to send
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to send it: udp://HOST:PORT
    #[arg(value_name = "DESTINATION", value_parser = Address::parse_udp)]
    destination: Address,

    #[command(flatten)]
    pace: PaceOptions,

    /// Send only packets that pass this filter (language of tcpdump)
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Stop after N packets
    #[arg(long, value_name = "N", value_parser = units::positive)]
    count: Option<u64>,
    /// Send the file N times; 0: until interrupted
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    passes: u64,
}

/// How fast.
#[derive(Args)]
#[group(multiple = false)]
struct PaceOptions {
    /// Bits of UDP payload per second, on average: 1e9, 500M, 4G
    #[arg(long, value_name = "BITS_PER_S", value_parser = units::rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Keep the capture's times between packets
    #[arg(long)]
    timed: bool,
    /// Keep the capture's times, divided by X
    #[arg(long, value_name = "X", value_parser = units::factor, allow_negative_numbers = true)]
    speed: Option<f64>,
}

/// Without libpcap there is nothing to send.
#[cfg(not(feature = "pcap"))]
pub fn run(_: Options) -> Result<(), crate::failure::Failure> {
    Err(crate::failure::Failure::Run("this build cannot read captures: it lacks the feature pcap".into()))
}

#[cfg(feature = "pcap")]
pub use send::run;
