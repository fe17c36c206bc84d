//! A sink that writes files in some format.

use std::sync::Arc;

use super::files::{FileConfig, Files};
use super::format::{Binary, Format, Formatter, Framed, Text};
use super::{Progress, Sink};
use crate::error::Result;
use crate::event::batch::{Batch, Item};
use crate::event::gather::Gather;
use crate::event::layout::PacketLayout;

/// Bytes that are made before they are written: they should stay in the processor's cache.
const MOST_MADE: usize = 256 << 10;

/// Bytes of packets that are given to a format at once.
const MOST_AT_ONCE: u64 = 32 << 10;

/// Memory for these bytes that is kept.
const MOST_KEPT: usize = 2 * MOST_MADE;

/// The packets' bytes, as they are.
pub fn binary(config: FileConfig) -> Result<Box<dyn Sink>> {
    FileSink::create(config, Binary)
}

/// Records with times, CRCs and loss marks, in the format of docs/event-files.md; `layout` says in the header what packets mean.
pub fn framed(config: FileConfig, layout: Option<&Arc<PacketLayout>>) -> Result<Box<dyn Sink>> {
    let layout = layout.map(|layout| layout.to_string()).unwrap_or_default();
    FileSink::create(config, Framed { layout })
}

/// Text.
pub fn text(config: FileConfig, formatter: impl Formatter + 'static) -> Result<Box<dyn Sink>> {
    FileSink::create(config, Text(formatter))
}

struct FileSink<F> {
    files: Files,
    format: F,
    /// For what is made for the file; kept, as new memory costs the kernel about as much as the file's.
    memory: Vec<u8>,
}

impl<F: Format + 'static> FileSink<F> {
    /// With its first file, so that what is wrong with it is known at once.
    fn create(config: FileConfig, format: F) -> Result<Box<dyn Sink>> {
        let mut sink = Self { files: Files::new(config)?, format, memory: Vec::new() };
        sink.open(&Progress::default())?;
        Ok(Box::new(sink))
    }

    fn open(&mut self, start: &Progress) -> Result<()> {
        let Self { files, format, .. } = self;
        files.open(*start, |files| format.header(files.number(), files.user_header()))
    }

    /// Ends the file and begins the next.
    fn rotate(&mut self, progress: &Progress) -> Result<()> {
        self.end_file(progress)?;
        self.open(progress)
    }

    fn end_file(&mut self, progress: &Progress) -> Result<()> {
        let end = self.files.start().map(|start| self.format.end(&start, progress));
        self.files.close(&end.unwrap_or_default())
    }

    /// Writes what was gathered; `ahead` is then where the sink is.
    fn write_out(
        &mut self,
        gather: &mut Gather<'_>,
        ahead: &mut Progress,
        progress: &mut Progress,
    ) -> Result<()> {
        if gather.bytes() > 0 {
            self.files.write(&mut gather.slices())?;
            ahead.bytes += gather.bytes();
            gather.clear();
        }
        *progress = *ahead;
        Ok(())
    }

    /// Writes what comes behind `progress`.
    fn write_items<'a>(
        &mut self,
        batch: &'a Batch,
        gather: &mut Gather<'a>,
        progress: &mut Progress,
    ) -> Result<()> {
        let mut ahead = *progress;
        let mut items = batch.items(progress.next);
        loop {
            let most = self.files.room().saturating_sub(gather.bytes()).min(MOST_AT_ONCE);
            if let Some(more) = F::MORE
                && gather.made() < MOST_MADE
                && let Some(run) = items.next_run(most, more)
            {
                self.format.run(&run, gather);
                ahead.pass_run(&run);
                continue;
            }
            let Some(item) = items.next() else { break };
            if self.files.is_full(gather.bytes()) {
                self.write_out(gather, &mut ahead, progress)?;
                self.rotate(progress)?;
            } else if gather.made() >= MOST_MADE {
                self.write_out(gather, &mut ahead, progress)?;
            }
            match item {
                Item::Lost(lost) => {
                    self.format.lost(lost, gather);
                    ahead.lose(lost);
                }
                Item::Packet(packet) => match self.format.packet(&packet, gather) {
                    Ok(true) => ahead.pass(&packet),
                    Ok(false) => ahead.skip(&packet),
                    Err(error) => {
                        // What came before it is not to be formatted again.
                        self.write_out(gather, &mut ahead, progress)?;
                        return Err(error);
                    }
                },
            }
        }
        self.write_out(gather, &mut ahead, progress)
    }
}

impl<F: Format + 'static> Sink for FileSink<F> {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        if !self.files.is_open() {
            self.open(progress)?;
        } else if self.files.is_old() {
            self.rotate(progress)?;
        }
        let mut gather = Gather::new(std::mem::take(&mut self.memory));
        let result = self.write_items(batch, &mut gather, progress);
        self.memory = gather.into_memory();
        self.memory.shrink_to(MOST_KEPT);
        result
    }

    fn finish_flush(&mut self) -> Result<()> {
        self.files.sync_if_due()
    }

    fn close(&mut self, progress: &Progress) -> Result<()> {
        self.end_file(progress)
    }
}
