//! The search for the highest rate that is kept: doubling, then halving the gap.
//!
//! Invariant: `kept` is less than `too_high`. Knows nothing of what is tried.

/// How often a first rate that is too high is halved, and a kept one doubled.
const STEPS: u32 = 20;

/// A search under way.
#[derive(Debug)]
pub struct Search {
    kept: Option<f64>,
    too_high: Option<f64>,
    next: f64,
    precision: f64,
    steps: u32,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The lowest rate that was not kept.
    pub too_high: Option<f64>,
    /// Whether the gap is as small as it was to be.
    pub precise: bool,
}

impl Search {
    /// A search from `start` on, until the gap is less than that part of the rate.
    pub fn new(start: f64, precision: f64) -> Self {
        Self { kept: None, too_high: None, next: start, precision, steps: 0 }
    }

    /// The next rate to try.
    pub fn next(&self) -> Option<f64> {
        (!self.found().precise && self.steps < STEPS).then_some(self.next)
    }

    /// What came of it.
    pub fn tell(&mut self, is_kept: bool) {
        if is_kept {
            self.kept = Some(self.next);
        } else {
            self.too_high = Some(self.next);
        }
        self.steps += 1;
        self.next = match (self.kept, self.too_high) {
            (Some(kept), Some(too_high)) => (kept + too_high) / 2.0,
            (Some(kept), None) => 2.0 * kept,
            (None, Some(too_high)) => too_high / 2.0,
            (None, None) => self.next,
        };
    }

    /// How far it has come.
    pub fn found(&self) -> Found {
        let precise = match (self.kept, self.too_high) {
            (Some(kept), Some(too_high)) => too_high - kept <= self.precision * kept,
            _ => false,
        };
        Found { too_high: self.too_high, precise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The highest kept rate, and how many were tried.
    fn search(start: f64, limit: f64) -> (Option<f64>, u32, Found) {
        let mut search = Search::new(start, 0.05);
        while let Some(rate) = search.next() {
            search.tell(rate <= limit);
        }
        (search.kept, search.steps, search.found())
    }

    #[test]
    fn the_limit_is_found_from_either_side() {
        for (start, limit) in [(1e9, 23.4e9), (1e9, 1e9), (64e9, 0.7e9), (1e9, 1.04e9)] {
            let (kept, steps, found) = search(start, limit);
            let kept = kept.unwrap();
            assert!(kept <= limit && kept >= limit / 1.05, "{start} {limit}: {kept}");
            assert!(steps < STEPS && found.precise);
            assert!(found.too_high.unwrap() > limit);
        }
    }

    #[test]
    fn it_ends_where_there_is_no_limit() {
        let (kept, steps, found) = search(1.0, f64::INFINITY);
        assert_eq!((kept, steps), (Some(2f64.powi(19)), STEPS));
        assert_eq!(found, Found { too_high: None, precise: false });
        let (kept, steps, found) = search(1e9, 0.0);
        assert_eq!((kept, steps, found.precise), (None, STEPS, false));
    }
}
