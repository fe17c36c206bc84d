//! The recorder: a few threads that take chunks from one ring, write them, and put them on another.
//!
//! Any thread may call it. Its own threads, named `aqueduct-record`, share what is in `Shared` and end when the data ring is stopped and empty, or
//! when they are told to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::commit::{Commit, Done, Written, reason};
use super::config::{RecorderConfig, Report};
use super::data_file::{Scratch, bytes_of};
use super::format::ChunkRecord;
use super::index_file::OpenIndex;
use super::intake::{Intake, Places, Taken, Wish};
use super::stats::{FailReason, RecorderStats};
use crate::chunk::{Chunk, ChunkRing};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{PutError, Wait};
use crate::storage::Durability;
use crate::sys::{clock, signal};

/// How long a thread waits for space in the free ring before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Takes filled chunks from a ring, writes them to files, and puts them on the free ring. Dropping it ends it: what it has taken is written, what is in
/// the ring stays there.
pub struct Recorder {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ids: Vec<ThreadId>,
}

struct Shared {
    config: RecorderConfig,
    intake: Intake,
    places: Places,
    commit: Commit,
    free: Option<Arc<ChunkRing>>,
    wish: AtomicU8,
    /// Threads that have not ended. The last one closes the files.
    alive: AtomicUsize,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Recorder {
    /// A recorder of what comes from `data`. Chunks go to `free`, their flags cleared; without it they are freed. `report` is told of each.
    ///
    /// # Errors
    /// A setting is out of range; the first file cannot be created: it exists, its folder does not or cannot be written to, the disk is full.
    pub fn new(
        data: Arc<ChunkRing>,
        free: Option<Arc<ChunkRing>>,
        config: RecorderConfig,
        report: Option<Report>,
    ) -> Result<Self> {
        config.check()?;
        if free.as_ref().is_some_and(|free| Arc::ptr_eq(&data, free)) {
            return Err(Error::invalid("data_ring and free_ring must be two rings"));
        }
        let count = config.in_flight;
        let places = Places::new(&config, recording_number())?;
        let commit = Commit::new(report);
        if let Some(pair) = places.current() {
            commit.count(|stats| stats.direct = pair.is_direct());
            commit.begin(OpenIndex::new(pair));
        }
        let shared = Arc::new(Shared {
            intake: Intake::new(data),
            places,
            commit,
            free,
            wish: AtomicU8::new(Wish::Run as u8),
            alive: AtomicUsize::new(count),
            ended: Mutex::new(false),
            end: Condvar::new(),
            config,
        });
        let mut recorder = Self { shared, threads: Vec::new(), ids: Vec::new() };
        for _ in 0..count {
            let shared = recorder.shared.clone();
            let run = move || {
                signal::leave_to_other_threads();
                run(&shared);
            };
            match std::thread::Builder::new().name("aqueduct-record".into()).spawn(run) {
                Ok(thread) => {
                    recorder.ids.push(thread.thread().id());
                    recorder.threads.push(thread);
                }
                Err(e) => {
                    // Those that were to follow are as good as ended.
                    for _ in recorder.threads.len()..count {
                        recorder.shared.leave();
                    }
                    return Err(Error::io("chunk recorder: a thread to write with", &e));
                }
            }
        }
        Ok(recorder)
    }

    /// The ledger.
    pub fn stats(&self) -> RecorderStats {
        self.shared.commit.stats()
    }

    /// Whether it has ended, and what went wrong last, if nothing has gone well since then.
    pub fn status(&self) -> (bool, Option<Error>) {
        (*self.shared.ended.lock(), self.shared.commit.error())
    }

    /// Waits until it has ended, which it does by itself when the data ring is stopped and all that was in it is written. False: not in time.
    pub fn wait(&self, wait: Wait) -> Result<bool> {
        let must_not = wait != Wait::No && self.is_own_thread();
        if must_not {
            return Err(Error::state("chunk recorder: a function that it calls cannot wait for it"));
        }
        let until = match wait {
            Wait::No => Some(Instant::now()),
            Wait::For(duration) => Instant::now().checked_add(duration),
            Wait::Forever => None,
        };
        let mut ended = self.shared.ended.lock();
        while !*ended {
            match until {
                None => self.shared.end.wait(&mut ended),
                Some(until) if self.shared.end.wait_until(&mut ended, until).timed_out() => {
                    return Ok(*ended);
                }
                Some(_) => {}
            }
        }
        Ok(true)
    }

    /// Has it write what is in the data ring now, close the files, and end; and waits for that. False: not in time, it goes on with it.
    pub fn stop(&self, wait: Wait) -> Result<bool> {
        if self.is_own_thread() {
            return Err(Error::state("chunk recorder: a function that it calls cannot stop it"));
        }
        self.shared.want(Wish::Drain);
        self.wait(wait)
    }

    /// Whether this is one of its own threads, which cannot wait for itself.
    pub fn is_own_thread(&self) -> bool {
        self.ids.contains(&std::thread::current().id())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.want(Wish::Quit);
        let own = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != own) {
            // A panic was caught where it was.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn wish(&self) -> Wish {
        // Relaxed: it carries nothing else.
        match self.wish.load(Ordering::Relaxed) {
            wish if wish == Wish::Run as u8 => Wish::Run,
            wish if wish == Wish::Drain as u8 => Wish::Drain,
            _ => Wish::Quit,
        }
    }

    /// Wishes only become more urgent.
    fn want(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::Relaxed);
        self.intake.bell.ring();
    }

