//! The queue of a stream: threads read blocks ahead, and any threads get them.
//!
//! As many blocks as `read_ahead` exist; each is free, being read, ready, or with a getter. One lock guards which is which, and is held for moments: no bytes are
//! read or copied under it. Invariant: each block of the plan that a thread has begun is delivered once, whole or as an error, also after a close.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::plan::{Plan, Turn};
use crate::dataset::dtype::DataType;
use crate::dataset::reader::{ReadStats, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer, MmapAllocator};
use crate::ring::{GetError, Wait};
use crate::sys::eventfd::EventFd;
use crate::sys::signal;

/// What blocks are read from, by one thread.
pub(super) trait Source: Send {
    fn read(&mut self, rows: Range<u64>, to: &mut [u8]) -> Result<()>;
    fn take_stats(&mut self) -> ReadStats;
}

impl Source for Reader {
    fn read(&mut self, rows: Range<u64>, to: &mut [u8]) -> Result<()> {
        Self::read(self, rows, to)
    }

    fn take_stats(&mut self) -> ReadStats {
        Self::take_stats(self)
    }
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks read, whole or not.
    pub blocks_done: u64,
    /// Blocks that are errors, of these.
    pub blocks_failed: u64,
    /// Rows of the blocks that are whole.
    pub rows_done: u64,
    /// Blocks that wait for a getter.
    pub blocks_ready: u64,
    /// What the readers have done.
    pub read: ReadStats,
}

/// What rows are made of.
#[derive(Debug, Clone)]
pub(super) struct RowForm {
    /// Bytes of a row.
    pub size: usize,
    /// Elements of a row along each axis.
    pub shape: Vec<u64>,
    /// What an element is.
    pub dtype: DataType,
    /// Rows of the dataset.
    pub rows: u64,
}

/// A block that was read.
struct Filled {
    turn: Turn,
    memory: Buffer,
    result: Result<()>,
}

struct State {
    plan: Plan,
    /// The plan has no more blocks.
    ended: bool,
    closed: bool,
    free: Vec<Buffer>,
    /// Blocks being read.
    working: usize,
    /// Blocks to be got. In order, the first is the next to be delivered, and `None` is one that is being read.
    ready: VecDeque<Option<Filled>>,
    /// The number of the first of them, in order.
    first_ready: u64,
    progress: Progress,
    /// Whether the descriptor, if there is one, is readable.
    raised: bool,
}

impl State {
    /// The next block to be delivered, if it is ready.
    fn take(&mut self) -> Option<Filled> {
        let filled = self.ready.front_mut()?.take()?;
        self.ready.pop_front();
        self.first_ready += 1;
        self.progress.blocks_ready -= 1;
        Some(filled)
    }

    /// A free block and what is to be read into it, if there are both.
    fn next(&mut self, ordered: bool) -> Option<(Turn, Buffer)> {
        if self.closed || self.ended {
            return None;
        }
        let memory = self.free.pop()?;
        let Some(turn) = self.plan.next() else {
            self.ended = true;
            self.free.push(memory);
            return None;
        };
        self.working += 1;
        if ordered {
            self.ready.push_back(None);
        }
        Some((turn, memory))
    }

    /// Nothing will come any more.
    fn is_over(&self) -> bool {
        (self.ended || self.closed) && self.working == 0 && self.ready.is_empty()
    }
}

pub(super) struct Shared {
    ordered: bool,
    form: RowForm,
    state: Mutex<State>,
    /// Readable while a get would not wait; made when it is asked for. Raised and lowered under the lock.
    level: OnceLock<EventFd>,
    /// There is a block to be got, or there will be none any more.
    filled: Condvar,
    /// There is a free block, or no more is wanted.
    freed: Condvar,
}

/// A stream of blocks. Dropping it closes it and waits for its threads; blocks that are out stay valid.
pub struct BlockQueue {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What a getter reads from that would have to wait; one at a time.
    helper: Mutex<Option<Box<dyn Source>>>,
    block_rows: u64,
}

