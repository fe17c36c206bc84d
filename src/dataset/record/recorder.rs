//! The recorder: rows, or chunks of the receiver, come from any thread, are packed in several, and written in order by one.
//!
//! ```text
//! put_rows -> block being filled --(full)--+--> packers --> written in order by the writer, then free again
//! put_chunk -> the chunk itself -----------+
//! ```
//!
//! At most `queue_blocks` blocks exist: who puts more waits. One lock guards which block is where and is held for moments: no bytes are packed or written under it.
//! Copying rows to the block being filled happens under a lock of its own, so that those who put take turns.
//!
//! Invariant: every row that was taken is counted once in the end: `rows_given = rows_written + rows_lost`. After an error nothing is taken any more, what was
//! taken and not written is lost and counted, and the error is kept.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::config::RecordConfig;
use super::file::{Packed, RecordFile};
use crate::chunk::{Chunk, ChunkRing};
use crate::dataset::codec::Encoder;
use crate::dataset::memory::resize;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::deadline::Deadline;
use crate::sys::signal;

/// How a recording is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordStats {
    /// Rows that were taken.
    pub rows_given: u64,
    /// Rows in the file.
    pub rows_written: u64,
    /// Rows in the file that others can read: flushed.
    pub rows_flushed: u64,
    /// Rows that were taken and will not be in the file.
    pub rows_lost: u64,
    /// Blocks written; one that was flushed before it was full counts again.
    pub blocks_written: u64,
    /// Blocks in memory: being packed, or waiting to be written.
    pub blocks_waiting: u64,
    /// Bytes of the blocks written.
    pub bytes_written: u64,
    /// Bytes of them in the file, packed.
    pub bytes_stored: u64,
    /// Stretches of frames without a gap between them.
    pub segments: u64,
    /// Flushes.
    pub flushes: u64,
    /// Times that somebody who put something had to wait for a block.
    pub waits: u64,
    /// Time that packing took, in all threads.
    pub pack_time: Duration,
    /// Time that writing and flushing took.
    pub write_time: Duration,
}

/// Where counts for the ledger come from; asked whenever it is written.
pub type LedgerSource = Box<dyn Fn() -> Vec<(String, u64)> + Send>;

/// What could not be put.
#[derive(Debug)]
pub enum NotPut {
    /// There is no block free, and the call was not to wait.
    Full,
    /// There was none in time.
    TimedOut,
    /// It does not fit, or the recorder has failed or is stopped.
    Failed(Error),
}

enum Body {
    Rows(Vec<u8>),
    Chunk(Box<Chunk>),
    /// A copy of a block that is being filled still.
    Copy(Vec<u8>),
}

struct Job {
    number: u64,
    rows: u64,
    /// Rows that are in it for the first time.
    new_rows: u64,
    body: Body,
    packed: Vec<u8>,
    mask: u32,
    result: Result<()>,
}

impl Job {
    fn new(number: u64, rows: u64, new_rows: u64, body: Body, result: Result<()>) -> Self {
        Self { number, rows, new_rows, body, packed: Vec::new(), mask: 0, result }
    }

    fn raw(&self) -> &[u8] {
        match &self.body {
            Body::Rows(bytes) | Body::Copy(bytes) => bytes,
            // SAFETY: the stream has written it, or left it as it was allocated: bytes of no meaning, which its flags tell.
            Body::Chunk(chunk) => unsafe { chunk.data.as_slice() },
        }
    }
}

/// The block being filled.
struct Current {
    number: u64,
    memory: Vec<u8>,
    rows: u64,
    /// Rows of it that a copy has taken along.
    copied: u64,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Somebody fills `current`: it is not there.
    filling: bool,
    free: Vec<Vec<u8>>,
    /// Blocks that are somewhere: being filled, packed, written. At most `queue_blocks`, not counting copies.
    blocks: usize,
    next_block: u64,
    next_row: u64,
    next_index: Option<u64>,
    segments: Vec<(u64, u64)>,
    /// To be packed, with their place in the order.
    to_pack: VecDeque<(u64, Job)>,
    /// In order; `None`: being packed.
    ready: VecDeque<Option<Job>>,
    first_ready: u64,
    spare: Vec<Vec<u8>>,
    /// A flush is to come behind this place in the order, asked for so many times.
    flush_behind: u64,
    flush_asked: u64,
    flush_done: u64,
    stopping: bool,
    packers_end: bool,
    ended: bool,
    failed: Option<Error>,
    ledger: Option<LedgerSource>,
    stats: RecordStats,
}

