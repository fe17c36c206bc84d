//! Sources of packets. A [`Reader`] is driven by its stream's worker and never blocks.

mod buffer;
#[cfg(feature = "pcap")]
mod capture;
#[cfg(feature = "pcap")]
mod held;
mod inproc;
#[cfg(feature = "pcap")]
mod live;
#[cfg(feature = "pcap")]
pub mod pcap;
mod source;
mod tcp;
mod udp;

pub use buffer::BufferReader;
#[cfg(feature = "pcap")]
pub use capture::PcapReader;
pub use inproc::{InprocQueue, InprocReader};
#[cfg(feature = "pcap")]
pub use live::{PcapLiveConfig, PcapLiveReader};
pub use source::SourceFilter;
pub use tcp::{OnGarbage, TcpConfig, TcpReader};
pub use udp::{Coalesce, DEFAULT_BATCH_DELAY, Timestamps, UdpConfig, UdpReader};

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::sink::PacketSink;
use crate::error::Error;

/// What a reader wants after it was polled.
#[derive(Debug)]
pub enum Polled {
    /// To be polled again, after others had their turn.
    More,
    /// To be polled when its descriptor becomes readable.
    Idle,
    /// To be polled after so long, as more will have gathered then; its descriptor wakes nobody meanwhile.
    Rest(Duration),
    /// The stream would not take a packet, which the reader keeps; or it has ended.
    Blocked,
    /// To be polled again at once, with another descriptor: the watch of the present one is to end, and after
    /// [`Reader::move_on`] that of the next one begins.
    Moving,
    /// It has nothing more.
    Ended,
    /// It cannot go on.
    Failed(Error),
}

/// What a reader had in hand when it was let go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Leftover {
    /// Packets received and not offered, or not taken.
    pub packets: u64,
    /// Datagrams dropped by the kernel that the reader had not reported yet.
    pub kernel_drops: u64,
}

/// A source of packets. It keeps a packet that was not taken and offers it again first.
pub trait Reader: Send {
    /// The descriptor to wait for; `None` if there is always something to read.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Offers a bounded number of packets to `sink`.
    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled;

    /// Goes from the descriptor that [`fd`](Self::fd) has given so far, which is not watched any more, to the next one.
    /// Called after [`Polled::Moving`] only.
    fn move_on(&mut self) {}

    /// The stream has ended; what is left?
    fn leftover(&mut self) -> Leftover;
}
