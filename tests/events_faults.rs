//! Event buffers and disks that fail: nothing is lost, nothing is written twice, files hold whole packets, and an error names the file and the reason.
//!
//! Full disks are small tmpfs in a mount namespace of the test's own thread; where that is not permitted these tests are skipped, with a message
//! (under CI that is a failure).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aqueduct::error::{Error, ErrorKind, Result};
use aqueduct::event::reader::{Entry, EventFile};
use aqueduct::event::sink::{self, Durability, FileConfig, Formatter, Progress, Sink};
use aqueduct::event::{Amount, Batch, Config, EventBuffer, FlushedBuffer, Item, Packet, PutError};
use aqueduct::memory::{Allocator, Buffer, HeapAllocator};
use aqueduct::ring::{Overflow, Wait};

fn file(path: &Path) -> FileConfig {
    FileConfig { path: path.to_owned(), ..FileConfig::default() }
}

fn buffer() -> EventBuffer {
    EventBuffer::new(Config::default())
}

/// Packet `number`: 1000 bytes that follow from it.
fn packet(number: u64) -> [u8; 1000] {
    let mut bytes = [number as u8; 1000];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn put(buffer: &EventBuffer, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| buffer.put(&packet(number), Wait::No).unwrap());
}

/// Whether these are the packets from 0 on, whole; how many.
fn count(bytes: &[u8]) -> u64 {
    let (packets, rest) = bytes.as_chunks::<1000>();
    assert_eq!(rest.len(), 0);
    for (number, found) in (0..).zip(packets) {
        assert!(*found == packet(number), "packet {number}");
    }
    packets.len() as u64
}

/// The same of a framed file; how many, whether it ended properly, and the bytes of a torn record.
fn count_framed(path: &Path, from: u64) -> (u64, bool, u64) {
    let mut file = EventFile::open(path).unwrap();
    let (mut next, mut torn) = (from, 0);
    while let Some(entry) = file.next().unwrap() {
        match entry {
            Entry::Packet { data, .. } => {
                assert!(*data == packet(next), "packet {next}");
                next += 1;
            }
            Entry::End { agrees, .. } => assert!(agrees),
            Entry::Torn { length, .. } => torn = length,
            other => panic!("{other:?}"),
        }
    }
    (next - from, file.is_whole(), torn)
}

/// Counts packets and looks at their order.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Sink for Counting {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        for item in batch.items(progress.next) {
            let Item::Packet(found) = item else { panic!("nothing is lost") };
            let number = self.0.fetch_add(1, Ordering::Relaxed) as u64;
            assert!(*found.data() == packet(number), "packet {number}");
            progress.pass(&found);
        }
        Ok(())
    }

    fn close(&mut self, _: &Progress) -> Result<()> {
        Ok(())
    }
}

