//! What `events` shows of a file: a line per record, and what it comes to.

use std::fmt::Write as _;

use aqueduct::event::frame::VERSION;
use aqueduct::event::layout::{PacketLayout, Value};
use aqueduct::event::reader::Entry;
use serde_json::{Map, Value as Json, json};

use super::moment::utc;
use super::source::Source;

/// The most damaged ranges that a summary names one by one.
const MAX_RANGES: usize = 20;

/// The most bytes of a user header that are shown to people.
const MAX_USER: usize = 64;

/// A record to show.
pub struct Shown<'a> {
    pub name: &'a str,
    pub entry: &'a Entry<'a>,
    pub layout: Option<&'a PacketLayout>,
}

/// A time that may not have been taken.
fn time(ns: u64) -> String {
    if ns == 0 { "-".into() } else { utc(ns) }
}

/// The same for JSON.
fn json_time(ns: u64) -> Json {
    if ns == 0 { Json::Null } else { ns.into() }
}

fn json_value(value: Value) -> Json {
    match value {
        Value::Int(number) => number.into(),
        Value::Uint(number) => number.into(),
        // NaN and the infinities, which JSON lacks, become null.
        Value::Float(number) => number.into(),
        Value::Bool(flag) => flag.into(),
        Value::Char(byte) => byte.into(),
    }
}

impl Shown<'_> {
    /// The values of a packet by their names, or why there are none.
    fn values(&self, data: &[u8]) -> Option<Result<Vec<(String, Value)>, String>> {
        let layout = self.layout?;
        let value = |(index, field): (usize, &aqueduct::event::layout::Field)| {
            layout.value(data, index).map(|value| (field.name.clone(), value))
        };
        let values =
            layout.check(data).and_then(|()| layout.fields().iter().enumerate().map(value).collect());
        Some(values.map_err(|error| error.to_string()))
    }

    /// A line for people.
    pub fn text(&self) -> String {
        let line = |what: &str, offset: u64, rest: String| format!("{what:>10}  {offset:>12}  {rest}\n");
        match *self.entry {
            Entry::Packet { number, offset, time: at, data } => {
                let mut rest = format!("{:<30}  {} bytes", time(at), data.len());
                match self.values(data) {
                    Some(Ok(values)) => {
                        rest += " ";
                        for (name, value) in values {
                            let _ = write!(rest, " {name}={value}");
                        }
                    }
                    Some(Err(error)) => rest += &format!("  ({error})"),
                    None => {}
                }
                line(&number.to_string(), offset, rest)
            }
            Entry::Loss { offset, mark } => line(
                "lost",
                offset,
                format!(
                    "{:<30}  {} packets, {} bytes, since {}",
                    time(mark.last_time),
                    mark.packets,
                    mark.bytes,
                    time(mark.first_time)
                ),
            ),
            Entry::End { offset, mark, agrees } => line(
                "end",
                offset,
                format!(
                    "{:<30}  {} packets, {} lost{}",
                    time(mark.time),
                    mark.packets,
                    mark.lost,
                    if agrees { "" } else { ": not what is in the file" }
                ),
            ),
            Entry::Damaged { offset, length } => line("damaged", offset, format!("{length} bytes")),
            Entry::Torn { offset, length } => line("torn", offset, format!("{length} bytes")),
        }
    }

    /// A line of JSON.
    pub fn json(&self) -> String {
        let mut line = match *self.entry {
            Entry::Packet { number, offset, time, data } => {
                let mut line = json!({
                    "record": "packet",
                    "number": number,
                    "offset": offset,
                    "time_ns": json_time(time),
                    "size": data.len(),
                });
                match self.values(data) {
                    Some(Ok(values)) => {
                        let values = values.into_iter().map(|(name, value)| (name, json_value(value)));
                        line["values"] = Json::Object(values.collect());
                    }
                    Some(Err(error)) => line["error"] = error.into(),
                    None => {}
                }
                line
            }
            Entry::Loss { offset, mark } => json!({
                "record": "loss",
                "offset": offset,
                "packets": mark.packets,
                "bytes": mark.bytes,
                "first_time_ns": json_time(mark.first_time),
                "time_ns": json_time(mark.last_time),
            }),
            Entry::End { offset, mark, agrees } => json!({
                "record": "end",
                "offset": offset,
                "time_ns": json_time(mark.time),
                "packets": mark.packets,
                "lost_packets": mark.lost,
                "agrees": agrees,
            }),
            Entry::Damaged { offset, length } => {
                json!({ "record": "damaged", "offset": offset, "length": length })
            }
            Entry::Torn { offset, length } => json!({ "record": "torn", "offset": offset, "length": length }),
        };
        line["file"] = self.name.into();
        format!("{line}\n")
    }
}

/// What is known of a file beside its own summary.
#[derive(Default)]
pub struct Checked {
    /// It was read to its end.
    pub complete: bool,
    /// Packets that are not of the layout that they were to be converted with.
    pub unfit: u64,
    /// The first damaged ranges: offset and length.
    ranges: Vec<(u64, u64)>,
    /// The last end mark's time, and whether it agrees.
    end: Option<(u64, bool)>,
}

impl Checked {
    pub fn note(&mut self, entry: &Entry<'_>) {
        match *entry {
            Entry::Damaged { offset, length } if self.ranges.len() < MAX_RANGES => {
                self.ranges.push((offset, length));
            }
            Entry::End { mark, agrees, .. } => self.end = Some((mark.time, agrees)),
            _ => {}
        }
    }

