//! Nodes: threads that take chunks from an input, as they come, and do something with them.
//!
//! | file | what it is |
//! |---|---|
//! | [`thread`] | what all nodes have in common: a thread, its life, its counts |
//! | [`state`], [`stop`] | what is known of a node from outside; what is asked of it |
//! | [`outlet`] | an output that a node sends through, and that it gives up waiting for when it is to stop |
//! | [`poll_thread`] | a function for each chunk |
//! | [`converter`] | the same chunks through another output |
//! | [`splitter`] | some channels each for several outputs |
//! | [`resizer`] | chunks of a length |
//! | [`like`] | what the output of a node carries |
//! | [`graph`] | nodes that feed each other, started and stopped in order |
//!
//! Indices are those of the stream, all the way: a node never counts frames anew, and what is missing before it is missing, at the same indices, behind
//! it. Starting a node again does not change them: what passed while it was stopped is a gap, or waits in its input. Only where the stream itself begins again at
//! 0 do the outputs of a node, too.

pub mod converter;
pub mod graph;
pub mod like;
pub mod outlet;
pub mod poll_thread;
pub mod resizer;
pub mod splitter;
pub mod state;
pub mod stop;
pub mod thread;

#[cfg(test)]
mod tests;
