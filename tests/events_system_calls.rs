//! File sinks and system calls that are interrupted, write less than they were asked to, or fail: what ordinary files hardly ever do. And which of
//! them a sink makes: a file is told to the disk as often as was asked for, no more.
//!
//! A seccomp filter on the test's thread turns pwritev and fdatasync into a SIGSYS, whose handler answers for the kernel.
#![cfg(target_arch = "x86_64")]

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use aqueduct::error::ErrorKind;
use aqueduct::event::sink::{self, Durability, FileConfig};
use aqueduct::event::{Config, EventBuffer};
use aqueduct::ring::Wait;

/// The sixth argument of calls that the filter lets pass; these calls have fewer.
const PASS: i64 = 0x5a5a_1234;

/// What the handler does and has done, on this thread.
struct Script {
    /// Every third write is interrupted, every third cut short.
    disturbs: Cell<bool>,
    /// fdatasync answers this error; 0: it works.
    sync_fails: Cell<i32>,
    writes: Cell<u64>,
    syncs: Cell<u64>,
}

thread_local! {
    // Constant and without a destructor: a signal handler may use it.
    static SCRIPT: Script = const {
        Script { disturbs: Cell::new(false), sync_fails: Cell::new(0), writes: Cell::new(0), syncs: Cell::new(0) }
    };
}

/// The call that was trapped, by the kernel.
fn pass(call: i64, arguments: [i64; 5]) -> i64 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the arguments that the program gave to the same call, or fewer bytes.
    let result = unsafe { libc::syscall(call, a, b, c, d, e, PASS) };
    // SAFETY: this thread's errno.
    if result < 0 { -i64::from(unsafe { *libc::__errno_location() }) } else { result }
}

fn answer(call: i64, arguments: [i64; 5]) -> i64 {
    SCRIPT.with(|script| {
        if call == libc::SYS_fdatasync {
            let error = script.sync_fails.get();
            script.syncs.set(script.syncs.get() + 1);
            return if error != 0 { -i64::from(error) } else { pass(call, arguments) };
        }
        let number = script.writes.replace(script.writes.get() + 1);
        match number % 3 {
            0 if script.disturbs.get() => -i64::from(libc::EINTR),
            1 if script.disturbs.get() => {
                let [fd, slices, _, low, high] = arguments;
                // SAFETY: a pwritev has at least one slice here, and the kernel reads a part of what that says.
                let mut slice = unsafe { *(slices as *const libc::iovec) };
                slice.iov_len = slice.iov_len.div_ceil(2);
                pass(call, [fd, &raw const slice as i64, 1, low, high])
            }
            _ => pass(call, arguments),
        }
    })
}

extern "C" fn on_sigsys(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's context of this signal, whose registers are those of the trapped call.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let of = |register: i32| registers[register as usize];
    let arguments = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8].map(of);
    let result = answer(of(libc::REG_RAX), arguments);
    registers[libc::REG_RAX as usize] = result;
}

