//! The ring file of the transfer mode `sharedmem`, as pyacq has it: the output writes frames into it, inputs read them when they are told.
//!
//! ```text
//! byte 0: i64 read_index | 8: i64 write_index | 16: array of shape (frames, or twice as many; frame's shape), axes in axisorder
//! ```
//!
//! Numbers are in this machine's order. Frame `i` is at `i` mod `frames`, and in a doubled ring also `frames` behind. A writer sets `write_index`, writes,
//! and then sets `read_index`: what is older than `write_index - frames` may be overwritten.
//!
//! The writer maps the file, whose space it has taken before. Readers do not map it but read it by pread(2): the file belongs to another process, which may
//! make it shorter at any time, and mapped memory behind its end would kill this process (SIGBUS); and as frames can be overwritten while somebody looks at
//! them, they have to be copied anyway, and the indices checked after that.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering, fence};

use super::address::{folder, random_name};
use crate::error::{Error, ErrorKind, Result};
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::memory::filled;
use crate::signal::numpy::fill_element;
use crate::signal::params::Params;
use crate::sys::map_file::{MappedFile, NOT_BLOCKING};

/// Bytes of the two indices.
const HEADER: usize = 16;
/// Frames at the most, so that indices can be compared as the file has them.
const MOST_FRAMES: u64 = 1 << 48;

/// How the ring of a stream lies in its file.
#[derive(Debug)]
struct Shape {
    /// How many of the latest frames there are.
    frames: u64,
    double: bool,
    frame: Vec<usize>,
    order: Vec<usize>,
    /// Of the array.
    layout: Layout,
}

impl Shape {
    fn of(params: &Params) -> Result<Self> {
        let frames = params.buffer_size;
        if frames == 0 || frames > MOST_FRAMES {
            let rule = "with the transfermode sharedmem";
            return Err(Error::invalid(format!(
                "buffer_size must be 1 to {MOST_FRAMES} frames {rule} (got {frames})"
            )));
        }
        let frame = params.frame_shape();
        let order = params.axisorder.clone().unwrap_or_else(|| (0..=frame.len()).collect());
        let rows = if params.double { 2 * frames } else { frames };
        let shape: Vec<usize> = std::iter::once(rows as usize).chain(frame.iter().copied()).collect();
        let layout = Layout::ordered(params.dtype.size(), &shape, &order)?;
        if layout.size() == 0 {
            return Err(Error::invalid("a ring's elements must have at least one byte (got 0)"));
        }
        if layout.size() > isize::MAX as usize - HEADER {
            return Err(Error::invalid(format!("no file holds a ring of {} bytes", layout.size())));
        }
        Ok(Self { frames, double: params.double, frame, order, layout })
    }

    /// Bytes of the file.
    fn size(&self) -> usize {
        HEADER + self.layout.size()
    }

    /// `rows` frames with the axes in the ring's order, and nothing between.
    fn chunk_layout(&self, rows: usize) -> Result<Layout> {
        let shape: Vec<usize> = std::iter::once(rows).chain(self.frame.iter().copied()).collect();
        Layout::ordered(self.layout.item(), &shape, &self.order)
    }

    /// Where frames from `start` on are in a ring that has each once: at most twice a run of rows. They are no more than `frames`.
    fn runs(&self, start: u64, rows: u64) -> [Range<usize>; 2] {
        let at = (start % self.frames) as usize;
        let first = (rows as usize).min(self.frames as usize - at);
        [at..at + first, 0..rows as usize - first]
    }
}

/// The ring that an output writes.
#[derive(Debug)]
pub(super) struct RingWriter {
    shape: Shape,
    file: MappedFile,
    /// The value of frames that were skipped.
    fill: Vec<u8>,
    /// The frame behind the last that was written.
    index: u64,
}

impl RingWriter {
    /// A new ring in a file of its own.
    pub fn create(params: &Params, parent: Option<&Path>) -> Result<Self> {
        let shape = Shape::of(params)?;
        let path = folder(parent).join(random_name("pyacq_SharedMem_", 12));
        let file = MappedFile::create(&path, shape.size()).map_err(|reason| {
            Error::io(format_args!("make a ring of {} bytes in {}", shape.size(), path.display()), &reason)
        })?;
        let fill = fill_element(&params.dtype, params.fill);
        Ok(Self { shape, file, fill, index: 0 })
    }

