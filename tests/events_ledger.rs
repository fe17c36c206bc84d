//! Event buffers against a model: whatever is put, popped, reserved, flushed and lost in whatever order, and whichever sinks fail meanwhile, every
//! sink has every packet once and in order, a mark says what was lost where, and every counter is right at every step.
//!
//! `PROPTEST_CASES` sets how many sequences are tried.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aqueduct::error::{Error, ErrorKind, Result};
use aqueduct::event::reader::{Entry, EventFile};
use aqueduct::event::sink::{self, FileConfig, Formatter, Progress, Sink};
use aqueduct::event::{Amount, Batch, Config, EventBuffer, Item, Packet, PopError, PutError, Stats};
use aqueduct::ring::{Overflow, Wait};
use proptest::prelude::*;

/// What a program does.
#[derive(Debug, Clone)]
enum Op {
    Put(usize),
    PutParts(Vec<usize>),
    PutMany {
        size: usize,
        count: usize,
    },
    Reserve(usize),
    /// The slot, and how many 255ths of it are used.
    Commit(usize, u8),
    Cancel(usize),
    Pop {
        short: bool,
    },
    Peek(usize),
    Clear,
    Flush,
    AddSink {
        kind: SinkKind,
        primary: bool,
    },
    Disconnect,
    Configure(u64),
    /// The sink of that number fails when it has taken so many more packets, once.
    Fail {
        sink: usize,
        after: usize,
    },
    /// The sink of that number puts packets of these sizes the next time that it is called.
    PutInFlush {
        sink: usize,
        sizes: Vec<usize>,
    },
}

#[derive(Debug, Clone, Copy)]
enum SinkKind {
    Memory,
    Binary,
    Text,
    Framed { rotate_bytes: u64 },
}

/// What a sink has been given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Packet(Vec<u8>),
    Lost(Amount),
}

/// Marks behind each other are one: they may be told apart where other sinks are.
fn push_out(outs: &mut Vec<Out>, out: Out) {
    match (outs.last_mut(), out) {
        (Some(Out::Lost(before)), Out::Lost(more)) => *before += more,
        (_, out) => outs.push(out),
    }
}

/// A packet's bytes: they tell which one it is.
fn bytes_of(serial: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![serial as u8 ^ 0x5a; size];
    let head = (serial << 8 | 0xaa).to_le_bytes();
    let count = size.min(8);
    bytes[..count].copy_from_slice(&head[..count]);
    if size > 16 {
        bytes[size - 8..].copy_from_slice(&head);
    }
    bytes
}

fn amount(packets: u64, bytes: u64) -> Amount {
    Amount { packets, bytes }
}

fn one(size: usize) -> Amount {
    amount(1, size as u64)
}

/// What the test tells a sink, and what that answers.
#[derive(Default)]
struct Control {
    fail_after: Option<usize>,
    has_failed: bool,
    puts: Vec<usize>,
    /// What the puts were answered: made by the sink, taken by the model.
    serial: u64,
    has_put: bool,
    outs: Vec<Out>,
    closed: bool,
}

type Shared = Arc<Mutex<Control>>;

