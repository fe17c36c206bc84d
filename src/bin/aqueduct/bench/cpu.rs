//! The CPU time of this process, by side: the sending stream's thread and the one that submits heaps, and all others, which receive.
//!
//! From /proc, which counts nanoseconds. Any thread.

use std::time::Duration;

/// CPU times.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sides {
    pub sender: Duration,
    pub receiver: Duration,
}

/// The thread of a sending stream.
const SENDER: &str = "aqueduct-send";

/// What the threads that there are now have used up to now. None where the system does not tell.
pub fn now() -> Option<Sides> {
    let main = std::process::id().to_string();
    let mut sides = Sides::default();
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let thread = thread.ok()?;
        let read = |name: &str| std::fs::read_to_string(thread.path().join(name)).ok();
        // A thread may end between one look and the next.
        let (Some(name), Some(times)) = (read("comm"), read("schedstat")) else { continue };
        let nanoseconds = times.split(' ').next()?.parse().ok()?;
        let side = if name.trim_end() == SENDER || thread.file_name() == main.as_str() {
            &mut sides.sender
        } else {
            &mut sides.receiver
        };
        *side += Duration::from_nanos(nanoseconds);
    }
    Some(sides)
}

impl Sides {
    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            sender: self.sender.saturating_sub(before.sender),
            receiver: self.receiver.saturating_sub(before.receiver),
        }
    }
}