    /// The file's path.
    pub fn id(&self) -> Result<&str> {
        let path = self.file.path();
        path.to_str()
            .ok_or_else(|| Error::invalid(format!("a ring's path must be UTF-8 (got {})", path.display())))
    }

    fn word(&self, number: usize) -> &AtomicI64 {
        // SAFETY: one of the two words at the beginning of a mapping that is longer, begins on a page, and lives as long as self.
        unsafe { AtomicI64::from_ptr(self.file.start().as_ptr().cast::<i64>().add(number)) }
    }

    /// The next chunk may begin at frame 0 again. What is in the ring stays.
    pub fn reset_index(&mut self) {
        self.word(1).store(0, Ordering::Relaxed);
        self.word(0).store(0, Ordering::Release);
        self.index = 0;
    }

    /// Writes a chunk of the ring's item and frame.
    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        let (frames, rows) = (self.shape.frames, chunk.frames() as u64);
        if rows > frames {
            return Err(Error::invalid(format!(
                "a chunk must have at most buffer_size frames, {frames} (got {rows})"
            )));
        }
        let index = i64::try_from(chunk.index)
            .map_err(|_| Error::invalid(format!("index must be below 2^63 (got {})", chunk.index)))?;
        if chunk.start() < self.index {
            return Err(Error::invalid(format!(
                "a chunk must not begin before frame {}, where the last one ended (got {})",
                self.index,
                chunk.start()
            )));
        }
        // Readers must see this before any of what is written over: the fence keeps the later stores behind it.
        self.word(1).store(index, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let skipped_from = self.index.max(chunk.index.saturating_sub(frames));
        if skipped_from < chunk.start() {
            let strides = vec![0; self.shape.frame.len() + 1];
            let shape: Vec<usize> = std::iter::once((chunk.start() - skipped_from) as usize)
                .chain(self.shape.frame.iter().copied())
                .collect();
            let layout = Layout::new(self.fill.len(), 0, &shape, &strides)?;
            // SAFETY: the layout is that of one element in all places, and that is there.
            unsafe { self.put(skipped_from, &layout, self.fill.as_ptr()) };
        }
        // SAFETY: a chunk's layout lies within its data.
        unsafe { self.put(chunk.start(), &chunk.layout, chunk.data.as_ptr()) };
        // Release: whoever sees this sees the frames.
        self.word(0).store(index, Ordering::Release);
        self.index = chunk.index;
        Ok(())
    }

    /// # Safety
    /// From `from` on there is what `layout` tells: frames of this ring, no more than it has.
    unsafe fn put(&self, start: u64, layout: &Layout, from: *const u8) {
        let mut done = 0;
        for run in self.shape.runs(start, layout.shape()[0] as u64) {
            let source = layout.rows(done..done + run.len());
            done += run.len();
            let again = if self.shape.double { self.shape.frames as usize } else { 0 };
            for behind in [0, again].into_iter().take(if self.shape.double { 2 } else { 1 }) {
                let target = self.shape.layout.rows(run.start + behind..run.end + behind);
                // SAFETY: the caller's promise; the target lies within the mapping, which nothing else in this process refers to.
                unsafe { array::copy(from, &source, self.file.start().as_ptr().add(HEADER), &target) };
            }
        }
    }
}

/// What a message told of: there, or not any more.
pub(super) enum Read {
    Chunk(Chunk),
    Overwritten,
}

/// The ring that an input reads.
#[derive(Debug)]
pub(super) struct RingReader {
    shape: Shape,
    file: File,
    shown: String,
    /// The latest message's index, and `read_index` then.
    last: (u64, i64),
}

