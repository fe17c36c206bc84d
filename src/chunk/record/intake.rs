//! Chunks come in: one thread at a time waits for the next one, and gives it its number and its place in a file.
//!
//! Invariant: places of different chunks do not overlap, and files are begun one after the other, so that a chunk's file is never of a lower number
//! than that of a chunk before it.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::config::RecorderConfig;
use super::data_file::FilePair;
use super::format::FileHeader;
use crate::chunk::{Chunk, ChunkRing};
use crate::error::{Error, Result};
use crate::ring::GetError;
use crate::storage::Name;
use crate::sys::clock;

/// Names that are tried, where files of other runs have taken them.
const MOST_TAKEN: u64 = 100_000;

/// Wakes the thread that waits for a chunk: there may be one, or it is to look what it is told.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock() = true;
        self.heard.notify_all();
    }

    /// Waits until it was rung since the last time, or `until`.
    fn wait(&self, until: Option<Instant>) {
        let mut rung = self.rung.lock();
        while !*rung {
            match until {
                None => self.heard.wait(&mut rung),
                Some(until) if self.heard.wait_until(&mut rung, until).timed_out() => return,
                Some(_) => {}
            }
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// What the recorder wants of those who wait for chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Take what comes.
    Run,
    /// Take what is in the ring, and no more.
    Drain,
    /// Take nothing.
    Quit,
}

/// A chunk with its number and its place.
pub(super) struct Taken {
    pub(super) chunk: Box<Chunk>,
    pub(super) sequence: u64,
    pub(super) time: u64,
    /// Or why there is no file for it.
    pub(super) place: Result<Place>,
}

/// Where a chunk goes.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) pair: Arc<FilePair>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The way in.
pub(super) struct Intake {
    ring: Arc<ChunkRing>,
    pub(super) bell: Arc<Bell>,
    waker: Waker,
    turn: Mutex<Turn>,
}

/// What the thread has whose turn it is.
struct Turn {
    next: u64,
    /// How many more to take, once it was said that the ring is to be drained.
    left: Option<usize>,
}

/// Where the next chunk goes. Apart from the turn, which is held while waiting.
pub(super) struct Places {
    state: Mutex<PlaceState>,
    recording: u64,
}

struct PlaceState {
    name: Name,
    /// Of the current file, or of the next if there is none.
    number: u64,
    current: Option<(Arc<FilePair>, u64)>,
}

impl Intake {
    pub(super) fn new(ring: Arc<ChunkRing>) -> Self {
        let bell = Arc::<Bell>::default();
        Self { ring, waker: bell.clone().into(), bell, turn: Mutex::new(Turn { next: 0, left: None }) }
    }

    /// Waits for the next chunk; `None` when there will be none. Every time before it waits it asks `idle` until when, and `wish` what to do.
    pub(super) fn next(
        &self,
        wish: impl Fn() -> Wish,
        idle: impl Fn() -> Option<Instant>,
        place: impl FnOnce(&Chunk) -> Result<Place>,
        taken: impl FnOnce(),
    ) -> Option<Taken> {
        let mut turn = self.turn.lock();
        loop {
            let wish = wish();
            if wish == Wish::Quit {
                return None;
            }
            if wish == Wish::Drain {
                let left = *turn.left.get_or_insert_with(|| self.ring.size());
                turn.left = Some(left.checked_sub(1)?);
            }
            match self.ring.get_or_wake(&self.waker) {
                Ok(chunk) => {
                    let sequence = turn.next;
                    turn.next += 1;
                    taken();
                    let place = place(&chunk);
                    return Some(Taken { chunk, sequence, time: clock::now(), place });
                }
                Err(GetError::Stopped) => return None,
                Err(GetError::Empty | GetError::TimedOut) if wish == Wish::Drain => return None,
                Err(GetError::Empty | GetError::TimedOut) => self.bell.wait(idle()),
            }
        }
    }
}

impl Places {
    /// With the first file, so that what is wrong with it is known at once.
    pub(super) fn new(config: &RecorderConfig, recording: u64) -> Result<Self> {
        let name = match config.rotate_bytes {
            0 => Name::literal(&config.path),
            _ => Name::pattern(&config.path)?,
        };
        let mut state = PlaceState { name, number: 0, current: None };
        state.open(config, recording)?;
        Ok(Self { state: Mutex::new(state), recording })
    }

    /// The current file.
    pub(super) fn current(&self) -> Option<Arc<FilePair>> {
        self.state.lock().current.as_ref().map(|(pair, _)| pair.clone())
    }

    /// A place for `length` bytes.
    pub(super) fn give(&self, length: u64, config: &RecorderConfig) -> Result<Place> {
        let mut state = self.state.lock();
        let full = |(pair, next): &(Arc<FilePair>, u64)| {
            config.rotate_bytes > 0 && *next >= config.rotate_bytes && *next > pair.data_start
        };
        if state.current.as_ref().is_some_and(full) {
            state.current = None;
            state.number += 1;
        }
        if state.current.is_none() {
            state.open(config, self.recording)?;
        }
        let Some((pair, next)) = &mut state.current else {
            return Err(Error::state("chunk recorder: no file is open"));
        };
        let offset = *next;
        *next = next.saturating_add(length);
        Ok(Place { pair: pair.clone(), offset, length })
    }

    /// Takes back a place of which nothing came, if no other was given since then.
    pub(super) fn take_back(&self, place: &Place) {
        if let Some((pair, next)) = &mut self.state.lock().current
            && Arc::ptr_eq(pair, &place.pair)
            && *next == place.offset.saturating_add(place.length)
        {
            *next = place.offset;
        }
    }
}

impl PlaceState {
    fn open(&mut self, config: &RecorderConfig, recording: u64) -> Result<()> {
        let is_first = self.number == 0;
        for _ in 0..MOST_TAKEN {
            let path = self.name.of(self.number);
            let (created, user) = (clock::now(), config.header.clone());
            let header = FileHeader { recording, number: self.number, created, user };
            match FilePair::create(&path, &header, config)? {
                Some(pair) => {
                    let start = pair.data_start;
                    self.current = Some((Arc::new(pair), start));
                    return Ok(());
                }
                // A file of another run. The first one is a mistake; later ones must not stop the data.
                None if !is_first && self.name.is_pattern() => {
                    log::warn!("chunk recorder: {} exists already and is left alone", path.display());
                    self.number += 1;
                }
                None => {
                    let index = super::data_file::index_path(&path);
                    let found = if path.exists() { &path } else { &index };
                    let reason = io::ErrorKind::AlreadyExists.into();
                    return Err(super::data_file::failed(found, "creating it", &reason));
                }
            }
        }
        Err(Error::state(format!("chunk recorder {}: too many files exist already", config.path.display())))
    }
}
