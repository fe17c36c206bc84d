//! A pool of memory: buffers of one size that are used again instead of going back to the system.
//!
//! Large allocations are expensive not to make but to touch: every page of new memory is a page fault. A buffer that comes back is
//! kept, and given out again first, as it is the likeliest to be in a cache.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Allocator, Buffer};
use crate::error::{Error, Result};
use crate::log::Limited;
use crate::runtime::{Context, Progress, Task, TaskHandle, ThreadPool};

/// What a pool holds, and for which sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Smaller allocations go to the base allocator.
    pub lower: usize,
    /// Larger allocations go to the base allocator; all of the pool's buffers are of this size.
    pub upper: usize,
    /// The most buffers that are kept while nobody uses them; others are released when they come back.
    pub max_free: usize,
    /// Buffers in the pool at the beginning, and after each refill.
    pub initial: usize,
    /// A refill begins when fewer buffers are left; 0 for no refills.
    pub low_water: usize,
    /// Log a warning when a buffer is wanted and the pool has none.
    pub warn_on_empty: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { lower: 1, upper: 1, max_free: 0, initial: 0, low_water: 0, warn_on_empty: true }
    }
}

impl PoolConfig {
    fn check(&self, has_threads: bool) -> Result<()> {
        let Self { lower, upper, max_free, initial, low_water, .. } = *self;
        let wrong = if upper == 0 || upper > isize::MAX as usize {
            format!("upper must be between 1 and {} (got {upper})", isize::MAX)
        } else if lower > upper {
            format!("lower must be at most upper (got {lower} and {upper})")
        } else if max_free == 0 {
            "max_free must be at least 1 (got 0)".to_owned()
        } else if initial > max_free {
            format!("initial must be at most max_free (got {initial} and {max_free})")
        } else if low_water > initial {
            format!("low_water must be at most initial (got {low_water} and {initial})")
        } else if low_water > 0 && !has_threads {
            format!("low_water must be 0 without a thread pool that refills (got {low_water})")
        } else {
            return Ok(());
        };
        Err(Error::invalid(wrong))
    }
}

/// What became of a pool's buffers up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Buffers in the pool.
    pub available: u64,
    /// Buffers in use, of the pool's size.
    pub in_use: u64,
    /// Allocations that got a buffer of the pool.
    pub reused: u64,
    /// Allocations for which the pool had none, and the base allocator gave a new one.
    pub empty: u64,
    /// Allocations of a size that the pool does not handle.
    pub other_sizes: u64,
    /// Buffers made by refills.
    pub refilled: u64,
    /// Buffers that came back when the pool was full.
    pub released: u64,
    /// Buffers that the base allocator could not give.
    pub failed: u64,
}

/// An allocator that keeps what comes back. Buffers may outlive it: they then go straight back to the base allocator.
pub struct MemoryPool {
    shared: Arc<Shared>,
    refill: Option<TaskHandle>,
    /// Kept for the refills.
    _threads: Option<Arc<ThreadPool>>,
}

struct Shared {
    config: PoolConfig,
    base: Arc<dyn Allocator>,
    state: Mutex<State>,
    warn_on_empty: AtomicBool,
    empty: Warnings,
    refill_failed: Warnings,
}

/// Limited warnings of several threads. Whoever has something to say takes them out, so that nothing is locked while the program's log
/// function runs, which may come back here; what others have to say meanwhile goes unsaid.
struct Warnings(Mutex<Option<Limited>>);

impl Warnings {
    fn new(what: &'static str) -> Self {
        Self(Mutex::new(Some(Limited::new(what))))
    }

    fn note(&self, detail: impl FnOnce() -> String) {
        let taken = self.0.lock().take();
        if let Some(mut limited) = taken {
            limited.note(detail);
            *self.0.lock() = Some(limited);
        }
    }
}

struct State {
    /// The one that came back last is last. Never more than `max_free`.
    free: Vec<Buffer>,
    stats: PoolStats,
}

