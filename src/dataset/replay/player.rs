//! A replay: a thread that reads rows ahead and gives them away when they are due, until the last, or until it is told to stop.
//!
//! Any thread may call any function; starting and stopping take turns. Every start begins at the first row.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::pace::Stop;
use super::params::sample_rate;
use super::ring::RingTarget;
use super::stream::StreamTarget;
use crate::chunk::ChunkRing;
use crate::dataset::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::deadline::Deadline;
use crate::signal::node::state::State;
use crate::signal::shared::SharedOutput;
use crate::sys::signal;

/// How long a receiver that is slow is waited for before the thread looks whether it is to stop.
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// More threads than any machine has cores; a larger number is a mistake.
const MAX_THREADS: usize = 4096;

/// How a dataset is played.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayConfig {
    /// Rows per second; infinite: as fast as receivers take them; `None`: the recorded rate, the dataset's attribute `sample_rate`.
    pub rate: Option<f64>,
    /// The first row.
    pub first_row: u64,
    /// The row behind the last; `None`: all.
    pub end_row: Option<u64>,
    /// How often they are played; 0: until it is stopped.
    pub loops: u64,
    /// Rows of a chunk; `None`: of a stream those of 20 ms, at most a block of the dataset; in a ring a block of the dataset.
    pub chunk_rows: Option<u64>,
    /// Threads that read and unpack; 1 to 4096.
    pub threads: usize,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { rate: None, first_row: 0, end_row: None, loops: 1, chunk_rows: None, threads: 2 }
    }
}

/// What a replay has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayStats {
    /// Rows that were given away.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Chunks in which they were.
    pub chunks: u64,
    /// Times that the last row was reached.
    pub loops: u64,
    /// How late a chunk was at the most, since it was started.
    pub late: Duration,
}

/// A replay's settings, checked for a dataset.
pub(super) struct Plan {
    pub dataset: Arc<Dataset>,
    pub rows: Range<u64>,
    pub rate: f64,
    pub loops: u64,
    pub threads: usize,
    pub chunk_rows: Option<u64>,
}

impl Plan {
    /// Rows that are played in all.
    pub(super) fn total(&self) -> u64 {
        match self.loops {
            0 => u64::MAX,
            loops => loops.saturating_mul(self.rows.end - self.rows.start),
        }
    }
}

/// What the thread and others share.
pub(super) struct Shared {
    pub stop: Stop,
    life: Mutex<(State, ReplayStats)>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn count(&self, change: impl FnOnce(&mut ReplayStats)) {
        change(&mut self.life.lock().1);
    }
}

enum Target {
    Stream(StreamTarget),
    Ring(RingTarget),
}

/// See the module. Dropping it stops it.
pub struct Replay {
    plan: Arc<Plan>,
    target: Arc<Target>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Replay {
    /// A replay through an output, whose frames must be the dataset's rows; not started yet.
    ///
    /// # Errors
    /// `Invalid`: a setting breaks its rule, the dataset is empty, its rows are not the output's frames; or it has no recorded rate and none is given.
    pub fn to_stream(dataset: Arc<Dataset>, config: &ReplayConfig, output: SharedOutput) -> Result<Self> {
        let plan = plan(dataset, config)?;
        let target = StreamTarget::new(&plan, output)?;
        Ok(Self::new(plan, Target::Stream(target)))
    }

    /// A replay into a ring, of which it is one producer, by chunks of another; not started yet. Each chunk has a block of rows, with the number and the flags
    /// that were recorded with it, or else its number in the dataset and all flags set.
    ///
    /// # Errors
    /// As of [`to_stream`](Self::to_stream).
    pub fn to_ring(
        dataset: Arc<Dataset>,
        config: &ReplayConfig,
        data: Arc<ChunkRing>,
        free: Arc<ChunkRing>,
    ) -> Result<Self> {
        let plan = plan(dataset, config)?;
        let target = RingTarget::new(&plan, data, free)?;
        Ok(Self::new(plan, Target::Ring(target)))
    }

    fn new(plan: Plan, target: Target) -> Self {
        let shared = Shared { stop: Stop::default(), life: Mutex::default(), changed: Condvar::new() };
        Self {
            plan: Arc::new(plan),
            target: Arc::new(target),
            shared: Arc::new(shared),
            thread: Mutex::default(),
        }
    }

    /// What it is played through, if that is a stream.
    pub fn output(&self) -> Option<&SharedOutput> {
        match &*self.target {
            Target::Stream(target) => Some(target.output()),
            Target::Ring(_) => None,
        }
    }

    /// What is played.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.plan.dataset
    }

