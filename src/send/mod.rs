//! Sending SPEAD: heaps become packets, and packets leave at a pace.
//!
//! A [`SendHeap`] refers to its items and copies nothing. A [`SendStream`] has a bounded queue of them and one thread, which
//! cuts them into packets, keeps to the rate and hands batches of packets to a [`sink`]. Every packet and every heap ends in exactly one
//! counter of [`SendStats`].
//!
//! | file | what it is |
//! |---|---|
//! | `heap.rs` | a heap to send: items by value or by reference |
//! | `packets.rs` | how a heap divides into packets, and their bytes |
//! | `group.rs` | items with descriptors and values, of which heaps are made |
//! | `pace.rs` | when bytes may leave; knows no clock |
//! | `job.rs` | heaps in the queue, their progress and result |
//! | `stats.rs` | the ledger |
//! | `stream.rs` | the stream as its users hold it |
//! | `worker.rs` | its thread |
//! | `sink/` | where packets go: UDP, TCP, queues, files |

pub mod group;
pub mod heap;
mod job;
pub mod pace;
pub mod packets;
pub mod sink;
mod stats;
mod stream;
mod worker;

pub use heap::{Bytes, SendHeap, SendValue};
pub use job::{DoneFn, End, HeapResult, Order, Report, Request, Waiter};
pub use stats::SendStats;
pub use stream::{SendConfig, SendStream, SubmitError};
