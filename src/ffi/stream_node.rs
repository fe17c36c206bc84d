//! Nodes of signal streams
//!
//! A node has a thread of its own that takes chunks from an input, as they come, and does something with them: it calls a function
//! (aq_poll_thread), sends them through an output of another kind (aq_stream_converter), some channels each through several outputs
//! (aq_channel_splitter), or in chunks of a length (aq_chunk_resizer). Frames keep their indices, and what is missing before a node is
//! missing, at the same indices, behind it.
//!
//! A node can be started and stopped as often as one likes. What comes while it is stopped waits in its input, as far as that holds it. A stop
//! waits for the callback in flight, and not for a slow consumer (at most 10 ms): what could not be sent is kept, and sent first when the node is
//! started again. An inproc or shm input ends with its output, and the node with it; give it another by its `_connect` function. A
//! tcp or ipc input waits for an output that comes again.
//!
//! While a node runs, nobody else should take chunks from its input or send through its outputs. Nodes that feed each other are best started and
//! stopped by an aq_stream_graph, which sees to it that nothing is lost on its way.
//!
//! docs/nodes.md has more.

use std::sync::Arc;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_config::aq_output_stream_config;
use super::output_stream::{OutputHandle, aq_output_stream};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait;
use crate::error::{Error, Result};
use crate::ring::Wait;
use crate::signal::node::state::State;
use crate::signal::node::thread::Node;
use crate::signal::open::OutputConfig;
use crate::signal::params::Params;
use crate::signal::shared::{SharedInput, SharedOutput};

/// What a node has counted since it was made. Initialise it with aq_stream_node_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_stream_node_stats {
    /// Set by aq_stream_node_stats_init().
    pub struct_size: usize,
    /// Chunks that were taken from the input.
    pub chunks: u64,
    /// Frames in them.
    pub frames: u64,
    /// Gaps before them.
    pub gaps: u64,
    /// Frames that are missing there.
    pub missing_frames: u64,
    /// Times that the stream began again at index 0.
    pub restarts: u64,
    /// Errors: of what came and was no chunk of the stream, after which the node went on, and those that ended it.
    pub errors: u64,
    /// The index behind the last frame that was taken.
    pub index: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_stream_node_stats {
    const NAME: &'static str = "aq_stream_node_stats";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        chunks: 0,
        frames: 0,
        gaps: 0,
        missing_frames: 0,
        restarts: 0,
        errors: 0,
        index: 0,
    };
}

/// What the handle of any node owns.
pub struct NodeHandle {
    /// The node, which a graph may hold, too.
    pub node: Arc<Node>,
    /// Its outputs by their names.
    pub outputs: Vec<(String, SharedOutput)>,
}

impl NodeHandle {
    /// The content of a handle.
    pub fn new(node: Node, outputs: Vec<(String, SharedOutput)>) -> Self {
        Self { node: Arc::new(node), outputs }
    }

    /// The body of `_wait`.
    pub fn wait(&self, timeout_ns: i64) -> Result<Outcome> {
        let wait = wait::wait(timeout_ns)?;
        if wait != Wait::No && self.node.is_inside() {
            return Err(Error::state("stream node: its own callback cannot wait for its end"));
        }
        match self.node.wait(wait) {
            Some(State::Ended) => Ok(Outcome::Done),
            Some(State::Failed(error)) => Err(error),
            Some(State::Stopped) => Ok(Outcome::Stopped),
            _ if wait == Wait::No => Ok(Outcome::Empty),
            _ => Ok(Outcome::TimedOut),
        }
    }

    /// The body of `_status`.
    ///
    /// # Safety
    /// `running` is NULL or writable.
    pub unsafe fn status(&self, running: *mut i32) -> Result<Outcome> {
        // SAFETY: the caller's promise.
        if let Some(running) = unsafe { Out::optional(running, "running") }? {
            running.write((self.node.state() == State::Running).into());
        }
        self.node.last_error().map_or(Ok(Outcome::Done), Err)
    }

    /// The body of `_get_stats`.
    ///
    /// # Safety
    /// `stats` is NULL or a struct of its struct_size.
    pub unsafe fn stats(&self, stats: *mut aq_stream_node_stats) -> Result<Outcome> {
        let counted = self.node.stats();
        let value = aq_stream_node_stats {
            struct_size: 0,
            chunks: counted.chunks,
            frames: counted.frames,
            gaps: counted.gaps,
            missing_frames: counted.missing_frames,
            restarts: counted.restarts,
            errors: counted.errors,
            index: counted.index,
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(stats, &value, "stats") }
    }

    /// A new handle of output `number`.
    pub fn output(&self, number: usize) -> Result<*mut aq_output_stream> {
        let (_, output) = self.outputs.get(number).ok_or_else(|| Error::invalid("it has no output"))?;
        Ok(handle::new(OutputHandle::new(output.clone())))
    }
}

impl AsRef<Node> for NodeHandle {
    fn as_ref(&self) -> &Node {
        &self.node
    }
}

/// The body of `_free`.
///
/// # Safety
/// As for [`handle::free`].
pub unsafe fn free<H: Opaque>(pointer: *mut H, name: &str) -> Result<Outcome>
where
    H::Inner: AsRef<Node>,
{
    // SAFETY: the caller's promise; free tells what is wrong with it.
    if let Ok(handle) = unsafe { handle::borrow(pointer, name) }
        && handle.as_ref().is_inside()
    {
        return Err(Error::state(format!("{name}: it cannot be freed in its own callback")));
    }
    // SAFETY: the caller's promise.
    unsafe { handle::free(pointer, name) }
}

/// The input of the argument `input`.
///
/// # Safety
/// `input` is NULL or a live handle.
pub unsafe fn shared_input(input: *const aq_input_stream) -> Result<SharedInput> {
    // SAFETY: the caller's promise.
    Ok(unsafe { handle::borrow(input, "input") }?.stream.clone())
}

/// How the outputs of a node are to be opened, and the type of elements if it is given.
///
/// # Safety
/// `config` is NULL or a struct of its struct_size, with valid texts and lists.
pub unsafe fn transport(config: *const aq_output_stream_config) -> Result<(Params, OutputConfig, bool)> {
    // SAFETY: the caller's promise.
    let config = unsafe { sized::read_or_default(config, "config") }?;
    // SAFETY: the caller's promise.
    unsafe { Ok((config.params()?, config.config()?, !config.dtype.is_null())) }
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_node_stats_init(
    stats: *mut aq_stream_node_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}
