//! A recorder that takes chunks from a ring: those of a receiver's stream, which get them back empty.
//!
//! A thread of its own takes them, until the ring is stopped and empty, the recorder fails, or it is to stop. Any thread may call any function.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::config::RecordConfig;
use super::recorder::{NotPut, Recorder};
use crate::chunk::ChunkRing;
use crate::error::{Error, Result};
use crate::ring::{GetError, Wait};
use crate::sys::signal;

/// How often the thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// See the module. Dropping it stops it.
pub struct RingRecorder {
    recorder: Arc<Recorder>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Deref for RingRecorder {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.recorder
    }
}

impl RingRecorder {
    /// Starts recording the chunks that `data` has and gets. They go to `free` when they are written, or are freed.
    ///
    /// # Errors
    /// As of [`Recorder::new`].
    pub fn start(
        mut config: RecordConfig,
        data: Arc<ChunkRing>,
        free: Option<Arc<ChunkRing>>,
    ) -> Result<Self> {
        if free.as_ref().is_some_and(|free| Arc::ptr_eq(free, &data)) {
            return Err(Error::invalid("data_ring and free_ring must be two rings"));
        }
        config.chunks = true;
        let recorder = Arc::new(Recorder::new(config, free)?);
        let stop = Arc::new(AtomicBool::new(false));
        let (ours, wish) = (recorder.clone(), stop.clone());
        let run = move || {
            signal::leave_to_other_threads();
            if catch_unwind(AssertUnwindSafe(|| take(&ours, &data, &wish))).is_err() {
                log::error!("recorder: taking chunks panicked");
            }
            ours.ask_to_stop();
        };
        let thread = std::thread::Builder::new().name("aqueduct-h5-take".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("recorder: starting a thread", &e))?;
        Ok(Self { recorder, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Records what is in the ring now, then ends; what comes later stays in it.
    ///
    /// # Errors
    /// What it has failed with.
    pub fn stop(&self) -> Result<()> {
        // Relaxed: it publishes nothing.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            // It catches what it does.
            let _ = thread.join();
        }
        self.recorder.stop()
    }
}

impl Drop for RingRecorder {
    fn drop(&mut self) {
        // The recorder tells what it failed with.
        let _ = self.stop();
    }
}

fn take(recorder: &Recorder, data: &ChunkRing, stop: &AtomicBool) {
    // What was there when it was to stop is recorded still.
    let mut left = usize::MAX;
    loop {
        if stop.load(Ordering::Relaxed) && left == usize::MAX {
            left = data.size();
        }
        if left == 0 {
            return;
        }
        // A chunk that nobody could record is better left where it is.
        if recorder.wait(Wait::No).is_some() {
            return;
        }
        let wait = if left == usize::MAX { Wait::For(LOOK) } else { Wait::No };
        let mut chunk = match data.get(wait) {
            Ok(chunk) => chunk,
            Err(GetError::Stopped) => return,
            Err(_) if left != usize::MAX => return,
            Err(_) => continue,
        };
        left = if left == usize::MAX { left } else { left - 1 };
        loop {
            match recorder.put_chunk(chunk, Wait::For(LOOK)) {
                Ok(()) => break,
                Err((back, NotPut::Full | NotPut::TimedOut)) => chunk = back,
                Err((back, NotPut::Failed(error))) => {
                    recorder.reject(back, &error);
                    break;
                }
            }
        }
    }
}