struct Shared {
    config: RecordConfig,
    row_size: usize,
    block_rows: u64,
    block_size: usize,
    /// Where chunks go when they are written; else they are freed.
    free_ring: Option<Arc<ChunkRing>>,
    state: Mutex<State>,
    /// There is something to be packed.
    packable: Condvar,
    /// There is something for the writer.
    writable: Condvar,
    /// There is a free block, a flush is done, or it has ended.
    changed: Condvar,
}

/// See the module. Dropping it stops it.
pub struct Recorder {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Recorder {
    /// Makes the file, and starts the threads.
    ///
    /// # Errors
    /// `Invalid`: a setting breaks its rule. `Unsupported`: a type that HDF5 has not, or a build without it. `Io`: the file is there already, or the system
    /// refuses it. `NoMemory`.
    pub fn new(config: RecordConfig, free_ring: Option<Arc<ChunkRing>>) -> Result<Self> {
        let (row_size, block_rows) = config.check()?;
        let block_size = row_size * block_rows as usize;
        let threads = if config.packing.is_plain() { 0 } else { config.threads };
        let encoder = || Encoder::new(config.packing, config.dtype.size());
        let file = RecordFile::create(&config, block_rows)?;
        let encoders = (0..threads).map(|_| encoder()).collect::<Result<Vec<_>>>()?;
        let shared = Arc::new(Shared {
            config,
            row_size,
            block_rows,
            block_size,
            free_ring,
            state: Mutex::default(),
            packable: Condvar::new(),
            writable: Condvar::new(),
            changed: Condvar::new(),
        });
        // If a thread cannot be started, dropping it ends the others.
        let recorder = Self { shared: shared.clone(), threads: Mutex::default() };
        for (index, mut encoder) in encoders.into_iter().enumerate() {
            let shared = shared.clone();
            recorder.spawn(format!("aqueduct-pack-{index}"), move || shared.pack(&mut encoder))?;
        }
        recorder.spawn("aqueduct-h5-write".to_owned(), move || shared.run(file))?;
        Ok(recorder)
    }

    fn spawn(&self, name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let run = move || {
            signal::leave_to_other_threads();
            run();
        };
        let thread = std::thread::Builder::new().name(name).spawn(run);
        match thread {
            Ok(thread) => {
                self.threads.lock().push(thread);
                Ok(())
            }
            Err(e) => {
                // Without a writer nobody else says so.
                self.shared.state.lock().ended = true;
                Err(Error::io("recorder: starting a thread", &e))
            }
        }
    }

    /// Bytes of a row.
    pub fn row_size(&self) -> usize {
        self.shared.row_size
    }

    /// Rows of a block.
    pub fn block_rows(&self) -> u64 {
        self.shared.block_rows
    }

    /// What it was made with.
    pub fn config(&self) -> &RecordConfig {
        &self.shared.config
    }

    /// Takes as many rows as there is room for within the time, and returns how many; `index` is that of the first in its stream, where it has one.
    ///
    /// # Errors
    /// Then nothing was taken. [`NotPut::Failed`]: `Invalid`: no whole rows, or chunks are recorded; `State`: it is stopped; or what it has failed with.
    pub fn put_rows(&self, rows: &[u8], index: Option<u64>, wait: Wait) -> Result<u64, NotPut> {
        let shared = &self.shared;
        if shared.config.chunks {
            return Err(NotPut::Failed(Error::invalid("recorder: it takes chunks, not rows")));
        }
        if !rows.len().is_multiple_of(shared.row_size) {
            let (size, got) = (shared.row_size, rows.len());
            let message = format!("recorder: rows must be whole, of {size} bytes each (got {got} bytes)");
            return Err(NotPut::Failed(Error::invalid(message)));
        }
        let deadline = Deadline::new(wait);
        let mut taken = 0;
        let all = (rows.len() / shared.row_size) as u64;
        while taken < all {
            let mut current = match shared.begin(deadline, wait) {
                Ok(current) => current,
                Err(_) if taken > 0 => return Ok(taken),
                Err(reason) => return Err(reason),
            };
            let count = (shared.block_rows - current.rows).min(all - taken);
            let (from, to) = (taken as usize * shared.row_size, current.rows as usize * shared.row_size);
            let size = count as usize * shared.row_size;
            current.memory[to..][..size].copy_from_slice(&rows[from..][..size]);
            current.rows += count;
            shared.put_back(current, count, index.map(|index| index.saturating_add(taken)));
            taken += count;
        }
        Ok(taken)
    }

