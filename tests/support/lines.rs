//! A log that remembers who said what, for tests that assert what is logged, and how much of it.

use std::sync::{Mutex, Once};
use std::thread::ThreadId;

struct Lines(Mutex<Vec<(ThreadId, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("mio") {
            return;
        }
        self.0.lock().unwrap().push((std::thread::current().id(), record.args().to_string()));
    }
    fn flush(&self) {}
}

/// Remembers from now on.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// What a thread has said.
pub fn lines_of(thread: ThreadId) -> Vec<String> {
    let lines = LINES.0.lock().unwrap();
    lines.iter().filter(|(who, _)| *who == thread).map(|(_, line)| line.clone()).collect()
}
