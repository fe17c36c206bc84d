//! Receiving: readers feed packets to streams, streams assemble heaps.

pub mod reader;