impl MemoryPool {
    /// A pool with its initial buffers in it. `threads` refills it where there is a low-water mark.
    pub fn new(
        config: PoolConfig,
        base: Arc<dyn Allocator>,
        threads: Option<&Arc<ThreadPool>>,
    ) -> Result<Self> {
        config.check(threads.is_some())?;
        let free = (0..config.initial).map(|_| base.allocate(config.upper, None)).collect::<Result<_>>()?;
        let shared = Arc::new(Shared {
            config,
            base,
            state: Mutex::new(State { free, stats: PoolStats::default() }),
            warn_on_empty: AtomicBool::new(config.warn_on_empty),
            empty: Warnings::new("memory pool: empty when a buffer was wanted"),
            refill_failed: Warnings::new("memory pool: refill failed"),
        });
        let threads = threads.filter(|_| config.low_water > 0).cloned();
        let refill = match &threads {
            Some(threads) => {
                Some(threads.spawn(Box::new(Refill { shared: Arc::downgrade(&shared), filling: false }))?)
            }
            None => None,
        };
        Ok(Self { shared, refill, _threads: threads })
    }

    /// What it was made with; `warn_on_empty` as it is now.
    pub fn config(&self) -> PoolConfig {
        PoolConfig { warn_on_empty: self.shared.warn_on_empty.load(Ordering::Relaxed), ..self.shared.config }
    }

    /// Whether to log a warning when a buffer is wanted and there is none.
    pub fn set_warn_on_empty(&self, warn: bool) {
        // Relaxed: it guards no data.
        self.shared.warn_on_empty.store(warn, Ordering::Relaxed);
    }

    /// All counts at one moment.
    pub fn stats(&self) -> PoolStats {
        let state = self.shared.state.lock();
        PoolStats { available: state.free.len() as u64, ..state.stats }
    }
}

impl Allocator for MemoryPool {
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
        let Shared { config, base, state, .. } = &*self.shared;
        if !(config.lower..=config.upper).contains(&size) {
            state.lock().stats.other_sizes += 1;
            return base.allocate(size, packet);
        }
        let (buffer, left) = {
            let mut state = state.lock();
            let buffer = state.free.pop();
            if buffer.is_some() {
                state.stats.reused += 1;
                state.stats.in_use += 1;
            } else {
                state.stats.empty += 1;
            }
            (buffer, state.free.len())
        };
        if left < config.low_water
            && let Some(refill) = &self.refill
        {
            refill.wake();
        }
        let buffer = match buffer {
            Some(buffer) => buffer,
            None => self.shared.allocate_new(packet)?,
        };
        Ok(self.shared.lend(buffer, size))
    }
}

impl Drop for MemoryPool {
    fn drop(&mut self) {
        // The task finds the pool gone, or its last run ends it: `shared` outlives this call by no more than that run.
        if let Some(refill) = &self.refill {
            refill.wake();
        }
    }
}

impl Shared {
    /// A buffer for somebody who found the pool empty.
    fn allocate_new(&self, packet: Option<&[u8]>) -> Result<Buffer> {
        if self.warn_on_empty.load(Ordering::Relaxed) {
            self.empty.note(|| format!("{} bytes come from the base allocator", self.config.upper));
        }
        let buffer = self.base.allocate(self.config.upper, packet);
        let mut state = self.state.lock();
        match buffer {
            Ok(_) => state.stats.in_use += 1,
            Err(_) => state.stats.failed += 1,
        }
        buffer
    }

    /// The first `size` bytes of a buffer, which comes back when they are released.
    fn lend(self: &Arc<Self>, buffer: Buffer, size: usize) -> Buffer {
        let start = buffer.start();
        let home = Arc::downgrade(self);
        // SAFETY: size <= upper, which is the buffer's size; the closure owns the buffer, so that nobody else uses it.
        unsafe {
            Buffer::from_raw(start, size, move || {
                if let Some(home) = home.upgrade() {
                    home.take_back(buffer);
                }
            })
        }
    }

    fn take_back(&self, buffer: Buffer) {
        let mut state = self.state.lock();
        state.stats.in_use -= 1;
        if state.free.len() < self.config.max_free {
            state.free.push(buffer);
        } else {
            state.stats.released += 1;
            // Releasing may take long.
            drop(state);
            drop(buffer);
        }
    }

    /// Whether there are fewer unused buffers than that.
    fn has_fewer_than(&self, count: usize) -> bool {
        self.state.lock().free.len() < count
    }
}

/// Fills the pool up to `initial`, one buffer at a time, when it is run while fewer than `low_water` are left.
struct Refill {
    shared: Weak<Shared>,
    /// In the middle of it.
    filling: bool,
}

