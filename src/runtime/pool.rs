//! The thread pool: a fixed number of workers, over which tasks are spread in turn.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::task::{Task, TaskHandle};
use super::worker::{self, Worker, WorkerShared};
use crate::error::{Error, Result};
use crate::sys::{affinity, signal};

/// More threads than any machine has cores; a larger number is a mistake.
const MAX_THREADS: usize = 4096;

/// Worker threads for streams and background work. Dropping the pool stops it.
pub struct ThreadPool {
    workers: Vec<Arc<WorkerShared>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
}

impl ThreadPool {
    /// Starts `threads` workers. If `cores` is not empty, the i-th is bound to `cores[i % cores.len()]`.
    pub fn new(threads: usize, cores: &[usize]) -> Result<Self> {
        if threads == 0 || threads > MAX_THREADS {
            return Err(Error::invalid(format!(
                "threads must be between 1 and {MAX_THREADS} (got {threads})"
            )));
        }
        let mut pool = Self { workers: Vec::new(), threads: Mutex::default(), next: AtomicUsize::new(0) };
        for index in 0..threads {
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            // If one cannot be started, dropping `pool` stops the others.
            let (worker, thread) = start(index, core)?;
            pool.workers.push(worker);
            pool.threads.get_mut().push(thread);
        }
        Ok(pool)
    }

    /// How many workers there are.
    pub fn threads(&self) -> usize {
        self.workers.len()
    }

    /// Gives `task` to the next worker in turn, which runs it soon.
    pub fn spawn(&self, task: Box<dyn Task>) -> Result<TaskHandle> {
        // Relaxed: the turn is a matter of balance, not of order.
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        self.workers[turn].spawn(task).ok_or_else(|| Error::state("thread_pool: it has been stopped"))
    }

    /// True when called on one of the workers.
    pub fn is_current_thread(&self) -> bool {
        self.workers.iter().any(worker::is_current)
    }

    /// Runs every task a last time, so that it finishes, and waits for the workers to end. Does nothing the second time.
    pub fn stop(&self) -> Result<()> {
        if self.is_current_thread() {
            return Err(Error::state("thread_pool: cannot be stopped from one of its own callbacks"));
        }
        self.workers.iter().for_each(|worker| worker.stop());
        for thread in self.threads.lock().drain(..) {
            // A worker catches its tasks' panics; should it die all the same, there is nothing left to wait for.
            let _ = thread.join();
        }
        Ok(())
    }
}