    /// Takes a chunk: its data are the rows of one block. It is given back to the free ring, or freed, when it is written.
    ///
    /// # Errors
    /// With the chunk. [`NotPut::Failed`]: `Invalid`: it has other sizes than blocks, or rows are recorded; `State`: it is stopped; or what it has failed
    /// with.
    pub fn put_chunk(&self, chunk: Box<Chunk>, wait: Wait) -> Result<(), (Box<Chunk>, NotPut)> {
        let shared = &self.shared;
        if let Err(error) = shared.check_chunk(&chunk) {
            return Err((chunk, NotPut::Failed(error)));
        }
        let deadline = Deadline::new(wait);
        let mut state = shared.state.lock();
        if let Err(reason) = shared.wait_for_block(&mut state, deadline, wait) {
            return Err((chunk, reason));
        }
        state.blocks += 1;
        let (number, rows) = (state.next_block, shared.block_rows);
        state.next_block += 1;
        state.stats.rows_given += rows;
        shared.submit(&mut state, number, rows, rows, Body::Chunk(chunk));
        Ok(())
    }

    /// A chunk that cannot be recorded goes back to where those go that are: its rows are lost, and counted. If it does not fit, that is an error of the recorder.
    pub(super) fn reject(&self, mut chunk: Box<Chunk>, error: &Error) {
        let mut state = self.shared.state.lock();
        state.stats.rows_given += self.shared.block_rows;
        if !state.ended && state.failed.is_none() && !state.stopping {
            state.failed = Some(error.clone());
            state.stopping = true;
        }
        drop(state);
        self.shared.writable.notify_all();
        self.shared.changed.notify_all();
        if let Some(ring) = &self.shared.free_ring {
            chunk.present.zero();
            // Nobody needs a chunk for which there is no place.
            drop(ring.put(chunk, Wait::No));
        }
    }

    /// Rows that were taken from where they came from, and for which there is no place any more: they are lost.
    pub(super) fn lose(&self, rows: u64) {
        self.shared.state.lock().stats.rows_given += rows;
    }

    /// Has the ledger beside the dataset ask these counts whenever it is written: at each flush, and at the end.
    pub fn set_ledger(&self, source: LedgerSource) {
        self.shared.state.lock().ledger = Some(source);
    }

    /// Waits until all rows that were taken are in the file, where others can read them. False: they are not yet.
    ///
    /// # Errors
    /// What it has failed with.
    pub fn flush(&self, wait: Wait) -> Result<bool> {
        let shared = &self.shared;
        let deadline = Deadline::new(wait);
        let mut state = shared.state.lock();
        while state.filling && !state.ended {
            if !shared.wait(&mut state, deadline) {
                return Ok(false);
            }
        }
        if state.ended {
            return state.failed.clone().map_or(Ok(true), Err);
        }
        shared.ask_flush(&mut state);
        let ticket = state.flush_asked;
        while state.flush_done < ticket && !state.ended {
            if !shared.wait(&mut state, deadline) {
                return Ok(false);
            }
        }
        state.failed.clone().map_or(Ok(true), Err)
    }

    /// Takes no more, has all that was taken written, and closes the file.
    ///
    /// # Errors
    /// What it has failed with, now or before.
    pub fn stop(&self) -> Result<()> {
        self.ask_to_stop();
        self.wait(Wait::Forever).unwrap_or(Ok(()))
    }

    /// Begins what [`stop`](Self::stop) does.
    pub fn ask_to_stop(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.writable.notify_all();
        self.shared.changed.notify_all();
    }

    /// Waits until it has ended: stopped, or failed. `None`: it has not.
    pub fn wait(&self, wait: Wait) -> Option<Result<()>> {
        let deadline = Deadline::new(wait);
        let mut state = self.shared.state.lock();
        while !state.ended {
            if !self.shared.wait(&mut state, deadline) {
                return None;
            }
        }
        Some(state.failed.clone().map_or(Ok(()), Err))
    }

