//! Graphs of nodes
//!
//! A graph starts and stops nodes that feed each other: each is started before those that it takes from, so that nothing is missed, and stopped
//! behind them, when it has dealt with what they have sent, so that nothing is lost on its way. It sees who feeds whom from the params with which inputs
//! were connected; aq_stream_graph_link() tells it where these were changed.
//!
//! ```c
//! check(aq_stream_graph_new(&graph));
//! check(aq_stream_graph_add_channel_splitter(graph, "split", splitter));
//! check(aq_stream_graph_add_poll_thread(graph, "show", thread));
//! check(aq_stream_graph_start(graph));
//! status = aq_stream_graph_wait(graph, AQ_WAIT_FOREVER);      // AQ_OK: all sources have ended; or who failed first
//! aq_stream_graph_stop(graph, 1000000000);
//! aq_stream_graph_free(graph);
//! ```

use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::channel_splitter::aq_channel_splitter;
use super::chunk_resizer::aq_chunk_resizer;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::poll_thread::aq_poll_thread;
use super::status::aq_status;
use super::stream_converter::aq_stream_converter;
use super::{text, wait};
use crate::error::Result;
use crate::ring::Wait;
use crate::signal::node::graph::{Graph, GraphState, named};
use crate::signal::node::thread::Node;

/// Nodes that feed each other.
pub struct aq_stream_graph {
    _opaque: [u8; 0],
}

impl Opaque for aq_stream_graph {
    const NAME: &'static str = "aq_stream_graph";
    type Inner = Graph;
}

/// Makes a graph without nodes.
///
/// @param out receives the graph; free it with aq_stream_graph_free()
/// @return AQ_OK; AQ_E_IO when there is no descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_new(out: *mut *mut aq_stream_graph) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(Graph::new()?));
        Ok(Outcome::Done)
    })
}

/// # Safety
/// `graph` is NULL or a live handle, `name` NULL or a string.
unsafe fn add(graph: *mut aq_stream_graph, name: *const c_char, node: Arc<Node>) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    let (graph, name) = unsafe { (handle::borrow(graph, "graph")?, text::required(name, "name")?) };
    graph.add(name, node)?;
    Ok(Outcome::Done)
}

/// Adds a poll thread, which the graph then shares.
///
/// @param graph the graph, which is stopped
/// @param name a name of its own
/// @param thread the poll thread; of one graph only
/// @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_add_poll_thread(
    graph: *mut aq_stream_graph,
    name: *const c_char,
    thread: *mut aq_poll_thread,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let node = unsafe { handle::borrow(thread, "thread") }?.node.node.clone();
        // SAFETY: NULL, a live handle and a string by the caller's contract.
        unsafe { add(graph, name, node) }
    })
}

/// Adds a stream converter, which the graph then shares.
///
/// @param graph the graph, which is stopped
/// @param name a name of its own
/// @param converter the stream converter; of one graph only
/// @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_add_stream_converter(
    graph: *mut aq_stream_graph,
    name: *const c_char,
    converter: *mut aq_stream_converter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let node = unsafe { handle::borrow(converter, "converter") }?.node.clone();
        // SAFETY: NULL, a live handle and a string by the caller's contract.
        unsafe { add(graph, name, node) }
    })
}

/// Adds a channel splitter, which the graph then shares.
///
/// @param graph the graph, which is stopped
/// @param name a name of its own
/// @param splitter the channel splitter; of one graph only
/// @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_add_channel_splitter(
    graph: *mut aq_stream_graph,
    name: *const c_char,
    splitter: *mut aq_channel_splitter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let node = unsafe { handle::borrow(splitter, "splitter") }?.node.clone();
        // SAFETY: NULL, a live handle and a string by the caller's contract.
        unsafe { add(graph, name, node) }
    })
}

/// Adds a chunk resizer, which the graph then shares.
///
/// @param graph the graph, which is stopped
/// @param name a name of its own
/// @param resizer the chunk resizer; of one graph only
/// @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_add_chunk_resizer(
    graph: *mut aq_stream_graph,
    name: *const c_char,
    resizer: *mut aq_chunk_resizer,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let node = unsafe { handle::borrow(resizer, "resizer") }?.node.clone();
        // SAFETY: NULL, a live handle and a string by the caller's contract.
        unsafe { add(graph, name, node) }
    })
}

