//! Between processes of a host: a ring of chunks in shared memory, written by one process and read by any number of others.
//!
//! | file | what it is |
//! |---|---|
//! | `layout.rs` | the bytes: header, slots, records; parsing them is a checked look at memory that anybody may have written |
//! | `memory.rs` | the mapped ring and an input's page: the words, and who stores them |
//! | `server.rs` | the output's thread that hands the ring to inputs and notices when they die |
//! | `offer.rs` | asking that thread, from the other side |
//! | `publisher.rs`, `subscriber.rs` | the two ends |
//! | `patience.rs` | looking for a while before sleeping |
//!
//! The format is described byte by byte in `docs/shm-layout.md`. Nothing has a name in a file system: an input connects to a socket in the abstract
//! namespace, whose name is in the params, and is given the ring as a descriptor. So nothing is left behind, however a process ends, and the end of a
//! connection tells each side that the other is gone. Both must be of the same user, and in the same network namespace.
//!
//! What is in the ring stays until newer chunks need the place. The output does not wait for inputs (unless its policy is to block): each input knows
//! what it has read, and checks after reading that the place was not needed meanwhile. An input that was too slow goes on with what is still there, at
//! most three quarters of the ring, and counts the frames that it missed; their indices show which ones.

mod layout;
mod memory;
mod offer;
mod patience;
mod publisher;
mod server;
mod subscriber;

#[cfg(test)]
mod tests;

pub(in crate::signal) use memory::{Page, SLEEPS};
pub(in crate::signal) use offer::Offer;
pub(in crate::signal) use server::Server;

pub use publisher::{ShmConfig, ShmPublisher};
pub use subscriber::{EndReason, ShmSubscriber, View};
