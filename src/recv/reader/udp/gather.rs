//! How long datagrams gather in a socket before they are fetched.
//!
//! To be woken for every datagram or two costs more than to fetch it. So after a wake-up the reader may leave its socket alone for
//! a while, if at the rate of the last wake-ups that brings several at once. It does not when that would fill a good part of the socket's
//! buffer, after the kernel has dropped something, or for a while after it has waited for nothing (a sender that waits for answers): what comes to
//! an idle socket is fetched at once. Pure calculation, used by the reader's worker only; nothing here reads a clock or a socket.

use std::time::{Duration, Instant};

use crate::sys::udp::SocketMemory;

/// How a reader lets datagrams gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coalesce {
    /// As long as it pays at the rate seen, and at most the reader's `batch_delay`.
    #[default]
    Adaptive,
    /// For so long whenever two datagrams or more are to be expected; zero: never. At most 1 ms.
    Fixed(Duration),
}

/// Datagrams after which an adaptive wait ends: more at a time save nothing, and leave the caches.
const ENOUGH: f64 = 128.0;

/// Datagrams that make a wait worth it.
const SEVERAL: f64 = 2.0;

/// The part of the socket's buffer that may be filled when it is fetched from.
const PART: usize = 8;

/// Wake-ups without a wait after one that did harm, or no good.
const PAUSE: u32 = 64;

/// How much of the past counts with each new wake-up.
const MEMORY: f64 = 0.75;

/// What is known of the last wake-ups.
#[derive(Debug)]
pub(super) struct Gather {
    longest: Duration,
    adaptive: bool,
    /// The end of the last wake-up.
    last: Option<Instant>,
    /// Datagrams, and seconds in which they came, of the last wake-ups; older ones count less.
    datagrams: f64,
    seconds: f64,
    /// The kernel's count of drops.
    drops: Option<u32>,
    /// It has waited for this wake-up.
    waited: bool,
    /// Wake-ups left without a wait.
    pause: u32,
}

impl Gather {
    pub(super) fn new(coalesce: Coalesce, batch_delay: Duration) -> Self {
        let (longest, adaptive) = match coalesce {
            Coalesce::Adaptive => (batch_delay, true),
            Coalesce::Fixed(time) => (time, false),
        };
        Self {
            longest,
            adaptive,
            last: None,
            datagrams: 0.0,
            seconds: 0.0,
            drops: None,
            waited: false,
            pause: 0,
        }
    }

    /// It never waits.
    pub(super) fn is_off(&self) -> bool {
        self.longest.is_zero()
    }