impl RingReader {
    /// Opens the ring that the params name.
    pub fn open(params: &Params) -> Result<Self> {
        let shape = Shape::of(params)?;
        let path = params.shm_id.as_deref().filter(|path| !path.is_empty() && !path.contains('\0'));
        let path = path.ok_or_else(|| {
            Error::invalid("shm_id must be the path of a ring's file with the transfermode sharedmem")
        })?;
        let shown: String = path.chars().take(200).collect();
        let failed = |reason: io::Error| Error::io(format_args!("open ring {shown}"), &reason);
        // Not blocking: a pipe of that name would have us wait for its writer.
        let file = OpenOptions::new().read(true).custom_flags(NOT_BLOCKING).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(Error::invalid(format!("shm_id must name a file (got {shown})")));
        }
        if found.len() < shape.size() as u64 {
            let (size, found) = (shape.size(), found.len());
            let reason = format!("ring {shown}: a ring of these params takes {size} bytes (got {found})");
            return Err(Error::new(ErrorKind::Format, reason));
        }
        Ok(Self { shape, file, shown, last: (0, 0) })
    }

    fn read_at(&self, to: &mut [u8], at: usize) -> Result<()> {
        self.file.read_exact_at(to, at as u64).map_err(|reason| match reason.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Truncated, format!("ring {}: the file was made shorter", self.shown))
            }
            _ => Error::io(format_args!("read ring {}", self.shown), &reason),
        })
    }

    /// read_index and write_index.
    fn indices(&self) -> Result<(i64, i64)> {
        let mut words = [0; HEADER];
        self.read_at(&mut words, 0)?;
        let word = |at: usize| words[at..].first_chunk().map_or(0, |word| i64::from_ne_bytes(*word));
        Ok((word(0), word(8)))
    }

    /// Reads the `rows` frames before `index`, which have at most `most` bytes.
    pub fn read(&mut self, index: u64, rows: u64, most: u64) -> Result<Read> {
        let frames = self.shape.frames;
        let wrong = |what: String| Err(Error::new(ErrorKind::Format, what));
        if rows > frames || rows > index || index > i64::MAX as u64 {
            return wrong(format!("ring of {frames} frames: {rows} frames before index {index} cannot be"));
        }
        let (end, start) = (index as i64, (index - rows) as i64);
        let (read_index, _) = self.indices()?;
        // A writer sets it before it sends word; and it goes back only together with the stream's own index.
        let (last, last_read) = self.last;
        if read_index < end || (index < last && read_index >= last_read) {
            return wrong(format!(
                "ring {}: it ends at frame {read_index}, and word came of frame {index}: the output has another one, connect with its params anew",
                self.shown
            ));
        }
        self.last = (index, read_index);
        let layout = self.shape.chunk_layout(rows as usize)?;
        if layout.size() as u64 > most {
            return wrong(format!("a chunk has at most {most} bytes (got {})", layout.size()));
        }
        // SAFETY: as many bytes as the layout has are written, or none.
        let data = unsafe {
            filled(layout.size(), |to| {
                // SAFETY: zeros, so that there is something to make a slice of; the buffer has as many bytes.
                let memory = {
                    to.write_bytes(0, layout.size());
                    std::slice::from_raw_parts_mut(to, layout.size())
                };
                self.copy(start as u64, rows as usize, memory).map(|()| layout.size())
            })?
        };
        // What was copied is looked at only if nobody had begun to write over it by now.
        fence(Ordering::Acquire);
        let (_, write_index) = self.indices()?;
        if start < write_index.saturating_sub(frames as i64) {
            return Ok(Read::Overwritten);
        }
        Ok(Read::Chunk(Chunk { index, layout, data }))
    }

    /// Copies frames out of the file, with the axes as they are there.
    fn copy(&self, start: u64, rows: usize, to: &mut [u8]) -> Result<()> {
        let Shape { order, frame, layout, double, frames, .. } = &self.shape;
        // Axes that vary slower than time, and faster.
        let time = order.iter().position(|&axis| axis == 0).unwrap_or(0);
        let count = |axes: &[usize]| axes.iter().map(|&axis| frame[axis - 1]).product::<usize>();
        let (outer, inner) = (count(&order[..time]), count(&order[time + 1..]) * layout.item());
        let at = (start % frames) as usize;
        let runs = if *double { [at..at + rows, 0..0] } else { self.shape.runs(start, rows as u64) };
        let mut done = 0;
        for run in runs.into_iter().filter(|run| !run.is_empty()) {
            for i in 0..outer {
                let from = HEADER + (i * layout.shape()[0] + run.start) * inner;
                let part = &mut to[(i * rows + done) * inner..][..run.len() * inner];
                self.read_at(part, from)?;
            }
            done += run.len();
        }
        Ok(())
    }
}
