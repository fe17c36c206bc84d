//! The SPEAD wire format, revision 1, 64-bit item pointers.
//!
//! [`Packet::parse`] turns bytes into a checked view or says which rule they break; after that no accessor can fail.
//! [`Header::parse`] does so for a packet whose payload is still to be read.
//! The view borrows the bytes and owns nothing. What a heap's items mean is told by its [`descriptor`]s; an
//! [`group::ItemGroup`] keeps their values. No I/O, no unsafe code, no panic on any input. Everything here is a value; any thread may use it.
//!
//! ```
//! use aqueduct::spead::{Packet, id};
//!
//! # let bytes = [
//! #     0x53, 4, 2, 6, 0, 0, 0, 4,
//! #     0x80, 1, 0, 0, 0, 0, 0, 7,
//! #     0x80, 3, 0, 0, 0, 0, 0, 0,
//! #     0x80, 4, 0, 0, 0, 0, 0, 2,
//! #     0x96, 0, 0, 0, 0, 0, 16, 0,
//! #     1, 2,
//! # ];
//! let packet = Packet::parse(&bytes).unwrap();
//! assert_eq!(packet.heap_cnt(), 7);
//! assert_eq!(packet.payload(), [1, 2]);
//! assert_eq!(packet.heap_length(), None);
//! assert_eq!(packet.immediate(0x1600), Some(4096));
//! assert_eq!(packet.immediate(id::HEAP_CNT), Some(7));
//! ```

#![forbid(unsafe_code)]

pub mod describe;
pub mod descriptor;
pub mod dtype;
mod flavour;
pub mod format;
pub mod group;
pub mod id;
pub mod item;
mod literal;
mod malformed;
mod packet;
mod pointer;
pub mod value;

#[cfg(test)]
mod tests;

pub use flavour::Flavour;
pub use malformed::Malformed;
pub use packet::{Header, Packet};
pub use pointer::{ItemPointer, Pointers};
