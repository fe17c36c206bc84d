//! Event buffers: packets of any size from those who read an instrument to files, by size or time.
//!
//! | file | what it is |
//! |---|---|
//! | `config.rs`, `stats.rs` | what a buffer is told, and the ledger of its packets |
//! | `buffer.rs` | the buffer: put, reserve, pop, overflow |
//! | `store.rs`, `segment.rs` | what is in it: order, memory; no locks |
//! | `flush.rs`, `way_out.rs`, `flusher.rs` | packets leave it: one thread at a time, when it is told or on a thread of its own |
//! | `batch.rs`, `gather.rs` | what a flush gives to sinks, and how they write it with few system calls |
//! | [`sink`] | where packets end: files of several formats, functions |
//! | [`layout`] | packets of a fixed size: fields, types, byte order and constants; their values as text and CSV |
//! | [`frame`] | the framed file's format: file headers, records, their checks |
//! | [`reader`] | reading framed files: what is good, what was lost, what is damaged |
//! | `search`, `window` | the next good record after damage; a moving part of a file in memory |
//! | [`raw`] | reading files of packets of one size back to back |
//! | [`record`] | heaps and chunks as packets |

mod batch;
mod buffer;
mod config;
mod crc;
mod flush;
mod flusher;
pub mod frame;
mod gather;
pub mod layout;
pub mod raw;
pub mod reader;
pub mod record;
mod search;
mod segment;
pub mod sink;
mod stats;
mod store;
mod way_out;
mod window;

pub use batch::{Batch, Item, Items, Lost, Packet};
pub use buffer::{EventBuffer, PopError, PutError, Reservation};
pub use config::{Config, DEFAULT_FLUSH_TIMEOUT, Kind};
pub use flush::Flushed;
pub use flusher::FlushedBuffer;
pub use segment::{Amount, SEGMENT_SIZE};
pub use stats::Stats;
