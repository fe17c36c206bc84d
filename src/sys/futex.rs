//! Sleeping on a word of shared memory until another thread, perhaps of another process, wakes those who do.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while the word is `expected`, at most so long. It may come back for no reason: look again.
pub fn wait(word: &AtomicU32, expected: u32, most: Duration) {
    let seconds = libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX);
    let timeout = libc::timespec { tv_sec: seconds, tv_nsec: most.subsec_nanos().into() };
    // SAFETY: a live word and a live timespec. Every failure (no longer `expected`, too late, a signal) means: look again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout) };
}

/// Wakes all who sleep on the word.
pub fn wake(word: &AtomicU32) {
    // SAFETY: a live word; the kernel only uses its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
