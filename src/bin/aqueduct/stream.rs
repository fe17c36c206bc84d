//! `aqueduct stream`: signal streams, found by name in a registry or by their params, listed, printed and plotted; and the registry itself.

mod alive;
mod columns;
mod draw;
mod info;
mod ls;
mod plot;
mod receive;
mod serve;
mod svg;
mod tail;
mod window;

use std::time::{Duration, Instant};

use aqueduct::ring::Wait;
use aqueduct::signal::params::Params;
use aqueduct::signal::registry::{DEFAULT_ENDPOINT, lookup};
use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::heap_items::plain;
use crate::{interrupt, units};

const EXAMPLES: &str = "\
A STREAM is a name under which an output is published in a registry, or its params: a JSON object.

Examples:
  A registry, for this host:
    aqueduct stream serve
  What is published there?
    aqueduct stream ls
  Samples as they come, with gaps where they are:
    aqueduct stream tail eeg
  The next 2000 frames of channels 0 and 3, as a picture:
    aqueduct stream plot eeg -n 2000 --channels 0,3 --svg eeg.svg
  Of a program that prints its params as its first line:
    aqueduct stream tail \"$(head -1 producer.out)\"";

/// Find, print and plot signal streams; run a registry
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
    Tail(tail::Options),
    Plot(plot::Options),
    Serve(serve::Options),
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    match options.command {
        Command::Ls(options) => ls::run(&options),
        Command::Info(options) => info::run(&options),
        Command::Tail(options) => tail::run(&options),
        Command::Plot(options) => plot::run(&options),
        Command::Serve(options) => serve::run(&options),
    }
}

/// Which stream.
#[derive(Args)]
struct Which {
    /// A published name, or params as JSON
    #[arg(value_name = "STREAM")]
    stream: String,
    /// Where names are looked up
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ENDPOINT)]
    registry: String,
    /// Wait so long for the name to be published
    #[arg(long, value_name = "SECONDS", value_parser = units::factor)]
    wait: Option<f64>,
}

/// A stream that was found.
struct Found {
    /// What to call it: its name, or where it is.
    title: String,
    params: Params,
    /// Who publishes it, if it was looked up.
    holder: Option<String>,
}

/// Between two looks whether the user wants to go on.
const LOOK: Duration = Duration::from_millis(500);

impl Which {
    fn find(&self) -> Result<Found, Failure> {
        if self.stream.trim_start().starts_with('{') {
            // Also where it is no params, it is the command line that is wrong.
            let params =
                Params::from_json(&self.stream).map_err(|error| Failure::Usage(error.to_string()))?;
            return Ok(Found { title: plain(&params.address()), params, holder: None });
        }
        let wait =
            self.wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
        let end = Instant::now().checked_add(wait);
        loop {
            let left = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            let step = if left.is_zero() { Wait::No } else { Wait::For(left.min(LOOK)) };
            if let Some(entry) = lookup(&self.registry, &self.stream, step)? {
                let params = entry.params().map_err(|error| {
                    Failure::Run(format!("{}: published with params that are none: {error}", self.stream))
                })?;
                return Ok(Found { title: entry.name, params, holder: Some(entry.holder) });
            }
            if step == Wait::No || interrupt::requested() {
                let (name, registry) = (&self.stream, &self.registry);
                return Err(Failure::Run(format!("no stream is published as {name:?} at {registry}")));
            }
        }
    }
}

/// `250 Hz`
fn rate(params: &Params) -> String {
    format!("{} Hz", params.sample_rate)
}

/// The type of elements, as people write it.
fn dtype(params: &Params) -> String {
    plain(&params.dtype.to_string())
}

fn shape(params: &Params) -> String {
    format!("{:?}", params.shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_name_or_params() {
        let which =
            |stream: &str| Which { stream: stream.into(), registry: "127.0.0.1:x".into(), wait: None };
        let found = which(r#" {"port":"5000","dtype":"<i2","shape":[-1,3]}"#).find().ok().unwrap();
        assert_eq!((found.title.as_str(), found.holder), ("tcp://127.0.0.1:5000", None));
        assert_eq!(
            (dtype(&found.params), shape(&found.params), rate(&found.params)),
            ("<i2".into(), "[-1, 3]".into(), "1 Hz".into())
        );
        for wrong in ["{", r#"{"dtype":7}"#, "name"] {
            assert!(matches!(which(wrong).find(), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
