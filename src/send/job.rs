//! Heaps in the queue of a stream: what was asked for, how far each is, and what came of it.
//!
//! Invariant: of each entry's packets, `next` have been taken up, and as many are sent, failed or at hand. Used by the stream's thread, once it has
//! taken the job out of the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::heap::SendHeap;
use super::packets::Packets;
use crate::error::Error;

/// A heap to be sent, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The heap.
    pub heap: Arc<SendHeap>,
    /// Its number; `None` for the next one of the stream.
    pub cnt: Option<u64>,
    /// Where it goes.
    pub substream: usize,
    /// Bytes per second while it is sent, 0 for no limit; `None` for the stream's rate.
    pub rate: Option<f64>,
}

impl Request {
    /// A heap for the first substream, with the stream's next number, at its rate.
    pub fn new(heap: Arc<SendHeap>) -> Self {
        Self { heap, cnt: None, substream: 0, rate: None }
    }
}

/// In which order the packets of several heaps leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Heap after heap.
    Serial,
    /// In turn a packet of each.
    RoundRobin,
}

/// How sending a heap ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All packets were handed over.
    Sent,
    /// Something went wrong; what first did.
    Failed(Error),
    /// It was given up.
    Cancelled,
}

/// What came of a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapResult {
    /// What its submission answered, or counted on from that in a group.
    pub ticket: u64,
    /// Its number on the wire.
    pub cnt: u64,
    /// Where it went.
    pub substream: usize,
    /// Packets of it that were handed over.
    pub packets_sent: u64,
    /// Packets of it that were not.
    pub packets_unsent: u64,
    /// Bytes of the packets that were handed over.
    pub bytes: u64,
    /// How it ended.
    pub end: End,
}

/// Called with what came of a heap, on the stream's thread.
pub type DoneFn = dyn Fn(&HeapResult) + Send + Sync;

/// Who is told what came of a heap.
#[derive(Clone)]
pub enum Report {
    /// Nobody; the counters tell.
    Nobody,
    /// A function.
    Call(Arc<DoneFn>),
    /// Whoever asks the stream for results.
    Keep,
    /// A thread that waits.
    Waiter(Arc<Waiter>),
}

/// A thread that waits for one heap.
#[derive(Debug, Default)]
pub struct Waiter {
    pub(super) result: Mutex<Option<HeapResult>>,
    pub(super) came: Condvar,
    /// It waits no longer: the heap is to be given up.
    pub(super) gone: AtomicBool,
}

/// A heap of a job.
pub(super) struct Entry {
    pub(super) request: Request,
    pub(super) ticket: u64,
    pub(super) cnt: u64,
    pub(super) packets: Packets,
    pub(super) report: Report,
    /// The packet to be taken up next.
    pub(super) next: usize,
    /// Packets that were sent, and that were not and will not be.
    pub(super) sent: u64,
    pub(super) unsent: u64,
    pub(super) bytes: u64,
    /// The first error.
    pub(super) error: Option<Error>,
    /// All errors were only news of packets that had been sent.
    pub(super) goes_on: bool,
}

/// Heaps that were submitted together.
pub(super) struct Job {
    pub(super) entries: Vec<Entry>,
    pub(super) order: Order,
    /// The entry whose turn it is.
    pub(super) turn: usize,
}

impl Entry {
    pub(super) fn is_taken_up(&self) -> bool {
        self.next >= self.packets.count()
    }

    pub(super) fn is_done(&self) -> bool {
        self.sent + self.unsent == self.packets.count() as u64
    }

    /// Whether nobody waits for it any more who did.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.report {
            // Relaxed: it publishes nothing.
            Report::Waiter(waiter) => waiter.gone.load(Ordering::Relaxed),
            _ => false,
        }
    }

    /// Gives up the packets that are not taken up yet; the answer is how many.
    pub(super) fn give_up(&mut self) -> u64 {
        let rest = (self.packets.count() - self.next) as u64;
        self.next = self.packets.count();
        self.unsent += rest;
        rest
    }

    pub(super) fn result(&self) -> HeapResult {
        let end = match &self.error {
            Some(error) => End::Failed(error.clone()),
            None if self.unsent > 0 => End::Cancelled,
            None => End::Sent,
        };
        HeapResult {
            ticket: self.ticket,
            cnt: self.cnt,
            substream: self.request.substream,
            packets_sent: self.sent,
            packets_unsent: self.unsent,
            bytes: self.bytes,
            end,
        }
    }
}

impl Job {
    /// Takes up the next packet: the entry's index and the packet's.
    pub(super) fn take_up(&mut self) -> Option<(usize, usize)> {
        let n = self.entries.len();
        let turn = self.turn;
        let index =
            (turn..turn + n).map(|i| i % n).find(|&i| !self.entries.get(i).is_none_or(Entry::is_taken_up))?;
        let entry = self.entries.get_mut(index)?;
        let packet = entry.next;
        entry.next += 1;
        self.turn = match self.order {
            Order::Serial => index,
            Order::RoundRobin => (index + 1) % n,
        };
        Some((index, packet))
    }
}
