//! The latest frames of a stream, by their absolute index: a ring that gives any window of it in one piece.
//!
//! One thread appends at a time, any number look. A window is memory of the ring itself; it is overwritten when the ring comes round to it, which
//! [`History::holds`] tells afterwards: look at the frames, or copy them, and then ask.
//!
//! The ring is mapped twice in a row, so that a window that wraps around its end is in one piece without writing frames twice. It has at
//! least as many frames as was asked for, and as many more as fill whole pages.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering, fence};

use parking_lot::Mutex;

use super::array::{self, Layout};
use super::numpy::fill_element;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer, HeapAllocator};
use crate::spead::dtype::Dtype;
use crate::sys::mirror::{Mirror, page_size};

/// With more blocks, each mapped twice, frames are written twice instead: a process has a limited number of mappings.
const MOST_BLOCKS: usize = 1024;

/// What a history keeps.
#[derive(Debug, Clone)]
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

/// The latest frames.
pub struct History {
    /// Frames that are kept for sure.
    frames: i64,
    /// Frames of a lap of the ring.
    lap: i64,
    /// Of the ring and what follows it: `2 * lap` frames.
    layout: Layout,
    memory: Memory,
    /// An element of a frame that nobody sent.
    fill: Vec<u8>,
    /// The index behind the last frame that can be read. Stored by who appends, with Release after the frames are written; readers load it with Acquire
    /// before they read these.
    read_index: AtomicI64,
    /// The index behind the last frame that has been, or is being, written. Stored by who appends before it overwrites anything, then a Release fence;
    /// readers load it after an Acquire fence behind their reading.
    write_index: AtomicI64,
    appending: Mutex<()>,
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
    /// The index of its first frame in time.
    pub start: i64,
    /// The index behind its last.
    pub stop: i64,
}

impl History {
    /// An empty history. Frames before the first one read as filled.
    pub fn new(config: &HistoryConfig) -> Result<Self> {
        let HistoryConfig { dtype, frame_shape, frames, .. } = config;
        let axes = frame_shape.len() + 1;
        let default: Vec<usize> = (0..axes).collect();
        let order = config.axisorder.as_ref().unwrap_or(&default);
        array::check_order(axes, order)?;
        if *frames == 0 {
            return Err(Error::invalid("frames must be at least 1 (got 0)"));
        }
        let item = dtype.size();
        // Axes inside of time make the bytes of a step in time, axes outside the number of blocks.
        let time = order.iter().position(|&axis| axis == 0).unwrap_or(0);
        let count = |axes: &[usize]| {
            axes.iter().try_fold(1usize, |count, &axis| count.checked_mul(frame_shape[axis - 1]))
        };
        let too_large =
            || Error::new(ErrorKind::NoMemory, format!("a history of {frames} frames is too large"));
        let step = count(&order[time + 1..]).and_then(|n| n.checked_mul(item)).ok_or_else(too_large)?;
        let blocks = count(&order[..time]).ok_or_else(too_large)?;
        if step == 0 || blocks == 0 {
            return Err(Error::invalid("a frame must have at least one byte"));
        }
        let whole = page_size() / gcd(page_size(), step);
        let lap = frames.checked_next_multiple_of(whole).ok_or_else(too_large)?;
        let doubled = lap.checked_mul(2).ok_or_else(too_large)?;
        let shape: Vec<usize> = [doubled].iter().chain(frame_shape).copied().collect();
        let layout = Layout::ordered(item, &shape, order)?;
        let memory = if blocks <= MOST_BLOCKS {
            let mirror = Mirror::new(lap * step, blocks)
                .map_err(|e| Error::new(ErrorKind::NoMemory, format!("a history of {frames} frames: {e}")))?;
            Memory::Mirrored(mirror)
        } else {
            Memory::Plain(HeapAllocator.allocate(layout.size(), None)?)
        };
        let history = Self {
            frames: *frames as i64,
            lap: lap as i64,
            layout,
            memory,
            fill: fill_element(dtype, config.fill),
            read_index: AtomicI64::new(0),
            write_index: AtomicI64::new(0),
            appending: Mutex::new(()),
        };
        history.fill_frames(0..lap as i64);
        Ok(history)
    }

