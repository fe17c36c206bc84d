//! The command-line program: `aqueduct recv` receives heaps or chunks, `aqueduct send` sends heaps of made-up data, `aqueduct bench` finds the highest rate of both, `aqueduct replay` sends a capture again, `aqueduct events`
//! checks and converts event files, `aqueduct stream` finds and shows signal streams, `aqueduct h5` lists and reads datasets of HDF5 files.
//!
//! A command is a file of its name, with its options as a clap struct and a `run`. Data goes to the standard output,
//! everything else to the standard error; docs/cli.md is the reference.

mod bench;
mod events;
mod failure;
mod h5;
mod heap_items;
mod interrupt;
mod layout;
#[cfg(feature = "pcap")]
mod pace;
mod progress;
mod recv;
mod replay;
mod report;
mod send;
mod source;
mod stdout;
mod stream;
mod terminal;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// The version and what this build can do.
const VERSION: &str = match (cfg!(feature = "pcap"), cfg!(feature = "zmq"), cfg!(feature = "hdf5")) {
    (true, true, true) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, pcap, zmq, hdf5)"),
    (true, true, false) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, pcap, zmq)"),
    (true, false, true) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, pcap, hdf5)"),
    (true, false, false) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, pcap)"),
    (false, true, true) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, zmq, hdf5)"),
    (false, true, false) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, zmq)"),
    (false, false, true) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli, hdf5)"),
    (false, false, false) => concat!(env!("CARGO_PKG_VERSION"), " (features: cli)"),
};

const EXAMPLES: &str = "\
Examples:
  aqueduct recv udp://239.1.2.3:7148 --json
  aqueduct recv udp://0.0.0.0:7148 --item 0x1600 --step 4096 --heap-size 8192 --heaps-per-chunk 64
  aqueduct send udp://127.0.0.1:7148 --heaps 1000 --rate 1G
  aqueduct bench udp --packet-size 8972
  aqueduct replay capture.pcap udp://127.0.0.1:7148 --rate 200M
  aqueduct events run7-000.aqe --csv run7.csv
  aqueduct stream tail eeg
  aqueduct h5 ls run7.h5

Exit status:
  0  all went well, and every packet is accounted for
  1  a source or the network failed, the ledger does not close, or a file is damaged
  2  the command line is wrong";

/// Data from the wire, with every loss accounted for.
#[derive(Parser)]
#[command(name = "aqueduct", version = VERSION, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Recv(recv::Options),
    Replay(replay::Options),
    Send(Box<send::Options>),
    Bench(Box<bench::Options>),
    Events(Box<events::Options>),
    Stream(stream::Options),
    H5(h5::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::log_to_stderr();
    let (name, result) = match cli.command {
        Command::Recv(options) => ("recv", recv::run(options)),
        Command::Replay(options) => ("replay", replay::run(options)),
        Command::Send(options) => ("send", send::run(*options)),
        Command::Bench(options) => ("bench", bench::run(*options)),
        Command::Events(options) => ("events", events::run(*options)),
        Command::Stream(options) => ("stream", stream::run(options)),
        Command::H5(options) => ("h5", h5::run(options)),
    };
    terminal::end_progress();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Run(message)) => {
            terminal::say(format_args!("aqueduct: error: {message}"));
            ExitCode::FAILURE
        }
        Err(Failure::Usage(message)) => {
            terminal::say(format_args!(
                "error: {message}\n\nFor more information, try 'aqueduct {name} --help'."
            ));
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
