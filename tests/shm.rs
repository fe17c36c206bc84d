//! Shared memory between real processes, which are killed. The other process is this test program once more, running `other_process` alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use aqueduct::error::ErrorKind;
use aqueduct::ring::{Overflow, Wait};
use aqueduct::signal::array::Layout;
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::history::{History, HistoryConfig, Waited};
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::transport::shm::{EndReason, ShmConfig, ShmPublisher, ShmSubscriber};
use aqueduct::signal::transport::{NoChunk, Publisher, Subscriber};
use bytes::Bytes;

#[path = "support/rng.rs"]
mod rng;
use rng::Rng;

const ROLE: &str = "AQ_TEST_SHM_ROLE";

/// Longer than anything takes: a test that fails does not hang.
const LONG: Wait = Wait::For(Duration::from_secs(60));

fn byte(frame: u64) -> u8 {
    (frame % 251) as u8
}

fn chunk(index: u64, frames: usize) -> Chunk {
    let data: Vec<u8> = (index - frames as u64..index).map(byte).collect();
    Chunk { index, layout: Layout::c_order(1, &[frames]).unwrap(), data: Bytes::from(data) }
}

fn check(chunk: &Chunk) {
    assert_eq!(chunk.data.len(), chunk.frames());
    let frames = chunk.start()..chunk.index;
    assert!(frames.zip(&chunk.data).all(|(frame, &found)| found == byte(frame)), "chunk to {}", chunk.index);
}

fn publisher(chunks: usize, bytes: usize, overflow: Overflow) -> ShmPublisher {
    ShmPublisher::new(&ShmConfig { chunks, bytes, overflow, inputs: 16 }).unwrap()
}

/// The other process, killed on drop.
struct Other {
    child: Child,
    orders: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str, argument: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other_process", "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{role} {argument}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, lines) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, orders: Some(orders), lines: BufReader::new(lines) }
    }

    /// The next line it says, without what the test harness says.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the other process has ended");
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return said.to_owned();
            }
        }
    }

    fn order(&mut self) {
        self.orders.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: impl std::fmt::Display) {
    println!("\n> {what}");
    std::io::stdout().flush().unwrap();
}

/// Waits for an order; false: the first process is gone.
fn obey() -> bool {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap() > 0
}

/// Not a test by itself.
#[test]
fn other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, argument) = role.split_once(' ').unwrap();
    match role {
        "publish" => publish(argument),
        "read" => read(argument),
        "hold" => hold(argument),
        "watch" => watch(argument),
        "stranger" => stranger(argument),
        "leaks" => leaks(),
        "keep" => keep(),
        "look" => look(argument),
        "poor" => poor(),
        _ => panic!("{role}"),
    }
}

/// Publishes 5 chunks, then for ever if told to, and says its name.
fn publish(policy: &str) {
    let overflow = if policy == "block" { Overflow::Block } else { Overflow::DropOldest };
    let mut output = publisher(8, 1 << 16, overflow);
    say(output.name());
    assert!(obey());
    let mut index = 0;
    for _ in 0..5 {
        index += 100;
        output.publish(&chunk(index, 100), Wait::Forever).unwrap();
    }
    say("published");
    if !obey() {
        return;
    }
    loop {
        index += 100;
        output.publish(&chunk(index, 100), Wait::Forever).unwrap();
    }
}

/// Reads to the end and says what it found: frames received, dropped, the last index.
fn read(name: &str) {
    let mut input = ShmSubscriber::connect(name).unwrap();
    say("ready");
    let (mut received, mut last) = (0, 0);
    let mut gaps = 0;
    let end = loop {
        match input.receive(LONG) {
            Ok(got) => {
                check(&got);
                gaps += got.start() - last;
                received += got.frames() as u64;
                last = got.index;
            }
            Err(end) => break end,
        }
    };
    assert_eq!(end, NoChunk::Ended);
    // The gaps that indices show are just the frames that were counted.
    assert_eq!(gaps, input.dropped_frames());
    say(format!("{received} {} {last} {:?}", input.dropped_frames(), input.ended().unwrap()));
}

/// Holds a view of the first chunk.
fn hold(name: &str) {
    let mut input = ShmSubscriber::connect(name).unwrap();
    say("ready");
    let view = input.view(LONG).unwrap();
    say("holding");
    obey();
    say(view.is_intact());
    say(view.release());
    obey();
}

