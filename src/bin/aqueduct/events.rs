//! `aqueduct events`: what is in event files, framed or raw, and whether it is whole; listed, extracted, as text or CSV.

mod destination;
mod moment;
mod show;
mod source;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqueduct::event::layout::PacketLayout;
use aqueduct::event::reader::Entry;
use clap::Args;

use crate::failure::Failure;
use crate::stdout::Lines;
use crate::{interrupt, terminal, units};
use destination::Destinations;
use show::{Checked, Shown};
use source::Source;

const EXAMPLES: &str = "\
Each file is read from beginning to end and checked: its records' checksums, its counts. Damage is passed over to the next
good record; the exact bytes are told.

Examples:
  Are these files whole?
    aqueduct events run7-*.aqe
  What is in this one, record by record?
    aqueduct events run7-000.aqe --list --range 0..100
  As a table, what the packets mean being in the file:
    aqueduct events run7-000.aqe --csv run7.csv
  A raw file of packets of one layout:
    aqueduct events run7.dat --layout '<header:B=170, time:Q, adc:h' --csv -
  Only the packets, byte by byte, of several files in one:
    aqueduct events run7-*.aqe --extract run7.dat

Exit status 1 if a file cannot be read, is damaged, or torn.";

/// Time between two progress lines.
const INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of a file between two looks at the time.
const BETWEEN_LOOKS: u64 = 1 << 20;

/// List, check, extract and convert event files
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Files, framed or raw
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Show every record: number, offset, time, size, and the values if the layout is known
    #[arg(long)]
    list: bool,
    /// List, extract and convert only packets with these numbers, from A up to but not with B; either may be left out
    #[arg(long, value_name = "A..B", value_parser = Range::parse)]
    range: Option<Range>,

    /// Write the packets' bytes to a new file; -: standard output
    #[arg(long, value_name = "OUT")]
    extract: Option<PathBuf>,
    /// Write the packets' values to a new file, as text under a header
    #[arg(long, value_name = "OUT")]
    text: Option<PathBuf>,
    /// Write the packets' values to a new file, as CSV
    #[arg(long, value_name = "OUT")]
    csv: Option<PathBuf>,

    /// What packets are, instead of what a file says: '<header:B=170, time:Q, adc:h'
    #[arg(long, value_name = "TEXT", value_parser = parse_layout)]
    layout: Option<PacketLayout>,
    /// Bytes of a packet in raw files; default: the layout's
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    size: Option<usize>,
    /// Read framed files whose header is damaged
    #[arg(long)]
    salvage: bool,

    /// Write JSON: a line for each record with --list, and one for each file
    #[arg(long)]
    json: bool,
}

fn parse_layout(text: &str) -> Result<PacketLayout, String> {
    PacketLayout::parse(text).map_err(|error| error.to_string())
}

/// Numbers of packets.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    from: u64,
    /// Not with it.
    to: u64,
}

impl Range {
    const ALL: Self = Self { from: 0, to: u64::MAX };

    fn parse(text: &str) -> Result<Self, String> {
        let rule = "must be A..B, A.. or ..B, with B above A";
        let (from, to) = text.split_once("..").ok_or(rule)?;
        let number = |text: &str, default| if text.is_empty() { Ok(default) } else { units::integer(text) };
        let range = Self { from: number(from, 0)?, to: number(to, u64::MAX)? };
        if range.from < range.to { Ok(range) } else { Err(rule.into()) }
    }

    fn has(self, number: u64) -> bool {
        (self.from..self.to).contains(&number)
    }
}

impl Options {
    fn check(&self) -> Result<(), Failure> {
        let outputs = [&self.extract, &self.text, &self.csv];
        let to_stdout = outputs.iter().filter(|out| destination::is_stdout(out.as_deref())).count();
        if to_stdout + usize::from(self.list) > 1 {
            return Err(Failure::Usage(
                "only one of --list, --extract, --text and --csv can go to the standard output".into(),
            ));
        }
        Ok(())
    }

