//! Logging
//!
//! The library logs rarely: what a caller should know and cannot be told by a status, at a limited rate. Without
//! aq_set_log(), warnings and errors go to stderr, at most 20 lines per second.

// The core logs through the `log` facade; this file is its sink. Invariant: a callback is called under a shared lock on
// SINK, so whoever holds it exclusively (aq_set_log) knows that no call is in flight. Shared locks are taken
// recursively: a callback may call the library, which may log, while aq_set_log is already waiting. What is logged
// inside the callback goes to stderr instead: it would never end otherwise.

use std::ffi::{CString, c_char, c_void};
use std::io::Write;
use std::sync::Once;
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::{Mutex, RwLock};

use super::callback::{Callback, aq_user_free_fn, inside, is_inside};
use super::guard::{Outcome, guard};
use super::status::aq_status;
use crate::error::{Error, Result};

/// Log nothing.
pub const AQ_LOG_OFF: i32 = 0;
/// Something failed.
pub const AQ_LOG_ERROR: i32 = 1;
/// Something is not as it should be, and work goes on. The default.
pub const AQ_LOG_WARN: i32 = 2;
/// What happens now and then in a healthy run.
pub const AQ_LOG_INFO: i32 = 3;
/// What helps to find a fault.
pub const AQ_LOG_DEBUG: i32 = 4;

/// Receives log messages.
///
/// @param level AQ_LOG_ERROR .. AQ_LOG_DEBUG
/// @param target which part of the library, e.g. "aqueduct::recv"
/// @param message one sentence, UTF-8, without a newline at its end
/// @param user the pointer given to aq_set_log()
///
/// - called from: any thread, the library's and the caller's, also from several at the same time
/// - may block: shortly; the thread that logs is waiting
/// - may call: any function of this library but aq_set_log(); what it causes to be logged goes to stderr
/// - valid until: the texts are valid until it returns
/// - on error: there is no way to report one
pub type aq_log_fn = Option<
    unsafe extern "C" fn(level: i32, target: *const c_char, message: *const c_char, user: *mut c_void),
>;

/// Sends log messages to a callback instead of stderr.
///
/// When it returns, the previous callback is not being called any more and its user_free has run. At the end of the
/// process, user_free of the last one is not called.
///
/// @param callback receives the messages; NULL for stderr, where at most 20 lines per second are written and the rest
///        is counted
/// @param user passed to the callback; belongs to the library from now on, also on an error
/// @param user_free releases user, or NULL
/// @param level the least important level to log, AQ_LOG_OFF .. AQ_LOG_DEBUG
/// @return AQ_OK; AQ_E_INVALID for an unknown level; AQ_E_STATE from inside the callback
///
/// Threads: any. It waits for calls of the previous callback to return, so do not hold a lock that the callback takes.
///
/// ```c
/// static void log_line(int32_t level, const char *target, const char *message, void *user)
/// {
///     fprintf(user, "%d %s: %s\n", (int)level, target, message);
/// }
///
/// aq_set_log(log_line, log_file, NULL, AQ_LOG_INFO);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_set_log(
    callback: aq_log_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    level: i32,
) -> aq_status {
    guard(|| {
        // SAFETY: user_free may be called once with user, by the contract above.
        let callback = unsafe { Callback::new(callback, user, user_free) };
        let level = level_filter(level)?;
        if is_inside(&raw const SINK) {
            return Err(Error::state("aq_set_log must not be called from inside the log callback"));
        }
        let previous = {
            let mut sink = SINK.write();
            sink.level = level;
            if sink.installed {
                log::set_max_level(level);
            }
            std::mem::replace(&mut sink.callback, callback)
        };
        drop(previous); // user_free, outside the lock
        Ok(Outcome::Done)
    })
}