impl Task for Refill {
    fn run(&mut self, context: &mut Context<'_>) -> Progress {
        let shared = self.shared.upgrade().filter(|_| !context.is_stopping());
        let Some(shared) = shared else { return Progress::Done };
        let PoolConfig { initial, low_water, .. } = shared.config;
        self.filling = shared.has_fewer_than(if self.filling { initial } else { low_water });
        if !self.filling {
            return Progress::Wait;
        }
        match shared.base.allocate(shared.config.upper, None) {
            Ok(buffer) => {
                let mut state = shared.state.lock();
                // Meanwhile others may have come back.
                if state.free.len() < shared.config.max_free {
                    state.free.push(buffer);
                    state.stats.refilled += 1;
                }
                Progress::Again
            }
            Err(error) => {
                shared.state.lock().stats.failed += 1;
                shared.refill_failed.note(|| error.to_string());
                // The next allocation tries again.
                self.filling = false;
                Progress::Wait
            }
        }
    }

    fn panicked(&mut self, _: &Context<'_>) {
        log::error!("memory pool: a refill panicked: there will be no more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::memory::HeapAllocator;
    use std::ptr::NonNull;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// The system's heap, with a count of what is out, a limit, and a message for each new buffer.
    struct Base {
        out: Arc<Mutex<usize>>,
        limit: Mutex<usize>,
        made: Sender<usize>,
    }

    impl Allocator for Base {
        fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer> {
            let mut out = self.out.lock();
            if *out == *self.limit.lock() {
                let _ = self.made.send(0);
                return Err(Error::new(ErrorKind::NoMemory, "no more"));
            }
            *out += 1;
            let buffer = HeapAllocator.allocate(size, packet)?;
            let _ = self.made.send(size);
            let (start, count) = (buffer.start(), self.out.clone());
            // SAFETY: the closure owns the buffer.
            Ok(unsafe {
                Buffer::from_raw(start, size, move || {
                    drop(buffer);
                    *count.lock() -= 1;
                })
            })
        }
    }

    fn base(limit: usize) -> (Arc<Base>, Receiver<usize>) {
        let (made, sizes) = channel();
        (Arc::new(Base { out: Arc::default(), limit: Mutex::new(limit), made }), sizes)
    }

    const CONFIG: PoolConfig =
        PoolConfig { lower: 100, upper: 200, max_free: 3, initial: 2, low_water: 0, warn_on_empty: true };

    fn address(buffer: &Buffer) -> NonNull<u8> {
        buffer.start()
    }

    #[test]
    fn buffers_are_used_again_the_last_first_and_no_more_are_kept_than_asked() {
        let (base, sizes) = base(100);
        let pool = MemoryPool::new(CONFIG, base.clone(), None).unwrap();
        assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [200, 200]);
        let mut held: Vec<Buffer> = (0..5).map(|i| pool.allocate(100 + 20 * i, None).unwrap()).collect();
        assert_eq!(held.iter().map(Buffer::len).collect::<Vec<_>>(), [100, 120, 140, 160, 180]);
        assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [200, 200, 200]);
        held[0].zero();
        let stats = PoolStats { in_use: 5, reused: 2, empty: 3, ..PoolStats::default() };
        assert_eq!(pool.stats(), stats);
        let third = address(&held[2]);
        held.truncate(2);
        assert_eq!(pool.stats(), PoolStats { available: 3, in_use: 2, ..stats });
        assert_ne!(address(&pool.allocate(200, None).unwrap()), third);
        drop(held);
        let stats = PoolStats { available: 3, in_use: 0, reused: 3, released: 2, ..stats };
        assert_eq!(pool.stats(), stats);
        assert_eq!(*base.out.lock(), 3);
        let last = pool.allocate(150, None).unwrap();
        let last_address = address(&last);
        drop(last);
        assert_eq!(address(&pool.allocate(150, None).unwrap()), last_address);
    }

