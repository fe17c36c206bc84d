//! Which signals a thread takes.

/// Leaves the process's signals to the program's own threads: blocks, for the calling thread, all but those that its own
/// faults raise and the one that profilers send.
pub fn leave_to_other_threads() {
    // SAFETY: sigfillset initialises the set before anything reads it; the calls touch that set and this thread's mask.
    // They can fail only for signal numbers that do not exist.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGSYS,
            libc::SIGPROF,
        ] {
            libc::sigdelset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}
