//! The progress line of `recv`: rates since the last line, losses since the beginning.

use std::time::{Duration, Instant};

use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::ring::Wait;

use crate::{terminal, units};

/// Time between two lines.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// What the last line was about.
pub struct Progress {
    last: Instant,
    packets: u64,
    bytes: u64,
}

impl Progress {
    /// `None` where nobody watches.
    pub fn new() -> Option<Self> {
        terminal::is_watched().then(|| Self { last: Instant::now(), packets: 0, bytes: 0 })
    }

    /// How long to wait for something else before the next line.
    pub fn wait(&self) -> Wait {
        Wait::For(INTERVAL.saturating_sub(self.last.elapsed()))
    }

    /// Shows a line if it is time for one.
    pub fn update(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        let elapsed = self.last.elapsed();
        if elapsed >= INTERVAL {
            let stats = snapshot();
            let per_second =
                |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            let (packets, bytes) = (stats[Stat::Packets], stats[Stat::BytesDelivered]);
            terminal::progress(format!(
                "{}packets/s, {} heaps, {}b/s, {} packets lost, {} kernel drops",
                units::short(per_second(packets, self.packets)),
                stats[Stat::CompleteHeaps],
                units::short(8.0 * per_second(bytes, self.bytes)),
                lost(&stats),
                stats[Stat::KernelDrops],
            ));
            (self.packets, self.bytes) = (packets, bytes);
            self.last = Instant::now();
        }
    }
}

/// Packets received that did not end in a complete heap.
fn lost(stats: &Snapshot) -> u64 {
    let well = [Stat::PacketsDelivered, Stat::PacketsControl, Stat::PacketsPending];
    well.iter().fold(stats[Stat::Packets], |rest, &stat| rest.saturating_sub(stats[stat]))
}
