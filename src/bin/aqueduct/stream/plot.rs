//! `aqueduct stream plot`: the latest samples as a picture, in the terminal or as SVG.

use std::io::{IsTerminal, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aqueduct::sys::terminal::size;
use clap::Args;

use super::columns::{self, Column, Selection};
use super::receive::{Go, News, connect, receive, summary};
use super::window::Window;
use super::{Found, Which, draw, svg};
use crate::failure::Failure;
use crate::stdout::Lines;
use crate::{interrupt, terminal, units};

/// Plot the latest samples in the terminal, or as an SVG file
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Plot so many frames [default: those of 5 seconds, at most 10000]
    #[arg(short = 'n', long = "frames", value_name = "FRAMES", value_parser = units::positive)]
    frames: Option<u64>,
    /// Plot these values of each frame, counted from 0 on [default: the first 8]
    #[arg(long, value_name = "LIST", value_parser = Selection::parse)]
    channels: Option<Selection>,
    /// Write the plot to a new SVG file; -: standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Draw once, when the frames are there; without, a terminal shows the latest ones until it is interrupted
    #[arg(long)]
    once: bool,
}

/// Channels that are told apart.
const FEW: usize = 8;
/// Values that are kept at the most.
const MOST_VALUES: usize = 1 << 24;
/// Seconds that are plotted if nothing else is said.
const SECONDS: f64 = 5.0;
/// Between two pictures.
const INTERVAL: Duration = Duration::from_millis(100);
/// A plot that is no terminal's.
const PLAIN: (usize, usize) = (80, 20);

pub fn run(options: &Options) -> Result<(), Failure> {
    interrupt::on_signal(|| {})?;
    if let Some(path) = options.svg.as_deref().filter(|path| *path != Path::new("-") && path.exists()) {
        return Err(Failure::Run(format!("{} exists already; it is not overwritten", path.display())));
    }
    let found = options.which.find()?;
    let (mut columns, all) =
        columns::columns(&found.params, options.channels.as_ref(), FEW).map_err(Failure::Usage)?;
    columns.retain(Column::is_number);
    if columns.is_empty() {
        return Err(Failure::Run(format!("{}: there are no numbers to plot", found.title)));
    }
    if options.channels.is_none() && all > columns.len() {
        terminal::say(format_args!(
            "{} of {all} channels are plotted; --channels chooses others",
            columns.len()
        ));
    }
    let default = (SECONDS * found.params.sample_rate).clamp(2.0, 10_000.0) as u64;
    let frames = usize::try_from(options.frames.unwrap_or(default)).unwrap_or(usize::MAX);
    if frames.saturating_mul(columns.len()) > MOST_VALUES {
        let rule = format!("frames * channels must be at most {MOST_VALUES}");
        return Err(Failure::Usage(format!("{rule} (got {frames} * {})", columns.len())));
    }
    let mut window = Window::new(&found.params, columns.len(), frames);
    let mut input = connect(&found)?;
    let live = options.svg.is_none() && !options.once && std::io::stdout().is_terminal();
    let mut screen = Screen { lines: 0, last: None };
    let ended = receive(&mut input, |news| {
        match news {
            News::Chunk(received) => window.push(received, &columns)?,
            News::Restart => window.clear(),
            News::Quiet => {}
        }
        if live {
            screen.show(&window, &columns, &found)?;
        }
        Ok(if !live && window.is_full() { Go::Enough } else { Go::On })
    });
    if window.len() == 0 {
        ended?;
        return Err(Failure::Run(format!("{}: no frames have come", found.title)));
    }
    if !live {
        write(options, &window, &columns, &found)?;
    }
    terminal::say(format_args!("{}", summary(&input.stats())));
    ended
}

fn labels(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.label.clone()).collect()
}

fn write(options: &Options, window: &Window, columns: &[Column], found: &Found) -> Result<(), Failure> {
    let (labels, units) = (labels(columns), &found.params.units);
    let text = match &options.svg {
        Some(_) => svg::svg(window, &found.title, &labels, units),
        None => {
            let stdout = std::io::stdout();
            let colours = stdout.is_terminal();
            let size = size(stdout.as_fd()).map_or(PLAIN, |(width, height)| (width.into(), height.into()));
            draw::lines(window, &labels, &crate::heap_items::plain(units), size, colours).join("\n") + "\n"
        }
    };
    match options.svg.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => std::fs::File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|reason| Failure::Run(format!("write {}: {reason}", path.display()))),
        None => {
            let mut lines = Lines::new();
            lines.write(text.as_bytes())?;
            lines.flush()
        }
    }
}

/// A picture that is drawn over the one before.
struct Screen {
    /// Lines of that.
    lines: usize,
    last: Option<Instant>,
}

impl Screen {
    fn show(&mut self, window: &Window, columns: &[Column], found: &Found) -> Result<(), Failure> {
        if window.len() == 0 || self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.last = Some(Instant::now());
        let stdout = std::io::stdout();
        let (width, height) =
            size(stdout.as_fd()).map_or(PLAIN, |(width, height)| (width.into(), height.into()));
        let units = crate::heap_items::plain(&found.params.units);
        // A line stays free for the cursor.
        let lines = draw::lines(window, &labels(columns), &units, (width, height.saturating_sub(1)), true);
        let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
        let text: String = lines.iter().map(|line| format!("\r{line}\x1b[K\n")).collect();
        self.lines = lines.len();
        let mut out = Lines::new();
        out.write(format!("{up}{text}\x1b[J").as_bytes())?;
        out.flush()
    }
}