    /// Whether nothing is wrong with the file, as far as it was read.
    pub fn is_good(&self, source: &Source) -> bool {
        let summary = source.summary();
        summary.damaged == 0 && summary.torn.is_none() && summary.wrong_ends == 0 && self.unfit == 0
    }
}

/// What a file comes to.
pub fn summary(source: &Source, checked: &Checked, json: bool) -> String {
    if json { summary_json(source, checked) } else { summary_text(source, checked) }
}

/// A text as it is, or the bytes in hexadecimal.
fn as_text(bytes: &[u8]) -> Result<&str, String> {
    let is_text = |text: &&str| !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    std::str::from_utf8(bytes).ok().filter(is_text).ok_or_else(|| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

fn summary_json(source: &Source, checked: &Checked) -> String {
    let summary = source.summary();
    let ranges: Vec<Json> =
        checked.ranges.iter().map(|(offset, length)| json!({ "offset": offset, "length": length })).collect();
    let torn = summary.torn.map(|offset| json!({ "offset": offset, "length": summary.torn_bytes }));
    let mut line = json!({
        "file": source.name(),
        "format": if source.packet_size().is_some() { "raw" } else { "framed" },
        "size": source.size(),
        "packets": summary.packets,
        "bytes": summary.bytes,
        "first_time_ns": summary.first_time,
        "last_time_ns": summary.last_time,
        "losses": summary.losses,
        "lost_packets": summary.lost_packets,
        "lost_bytes": summary.lost_bytes,
        "damaged": summary.damaged,
        "damaged_bytes": summary.damaged_bytes,
        "damaged_ranges": ranges,
        "torn": torn,
        "reserved": summary.reserved,
        "unfit": checked.unfit,
        "complete": checked.complete,
        "whole": source.is_whole(),
    });
    if let Some(size) = source.packet_size() {
        line["packet_size"] = size.into();
    }
    if let Some((time, agrees)) = checked.end {
        line["end"] = json!({ "time_ns": json_time(time), "agrees": agrees });
    }
    if let Some(header) = source.header() {
        let mut fields = Map::new();
        fields.insert("version".into(), VERSION.into());
        fields.insert("number".into(), header.number.into());
        fields.insert("created_ns".into(), header.created.into());
        fields.insert("layout".into(), header.layout.as_str().into());
        match as_text(&header.user) {
            Ok(text) => fields.insert("user_header".into(), text.into()),
            Err(hex) => fields.insert("user_header_hex".into(), hex.into()),
        };
        line["header"] = Json::Object(fields);
    }
    format!("{line}\n")
}

fn summary_text(source: &Source, checked: &Checked) -> String {
    let summary = source.summary();
    let mut text = format!("{}: ", source.name());
    text += &match (source.packet_size(), source.header()) {
        (Some(size), _) => format!("raw, packets of {size} bytes\n"),
        (_, Some(header)) => {
            format!("framed, version {VERSION}, file {}, created {}\n", header.number, time(header.created))
        }
        _ => "framed, read without its header\n".into(),
    };
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12}  {value}");
    };
    if let Some(header) = source.header() {
        if !header.layout.is_empty() {
            line("layout", header.layout.clone());
        }
        if !header.user.is_empty() {
            let (shown, _) = header.user.split_at(header.user.len().min(MAX_USER));
            let more = if shown.len() < header.user.len() { " ..." } else { "" };
            let value = as_text(shown).map_or_else(|hex| hex, |text| format!("{text:?}"));
            line("header", format!("{} bytes: {value}{more}", header.user.len()));
        }
    }
    line("packets", format!("{}, {} bytes", summary.packets, summary.bytes));
    if let (Some(first), Some(last)) = (summary.first_time, summary.last_time) {
        line("times", format!("{} to {}", utc(first), utc(last)));
    }
    if summary.losses > 0 {
        let (packets, bytes) = (summary.lost_packets, summary.lost_bytes);
        line("lost", format!("{packets} packets, {bytes} bytes; loss marks: {}", summary.losses));
    }
    for (offset, length) in &checked.ranges {
        line("damaged", format!("{length} bytes at byte {offset}"));
    }
    let more = summary.damaged.saturating_sub(checked.ranges.len() as u64);
    if more > 0 {
        line("damaged", format!("and {more} more ranges; {} bytes in all", summary.damaged_bytes));
    }
    if let Some(offset) = summary.torn {
        line("torn", format!("{} bytes at byte {offset}", summary.torn_bytes));
    }
    if summary.reserved > 0 {
        line("unknown", format!("{} records of a later version", summary.reserved));
    }
    if checked.unfit > 0 {
        line("left out", format!("{} packets that are not of the layout", checked.unfit));
    }
    let state = match checked.end {
        _ if !checked.complete => {
            format!("not known: read up to byte {} of {}", source.offset(), source.size())
        }
        _ if source.is_whole() => "yes".into(),
        _ if source.packet_size().is_some() => "NO: the last packet is torn".into(),
        Some((_, false)) => "NO: its end says other numbers of packets".into(),
        Some(_) => "NO".into(),
        None => "NO: it was not closed".into(),
    };
    line("whole", state);
    text
}
