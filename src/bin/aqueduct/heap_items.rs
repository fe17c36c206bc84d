//! The items of a heap, for people or as JSON.

use std::collections::HashSet;
use std::fmt::Write as _;

use aqueduct::recv::heap::Heap;
use aqueduct::spead::dtype::{Dtype, Kind};
use aqueduct::spead::group::{GroupItem, ItemGroup};
use aqueduct::spead::id;
use aqueduct::spead::item::ItemValue;
use aqueduct::spead::value::{Number, Value};
use serde_json::{Value as Json, json};

use crate::report::hash;

/// Text of more bytes is not shown.
const LONGEST_TEXT: usize = 1024;

/// What is to be shown of an item.
pub struct Shown {
    id: Option<u64>,
    what: What,
}

enum What {
    /// A value that a descriptor describes.
    Described { name: String, dtype: String, shape: Vec<usize>, sha256: String, value: Option<Json> },
    /// A number that nobody described.
    Immediate(u64),
    /// Bytes that nobody described.
    Bytes { size: usize, sha256: String },
    /// What is wrong with a descriptor or a value.
    Error(String),
}

/// Reads the items of a heap, in their order, with what the heaps before it have told. Descriptors and messages about the stream are left out.
pub fn read(heap: &Heap, group: &mut ItemGroup) -> Vec<Shown> {
    let mut shown = Vec::new();
    let errors = if heap.is_contiguous() {
        group.update(heap.items(), heap.flavour(), heap.bug_compat()).errors
    } else {
        Vec::new()
    };
    let mut seen = HashSet::new();
    let wrong: HashSet<u64> = errors.iter().filter_map(|error| error.id).collect();
    for item in heap.items() {
        if [id::DESCRIPTOR, id::STREAM_CTRL].contains(&item.id) {
            continue;
        }
        let described = group.find_id(item.id).filter(|found| found.changed && heap.is_contiguous());
        let what = match (described, item.value) {
            // The last one of that identifier counts.
            (Some(found), _) => match seen.insert(item.id).then(|| describe(found)).flatten() {
                Some(what) => what,
                None => continue,
            },
            _ if wrong.contains(&item.id) => continue,
            (None, ItemValue::Immediate(value)) => What::Immediate(value),
            (None, ItemValue::Addressed(bytes)) => What::Bytes { size: bytes.len(), sha256: hash(bytes) },
        };
        shown.push(Shown { id: Some(item.id), what });
    }
    shown.extend(errors.into_iter().map(|e| Shown { id: e.id, what: What::Error(e.error.to_string()) }));
    shown
}

fn describe(item: &GroupItem) -> Option<What> {
    let value = item.value.as_ref()?;
    Some(What::Described {
        name: item.descriptor.name.clone(),
        dtype: value.dtype.to_string(),
        shape: value.shape.clone(),
        sha256: hash(&value.c_order_bytes()),
        value: single(value),
    })
}

/// A single number or text.
fn single(value: &Value) -> Option<Json> {
    if let Some(number) = value.number() {
        let is_bool = matches!(&*value.dtype, Dtype::Scalar(scalar) if scalar.kind == Kind::Bool);
        return Some(match number {
            Number::Unsigned(number) if is_bool => json!(number != 0),
            Number::Unsigned(number) => json!(number),
            Number::Signed(number) => json!(number),
            Number::Float(number) if number.is_finite() => json!(number),
            Number::Float(number) => json!(number.to_string()),
        });
    }
    let Dtype::Scalar(scalar) = &*value.dtype else { return None };
    // One text, or a line of characters.
    let is_text = value.shape.is_empty() || (scalar.size == 1 && value.shape.len() == 1);
    if scalar.kind != Kind::Bytes || !is_text || value.bytes.len() > LONGEST_TEXT {
        return None;
    }
    Some(json!(String::from_utf8_lossy(&value.bytes).trim_end_matches('\0')))
}

fn shown_id(id: Option<u64>) -> Json {
    id.map_or(Json::Null, |id| json!(format!("{id:#x}")))
}

/// The heap's line of JSON.
pub fn json(heap: &Heap, items: &[Shown]) -> String {
    let item = |Shown { id, what }: &Shown| {
        let id = shown_id(*id);
        match what {
            What::Described { name, dtype, shape, sha256, value } => {
                let mut object =
                    json!({ "id": id, "name": name, "dtype": dtype, "shape": shape, "sha256": sha256 });
                if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
                    object.insert("value".into(), value.clone());
                }
                object
            }
            What::Immediate(value) => json!({ "id": id, "value": value }),
            What::Bytes { size, sha256 } => json!({ "id": id, "size": size, "sha256": sha256 }),
            What::Error(error) => json!({ "id": id, "error": error }),
        }
    };
    let mut line = json!({
        "heap": heap.cnt(),
        "complete": heap.is_contiguous(),
        "items": items.iter().map(item).collect::<Vec<_>>(),
    });
    if let (Some(object), false) = (line.as_object_mut(), heap.is_contiguous()) {
        object.insert("received".into(), json!(heap.received_length()));
        object.insert("length".into(), json!(heap.length()));
    }
    format!("{line}\n")
}

/// A sender's text as one line that does nothing to a terminal.
pub fn plain(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The heap's lines for people: one for the heap, one for each item.
pub fn text(heap: &Heap, items: &[Shown]) -> String {
    let mut text = format!("heap {}: ", heap.cnt());
    let _ = match (heap.is_contiguous(), heap.length()) {
        (true, _) => writeln!(text, "{} bytes", heap.received_length()),
        (false, Some(length)) => writeln!(text, "incomplete, {} of {length} bytes", heap.received_length()),
        (false, None) => writeln!(text, "incomplete, {} bytes", heap.received_length()),
    };
    for Shown { id, what } in items {
        let id = id.map_or("-".into(), |id| format!("{id:#06x}"));
        let _ = match what {
            What::Described { name, value: Some(value), .. } => {
                writeln!(text, "  {id}  {} = {value}", plain(name))
            }
            What::Described { name, dtype, shape, .. } => {
                writeln!(text, "  {id}  {}: {} {shape:?}", plain(name), plain(dtype))
            }
            What::Immediate(value) => writeln!(text, "  {id}  = {value}"),
            What::Bytes { size, .. } => writeln!(text, "  {id}  {size} bytes"),
            What::Error(error) => writeln!(text, "  {id}  error: {}", plain(error)),
        };
    }
    text
}
