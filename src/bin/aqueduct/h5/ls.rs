//! `aqueduct h5 ls`: the datasets of a file, and how each lies in it.

use std::path::PathBuf;
use std::sync::Arc;

use aqueduct::dataset::{Description, Entry, File, Layout, Target};
use clap::Args;
use serde_json::{Value as Json, json};

use super::shape_text;
use crate::failure::Failure;
use crate::heap_items::plain;
use crate::stdout::Lines;
use crate::units;

/// List the groups and datasets of a file
#[derive(Args)]
pub struct Options {
    /// An HDF5 file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only what is in this group
    #[arg(value_name = "GROUP", default_value = "/")]
    group: String,
    /// Write a JSON object for each entry, one in a line
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let file = File::open(&options.file)?;
    let mut lines = Lines::new();
    let mut result = Ok(());
    let walked = file.walk(&options.group, |entry| {
        let line = if options.json { json_line(&file, &entry) } else { text_line(&file, &entry) };
        result = lines.write(line.as_bytes());
        result.is_ok() && !lines.is_closed()
    });
    result?;
    lines.flush()?;
    Ok(walked?)
}

/// What a dataset is packed by, in the order of packing.
pub(super) fn filters(description: &Description) -> Vec<String> {
    description.filters.iter().map(|filter| filter_name(filter.id, &filter.name)).collect()
}

/// The usual name of a filter, or that of the file, or its number.
fn filter_name(id: i32, name: &str) -> String {
    match id {
        1 => "gzip".into(),
        2 => "shuffle".into(),
        3 => "fletcher32".into(),
        4 => "szip".into(),
        5 => "nbit".into(),
        6 => "scaleoffset".into(),
        32000 => "lzf".into(),
        32001 => "blosc".into(),
        32004 => "lz4".into(),
        32008 => "bitshuffle".into(),
        32015 => "zstd".into(),
        32026 => "blosc2".into(),
        _ if name.is_empty() => format!("filter {id}"),
        _ => plain(name),
    }
}

pub(super) fn layout(layout: Layout) -> &'static str {
    match layout {
        Layout::Compact => "compact",
        Layout::Contiguous => "contiguous",
        Layout::Chunked => "chunked",
        Layout::Virtual => "virtual",
    }
}

fn text_line(file: &Arc<File>, entry: &Entry) -> String {
    let name = plain(entry.path.rsplit('/').next().unwrap_or_default());
    let indent = "  ".repeat(entry.depth.min(40));
    let what = match &entry.target {
        Target::Group(_) if entry.cut => "/  (a group that is listed elsewhere)".into(),
        Target::Group(_) => "/".into(),
        Target::Dataset => match file.describe(&entry.path) {
            Ok(description) => format!("  {}", dataset_text(&description)),
            Err(error) => format!("  error: {}", plain(error.message())),
        },
        Target::Type => "  a type".into(),
        Target::Other => "  an object of another kind".into(),
        Target::Path(path) => format!("  -> {}", plain(path)),
        Target::File(file, path) => format!("  -> {}:{}", plain(file), plain(path)),
        Target::Broken(reason) => format!("  error: {}", plain(reason)),
    };
    format!("{indent}{name}{what}\n")
}

fn dataset_text(description: &Description) -> String {
    let shape = description.shape.as_ref().map_or("no elements".into(), |shape| shape_text(shape));
    let mut text = format!("{shape} {}", plain(&description.dtype));
    match &description.chunk_shape {
        Some(chunk) => text += &format!(", chunks {}", shape_text(chunk)),
        None => text += &format!(", {}", layout(description.layout)),
    }
    for filter in filters(description) {
        text += &format!(", {filter}");
    }
    text += &format!(", {}B", units::short(description.stored as f64));
    match &description.path {
        Ok((kind, _)) => text += &format!(", path: {kind}"),
        Err(_) => text += ", cannot be streamed",
    }
    text
}

fn json_line(file: &Arc<File>, entry: &Entry) -> String {
    let mut line = json!({ "path": entry.path });
    let mut set = |name: &str, value: Json| line[name] = value;
    match &entry.target {
        Target::Group(_) => {
            set("kind", "group".into());
            set("listed_elsewhere", entry.cut.into());
        }
        Target::Dataset => {
            set("kind", "dataset".into());
            match file.describe(&entry.path) {
                Ok(description) => super::info::describe(&description, &mut set),
                Err(error) => set("error", error.message().into()),
            }
        }
        Target::Type => set("kind", "type".into()),
        Target::Other => set("kind", "other".into()),
        Target::Path(path) => {
            set("kind", "link".into());
            set("target_path", path.as_str().into());
        }
        Target::File(file, path) => {
            set("kind", "link".into());
            set("target_file", file.as_str().into());
            set("target_path", path.as_str().into());
        }
        Target::Broken(reason) => {
            set("kind", "broken".into());
            set("error", reason.as_str().into());
        }
    }
    format!("{line}\n")
}