    /// A wake-up ends at `now`, with the socket empty, after `datagrams` were fetched (as messages: a bunch is one); `memory` is what
    /// the kernel told before the first. How long to wait before the next.
    pub(super) fn after(
        &mut self,
        now: Instant,
        datagrams: usize,
        memory: Option<SocketMemory>,
    ) -> Option<Duration> {
        let before = self.last.replace(now);
        let waited = std::mem::take(&mut self.waited);
        if self.is_off() {
            return None;
        }
        let limit = self.longest.as_secs_f64();
        // After a long silence the past is forgotten, but not the next second, too.
        let elapsed = before.map_or(4.0 * limit, |before| (now - before).as_secs_f64().min(4.0 * limit));
        self.datagrams = self.datagrams * MEMORY + datagrams as f64;
        self.seconds = self.seconds * MEMORY + elapsed;

        let dropped =
            memory.is_some_and(|memory| self.drops.replace(memory.drops).is_some_and(|d| d != memory.drops));
        if dropped || waited && (datagrams as f64) < SEVERAL {
            self.pause = PAUSE;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let rate = self.datagrams / self.seconds.max(1e-9);
        if datagrams == 0 || rate * limit < SEVERAL {
            return None;
        }
        let mut wait = if self.adaptive { limit.min(ENOUGH / rate) } else { limit };
        if let Some(memory) = memory
            && let allowed = memory.limit / PART
            && memory.held > 0
        {
            // What has filled it so far goes on at the same rate.
            wait = wait.min(elapsed * allowed as f64 / memory.held as f64);
        }
        self.waited = wait > 0.0;
        self.waited.then(|| Duration::from_secs_f64(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_micros(500);

    fn memory(held: usize) -> Option<SocketMemory> {
        Some(SocketMemory { held, limit: 8 << 20, drops: 7 })
    }

    /// A sender of one datagram per `interval`; how long is waited after each of `wake_ups`, each of which brings what has come since.
    fn waits(gather: &mut Gather, interval: Duration, wake_ups: usize, per_datagram: usize) -> Vec<Duration> {
        let mut now = Instant::now();
        let mut pause = Duration::ZERO;
        (0..wake_ups)
            .map(|_| {
                let elapsed = pause.max(interval);
                now += elapsed;
                let came = (elapsed.as_nanos() / interval.as_nanos()) as usize;
                pause = gather.after(now, came, memory(came * per_datagram)).unwrap_or_default();
                pause
            })
            .collect()
    }

    #[test]
    fn at_a_rate_datagrams_gather_and_not_for_longer_than_allowed() {
        let mut gather = Gather::new(Coalesce::Adaptive, HALF);
        let waits = waits(&mut gather, Duration::from_micros(6), 100, 2304);
        assert_eq!(waits[0], Duration::ZERO, "an idle socket is read at once");
        assert!(waits[50..].iter().all(|wait| *wait == HALF), "{waits:?}");
    }

    #[test]
    fn at_a_high_rate_the_wait_ends_when_there_are_enough() {
        let mut gather = Gather::new(Coalesce::Adaptive, HALF);
        let last = *waits(&mut gather, Duration::from_micros(1), 200, 800).last().unwrap();
        assert!((100..160).contains(&last.as_micros()), "{last:?}");
    }

    #[test]
    fn a_lone_datagram_never_waits() {
        let mut gather = Gather::new(Coalesce::Adaptive, HALF);
        let waits = waits(&mut gather, Duration::from_millis(1), 100, 2304);
        assert!(waits.iter().all(Duration::is_zero), "{waits:?}");
    }

    #[test]
    fn no_more_than_a_part_of_the_buffer_is_filled() {
        let mut gather = Gather::new(Coalesce::Fixed(Duration::from_millis(1)), HALF);
        // 100 kB per 10 us: an eighth of 8 MiB is full after 105 us.
        let last = *waits(&mut gather, Duration::from_micros(10), 200, 100_000).last().unwrap();
        assert!((80..=110).contains(&last.as_micros()), "{last:?}");
    }

    #[test]
    fn who_waits_for_nothing_stops_waiting_for_a_while() {
        let mut gather = Gather::new(Coalesce::Adaptive, HALF);
        let mut now = Instant::now();
        let mut pauses = 0;
        let wake_ups = 1000;
        for _ in 0..wake_ups {
            // A sender that sends the next datagram 20 us after the last was fetched.
            now += Duration::from_micros(20);
            if let Some(wait) = gather.after(now, 1, memory(2304)) {
                pauses += 1;
                now += wait;
            }
        }
        assert!((1..=wake_ups / 50).contains(&pauses), "{pauses}");
    }

    #[test]
    fn drops_end_the_waiting_for_a_while() {
        let mut gather = Gather::new(Coalesce::Adaptive, HALF);
        assert!(waits(&mut gather, Duration::from_micros(6), 100, 2304)[99] > Duration::ZERO);
        let now = gather.last.unwrap() + HALF;
        let more = Some(SocketMemory { held: 1, limit: 8 << 20, drops: 8 });
        assert_eq!(gather.after(now, 80, more), None);
        assert_eq!(gather.after(now + HALF, 80, more), None);
        let again = (2..200).map(|i| gather.after(now + i * HALF, 80, more)).position(|wait| wait.is_some());
        assert_eq!(again, Some(PAUSE as usize - 2));
    }

    #[test]
    fn zero_never_waits() {
        for mut gather in [
            Gather::new(Coalesce::Adaptive, Duration::ZERO),
            Gather::new(Coalesce::Fixed(Duration::ZERO), HALF),
        ] {
            assert!(gather.is_off());
            assert!(waits(&mut gather, Duration::from_micros(2), 50, 2304).iter().all(Duration::is_zero));
        }
    }
}