impl Counting {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A process that is being started has, until it is the other program, all our files open: what is deleted then still takes space, and a disk cannot
/// be made read-only. So nobody starts one (with `write`) while others have disks (with `read`).
static STARTING: RwLock<()> = RwLock::new(());

fn spawn(command: &mut Command) -> Child {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// Runs `test` with a folder on a disk of `size` bytes of its own.
fn on_a_disk(size: usize, test: impl FnOnce(&Path) + Send + 'static) {
    let runs = std::thread::spawn(move || {
        let refused = |what: &str| {
            let error = std::io::Error::last_os_error();
            assert!(std::env::var_os("CI").is_none(), "{what}: {error}");
            eprintln!("SKIPPED: {what}: {error}");
        };
        let _nobody_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: changes this thread only, which has no files that depend on it.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return refused("no mount namespace");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        // SAFETY: text that ends with 0; what is mounted is seen by this thread only.
        let mounted = unsafe {
            libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
                && libc::mount(c"none".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
                    == 0
        };
        if !mounted {
            return refused("no mount of a tmpfs");
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(folder.path())));
        // SAFETY: as above; what is still open keeps it.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    if let Err(panic) = runs.join() {
        std::panic::resume_unwind(panic);
    }
}

const MIB: usize = 1 << 20;

/// Fills the disk, but for about `left` bytes.
fn fill(folder: &Path, left: u64) -> PathBuf {
    let path = folder.join("other");
    let mut other = std::fs::File::create(&path).unwrap();
    let block = [1; 4096];
    while other.write_all(&block).is_ok() {}
    let size = other.metadata().unwrap().len();
    other.set_len((size - left) & !4095).unwrap();
    path
}

fn no_space(error: &Error, name: &str) {
    let message = error.message();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(message.contains(name) && message.contains("No space left on device"), "{message}");
}

#[test]
fn a_full_disk_and_then_space() {
    on_a_disk(16 * MIB, |folder| {
        let buffer = buffer();
        let (custom, elsewhere) = (Counting::default(), tempfile::tempdir().unwrap());
        let (first, second) = (folder.join("first.dat"), elsewhere.path().join("second.dat"));
        buffer.add_sink(Box::new(custom.clone()), false).unwrap();
        buffer.add_sink(sink::binary(file(&second)).unwrap(), false).unwrap();
        buffer.add_sink(sink::framed(file(&folder.join("framed")), None).unwrap(), false).unwrap();
        buffer.add_sink(sink::binary(file(&first)).unwrap(), true).unwrap();
        put(&buffer, 0..100);
        assert_eq!(buffer.flush().unwrap().packets, 100);
        let other = fill(folder, 700_000);
        put(&buffer, 100..6000);
        no_space(&buffer.flush().unwrap_err(), "framed: writing at byte ");
        let stats = buffer.stats();
        assert_eq!(stats.put, Amount { packets: 6000, bytes: 6_000_000 });
        assert_eq!((stats.flushed.packets + stats.waiting.packets, stats.flush_errors), (6000, 1));
        assert!(count(&std::fs::read(&first).unwrap()) >= 100);
        assert_eq!((custom.count(), count(&std::fs::read(&second).unwrap())), (6000, 6000));
        for round in 0..3 {
            put(&buffer, 6000 + round..6001 + round);
            assert!(buffer.flush().is_err());
            assert!(count(&std::fs::read(&first).unwrap()) >= 100);
            let (packets, whole, torn) = count_framed(&folder.join("framed"), 0);
            assert!(packets >= 100 && !whole && torn == 0, "{packets} {torn}");
        }
        assert_eq!((custom.count(), count(&std::fs::read(&second).unwrap())), (6003, 6003));
        assert_eq!(buffer.sink_stats(None).unwrap().errors, 4);
        std::fs::remove_file(other).unwrap();
        let primary = buffer.sink_stats(None).unwrap().progress.packets;
        assert_eq!(buffer.flush().unwrap().packets, 6003 - primary);
        assert_eq!((custom.count(), buffer.size()), (6003, 0));
        for path in [&first, &second] {
            assert_eq!(count(&std::fs::read(path).unwrap()), 6003);
        }
        buffer.disconnect_sinks().unwrap();
        assert_eq!(count_framed(&folder.join("framed"), 0), (6003, true, 0));
    });
}

#[test]
fn a_full_disk_of_the_primary_sink_alone() {
    on_a_disk(8 * MIB, |folder| {
        let buffer = buffer();
        let custom = Counting::default();
        let path = folder.join("run.dat");
        buffer.add_sink(Box::new(custom.clone()), false).unwrap();
        buffer.add_sink(sink::binary(file(&path)).unwrap(), true).unwrap();
        put(&buffer, 0..10);
        buffer.flush().unwrap();
        let other = fill(folder, 2_500_000);
        put(&buffer, 10..5000);
        // What is written a megabyte or two at a time stays, and the rest of the write that failed goes.
        no_space(&buffer.flush().unwrap_err(), "run.dat: writing at byte ");
        let written = count(&std::fs::read(&path).unwrap());
        assert!((1000..2600).contains(&written), "{written}");
        let stats = buffer.stats();
        assert_eq!((stats.flushed.packets, stats.waiting.packets), (written, 5000 - written));
        assert_eq!(stats.written_bytes, written * 1000);
        // Elsewhere they were not given twice, and here it goes on where it was.
        assert_eq!(custom.count(), 5000);
        std::fs::remove_file(other).unwrap();
        let flushed = buffer.flush().unwrap();
        assert_eq!((flushed.packets, flushed.bytes), (5000 - written, (5000 - written) * 1000));
        assert_eq!((custom.count(), count(&std::fs::read(&path).unwrap())), (5000, 5000));
        assert_eq!((buffer.stats().flushed.packets, buffer.size()), (5000, 0));
    });
}

#[test]
fn a_flusher_on_a_full_disk_goes_on_when_there_is_space() {
    on_a_disk(4 * MIB, |folder| {
        let path = folder.join("run.dat");
        let config = Config { flush_size: 1, capacity: 300, ..Config::default() };
        let buffer = FlushedBuffer::new(EventBuffer::new(config));
        buffer.add_sink(sink::binary(file(&path)).unwrap(), true).unwrap();
        let other = fill(folder, 100_000);
        buffer.start().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1000).for_each(|number| buffer.put(&packet(number), Wait::Forever).unwrap()));
            while buffer.flusher().1.is_none() {
                std::thread::yield_now();
            }
            no_space(&buffer.flusher().1.unwrap(), "run.dat");
            std::fs::remove_file(other).unwrap();
        });
        buffer.stop_flusher().unwrap();
        assert_eq!(buffer.flusher(), (false, None));
        assert_eq!(count(&std::fs::read(&path).unwrap()), 1000);
    });
}

