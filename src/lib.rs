//! Aqueduct: data acquisition from the wire to your code, with every loss accounted for.
//!
//! This crate is the core behind the C library `libaqueduct`; C and C++ users include
//! `<aqueduct/aqueduct.h>`. The map, lowest layer first; a module uses only modules above it:
//!
//! | module | what it is |
//! |---|---|
//! | [`error`] | error kinds and messages |
//! | [`sys`] | every call to the operating system |
//! | [`ring`] | the bounded ring that hands items from thread to thread |
//! | [`spead`] | the SPEAD wire format: checked views, no I/O, no unsafe, depends on nothing |
//! | [`recv`] | readers that feed packets to streams, streams that assemble heaps |

#[cfg(not(loom))]
pub mod error;
#[cfg(not(loom))]
pub mod recv;
pub mod ring;
#[cfg(not(loom))]
pub mod spead;
pub mod sys;
