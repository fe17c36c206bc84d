//! Receiving streams: readers feed packets, packets become heaps, and every packet is counted.
//!
//! A [`Stream`] is the handle; its [`Assembler`] and [`Reader`](reader::Reader)s live on one worker of a thread pool, so
//! that the path of a packet takes no lock. Who consumes the heaps is a [`HeapHandler`]: see [`crate::chunk`].

mod assembly;
mod config;
mod end;
mod heaps;
mod ranges;
pub mod reader;
pub mod stats;
mod stream;

pub use assembly::{Assembler, Begin, Discard, Flow, HeapHandler, PacketSink};
pub use config::StreamConfig;
pub use end::EndReason;
pub use stream::Stream;