#[test]
fn on_a_full_disk_the_oldest_go_if_that_is_the_policy() {
    on_a_disk(2 * MIB, |folder| {
        let path = folder.join("run");
        let config = Config { overflow: Some(Overflow::DropOldest), capacity: 50, ..Config::default() };
        let buffer = EventBuffer::new(config);
        buffer.add_sink(sink::framed(file(&path), None).unwrap(), true).unwrap();
        let other = fill(folder, 0);
        for round in 0..10 {
            put(&buffer, 30 * round..30 * (round + 1));
            no_space(&buffer.flush().unwrap_err(), "run");
        }
        let stats = buffer.stats();
        assert_eq!((stats.overflow_oldest.packets, stats.waiting.packets), (250, 50));
        std::fs::remove_file(other).unwrap();
        assert_eq!(buffer.flush().unwrap().packets, 50);
        buffer.disconnect_sinks().unwrap();
        let mut file = EventFile::open(&path).unwrap();
        let Some(Entry::Loss { mark, .. }) = file.next().unwrap() else { panic!("a mark comes first") };
        assert_eq!((mark.packets, mark.bytes), (250, 250_000));
        let Some(Entry::Packet { data, .. }) = file.next().unwrap() else { panic!("then packets") };
        assert!(*data == packet(250));
        while file.next().unwrap().is_some() {}
        assert!(file.is_whole());
    });
}

#[test]
fn a_header_that_does_not_fit() {
    on_a_disk(2 * MIB, |folder| {
        let path = folder.join("run.dat");
        let config = FileConfig { header: vec![b'h'; 3 * MIB], ..file(&path) };
        let other = fill(folder, 0);
        for _ in 0..2 {
            let error = sink::binary(config.clone()).err().unwrap();
            no_space(&error, "run.dat: writing the header");
            assert!(!path.exists(), "what is of no use is gone");
        }
        std::fs::remove_file(other).unwrap();
        sink::binary(FileConfig { header: vec![b'h'; 1000], ..config }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [b'h'; 1000]);
    });
}

