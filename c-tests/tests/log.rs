//! What aq_set_log promises about calls: the level, from inside the callback, replacing it under fire, stderr's limit.
//!
//! One test function: the log is one for the whole process.

use std::ffi::{c_char, c_void, CStr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use std::{env, ptr, thread};

use aqueduct::ffi::log::{aq_log_fn, aq_set_log, AQ_LOG_DEBUG, AQ_LOG_INFO, AQ_LOG_OFF, AQ_LOG_WARN};
use aqueduct::ffi::status::{AQ_E_STATE, AQ_OK};

/// With this in the environment, the test is the child whose stderr is read.
const CHILD: &str = "AQ_TEST_LOG_CHILD";

#[derive(Default)]
struct Seen {
    calls: AtomicU32,
    last_level: AtomicU32,
    /// What aq_set_log answered from inside the callback.
    inner_status: AtomicU32,
    in_callback: AtomicBool,
    freed: AtomicU32,
}

unsafe extern "C" fn callback(level: i32, target: *const c_char, message: *const c_char, user: *mut c_void) {
    // SAFETY: the tests pass a Seen that lives forever, and the texts are valid by the contract.
    let (seen, target, message) =
        unsafe { (&*user.cast::<Seen>(), CStr::from_ptr(target), CStr::from_ptr(message)) };
    assert_eq!(target.to_str(), Ok("log"));
    assert_eq!(seen.freed.load(SeqCst), 0, "called after user_free");
    seen.last_level.store(level as u32, SeqCst);
    seen.calls.fetch_add(1, SeqCst);
    match message.to_bytes() {
        b"set" => {
            // SAFETY: no user pointer.
            let status = unsafe { aq_set_log(None, ptr::null_mut(), None, AQ_LOG_OFF) };
            seen.inner_status.store(status.unsigned_abs(), SeqCst);
        }
        b"log" => log::error!("inside"), // goes to stderr instead of here
        b"slow" => {
            seen.in_callback.store(true, SeqCst);
            thread::sleep(Duration::from_millis(100));
            seen.in_callback.store(false, SeqCst);
        }
        _ => {}
    }
}

unsafe extern "C" fn free(user: *mut c_void) {
    // SAFETY: as above.
    let seen = unsafe { &*user.cast::<Seen>() };
    assert!(!seen.in_callback.load(SeqCst), "freed during a call");
    seen.freed.fetch_add(1, SeqCst);
}

fn set(callback: aq_log_fn, seen: &'static Seen, level: i32) {
    let user = ptr::from_ref(seen).cast_mut().cast();
    // SAFETY: the callback and free take a Seen that lives forever.
    let status = unsafe { aq_set_log(callback, user, Some(free), level) };
    assert_eq!(status, AQ_OK);
}

fn leak() -> &'static Seen {
    Box::leak(Box::default())
}

#[test]
fn set_log() {
    if env::var_os(CHILD).is_some() {
        // SAFETY: no user pointer.
        assert_eq!(unsafe { aq_set_log(None, ptr::null_mut(), None, AQ_LOG_WARN) }, AQ_OK);
        for i in 0..100 {
            log::warn!("line {i}");
            log::info!("not this");
        }
        thread::sleep(Duration::from_millis(1100));
        log::warn!("the last");
        return;
    }
    levels();
    from_inside();
    replaced_under_fire();
    stderr_is_limited();
}

fn levels() {
    let seen = leak();
    set(Some(callback), seen, AQ_LOG_INFO);
    log::warn!("a");
    assert_eq!(seen.last_level.load(SeqCst), 2);
    log::info!("b");
    log::debug!("too little");
    assert_eq!((seen.calls.load(SeqCst), seen.last_level.load(SeqCst)), (2, 3));
    let off = leak();
    set(Some(callback), off, AQ_LOG_OFF);
    assert_eq!(seen.freed.load(SeqCst), 1);
    log::error!("nothing");
    assert_eq!((seen.calls.load(SeqCst), off.calls.load(SeqCst)), (2, 0));
}

fn from_inside() {
    let seen = leak();
    set(Some(callback), seen, AQ_LOG_DEBUG);
    log::debug!("set");
    assert_eq!(seen.inner_status.load(SeqCst), AQ_E_STATE.unsigned_abs());
    log::debug!("log");
    assert_eq!((seen.calls.load(SeqCst), seen.freed.load(SeqCst)), (2, 0));
}

fn replaced_under_fire() {
    let stop: &'static AtomicBool = Box::leak(Box::default());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                while !stop.load(SeqCst) {
                    log::warn!("fire");
                }
            })
        })
        .collect();
    let first = leak();
    set(Some(callback), first, AQ_LOG_WARN);
    let slow = thread::spawn(|| log::warn!("slow"));
    while !first.in_callback.load(SeqCst) {
        thread::yield_now();
    }
    let second = leak();
    set(Some(callback), second, AQ_LOG_WARN); // waits for the slow call; `free` asserts it
    assert_eq!(first.freed.load(SeqCst), 1);
    slow.join().expect("no panic");
    while second.calls.load(SeqCst) == 0 {
        thread::yield_now();
    }
    stop.store(true, SeqCst);
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(second.freed.load(SeqCst), 0);
}

fn stderr_is_limited() {
    let test = env::current_exe().expect("the test's own path");
    let output = Command::new(test).args(["--exact", "set_log", "--nocapture"]).env(CHILD, "1").output();
    let output = output.expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("aqueduct: ")).collect();
    assert_eq!(lines.len(), 22, "{text}");
    assert_eq!(lines[0], "aqueduct: warn: line 0");
    assert_eq!(lines[20..], ["aqueduct: 80 more messages", "aqueduct: warn: the last"]);
}
