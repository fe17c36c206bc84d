//! Where packets end: files of raw, framed or text records, or a function.
//!
//! | file | what it is |
//! |---|---|
//! | `file_sink.rs` | a sink that writes files in some format |
//! | `format.rs` | the formats: binary, framed, text |
//! | `files.rs` | one file after the other: created, written, rotated, made durable |
//!
//! Only the thread that has the buffer's way out uses a sink.

mod file_sink;
mod files;
mod format;

use super::batch::{Batch, Lost, Packet, Run};
use super::segment::Amount;
use crate::error::Result;

pub use crate::storage::Durability;
pub use file_sink::{binary, framed, text};
pub use files::FileConfig;
pub use format::{Formatter, LayoutText};

/// How far a sink has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// It has, or has passed, all packets with lower numbers.
    pub next: u64,
    /// Packets that it has.
    pub packets: u64,
    /// Bytes that it wrote, without headers.
    pub bytes: u64,
    /// Packets that were lost before they came to it.
    pub lost: Amount,
    /// Packets that it has left out: they could not be formatted, or were not wanted.
    pub skipped: u64,
}

impl Progress {
    /// Over a packet that it has.
    #[inline]
    pub fn pass(&mut self, packet: &Packet<'_>) {
        self.next = packet.number + 1;
        self.packets += 1;
    }

    /// Over packets that it has.
    pub fn pass_run(&mut self, run: &Run<'_>) {
        self.next = run.end();
        self.packets += run.count() as u64;
    }

    /// Over a packet that it leaves out.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        self.next = packet.number + 1;
        self.skipped += 1;
    }

    /// Over a loss.
    pub fn lose(&mut self, lost: &Lost) {
        self.next = lost.last + 1;
        self.lost += Amount { packets: lost.packets, bytes: lost.bytes };
    }
}

/// Takes packets.
pub trait Sink: Send {
    /// Takes the packets and losses of `batch` from `progress.next` on. `progress` says how far it has come also when it fails: what is before
    /// that is not given again, what is behind it is.
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()>;

    /// All of a flush has been written.
    fn finish_flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Nothing more comes.
    fn close(&mut self, progress: &Progress) -> Result<()>;
}

/// What became of the packets in a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Where it is.
    pub progress: Progress,
    /// Times that it failed.
    pub errors: u64,
}

/// A sink of a buffer.
pub(super) struct Attached {
    sink: Box<dyn Sink>,
    pub(super) primary: bool,
    pub(super) progress: Progress,
    errors: u64,
}

impl Attached {
    pub(super) fn new(sink: Box<dyn Sink>, primary: bool, next: u64) -> Self {
        Self { sink, primary, progress: Progress { next, ..Progress::default() }, errors: 0 }
    }

    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        let result = self.sink.write(batch, &mut self.progress);
        self.errors += u64::from(result.is_err());
        result
    }

    pub(super) fn finish_flush(&mut self) -> Result<()> {
        let result = self.sink.finish_flush();
        self.errors += u64::from(result.is_err());
        result
    }

    pub(super) fn close(&mut self) -> Result<()> {
        self.sink.close(&self.progress)
    }

    pub(super) fn stats(&self) -> SinkStats {
        SinkStats { progress: self.progress, errors: self.errors }
    }
}
