//! The registry: outputs are published under a name, and found by it from other processes and hosts.
//!
//! | file | what it is |
//! |---|---|
//! | `endpoint.rs` | `HOST:PORT`, and what it stands for |
//! | `protocol.rs` | requests and answers: a line of JSON each (docs/registry.md) |
//! | `names.rs` | the table of names, and its bounds |
//! | `connection.rs` | one client, as the server sees it: lines in, lines out, nothing without bound |
//! | `server.rs` | the server: one thread for all clients |
//! | `link.rs` | a client's connection: a request, an answer, a deadline |
//! | `client.rs` | looking names up |
//! | `publication.rs` | a name that is kept published, by a thread of its own |
//!
//! A publication lives as long as its connection: a producer that dies takes its names with it.

mod client;
mod connection;
mod endpoint;
mod link;
mod names;
mod protocol;
mod publication;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Entry, list, lookup};
pub use protocol::{DEFAULT_ENDPOINT, MOST_LINE, MOST_NAME, MOST_PARAMS, VERSION};
pub use publication::Publication;
pub use server::{Limits, RegistryServer};