#[test]
fn rotation_into_a_full_disk() {
    for framed in [false, true] {
        on_a_disk(4 * MIB, move |folder| {
            let buffer = buffer();
            let custom = Counting::default();
            let config = FileConfig {
                header: vec![b'h'; 5000],
                rotate_bytes: 100_000,
                durability: Durability::Flush,
                ..file(&folder.join("run-%02n"))
            };
            let sink = if framed { sink::framed(config, None) } else { sink::binary(config) };
            buffer.add_sink(Box::new(custom.clone()), false).unwrap();
            buffer.add_sink(sink.unwrap(), true).unwrap();
            let other = fill(folder, 350_000);
            put(&buffer, 0..1000);
            for _ in 0..3 {
                no_space(&buffer.flush().unwrap_err(), "run-0");
            }
            let files = || {
                let names = (0..100).map(|number| folder.join(format!("run-{number:02}")));
                names.take_while(|path| path.exists()).collect::<Vec<_>>()
            };
            let (mut packets, before) = (0, files());
            assert!((3..=4).contains(&before.len()), "{before:?}");
            let count_all = |files: &[PathBuf]| {
                let mut all = Vec::new();
                let mut packets = 0;
                for path in files {
                    if framed {
                        packets += count_framed(path, packets).0;
                    } else {
                        let bytes = std::fs::read(path).unwrap();
                        let (header, rest) = bytes.split_at(5000);
                        assert!(header.iter().all(|&byte| byte == b'h'));
                        all.extend_from_slice(rest);
                    }
                }
                packets + count(&all)
            };
            packets += count_all(&before);
            assert!((200..400).contains(&packets), "{packets}");
            assert_eq!(buffer.stats().flushed.packets, packets);
            std::fs::remove_file(other).unwrap();
            assert_eq!(buffer.flush().unwrap().packets, 1000 - packets);
            assert_eq!((count_all(&files()), custom.count()), (1000, 1000));
            buffer.disconnect_sinks().unwrap();
            assert_eq!(count_all(&files()), 1000);
            for path in files() {
                assert!(!framed || EventFile::open(&path).unwrap().header().unwrap().user.len() == 5000);
                assert!(std::fs::metadata(&path).unwrap().len() <= 100_000 + 1016 + 32);
            }
        });
    }
}

#[test]
fn a_disk_that_becomes_read_only() {
    on_a_disk(2 * MIB, |folder| {
        let buffer = buffer();
        let config = FileConfig { rotate_bytes: 1000, header: b"h".into(), ..file(&folder.join("run-%n")) };
        buffer.add_sink(sink::binary(config.clone()).unwrap(), true).unwrap();
        put(&buffer, 0..1);
        buffer.flush().unwrap();
        // While a file is open for writing, the system refuses.
        let other = fill(folder, 0);
        put(&buffer, 1..3);
        no_space(&buffer.flush().unwrap_err(), "run-1");
        std::fs::remove_file(other).unwrap();
        let path = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
        let remount = |flags| {
            let flags = flags | libc::MS_REMOUNT | libc::MS_BIND;
            // SAFETY: text that ends with 0; only this thread sees it.
            unsafe { libc::mount(std::ptr::null(), path.as_ptr(), std::ptr::null(), flags, std::ptr::null()) }
        };
        assert_eq!(remount(libc::MS_RDONLY), 0);
        let error = buffer.flush().unwrap_err();
        assert!(error.message().contains("run-1: creating it: Read-only file system"), "{error}");
        let error = sink::binary(file(&folder.join("new"))).err().unwrap();
        assert!(error.message().contains("new: creating it: Read-only file system"), "{error}");
        assert_eq!(buffer.size(), 2);
        assert_eq!(remount(0), 0);
        assert_eq!(buffer.flush().unwrap().packets, 2);
        for number in 0..3 {
            let bytes = std::fs::read(folder.join(format!("run-{number}"))).unwrap();
            assert!(bytes[0] == b'h' && bytes[1..] == packet(number));
        }
    });
}

