//! `aqueduct h5 info`: all that is known of a dataset.

use std::path::PathBuf;

use aqueduct::dataset::{Attribute, AttributeValue, Description, File};
use aqueduct::signal::numpy::dtype_to_json;
use clap::Args;
use serde_json::{Value as Json, json};

use super::{ls, shape_text, value};
use crate::failure::Failure;
use crate::heap_items::plain;
use crate::stdout::Lines;

/// Describe a dataset, and how it is read
#[derive(Args)]
pub struct Options {
    /// An HDF5 file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The path of a dataset in it
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let file = File::open(&options.file)?;
    let description = file.describe(&options.dataset)?;
    let attributes = file.attributes(&options.dataset)?;
    let text = match options.json {
        true => {
            let mut line = json!({ "file": options.file.to_string_lossy(), "path": options.dataset });
            describe(&description, &mut |name, value| line[name] = value);
            line["attributes"] = attributes.iter().map(attribute_json).collect();
            format!("{line}\n")
        }
        false => text(&description, &attributes),
    };
    let mut lines = Lines::new();
    lines.write(text.as_bytes())?;
    lines.flush()
}

/// Bytes of all elements, unpacked.
fn size(description: &Description) -> Option<u64> {
    let shape = description.shape.as_ref()?;
    shape.iter().try_fold(description.element_size as u64, |all, &n| all.checked_mul(n))
}

/// How many times smaller it is in the file, where it has anything there.
fn ratio(description: &Description) -> Option<f64> {
    let size = size(description).filter(|&size| size > 0 && description.stored > 0)?;
    Some(size as f64 / description.stored as f64)
}

/// What `ls --json` and `info --json` tell.
pub fn describe(description: &Description, set: &mut dyn FnMut(&str, Json)) {
    set("shape", json!(description.shape));
    set("max_shape", json!(description.max_shape));
    let numpy = description.data_type.as_ref().and_then(|dtype| dtype.to_numpy().ok());
    let (dtype, item_shape) = match &numpy {
        Some((dtype, shape)) => (dtype_to_json(dtype), json!(shape)),
        None => (Json::Null, Json::Null),
    };
    set("dtype", dtype);
    set("item_shape", item_shape);
    set("type", json!(description.dtype));
    set("bytes", json!(size(description)));
    set("stored", json!(description.stored));
    set("layout", json!(ls::layout(description.layout)));
    set("chunks", json!(description.chunk_shape));
    let filter = |(filter, name): (&aqueduct::dataset::Filter, String)| json!({"id": filter.id, "name": name, "values": filter.values});
    set("filters", description.filters.iter().zip(ls::filters(description)).map(filter).collect());
    set("index", json!(description.index));
    set("n_chunks", json!(description.chunks));
    set("n_chunks_written", json!(description.chunks_written));
    match &description.path {
        Ok((kind, reason)) => {
            set("path_kind", json!(kind.to_string()));
            set("reason", json!(reason));
        }
        Err(error) => {
            set("path_kind", Json::Null);
            set("reason", json!(error.message()));
        }
    }
}

fn attribute_json(attribute: &Attribute) -> Json {
    let mut line = json!({ "name": attribute.name, "shape": attribute.shape });
    match &attribute.value {
        AttributeValue::Elements(dtype, bytes) => {
            line["dtype"] = json!(dtype.to_string());
            line["values"] = value::elements(dtype, bytes);
        }
        AttributeValue::Texts(texts) => line["values"] = json!(texts),
        AttributeValue::Unread(what) => line["unread"] = json!(what),
    }
    line
}

fn text(description: &Description, attributes: &[Attribute]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<14}{value}\n");
    line("shape", description.shape.as_ref().map_or("no elements".into(), |shape| shape_text(shape)));
    if description.shape.as_ref().is_some_and(|shape| {
        description.max_shape.iter().zip(shape).any(|(most, now)| most.is_none_or(|most| most != *now))
    }) {
        let most = description.max_shape.iter();
        let most = most.map(|n| n.map_or("any".into(), |n| n.to_string())).collect::<Vec<String>>();
        line("may grow to", format!("({})", most.join(", ")));
    }
    line("dtype", plain(&description.dtype));
    line("bytes", size(description).map_or("?".into(), |size| size.to_string()));
    line("stored", {
        let ratio =
            ratio(description).map(|ratio| format!(" (compressed {ratio:.2} : 1)")).unwrap_or_default();
        format!("{}{ratio}", description.stored)
    });
    line("layout", ls::layout(description.layout).into());
    if let Some(chunk) = &description.chunk_shape {
        line("chunks", shape_text(chunk));
        line("filters", {
            let filters = ls::filters(description);
            if filters.is_empty() { "none".into() } else { filters.join(", ") }
        });
        line("index", description.index.unwrap_or("?").into());
        let count = |count: Option<u64>| count.map_or("?".into(), |count| count.to_string());
        let (written, all) = (count(description.chunks_written), count(description.chunks));
        line("chunks there", format!("{written} of {all}"));
    }
    match &description.path {
        Ok((kind, reason)) if reason.is_empty() => line("path", kind.to_string()),
        Ok((kind, reason)) => line("path", format!("{kind}, since {}", plain(reason))),
        Err(error) => line("path", format!("none: {}", plain(error.message()))),
    }
    for attribute in attributes {
        let shown = match &attribute.value {
            AttributeValue::Elements(dtype, bytes) => value::elements(dtype, bytes),
            AttributeValue::Texts(texts) => json!(texts),
            AttributeValue::Unread(what) => json!(format!("({what})")),
        };
        // One value without its brackets.
        let shown = match (&shown, attribute.shape.as_deref()) {
            (Json::Array(values), Some([])) if values.len() == 1 => values[0].clone(),
            _ => shown,
        };
        line(&format!("@{}", plain(&attribute.name)), format!(" {}", plain(&shown.to_string())));
    }
    text
}