/// Tells that one node takes what another sends, where that cannot be seen: because its input was connected by another address than the output's own.
///
/// @param graph the graph, which is stopped
/// @param from the name of the node that sends
/// @param to the name of the node that takes
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no node of that name; AQ_E_STATE when the graph was started
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_link(
    graph: *mut aq_stream_graph,
    from: *const c_char,
    to: *const c_char,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let graph = unsafe { handle::borrow(graph, "graph") }?;
        // SAFETY: NULL or strings by the caller's contract.
        let (from, to) = unsafe { (text::required(from, "from")?, text::required(to, "to")?) };
        graph.link(from, to)?;
        Ok(Outcome::Done)
    })
}

/// Starts all nodes, each before those that it takes from.
///
/// @param graph the graph
/// @return AQ_OK; AQ_E_INVALID when nodes take from each other in a circle; AQ_E_STATE when it was started and not stopped, or in a callback of one
///     of its nodes; else what the first node that cannot be started answers, whose name is in aq_last_error(): none is left running
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_start(graph: *mut aq_stream_graph) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(graph, "graph") }?.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops all nodes, each behind those that it takes from, when it has dealt with what they have sent. What waits for those that take from outside the graph
/// stays there.
///
/// @param graph the graph
/// @param timeout_ns how long to wait for what is on its way; see "Waiting". Then, or with 0, nodes are stopped at once: what they have taken is kept for
///     the next start, the rest waits in their inputs
/// @return AQ_OK when nothing was left on its way, also when it was not started; AQ_TIMEOUT when something was; AQ_E_STATE in a callback of one of its nodes;
///     else what the first node that failed since the start failed with, whose name is in aq_last_error(). All have stopped nevertheless, but for
///     AQ_E_STATE
///
/// Threads: any; it waits for a start or stop by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_stop(graph: *mut aq_stream_graph, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let graph = unsafe { handle::borrow(graph, "graph") }?;
        match graph.stop(wait::wait(timeout_ns)?)? {
            true => Ok(Outcome::Done),
            false => Ok(Outcome::TimedOut),
        }
    })
}

/// Waits until all nodes that take from outside the graph have ended, or one has failed. The others go on until the graph is stopped.
///
/// @param graph the graph
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when they have ended; AQ_STOPPED when the graph was stopped, or not started yet; AQ_EMPTY or AQ_TIMEOUT when it runs; AQ_E_STATE when
///     a callback of one of its nodes would wait; else what the first node that failed did so with, whose name is in aq_last_error()
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_wait(graph: *const aq_stream_graph, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let graph = unsafe { handle::borrow(graph, "graph") }?;
        let wait = wait::wait(timeout_ns)?;
        if wait != Wait::No {
            graph.refuse_inside()?;
        }
        match graph.wait(wait) {
            Some(GraphState::Ended) => Ok(Outcome::Done),
            Some(GraphState::Failed(name, error)) => Err(named(&name, &error)),
            Some(GraphState::Stopped) => Ok(Outcome::Stopped),
            _ if wait == Wait::No => Ok(Outcome::Empty),
            _ => Ok(Outcome::TimedOut),
        }
    })
}

/// A file descriptor that is readable (POLLIN) while aq_stream_graph_wait() would not wait.
///
/// @param graph the graph
/// @param fd receives the descriptor. It belongs to the graph, until aq_stream_graph_free(): only poll it, do not read or close it
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_fd(graph: *const aq_stream_graph, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let graph = unsafe { handle::borrow(graph, "graph") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let fd = unsafe { Out::new(fd, "fd") }?;
        fd.write(graph.done_fd().as_raw_fd());
        Ok(Outcome::Done)
    })
}

/// Stops all nodes at once, and frees the graph. Nodes whose handles were freed before are freed with it.
///
/// @param graph the graph, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE in a callback of one of its nodes, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can
///     be seen
///
/// Threads: no other call on this graph may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_graph_free(graph: *mut aq_stream_graph) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract; free tells what is wrong with it.
        if let Ok(graph) = unsafe { handle::borrow(graph, "graph") } {
            graph.refuse_inside()?;
        }
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(graph, "graph") }
    })
}