#[test]
fn paths_that_cannot_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "mine").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for (path, reason) in [
        (taken.clone(), "File exists"),
        (link, "File exists"),
        (folder.path().to_owned(), "File exists"),
        (folder.path().join("missing/run.dat"), "No such file or directory"),
        (taken.join("run.dat"), "Not a directory"),
        (PathBuf::new(), "No such file or directory"),
        (folder.path().join("n".repeat(300)), "File name too long"),
    ] {
        let error = sink::binary(file(&path)).err().unwrap();
        let expected = format!("event sink {}: creating it: {reason}", path.display());
        assert!(error.message().starts_with(&expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::Io);
    }
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        let locked = folder.path().join("locked");
        std::fs::create_dir(&locked).unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
        let error = sink::binary(file(&locked.join("run.dat"))).err().unwrap();
        assert!(error.message().contains("Permission denied"), "{error}");
    }
}

#[test]
fn a_name_that_is_taken_when_its_turn_comes_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |number| folder.path().join(format!("run-{number}"));
    let config = FileConfig { rotate_bytes: 1, ..file(&folder.path().join("run-%n")) };
    std::fs::write(at(1), "mine").unwrap();
    std::fs::create_dir(at(2)).unwrap();
    let buffer = buffer();
    buffer.add_sink(sink::binary(config.clone()).unwrap(), true).unwrap();
    put(&buffer, 0..3);
    buffer.flush().unwrap();
    assert_eq!(std::fs::read(at(1)).unwrap(), b"mine");
    for (number, file) in [(0, 0), (1, 3), (2, 4)] {
        assert!(std::fs::read(at(file)).unwrap() == packet(number), "{number}");
    }
    assert!(sink::binary(config).err().unwrap().message().contains("run-0: creating it: File exists"));
}

/// Fails for one packet for as long as it is told.
struct Picky(Arc<AtomicBool>);

impl Formatter for Picky {
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool> {
        let number = u64::from_le_bytes(*packet.data().first_chunk().unwrap());
        text.extend(format!("{number}\n").bytes());
        match number {
            700 if self.0.load(Ordering::Relaxed) => Err(Error::invalid("700 is not liked")),
            number => Ok(number % 10 != 1),
        }
    }
}

#[test]
fn a_formatter_that_fails_is_asked_again_for_that_packet_only() {
    let folder = tempfile::tempdir().unwrap();
    let (text, raw) = (folder.path().join("run.txt"), folder.path().join("run.dat"));
    let buffer = buffer();
    let fails = Arc::new(AtomicBool::new(true));
    let config = FileConfig { header: b"number\n".into(), ..file(&text) };
    buffer.add_sink(sink::text(config, Picky(fails.clone())).unwrap(), false).unwrap();
    buffer.add_sink(sink::binary(file(&raw)).unwrap(), true).unwrap();
    put(&buffer, 0..1500);
    let lines = |to: u64| {
        let lines = (0..to).filter(|number| number % 10 != 1).map(|number| format!("{number}\n"));
        "number\n".to_owned() + &lines.collect::<String>()
    };
    for _ in 0..3 {
        assert_eq!(buffer.flush().unwrap_err().message(), "700 is not liked");
        assert_eq!(std::fs::read_to_string(&text).unwrap(), lines(700));
        assert_eq!(count(&std::fs::read(&raw).unwrap()), 1500);
    }
    assert_eq!((buffer.size(), buffer.sink_stats(Some(0)).unwrap().errors), (800, 3));
    fails.store(false, Ordering::Relaxed);
    buffer.flush().unwrap();
    assert_eq!(std::fs::read_to_string(&text).unwrap(), lines(1500));
    assert_eq!(count(&std::fs::read(&raw).unwrap()), 1500);
    let progress = buffer.sink_stats(Some(0)).unwrap().progress;
    assert_eq!((progress.packets, progress.skipped), (1350, 150));
}

/// An allocator that has no memory when it is told so.
struct Poor {
    fails: Arc<AtomicBool>,
}

impl Allocator for Poor {
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::NoMemory, format!("no {size} bytes")));
        }
        HeapAllocator.allocate(size, packet)
    }
}