/// Looks at views while they are being overwritten, until it has seen enough that were and enough that were not.
fn watch(name: &str) {
    let mut input = ShmSubscriber::connect(name).unwrap();
    say("ready");
    let (mut intact, mut overwritten) = (0, 0);
    let mut copy = Vec::new();
    while intact < 300 || overwritten < 300 {
        let view = match input.view(LONG) {
            Ok(view) => view,
            Err(end) => {
                panic!("{end:?} after {intact} views that were intact and {overwritten} that were not")
            }
        };
        let start = view.index() - view.size() as u64;
        copy.clear();
        // Slower and slower, then fast again: between all and none is overwritten.
        for _ in 0..(intact + overwritten) % 40 * 200 {
            std::hint::spin_loop();
        }
        // SAFETY: within the view; read by address, as another process may be writing.
        copy.extend((0..view.size()).map(|i| unsafe { view.as_ptr().add(i).read_volatile() }));
        if view.release() {
            intact += 1;
            let right = copy.iter().zip(start..).all(|(&found, frame)| found == byte(frame));
            assert!(right, "chunk from {start} on is said to be intact, and is not");
        } else {
            overwritten += 1;
        }
    }
    say(format!("enough, {}", input.dropped_frames() > 0));
}

/// A shared history of one byte a frame, whose elements tell their index.
fn history() -> History {
    let config = HistoryConfig {
        dtype: parse_dtype("u1").unwrap(),
        frame_shape: Vec::new(),
        frames: 10_000,
        axisorder: None,
        fill: None,
    };
    History::share(&config).unwrap()
}

fn append(history: &History, frames: usize) {
    let chunk = chunk(history.index() as u64 + frames as u64, frames);
    // SAFETY: the data is of that layout.
    unsafe { history.append(chunk.data.as_ptr(), &chunk.layout, None) }.unwrap();
}

fn check_frames(history: &History, start: i64, stop: i64) {
    let mut found = vec![0; (stop - start) as usize];
    history.copy(start, stop, &mut found).unwrap();
    assert!(found.iter().zip(start as u64..).all(|(&found, frame)| found == byte(frame)));
}

/// Keeps a history, appends to it when it is told to, and says its name.
fn keep() {
    let history = history();
    say(history.name().unwrap());
    while obey() {
        append(&history, 500);
        say("appended");
    }
}

/// Holds a window of another's history, and waits for frames that do not come.
fn look(name: &str) {
    let history = History::open(name).unwrap();
    let window = history.latest(100).unwrap();
    assert!(history.holds(window.stamp));
    say("looking");
    let _ = history.wait(i64::MAX, LONG);
}

/// An output in a process that may open one descriptor more, until it is told that it may open others.
fn poor() {
    let output = publisher(4, 1 << 16, Overflow::Block);
    let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live struct to write to.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    for most in [next + 1, limit.rlim_cur] {
        limit.rlim_cur = most;
        // SAFETY: a live struct to read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        say(output.name());
        assert!(obey());
    }
}

/// Connects as another user.
fn stranger(name: &str) {
    // SAFETY: no pointers; only this process, which does nothing else, is concerned.
    assert_eq!(unsafe { libc::setuid(65534) }, 0);
    say(ShmSubscriber::connect(name).unwrap_err());
    // One that does not look at who listens is refused by the output: status 2, and no descriptor.
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let mut offer = Vec::new();
    UnixStream::connect_addr(&address).unwrap().read_to_end(&mut offer).unwrap();
    say(format!("{offer:?}"));
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Opens and closes both ends many times: as many descriptors, mappings and threads as before.
fn leaks() {
    let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:aqueduct").count();
    let round = || {
        let mut output = publisher(4, 1 << 16, Overflow::Block);
        let mut inputs: Vec<_> = (0..3).map(|_| ShmSubscriber::connect(output.name()).unwrap()).collect();
        inputs[0].fd().unwrap();
        output.publish(&chunk(3, 3), Wait::No).unwrap();
        inputs.pop();
        drop(output);
        assert!(inputs.iter_mut().all(|input| input.receive(Wait::No).unwrap().index == 3));
        assert!(ShmSubscriber::connect("aqueduct-nobody").is_err());
    };
    round();
    let before = (open_files(), threads(), mappings());
    (0..50).for_each(|_| round());
    assert_eq!((open_files(), threads(), mappings()), before);
    assert_eq!(before.2, 0);
    say("none");
}

#[test]
fn nothing_leaks() {
    let mut other = Other::start("leaks", "");
    assert_eq!(other.hear(), "none");
}

/// Nothing of ours in the usual places for shared memory.
fn nothing_left() -> bool {
    ["/dev/shm", "/tmp"].iter().all(|folder| {
        let Ok(entries) = std::fs::read_dir(folder) else { return true };
        entries.flatten().all(|entry| {
            let name = entry.file_name();
            // Benchmarks of event files have such a name, too.
            !name.to_string_lossy().starts_with("aqueduct-") || name.to_string_lossy().contains("bench")
        })
    })
}

#[test]
fn the_producer_is_killed() {
    for policy in ["block", "drop_oldest"] {
        let mut other = Other::start("publish", policy);
        let name = other.hear();
        let mut input = ShmSubscriber::connect(&name).unwrap();
        let mut idle = ShmSubscriber::connect(&name).unwrap();
        assert_eq!(input.output_pid(), other.child.id());
        other.order();
        assert_eq!(other.hear(), "published");
        // Wherever it is just now, in the middle of a chunk or waiting for us.
        other.order();
        for _ in 0..5 {
            check(&input.receive(LONG).unwrap());
        }
        other.kill();
        let mut last = 500;
        let end = loop {
            match input.receive(LONG) {
                Ok(got) => {
                    check(&got);
                    assert!(policy != "block" || got.start() == last);
                    last = got.index;
                }
                Err(end) => break end,
            }
        };
        assert_eq!((end, input.ended()), (NoChunk::Ended, Some(EndReason::Died)), "{policy}");
        // One that polls is told as well.
        let ready = aqueduct::sys::poll::readable(&[idle.fd().unwrap()], Some(Duration::from_secs(60)));
        assert!(ready.unwrap()[0]);
        while idle.receive(Wait::No).inspect(check).is_ok() {}
        assert_eq!(
            (idle.receive(Wait::No).unwrap_err(), idle.ended()),
            (NoChunk::Ended, Some(EndReason::Died))
        );
        let error = ShmSubscriber::connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(nothing_left());
    }
}

#[test]
fn a_reader_asleep_learns_of_the_death() {
    let mut other = Other::start("publish", "block");
    let mut input = ShmSubscriber::connect(&other.hear()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (input.receive(LONG).unwrap_err(), input.ended()));
        other.kill();
        assert_eq!(waiting.join().unwrap(), (NoChunk::Ended, Some(EndReason::Died)));
    });
}