    fn data_to_stdout(&self) -> bool {
        [&self.extract, &self.text, &self.csv].iter().any(|out| destination::is_stdout(out.as_deref()))
    }
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    options.check()?;
    interrupt::on_signal(|| {})?;
    let mut lines = Lines::new();
    let mut destinations = None;
    let mut good = true;
    for path in &options.files {
        let mut source = match Source::open(path, &options) {
            Ok(source) => source,
            Err(error) => {
                terminal::say(format_args!("aqueduct: error: {error}"));
                good = false;
                continue;
            }
        };
        // Made when the first file is there, so that a wrong name leaves nothing behind.
        let destinations = match &mut destinations {
            Some(destinations) => destinations,
            none => none.insert(Destinations::new(&options, &source)?),
        };
        if !destinations.fit(&source) {
            terminal::say(format_args!(
                "aqueduct: error: {}: its packets have another layout than those of the first file",
                source.name()
            ));
            good = false;
            continue;
        }
        let checked = read(&options, &mut source, &mut lines, destinations)?;
        terminal::end_progress();
        let summary = show::summary(&source, &checked, options.json);
        if options.data_to_stdout() {
            terminal::say(format_args!("{}", summary.trim_end()));
        } else {
            lines.write(summary.as_bytes())?;
        }
        good &= checked.is_good(&source);
        if interrupt::requested() || lines.is_closed() || destinations.is_closed() {
            break;
        }
    }
    lines.flush()?;
    if let Some(destinations) = destinations {
        destinations.finish()?;
    }
    if good && !interrupt::requested() { Ok(()) } else { Err(Failure::Told) }
}

/// Reads a file to its end, or until nobody wants more of it.
fn read(
    options: &Options,
    source: &mut Source,
    lines: &mut Lines,
    destinations: &mut Destinations,
) -> Result<Checked, Failure> {
    let range = options.range.unwrap_or(Range::ALL);
    let mut checked = Checked::default();
    let mut progress = Progress::new();
    let layout = source.layout().cloned();
    let name = source.name().to_owned();
    if options.list && !options.json && options.files.len() > 1 {
        lines.write(format!("{}:\n", source.name()).as_bytes())?;
    }
    while !interrupt::requested() && !lines.is_closed() && !destinations.is_closed() {
        progress.update(source);
        let packets = source.summary().packets;
        let entry = match source.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                checked.complete = true;
                break;
            }
            Err(error) => return Err(Failure::Run(format!("{name}: {error}"))),
        };
        checked.note(&entry);
        let number = if let Entry::Packet { number, .. } = entry { number } else { packets };
        if !range.has(number) {
            continue;
        }
        if options.list {
            let shown = Shown { name: &name, entry: &entry, layout: layout.as_ref() };
            lines.write(if options.json { shown.json() } else { shown.text() }.as_bytes())?;
        }
        if let Entry::Packet { data, .. } = entry
            && let Err(reason) = destinations.packet(data)?
        {
            if checked.unfit == 0 {
                terminal::say(format_args!("aqueduct: warning: {name}: packet {number}: {reason}"));
            }
            checked.unfit += 1;
        }
    }
    Ok(checked)
}

/// The progress line, where somebody watches.
struct Progress {
    watched: bool,
    /// Where the time was looked at last.
    looked: u64,
    start: Instant,
    last: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { watched: terminal::is_watched(), looked: 0, start: now, last: now }
    }

    fn update(&mut self, source: &Source) {
        let (offset, size) = (source.offset(), source.size());
        // The time is not asked for every little packet.
        if !self.watched || offset - self.looked < BETWEEN_LOOKS {
            return;
        }
        self.looked = offset;
        if self.last.elapsed() < INTERVAL {
            return;
        }
        self.last = Instant::now();
        terminal::progress(format!(
            "{}: {:.0} %, {}B, {}B/s",
            source.name(),
            100.0 * offset as f64 / size.max(1) as f64,
            units::short(offset as f64),
            units::short(offset as f64 / self.start.elapsed().as_secs_f64().max(1e-9)),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(Range::parse("3..7"), Ok(Range { from: 3, to: 7 }));
        assert_eq!(Range::parse("3.."), Ok(Range { from: 3, to: u64::MAX }));
        assert_eq!(Range::parse("..0x10"), Ok(Range { from: 0, to: 16 }));
        for wrong in ["", "3", "7..3", "3..3", "a..b", "-1..3", "1..2..3"] {
            assert!(Range::parse(wrong).is_err(), "{wrong}");
        }
        let range = Range { from: 3, to: 7 };
        assert_eq!([2, 3, 6, 7].map(|number| range.has(number)), [false, true, true, false]);
    }
}