    /// How it is doing.
    pub fn stats(&self) -> RecordStats {
        let state = self.shared.state.lock();
        let mut stats = state.stats;
        if state.ended {
            stats.rows_lost = stats.rows_given - stats.rows_written;
        }
        stats.blocks_waiting = state.ready.len() as u64;
        stats
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            log::error!("recorder: {error}");
        }
        for thread in self.threads.get_mut().drain(..) {
            // They catch what they do.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits for a change. False: the time is over.
    fn wait(&self, state: &mut MutexGuard<'_, State>, deadline: Deadline) -> bool {
        match deadline.left() {
            Wait::No => return false,
            Wait::For(time) => drop(self.changed.wait_for(state, time)),
            Wait::Forever => self.changed.wait(state),
        }
        true
    }

    fn no_more(state: &State) -> Option<NotPut> {
        if let Some(error) = &state.failed {
            return Some(NotPut::Failed(error.clone()));
        }
        (state.stopping || state.ended).then(|| NotPut::Failed(Error::state("recorder: it is stopped")))
    }

    /// Waits until a block may be begun.
    fn wait_for_block(
        &self,
        state: &mut MutexGuard<'_, State>,
        deadline: Deadline,
        wait: Wait,
    ) -> Result<(), NotPut> {
        let mut waited = false;
        loop {
            if let Some(reason) = Self::no_more(state) {
                return Err(reason);
            }
            if state.blocks < self.config.queue_blocks {
                return Ok(());
            }
            if !waited {
                state.stats.waits += 1;
                waited = true;
            }
            if !self.wait(state, deadline) {
                return Err(if wait == Wait::No { NotPut::Full } else { NotPut::TimedOut });
            }
        }
    }

    /// Takes the block being filled, or a new one.
    fn begin(&self, deadline: Deadline, wait: Wait) -> Result<Current, NotPut> {
        let mut state = self.state.lock();
        loop {
            if let Some(reason) = Self::no_more(&state) {
                return Err(reason);
            }
            if !state.filling {
                break;
            }
            if !self.wait(&mut state, deadline) {
                return Err(if wait == Wait::No { NotPut::Full } else { NotPut::TimedOut });
            }
        }
        if let Some(current) = state.current.take() {
            state.filling = true;
            return Ok(current);
        }
        self.wait_for_block(&mut state, deadline, wait)?;
        if let Some(current) = state.current.take() {
            state.filling = true;
            return Ok(current);
        }
        let mut memory = state.free.pop().unwrap_or_default();
        // Of those that were used before this costs nothing.
        resize(&mut memory, self.block_size).map_err(NotPut::Failed)?;
        state.blocks += 1;
        state.filling = true;
        let number = state.next_block;
        state.next_block += 1;
        Ok(Current { number, memory, rows: 0, copied: 0 })
    }

    /// Gives the block being filled back with `count` more rows, the first of which has that index in its stream.
    fn put_back(&self, current: Current, count: u64, index: Option<u64>) {
        let mut state = self.state.lock();
        state.filling = false;
        if let Some(index) = index {
            if state.next_index != Some(index) {
                let row = state.next_row;
                state.segments.push((row, index));
                state.stats.segments += 1;
            }
            state.next_index = Some(index.saturating_add(count));
        }
        state.next_row += count;
        if state.stats.rows_given == state.stats.rows_flushed || state.stopping {
            // From now on there is something to be flushed, at its time.
            self.writable.notify_one();
        }
        state.stats.rows_given += count;
        if current.rows == self.block_rows {
            let Current { number, memory, rows, copied } = current;
            self.submit(&mut state, number, rows, rows - copied, Body::Rows(memory));
        } else {
            state.current = Some(current);
        }
        self.changed.notify_all();
    }

    fn check_chunk(&self, chunk: &Chunk) -> Result<()> {
        if !self.config.chunks {
            return Err(Error::invalid("recorder: it takes rows, not chunks"));
        }
        let sizes = [
            ("data", chunk.data.len(), self.block_size),
            ("present", chunk.present.len(), self.config.present_size),
            ("extra", chunk.extra.len(), self.config.extra_size),
        ];
        for (name, got, wanted) in sizes {
            if got != wanted && !(wanted == 0 && name != "data") {
                let message = format!("recorder: {name} of a chunk must have {wanted} bytes (got {got})");
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    /// Hands a block on.
    fn submit(&self, state: &mut State, number: u64, rows: u64, new_rows: u64, body: Body) {
        self.submit_job(state, Job::new(number, rows, new_rows, body, Ok(())));
    }

    fn submit_job(&self, state: &mut State, mut job: Job) {
        job.packed = state.spare.pop().unwrap_or_default();
        let place = state.first_ready + state.ready.len() as u64;
        if self.config.packing.is_plain() {
            state.ready.push_back(Some(job));
            self.writable.notify_one();
        } else {
            state.ready.push_back(None);
            state.to_pack.push_back((place, job));
            self.packable.notify_one();
        }
    }

    /// Hands on what the block being filled has, and a wish to flush behind it.
    fn ask_flush(&self, state: &mut State) {
        if let Some(current) = &mut state.current
            && current.copied < current.rows
        {
            let (number, rows, new_rows) = (current.number, current.rows, current.rows - current.copied);
            let used = rows as usize * self.row_size;
            let mut copy = Vec::new();
            let result = resize(&mut copy, self.block_size);
            if result.is_ok() {
                copy[..used].copy_from_slice(&current.memory[..used]);
            }
            current.copied = rows;
            self.submit_job(state, Job::new(number, rows, new_rows, Body::Copy(copy), result));
        }
        state.flush_behind = state.first_ready + state.ready.len() as u64;
        state.flush_asked += 1;
        self.writable.notify_one();
    }

    /// Packs until there is nothing more to come.
    fn pack(&self, encoder: &mut Encoder) {
        let mut state = self.state.lock();
        loop {
            let Some((place, mut job)) = state.to_pack.pop_front() else {
                if state.packers_end {
                    return;
                }
                self.packable.wait(&mut state);
                continue;
            };
            drop(state);
            let began = Instant::now();
            let mut packed = std::mem::take(&mut job.packed);
            let done = catch_unwind(AssertUnwindSafe(|| encoder.encode(job.raw(), &mut packed)));
            let internal = || Err(Error::new(ErrorKind::Internal, "recorder: packing a block panicked"));
            match done.unwrap_or_else(|_| internal()) {
                Ok(mask) => job.mask = mask,
                Err(error) => job.result = Err(error),
            }
            job.packed = packed;
            state = self.state.lock();
            state.stats.pack_time += began.elapsed();
            // After a failure nobody waits for it any more.
            let at = place.checked_sub(state.first_ready).map(|at| at as usize);
            match at.and_then(|at| state.ready.get_mut(at)) {
                Some(slot) => *slot = Some(job),
                None => self.recycle(&mut state, job),
            }
            self.writable.notify_one();
        }
    }

    /// A block is not needed any more.
    fn recycle(&self, state: &mut MutexGuard<'_, State>, job: Job) {
        state.spare.push(job.packed);
        match job.body {
            Body::Rows(memory) => {
                state.free.push(memory);
                state.blocks -= 1;
            }
            Body::Copy(_) => {}
            Body::Chunk(mut chunk) => {
                state.blocks -= 1;
                if let Some(ring) = &self.free_ring {
                    MutexGuard::unlocked(state, || {
                        chunk.present.zero();
                        // Nobody needs a chunk for which there is no place.
                        drop(ring.put(chunk, Wait::No));
                    });
                }
            }
        }
        self.changed.notify_all();
    }

    /// The writer.
    fn run(&self, mut file: RecordFile) {
        let result = catch_unwind(AssertUnwindSafe(|| self.write_all(&mut file)));
        let internal = || Err(Error::new(ErrorKind::Internal, "recorder: its writer panicked"));
        let result = result.unwrap_or_else(|_| internal());
        self.drop_all(&result);
        // Also after an error: what was written is to be found.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let flushed = self.flush_file(&mut file);
            let closed = file.close();
            flushed.and(closed)
        }));
        let ended = ended.unwrap_or_else(|_| internal());
        let mut state = self.state.lock();
        if state.failed.is_none() {
            state.failed = result.and(ended).err();
        }
        state.ended = true;
        state.packers_end = true;
        self.packable.notify_all();
        self.changed.notify_all();
    }

    /// After an error: blocks that will not be written go back to where they came from.
    fn drop_all(&self, result: &Result<()>) {
        let mut state = self.state.lock();
        if let Err(error) = result {
            state.failed = Some(error.clone());
        }
        state.first_ready += state.ready.len() as u64;
        let ready = std::mem::take(&mut state.ready);
        let to_pack = std::mem::take(&mut state.to_pack);
        for job in ready.into_iter().flatten().chain(to_pack.into_iter().map(|(_, job)| job)) {
            self.recycle(&mut state, job);
        }
        state.current = None;
        self.changed.notify_all();
    }

    /// Writes blocks as they come, until it is stopped and there are no more.
    fn write_all(&self, file: &mut RecordFile) -> Result<()> {
        let interval = self.config.flush_interval;
        let mut flushed = Instant::now();
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if let Some(job) = state.ready.front_mut().and_then(Option::take) {
                    state.ready.pop_front();
                    state.first_ready += 1;
                    break Some(job);
                }
                if state.flush_done < state.flush_asked && state.first_ready >= state.flush_behind {
                    break None;
                }
                if state.stopping && !state.filling && state.ready.is_empty() {
                    match &state.current {
                        // What it has is the last to be written.
                        Some(current) if current.copied < current.rows => {
                            self.ask_flush(&mut state);
                            continue;
                        }
                        _ => return Ok(()),
                    }
                }
                let dirty = state.stats.rows_flushed < state.stats.rows_given;
                let asked = state.flush_done < state.flush_asked;
                match flushed.checked_add(interval) {
                    Some(due) if dirty && !asked && !state.filling => {
                        // Blocks on their way come first.
                        if due <= Instant::now() {
                            self.ask_flush(&mut state);
                        } else {
                            self.writable.wait_until(&mut state, due);
                        }
                    }
                    _ if state.filling => {
                        self.writable.wait_for(&mut state, Duration::from_millis(1));
                    }
                    _ => self.writable.wait(&mut state),
                }
            };
            drop(state);
            let began = Instant::now();
            match job {
                Some(job) => self.write(file, job)?,
                None => {
                    self.flush_file(file)?;
                    flushed = Instant::now();
                }
            }
            self.state.lock().stats.write_time += began.elapsed();
            if interval.is_zero() || flushed.elapsed() >= interval {
                // Also when blocks come so fast that it is never idle.
                let wants = {
                    let state = self.state.lock();
                    state.stats.rows_written > state.stats.rows_flushed
                };
                if wants {
                    self.flush_file(file)?;
                    flushed = Instant::now();
                }
            }
        }
    }

