//! How long to wait, and how long of that to look before sleeping. Each end has its own; one thread.

use std::time::{Duration, Instant};

use crate::ring::Wait;

/// When a wait ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// At once.
    Now,
    /// Then.
    At(Instant),
    /// Never.
    Forever,
}

impl Until {
    pub fn new(wait: Wait) -> Self {
        match wait {
            Wait::No => Self::Now,
            Wait::For(duration) => Instant::now().checked_add(duration).map_or(Self::Forever, Self::At),
            Wait::Forever => Self::Forever,
        }
    }

    /// What is left of it, at most `most`; `None`: nothing.
    pub fn left(self, most: Duration) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::Forever => Some(most),
            Self::At(end) => {
                let left = end.saturating_duration_since(Instant::now());
                (!left.is_zero()).then_some(left.min(most))
            }
        }
    }
}

/// What looking before sleeping has been worth.
#[derive(Debug)]
pub(super) struct Patience {
    /// For how long to look, in nanoseconds: `LEAST..=MOST`.
    nanoseconds: u64,
    /// Waits in a row that looked for the least time, in vain.
    short: u32,
}

impl Patience {
    /// No longer than a sleep may cost.
    const MOST: u64 = 20_000;
    const LEAST: u64 = 300;
    /// So many waits with the least patience, then one with the most, for times may have changed.
    const SHORT: u32 = 32;

    pub fn new() -> Self {
        Self { nanoseconds: Self::MOST, short: 0 }
    }

    /// Looks for a while. True: it came.
    pub fn look(&mut self, until: Until, came: impl Fn() -> bool) -> bool {
        let mut end = Instant::now() + Duration::from_nanos(self.nanoseconds);
        if let Until::At(last) = until {
            end = end.min(last);
        }
        let found = loop {
            for _ in 0..16 {
                if came() {
                    break;
                }
                std::hint::spin_loop();
            }
            if came() {
                break true;
            }
            if Instant::now() >= end {
                break false;
            }
        };
        self.learn(found);
        found
    }

    fn learn(&mut self, found: bool) {
        let now = self.nanoseconds;
        let next = if found { now * 2 } else { now / 2 };
        self.nanoseconds = next.clamp(Self::LEAST, Self::MOST);
        if now == Self::LEAST && !found {
            self.short += 1;
            if self.short == Self::SHORT {
                self.short = 0;
                self.nanoseconds = Self::MOST;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_experience() {
        let mut patience = Patience::new();
        for _ in 0..10 {
            assert!(!patience.look(Until::Forever, || false));
        }
        assert_eq!(patience.nanoseconds, Patience::LEAST);
        assert!(patience.look(Until::Forever, || true));
        assert_eq!(patience.nanoseconds, 2 * Patience::LEAST);
        (patience.nanoseconds, patience.short) = (Patience::LEAST, 0);
        for _ in 0..Patience::SHORT {
            patience.learn(false);
        }
        assert_eq!(patience.nanoseconds, Patience::MOST);
    }
}