#[test]
fn without_memory_a_put_fails_and_the_buffer_goes_on() {
    let fails = Arc::new(AtomicBool::new(true));
    let allocator = Arc::new(Poor { fails: fails.clone() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.dat");
    let buffer = EventBuffer::new(Config { allocator, ..Config::default() });
    buffer.add_sink(sink::binary(file(&path)).unwrap(), true).unwrap();
    let no_memory = |result: Result<(), PutError>| match result {
        Err(PutError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::NoMemory),
        other => panic!("{other:?}"),
    };
    no_memory(buffer.put(&packet(0), Wait::Forever));
    no_memory(buffer.reserve(10, Wait::Forever).map(drop));
    no_memory(buffer.put_many(&[0; 2000], 1000, Wait::Forever).map(drop));
    no_memory(buffer.put(&vec![0; 2 * MIB], Wait::Forever));
    assert_eq!((buffer.size(), buffer.stats().refused), (0, 4));
    fails.store(false, Ordering::Relaxed);
    put(&buffer, 0..1);
    fails.store(true, Ordering::Relaxed);
    // As many as there is memory for; the caller hears how many those are.
    let many: Vec<u8> = (1..3000).flat_map(packet).collect();
    let taken = buffer.put_many(&many, 1000, Wait::Forever).unwrap();
    assert_eq!(taken, MIB / 1000 - 1);
    no_memory(buffer.put(&packet(0), Wait::Forever));
    assert_eq!(buffer.flush().unwrap().packets, MIB as u64 / 1000);
    fails.store(false, Ordering::Relaxed);
    assert_eq!(buffer.put_many(&many[taken * 1000..], 1000, Wait::No), Ok(2999 - taken));
    buffer.flush().unwrap();
    assert_eq!(count(&std::fs::read(&path).unwrap()), 3000);
}

/// The environment that tells this test binary to be a child, and which.
const CHILD: &str = "AQ_EVENTS_CHILD";

/// This binary again, to run only the test `name` as a child.
fn child(name: &str, arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(CHILD, arguments);
    command
}

extern "C" fn counted(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn signals_do_not_disturb_a_flush() {
    let Ok(folder) = std::env::var(CHILD) else {
        // On a disk, whose calls can be interrupted, and in memory. With signals of its own, so in a process of its own.
        for folder in [std::env::current_dir().unwrap().join("target"), PathBuf::from("/dev/shm")] {
            if folder.is_dir() {
                let folder = tempfile::tempdir_in(folder).unwrap();
                let mut command = child("signals_do_not_disturb_a_flush", folder.path().to_str().unwrap());
                assert!(spawn(command.stdout(Stdio::null())).wait().unwrap().success());
            }
        }
        return;
    };
    // SAFETY: a handler that only adds, without SA_RESTART, and a timer of this process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = counted as extern "C" fn(i32) as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()), 0);
        let every = libc::timeval { tv_sec: 0, tv_usec: 100 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()), 0);
    }
    let path = |name: &str| Path::new(&folder).join(name);
    let buffer = buffer();
    let config = |name| FileConfig { durability: Durability::Flush, ..file(&path(name)) };
    buffer.add_sink(sink::framed(config("framed"), None).unwrap(), false).unwrap();
    buffer.add_sink(sink::binary(config("binary")).unwrap(), true).unwrap();
    for round in 0..10 {
        put(&buffer, 4000 * round..4000 * (round + 1));
        assert_eq!(buffer.flush().unwrap().packets, 4000);
    }
    buffer.disconnect_sinks().unwrap();
    assert!(SIGNALS.load(Ordering::Relaxed) > 100);
    assert_eq!(count(&std::fs::read(path("binary")).unwrap()), 40_000);
    assert_eq!(count_framed(&path("framed"), 0), (40_000, true, 0));
}

#[test]
fn a_file_that_may_not_grow() {
    const LIMIT: u64 = 3_333_333;
    let Ok(folder) = std::env::var(CHILD) else {
        let folder = tempfile::tempdir().unwrap();
        let mut command = child("a_file_that_may_not_grow", folder.path().to_str().unwrap());
        assert!(spawn(command.stdout(Stdio::null())).wait().unwrap().success());
        return;
    };
    // SAFETY: settings of this process, which is only for this test.
    let limit = |bytes| unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    };
    limit(LIMIT);
    let path = Path::new(&folder).join("run.dat");
    let custom = Counting::default();
    let buffer = buffer();
    buffer.add_sink(Box::new(custom.clone()), false).unwrap();
    buffer.add_sink(sink::binary(file(&path)).unwrap(), true).unwrap();
    put(&buffer, 0..10_000);
    for _ in 0..3 {
        let error = buffer.flush().unwrap_err();
        assert!(error.message().contains("run.dat: writing at byte "), "{error}");
        assert!(error.message().contains("File too large"), "{error}");
        let packets = count(&std::fs::read(&path).unwrap());
        assert!(packets > 1000 && packets * 1000 <= LIMIT);
        assert_eq!(buffer.stats().flushed.packets, packets);
    }
    limit(libc::RLIM_INFINITY);
    buffer.flush().unwrap();
    assert_eq!((count(&std::fs::read(&path).unwrap()), custom.count()), (10_000, 10_000));
}

