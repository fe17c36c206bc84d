//! `aqueduct stream ls`: what is published.

use aqueduct::signal::params::Params;
use aqueduct::signal::registry::{DEFAULT_ENDPOINT, Entry, list};
use clap::Args;
use serde_json::{Value, json};

use super::{alive, dtype, rate, shape};
use crate::failure::Failure;
use crate::heap_items::plain;
use crate::stdout::Lines;

/// List the streams of a registry
#[derive(Args)]
pub struct Options {
    /// Where the registry is
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ENDPOINT)]
    registry: String,
    /// Write a JSON object per stream and line, with its params
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let entries = list(&options.registry)?;
    let params: Vec<Option<Params>> = entries.iter().map(|entry| entry.params().ok()).collect();
    let alive = alive::all(&params);
    let streams = entries
        .iter()
        .zip(&params)
        .zip(alive)
        .map(|((entry, params), alive)| (entry, params.as_ref(), alive));
    let text = if options.json { streams.map(json_line).collect() } else { table(streams.map(row)) };
    let mut lines = Lines::new();
    lines.write(text.as_bytes())?;
    lines.flush()
}

fn json_line((entry, params, alive): (&Entry, Option<&Params>, Option<bool>)) -> String {
    let line = json!({
        "name": entry.name,
        "address": params.map(Params::address),
        "holder": entry.holder,
        "alive": alive,
        "params": serde_json::from_str::<Value>(&entry.params).unwrap_or_default(),
    });
    format!("{line}\n")
}

type Row = [String; 6];

fn row((entry, params, alive): (&Entry, Option<&Params>, Option<bool>)) -> Row {
    // Params that this version does not know.
    let shown = |show: fn(&Params) -> String| params.map_or("?".into(), show);
    let alive = alive.map_or("-", |alive| if alive { "yes" } else { "no" });
    [
        plain(&entry.name),
        shown(|params| plain(&params.address())),
        shown(dtype),
        shown(shape),
        shown(rate),
        alive.into(),
    ]
}

/// Columns as wide as they must be.
fn table(rows: impl Iterator<Item = Row>) -> String {
    let head = ["NAME", "ADDRESS", "DTYPE", "SHAPE", "RATE", "ALIVE"].map(String::from);
    let rows: Vec<Row> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &Row| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let entry = |name: &str| Entry { name: name.into(), params: "{}".into(), holder: "me".into() };
        let params = Params::from_json(r#"{"port":"5000","sample_rate":30000}"#).unwrap();
        let (one, two) = (entry("long name"), entry("b"));
        let rows = [row((&one, Some(&params), Some(true))), row((&two, None, None))];
        let expected = "\
NAME       ADDRESS               DTYPE  SHAPE    RATE      ALIVE
long name  tcp://127.0.0.1:5000  <f4    [-1, 1]  30000 Hz  yes
b          ?                     ?      ?        ?         -
";
        assert_eq!(table(rows.into_iter()), expected);
    }
}
