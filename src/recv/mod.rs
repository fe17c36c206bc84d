//! Receiving streams: readers feed packets, packets become heaps, and every packet is counted.
//!
//! A [`Stream`] is the handle; its [`Assembler`] and [`Reader`](reader::Reader)s live on one worker of a thread pool, so
//! that the path of a packet takes no lock. Who consumes the heaps is a [`HeapHandler`]: see [`heap`] and
//! [`crate::chunk`].

mod assembly;
mod config;
mod copy;
mod end;
mod handler;
pub mod heap;
mod heaps;
pub mod metrics;
mod ranges;
pub mod reader;
mod sink;
pub mod stats;
mod stream;

pub use assembly::Assembler;
pub use config::StreamConfig;
pub use copy::{Copier, PacketCopy, Room};
pub use end::EndReason;
pub use handler::{Begin, Discard, HeapHandler};
pub use heaps::Progress;
pub use sink::{Arrival, Flow, Opening, PacketSink, Ticket};
pub use stream::{Observer, Stream};
