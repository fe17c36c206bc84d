//! When bytes may leave: at a rate, in bursts.
//!
//! Two times are kept. `due` is when the next byte should leave for the average to be exactly the rate; it is behind when the sender was held up.
//! `burst_due` runs at `burst_rate_ratio` times the rate and never falls behind the present by more than a burst, so that what was missed is made up
//! for no faster than that. Nothing leaves before both. A sender without anything to send has no claim to make up for.
//!
//! It knows no clock: times are nanoseconds since whenever. One thread.

/// Who spaces packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pacing {
    /// The stream, burst by burst.
    #[default]
    Software,
    /// Also the kernel, the packets of a burst, where it can.
    Kernel,
}

/// Rates and bursts of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Bytes per second; 0 for no limit.
    pub rate: f64,
    /// Bytes that may leave at once; at least one packet does.
    pub burst_size: usize,
    /// How much faster than the rate a sender may be that has fallen behind; at least 1.
    pub burst_rate_ratio: f64,
    /// Who spaces packets.
    pub pacing: Pacing,
}

impl Pace {
    /// The rate that the kernel is to keep a socket to, in bytes per second with `overhead` bytes of headers for each packet.
    pub(super) fn kernel_rate(&self, packet: usize, overhead: usize) -> u64 {
        (self.rate * self.burst_rate_ratio * (1.0 + overhead as f64 / packet.max(1) as f64)).ceil() as u64
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { rate: 0.0, burst_size: 65_536, burst_rate_ratio: 1.05, pacing: Pacing::Software }
    }
}

/// The state of a paced sender.
#[derive(Debug)]
pub struct Pacer {
    ratio: f64,
    due: f64,
    burst_due: f64,
    /// Nanoseconds that the last burst takes at the rate: by so much it may be late without a loss.
    burst: f64,
}

impl Pacer {
    /// A sender that may begin at once.
    pub fn new(burst_rate_ratio: f64) -> Self {
        Self { ratio: burst_rate_ratio, due: 0.0, burst_due: 0.0, burst: 0.0 }
    }

    /// Until when nothing may leave.
    pub fn not_before(&self) -> u64 {
        self.due.max(self.burst_due).ceil() as u64
    }

    /// The next burst leaves now; `cost` is how many nanoseconds it takes at the rate ([`cost`]).
    pub fn leave(&mut self, now: u64, cost: f64) {
        self.burst_due = self.burst_due.max(now as f64 - self.burst) + cost / self.ratio;
        self.due += cost;
        self.burst = cost;
    }

    /// There is nothing to send.
    pub fn idle(&mut self, now: u64) {
        self.due = self.due.max(now as f64);
        self.burst_due = self.burst_due.max(now as f64);
    }
}

/// Nanoseconds that bytes take at a rate.
pub fn cost(bytes: u64, rate: f64) -> f64 {
    if rate > 0.0 { bytes as f64 * 1e9 / rate } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that only moves when somebody sleeps, and then by up to `late` more than that.
    struct Clock {
        now: u64,
        seed: u64,
        late: u64,
    }

    impl Clock {
        fn sleep_until(&mut self, time: u64) {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if time > self.now {
                self.now = time + (self.seed >> 33) % (self.late + 1);
            }
        }
    }

    #[test]
    fn the_kernel_counts_headers() {
        let pace = Pace { rate: 1e8, burst_rate_ratio: 1.25, ..Pace::default() };
        assert_eq!(pace.kernel_rate(1000, 0), 125_000_000);
        assert_eq!(pace.kernel_rate(1000, 500), 187_500_000);
    }

    const SECOND: u64 = 1_000_000_000;

    /// The bytes that leave, and when.
    fn run(rate: f64, burst: u64, late: u64, hold: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
        let mut clock = Clock { now: 0, seed: 42, late };
        let mut pacer = Pacer::new(1.05);
        let mut left = Vec::new();
        while clock.now < SECOND {
            clock.sleep_until(pacer.not_before());
            clock.now += hold(clock.now);
            pacer.leave(clock.now, cost(burst, rate));
            left.push((clock.now, burst));
        }
        left
    }

    fn bytes_until(left: &[(u64, u64)], end: u64) -> u64 {
        left.iter().filter(|(at, _)| *at < end).map(|(_, bytes)| bytes).sum()
    }

    #[test]
    fn the_average_is_the_rate() {
        for rate in [1e6, 1.25e8, 5e8, 1.25e9] {
            for burst in [9000, 65_536] {
                // As late as a system's timers are, but no later than the rate leaves time for a burst.
                let late = (burst as f64 * 1e9 / rate) as u64;
                let left = run(rate, burst, late.min(100_000), |_| 0);
                let bytes = bytes_until(&left, SECOND) as f64;
                assert!(
                    (bytes / rate - 1.0).abs() < 0.01 + burst as f64 / rate,
                    "{rate} {burst}: {}",
                    bytes / rate
                );
            }
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_no_faster_than_allowed() {
        let rate = 1e8;
        // Held up from 0.2 s to 0.21 s: 10 ms are made up for in 200 ms.
        let hold = |now: u64| if (SECOND / 5..SECOND / 5 + 700_000).contains(&now) { 10_000_000 } else { 0 };
        let left = run(rate, 65_536, 0, hold);
        let between = |a: u64, b: u64| {
            (bytes_until(&left, b) - bytes_until(&left, a)) as f64 / rate * 1e9 / (b - a) as f64
        };
        let after = SECOND / 5 + 12_000_000;
        assert!(
            (between(after, after + 100_000_000) - 1.05).abs() < 0.01,
            "{}",
            between(after, after + 100_000_000)
        );
        assert!((between(SECOND / 2, SECOND) - 1.0).abs() < 0.002);
        assert!((bytes_until(&left, SECOND) as f64 / rate - 1.0).abs() < 0.002);
    }

    #[test]
    fn who_had_nothing_to_send_makes_up_for_nothing() {
        let mut pacer = Pacer::new(1.05);
        pacer.leave(0, cost(1000, 1e6));
        assert_eq!(pacer.not_before(), 1_000_000);
        pacer.idle(500_000);
        assert_eq!(pacer.not_before(), 1_000_000);
        pacer.idle(SECOND);
        assert_eq!(pacer.not_before(), SECOND);
        pacer.leave(SECOND, cost(1000, 1e6));
        assert_eq!(pacer.not_before(), SECOND + 1_000_000);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pacer = Pacer::new(1.05);
        pacer.leave(5, cost(1 << 40, 0.0));
        assert!(pacer.not_before() <= 5);
    }
}
