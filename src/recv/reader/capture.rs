//! Packets from a capture file, as fast as they can be taken.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use super::held::Held;
use super::pcap::{PcapFile, Skip};
use super::{Leftover, Polled, Reader};
use crate::error::Result;
use crate::recv::sink::{Arrival, PacketSink};
use crate::recv::stats::Stat;

/// Records read per poll, before other tasks get their turn.
const BATCH: usize = 256;

/// Reads the UDP payloads of a capture file.
pub struct PcapReader {
    file: PcapFile,
    held: Held,
}

impl PcapReader {
    /// Opens a capture file; `filter` is in the language of tcpdump.
    pub fn open(path: &Path, filter: Option<&str>) -> Result<Self> {
        Ok(Self { file: PcapFile::open(path, filter)?, held: Held::default() })
    }
}

/// The arrival of a frame that was captured so long after 1970.
pub(super) fn arrival(time: Duration) -> Arrival {
    Arrival { nanoseconds: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), hardware: false }
}

/// What a frame without a payload counts as.
pub(super) fn reason(skip: Skip) -> Stat {
    match skip {
        Skip::Fragment => Stat::Fragment,
        Skip::Truncated => Stat::Truncated,
        Skip::NotUdp | Skip::BadLength => Stat::NotUdp,
    }
}

impl Reader for PcapReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        if !self.held.offer_again(sink) {
            return Polled::Blocked;
        }
        for _ in 0..BATCH {
            if sink.ended() {
                return Polled::Blocked;
            }
            let (payload, time) = match self.file.next() {
                Ok(Some(record)) => (record.payload, record.time),
                Ok(None) => return Polled::Ended,
                Err(error) => return Polled::Failed(error),
            };
            match payload {
                Ok(payload) => {
                    if !self.held.offer(payload, arrival(time), sink) {
                        return Polled::Blocked;
                    }
                }
                Err(skip) => sink.discard(reason(skip)),
            }
        }
        Polled::More
    }

    fn leftover(&mut self) -> Leftover {
        Leftover { packets: self.held.forget().into(), kernel_drops: 0 }
    }
}
