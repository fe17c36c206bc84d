//! Where packets go.
//!
//! A sink is used by its stream's thread only. It may wait, but looks at least ten times per second whether the stream is to stop.

mod file;
mod inproc;
mod socket;
mod tcp;
mod udp;

pub use file::{FileFormat, FileSink};
pub use inproc::InprocSink;
pub use socket::Destination;
pub use tcp::{TcpSendConfig, TcpSink};
pub use udp::{UdpSendConfig, UdpSink};

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::pace::Pace;
use crate::error::Error;
use crate::sys::gather::Gather;

/// How long a sink waits before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Whether the stream is to stop.
#[derive(Debug, Default)]
pub struct StopFlag(AtomicBool);

impl StopFlag {
    /// Asks all who look to stop.
    pub fn set(&self) {
        // Relaxed: it publishes nothing.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A packet on its way.
#[derive(Debug, Clone, Copy)]
pub struct OutPacket<'a> {
    /// Its bytes.
    pub bytes: Gather<'a>,
    /// Where it goes: an index below [`Sink::substreams`].
    pub substream: usize,
}

/// Why a sink took no more packets.
#[derive(Debug)]
pub enum Refusal {
    /// The next one cannot be sent.
    Failed(Error),
    /// The stream is to stop.
    Stopped,
}

/// What came of packets that were handed to a sink.
#[derive(Debug, Default)]
pub struct Sent {
    /// So many were taken: the first ones.
    pub packets: usize,
    /// Why not the next one; `None` if that was all.
    pub refusal: Option<Refusal>,
    /// News that came meanwhile of packets that had been taken, at hand or right before: those that it may be about, by their indices, and what is wrong.
    pub news: Vec<(Range<usize>, Error)>,
}

/// Where packets go.
pub trait Sink: Send {
    /// Takes packets in their order.
    fn send(&mut self, packets: &[OutPacket<'_>], stop: &StopFlag) -> Sent;

    /// How many destinations there are.
    fn substreams(&self) -> usize;

    /// Bytes that a packet may have at the most.
    fn max_packet_size(&self) -> usize {
        usize::MAX
    }

    /// Has the kernel space packets of so many bytes. The answer is why it cannot, if it cannot.
    fn pace(&mut self, _pace: &Pace, _packet: usize) -> Result<Option<String>, Error> {
        Ok(Some("there is no kernel between the stream and where packets go".into()))
    }

    /// Everything was sent, or the stream stops: whatever is kept back goes now.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