    #[test]
    fn other_sizes_are_the_base_allocators() {
        let (base, sizes) = base(100);
        let pool = MemoryPool::new(CONFIG, base.clone(), None).unwrap();
        sizes.try_iter().for_each(drop);
        for size in [0, 99, 201] {
            assert_eq!(pool.allocate(size, None).unwrap().len(), size);
            assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [size]);
        }
        assert_eq!(pool.stats(), PoolStats { available: 2, other_sizes: 3, ..PoolStats::default() });
        assert_eq!(*base.out.lock(), 2);
    }

    #[test]
    fn buffers_outlive_their_pool() {
        let (base, _sizes) = base(100);
        let pool = MemoryPool::new(CONFIG, base.clone(), None).unwrap();
        let mut buffer = pool.allocate(200, None).unwrap();
        drop(pool);
        assert_eq!(*base.out.lock(), 1);
        buffer.zero();
        drop(buffer);
        assert_eq!(*base.out.lock(), 0);
    }

    #[test]
    fn no_memory_is_an_error_and_counted() {
        let (base, _sizes) = base(2);
        let pool = MemoryPool::new(CONFIG, base.clone(), None).unwrap();
        let held: Vec<Buffer> = (0..2).map(|_| pool.allocate(200, None).unwrap()).collect();
        assert_eq!(pool.allocate(200, None).unwrap_err().kind(), ErrorKind::NoMemory);
        let stats = PoolStats { in_use: 2, reused: 2, empty: 1, failed: 1, ..PoolStats::default() };
        assert_eq!(pool.stats(), stats);
        drop(held);
        assert!(pool.allocate(200, None).is_ok());
        assert!(MemoryPool::new(PoolConfig { initial: 3, ..CONFIG }, base, None).is_err());
    }

    #[test]
    fn a_low_pool_is_refilled_in_the_background() {
        let threads = Arc::new(ThreadPool::new(1, &[]).unwrap());
        let (base, sizes) = base(100);
        let config = PoolConfig { max_free: 8, initial: 4, low_water: 2, ..CONFIG };
        let pool = MemoryPool::new(config, base.clone(), Some(&threads)).unwrap();
        assert_eq!(sizes.iter().take(4).collect::<Vec<_>>(), [200; 4]);
        let mut held: Vec<Buffer> = (0..2).map(|_| pool.allocate(200, None).unwrap()).collect();
        // Two are left: not fewer than low_water.
        assert_eq!((pool.stats().available, pool.stats().refilled), (2, 0));
        held.push(pool.allocate(200, None).unwrap());
        // One was left: three make four.
        assert_eq!(sizes.iter().take(3).collect::<Vec<_>>(), [200; 3]);
        while pool.stats().refilled < 3 {
            std::thread::yield_now();
        }
        assert_eq!(
            pool.stats(),
            PoolStats { available: 4, in_use: 3, reused: 3, refilled: 3, ..PoolStats::default() }
        );
        // Without memory it gives up, and tries again at the next allocation.
        *base.limit.lock() = 7;
        held.extend((0..3).map(|_| pool.allocate(200, None).unwrap()));
        assert_eq!(sizes.recv().unwrap(), 0);
        while pool.stats().failed == 0 {
            std::thread::yield_now();
        }
        *base.limit.lock() = 100;
        held.push(pool.allocate(200, None).unwrap());
        while pool.stats().available < 4 {
            std::thread::yield_now();
        }
        drop((pool, held));
        threads.stop().unwrap();
        assert_eq!(*base.out.lock(), 0);
    }

    #[test]
    fn a_stopped_thread_pool_refills_no_more_but_the_pool_works() {
        let threads = Arc::new(ThreadPool::new(1, &[]).unwrap());
        let (base, sizes) = base(100);
        let pool =
            MemoryPool::new(PoolConfig { low_water: 2, ..CONFIG }, base.clone(), Some(&threads)).unwrap();
        threads.stop().unwrap();
        sizes.try_iter().for_each(drop);
        let held: Vec<Buffer> = (0..3).map(|_| pool.allocate(200, None).unwrap()).collect();
        assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [200]);
        drop(held);
        assert_eq!(pool.stats().available, 3);
        let refused = MemoryPool::new(PoolConfig { low_water: 2, ..CONFIG }, base, Some(&threads));
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::State);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let cases: [(PoolConfig, &str); 6] = [
            (PoolConfig { upper: 0, ..CONFIG }, "upper must be between 1"),
            (PoolConfig { upper: usize::MAX, ..CONFIG }, "upper must be between 1"),
            (PoolConfig { lower: 201, ..CONFIG }, "lower must be at most upper (got 201 and 200)"),
            (PoolConfig { max_free: 0, initial: 0, ..CONFIG }, "max_free must be at least 1 (got 0)"),
            (PoolConfig { initial: 4, ..CONFIG }, "initial must be at most max_free (got 4 and 3)"),
            (PoolConfig { low_water: 3, ..CONFIG }, "low_water must be at most initial (got 3 and 2)"),
        ];
        for (config, message) in cases {
            let error = MemoryPool::new(config, Arc::new(HeapAllocator), None).err().unwrap();
            assert!(error.message().contains(message), "{error}");
        }
        let error = MemoryPool::new(PoolConfig { low_water: 1, ..CONFIG }, Arc::new(HeapAllocator), None);
        assert!(error.err().unwrap().message().contains("without a thread pool that refills (got 1)"));
    }
}
