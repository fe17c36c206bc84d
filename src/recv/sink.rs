//! Where readers put packets: the stream's side of a [`Reader`](super::reader::Reader).
//!
//! A packet comes whole ([`PacketSink::packet`]), or its payload is read straight into its place: [`PacketSink::open`]
//! with its header, [`PacketSink::room`] before every read, [`PacketSink::close`] when all of it is there.

use super::copy::Room;
use super::stats::Stat;
use crate::spead::{Header, Malformed, Packet};
use crate::sys::clock;

/// What became of a packet that a reader offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It has been counted, and used if it was of use.
    Taken,
    /// The stream must wait for its consumer: offer the same packet again later. Nothing has been counted.
    Blocked,
    /// The stream has ended before this packet, which has not been counted.
    Ended,
}

/// What is to be done with a packet's payload, which has not been read yet.
#[derive(Debug)]
#[must_use]
pub enum Opening {
    /// It is to be read to where [`PacketSink::room`] says. Nothing has been counted; [`PacketSink::close`] or
    /// [`PacketSink::abandon`] will.
    Open(Ticket),
    /// It has no one place: read it all and give the whole packet to [`PacketSink::packet`]. Nothing has been counted.
    Gather,
    /// It is of no use: skip it. The packet has been counted.
    Skip,
    /// The stream must wait for its consumer: offer the same header again later. Nothing has been counted.
    Blocked,
    /// The stream has ended before this packet, which has not been counted.
    Ended,
}

/// A packet whose payload is being read into its place.
#[derive(Debug)]
pub struct Ticket(pub(super) Opened);

#[derive(Debug)]
pub(super) enum Opened {
    /// A part of the heap at that place of the table, if it is still the heap of that serial number.
    Part { place: usize, serial: u64 },
    /// A heap of one packet, kept aside under that number.
    Whole(usize),
}

/// When a packet arrived, as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// Nanoseconds since the Unix epoch (UTC), by the clock that took it.
    pub nanoseconds: u64,
    /// It was taken by the network card, not by the kernel.
    pub hardware: bool,
}

impl Arrival {
    /// The present time, by the system's clock.
    pub(super) fn now() -> Self {
        Self { nanoseconds: clock::now(), hardware: false }
    }
}

/// Where readers put packets.
pub trait PacketSink {
    /// A datagram, which should be one packet.
    fn packet(&mut self, data: &[u8]) -> Flow;
    /// A packet that the reader has parsed already.
    fn parsed(&mut self, packet: &Packet<'_>) -> Flow;
    /// A packet of which only the header has been read.
    fn open(&mut self, header: &Header<'_>) -> Opening;
    /// Where the payload of an open packet goes, from its first byte; until the next call of any function of the sink.
    /// `None` if the heap is gone: then skip the rest of it.
    fn room(&mut self, ticket: &Ticket, header: &Header<'_>) -> Option<Room>;
    /// All of an open packet's payload is in its place (or was skipped, where there was none).
    fn close(&mut self, ticket: Ticket, header: &Header<'_>);
    /// The rest of an open packet's payload will never come. It is counted as truncated.
    fn abandon(&mut self, ticket: Ticket);
    /// When the packets that follow arrived. A reader that knows says so before each of them; others never do.
    fn arrival(&mut self, arrival: Option<Arrival>);
    /// Counts a malformed packet; `data` is what there is of it.
    fn malformed(&mut self, kind: Malformed, data: &[u8]);
    /// Counts a packet that the reader itself has to discard.
    fn discard(&mut self, reason: Stat);
    /// Adds to a statistic that stands beside the ledger: drops of the kernel, connections, bytes skipped.
    fn note(&mut self, stat: Stat, count: u64);
    /// True when the stream takes no more packets.
    fn ended(&self) -> bool;
}