    /// Rows per second; infinite: as fast as can be.
    pub fn rate(&self) -> f64 {
        self.plan.rate
    }

    /// Starts playing, from the first row on.
    ///
    /// # Errors
    /// `State`: it plays already. `Io`: there is no thread.
    pub fn start(&self) -> Result<()> {
        let mut thread = self.thread.lock();
        if self.state() == State::Running {
            return Err(Error::state("replay: it plays already; stop it first"));
        }
        if let Some(ended) = thread.take() {
            // It catches what it does.
            let _ = ended.join();
        }
        self.shared.stop.set(false);
        {
            let mut life = self.shared.life.lock();
            life.0 = State::Running;
            life.1.late = Duration::ZERO;
        }
        let (plan, target, shared) = (self.plan.clone(), self.target.clone(), self.shared.clone());
        let run = move || {
            signal::leave_to_other_threads();
            let play = || match &*target {
                Target::Stream(target) => target.play(&plan, &shared),
                Target::Ring(target) => target.play(&plan, &shared),
            };
            let played = catch_unwind(AssertUnwindSafe(play));
            let internal = || Err(Error::new(ErrorKind::Internal, "replay: its thread panicked"));
            let state = match played.unwrap_or_else(|_| internal()) {
                Ok(true) => State::Ended,
                Ok(false) => State::Stopped,
                Err(error) => State::Failed(error),
            };
            shared.life.lock().0 = state;
            shared.changed.notify_all();
        };
        match std::thread::Builder::new().name("aqueduct-replay".into()).spawn(run) {
            Ok(started) => *thread = Some(started),
            Err(e) => {
                self.shared.life.lock().0 = State::Stopped;
                return Err(Error::io("replay: starting a thread", &e));
            }
        }
        Ok(())
    }

    /// Stops playing. Nothing happens if it does not.
    pub fn stop(&self) {
        self.shared.stop.set(true);
        if let Some(thread) = self.thread.lock().take() {
            // It catches what it does.
            let _ = thread.join();
        }
    }

    /// Waits until it does not play. `None`: it still does.
    pub fn wait(&self, wait: Wait) -> Option<State> {
        let deadline = Deadline::new(wait);
        let mut life = self.shared.life.lock();
        while life.0 == State::Running {
            match deadline.left() {
                Wait::No => return None,
                Wait::For(time) => drop(self.shared.changed.wait_for(&mut life, time)),
                Wait::Forever => self.shared.changed.wait(&mut life),
            }
        }
        Some(life.0.clone())
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.shared.life.lock().0.clone()
    }

    /// What it has done.
    pub fn stats(&self) -> ReplayStats {
        self.shared.life.lock().1
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop();
    }
}

fn plan(dataset: Arc<Dataset>, config: &ReplayConfig) -> Result<Plan> {
    if config.threads == 0 || config.threads > MAX_THREADS {
        let rule = format!("threads must be between 1 and {MAX_THREADS}");
        return Err(Error::invalid(format!("{rule} (got {})", config.threads)));
    }
    if config.chunk_rows == Some(0) {
        return Err(Error::invalid("chunk_rows must be at least 1 (got 0)"));
    }
    let (all, end) = (dataset.rows(), config.end_row.unwrap_or(dataset.rows()));
    if config.first_row >= end || end > all || dataset.is_empty() {
        let (first, name) = (config.first_row, dataset.name());
        let rule = format!("rows to be played must be some within 0 to {all} of dataset {name}");
        return Err(Error::invalid(format!("{rule} (got {first} to {end})")));
    }
    let rate = match config.rate {
        Some(rate) if rate > 0.0 => rate,
        Some(rate) => return Err(Error::invalid(format!("rate must be positive (got {rate})"))),
        None => sample_rate(&dataset)?.ok_or_else(|| {
            let name = dataset.name();
            Error::invalid(format!("rate must be given: dataset {name} has no attribute sample_rate"))
        })?,
    };
    let (loops, threads, chunk_rows) = (config.loops, config.threads, config.chunk_rows);
    Ok(Plan { dataset, rows: config.first_row..end, rate, loops, threads, chunk_rows })
}
