//! When the next packet is due. Used by one thread.

use std::time::{Duration, Instant};

/// Longest single sleep: how soon an interruption is noticed.
const NAP: Duration = Duration::from_millis(50);

/// A sender that is further behind than this gives the rest up, rather than send a burst that no receiver could take.
const MAX_DEBT: Duration = Duration::from_millis(100);

/// Sleeps until packets are due. Oversleeping is made up for by the packets that follow, up to [`MAX_DEBT`].
pub struct Pacer {
    start: Instant,
}

impl Pacer {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Waits until `due` after the start. False if `interrupted` says so meanwhile.
    pub fn wait(&mut self, due: Duration, interrupted: impl Fn() -> bool) -> bool {
        loop {
            if interrupted() {
                return false;
            }
            let now = self.start.elapsed();
            let Some(ahead) = due.checked_sub(now).filter(|ahead| !ahead.is_zero()) else {
                if let Some(debt) = (now - due).checked_sub(MAX_DEBT) {
                    self.start += debt;
                }
                return true;
            };
            std::thread::sleep(ahead.min(NAP));
        }
    }
}

/// `seconds`, or as long as there is where that is longer.
pub fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_wait_until_they_are_due() {
        let begin = Instant::now();
        let mut pacer = Pacer::start();
        for i in 0..20 {
            assert!(pacer.wait(Duration::from_millis(i), || false));
        }
        assert!(begin.elapsed() >= Duration::from_millis(19));
        assert!(!pacer.wait(Duration::MAX, || begin.elapsed() > Duration::from_millis(20)));
    }

    #[test]
    fn debt_is_limited() {
        let mut pacer = Pacer::start();
        pacer.start -= Duration::from_secs(10);
        assert!(pacer.wait(Duration::ZERO, || false));
        let left = pacer.start.elapsed();
        assert!(left >= MAX_DEBT && left < Duration::from_secs(5), "{left:?}");
    }

    #[test]
    fn absurd_times_do_not_panic() {
        assert_eq!(duration(f64::INFINITY), Duration::MAX);
        assert_eq!(duration(0.5), Duration::from_millis(500));
    }
}
