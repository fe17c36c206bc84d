//! Streams of heaps: payloads in memory of their own, handed to the consumer one heap at a time.
//!
//! | file | what it is |
//! |---|---|
//! | this | the heap itself |
//! | `growing.rs` | a heap that is being received |
//! | `handler.rs` | the stream's end: memory for heaps, and what becomes of them |
//! | `consumer.rs` | where finished heaps go: a ring, or a callback |
//! | `spares.rs` | heaps that were freed, to be used again |
//! | `stream.rs` | the streams as their users hold them |

mod consumer;
mod growing;
mod handler;
mod spares;
mod stream;

pub use crate::ring::Overflow;
pub use consumer::HeapCallback;
pub use stream::{HeapCallbackStream, HeapRingStream, RingConfig};

use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::sink::Arrival;
use crate::memory::Buffer;
use crate::spead::item::{Items, freeze};
use crate::spead::{Flavour, ItemPointer, id};
use spares::Returns;

/// Whether a heap is the user's. The C boundary uses it to refuse what was freed, or never was a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum HeapMark {
    /// It is.
    Held = 0x4151_4850_4845_4c44,
    /// It is not, or not any more.
    Free = 0x4151_4850_4652_4545,
}

/// One heap: its items and its payload. It owns its memory and may outlive its stream.
///
/// Invariant, once it has been handed out: of `payload`, the bytes in `ranges` (all of them, where there are no ranges)
/// are initialised, and the pointers are frozen.
#[derive(Debug)]
#[repr(C)]
pub struct Heap {
    /// First, so that the C boundary finds it before it trusts the rest.
    mark: AtomicU64,
    cnt: u64,
    flavour: Flavour,
    bug_compat: u8,
    /// The length that its packets told.
    length: Option<u64>,
    /// Bytes received.
    received: u64,
    /// Up to where there is, or could be, payload; at most `payload.len()`.
    size: usize,
    contiguous: bool,
    /// Item pointers in native byte order, without those that describe packets, each once.
    pointers: Vec<u64>,
    payload: Buffer,
    /// What was received of an incomplete heap, if that was to be kept.
    ranges: Vec<Range<u64>>,
    first_arrival: Option<Arrival>,
    last_arrival: Option<Arrival>,
    /// Where it goes to be used again.
    home: Arc<Returns>,
    /// What the C boundary keeps with it.
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Heap {
    /// A heap of nothing, that goes there when it is freed.
    fn empty(home: &Arc<Returns>) -> Self {
        Self {
            mark: AtomicU64::new(HeapMark::Free as u64),
            cnt: 0,
            flavour: Flavour { version: 4, heap_address_bits: 48 },
            bug_compat: 0,
            length: None,
            received: 0,
            size: 0,
            contiguous: false,
            pointers: Vec::new(),
            payload: Buffer::empty(),
            ranges: Vec::new(),
            first_arrival: None,
            last_arrival: None,
            home: home.clone(),
            attachment: OnceLock::new(),
        }
    }

    /// Its number.
    pub fn cnt(&self) -> u64 {
        self.cnt
    }

    /// The flavour of its packets.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The `bug_compat` of its stream.
    pub fn bug_compat(&self) -> u8 {
        self.bug_compat
    }

    /// The length that its packets told, in bytes.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes of payload received.
    pub fn received_length(&self) -> u64 {
        self.received
    }

    /// All of its payload was received. Of a heap whose packets did not tell a length, there is nothing missing as far
    /// as its payloads and item pointers reach.
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Its payload, if all of it was received.
    pub fn payload(&self) -> Option<&[u8]> {
        // SAFETY: all bytes of a contiguous heap up to its size were written; size is at most the buffer's length.
        self.contiguous.then(|| unsafe { std::slice::from_raw_parts(self.payload.as_ptr(), self.size) })
    }

    /// Where its payload is and how far it reaches, also of an incomplete heap, where bytes outside of what was received
    /// are of any content, or have none.
    pub fn raw_payload(&self) -> (*mut u8, usize) {
        (self.payload.as_ptr(), self.size)
    }

    /// Which bytes of an incomplete heap were received, in ascending order; empty if the stream was not to keep that, and
    /// for complete heaps.
    pub fn payload_ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Its items, in the order that [`freeze`] tells. An incomplete heap has its immediate items only.
    pub fn items(&self) -> Items<'_> {
        Items::new(&self.pointers, self.flavour, self.payload())
    }

    fn has_control(&self, value: u64) -> bool {
        let bits = self.flavour.heap_address_bits;
        self.pointers.iter().map(|&raw| ItemPointer::new(raw, bits)).any(|pointer| {
            pointer.is_immediate() && pointer.id() == id::STREAM_CTRL && pointer.value() == value
        })
    }

    /// It says that the stream starts.
    pub fn is_start_of_stream(&self) -> bool {
        self.has_control(id::STREAM_CTRL_START)
    }

    /// It says that the stream ends.
    pub fn is_end_of_stream(&self) -> bool {
        self.has_control(id::STREAM_CTRL_STOP)
    }

    /// When its first packet arrived, in the order of arrival, if the reader was told to say.
    pub fn first_arrival(&self) -> Option<Arrival> {
        self.first_arrival
    }

    /// When its last packet arrived, in the order of arrival, if the reader was told to say.
    pub fn last_arrival(&self) -> Option<Arrival> {
        self.last_arrival
    }

    /// What is kept with the heap, made by the first call; `None` if it is of another type.
    pub fn attachment<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.attachment.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// Puts its items into order, which is the consumer's work and not the stream's.
    fn freeze(&mut self) {
        freeze(&mut self.pointers, self.flavour);
    }

    /// Frees the heap, to be used again by its stream.
    pub fn recycle(heap: Box<Self>) {
        let home = heap.home.clone();
        home.put(heap);
    }

    /// The mark at the beginning of what may be a heap.
    ///
    /// # Safety
    /// `pointer` points to a live 64-bit atomic.
    pub unsafe fn mark_at(pointer: *const AtomicU64) -> Option<HeapMark> {
        // SAFETY: the caller's promise. Relaxed: the mark guards against mistakes and orders nothing.
        let found = unsafe { &*pointer }.load(Ordering::Relaxed);
        [HeapMark::Held, HeapMark::Free].into_iter().find(|&mark| mark as u64 == found)
    }

    /// Marks the heap; true if it was marked otherwise before.
    pub fn change_mark(&self, from: HeapMark, to: HeapMark) -> bool {
        // Relaxed: see mark_at.
        self.mark.compare_exchange(from as u64, to as u64, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
