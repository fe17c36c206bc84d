//! Logging that an attacker cannot turn into a flood.
//!
//! The crate logs through the [`log`] facade. What may happen once per packet goes through a [`Limited`]: the first of
//! its kind is logged with its detail, the rest as a count, at most once per second.

use std::time::{Duration, Instant};

const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);

/// One kind of event that may come in floods. Used by one thread.
#[derive(Debug)]
pub struct Limited {
    /// What is counted, in the plural: "malformed packets".
    what: &'static str,
    level: log::Level,
    /// Events since the last line.
    unsaid: u64,
    /// When the last line was written; none yet if `None`.
    last_line: Option<Instant>,
}

impl Limited {
    /// A limiter for warnings of `what`, named in the plural.
    pub const fn new(what: &'static str) -> Self {
        Self { what, level: log::Level::Warn, unsaid: 0, last_line: None }
    }

    /// The same for what is of use only when a fault is looked for.
    pub const fn debug(what: &'static str) -> Self {
        Self { what, level: log::Level::Debug, unsaid: 0, last_line: None }
    }

    /// One event; `detail` is asked for only if it gets a line of its own.
    pub fn note(&mut self, detail: impl FnOnce() -> String) {
        let now = Instant::now();
        match self.last_line {
            None => {
                log::log!(self.level, "{}: {}", self.what, detail());
                self.last_line = Some(now);
            }
            Some(last) => {
                self.unsaid += 1;
                if now.duration_since(last) >= SUMMARY_INTERVAL {
                    self.summarise();
                    self.last_line = Some(now);
                }
            }
        }
    }

    /// Says how many events went unsaid, if any.
    pub fn summarise(&mut self) {
        if self.unsaid > 0 {
            log::log!(self.level, "{}: {} more", self.what, self.unsaid);
            self.unsaid = 0;
        }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.summarise();
    }
}