    fn start(&self) -> NonNull<u8> {
        match &self.memory {
            Memory::Mirrored(mirror) => mirror.start(),
            Memory::Plain(buffer) => buffer.start(),
        }
    }

    /// How many frames it keeps.
    pub fn frames(&self) -> usize {
        self.frames as usize
    }

    /// The index behind the latest frame.
    pub fn index(&self) -> i64 {
        self.read_index.load(Ordering::Acquire)
    }

    /// The index of the oldest frame; negative before it has come round once: those frames read as filled.
    pub fn first_index(&self) -> i64 {
        self.index() - self.frames
    }

    /// Where frame `index` is in the ring.
    fn position(&self, index: i64) -> usize {
        index.rem_euclid(self.lap) as usize
    }

    /// Appends frames, the last of which has index `index - 1`; `None`: right behind the latest. Frames in between that nobody sent are filled.
    /// Returns those.
    ///
    /// # Safety
    /// From `data` on, the bytes that `source` tells can be read.
    pub unsafe fn append(&self, data: *const u8, source: &Layout, index: Option<i64>) -> Result<Range<i64>> {
        let _one = self.appending.lock();
        let before = self.write_index.load(Ordering::Relaxed);
        let (count, frame) = source.shape().split_first().unwrap_or((&0, &[]));
        if frame != &self.layout.shape()[1..] || source.item() != self.layout.item() {
            let (ours, item) = (&self.layout.shape()[1..], self.layout.item());
            return Err(Error::invalid(format!(
                "frames must be of shape {ours:?} with elements of {item} bytes (got {frame:?} of {})",
                source.item()
            )));
        }
        if *count as u128 > self.frames as u128 {
            return Err(Error::invalid(format!(
                "a chunk must be of at most {} frames (got {count})",
                self.frames
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
            let rule = format!(
                "index must be at least {}, as {before} frames have been and {count} come",
                before + count
            );
            Error::invalid(format!("{rule} (got {index})"))
        })?;
        self.write_index.store(index, Ordering::Relaxed);
        // Before anything is overwritten: pairs with the fence in `holds`.
        fence(Ordering::Release);
        self.fill_frames(before.max(start - self.lap)..start);
        // SAFETY: the caller's promise.
        unsafe { self.write(data, source, start) };
        self.read_index.store(index, Ordering::Release);
        Ok(before..start)
    }

    /// Writes frames to where those from `start` on are.
    ///
    /// # Safety
    /// As for [`append`](Self::append); the caller holds `appending`; there are no more frames than a lap has.
    unsafe fn write(&self, data: *const u8, source: &Layout, start: i64) {
        let count = source.shape()[0];
        let (position, lap) = (self.position(start), self.lap as usize);
        let to = self.start().as_ptr();
        let place = |range: Range<usize>, at: usize| {
            let target = self.layout.rows(at..at + range.len());
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
        let mut shape = self.layout.shape().to_vec();
        let strides = vec![0; shape.len()];
        let mut start = range.start.max(range.end - self.lap);
        while start < range.end {
            let count = (range.end - start).min(self.lap);
            shape[0] = count as usize;
            if let Ok(source) = Layout::new(self.fill.len(), 0, &shape, &strides) {
                // SAFETY: the source is one element, which `fill` is.
                unsafe { self.write(self.fill.as_ptr(), &source, start) };
            }
            start += count;
        }
    }

    /// The frames from `start` to before `stop`, in one piece. They are overwritten at some time: see [`holds`](Self::holds).
    pub fn window(&self, start: i64, stop: i64) -> Result<Window> {
        let index = self.index();
        let first = index - self.frames;
        if start < first || stop > index || start > stop {
            let bounds = format!("the history has frames {first} to {index}");
            return Err(Error::new(ErrorKind::NotFound, format!("{bounds} (got {start} to {stop})")));
        }
        let position = self.position(start);
        let layout = self.layout.rows(position..position + (stop - start) as usize);
        Ok(Window { data: self.start(), layout, start, stop })
    }

    /// Whether the frames from `start` on were all still there, until this call.
    pub fn holds(&self, start: i64) -> bool {
        // Behind the reading of frames: pairs with the fence in `append`.
        fence(Ordering::Acquire);
        start >= self.write_index.load(Ordering::Relaxed) - self.lap
    }

    /// Copies the frames from `start` to before `stop` to `to`, in C order.
    ///
    /// # Errors
    /// `NotFound`: they are not there, or not any more.
    pub fn copy(&self, start: i64, stop: i64, to: &mut [u8]) -> Result<()> {
        let window = self.window(start, stop)?;
        let target = Layout::c_order(window.layout.item(), window.layout.shape())?;
        if to.len() < target.size() {
            let needed = target.size();
            let reason =
                format!("size must be at least {needed}, the bytes of these frames (got {})", to.len());
            return Err(Error::new(ErrorKind::Truncated, reason));
        }
        // SAFETY: the window is within the ring, and the target has just been found to fit.
        unsafe { array::copy(window.data.as_ptr(), &window.layout, to.as_mut_ptr(), &target) };
        if self.holds(start) {
            return Ok(());
        }
        let reason = format!("frames from {start} on were overwritten while they were copied");
        Err(Error::new(ErrorKind::NotFound, reason))
    }

    /// Begins again at index 0. What is in it stays and counts as older.
    pub fn reset(&self) {
        let _one = self.appending.lock();
        self.write_index.store(0, Ordering::Relaxed);
        self.read_index.store(0, Ordering::Release);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::numpy::parse_dtype;
    use proptest::prelude::*;

    fn config(dtype: &str, frame_shape: &[usize], frames: usize, order: Option<&[usize]>) -> HistoryConfig {
        HistoryConfig {
            dtype: parse_dtype(dtype).unwrap(),
            frame_shape: frame_shape.to_vec(),
            frames,
            axisorder: order.map(<[usize]>::to_vec),
            fill: None,
        }
    }

    /// Appends `count` frames of `width` bytes whose elements tell their index.
    fn append(history: &History, width: usize, count: usize, index: Option<i64>) -> Result<Range<i64>> {
        let start = index.unwrap_or(history.index() + count as i64) - count as i64;
        let data: Vec<u8> =
            (0..count * width).map(|i| value(start + (i / width) as i64, i % width)).collect();
        let layout = Layout::c_order(1, &[count, width]).unwrap();
        // SAFETY: the data is of that layout.
        unsafe { history.append(data.as_ptr(), &layout, index) }
    }

    fn value(index: i64, element: usize) -> u8 {
        (index * 3 + element as i64 * 101 + 1) as u8
    }

    fn read(history: &History, width: usize, start: i64, stop: i64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; width * (stop - start).max(0) as usize];
        history.copy(start, stop, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn windows_gaps_and_bounds() {
        let history = History::new(&config("u1", &[2], 10, None)).unwrap();
        assert_eq!((history.index(), history.first_index()), (0, -10));
        assert_eq!(read(&history, 2, -10, 0).unwrap(), [0; 20]);
        assert_eq!(append(&history, 2, 3, None).unwrap(), 0..0);
        assert_eq!(append(&history, 2, 2, Some(9)).unwrap(), 3..7);
        assert_eq!((history.index(), history.first_index()), (9, -1));
        let mut expected = vec![0; 20];
        for index in [0, 1, 2, 7, 8] {
            for element in 0..2 {
                expected[(index + 1) as usize * 2 + element] = value(index, element);
            }
        }
        assert_eq!(read(&history, 2, -1, 9).unwrap(), expected);
        for (start, stop) in [(-2, 9), (0, 10), (5, 4)] {
            let error = history.window(start, stop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.message().contains("has frames -1 to 9"), "{error}");
        }
        assert!(append(&history, 2, 11, None).unwrap_err().message().contains("at most 10 frames (got 11)"));
        assert!(append(&history, 2, 1, Some(9)).unwrap_err().message().contains("at least 10"));
        assert!(append(&history, 3, 1, None).unwrap_err().message().contains("of shape [2]"));
        assert_eq!(read(&history, 2, -1, 9).unwrap(), expected);
        history.reset();
        assert_eq!(append(&history, 2, 1, None).unwrap(), 0..0);
        assert_eq!(history.index(), 1);
    }

    #[test]
    fn what_was_overwritten_is_told() {
        let history = History::new(&config("u1", &[4096], 4, None)).unwrap();
        append(&history, 4096, 4, None).unwrap();
        let window = history.window(0, 4).unwrap();
        assert!(history.holds(window.start));
        append(&history, 4096, 1, None).unwrap();
        assert!(!history.holds(window.start));
        assert!(history.holds(1));
    }

    #[test]
    fn a_gap_longer_than_the_ring_fills_it() {
        let history =
            History::new(&HistoryConfig { fill: Some(9.0), ..config("u1", &[1], 5, None) }).unwrap();
        append(&history, 1, 5, None).unwrap();
        assert_eq!(append(&history, 1, 1, Some(1_000_000_000_000)).unwrap(), 5..999_999_999_999);
        let last = value(999_999_999_999, 0);
        assert_eq!(read(&history, 1, 999_999_999_995, 1_000_000_000_000).unwrap(), [9, 9, 9, 9, last]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (config, what) in [
            (config("u1", &[1], 0, None), "frames must be at least 1"),
            (config("u1", &[0], 1, None), "at least one byte"),
            (config("u1", &[1], 1, Some(&[0])), "axisorder must have each of the 2 axes once"),
            (config("u1", &[1], usize::MAX, None), "too large"),
            (config("f8", &[1 << 40, 1 << 20], 1 << 10, None), "no memory holds"),
        ] {
            let error = History::new(&config).err().unwrap();
            assert!(error.message().contains(what), "{error}");
        }
        // More than there is address space for.
        assert_eq!(
            History::new(&config("u1", &[1 << 20], 1 << 30, None)).err().unwrap().kind(),
            ErrorKind::NoMemory
        );
    }

    proptest! {
        /// Against a list of frames.
        #[test]
        fn any_chunks(
            width in 1usize..4,
            frames in 1usize..40,
            order in prop::sample::select(vec![None, Some(vec![0, 1]), Some(vec![1, 0])]),
            chunks in prop::collection::vec((0usize..40, 0i64..60), 0..20),
            windows in prop::collection::vec((0.0..1.0, 0.0..1.0), 4),
        ) {
            let history = History::new(&config("u1", &[width], frames, order.as_deref())).unwrap();
            // Index and element to value, of what was sent.
            let mut sent = std::collections::BTreeSet::new();
            for (count, gap) in chunks {
                let count = count.min(frames);
                let before = history.index();
                let index = before + gap + count as i64;
                prop_assert_eq!(append(&history, width, count, Some(index)).unwrap(), before..before + gap);
                sent.extend(before + gap..index);
            }
            let (first, last) = (history.first_index(), history.index());
            for (a, b) in windows {
                let at = |part: f64| first + (part * frames as f64).round() as i64;
                let (start, stop) = (at(a).min(at(b)), at(a).max(at(b)));
                let expected: Vec<u8> = (start..stop)
                    .flat_map(|index| (0..width).map(move |element| (index, element)))
                    .map(|(index, element)| if sent.contains(&index) { value(index, element) } else { 0 })
                    .collect();
                prop_assert_eq!(read(&history, width, start, stop).unwrap(), expected);
            }
            prop_assert!(history.window(first - 1, last).is_err() && history.window(first, last + 1).is_err());
        }
    }

    #[test]
    fn more_blocks_than_can_be_mapped_are_written_twice() {
        let history = History::new(&config("u1", &[2000], 3, Some(&[1, 0]))).unwrap();
        assert!(matches!(history.memory, Memory::Plain(_)));
        for _ in 0..10 {
            append(&history, 2000, 2, None).unwrap();
            let last = history.index();
            let window = read(&history, 2000, last - 3, last).unwrap();
            let expected: Vec<u8> = (last - 3..last)
                .flat_map(|index| {
                    (0..2000).map(move |element| if index < 0 { 0 } else { value(index, element) })
                })
                .collect();
            assert_eq!(window, expected);
        }
    }
}