    fn write(&self, file: &mut RecordFile, job: Job) -> Result<()> {
        let plain = self.config.packing.is_plain();
        let written = job.result.clone().and_then(|()| {
            let data = if plain { self.with_padding(&job) } else { Ok(&job.packed[..]) }?;
            let chunk = if let Body::Chunk(chunk) = &job.body { Some(&**chunk) } else { None };
            let Job { number, rows, mask, .. } = job;
            file.write(&Packed { number, rows, mask, data, chunk }).map(|()| data.len() as u64)
        });
        let mut state = self.state.lock();
        if let Ok(stored) = written {
            let stats = &mut state.stats;
            stats.rows_written = file.rows();
            stats.blocks_written += 1;
            stats.bytes_written += job.new_rows * self.row_size as u64;
            stats.bytes_stored += stored;
        }
        self.recycle(&mut state, job);
        written.map(drop)
    }

    /// Rows of a block that are not there yet, or of memory used before, are written as they are: nobody sees them.
    fn with_padding<'a>(&self, job: &'a Job) -> Result<&'a [u8]> {
        job.raw()
            .get(..self.block_size)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a block without its bytes"))
    }

    /// Writes the ledger and segments, and flushes the file.
    fn flush_file(&self, file: &mut RecordFile) -> Result<()> {
        let (ticket, segments, rows) = {
            let mut state = self.state.lock();
            let ticket = match state.first_ready >= state.flush_behind {
                true => state.flush_asked,
                false => state.flush_done,
            };
            let written = state.stats.rows_written;
            let known = state.segments.partition_point(|(row, _)| *row < written);
            (ticket, state.segments.drain(..known).collect::<Vec<_>>(), written)
        };
        file.write_segments(&segments)?;
        let ledger = self.ledger();
        file.flush(&ledger, self.config.sync)?;
        let mut state = self.state.lock();
        state.stats.rows_flushed = rows;
        state.stats.flushes += 1;
        state.flush_done = state.flush_done.max(ticket);
        self.changed.notify_all();
        Ok(())
    }

    fn ledger(&self) -> Vec<(String, u64)> {
        // Not locked while it runs.
        let source = self.state.lock().ledger.take();
        let mut ledger = source.as_ref().map(|source| source()).unwrap_or_default();
        let mut state = self.state.lock();
        if state.ledger.is_none() {
            state.ledger = source;
        }
        let stats = &state.stats;
        let lost = if state.failed.is_some() { stats.rows_given - stats.rows_written } else { 0 };
        for (name, value) in
            [("rows_given", stats.rows_given), ("rows_written", stats.rows_written), ("rows_lost", lost)]
        {
            ledger.push((name.to_owned(), value));
        }
        ledger
    }
}