impl BlockQueue {
    /// Starts a thread for each source; `read_ahead` blocks of `plan.block()` rows.
    pub(super) fn start(
        plan: Plan,
        form: impl Into<RowForm>,
        ordered: bool,
        read_ahead: usize,
        sources: Vec<Box<dyn Source>>,
    ) -> Result<Self> {
        let form = form.into();
        let row_size = form.size;
        let block_rows = plan.block();
        let size = block_rows.checked_mul(row_size as u64).and_then(|size| usize::try_from(size).ok());
        let no_memory = || {
            let message =
                format!("cannot allocate {read_ahead} blocks of {block_rows} rows of {row_size} bytes");
            Error::new(ErrorKind::NoMemory, message)
        };
        let size = size.filter(|size| size.checked_mul(read_ahead).is_some()).ok_or_else(no_memory)?;
        // Not touched before it is written: a file that lies about its sizes costs nothing.
        let free = (0..read_ahead).map(|_| MmapAllocator::default().allocate(size, None));
        let free = free.collect::<Result<Vec<_>>>().map_err(|_| no_memory())?;
        let state = State {
            plan,
            ended: false,
            closed: false,
            free,
            working: 0,
            ready: VecDeque::with_capacity(read_ahead),
            first_ready: 0,
            progress: Progress::default(),
            raised: false,
        };
        let shared = Arc::new(Shared {
            ordered,
            form,
            state: Mutex::new(state),
            level: OnceLock::new(),
            filled: Condvar::new(),
            freed: Condvar::new(),
        });
        // If a thread cannot be started, dropping it ends the others.
        let queue = Self { shared, threads: Mutex::default(), helper: Mutex::default(), block_rows };
        for (index, mut source) in sources.into_iter().enumerate() {
            let shared = queue.shared.clone();
            let thread = std::thread::Builder::new().name(format!("aqueduct-h5-{index}"));
            let thread = thread.spawn(move || {
                signal::leave_to_other_threads();
                shared.work(&mut *source);
            });
            queue
                .threads
                .lock()
                .push(thread.map_err(|e| Error::io("dataset stream: starting a thread", &e))?);
        }
        Ok(queue)
    }

    /// Gives getters that may wait without end a source of their own: they read a block themselves rather than sleep. Where getters are faster than the
    /// threads, and there are as many of these as cores, waking one for each block costs as much as reading it.
    #[must_use]
    pub(super) fn with_helper(mut self, source: Box<dyn Source>) -> Self {
        *self.helper.get_mut() = Some(source);
        self
    }

    /// Rows of each block but a remainder.
    pub fn block_rows(&self) -> u64 {
        self.block_rows
    }

    /// Rows of the dataset.
    pub fn dataset_rows(&self) -> u64 {
        self.shared.form.rows
    }

    /// What an element of its blocks is.
    pub fn dtype(&self) -> &DataType {
        &self.shared.form.dtype
    }

    /// A descriptor that is readable while [`get`](Self::get) would not answer [`GetError::Empty`]. Only to be polled.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn data_fd(&self) -> io::Result<BorrowedFd<'_>> {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        if shared.level.get().is_none() {
            let level = EventFd::new()?;
            shared.level.get_or_init(|| level);
        }
        shared.settle(&mut state);
        shared.level.get().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes the next block, waiting for it as long as `wait` allows. Any threads may do so; each block is got once.
    ///
    /// # Errors
    /// [`GetError::Stopped`]: the dataset is at its end, or the stream is closed, and all blocks that were begun have been got.
    pub fn get(&self, wait: Wait) -> Result<Block, GetError> {
        let shared = &self.shared;
        let deadline = match wait {
            Wait::For(time) => Instant::now().checked_add(time),
            Wait::No | Wait::Forever => None,
        };
        let mut state = shared.state.lock();
        let mut timed_out = false;
        loop {
            if let Some(Filled { turn, memory, result }) = state.take() {
                if state.is_over() {
                    // Others may be waiting for more.
                    shared.filled.notify_all();
                }
                shared.settle(&mut state);
                return Ok(Block { shared: shared.clone(), turn, memory: Some(memory), result });
            }
            if state.is_over() {
                return Err(GetError::Stopped);
            }
            if wait == Wait::Forever
                && let Some(mut helper) = self.helper.try_lock()
                && let Some(source) = &mut *helper
            {
                if let Some((turn, memory)) = state.next(shared.ordered) {
                    drop(state);
                    shared.read(&mut **source, turn, memory);
                    state = shared.state.lock();
                    continue;
                }
                if state.ended && state.working == 0 {
                    shared.tell_end(&mut state);
                    continue;
                }
            }
            match (wait, deadline) {
                (Wait::No, _) => return Err(GetError::Empty),
                _ if timed_out => return Err(GetError::TimedOut),
                (_, Some(deadline)) => {
                    timed_out = shared.filled.wait_until(&mut state, deadline).timed_out();
                }
                _ => shared.filled.wait(&mut state),
            }
        }
    }

    /// Has no more blocks begun. Those that were are delivered still, then getters are told that the stream is stopped.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.settle(&mut state);
        drop(state);
        self.shared.freed.notify_all();
        self.shared.filled.notify_all();
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.shared.state.lock().progress
    }
}