    /// One thread less. The last one closes the files.
    fn leave(&self) {
        // AcqRel: the last one sees all that the others have written.
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.commit.finish(&self.config);
            *self.ended.lock() = true;
            self.end.notify_all();
        }
    }

    /// Puts a chunk that is not needed any more on the free ring.
    fn give_back(&self, mut chunk: Box<Chunk>) {
        let freed = || self.commit.count(|stats| stats.freed += 1);
        let Some(free) = &self.free else { return freed() };
        chunk.present.zero();
        let mut waited = false;
        loop {
            // One that is to end does not wait: nobody may be there to make space.
            let wait = if self.wish() == Wish::Run { Wait::For(LOOK) } else { Wait::No };
            let first = if waited { wait } else { Wait::No };
            chunk = match free.put(chunk, first) {
                Ok(()) => return,
                Err(PutError::Stopped(_)) => return freed(),
                Err(PutError::Full(chunk) | PutError::TimedOut(chunk)) => chunk,
            };
            if !waited {
                waited = true;
                self.commit.count(|stats| stats.free_ring_full += 1);
            } else if wait == Wait::No {
                log::warn!("chunk recorder: a chunk is freed, as the free ring is full");
                return freed();
            }
        }
    }
}

fn run(shared: &Shared) {
    let mut scratch = Scratch::new();
    let Shared { config, intake, places, commit, .. } = shared;
    loop {
        let taken = intake.next(
            || shared.wish(),
            || commit.sync_if_due(config),
            |chunk| places.give(length_of(chunk), config),
            || {
                commit.count(|stats| {
                    stats.given += 1;
                    stats.in_flight += 1;
                });
            },
        );
        let Some(Taken { chunk, sequence, time, place }) = taken else { break };
        let (id, stream_id, data_size) = (chunk.id, chunk.stream_id, chunk.data.len() as u64);
        let write = || match place {
            Ok(place) => write(shared, &chunk, sequence, time, place, &mut scratch),
            Err(error) => Err((FailReason::NoFile, error)),
        };
        let result = catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
            Err((
                FailReason::Io,
                Error::new(ErrorKind::Internal, "chunk recorder: a panic while writing a chunk"),
            ))
        });
        // First, so that the stream has it again while the index is written.
        shared.give_back(chunk);
        commit.commit(Done { sequence, id, stream_id, data_size, result }, config);
        if let Durability::Interval(_) = config.durability {
            // Whoever waits for the next chunk has to know when the sync of this one is due.
            intake.bell.ring();
        }
    }
    // Another one may wait for a chunk, and did not hear why there is none.
    intake.bell.ring();
    shared.leave();
}

/// Bytes that a chunk takes in the data file.
fn length_of(chunk: &Chunk) -> u64 {
    let (data, present, extra) =
        (chunk.data.len() as u64, chunk.present.len() as u64, chunk.extra.len() as u64);
    ChunkRecord { data_size: data, present_size: present, extra_size: extra, ..ChunkRecord::default() }
        .length()
}

fn write(
    shared: &Shared,
    chunk: &Chunk,
    sequence: u64,
    time: u64,
    place: super::intake::Place,
    scratch: &mut Scratch,
) -> Result<Written, (FailReason, Error)> {
    let (present, extra, data) = bytes_of(chunk);
    let record = ChunkRecord {
        recording: place.pair.recording,
        file: place.pair.number as u32,
        sequence,
        offset: place.offset,
        id: chunk.id,
        stream_id: chunk.stream_id,
        time,
        data_size: data.len() as u64,
        present_size: present.len() as u64,
        extra_size: extra.len() as u64,
        complete_heaps: chunk.complete,
        data_sum: crc32c::crc32c(data),
        meta_sum: crc32c::crc32c_append(crc32c::crc32c(present), extra),
        ledger: shared.config.ledger.as_ref().map(|ledger| ledger()),
    };
    match place.pair.write_chunk(&record, chunk, scratch, shared.config.direct) {
        Ok(copied) => {
            let meta = [&record.encode()[..], present, extra].concat();
            Ok(Written { place, record, meta, copied })
        }
        Err((error, e)) => {
            shared.places.take_back(&place);
            Err((reason(&e), error))
        }
    }
}

/// A number that no other recording has.
fn recording_number() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(clock::now());
    hasher.write_u32(std::process::id());
    hasher.finish()
}
