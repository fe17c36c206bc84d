//! The latest frames of a stream, by their absolute index: a ring that gives any window of it in one piece.
//!
//! One thread appends at a time, any number look: threads of this process or, if the history is [shared](History::share), of others. A window is memory of
//! the ring itself; it is overwritten when the ring comes round to it, which [`History::holds`] tells afterwards: look at the frames, or copy them, and then
//! ask.
//!
//! The ring is mapped twice in a row, so that a window that wraps around its end is in one piece without writing frames twice. It has at
//! least as many frames as was asked for, and as many more as fill whole pages.
//!
//! | file | what it is |
//! |---|---|
//! | `geometry.rs` | how frames lie in memory |
//! | `shared.rs` | a history that other processes look at |

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

use parking_lot::{Condvar, Mutex};

use self::geometry::Geometry;
use self::shared::Shared;
use super::array::{self, Layout};
use super::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer, HeapAllocator};
use crate::ring::Wait;
use crate::spead::dtype::Dtype;
use crate::sys::mirror::Mirror;

mod geometry;
mod shared;
#[cfg(test)]
mod tests;

/// With more blocks, each mapped twice, frames are written twice instead: a process has a limited number of mappings.
const MOST_BLOCKS: usize = 1024;

/// What a history keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryConfig {
    /// The type of elements.
    pub dtype: Dtype,
    /// The shape of a frame.
    pub frame_shape: Vec<usize>,
    /// How many frames it keeps.
    pub frames: usize,
    /// The order of axes in memory, time being axis 0, from the one that varies last; `None`: that of C.
    pub axisorder: Option<Vec<usize>>,
    /// The value of frames that nobody sent; `None`: NaN, or 0 for what has none.
    pub fill: Option<f64>,
}

enum Memory {
    Mirrored(Mirror),
    /// Every frame is written twice.
    Plain(Buffer),
}

/// The words that who appends stores and all load; of a shared history they are in shared memory, as docs/shm-layout.md has it.
#[derive(Debug, Default)]
#[repr(C)]
struct Words {
    /// The index behind the last frame that can be read. Stored by who appends, with Release after the frames are written (SeqCst if it is shared: see
    /// `Page::want`); readers load it with Acquire before they read these.
    read_index: AtomicI64,
    /// The index behind the last frame that has been, or is being, written. Stored by who appends before it overwrites anything, then a Release fence;
    /// readers load it after an Acquire fence behind their reading.
    write_index: AtomicI64,
    /// How often the index began again. The same as for `write_index`.
    resets: AtomicU64,
    /// 1: nothing will be appended any more. Stored by who appended, with SeqCst, at its end.
    closed: AtomicU32,
}

/// The latest frames.
pub struct History {
    config: HistoryConfig,
    geometry: Geometry,
    memory: Memory,
    own: Words,
    shared: Option<Shared>,
    appending: Mutex<()>,
    /// Notified under the lock of `appending` when there are more frames.
    news: Condvar,
}

// SAFETY: the memory is owned, and written by one thread at a time, which `appending` sees to. That readers may see it change is what they are told.
unsafe impl Sync for History {}

/// A window of a history.
#[derive(Debug, Clone)]
pub struct Window {
    /// Where its layout begins; valid as long as the history.
    pub data: NonNull<u8>,
    /// Of the frames: the first axis is time.
    pub layout: Layout,
    /// The index behind its last frame in time.
    pub stop: i64,
    /// What [`History::holds`] needs to know.
    pub stamp: Stamp,
}

/// When and where a window was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The index of its first frame in time.
    pub start: i64,
    resets: u64,
}

/// Which frames there are, at one moment.
#[derive(Clone, Copy)]
struct Bounds {
    first: i64,
    index: i64,
    resets: u64,
}

/// What a wait for frames came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// They are, or were, there.
    There,
    /// They did not come within the time.
    TimedOut,
    /// Who appends is gone: they will not come.
    Ended,
}

impl History {
    /// An empty history. Frames before the first one read as filled.
    pub fn new(config: &HistoryConfig) -> Result<Self> {
        let geometry = Geometry::new(config)?;
        let Geometry { lap, step, blocks, .. } = geometry;
        let memory = if blocks <= MOST_BLOCKS {
            let mirror = Mirror::new(lap * step, blocks).map_err(|e| no_memory(config.frames, &e))?;
            Memory::Mirrored(mirror)
        } else {
            Memory::Plain(HeapAllocator.allocate(geometry.layout.size(), None)?)
        };
        let history = Self::with(config, geometry, memory, None);
        history.fill_frames(0..lap as i64);
        Ok(history)
    }

