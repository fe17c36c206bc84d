//! Within the process: each input has a ring of chunks that share the memory with the output's. Nothing is copied, and there is no ZeroMQ.
//!
//! Inputs join and leave at any time. One that joins sees the chunks published from then on; one that leaves is forgotten at the next chunk, or when
//! somebody waits for it. The publisher is used by one thread, each subscriber by one; all may be different ones. Invariant: of the chunks published
//! since it joined, an input gets each once and in order, or its frames are in `dropped`.
//!
//! An output is found by its name, in a table of the process that holds it by a weak reference: it lives as long as its publisher, and what was
//! published may still be received afterwards.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::name::unique_name;
use super::{InputInfo, InputList, NoChunk, Published, Publisher, Subscriber};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{GetError, Overflow, PutError, Ring, Wait};
use crate::signal::chunk::Chunk;
use crate::signal::deadline::Deadline;
use crate::signal::params::{Params, Protocol};

/// The outputs of this process.
static OUTPUTS: LazyLock<Mutex<HashMap<String, Weak<Hub>>>> = LazyLock::new(Mutex::default);

/// Inputs of an output at the most.
const MOST_INPUTS: usize = 4096;

/// What the publisher and those who look it up share.
#[derive(Debug)]
struct Hub {
    name: String,
    capacity: usize,
    inputs: Mutex<Vec<Arc<Input>>>,
    /// Counts the changes of `inputs`; added to under its lock. A publisher that sees another count than before copies the list.
    changes: AtomicUsize,
    next_id: AtomicU64,
    /// The publisher is gone; set under the lock of `inputs`.
    closed: AtomicBool,
}

/// One input, as both sides see it.
#[derive(Debug)]
struct Input {
    id: u64,
    /// Stopped by whichever side goes first.
    ring: Ring<Chunk>,
    /// Frames of chunks that were put into the ring. Stored by the publisher; on a cache line apart from what the subscriber stores.
    put: CachePadded<AtomicU64>,
    /// Frames of chunks that were taken out of it: by the subscriber, or by the publisher to drop them.
    taken: CachePadded<AtomicU64>,
    /// Frames dropped for this input. Stored by the publisher.
    dropped: AtomicU64,
    /// The subscriber is gone. Stored by it.
    gone: AtomicBool,
}

impl Hub {
    fn subscribe(&self) -> Result<InprocSubscriber> {
        let mut inputs = self.inputs.lock();
        inputs.retain(|input| !input.gone.load(Ordering::Relaxed));
        // Relaxed: under the lock.
        if self.closed.load(Ordering::Relaxed) {
            return Err(not_found(&self.name));
        }
        if inputs.len() >= MOST_INPUTS {
            let reason = format!("inproc stream {}: an output has at most {MOST_INPUTS} inputs", self.name);
            return Err(Error::state(reason));
        }
        let input = Arc::new(Input {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            ring: Ring::new(self.capacity)?,
            put: CachePadded::default(),
            taken: CachePadded::default(),
            dropped: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        });
        inputs.push(input.clone());
        // Release, for the Acquire in `refresh`; the list itself is read under the lock.
        self.changes.fetch_add(1, Ordering::Release);
        Ok(InprocSubscriber { input })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        OUTPUTS.lock().remove(&self.name);
    }
}

impl Input {
    /// Puts a chunk; true if it is in the ring, or the input is gone and wants none.
    #[expect(clippy::result_large_err, reason = "a refused chunk goes back to the caller")]
    fn put(&self, chunk: Chunk, wait: Wait) -> Result<bool, PutError<Chunk>> {
        // Relaxed, and no read-modify-write: this thread is the only one that stores it. Before the put, so that `taken` is never ahead.
        let before = self.put.load(Ordering::Relaxed);
        self.put.store(before + chunk.frames() as u64, Ordering::Relaxed);
        let result = self.ring.put(chunk, wait);
        if result.is_err() {
            self.put.store(before, Ordering::Relaxed);
        }
        match result {
            Ok(()) => Ok(true),
            Err(PutError::Stopped(_)) => Ok(false),
            Err(full) => Err(full),
        }
    }

    fn take(&self, wait: Wait) -> Result<Chunk, GetError> {
        let chunk = self.ring.get(wait)?;
        self.taken.fetch_add(chunk.frames() as u64, Ordering::Relaxed);
        Ok(chunk)
    }