fn level_filter(level: i32) -> Result<LevelFilter> {
    match level {
        AQ_LOG_OFF => Ok(LevelFilter::Off),
        AQ_LOG_ERROR => Ok(LevelFilter::Error),
        AQ_LOG_WARN => Ok(LevelFilter::Warn),
        AQ_LOG_INFO => Ok(LevelFilter::Info),
        AQ_LOG_DEBUG => Ok(LevelFilter::Debug),
        _ => Err(Error::invalid(format!("level must be AQ_LOG_OFF (0) .. AQ_LOG_DEBUG (4) (got {level})"))),
    }
}

fn level_number(level: Level) -> i32 {
    match level {
        Level::Error => AQ_LOG_ERROR,
        Level::Warn => AQ_LOG_WARN,
        Level::Info => AQ_LOG_INFO,
        Level::Debug | Level::Trace => AQ_LOG_DEBUG,
    }
}

struct Sink {
    /// Where messages go; no function means stderr.
    callback: Callback<aq_log_fn>,
    /// The least important level to pass on.
    level: LevelFilter,
    /// The facade's sink is ours, so its level is, too.
    installed: bool,
}

static SINK: RwLock<Sink> =
    RwLock::new(Sink { callback: Callback::none(), level: LevelFilter::Warn, installed: false });

/// The library's `log::Log`.
struct Logger;

/// Makes our `Logger` the sink of the `log` facade, once; [`guard`] does it at the first exported call. A Rust program
/// that links the crate and has a logger of its own keeps it.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if log::set_logger(&Logger).is_ok() {
            let mut sink = SINK.write();
            sink.installed = true;
            log::set_max_level(sink.level);
        }
    });
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= SINK.read_recursive().level
    }

    fn log(&self, record: &Record) {
        let sink = SINK.read_recursive();
        if record.level() > sink.level {
            return;
        }
        match sink.callback.function {
            Some(function) if !is_inside(&raw const SINK) => {
                let (target, message) = (c_text(record.target()), c_text(record.args().to_string()));
                // SAFETY: NUL-terminated texts that live until it returns, and the callback's own user pointer.
                inside(&raw const SINK, || unsafe {
                    function(
                        level_number(record.level()),
                        target.as_ptr(),
                        message.as_ptr(),
                        sink.callback.user.pointer(),
                    )
                });
            }
            _ => {
                drop(sink);
                to_stderr(record);
            }
        }
    }

    fn flush(&self) {}
}

/// `text` for C: a NUL inside becomes a space.
fn c_text(text: impl Into<String>) -> CString {
    let mut bytes = text.into().into_bytes();
    for byte in bytes.iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    CString::new(bytes).unwrap_or_default()
}

fn to_stderr(record: &Record) {
    static LIMIT: Mutex<Option<Limit>> = Mutex::new(None);
    let Some(missed) = LIMIT.lock().get_or_insert_default().admit(Instant::now()) else { return };
    let mut lines = String::new();
    if missed > 0 {
        lines = format!("aqueduct: {missed} more messages\n");
    }
    lines += &format!("aqueduct: {}: {}\n", record.level().as_str().to_lowercase(), record.args());
    // Not eprint!, which panics when stderr is closed.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// At most `LINES` messages in each `WINDOW`; the rest is counted.
#[derive(Default)]
struct Limit {
    /// When the current window began; None before the first message.
    since: Option<Instant>,
    /// Messages let through in this window, <= LINES.
    lines: u32,
    /// Messages kept back since one was last let through.
    missed: u64,
}

impl Limit {
    const LINES: u32 = 20;
    const WINDOW: Duration = Duration::from_secs(1);

    /// Whether a message may be written now: if so, how many were kept back before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= Self::WINDOW) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == Self::LINES {
            self.missed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_twenty_lines_per_second() {
        let (mut limit, start) = (Limit::default(), Instant::now());
        for _ in 0..Limit::LINES {
            assert_eq!(limit.admit(start), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(limit.admit(start + Duration::from_millis(999)), None);
        }
        assert_eq!(limit.admit(start + Duration::from_secs(1)), Some(7));
        assert_eq!(limit.admit(start + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn texts_for_c_end_where_they_should() {
        assert_eq!(c_text("a\0b").as_c_str(), c"a b");
        assert_eq!(c_text("").as_c_str(), c"");
    }
}
