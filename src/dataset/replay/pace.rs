//! When rows are due, and being told to stop meanwhile.
//!
//! Row `n` is due `n / rate` after the first: times are computed from the beginning, so that no error adds up, and who was late is on time again as soon as it
//! can. The player's thread waits; any other may tell it to stop.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The wish to stop.
#[derive(Default)]
pub(super) struct Stop {
    wished: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self, wished: bool) {
        *self.wished.lock() = wished;
        self.changed.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        *self.wished.lock()
    }

    /// Waits until that time; `None`: for ever. False: it is to stop.
    fn wait_until(&self, time: Option<Instant>) -> bool {
        let mut wished = self.wished.lock();
        while !*wished {
            match time {
                Some(time) if time <= Instant::now() => return true,
                Some(time) => drop(self.changed.wait_until(&mut wished, time)),
                None => self.changed.wait(&mut wished),
            }
        }
        false
    }
}

/// The times of rows.
pub(super) struct Pace<'a> {
    stop: &'a Stop,
    start: Instant,
    /// Rows per second; infinite: at once.
    rate: f64,
    /// Rows that have been due.
    rows: u64,
    /// How late the latest was.
    pub(super) late: Duration,
}

impl<'a> Pace<'a> {
    /// The first row is due now.
    pub(super) fn new(stop: &'a Stop, rate: f64) -> Self {
        Self { stop, start: Instant::now(), rate, rows: 0, late: Duration::ZERO }
    }

    /// Waits until `rows` more are due, all of them. False: it is to stop.
    pub(super) fn wait(&mut self, rows: u64) -> bool {
        self.rows += rows;
        if self.rate.is_infinite() {
            return !self.stop.is_set();
        }
        let after = Duration::try_from_secs_f64(self.rows as f64 / self.rate).unwrap_or(Duration::MAX);
        let due = self.start.checked_add(after);
        if !self.stop.wait_until(due) {
            return false;
        }
        if let Some(due) = due {
            self.late = self.late.max(due.elapsed());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_due_at_their_time_and_errors_do_not_add_up() {
        let stop = Stop::default();
        let mut pace = Pace::new(&stop, 10_000.0);
        let start = pace.start;
        for _ in 0..50 {
            assert!(pace.wait(7));
        }
        assert!(start.elapsed() >= Duration::from_millis(35));
        // Who was held up is on time again at once: nothing is waited for that was due meanwhile.
        pace.start -= Duration::from_secs(3600);
        for _ in 0..1000 {
            assert!(pace.wait(1));
        }
        assert!(pace.late > Duration::from_secs(3599));
    }

    #[test]
    fn a_wish_to_stop_ends_any_wait() {
        let stop = Stop::default();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Pace::new(&stop, 1e-300).wait(u64::MAX));
            stop.set(true);
            assert!(!waits.join().unwrap());
        });
        assert!(!Pace::new(&stop, f64::INFINITY).wait(1));
    }
}
