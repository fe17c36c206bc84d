//! The consumer's end of a stream: where heaps are placed, and what becomes of them.

use std::task::Waker;

use super::copy::Room;
use super::end::EndReason;
use super::heaps::Progress;
use super::sink::Arrival;
use super::stats::{Batch, Stat};
use crate::spead::Header;

/// Why a whole heap is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// It belongs to a chunk that has left the window.
    TooOld,
    /// The place callback refused it.
    Rejected,
    /// The place callback put it outside its chunk.
    OutOfBounds,
    /// It is too far ahead to be believed.
    JumpRejected,
    /// Its consumer takes nothing more.
    AfterStop,
    /// There is no memory for it.
    NoMemory,
    /// It has more items than are kept track of.
    TooManyItems,
    /// It grew longer than a heap may be.
    TooLarge,
    /// It was received in full, but its consumer was behind, and the stream is not to wait.
    OverflowNewest,
}

impl Discard {
    /// The count of such heaps.
    pub const fn heaps(self) -> Stat {
        match self {
            Self::TooOld => Stat::TooOldHeaps,
            Self::Rejected => Stat::RejectedHeaps,
            Self::OutOfBounds => Stat::OutOfBoundsHeaps,
            Self::JumpRejected => Stat::JumpRejectedHeaps,
            Self::AfterStop => Stat::AfterStopHeaps,
            Self::NoMemory => Stat::NoMemoryHeaps,
            Self::TooManyItems => Stat::TooManyItemsHeaps,
            Self::TooLarge => Stat::TooLargeHeaps,
            Self::OverflowNewest => Stat::OverflowNewestHeaps,
        }
    }

    /// The count of their packets.
    pub const fn packets(self) -> Stat {
        match self {
            Self::TooOld => Stat::PacketsTooOld,
            Self::Rejected => Stat::PacketsRejected,
            Self::OutOfBounds => Stat::PacketsOutOfBounds,
            Self::JumpRejected => Stat::PacketsJumpRejected,
            Self::AfterStop => Stat::PacketsAfterStop,
            Self::NoMemory => Stat::PacketsNoMemory,
            Self::TooManyItems => Stat::PacketsTooManyItems,
            Self::TooLarge => Stat::HeapTooLarge,
            Self::OverflowNewest => Stat::PacketsOverflowNewest,
        }
    }
}

/// How a heap begins.
#[derive(Debug)]
pub enum Begin<T> {
    /// Its payload has a place.
    Placed(T),
    /// It has none; its packets are only counted.
    Discarded(Discard),
    /// It may get one later: the same packet is to be offered again. The waker has been left where the change comes from.
    Blocked,
}

/// The consumer of heaps. It is called by the stream's worker only.
pub trait HeapHandler: Send {
    /// What it keeps about a heap in progress.
    type Heap: Send;

    /// The waker to leave wherever it has to wait.
    fn attach(&mut self, waker: &Waker);
    /// Whether it can take one more packet. If not it has left the waker where the change comes from.
    fn is_ready(&mut self, _batch: &mut Batch) -> bool {
        true
    }
    /// When the packets that follow arrived.
    fn arrival(&mut self, _arrival: Option<Arrival>) {}
    /// A heap's first packet has come.
    fn begin(&mut self, packet: &Header<'_>, batch: &mut Batch) -> Begin<Self::Heap>;
    /// Memory for the payload of a packet of a heap that was begun. An error discards the heap.
    fn room(&mut self, heap: &mut Self::Heap, packet: &Header<'_>) -> Result<Room, Discard>;
    /// The packet's payload has been written to the room made for it. An error discards the heap.
    fn wrote(&mut self, heap: &mut Self::Heap, packet: &Header<'_>) -> Result<(), Discard>;
    /// All of a heap's payload has been written, this very moment. An error counts it as discarded.
    fn complete(&mut self, heap: Self::Heap, progress: &Progress, batch: &mut Batch) -> Result<(), Discard>;
    /// A heap was given up.
    fn incomplete(&mut self, heap: Self::Heap, progress: &Progress, batch: &mut Batch);
    /// There are no more packets for now.
    fn end_batch(&mut self, _batch: &mut Batch) {}

    /// The consumer takes nothing more: the stream ends.
    fn is_closed(&self) -> bool;
    /// No more packets will come; hand out what is there. False if it must wait; then it is called again after a wake-up.
    fn flush(&mut self, batch: &mut Batch) -> bool;
    /// Gives up what could not be handed out and lets go of the consumer.
    fn close(&mut self, reason: &EndReason, batch: &mut Batch);
}
