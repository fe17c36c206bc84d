//! SIGINT, SIGTERM and SIGHUP: the first asks for a clean end, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// Set by the first signal, never cleared. Relaxed: it carries nothing but itself.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a program that SIGINT has ended.
const STATUS: i32 = 130;

/// Whether the user wants the program to end.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// From now on the first signal calls `stop`, on a thread of its own. To be called once.
pub fn on_signal(stop: impl Fn() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(STATUS);
        }
        stop();
    })
    .map_err(|reason| Failure::Run(format!("installing the signal handler: {reason}")))
}