#[test]
fn a_reader_is_killed_while_it_holds_a_view() {
    let mut output = publisher(4, 1 << 16, Overflow::Block);
    let mut dying = Other::start("hold", output.name());
    assert_eq!(dying.hear(), "ready");
    let mut other = Other::start("read", output.name());
    assert_eq!(other.hear(), "ready");
    output.publish(&chunk(100, 100), Wait::No).unwrap();
    assert_eq!(dying.hear(), "holding");
    let mut index = 200;
    while !output.publish(&chunk(index, 100), Wait::For(Duration::from_millis(50))).unwrap().timed_out {
        index += 100;
    }
    // It may be waited for without end: the death ends that.
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| output.publish(&chunk(index, 100), Wait::Forever).unwrap());
        dying.kill();
        assert!(!publishing.join().unwrap().timed_out);
    });
    assert_eq!(output.publish(&chunk(index + 100, 100), Wait::Forever).unwrap().inputs, 1);
    drop(output);
    assert_eq!(other.hear(), format!("{} 0 {} Closed", index + 100, index + 100));
    assert!(nothing_left());
}

#[test]
fn a_view_held_too_long() {
    let mut output = publisher(8, 1 << 16, Overflow::DropOldest);
    let mut other = Other::start("hold", output.name());
    assert_eq!(other.hear(), "ready");
    for index in 1..=40 {
        output.publish(&chunk(20_000 * index, 20_000), Wait::Forever).unwrap();
        if index == 1 {
            assert_eq!(other.hear(), "holding");
        }
    }
    other.order();
    assert_eq!((other.hear(), other.hear()), ("false".into(), "false".into()));
    let info = output.inputs().remove(0);
    assert_eq!(info.lag_frames + info.dropped_frames, 800_000);
}

#[test]
fn what_is_overwritten_meanwhile_is_never_taken_for_data() {
    let mut output = publisher(64, 1 << 16, Overflow::DropOldest);
    let mut watching = Other::start("watch", output.name());
    assert_eq!(watching.hear(), "ready");
    std::thread::scope(|scope| {
        let watched = scope.spawn(move || watching.hear());
        let mut index = 0;
        while !watched.is_finished() {
            index += 7_000;
            output.publish(&chunk(index, 7_000), Wait::No).unwrap();
        }
        assert_eq!(watched.join().unwrap(), "enough, true");
    });
}

