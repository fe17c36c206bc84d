//! A network namespace for a test: what it sends reaches nobody else.

use std::process::Command;
use std::thread;

/// `ip ARGUMENTS`, in the namespace of the calling thread.
pub fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}

/// Waits for a link.
pub fn until_it_is_up(name: &str) {
    super::rig::until("the link is up", || {
        let shown = Command::new("ip").args(["-br", "link", "show", name]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains(" UP ")
    });
}

/// Runs `test` on a thread with a network of its own: a loopback interface, and one named d0 (10.77.0.1, 10.77.0.2, fd77::1) that
/// carries multicast. What d0 sends comes out at d1, and the other way round.
pub fn in_a_network_of_its_own(test: impl FnOnce() + Send + 'static) {
    let runs = thread::spawn(|| {
        // SAFETY: changes this thread only; sockets, threads and processes that it makes from here on are in the new namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            let error = std::io::Error::last_os_error();
            assert!(std::env::var_os("CI").is_none(), "no network namespace: {error}");
            eprintln!("SKIPPED: no network namespace: {error}");
            return;
        }
        for arguments in [
            "link set lo up",
            "link add d0 type veth peer name d1",
            "link set d1 up",
            "link set d0 up multicast on",
            "route add 224.0.0.0/4 dev d0",
            "address add 10.77.0.1/24 dev d0",
            "address add 10.77.0.2/24 dev d0",
            "address add fd77::1/64 dev d0 nodad",
        ] {
            ip(arguments);
        }
        until_it_is_up("d0");
        test();
    });
    if let Err(panic) = runs.join() {
        std::panic::resume_unwind(panic);
    }
}
