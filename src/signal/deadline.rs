//! One time for several waits in a row.
//!
//! Plain value; any thread.

use std::time::Instant;

use crate::ring::Wait;

/// Until when a call may wait, in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    wait: Wait,
    end: Option<Instant>,
}

impl Deadline {
    /// From now on.
    pub fn new(wait: Wait) -> Self {
        let end = match wait {
            Wait::For(time) => Instant::now().checked_add(time),
            _ => None,
        };
        Self { wait, end }
    }

    /// How long that is now.
    pub fn left(&self) -> Wait {
        match (self.wait, self.end) {
            (Wait::For(_), Some(end)) => match end.saturating_duration_since(Instant::now()) {
                time if time.is_zero() => Wait::No,
                time => Wait::For(time),
            },
            // Longer than the clock can count.
            (Wait::For(_), None) => Wait::Forever,
            (wait, _) => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_gets_less() {
        assert_eq!(Deadline::new(Wait::No).left(), Wait::No);
        assert_eq!(Deadline::new(Wait::Forever).left(), Wait::Forever);
        assert_eq!(Deadline::new(Wait::For(Duration::ZERO)).left(), Wait::No);
        assert_eq!(Deadline::new(Wait::For(Duration::MAX)).left(), Wait::Forever);
        let Wait::For(left) = Deadline::new(Wait::For(Duration::from_secs(60))).left() else { panic!() };
        assert!(left <= Duration::from_secs(60));
    }
}
