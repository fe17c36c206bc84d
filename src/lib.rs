//! Aqueduct: data acquisition from the wire to your code, with every loss accounted for.
//!
//! This crate is the core behind the C library `libaqueduct`; C and C++ users include
//! `<aqueduct/aqueduct.h>`. The map, lowest layer first; a module uses only modules above it:
//!
//! | module | what it is |
//! |---|---|
//! | [`error`], [`log`] | error kinds and messages; logging that cannot be flooded |
//! | [`sys`] | every call to the operating system |
//! | [`storage`] | files that follow each other, and when they are durable |
//! | [`memory`] | buffers and allocators |
//! | [`ring`] | the bounded ring that hands items from thread to thread |
//! | [`runtime`] | worker threads that wait for readiness and run tasks |
//! | [`spead`] | the SPEAD wire format: checked views, no I/O, no unsafe, depends on nothing |
//! | [`recv`] | streams: readers feed packets, packets become heaps, every packet is counted |
//! | [`chunk`] | chunks of many heaps, placed by a callback, handed over in rings |
//! | [`send`] | heaps to send: cut into packets, paced, handed to sockets, queues and files |
//! | [`event`] | event buffers, and the sinks that write what is in them to disk |
//! | [`signal`] | typed arrays over time, between threads, processes and hosts |
//! | [`dataset`] | datasets of HDF5 files, streamed and read in parallel (without the feature `hdf5` none can be opened) |
//! | [`ffi`] | the C ABI: one file per section of the header |
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(loom))]
pub mod chunk;
#[cfg(not(loom))]
pub mod dataset;
#[cfg(not(loom))]
pub mod error;
#[cfg(not(loom))]
pub mod event;
#[cfg(not(loom))]
pub mod ffi;
#[cfg(not(loom))]
pub mod log;
#[cfg(not(loom))]
pub mod memory;
#[cfg(not(loom))]
pub mod recv;
pub mod ring;
#[cfg(not(loom))]
pub mod runtime;
#[cfg(not(loom))]
pub mod send;
#[cfg(not(loom))]
pub mod signal;
#[cfg(not(loom))]
pub mod spead;
#[cfg(not(loom))]
pub mod storage;
#[cfg(not(loom))]
pub mod sys;
