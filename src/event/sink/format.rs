//! What packets look like in a file.

use std::sync::Arc;

use super::Progress;
use crate::error::Result;
use crate::event::batch::{Lost, Packet, Run};
use crate::event::frame::{self, EndMark, FileHeader, LossMark};
use crate::event::gather::Gather;
use crate::event::layout::PacketLayout;
use crate::log::Limited;
use crate::sys::clock;

/// Longer packets are written from where they are, shorter ones from where they were copied to: a stretch of its own costs the kernel about as much
/// as the copying of so many bytes.
const COPIED: usize = 1024;

/// A format of files.
pub(super) trait Format: Send {
    /// How many bytes more than its own each packet takes in the file, if it can add many at once.
    const MORE: Option<usize> = None;

    /// What the file of that number begins with.
    fn header(&self, number: u64, user: &[u8]) -> Result<Vec<u8>> {
        let _ = number;
        Ok(user.to_vec())
    }

    /// Adds a packet. False if it is left out.
    fn packet<'a>(&mut self, packet: &Packet<'a>, gather: &mut Gather<'a>) -> Result<bool>;

    /// Adds many packets; only where `MORE` says so.
    fn run<'a>(&mut self, _: &Run<'a>, _: &mut Gather<'a>) {}

    /// Adds a loss, where the format can say it.
    fn lost(&mut self, _: &Lost, _: &mut Gather<'_>) {}

    /// What a file ends with that holds what a sink took between these two.
    fn end(&self, _start: &Progress, _end: &Progress) -> Vec<u8> {
        Vec::new()
    }
}

/// The packets' bytes, one behind the other.
pub(super) struct Binary;

impl Format for Binary {
    const MORE: Option<usize> = Some(0);

    #[inline]
    fn packet<'a>(&mut self, packet: &Packet<'a>, gather: &mut Gather<'a>) -> Result<bool> {
        gather.push(packet);
        Ok(true)
    }

    fn run<'a>(&mut self, run: &Run<'a>, gather: &mut Gather<'a>) {
        gather.push_run(run);
    }
}

/// Records with time and CRC, see `frame.rs`.
pub(super) struct Framed {
    /// The packet layout's text, for the header; may be empty.
    pub(super) layout: String,
}

impl Framed {
    #[inline]
    fn add<'a>(&self, packet: &Packet<'a>, gather: &mut Gather<'a>) {
        let data = packet.data();
        if data.len() <= COPIED {
            gather.push_made(|made| frame::append_packet(made, packet.time, data));
        } else {
            gather.push_copy(&frame::packet_header(packet.time, data));
            gather.push(packet);
        }
    }
}

impl Format for Framed {
    const MORE: Option<usize> = Some(frame::RECORD_HEADER);

    fn header(&self, number: u64, user: &[u8]) -> Result<Vec<u8>> {
        FileHeader { number, created: clock::now(), layout: self.layout.clone(), user: user.to_vec() }
            .encode()
    }

    #[inline]
    fn packet<'a>(&mut self, packet: &Packet<'a>, gather: &mut Gather<'a>) -> Result<bool> {
        self.add(packet, gather);
        Ok(true)
    }

    fn run<'a>(&mut self, run: &Run<'a>, gather: &mut Gather<'a>) {
        if run.size() > run.count() * COPIED {
            run.packets().for_each(|packet| self.add(&packet, gather));
            return;
        }
        gather.push_made(|made| {
            made.reserve(run.size() + run.count() * frame::RECORD_HEADER);
            run.packets().for_each(|packet| frame::append_packet(made, packet.time, packet.data()));
        });
    }

    fn lost(&mut self, lost: &Lost, gather: &mut Gather<'_>) {
        let Lost { packets, bytes, first_time, last_time, .. } = *lost;
        gather.push_copy(&LossMark { packets, bytes, first_time, last_time }.encode());
    }

    fn end(&self, start: &Progress, end: &Progress) -> Vec<u8> {
        let (packets, lost) = (end.packets - start.packets, end.lost.packets - start.lost.packets);
        EndMark { packets, lost, time: clock::now() }.encode().to_vec()
    }
}

/// Makes text of packets.
pub trait Formatter: Send {
    /// Appends a packet's text to `text`. False, and nothing appended, if it is to be left out. An error fails the flush, and the packet comes again
    /// with the next.
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool>;
}

/// Whatever a formatter makes of packets.
pub(super) struct Text<F>(pub(super) F);

impl<F: Formatter> Format for Text<F> {
    fn packet<'a>(&mut self, packet: &Packet<'a>, gather: &mut Gather<'a>) -> Result<bool> {
        gather.push_made(|made| {
            let before = made.len();
            let result = self.0.format(packet, made);
            if !matches!(result, Ok(true)) {
                made.truncate(before);
            }
            result
        })
    }
}

/// Text by a packet layout. Packets that do not follow it are left out, with a word in the log.
pub struct LayoutText {
    layout: Arc<PacketLayout>,
    /// Between values; `None`: plain CSV.
    separator: Option<String>,
    misfits: Limited,
}

impl LayoutText {
    /// The values as Python writes them, with a separator between them.
    pub fn new(layout: Arc<PacketLayout>, separator: &str) -> Self {
        Self::with(layout, Some(separator.to_owned()))
    }

    /// Plain CSV.
    pub fn csv(layout: Arc<PacketLayout>) -> Self {
        Self::with(layout, None)
    }

    fn with(layout: Arc<PacketLayout>, separator: Option<String>) -> Self {
        Self {
            layout,
            separator,
            misfits: Limited::new("event sink: packets that do not follow their layout"),
        }
    }
}

impl Formatter for LayoutText {
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool> {
        let written = match &self.separator {
            Some(separator) => self.layout.write_text(packet.data(), separator, text),
            None => self.layout.write_csv(packet.data(), text),
        };
        if let Err(error) = &written {
            self.misfits.note(|| format!("number {}: {error}", packet.number));
        }
        Ok(written.is_ok())
    }
}