#[test]
fn a_slow_reader_under_each_policy() {
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        // By turns the slots and the bytes are what is short.
        let mut output = publisher(32, 1 << 16, overflow);
        let mut readers: Vec<_> = (0..2).map(|_| Other::start("read", output.name())).collect();
        readers.iter_mut().for_each(|reader| assert_eq!(reader.hear(), "ready"));
        let mut rng = Rng(7);
        let (mut index, mut written, mut dropped) = (0, 0, 0);
        for _ in 0..5000 {
            let frames = 1 + rng.below(3000);
            index += frames as u64;
            let published = output.publish(&chunk(index, frames), Wait::Forever).unwrap();
            assert!(!published.timed_out);
            dropped += published.dropped_frames / 2;
            if published.dropped_frames == 0 {
                written = index;
            }
        }
        drop(output);
        for reader in &mut readers {
            let said = reader.hear();
            let words: Vec<&str> = said.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            let (received, missed, last) = (number(0), number(1), number(2));
            assert_eq!((received + missed, last, words[3]), (written, written, "Closed"), "{overflow:?}");
            match overflow {
                Overflow::Block => assert_eq!((received, missed), (index, 0)),
                // What was dropped behind the last that was written, nobody finds out.
                Overflow::DropNewest => assert_eq!(received + dropped, index),
                Overflow::DropOldest => {}
            }
        }
    }
}

/// Readers come and are killed at any moment; the one that stays loses nothing.
#[test]
fn a_storm_of_deaths() {
    let mut output = publisher(16, 1 << 16, Overflow::Block);
    let mut steady = Other::start("read", output.name());
    assert_eq!(steady.hear(), "ready");
    let name = output.name().to_owned();
    std::thread::scope(|scope| {
        let storm = scope.spawn(move || {
            let mut rng = Rng(3);
            for _ in 0..12 {
                let mut other = Other::start(if rng.below(2) == 0 { "read" } else { "hold" }, &name);
                if rng.below(4) > 0 {
                    assert_eq!(other.hear(), "ready");
                }
                other.kill();
            }
        });
        let mut index = 0;
        while !storm.is_finished() || index < 20_000 {
            index += 50;
            assert!(!output.publish(&chunk(index, 50), LONG).unwrap().timed_out);
        }
        drop(output);
        assert_eq!(steady.hear(), format!("{index} 0 {index} Closed"));
    });
    assert!(nothing_left());
}

#[test]
fn the_owner_of_a_history_is_killed() {
    let mut other = Other::start("keep", "");
    let name = other.hear();
    let history = History::open(&name).unwrap();
    other.order();
    assert_eq!((history.wait(500, LONG), other.hear()), (Waited::There, "appended".to_owned()));
    let window = history.window(100, 200).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| history.wait(501, LONG));
        other.kill();
        assert_eq!(waiting.join().unwrap(), Waited::Ended);
    });
    // What is there stays readable for those who have it; nobody else finds it.
    assert!(!history.is_live() && history.holds(window.stamp));
    check_frames(&history, 0, 500);
    assert_eq!(History::open(&name).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(nothing_left());
}

#[test]
fn a_reader_of_a_history_is_killed_while_it_looks() {
    let history = history();
    append(&history, 500);
    let name = history.name().unwrap();
    let mut dying = Other::start("look", name);
    assert_eq!(dying.hear(), "looking");
    let there = History::open(name).unwrap();
    dying.kill();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| there.wait(20_500, LONG));
        // Round and round, past what the other had in view.
        (0..40).for_each(|_| append(&history, 500));
        assert_eq!(waiting.join().unwrap(), Waited::There);
    });
    check_frames(&there, 10_500, 20_500);
    assert!(History::open(name).unwrap().is_live());
    assert!(nothing_left());
}

#[test]
fn producers_come_and_go() {
    for _ in 0..5 {
        let mut other = Other::start("publish", "drop_oldest");
        let mut input = ShmSubscriber::connect(&other.hear()).unwrap();
        other.order();
        assert_eq!(other.hear(), "published");
        // Its standard input ends, and it returns.
        other.orders = None;
        while input.receive(LONG).inspect(check).is_ok() {}
        assert_eq!(input.ended(), Some(EndReason::Closed));
    }
}

#[test]
fn an_output_without_descriptors_says_so_and_recovers() {
    let mut other = Other::start("poor", "");
    let error = ShmSubscriber::connect(&other.hear()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoMemory);
    assert!(error.message().contains("no memory or descriptors for one more input"), "{error}");
    other.order();
    ShmSubscriber::connect(&other.hear()).unwrap();
}

#[test]
fn another_user_is_refused() {
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let output = publisher(4, 1 << 16, Overflow::Block);
    let mut other = Other::start("stranger", output.name());
    let said = other.hear();
    assert!(said.contains("the output must be of user 65534 (it is of 0)"), "{said}");
    let mut offer = b"AQSHOFFR".to_vec();
    offer.extend([1u32, 2].iter().flat_map(|word| word.to_ne_bytes()));
    assert_eq!(other.hear(), format!("{offer:?}"));
    assert_eq!(output.inputs().len(), 0);
}
