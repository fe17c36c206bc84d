//! Statistics as Prometheus reads them: its text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! A built-in statistic `x` is the metric `aqueduct_recv_x_total`, or `aqueduct_recv_x` where it can fall or is a maximum. The user's
//! statistics are told apart by a label, for their names may be any text. Streams are told apart by their identifier.

use std::collections::HashSet;
use std::fmt::Write;

use super::Stream;
use super::stats::{Mode, Snapshot, Stat};
use crate::error::{Error, Result};

/// What Prometheus is to get when it asks for these streams: one document, each metric once.
pub fn prometheus(streams: &[&Stream]) -> Result<String> {
    let mut ids = HashSet::new();
    if let Some(twice) = streams.iter().map(|s| s.config().stream_id).find(|&id| !ids.insert(id)) {
        return Err(Error::invalid(format!(
            "streams: each must have a stream_id of its own (two have {twice})"
        )));
    }
    let sources: Vec<Source<'_>> = streams.iter().map(|&stream| Source::new(stream)).collect();
    let mut text = String::new();
    family(&mut text, "running", "gauge", "1 as long as the stream receives, 0 when it has ended.");
    for source in &sources {
        sample(&mut text, "running", &source.label, source.stream.end_reason().is_none().into());
    }
    for stat in Stat::ALL {
        let (name, kind) = match stat.mode() {
            Mode::Counter => (format!("{}_total", stat.name()), "counter"),
            Mode::Maximum | Mode::Level => (stat.name().to_owned(), "gauge"),
        };
        family(&mut text, &name, kind, stat.help());
        for source in &sources {
            sample(&mut text, &name, &source.label, source.snapshot[stat]);
        }
    }
    custom(&mut text, &sources, Mode::Counter);
    custom(&mut text, &sources, Mode::Maximum);
    Ok(text)
}

struct Source<'a> {
    stream: &'a Stream,
    snapshot: Snapshot,
    label: String,
}

impl<'a> Source<'a> {
    fn new(stream: &'a Stream) -> Self {
        let label = format!("stream=\"{}\"", stream.config().stream_id);
        Self { stream, snapshot: stream.snapshot(), label }
    }
}

/// The user's statistics of one mode.
fn custom(text: &mut String, sources: &[Source<'_>], mode: Mode) {
    let (name, kind, help) = match mode {
        Mode::Counter => ("custom_total", "counter", "The program's own counters, by name."),
        Mode::Maximum | Mode::Level => ("custom_maximum", "gauge", "The program's own maxima, by name."),
    };
    let mut samples = String::new();
    for source in sources {
        for (i, stat) in source.stream.stats().custom().iter().enumerate().filter(|(_, s)| s.mode == mode) {
            let label = format!("{},name=\"{}\"", source.label, escaped(&stat.name));
            let value = source.snapshot.get(Stat::ALL.len() + i).unwrap_or_default();
            sample(&mut samples, name, &label, value);
        }
    }
    if !samples.is_empty() {
        family(text, name, kind, help);
        text.push_str(&samples);
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let name = format!("aqueduct_recv_{name}");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", help.replace('\\', "\\\\"));
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(text, "aqueduct_recv_{name}{{{labels}}} {value}");
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