    /// An empty history that other processes can look at, found by its [name](Self::name).
    ///
    /// # Errors
    /// As those of [`new`](Self::new). `Unsupported`: its axisorder has time behind axes of more than 1024 elements.
    pub fn share(config: &HistoryConfig) -> Result<Self> {
        let geometry = Geometry::new(config)?;
        let (shared, mirror) = Shared::create(config, &geometry)?;
        let lap = geometry.lap as i64;
        let history = Self::with(config, geometry, Memory::Mirrored(mirror), Some(shared));
        history.fill_frames(0..lap);
        Ok(history)
    }

    /// The history of that name, which another process (or this one) has shared, to be looked at.
    ///
    /// # Errors
    /// `NotFound`: there is none on this host, or no longer. `Version`: it is of another version of this library. `Format`, `Truncated`: who answers has no
    /// history, or a damaged one. `State`: too many look at it. `Io`: the system's; it is of another user.
    pub fn open(name: &str) -> Result<Self> {
        let (config, geometry, shared, mirror) = Shared::open(name)?;
        Ok(Self::with(&config, geometry, Memory::Mirrored(mirror), Some(shared)))
    }

    fn with(config: &HistoryConfig, geometry: Geometry, memory: Memory, shared: Option<Shared>) -> Self {
        Self {
            config: config.clone(),
            geometry,
            memory,
            own: Words::default(),
            shared,
            appending: Mutex::new(()),
            news: Condvar::new(),
        }
    }

    /// The name by which others [open](Self::open) it; `None` if it is not shared.
    pub fn name(&self) -> Option<&str> {
        self.shared.as_ref().map(Shared::name)
    }

    /// What it keeps.
    pub fn config(&self) -> &HistoryConfig {
        &self.config
    }

    fn words(&self) -> &Words {
        self.shared.as_ref().map_or(&self.own, Shared::words)
    }

    fn start(&self) -> NonNull<u8> {
        match &self.memory {
            Memory::Mirrored(mirror) => mirror.start(),
            Memory::Plain(buffer) => buffer.start(),
        }
    }

    /// How many frames it keeps.
    pub fn frames(&self) -> usize {
        self.config.frames
    }

    /// The index behind the latest frame.
    pub fn index(&self) -> i64 {
        self.words().read_index.load(Ordering::Acquire)
    }

    /// The index of the oldest frame; negative before it has come round once: those frames read as filled.
    pub fn first_index(&self) -> i64 {
        self.bounds().first
    }

    fn bounds(&self) -> Bounds {
        // Before the index: a reset in between is found by `holds`.
        let resets = self.words().resets.load(Ordering::Acquire);
        let index = self.index();
        Bounds { first: index.saturating_sub_unsigned(self.frames() as u64), index, resets }
    }

    /// An error unless this process appends to it.
    pub fn check_own(&self) -> Result<()> {
        if self.shared.as_ref().is_some_and(Shared::is_of_another) {
            return Err(Error::state("history: it is another process's, and can only be looked at"));
        }
        Ok(())
    }

    /// Appends frames, the last of which has index `index - 1`; `None`: right behind the latest. Frames in between that nobody sent are filled.
    /// Returns those.
    ///
    /// # Safety
    /// From `data` on, the bytes that `source` tells can be read.
    pub unsafe fn append(&self, data: *const u8, source: &Layout, index: Option<i64>) -> Result<Range<i64>> {
        self.check_own()?;
        let _one = self.appending.lock();
        let words = self.words();
        // Relaxed: only who has the lock stores it.
        let before = words.write_index.load(Ordering::Relaxed);
        let (count, start, index) = self.place_of(source, index, before)?;
        debug_assert!(count as u64 <= self.frames() as u64);
        words.write_index.store(index, Ordering::Relaxed);
        // Before anything is overwritten: pairs with the fence in `holds`.
        fence(Ordering::Release);
        self.fill_frames(before.max(start - self.geometry.lap as i64)..start);
        // SAFETY: the caller's promise.
        unsafe { self.write(data, source, start) };
        match &self.shared {
            None => words.read_index.store(index, Ordering::Release),
            Some(shared) => {
                // And so Release; a swap as that is less than a store and a fence.
                words.read_index.swap(index, Ordering::SeqCst);
                shared.wake();
            }
        }
        self.news.notify_all();
        Ok(before..start)
    }

