//! `aqueduct stream info`: all that is known of a stream.

use clap::Args;
use serde_json::{Map, Value};

use super::{Found, Which};
use crate::failure::Failure;
use crate::heap_items::plain;
use crate::stdout::Lines;

/// Show all params of a stream
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Write the params as one line of JSON, as inputs take them
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let found = options.which.find()?;
    let text = if options.json { format!("{}\n", found.params.to_json()) } else { text(&found) };
    let mut lines = Lines::new();
    lines.write(text.as_bytes())?;
    lines.flush()
}

fn text(found: &Found) -> String {
    let all: Map<String, Value> = serde_json::from_str(&found.params.to_json()).unwrap_or_default();
    let mut text = format!("{}: {}\n", plain(&found.title), plain(&found.params.address()));
    if let Some(holder) = &found.holder {
        text += &format!("  {:<14}{}\n", "published by", plain(holder));
    }
    for (name, value) in &all {
        // Texts without quotes, everything else as JSON.
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("  {:<13} {}\n", plain(name), plain(&value));
    }
    text
}