impl Drop for BlockQueue {
    fn drop(&mut self) {
        self.close();
        for thread in self.threads.get_mut().drain(..) {
            // A thread catches what its source does.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for BlockQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockQueue").field("block_rows", &self.block_rows).finish_non_exhaustive()
    }
}

impl Shared {
    /// Makes the descriptor, if there is one, show whether a get would not wait.
    fn settle(&self, state: &mut State) {
        let Some(level) = self.level.get() else { return };
        let ready = state.is_over() || matches!(state.ready.front(), Some(Some(_)));
        if ready && !state.raised {
            level.raise();
        } else if !ready && state.raised {
            level.lower();
        }
        state.raised = ready;
    }

    /// Reads blocks until there are no more.
    fn work(&self, source: &mut dyn Source) {
        while let Some((turn, memory)) = self.begin() {
            self.read(source, turn, memory);
        }
    }

    /// Reads a block that was begun, without the lock.
    fn read(&self, source: &mut dyn Source, turn: Turn, memory: Buffer) {
        let size = (turn.rows + turn.wrapped) as usize * self.form.size;
        // SAFETY: the memory is ours until the block is ready, has the bytes of a whole block, and was zeroed by the system.
        let to = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.len().min(size)) };
        let read = catch_unwind(AssertUnwindSafe(|| {
            let (rows, wrapped) = to.split_at_mut(turn.rows as usize * self.form.size);
            source.read(turn.first_row..turn.first_row + turn.rows, rows)?;
            if turn.wrapped > 0 { source.read(0..turn.wrapped, wrapped) } else { Ok(()) }
        }));
        let result = read.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "reading a block panicked; the stream goes on"))
        });
        let stats = source.take_stats();
        self.finish(Filled { turn, memory, result }, &stats);
    }

    /// The plan has no more blocks: nobody is to wait for one.
    fn tell_end(&self, state: &mut State) {
        self.settle(state);
        self.freed.notify_all();
        self.filled.notify_all();
    }

    /// Waits for a free block, and takes the next of the plan. `None`: no more.
    fn begin(&self) -> Option<(Turn, Buffer)> {
        let mut state = self.state.lock();
        loop {
            if state.closed || state.ended {
                return None;
            }
            if let Some(begun) = state.next(self.ordered) {
                return Some(begun);
            }
            if state.ended {
                self.tell_end(&mut state);
                return None;
            }
            self.freed.wait(&mut state);
        }
    }

    fn finish(&self, filled: Filled, stats: &ReadStats) {
        let mut state = self.state.lock();
        let progress = &mut state.progress;
        progress.read.add(stats);
        progress.blocks_done += 1;
        progress.blocks_ready += 1;
        match &filled.result {
            Ok(()) => progress.rows_done += filled.turn.rows + filled.turn.wrapped,
            Err(_) => progress.blocks_failed += 1,
        }
        state.working -= 1;
        if self.ordered {
            let place = (filled.turn.number - state.first_ready) as usize;
            state.ready[place] = Some(filled);
        } else {
            state.ready.push_back(Some(filled));
        }
        self.settle(&mut state);
        self.filled.notify_all();
    }
}

/// A block of rows, lent by its stream: dropping it, in any thread, gives the memory back to be filled again.
pub struct Block {
    shared: Arc<Shared>,
    turn: Turn,
    memory: Option<Buffer>,
    result: Result<()>,
}

// SAFETY: by reference a block can only be looked at, and nobody writes its memory while it lives.
unsafe impl Sync for Block {}

impl Block {
    /// Its rows, one behind the other; an error if they could not be read.
    pub fn data(&self) -> Result<&[u8]> {
        self.result.clone()?;
        // SAFETY: the memory was written, or zeroed by the system, and nobody writes it while the block lives.
        let bytes = self.memory.as_ref().map_or(&[][..], |memory| unsafe { memory.as_slice() });
        Ok(&bytes[..(self.rows() as usize * self.shared.form.size).min(bytes.len())])
    }

    /// Blocks that come before it in the order of the dataset.
    pub fn number(&self) -> u64 {
        self.turn.number
    }

    /// The number of its first row in the dataset. A block of a cyclic stream may go on at row 0 behind the last.
    pub fn first_row(&self) -> u64 {
        self.turn.first_row
    }

    /// The number in the dataset of its row `index`.
    pub fn row_number(&self, index: u64) -> u64 {
        if index < self.turn.rows { self.turn.first_row + index } else { index - self.turn.rows }
    }

    /// Elements along each axis, its rows first.
    pub fn shape(&self) -> Vec<u64> {
        [&[self.rows()], &*self.shared.form.shape].concat()
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.turn.rows + self.turn.wrapped
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.shared.state.lock().free.push(memory);
            self.shared.freed.notify_one();
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("turn", &self.turn)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}