    /// How many frames `source` has, and the indices of the first and behind the last.
    fn place_of(&self, source: &Layout, index: Option<i64>, before: i64) -> Result<(i64, i64, i64)> {
        let ours = &self.geometry.layout;
        let (count, frame) = source.shape().split_first().unwrap_or((&0, &[]));
        if frame != &ours.shape()[1..] || source.item() != ours.item() {
            return Err(Error::invalid(format!(
                "frames must be of shape {:?} with elements of {} bytes (got {frame:?} of {})",
                &ours.shape()[1..],
                ours.item(),
                source.item()
            )));
        }
        if *count > self.frames() {
            return Err(Error::invalid(format!(
                "a chunk must be of at most {} frames (got {count})",
                self.frames()
            )));
        }
        let count = *count as i64;
        let index = match index {
            Some(index) => index,
            None => {
                before.checked_add(count).ok_or_else(|| Error::state("the index cannot grow any more"))?
            }
        };
        let start = index.checked_sub(count).filter(|&start| start >= before).ok_or_else(|| {
            let least = before.saturating_add(count);
            let rule =
                format!("index must be at least {least}, as {before} frames have been and {count} come");
            Error::invalid(format!("{rule} (got {index})"))
        })?;
        Ok((count, start, index))
    }

    /// Writes frames to where those from `start` on are.
    ///
    /// # Safety
    /// As for [`append`](Self::append); the caller holds `appending`; there are no more frames than a lap has.
    unsafe fn write(&self, data: *const u8, source: &Layout, start: i64) {
        let count = source.shape()[0];
        let (position, lap) = (self.geometry.position(start), self.geometry.lap);
        let to = self.start().as_ptr();
        let place = |range: Range<usize>, at: usize| {
            let target = self.geometry.layout.rows(at..at + range.len());
            // SAFETY: the source is readable by the caller's promise; the target is within the ring, which the caller alone writes to.
            unsafe { array::copy(data, &source.rows(range), to, &target) };
        };
        place(0..count, position);
        if let Memory::Plain(_) = self.memory {
            let first = count.min(lap - position);
            place(0..first, position + lap);
            place(first..count, 0);
        }
    }

    /// Fills frames. The caller holds `appending`, or is the only one.
    fn fill_frames(&self, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        // One element, over and over.
        let (fill, lap) = (&self.geometry.fill, self.geometry.lap as i64);
        let mut shape = self.geometry.layout.shape().to_vec();
        let strides = vec![0; shape.len()];
        let mut start = range.start.max(range.end - lap);
        while start < range.end {
            let count = (range.end - start).min(lap);
            shape[0] = count as usize;
            if let Ok(source) = Layout::new(fill.len(), 0, &shape, &strides) {
                // SAFETY: the source is one element, which `fill` is.
                unsafe { self.write(fill.as_ptr(), &source, start) };
            }
            start += count;
        }
    }

    /// The frames from `start` to before `stop`, in one piece. They are overwritten at some time: see [`holds`](Self::holds).
    ///
    /// # Errors
    /// `NotFound`: they are not there, or not any more.
    pub fn window(&self, start: i64, stop: i64) -> Result<Window> {
        self.window_within(self.bounds(), start, stop)
    }

    /// The latest `frames` frames.
    pub fn latest(&self, frames: usize) -> Result<Window> {
        let bounds = self.bounds();
        self.window_within(bounds, bounds.index.saturating_sub_unsigned(frames as u64), bounds.index)
    }

    fn window_within(&self, bounds: Bounds, start: i64, stop: i64) -> Result<Window> {
        let Bounds { first, index, resets } = bounds;
        if start < first || stop > index || start > stop {
            let bounds = format!("the history has frames {first} to {index}");
            return Err(Error::new(ErrorKind::NotFound, format!("{bounds} (got {start} to {stop})")));
        }
        let position = self.geometry.position(start);
        let layout = self.geometry.layout.rows(position..position + (stop - start) as usize);
        Ok(Window { data: self.start(), layout, stop, stamp: Stamp { start, resets } })
    }

