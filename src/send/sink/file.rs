//! Packets into a file: back to back, or as a capture that other programs read.
//!
//! A capture (classic pcap, nanoseconds) has Ethernet frames of UDP over IPv4, from and to addresses of no meaning: substream i is port 7148 + i.
//! Invariant: the file has whole packets up to `end`; what an error left behind that is cut off, so that the next packet may follow.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::{OutPacket, Refusal, Sent, Sink, StopFlag};
use crate::error::{Error, Result};
use crate::sys::{clock, file};

/// How packets stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One behind the other, and nothing else.
    Raw,
    /// A capture.
    Pcap,
}

/// Substreams of a capture: ports.
const SUBSTREAMS: usize = 1024;

/// The port of the first substream.
const PORT: u16 = 7148;

/// Bytes in front of a packet in a capture: record, Ethernet, IPv4, UDP.
const FRAME: usize = 16 + 14 + 20 + 8;

/// The largest packet that fits in an IPv4 datagram.
const LARGEST: usize = 65_507;

/// Writes packets to a file.
pub struct FileSink {
    file: File,
    path: PathBuf,
    format: FileFormat,
    end: u64,
    /// Frames of the packets at hand.
    frames: Vec<u8>,
}

impl FileSink {
    /// Makes a file, in place of one that may be there.
    pub fn create(path: &Path, format: FileFormat) -> Result<Self> {
        let file =
            File::create(path).map_err(|e| Error::io(format_args!("creating {}", path.display()), &e))?;
        let mut sink = Self { file, path: path.to_owned(), format, end: 0, frames: Vec::new() };
        if format == FileFormat::Pcap {
            let mut header = Vec::with_capacity(24);
            for word in [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 262_144, 1u32] {
                header.extend_from_slice(&word.to_le_bytes());
            }
            sink.write(&mut [IoSlice::new(&header)])?;
        }
        Ok(sink)
    }

    fn write(&mut self, slices: &mut [IoSlice<'_>]) -> Result<()> {
        match file::write_all_at(self.file.as_fd(), slices, self.end) {
            Ok(written) => {
                self.end += written;
                Ok(())
            }
            Err(error) => {
                // A partial packet is no packet.
                if let Err(reason) = self.file.set_len(self.end) {
                    log::warn!("{}: cutting off a partial packet: {reason}", self.path.display());
                }
                Err(Error::io(format_args!("writing {}", self.path.display()), &error))
            }
        }
    }
}

/// A record's and its frame's headers. Nothing of them is checked by those who read captures but lengths, types and the IP header's sum.
fn frame(size: usize, substream: usize, now: u64, out: &mut Vec<u8>) {
    let length = (FRAME - 16 + size) as u32;
    for word in [(now / 1_000_000_000) as u32, (now % 1_000_000_000) as u32, length, length] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    // Locally administered addresses, IPv4.
    out.extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    let total = ((20 + 8 + size) as u16).to_be_bytes();
    let mut ip = [0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    let sum: u32 = ip.as_chunks::<2>().0.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum();
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    [ip[10], ip[11]] = (!fold(fold(sum)) as u16).to_be_bytes();
    out.extend_from_slice(&ip);
    let port = PORT + substream as u16;
    // Without a checksum, which IPv4 allows.
    for half in [PORT - 1, port, (8 + size) as u16, 0] {
        out.extend_from_slice(&half.to_be_bytes());
    }
}

impl Sink for FileSink {
    fn send(&mut self, packets: &[OutPacket<'_>], _: &StopFlag) -> Sent {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        if self.format == FileFormat::Pcap {
            let now = clock::now();
            packets.iter().for_each(|packet| frame(packet.bytes.size, packet.substream, now, &mut frames));
        }
        let mut sent = Sent::default();
        let each = if self.format == FileFormat::Pcap { FRAME } else { 0 };
        let slices_of = |range: std::ops::Range<usize>| {
            let mut slices = Vec::new();
            for (i, packet) in packets.iter().enumerate().take(range.end).skip(range.start) {
                slices.push(IoSlice::new(frames.get(i * each..(i + 1) * each).unwrap_or_default()));
                packet.bytes.add_to(&mut slices);
            }
            slices
        };
        match self.write(&mut slices_of(0..packets.len())) {
            Ok(()) => sent.packets = packets.len(),
            // One by one, to tell which of them it is about.
            Err(_) => {
                for i in 0..packets.len() {
                    if let Err(error) = self.write(&mut slices_of(i..i + 1)) {
                        sent.refusal = Some(Refusal::Failed(error));
                        break;
                    }
                    sent.packets += 1;
                }
            }
        }
        self.frames = frames;
        sent
    }

    fn substreams(&self) -> usize {
        SUBSTREAMS
    }

    fn max_packet_size(&self) -> usize {
        if self.format == FileFormat::Pcap { LARGEST } else { usize::MAX }
    }
}