/// Runs `test` on a thread whose pwritev and fdatasync come to [`answer`].
fn trapped(test: impl FnOnce(&Path, &Script) + Send + 'static) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let line = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let runs = std::thread::spawn(move || {
        let mut filter = [
            // The call's number, and then the sixth argument.
            line(LOAD, 0, 0, 0),
            line(EQUAL, libc::SYS_pwritev as u32, 2, 0),
            line(EQUAL, libc::SYS_fdatasync as u32, 1, 0),
            line(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
            line(LOAD, 16 + 5 * 8, 0, 0),
            line(EQUAL, PASS as u32, 0, 1),
            line(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
            line(RETURN, libc::SECCOMP_RET_TRAP, 0, 0),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: a handler that only uses this thread's cells and system calls; a filter for this thread, copied by the kernel.
        let installed = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigsys as extern "C" fn(_, _, _) as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut()), 0);
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if !installed {
            let error = std::io::Error::last_os_error();
            assert!(std::env::var_os("CI").is_none(), "no seccomp filter: {error}");
            eprintln!("SKIPPED: no seccomp filter: {error}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        SCRIPT.with(|script| test(folder.path(), script));
    });
    if let Err(panic) = runs.join() {
        std::panic::resume_unwind(panic);
    }
}

fn file(path: &Path, durability: Durability) -> FileConfig {
    FileConfig { path: path.to_owned(), durability, ..FileConfig::default() }
}

#[test]
fn writes_that_are_interrupted_or_cut_short_go_on() {
    trapped(|folder, script| {
        script.disturbs.set(true);
        let (raw, text) = (folder.join("raw"), folder.join("framed"));
        let buffer = EventBuffer::new(Config::default());
        let config = FileConfig { header: b"a header".into(), ..file(&raw, Durability::System) };
        buffer.add_sink(sink::framed(file(&text, Durability::System), None).unwrap(), false).unwrap();
        buffer.add_sink(sink::binary(config).unwrap(), true).unwrap();
        let mut expected = b"a header".to_vec();
        for round in 0..20u32 {
            for number in 0..1000 {
                let mut packet = (1000 * round + number).to_le_bytes().repeat(1 + number as usize % 20);
                packet.truncate(packet.len() - number as usize % 4);
                buffer.put(&packet, Wait::No).unwrap();
                expected.extend(packet);
            }
            assert_eq!(buffer.flush().unwrap().packets, 1000);
        }
        buffer.disconnect_sinks().unwrap();
        assert!(script.writes.get() > 60, "{}", script.writes.get());
        assert!(std::fs::read(&raw).unwrap() == expected);
        let mut framed = aqueduct::event::reader::EventFile::open(&text).unwrap();
        while framed.next().unwrap().is_some() {}
        assert_eq!((framed.is_whole(), framed.summary().packets), (true, 20_000));
    });
}

#[test]
fn a_disk_is_told_as_often_as_was_asked_for() {
    trapped(|folder, script| {
        for (durability, at_flushes, at_the_end) in [
            (Durability::System, 0, 0),
            (Durability::Flush, 3, 0),
            (Durability::Interval(Duration::ZERO), 3, 0),
            (Durability::Interval(Duration::from_secs(3600)), 0, 1),
        ] {
            let buffer = EventBuffer::new(Config::default());
            let path = folder.join(format!("{durability:?}"));
            buffer.add_sink(sink::binary(file(&path, durability)).unwrap(), true).unwrap();
            script.syncs.set(0);
            for _ in 0..3 {
                buffer.put(b"packet", Wait::No).unwrap();
                buffer.flush().unwrap();
            }
            // Nothing was written.
            buffer.flush().unwrap();
            assert_eq!(script.syncs.get(), at_flushes, "{durability:?}");
            buffer.disconnect_sinks().unwrap();
            assert_eq!(script.syncs.get(), at_flushes + at_the_end, "{durability:?}");
        }
    });
}

#[test]
fn a_disk_that_does_not_keep_what_it_was_told() {
    trapped(|folder, script| {
        let buffer = EventBuffer::new(Config::default());
        let path = folder.join("run.dat");
        buffer.add_sink(sink::binary(file(&path, Durability::Flush)).unwrap(), true).unwrap();
        buffer.put(b"packet", Wait::No).unwrap();
        script.sync_fails.set(libc::EIO);
        for _ in 0..2 {
            let error = buffer.flush().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            let message =
                format!("event sink {}: fdatasync: Input/output error (os error 5)", path.display());
            assert_eq!(error.message(), message);
        }
        // They are in the file, and not written again.
        let stats = buffer.stats();
        assert_eq!((stats.flushed.packets, stats.waiting.packets, stats.flush_errors), (1, 0, 2));
        script.sync_fails.set(0);
        buffer.put(b"!", Wait::No).unwrap();
        assert_eq!(buffer.flush().unwrap().packets, 1);
        assert_eq!(script.syncs.get(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"packet!");
    });
}