    /// Frames in the ring.
    fn lag_frames(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        self.put.load(Ordering::Relaxed).saturating_sub(taken)
    }

    fn drop_frames(&self, chunk: &Chunk) -> u64 {
        let frames = chunk.frames() as u64;
        // Relaxed: a count, stored by this thread only.
        self.dropped.fetch_add(frames, Ordering::Relaxed);
        frames
    }
}

/// The output's end. When it is dropped, the inputs receive what they have not received yet, and then [`NoChunk::Ended`].
#[derive(Debug)]
pub struct InprocPublisher {
    hub: Arc<Hub>,
    overflow: Overflow,
    /// A copy of the hub's list, as of so many changes.
    inputs: Vec<Arc<Input>>,
    changes: usize,
    /// A chunk that timed out: what it was, and which inputs have got it.
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    index: u64,
    frames: usize,
    done: Vec<u64>,
}

impl InprocPublisher {
    /// An output whose inputs hold at most `capacity` chunks each (1 to 65536), and what happens when an input is full.
    pub fn new(capacity: usize, overflow: Overflow) -> Result<Self> {
        if !(1..=1 << 16).contains(&capacity) {
            return Err(Error::invalid(format!("capacity must be 1 to 65536 chunks (got {capacity})")));
        }
        let hub = Arc::new(Hub {
            name: unique_name(),
            capacity,
            inputs: Mutex::default(),
            changes: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        OUTPUTS.lock().insert(hub.name.clone(), Arc::downgrade(&hub));
        Ok(Self { hub, overflow, inputs: Vec::new(), changes: 0, unfinished: None })
    }

    /// The name by which [`InprocSubscriber::connect`] finds it.
    pub fn name(&self) -> &str {
        &self.hub.name
    }

    /// The inputs.
    pub fn inputs(&self) -> Vec<InputInfo> {
        self.hub.inputs()
    }

    /// A new input. It gets what is published from now on.
    pub fn subscribe(&self) -> Result<InprocSubscriber> {
        self.hub.subscribe()
    }

    /// Brings the copy of the list up to date.
    fn refresh(&mut self) {
        // Acquire, for the Release in `subscribe`: whoever was told that an input is there before this call is found here.
        let changes = self.hub.changes.load(Ordering::Acquire);
        let gone = |input: &Arc<Input>| input.gone.load(Ordering::Relaxed);
        if changes != self.changes || self.inputs.iter().any(gone) {
            let mut inputs = self.hub.inputs.lock();
            inputs.retain(|input| !gone(input));
            self.inputs.clone_from(&inputs);
            // Under the lock, so it belongs to this list. Relaxed for the same reason.
            self.changes = self.hub.changes.load(Ordering::Relaxed);
        }
    }

    /// Waits for those that are full.
    fn publish_to_all(&mut self, chunk: &Chunk, wait: Wait) -> Published {
        let (index, frames) = (chunk.index, chunk.frames());
        let before = self.unfinished.take().filter(|before| (before.index, before.frames) == (index, frames));
        let mut published = Published::default();
        let mut full: Vec<(&Arc<Input>, Chunk)> = Vec::new();
        // Those that have space first: one that is slow does not keep the others from it.
        for input in &self.inputs {
            if before.as_ref().is_some_and(|before| before.done.contains(&input.id)) {
                published.inputs += 1;
                continue;
            }
            match input.put(chunk.clone(), Wait::No) {
                Ok(got) => published.inputs += u64::from(got),
                Err(refused) => full.push((input, refused.into_inner())),
            }
        }
        if full.is_empty() {
            return published;
        }
        let deadline = Deadline::new(wait);
        let mut without = Vec::new();
        for (input, chunk) in full {
            match input.put(chunk, deadline.left()) {
                Ok(got) => published.inputs += u64::from(got),
                Err(_) => without.push(input.id),
            }
        }
        if !without.is_empty() {
            published.timed_out = true;
            let done = self.inputs.iter().map(|input| input.id).filter(|id| !without.contains(id)).collect();
            self.unfinished = Some(Unfinished { index, frames, done });
        }
        published
    }

    /// Drops this chunk for those that are full, or their oldest ones.
    fn publish_dropping(&mut self, chunk: &Chunk) -> Published {
        let mut published = Published::default();
        for input in &self.inputs {
            let mut chunk = chunk.clone();
            loop {
                match input.put(chunk, Wait::No) {
                    Ok(got) => {
                        published.inputs += u64::from(got);
                        break;
                    }
                    Err(refused) => chunk = refused.into_inner(),
                }
                if self.overflow == Overflow::DropNewest {
                    published.dropped_frames += input.drop_frames(&chunk);
                    break;
                }
                // The input may take it just now; then there is space.
                if let Ok(oldest) = input.take(Wait::No) {
                    published.dropped_frames += input.drop_frames(&oldest);
                }
            }
        }
        published
    }
}

impl Publisher for InprocPublisher {
    /// Gives a chunk to all inputs: a reference to the same memory. An input that joins while a chunk is waited for gets it when it is published again,
    /// or else not.
    fn publish(&mut self, chunk: &Chunk, wait: Wait) -> Result<Published> {
        super::check_chunk(chunk)?;
        self.refresh();
        Ok(match self.overflow {
            Overflow::Block => self.publish_to_all(chunk, wait),
            Overflow::DropNewest | Overflow::DropOldest => self.publish_dropping(chunk),
        })
    }

    fn describe(&self, params: &mut Params) {
        params.protocol = Protocol::Inproc;
        params.interface.clone_from(&self.hub.name);
    }

    fn input_count(&mut self) -> Result<u64> {
        let inputs = self.hub.inputs.lock();
        Ok(inputs.iter().filter(|input| !input.gone.load(Ordering::Relaxed)).count() as u64)
    }

    fn input_list(&self) -> Option<Arc<dyn InputList>> {
        Some(self.hub.clone())
    }
}

impl InputList for Hub {
    fn inputs(&self) -> Vec<InputInfo> {
        let inputs = self.inputs.lock();
        let present = inputs.iter().filter(|input| !input.gone.load(Ordering::Relaxed));
        present
            .map(|input| InputInfo {
                id: input.id,
                lag_chunks: input.ring.size() as u64,
                lag_frames: input.lag_frames(),
                dropped_frames: input.dropped.load(Ordering::Relaxed),
            })
            .collect()
    }
}

impl Drop for InprocPublisher {
    fn drop(&mut self) {
        let inputs = {
            let mut inputs = self.hub.inputs.lock();
            self.hub.closed.store(true, Ordering::Relaxed);
            std::mem::take(&mut *inputs)
        };
        OUTPUTS.lock().remove(&self.hub.name);
        // Without the lock: stopping wakes others.
        for input in inputs {
            input.ring.stop();
        }
    }
}

/// The input's end.
#[derive(Debug)]
pub struct InprocSubscriber {
    input: Arc<Input>,
}

impl InprocSubscriber {
    /// A new input of the output of that name; it gets what is published from now on.
    ///
    /// # Errors
    /// `NotFound`: this process has no such output.
    pub fn connect(name: &str) -> Result<Self> {
        let hub = OUTPUTS.lock().get(name).and_then(Weak::upgrade);
        hub.ok_or_else(|| not_found(name))?.subscribe()
    }

    /// Frames that were dropped because this input was too slow.
    pub fn dropped_frames(&self) -> u64 {
        self.input.dropped.load(Ordering::Relaxed)
    }
}

fn not_found(name: &str) -> Error {
    let reason = format!("inproc stream {name:?}: this process has no output of that name, or no longer");
    Error::new(ErrorKind::NotFound, reason)
}

impl Subscriber for InprocSubscriber {
    fn receive(&mut self, wait: Wait) -> Result<Chunk, NoChunk> {
        self.input.take(wait).map_err(|reason| match reason {
            GetError::Empty => NoChunk::Empty,
            GetError::TimedOut => NoChunk::TimedOut,
            GetError::Stopped => NoChunk::Ended,
        })
    }

    /// Readable, level-triggered, while `receive` would not wait.
    fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.input.ring.data_fd().map_err(|e| Error::io("eventfd", &e))
    }
}

impl Drop for InprocSubscriber {
    fn drop(&mut self) {
        // Relaxed: who sees it late puts one more chunk into a ring that refuses it.
        self.input.gone.store(true, Ordering::Relaxed);
        self.input.ring.stop();
        // Nobody will: the memory is not kept until the output notices.
        while self.input.take(Wait::No).is_ok() {}
    }
}

#[cfg(test)]
#[path = "inproc_tests.rs"]
mod tests;
