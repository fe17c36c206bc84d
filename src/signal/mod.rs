//! Signal streams: typed arrays over time, from one thread, process or host to others.
//!
//! | file | what it is |
//! |---|---|
//! | [`mod@array`] | arrays in memory: shape, strides, and how to walk and copy them |
//! | [`chunk`] | frames that follow each other, shared by reference |
//! | [`chunker`] | chunks of other lengths |
//! | [`output`], [`input`] | the two ends of a stream |
//! | [`open`] | the two ends out of params: which transport carries them |
//! | [`requirements`] | what a receiver requires of a stream |
//! | [`shared`] | the two ends with several owners |
//! | [`node`] | threads that take chunks and do something with them; graphs of these |
//! | [`params`], [`numpy`] | what both sides know of a stream, as JSON; types of elements |
//! | [`registry`] | outputs published by name, and looked up by it |
//! | [`rep`] | a stream's params, asked for by pyacq's relay node |
//! | [`transport`] | how chunks travel: in the process, in shared memory, by ZeroMQ |
//! | [`wire`] | a chunk's header on the wire, as pyacq sends it |
//! | [`filter`] | what is done to chunks on their way: conversion, selection, functions of the user |
//! | `memory` | memory that comes filled |
//! | [`history`] | the latest frames of a stream, by their absolute index |

pub mod array;
pub mod chunk;
pub mod chunker;
pub(crate) mod deadline;
pub mod filter;
pub mod history;
pub mod input;
mod memory;
pub mod node;
pub mod numpy;
pub mod open;
pub mod output;
pub mod params;
pub mod registry;
pub mod rep;
pub mod requirements;
pub mod shared;
pub mod transport;
pub mod wire;