fn start(index: usize, core: Option<usize>) -> Result<(Arc<WorkerShared>, JoinHandle<()>)> {
    let (worker, shared) = Worker::new().map_err(|e| Error::io("thread_pool: epoll_create", &e))?;
    let (report, pinned) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("aqueduct-{index}"))
        .spawn(move || {
            signal::leave_to_other_threads();
            let result = core.map_or(Ok(()), affinity::pin_current_thread);
            let failed = result.is_err();
            let _ = report.send(result);
            if !failed {
                worker.run();
            }
        })
        .map_err(|e| Error::io("thread_pool: starting a thread", &e))?;
    match (pinned.recv(), core) {
        (Ok(Err(error)), Some(core)) => {
            let _ = thread.join();
            Err(Error::new(
                crate::error::ErrorKind::Invalid,
                format!("cores: a thread cannot be bound to core {core}: {error}"),
            ))
        }
        _ => Ok((shared, thread)),
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if self.is_current_thread() {
            // The last handle went away inside a callback: the workers end by themselves, unwaited for.
            self.workers.iter().for_each(|worker| worker.stop());
        } else {
            let _ = self.stop();
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("threads", &self.workers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::runtime::{Context, Progress};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Reports each run, then does what it was told to.
    struct Probe(Sender<Vec<usize>>, Progress, Option<UnixStream>);

    impl Task for Probe {
        fn run(&mut self, context: &mut Context<'_>) -> Progress {
            if let Some(stream) = &mut self.2 {
                match context.ready() {
                    [] if context.is_stopping() => {}
                    [] => context.watch(stream.as_fd(), 3).unwrap(),
                    _ => stream.read_exact(&mut [0]).unwrap(),
                }
            }
            self.0.send(context.ready().to_vec()).unwrap();
            if context.is_stopping() { Progress::Done } else { self.1 }
        }
        fn panicked(&mut self, _: &Context<'_>) {
            self.0.send(vec![99]).unwrap();
        }
    }

    struct Panics(Sender<Vec<usize>>);

    impl Task for Panics {
        fn run(&mut self, _: &mut Context<'_>) -> Progress {
            panic!("on purpose");
        }
        fn panicked(&mut self, _: &Context<'_>) {
            self.0.send(vec![99]).unwrap();
        }
    }

    #[test]
    fn a_task_runs_when_spawned_woken_readable_and_stopped() {
        let pool = ThreadPool::new(1, &[]).unwrap();
        let (sender, runs) = channel();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let handle = pool.spawn(Box::new(Probe(sender, Progress::Wait, Some(theirs)))).unwrap();
        assert!(runs.recv().unwrap().is_empty());
        ours.write_all(&[1]).unwrap();
        assert_eq!(runs.recv().unwrap(), [3]);
        ours.write_all(&[1]).unwrap();
        assert_eq!(runs.recv().unwrap(), [3]);
        assert!(!handle.is_current_thread());
        pool.stop().unwrap();
        assert!(runs.recv().unwrap().is_empty());
        assert!(runs.recv().is_err(), "the task was dropped");
        handle.wake();
        let (sender, _runs) = channel();
        let refused = pool.spawn(Box::new(Probe(sender, Progress::Wait, None))).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::State);
    }

    #[test]
    fn a_panic_ends_its_task_only() {
        let pool = ThreadPool::new(1, &[]).unwrap();
        let (sender, runs) = channel();
        pool.spawn(Box::new(Panics(sender.clone()))).unwrap();
        assert_eq!(runs.recv().unwrap(), [99]);
        let handle = pool.spawn(Box::new(Probe(sender, Progress::Wait, None))).unwrap();
        assert!(runs.recv().unwrap().is_empty());
        handle.wake();
        assert!(runs.recv().unwrap().is_empty());
    }

    #[test]
    fn a_busy_task_does_not_starve_others() {
        let pool = ThreadPool::new(1, &[]).unwrap();
        let (busy, _busy_runs) = channel();
        pool.spawn(Box::new(Probe(busy, Progress::Again, None))).unwrap();
        let (sender, runs) = channel();
        let handle = pool.spawn(Box::new(Probe(sender, Progress::Wait, None))).unwrap();
        for _ in 0..10 {
            runs.recv().unwrap();
            handle.wake();
        }
    }

    #[test]
    fn a_resting_task_runs_again_by_itself_and_keeps_nobody_waiting() {
        let pool = ThreadPool::new(1, &[]).unwrap();
        let (resting, rested) = channel();
        let handle =
            pool.spawn(Box::new(Probe(resting, Progress::Rest(Duration::from_millis(1)), None))).unwrap();
        let (sender, runs) = channel();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        pool.spawn(Box::new(Probe(sender, Progress::Wait, Some(theirs)))).unwrap();
        assert!(runs.recv().unwrap().is_empty());
        for _ in 0..10 {
            assert!(rested.recv().unwrap().is_empty());
            ours.write_all(&[1]).unwrap();
            assert_eq!(runs.recv().unwrap(), [3]);
            handle.wake();
        }
        pool.stop().unwrap();
        // Nothing that was due keeps the worker, which has dropped its tasks.
        assert!(rested.iter().all(|ready| ready.is_empty()));
    }

    #[test]
    fn bad_arguments_are_named() {
        assert!(ThreadPool::new(0, &[]).unwrap_err().message().contains("threads must be between 1"));
        assert!(ThreadPool::new(1, &[100_000]).unwrap_err().message().contains("core 100000"));
    }
}