    /// Every `step`th frame from `start` on to before `stop`, as numpy slices: negative numbers count from the latest frame back, `None` is the oldest or
    /// the latest frame; with a negative step time runs backwards.
    ///
    /// # Errors
    /// `NotFound`: an end is not within the frames that are there. `Invalid`: the step is 0.
    pub fn slice(&self, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Window> {
        let bounds = self.bounds();
        let Bounds { first, index, .. } = bounds;
        let absolute = |number: i64| if number < 0 { index.saturating_add(number) } else { number };
        if step == 0 {
            return Err(Error::invalid("step must not be 0"));
        }
        let shown = |end: Option<i64>| end.map_or(String::new(), |end| end.to_string());
        let out_of_bounds = || {
            let got = format!("[{}:{}:{step}]", shown(start), shown(stop));
            Error::new(ErrorKind::NotFound, format!("the history has frames {first} to {index} (got {got})"))
        };
        // From the first to before the last, in the order of time.
        let (low, high) = if step > 0 {
            let (low, high) = (start.map_or(first, absolute), stop.map_or(index, absolute));
            (low, high)
        } else {
            // An end that is not given is before the oldest frame.
            let low = match stop {
                None => first,
                Some(stop) => absolute(stop).checked_add(1).ok_or_else(out_of_bounds)?,
            };
            let last = match start {
                None => index,
                Some(start) => absolute(start).checked_add(1).ok_or_else(out_of_bounds)?,
            };
            (low, last)
        };
        let within = |end: i64| (first..=index).contains(&end);
        if !within(low) || !within(high) {
            return Err(out_of_bounds());
        }
        let mut window = self.window_within(bounds, low.min(high), high)?;
        let steps = isize::try_from(step).map_err(|_| out_of_bounds())?;
        window.layout = window.layout.every(steps);
        Ok(window)
    }

    /// Whether the frames of a window were all still there, until this call.
    pub fn holds(&self, stamp: Stamp) -> bool {
        // Behind the reading of frames: pairs with the fence in `append`, and in `reset`.
        fence(Ordering::Acquire);
        let words = self.words();
        words.resets.load(Ordering::Relaxed) == stamp.resets
            && stamp.start
                >= words.write_index.load(Ordering::Relaxed).saturating_sub_unsigned(self.geometry.lap as u64)
    }

    /// Copies the frames from `start` to before `stop` to `to`, in C order.
    ///
    /// # Errors
    /// `NotFound`: they are not there, or not any more.
    pub fn copy(&self, start: i64, stop: i64, to: &mut [u8]) -> Result<()> {
        self.copy_window(&self.window(start, stop)?, to)
    }

    /// Copies the frames of one of its windows to `to`, in C order.
    ///
    /// # Errors
    /// `NotFound`: they are not there any more. `Truncated`: `to` has less bytes.
    pub fn copy_window(&self, window: &Window, to: &mut [u8]) -> Result<()> {
        let needed = window.layout.size();
        if to.len() < needed {
            let reason =
                format!("size must be at least {needed}, the bytes of these frames (got {})", to.len());
            return Err(Error::new(ErrorKind::Truncated, reason));
        }
        // SAFETY: as many bytes as are needed.
        unsafe { self.copy_window_to(window, to.as_mut_ptr()) }
    }

    /// As [`copy_window`](Self::copy_window), to memory that need not be initialised.
    ///
    /// # Safety
    /// From `to` on there are as many bytes as the window's elements have, which may be written.
    pub unsafe fn copy_window_to(&self, window: &Window, to: *mut u8) -> Result<()> {
        let target = Layout::c_order(window.layout.item(), window.layout.shape())?;
        // SAFETY: the window is within the ring, and the target what the caller promises.
        unsafe { array::copy(window.data.as_ptr(), &window.layout, to, &target) };
        if self.holds(window.stamp) {
            return Ok(());
        }
        let start = window.stamp.start;
        let reason = format!("frames from {start} on were overwritten while they were copied");
        Err(Error::new(ErrorKind::NotFound, reason))
    }

    /// Waits until the index is `index` or more.
    pub fn wait(&self, index: i64, wait: Wait) -> Waited {
        let deadline = Deadline::new(wait);
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.is_of_another()) {
            return shared.wait(index, deadline);
        }
        let mut guard = self.appending.lock();
        while self.index() < index {
            match deadline.left() {
                Wait::No => return Waited::TimedOut,
                Wait::For(left) => drop(self.news.wait_for(&mut guard, left)),
                Wait::Forever => self.news.wait(&mut guard),
            }
        }
        Waited::There
    }

    /// Whether more frames may come: not if who appended is gone.
    pub fn is_live(&self) -> bool {
        !self.shared.as_ref().is_some_and(Shared::has_ended)
    }

    /// Begins again at index 0. What is in it stays and counts as older, but windows of before do not [hold](Self::holds) any more. Only by who appends.
    pub fn reset(&self) {
        if self.check_own().is_err() {
            return;
        }
        let _one = self.appending.lock();
        let words = self.words();
        words.resets.fetch_add(1, Ordering::Release);
        // Before anything is overwritten: pairs with the fence in `holds`.
        fence(Ordering::Release);
        words.write_index.store(0, Ordering::Relaxed);
        words.read_index.store(0, Ordering::Release);
    }
}

fn no_memory(frames: usize, reason: &std::io::Error) -> Error {
    Error::new(ErrorKind::NoMemory, format!("a history of {frames} frames: {reason}"))
}