impl Control {
    /// Whether the next packet may be taken.
    fn spend(&mut self) -> Result<()> {
        match &mut self.fail_after {
            Some(0) => {
                self.fail_after = None;
                self.has_failed = true;
                Err(Error::state("a sink that fails"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Puts and fails as it is told, and has another sink do the work.
struct Told {
    control: Shared,
    buffer: Arc<EventBuffer>,
    /// None: packets are kept in `control`.
    inner: Option<Box<dyn Sink>>,
    /// The inner sink fails by itself, through its formatter.
    fails_inside: bool,
}

impl Sink for Told {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        let mut control = self.control.lock().unwrap();
        let puts = std::mem::take(&mut control.puts);
        control.has_put |= !puts.is_empty();
        for size in puts {
            self.buffer.put(&bytes_of(control.serial, size), Wait::No).unwrap();
            control.serial += 1;
        }
        if let Some(inner) = &mut self.inner {
            if !self.fails_inside && control.fail_after.is_some() {
                control.fail_after = Some(0);
                control.spend()?;
            }
            drop(control);
            return inner.write(batch, progress);
        }
        for item in batch.items(progress.next) {
            match item {
                Item::Packet(packet) => {
                    control.spend()?;
                    assert_eq!(packet.size(), packet.data().len());
                    progress.pass(&packet);
                    progress.bytes += packet.size() as u64;
                    control.outs.push(Out::Packet(packet.data().to_vec()));
                }
                Item::Lost(lost) => {
                    assert!(
                        lost.first <= lost.last && lost.packets == lost.last - lost.first + 1,
                        "{lost:?}"
                    );
                    progress.lose(lost);
                    push_out(&mut control.outs, Out::Lost(amount(lost.packets, lost.bytes)));
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, progress: &Progress) -> Result<()> {
        self.control.lock().unwrap().closed = true;
        self.inner.as_mut().map_or(Ok(()), |inner| inner.close(progress))
    }
}

/// Text of a packet; those of a length divisible by 5 are left out.
fn text_of(bytes: &[u8]) -> Option<String> {
    let serial = &bytes[..bytes.len().min(8)];
    (!bytes.len().is_multiple_of(5)).then(|| format!("{} {serial:?}\n", bytes.len()))
}

struct TextOf(Shared);

impl Formatter for TextOf {
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool> {
        // What it leaves behind when it fails, or leaves a packet out, is nobody's text.
        text.extend(b"rest");
        self.0.lock().unwrap().spend()?;
        let Some(line) = text_of(packet.data()) else { return Ok(false) };
        text.truncate(text.len() - 4);
        text.extend(line.bytes());
        Ok(true)
    }
}

/// A packet in the model.
#[derive(Debug, Clone, Copy)]
struct Kept {
    number: u64,
    serial: u64,
    size: usize,
    open: bool,
}

struct ModelSink {
    kind: SinkKind,
    path: PathBuf,
    control: Shared,
    progress: Progress,
    errors: u64,
    expected: Vec<Out>,
}

struct Model {
    buffer: Arc<EventBuffer>,
    folder: tempfile::TempDir,
    files: usize,
    capacity: u64,
    capacity_bytes: u64,
    overflow: Overflow,
    flush_size: u64,
    next: u64,
    serial: u64,
    kept: VecDeque<Kept>,
    /// Numbers below are in flight.
    flight: u64,
    /// Numbers and sizes.
    lost: Vec<(u64, usize)>,
    sinks: Vec<ModelSink>,
    has_primary: bool,
    primary_next: u64,
    stats: Stats,
}

const HEADER: &[u8] = b"a header\n";

impl Model {
    fn new(capacity: u64, capacity_bytes: u64, overflow: Overflow) -> Self {
        let config = Config {
            capacity,
            capacity_bytes,
            overflow: Some(overflow),
            flush_timeout: None,
            ..Config::default()
        };
        Self {
            buffer: Arc::new(EventBuffer::new(config)),
            folder: tempfile::tempdir().unwrap(),
            files: 0,
            capacity,
            capacity_bytes,
            overflow,
            flush_size: 0,
            next: 0,
            serial: 0,
            kept: VecDeque::new(),
            flight: 0,
            lost: Vec::new(),
            sinks: Vec::new(),
            has_primary: false,
            primary_next: 0,
            stats: Stats::default(),
        }
    }

    fn committed(&self) -> u64 {
        self.kept.iter().find(|kept| kept.open).map_or(self.next, |kept| kept.number)
    }

    fn has_space(&self, size: usize) -> bool {
        if self.capacity == 0 && self.capacity_bytes == 0 {
            return true;
        }
        let counts = |kept: &&Kept| self.overflow != Overflow::DropOldest || kept.number >= self.flight;
        let (mut packets, mut bytes) = (0, 0);
        for kept in self.kept.iter().filter(counts) {
            packets += 1;
            bytes += kept.size;
        }
        (self.capacity == 0 || packets < self.capacity)
            && (self.capacity_bytes == 0 || (bytes + size) as u64 <= self.capacity_bytes)
    }

    fn lose(&mut self, number: u64, size: usize) {
        if !self.sinks.is_empty() {
            let place = self.lost.partition_point(|(before, _)| *before < number);
            self.lost.insert(place, (number, size));
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let committed = self.committed();
        let Some(place) = self.kept.iter().position(|kept| kept.number >= self.flight) else { return false };
        let Kept { number, size, .. } = self.kept[place];
        if number >= committed {
            return false;
        }
        self.kept.remove(place);
        let part = if number < self.primary_next {
            &mut self.stats.flushed
        } else {
            &mut self.stats.overflow_oldest
        };
        *part += one(size);
        self.lose(number, size);
        true
    }

    /// What a put is answered; a packet that is in has got its number and place.
    fn admit(&mut self, size: usize, open: bool) -> Result<bool, PutError> {
        let overflow = self.overflow;
        while !self.has_space(size) {
            match overflow {
                Overflow::Block => {
                    self.stats.refused += 1;
                    return Err(PutError::Full);
                }
                Overflow::DropOldest if self.drop_oldest() => {}
                _ => {
                    self.lose(self.next, size);
                    self.next += 1;
                    self.stats.put += one(size);
                    self.stats.overflow_newest += one(size);
                    return Ok(false);
                }
            }
        }
        self.kept.push_back(Kept { number: self.next, serial: self.serial, size, open });
        self.next += 1;
        if !open {
            self.stats.put += one(size);
        }
        Ok(true)
    }

    fn is_too_long(&self, size: usize) -> bool {
        self.capacity_bytes > 0 && size as u64 > self.capacity_bytes
    }

    /// The result of a put of one packet.
    fn check_put(&mut self, size: usize, result: Result<(), PutError>) {
        if self.is_too_long(size) {
            let Err(PutError::Failed(error)) = result else { panic!("{result:?}") };
            assert_eq!(error.kind(), ErrorKind::Invalid);
            return;
        }
        let expected = self.admit(size, false).map(drop);
        assert_eq!(result, expected);
        self.serial += 1;
    }

    fn check_pop(&mut self, result: Result<(usize, u64), PopError>, memory: &[u8], place: usize, take: bool) {
        let committed = self.committed();
        let kept = self.kept.get(place).filter(|kept| kept.number < committed).copied();
        let Some(kept) = kept else {
            assert_eq!(result, Err(PopError::Empty));
            return;
        };
        if memory.len() < kept.size {
            assert_eq!(result, Err(PopError::Longer(kept.size)));
            return;
        }
        let (size, time) = result.unwrap();
        assert!(memory[..size] == bytes_of(kept.serial, kept.size), "packet {kept:?}");
        assert_ne!(time, 0);
        if take {
            self.kept.remove(place);
            self.stats.popped += one(kept.size);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Put(size) => {
                let result = self.buffer.put(&bytes_of(self.serial, size), Wait::No);
                self.check_put(size, result);
            }
            Op::PutParts(ref sizes) => {
                let size = sizes.iter().sum();
                let bytes = bytes_of(self.serial, size);
                let mut rest = &bytes[..];
                let mut parts = vec![];
                for &size in sizes {
                    let (part, more) = rest.split_at(size);
                    parts.push(part);
                    rest = more;
                }
                let result = self.buffer.put_parts(&parts, Wait::No);
                self.check_put(size, result);
            }
            Op::PutMany { size, count } => self.put_many(size, count),
            Op::Reserve(size) => {
                let result = self.buffer.reserve(size, Wait::No);
                if self.is_too_long(size) {
                    assert!(matches!(result, Err(PutError::Failed(_))));
                    return;
                }
                let number = self.next;
                match self.admit(size, true) {
                    Ok(true) => {
                        let reservation = result.unwrap();
                        assert_eq!((reservation.number(), reservation.size()), (number, size));
                        assert_eq!(reservation.data() as usize % 16, 0);
                        // SAFETY: what was reserved, and not committed yet.
                        unsafe { reservation.data().write_bytes(0xee, size) };
                        RESERVED.with_borrow_mut(|all| all.push((number, reservation.data())));
                    }
                    Ok(false) => assert_eq!(result.err(), Some(PutError::Full)),
                    Err(error) => assert_eq!(result.err(), Some(error)),
                }
                self.serial += 1;
            }
            Op::Commit(which, part) => {
                let open: Vec<usize> = (0..self.kept.len()).filter(|&i| self.kept[i].open).collect();
                let Some(&place) = open.get(which % open.len().max(1)) else {
                    assert_eq!(self.buffer.commit(self.next, 0).unwrap_err().kind(), ErrorKind::Invalid);
                    return;
                };
                let kept = self.kept[place];
                let size = kept.size * usize::from(part) / 255;
                let data = RESERVED.with_borrow_mut(|all| {
                    let place = all.iter().position(|(number, _)| *number == kept.number).unwrap();
                    all.swap_remove(place).1
                });
                let bytes = bytes_of(kept.serial, size);
                // SAFETY: at most what was reserved, and not committed yet.
                unsafe { data.copy_from_nonoverlapping(bytes.as_ptr(), size) };
                let error = self.buffer.commit(kept.number, kept.size + 1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid);
                self.buffer.commit(kept.number, size).unwrap();
                self.kept[place] = Kept { size, open: false, ..kept };
                self.stats.put += one(size);
                assert!(self.buffer.commit(kept.number, size).is_err());
            }
            Op::Cancel(which) => {
                let open: Vec<usize> = (0..self.kept.len()).filter(|&i| self.kept[i].open).collect();
                let Some(&place) = open.get(which % open.len().max(1)) else { return };
                let number = self.kept[place].number;
                self.buffer.cancel(number).unwrap();
                assert!(self.buffer.cancel(number).is_err());
                self.kept.remove(place);
                self.stats.cancelled += 1;
            }
            Op::Pop { short } => {
                let size = self.kept.front().map_or(0, |kept| kept.size);
                let mut memory = vec![0; if short { size.saturating_sub(1) } else { size + 3 }];
                let result = self.buffer.pop(&mut memory, Wait::No);
                self.check_pop(result, &memory, 0, true);
            }
            Op::Peek(which) => {
                let index = which % (self.kept.len() + 1);
                let mut memory = vec![0; self.kept.get(index).map_or(0, |kept| kept.size)];
                let result = self.buffer.peek(index as u64, &mut memory);
                self.check_pop(result, &memory, index, false);
            }
            Op::Clear => {
                let committed = self.committed();
                let cleared = self.kept.iter().take_while(|kept| kept.number < committed).count();
                for kept in self.kept.drain(..cleared) {
                    self.stats.cleared += one(kept.size);
                }
                assert_eq!(self.buffer.clear().unwrap(), cleared as u64);
            }
            Op::Flush => self.flush(),
            Op::AddSink { kind, primary } => self.add_sink(kind, primary),
            Op::Disconnect => {
                self.buffer.disconnect_sinks().unwrap();
                for sink in std::mem::take(&mut self.sinks) {
                    sink.check_all();
                }
                self.lost.clear();
                self.has_primary = false;
                self.primary_next = 0;
            }
            Op::Configure(flush_size) => {
                self.flush_size = flush_size;
                self.buffer.configure(flush_size, None);
            }
            Op::Fail { sink, after } => {
                let count = self.sinks.len().max(1);
                if let Some(sink) = self.sinks.get(sink % count) {
                    sink.control.lock().unwrap().fail_after = Some(after);
                }
            }
            Op::PutInFlush { sink, ref sizes } => {
                // Elsewhere it would matter how much of the flush is done when the sink puts.
                let is_known =
                    self.overflow == Overflow::DropOldest || self.capacity + self.capacity_bytes == 0;
                let fit = sizes.iter().all(|&size| !self.is_too_long(size));
                // One at a time, so that the order of what they put is known.
                let is_only = self.sinks.iter().all(|sink| sink.control.lock().unwrap().puts.is_empty());
                let count = self.sinks.len().max(1);
                if let Some(sink) = self.sinks.get(sink % count).filter(|_| is_known && is_only && fit) {
                    sink.control.lock().unwrap().puts.clone_from(sizes);
                }
            }
        }
    }

    fn put_many(&mut self, size: usize, count: usize) {
        let mut packets = Vec::with_capacity(size * count);
        (self.serial..).take(count).for_each(|serial| packets.extend_from_slice(&bytes_of(serial, size)));
        let result = self.buffer.put_many(&packets, size, Wait::No);
        if self.is_too_long(size) {
            assert!(matches!(result, Err(PutError::Failed(_))));
            return;
        }
        let mut done = 0;
        let mut expected = Ok(());
        while done < count && expected.is_ok() {
            expected = self.admit(size, false).map(drop);
            self.serial += 1;
            done += usize::from(expected.is_ok());
        }
        match expected {
            Err(error) if done == 0 => assert_eq!(result, Err(error)),
            _ => assert_eq!(result, Ok(done)),
        }
    }

    fn add_sink(&mut self, kind: SinkKind, primary: bool) {
        let path = self.folder.path().join(format!("{}-%n", self.files));
        self.files += 1;
        let control = Shared::default();
        let mut config = FileConfig { path, header: HEADER.into(), ..FileConfig::default() };
        let path = config.path.clone();
        let inner = match kind {
            SinkKind::Memory => None,
            SinkKind::Binary => Some(sink::binary(config).unwrap()),
            SinkKind::Text => Some(sink::text(config, TextOf(control.clone())).unwrap()),
            SinkKind::Framed { rotate_bytes } => {
                config.rotate_bytes = rotate_bytes;
                Some(sink::framed(config, None).unwrap())
            }
        };
        let told = Told {
            control: control.clone(),
            buffer: self.buffer.clone(),
            inner,
            fails_inside: matches!(kind, SinkKind::Text),
        };
        let index = self.buffer.add_sink(Box::new(told), primary).unwrap();
        let next = self.kept.front().map_or(self.next, |kept| kept.number);
        let progress = Progress { next, ..Progress::default() };
        let sink = ModelSink { kind, path, control, progress, errors: 0, expected: Vec::new() };
        let customs = self.sinks.len() - usize::from(self.has_primary);
        assert_eq!(index, customs);
        if !primary {
            self.sinks.insert(customs, sink);
            return;
        }
        self.primary_next = next;
        if self.has_primary
            && let Some(replaced) = self.sinks.pop()
        {
            assert!(replaced.control.lock().unwrap().closed);
            replaced.check_all();
        }
        self.sinks.push(sink);
        self.has_primary = true;
    }

    fn flush(&mut self) {
        if !self.has_primary {
            assert_eq!(self.buffer.flush().unwrap_err().kind(), ErrorKind::State);
            return;
        }
        let end = self.committed();
        for sink in &self.sinks {
            let mut control = sink.control.lock().unwrap();
            (control.serial, control.has_failed, control.has_put) = (self.serial, false, false);
        }
        let puts: Vec<Vec<usize>> =
            self.sinks.iter().map(|sink| sink.control.lock().unwrap().puts.clone()).collect();
        let result = self.buffer.flush();

        // What was put meanwhile.
        self.flight = end;
        for (index, puts) in puts.iter().enumerate() {
            if self.sinks[index].control.lock().unwrap().has_put {
                for &size in puts {
                    self.check_put(size, Ok(()));
                }
            }
        }
        // How far the sinks have come, and whether they have what is on that way.
        let mut bytes = 0;
        let mut primary_packets = 0;
        let mut has_failed = false;
        for index in 0..self.sinks.len() {
            let is_primary = index + 1 == self.sinks.len();
            let stats = self.buffer.sink_stats((!is_primary).then_some(index)).unwrap();
            let failed = self.sinks[index].control.lock().unwrap().has_failed;
            has_failed |= failed;
            let from = self.sinks[index].progress.next;
            let to = stats.progress.next;
            assert!(from <= to && to <= end, "{from} {to} {end}");
            assert!(failed || to == end, "{to} {end}");
            let passed = self.between(from, to);
            let sink = &mut self.sinks[index];
            sink.errors += u64::from(failed);
            assert_eq!(stats.errors, sink.errors);
            bytes += stats.progress.bytes - sink.progress.bytes;
            primary_packets = stats.progress.packets - sink.progress.packets;
            sink.take(&passed, to, &stats.progress);
        }
        self.stats.flushes += 1;
        self.stats.flush_errors += u64::from(has_failed);
        self.stats.written_bytes += bytes;
        match result {
            Ok(flushed) => {
                assert!(!has_failed);
                assert_eq!((flushed.packets, flushed.bytes), (primary_packets, bytes));
            }
            Err(error) => assert!(has_failed && error.message() == "a sink that fails", "{error}"),
        }
        let everybody = self.sinks.iter().map(|sink| sink.progress.next).min().unwrap();
        while let Some(kept) = self.kept.front().filter(|kept| kept.number < everybody) {
            self.stats.flushed += one(kept.size);
            self.kept.pop_front();
        }
        self.lost.retain(|(number, _)| *number >= everybody);
        self.primary_next = self.sinks.last().unwrap().progress.next;
        self.flight = 0;
        // What came back may be more than fits.
        while self.overflow == Overflow::DropOldest && self.is_over() && self.drop_oldest() {}
    }

    fn is_over(&self) -> bool {
        let bytes: usize = self.kept.iter().map(|kept| kept.size).sum();
        (self.capacity > 0 && self.kept.len() as u64 > self.capacity)
            || (self.capacity_bytes > 0 && bytes as u64 > self.capacity_bytes)
    }

    /// Packets and losses with numbers from `from` to `to`, that not included.
    fn between(&self, from: u64, to: u64) -> Vec<Out> {
        let packets = self.kept.iter().map(|kept| (kept.number, kept.size, Some(kept.serial)));
        let lost = self.lost.iter().map(|&(number, size)| (number, size, None));
        let mut all: Vec<_> =
            packets.chain(lost).filter(|(number, ..)| (from..to).contains(number)).collect();
        all.sort_unstable();
        let mut outs = Vec::new();
        for (_, size, serial) in all {
            push_out(
                &mut outs,
                match serial {
                    Some(serial) => Out::Packet(bytes_of(serial, size)),
                    None => Out::Lost(one(size)),
                },
            );
        }
        outs
    }

    /// All that can be asked at any time.
    fn check(&mut self) {
        let mut waiting = Amount::default();
        self.kept.iter().filter(|kept| !kept.open).for_each(|kept| waiting += one(kept.size));
        self.stats.waiting = waiting;
        self.stats.reserved = self.kept.len() as u64 - waiting.packets;
        assert_eq!(self.buffer.stats(), self.stats);
        let mut sum = waiting;
        let Stats { flushed, popped, cleared, overflow_oldest, overflow_newest, .. } = self.stats;
        [flushed, popped, cleared, overflow_oldest, overflow_newest].into_iter().for_each(|part| sum += part);
        assert_eq!(sum, self.stats.put, "the ledger closes");
        assert_eq!((self.buffer.size(), self.buffer.bytes()), (waiting.packets, waiting.bytes));
        let almost_full = self.flush_size > 0 && waiting.packets >= self.flush_size;
        assert_eq!((self.buffer.almost_full(), self.buffer.flush_needed()), (almost_full, almost_full));
        assert_eq!(self.buffer.sink_count().unwrap(), (self.sinks.len(), self.has_primary));
    }
}

thread_local! {
    /// Places that are reserved.
    static RESERVED: std::cell::RefCell<Vec<(u64, *mut u8)>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl ModelSink {
    /// It should have been given this, and have told so.
    fn take(&mut self, passed: &[Out], next: u64, told: &Progress) {
        let before = self.progress;
        self.progress.next = next;
        for out in passed {
            match out {
                Out::Packet(bytes) if matches!(self.kind, SinkKind::Text) && text_of(bytes).is_none() => {
                    self.progress.skipped += 1;
                }
                Out::Packet(bytes) => {
                    self.progress.packets += 1;
                    self.progress.bytes += match self.kind {
                        SinkKind::Framed { .. } => 16 + bytes.len() as u64,
                        SinkKind::Text => text_of(bytes).unwrap().len() as u64,
                        _ => bytes.len() as u64,
                    };
                }
                Out::Lost(lost) => self.progress.lost += *lost,
            }
        }
        if let SinkKind::Framed { .. } = self.kind {
            // Losses may be told in several marks.
            let marks = told.bytes - self.progress.bytes;
            let lost = self.progress.lost.packets - before.lost.packets;
            assert!(
                marks.is_multiple_of(40) && marks / 40 <= lost && (marks > 0) == (lost > 0),
                "{marks} {lost}"
            );
            self.progress.bytes = told.bytes;
        }
        assert_eq!(*told, self.progress);
        if let SinkKind::Memory = self.kind {
            let outs = std::mem::take(&mut self.control.lock().unwrap().outs);
            assert!(outs == passed, "{} and {} parts", outs.len(), passed.len());
        } else {
            for out in passed {
                push_out(&mut self.expected, out.clone());
            }
            // A file has whole records only, and all of them.
            if !matches!(self.kind, SinkKind::Framed { .. }) {
                let size = std::fs::metadata(self.path_of(0)).unwrap().len();
                assert_eq!(size, HEADER.len() as u64 + self.progress.bytes);
            }
        }
    }

    fn path_of(&self, number: usize) -> PathBuf {
        match self.kind {
            SinkKind::Framed { rotate_bytes } if rotate_bytes > 0 => {
                let path = self.path.to_str().unwrap().replace("%n", &number.to_string());
                PathBuf::from(path)
            }
            _ => self.path.clone(),
        }
    }

    /// Its files, which are closed, have what they should, byte by byte.
    fn check_all(&self) {
        let mut contents = HEADER.to_vec();
        match self.kind {
            SinkKind::Memory => {}
            SinkKind::Binary | SinkKind::Text => {
                for out in &self.expected {
                    match out {
                        Out::Lost(_) => {}
                        Out::Packet(bytes) if matches!(self.kind, SinkKind::Binary) => {
                            contents.extend_from_slice(bytes);
                        }
                        Out::Packet(bytes) => contents.extend(text_of(bytes).unwrap_or_default().bytes()),
                    }
                }
                assert!(std::fs::read(&self.path).unwrap() == contents, "{:?}", self.kind);
            }
            SinkKind::Framed { rotate_bytes } => {
                let mut outs = Vec::new();
                let mut number = 0;
                while self.path_of(number).exists() {
                    read_framed(&self.path_of(number), number, &mut outs);
                    number += 1;
                    if rotate_bytes == 0 {
                        break;
                    }
                }
                assert!(outs == self.expected, "{} and {} parts", outs.len(), self.expected.len());
            }
        }
    }
}

fn read_framed(path: &Path, number: usize, outs: &mut Vec<Out>) {
    let mut file = EventFile::open(path).unwrap();
    let header = file.header().unwrap();
    assert_eq!((header.number, &header.user[..]), (number as u64, HEADER));
    while let Some(entry) = file.next().unwrap() {
        match entry {
            Entry::Packet { data, time, .. } => {
                assert_ne!(time, 0);
                outs.push(Out::Packet(data.to_vec()));
            }
            Entry::Loss { mark, .. } => {
                // In any order: a reserved packet has the time of its commit.
                assert!(mark.first_time > 0 && mark.last_time > 0, "{mark:?}");
                push_out(outs, Out::Lost(amount(mark.packets, mark.bytes)));
            }
            Entry::End { agrees, .. } => assert!(agrees),
            other => panic!("{other:?}"),
        }
    }
    assert!(file.is_whole());
}

fn size() -> impl Strategy<Value = usize> {
    const MIB: usize = 1 << 20;
    const LARGE: usize = 16 << 10;
    prop_oneof![
        60 => 0usize..60,
        20 => 60usize..5000,
        6 => LARGE - 1..=LARGE + 1,
        1 => LARGE..100_000,
        1 => MIB - 40..MIB + 40,
        1 => MIB..=3 * MIB,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        Just(SinkKind::Memory),
        Just(SinkKind::Memory),
        Just(SinkKind::Binary),
        Just(SinkKind::Text),
        Just(SinkKind::Framed { rotate_bytes: 0 }),
        Just(SinkKind::Framed { rotate_bytes: 2000 }),
    ];
    prop_oneof![
        12 => size().prop_map(Op::Put),
        2 => prop::collection::vec(0usize..400, 0..5).prop_map(Op::PutParts),
        3 => (1usize..40, 0usize..50).prop_map(|(size, count)| Op::PutMany { size, count }),
        1 => prop_oneof![
            (1usize..33, 0usize..4000).prop_map(|(size, count)| Op::PutMany { size, count }),
            (100_000usize..1_100_000, 1usize..3).prop_map(|(size, count)| Op::PutMany { size, count }),
        ],
        5 => size().prop_map(Op::Reserve),
        4 => (0usize..4, prop_oneof![Just(255u8), Just(0), any::<u8>()]).prop_map(|(slot, part)| Op::Commit(slot, part)),
        2 => (0usize..4).prop_map(Op::Cancel),
        4 => prop::bool::weighted(0.1).prop_map(|short| Op::Pop { short }),
        1 => (0usize..100).prop_map(Op::Peek),
        1 => Just(Op::Clear),
        8 => Just(Op::Flush),
        4 => (kind, any::<bool>()).prop_map(|(kind, primary)| Op::AddSink { kind, primary }),
        1 => Just(Op::Disconnect),
        1 => (0u64..20).prop_map(Op::Configure),
        4 => (0usize..4, 0usize..12).prop_map(|(sink, after)| Op::Fail { sink, after }),
        2 => (0usize..4, prop::collection::vec(0usize..60, 1..8)).prop_map(|(sink, sizes)| Op::PutInFlush { sink, sizes }),
    ]
}

/// In packets and bytes; 0: none.
fn capacities() -> impl Strategy<Value = (u64, u64)> {
    let packets = prop_oneof![Just(0u64), 1u64..20];
    let bytes = prop_oneof![3 => Just(0u64), 2 => 40u64..3000, 1 => 20_000u64..4_000_000];
    (packets, bytes)
}

fn run(capacity: u64, capacity_bytes: u64, overflow: Overflow, ops: &[Op]) {
    RESERVED.with_borrow_mut(Vec::clear);
    let mut model = Model::new(capacity, capacity_bytes, overflow);
    for op in ops {
        model.apply(op);
        model.check();
    }
    // Everything finds its end.
    while model.stats.reserved > 0 {
        model.apply(&Op::Commit(0, 255));
        model.check();
    }
    model.apply(&Op::AddSink { kind: SinkKind::Memory, primary: true });
    for sink in &model.sinks {
        sink.control.lock().unwrap().puts.clear();
    }
    while model.kept.front().is_some() {
        model.apply(&Op::Flush);
        model.check();
    }
    model.apply(&Op::Disconnect);
    model.check();
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Of each; more with PROPTEST_CASES.
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn blocking((capacity, capacity_bytes) in capacities(), ops in prop::collection::vec(op(), 0..80)) {
        run(capacity, capacity_bytes, Overflow::Block, &ops);
    }

    #[test]
    fn dropping_the_newest((capacity, capacity_bytes) in capacities(), ops in prop::collection::vec(op(), 0..80)) {
        run(capacity, capacity_bytes, Overflow::DropNewest, &ops);
    }

    #[test]
    fn dropping_the_oldest((capacity, capacity_bytes) in capacities(), ops in prop::collection::vec(op(), 0..80)) {
        run(capacity, capacity_bytes, Overflow::DropOldest, &ops);
    }
}
