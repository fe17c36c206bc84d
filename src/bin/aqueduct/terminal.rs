//! The standard error: messages, the library's log and the progress line, which must not run into each other.
//!
//! Any thread may call anything here. A message that cannot be written is lost; it never ends the program.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The progress line, once there is one.
static PROGRESS: OnceLock<ProgressBar> = OnceLock::new();

/// Does `write` while the progress line is away.
pub fn aside<R>(write: impl FnOnce() -> R) -> R {
    match PROGRESS.get() {
        Some(line) if !line.is_finished() => line.suspend(write),
        _ => write(),
    }
}

/// Writes a line.
pub fn say(line: fmt::Arguments<'_>) {
    aside(|| {
        // In one piece, so that lines of two programs on one terminal do not mix.
        let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    });
}

/// Whether there is someone to watch a progress line.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Shows `message` as the progress line.
pub fn progress(message: String) {
    let line = PROGRESS.get_or_init(|| {
        let line = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            line.set_style(style);
        }
        line
    });
    line.set_message(message);
    line.tick();
}

/// Takes the progress line away.
pub fn end_progress() {
    if let Some(line) = PROGRESS.get() {
        line.finish_and_clear();
    }
}

/// Warnings and errors of the library become lines.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = if record.level() == Level::Error { "error" } else { "warning" };
            say(format_args!("aqueduct: {level}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}

/// Has the library's log written here.
pub fn log_to_stderr() {
    // It fails only if there is a logger already.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
