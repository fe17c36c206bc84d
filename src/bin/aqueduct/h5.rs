//! `aqueduct h5`: datasets of HDF5 files, listed, described, and read as fast as this machine can.

mod bench;
mod info;
mod ls;
mod play;
mod value;

use clap::{Args, Subcommand};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  What is in a file, and how is it packed?
    aqueduct h5 ls run7.h5
  All about a dataset, its attributes included:
    aqueduct h5 info run7.h5 /raw/adc
  How fast does it come, with two threads?
    aqueduct h5 bench run7.h5 /raw/adc --threads 2";

/// List, describe and read datasets of HDF5 files
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ls(ls::Options),
    Info(info::Options),
    Bench(bench::Options),
    Play(play::Options),
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    match options.command {
        Command::Ls(options) => ls::run(&options),
        Command::Info(options) => info::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Play(options) => play::run(&options),
    }
}

/// `(100, 16)`, as h5py shows it.
fn shape_text(shape: &[u64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}
