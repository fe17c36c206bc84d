//! `aqueduct stream tail`: samples as they come, each frame a line with its index, and gaps where they are.

use std::io::IsTerminal;
use std::time::Instant;

use aqueduct::signal::input::Received;
use clap::Args;

use super::Which;
use super::columns::{self, Column, Selection};
use super::receive::{Go, News, connect, receive, summary};
use crate::failure::Failure;
use crate::stdout::Lines;
use crate::{interrupt, terminal, units};

/// Print samples as they come, and the gaps between them
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Stop after so many frames
    #[arg(short = 'n', long = "frames", value_name = "FRAMES", value_parser = units::positive)]
    frames: Option<u64>,
    /// Print only these values of each frame, counted from 0 on [default: all; on a terminal the first 16]
    #[arg(long, value_name = "LIST", value_parser = Selection::parse)]
    channels: Option<Selection>,
    /// Print at most so many lines per second and leave out the rest; 0: all [default: 100 on a terminal, else 0]
    #[arg(long, value_name = "LINES", value_parser = units::integer)]
    rate: Option<u64>,
    /// Write the samples' bytes as they are in memory in C order, nothing between them; gaps are told on the standard
    /// error
    #[arg(long, conflicts_with_all = ["channels", "rate"])]
    raw: bool,
}

/// Values of a frame that fit on a terminal.
const FEW: usize = 16;
/// Lines per second that can be read on a terminal.
const READABLE: u64 = 100;

pub fn run(options: &Options) -> Result<(), Failure> {
    interrupt::on_signal(|| {})?;
    let found = options.which.find()?;
    let on_terminal = std::io::stdout().is_terminal();
    let most = if on_terminal { FEW } else { columns::MOST };
    let (columns, all) =
        columns::columns(&found.params, options.channels.as_ref(), most).map_err(Failure::Usage)?;
    let rate = options.rate.unwrap_or(if on_terminal { READABLE } else { 0 });
    let mut tail = Tail {
        raw: options.raw,
        left: options.frames,
        columns,
        // Those that were chosen are all that is wanted.
        others: if options.channels.is_some() { 0 } else { all },
        budget: Budget { rate, lines: rate, since: Instant::now() },
        left_out: 0..0,
        not_shown: 0,
        lines: Lines::new(),
    };
    tail.others = tail.others.saturating_sub(tail.columns.len());
    let mut input = connect(&found)?;
    let ended = receive(&mut input, |news| tail.take(news));
    tail.end()?;
    let also =
        if tail.not_shown > 0 { format!("; {} frames not shown", tail.not_shown) } else { String::new() };
    terminal::say(format_args!("{}{also}", summary(&input.stats())));
    ended
}

/// Lines that may still be printed: as many as a second allows, and as many more with each second.
struct Budget {
    /// Lines per second; 0: any number.
    rate: u64,
    lines: u64,
    since: Instant,
}

impl Budget {
    /// Whether there is a line left.
    fn take(&mut self, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let earned = (now.duration_since(self.since).as_secs_f64() * self.rate as f64) as u64;
        if earned > 0 {
            self.lines = self.lines.saturating_add(earned).min(self.rate);
            self.since = now;
        }
        let left = self.lines > 0;
        self.lines = self.lines.saturating_sub(1);
        left
    }
}

struct Tail {
    raw: bool,
    /// Frames that are still to be written.
    left: Option<u64>,
    columns: Vec<Column>,
    /// Values of each frame that are not printed.
    others: usize,
    budget: Budget,
    /// Frames up to now that were left out, one after the other.
    left_out: std::ops::Range<u64>,
    not_shown: u64,
    lines: Lines,
}

/// A line that tells of frames: from the first up to, but not with, the last.
fn told(what: &str, range: &std::ops::Range<u64>) -> String {
    format!("{what:>10}  {}..{}, {} frames\n", range.start, range.end, range.end - range.start)
}

impl Tail {
    fn take(&mut self, news: News<'_>) -> Result<Go, Failure> {
        match news {
            News::Chunk(received) => self.chunk(received)?,
            News::Restart => {
                self.tell_left_out()?;
                self.tell("   restart  the output begins again at index 0\n".into())?;
            }
            // Whoever reads has all that has come.
            News::Quiet => self.lines.flush()?,
        }
        Ok(if self.left == Some(0) || self.lines.is_closed() { Go::Enough } else { Go::On })
    }

    /// A line that is no sample.
    fn tell(&mut self, line: String) -> Result<(), Failure> {
        if self.raw {
            terminal::say(format_args!("{}", line.trim()));
            return Ok(());
        }
        self.lines.write(line.as_bytes())
    }

    fn tell_left_out(&mut self) -> Result<(), Failure> {
        if self.left_out.is_empty() {
            return Ok(());
        }
        let line = told("not shown", &self.left_out);
        self.not_shown += self.left_out.end - self.left_out.start;
        self.left_out = 0..0;
        self.tell(line)
    }

    fn chunk(&mut self, received: &Received) -> Result<(), Failure> {
        let Received { chunk, gap } = received;
        if !gap.is_empty() {
            self.tell_left_out()?;
            self.tell(told("gap", gap))?;
        }
        let bytes = columns::c_order(chunk)?;
        let frames = chunk.frames();
        if frames == 0 {
            return Ok(());
        }
        let size = bytes.len() / frames;
        if self.raw {
            let count = self.left.map_or(frames, |left| frames.min(usize::try_from(left).unwrap_or(frames)));
            self.left = self.left.map(|left| left - count as u64);
            return self.lines.write(&bytes[..count * size]);
        }
        let now = Instant::now();
        for i in 0..frames {
            if self.left == Some(0) {
                break;
            }
            let index = chunk.start() + i as u64;
            if !self.budget.take(now) {
                let start = if self.left_out.is_empty() { index } else { self.left_out.start };
                self.left_out = start..index + 1;
                continue;
            }
            self.tell_left_out()?;
            let frame = &bytes[i * size..(i + 1) * size];
            let mut line = format!("{index:>10} ");
            for column in &self.columns {
                line.push(' ');
                line += &column.text(frame);
            }
            if self.others > 0 {
                line += &format!(" ... {} more", self.others);
            }
            line.push('\n');
            self.lines.write(line.as_bytes())?;
            self.left = self.left.map(|left| left - 1);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.tell_left_out()?;
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_budget_is_so_many_lines_at_once_and_per_second() {
        let start = Instant::now();
        let mut budget = Budget { rate: 10, lines: 10, since: start };
        let mut count = |after: u64| {
            let now = start + Duration::from_millis(after);
            (0..100).filter(|_| budget.take(now)).count()
        };
        assert_eq!([count(0), count(50), count(150), count(1150), count(90_000)], [10, 0, 1, 10, 10]);
        let mut all = Budget { rate: 0, lines: 0, since: start };
        assert!((0..100).all(|_| all.take(start)));
    }
}