/// Puts and flushes for ever, and says after each flush how many packets have been.
fn record_until_killed(folder: &Path) {
    let buffer = buffer();
    let config = |name, durability| FileConfig { durability, ..file(&folder.join(name)) };
    buffer.add_sink(sink::framed(config("framed", Durability::Flush), None).unwrap(), false).unwrap();
    buffer.add_sink(sink::binary(config("binary", Durability::System)).unwrap(), true).unwrap();
    let mut next = 0;
    let mut flushed = 0;
    loop {
        let count = 1 + next * 7 % 300;
        put(&buffer, next..next + count);
        next += count;
        flushed += buffer.flush().unwrap().packets;
        println!("flushed {flushed}");
    }
}

/// Packets of a binary file that may end within one.
fn count_torn(bytes: &[u8]) -> u64 {
    let whole = bytes.len() / 1000 * 1000;
    let (packets, rest) = bytes.split_at(whole);
    let packets = count(packets);
    assert!(*rest == packet(packets)[..rest.len()], "nothing is invented");
    packets
}

#[test]
fn killed_a_hundred_times_during_a_flush() {
    if let Ok(folder) = std::env::var(CHILD) {
        record_until_killed(Path::new(&folder));
    }
    let mut torn_files = 0;
    for round in 0..100u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut command = child("killed_a_hundred_times_during_a_flush", folder.path().to_str().unwrap());
        let mut child = spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let number =
            |line: String| line.strip_prefix("flushed ").and_then(|number| number.parse::<u64>().ok());
        let mut reported = 0;
        let mut flushes = 0;
        // After some flushes, and then at any moment of the next ones.
        while flushes <= round % 7 {
            if let Some(packets) = number(lines.next().expect("it runs until it is killed")) {
                (reported, flushes) = (packets, flushes + 1);
            }
        }
        std::thread::sleep(Duration::from_micros(round * 79 % 2500));
        child.kill().unwrap();
        child.wait().unwrap();
        reported = lines.filter_map(number).last().unwrap_or(reported);
        let bytes = std::fs::read(folder.path().join("binary")).unwrap();
        let binary = count_torn(&bytes);
        let (framed, whole, torn) = count_framed(&folder.path().join("framed"), 0);
        assert!(!whole && torn < 1016);
        assert!(binary >= reported && framed >= reported, "{reported}: {binary} {framed}");
        // No more than was in the buffer when it was killed; the framed sink is ahead.
        assert!(framed >= binary && binary <= reported + 300 && framed <= reported + 300);
        torn_files += usize::from(torn > 0) + usize::from(bytes.len() as u64 > binary * 1000);
    }
    eprintln!("{torn_files} of 200 files ended within a packet");
}
