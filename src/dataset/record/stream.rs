//! A recorder that takes the frames of a signal stream: a node that gives them to it.
//!
//! What waits in the input is recorded before a stop ends. The end of the input, and a failure of the recorder, end both. Any thread may call any function.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{Attribute, RecordConfig};
use super::recorder::{NotPut, Recorder};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::array::{self, Layout};
use crate::signal::chunk::Chunk;
use crate::signal::input::Received;
use crate::signal::node::state::State;
use crate::signal::node::stop::{Drain, Stop};
use crate::signal::node::thread::{Node, Work};
use crate::signal::params::Params;
use crate::signal::shared::SharedInput;

/// How long a stop records what waits in the input, at the most.
const MOST_DRAIN: Duration = Duration::from_secs(10);
/// Longer params are not kept: an attribute has less than 64 KiB.
const MOST_PARAMS: usize = 32 << 10;

/// The attribute that has the stream's params.
pub(crate) const PARAMS: &str = "stream_params";

impl RecordConfig {
    /// What a stream is recorded with: its type and shape, and what is known of it as attributes.
    pub fn of_stream(path: impl AsRef<Path>, dataset: &str, params: &Params) -> Self {
        let mut config = Self::new(path.as_ref(), dataset, params.dtype.clone(), &params.frame_shape());
        let mut number = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                config.attributes.push((name.to_owned(), Attribute::Number(value)));
            }
        };
        number("sample_rate", Some(params.sample_rate));
        number("scale", params.scale);
        number("offset", params.offset);
        let json = params.to_json();
        let short = Params { extra: Default::default(), ..params.clone() };
        let json = if json.len() > MOST_PARAMS { short.to_json() } else { json };
        for (name, value) in
            [("units", params.units.clone()), ("streamtype", params.streamtype.clone()), (PARAMS, json)]
        {
            config.attributes.push((name.to_owned(), Attribute::Text(value.replace('\0', ""))));
        }
        config
    }
}

struct Record {
    recorder: Arc<Recorder>,
    /// Frames that are not one behind the other in memory.
    memory: Vec<u8>,
    /// What a stop left over.
    left: Option<(Vec<u8>, u64)>,
}

impl Record {
    fn put(&mut self, mut rows: &[u8], mut index: u64, stop: &Stop) -> Result<()> {
        while !rows.is_empty() {
            // Of what was taken from the input all is recorded, unless somebody is in a hurry.
            let wait = stop.patience().unwrap_or(Wait::For(Duration::from_secs(1)));
            match self.recorder.put_rows(rows, Some(index), wait) {
                Ok(taken) => {
                    rows = &rows[taken as usize * self.recorder.row_size()..];
                    index += taken;
                }
                Err(NotPut::Full | NotPut::TimedOut) if stop.patience().is_none() => {
                    self.left = Some((rows.to_vec(), index));
                    return Ok(());
                }
                Err(NotPut::Full | NotPut::TimedOut) => {}
                Err(NotPut::Failed(error)) => {
                    self.recorder.lose((rows.len() / self.recorder.row_size()) as u64);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Work for Record {
    fn connect(&mut self, input: &Params) -> Result<()> {
        let config = self.recorder.config();
        if input.dtype != config.dtype || input.frame_shape() != config.row_shape {
            return Err(Error::invalid(format!(
                "recorder: the input must have frames of shape {:?} and type {} (got {:?} and {})",
                config.row_shape,
                config.dtype,
                input.frame_shape(),
                input.dtype
            )));
        }
        Ok(())
    }

    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()> {
        let chunk = received.chunk;
        let start = chunk.start();
        if chunk.layout.is_c_order() {
            let extent = chunk.layout.extent();
            return self.put(&chunk.data[extent], start, stop);
        }
        let mut memory = std::mem::take(&mut self.memory);
        in_order(&chunk, &mut memory)?;
        let put = self.put(&memory, start, stop);
        self.memory = memory;
        put
    }

    fn finish(&mut self, stop: &Stop) -> Result<bool> {
        if let Some((rows, index)) = self.left.take() {
            self.put(&rows, index, stop)?;
        }
        match &self.left {
            None => Ok(true),
            Some((rows, _)) => Err(Error::new(
                ErrorKind::Io,
                format!(
                    "recorder: the disk is too slow: {} rows could not be recorded before the stop",
                    rows.len() / self.recorder.row_size()
                ),
            )),
        }
    }

    fn ended(&mut self, _: &State) {
        if let Some((rows, _)) = self.left.take() {
            self.recorder.lose((rows.len() / self.recorder.row_size()) as u64);
        }
        // Its error is kept, and told to those who ask.
        let _ = self.recorder.stop();
    }
}

/// Copies the frames of a chunk one behind the other, in C order.
fn in_order(chunk: &Chunk, to: &mut Vec<u8>) -> Result<()> {
    let target = Layout::c_order(chunk.layout.item(), chunk.layout.shape())?;
    to.clear();
    to.resize(target.size(), 0);
    // SAFETY: a chunk's layout lies within its data, and the target's within `to`; they do not overlap.
    unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, to.as_mut_ptr(), &target) };
    Ok(())
}

/// See the module. Dropping it stops it.
pub struct StreamRecorder {
    node: Node,
    recorder: Arc<Recorder>,
}

impl Deref for StreamRecorder {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.recorder
    }
}

impl StreamRecorder {
    /// Starts recording what comes from the input, and what waits in it.
    ///
    /// # Errors
    /// As of [`Recorder::new`]; `Invalid`: the config is not one [of this stream](RecordConfig::of_stream). `State`: another thread waits in a call of the input.
    pub fn start(mut config: RecordConfig, input: SharedInput) -> Result<Self> {
        config.chunks = false;
        let recorder = Arc::new(Recorder::new(config, None)?);
        let stats = input.clone();
        let work = Record { recorder: recorder.clone(), memory: Vec::new(), left: None };
        let node = Node::new(input, Vec::new(), Box::new(work))?;
        recorder.set_ledger(Box::new(move || {
            let stats = stats.stats();
            [
                ("chunks", stats.chunks),
                ("frames", stats.frames),
                ("gaps", stats.gaps),
                ("missing_frames", stats.missing_frames),
                ("repeated_chunks", stats.repeated_chunks),
                ("malformed", stats.malformed),
                ("restarts", stats.restarts),
                ("filtered_frames", stats.filtered_frames),
                ("filter_errors", stats.filter_errors),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        }));
        node.start()?;
        Ok(Self { node, recorder })
    }

    /// Records what waits in the input (for 10 s at the most), then ends.
    ///
    /// # Errors
    /// What it has failed with.
    pub fn stop(&self) -> Result<()> {
        let deadline = Instant::now().checked_add(MOST_DRAIN);
        let drained = self.node.stop_after(Drain { input: true, target: None, deadline });
        let stopped = self.recorder.stop();
        stopped.and(drained.map(drop))
    }
}

impl Drop for StreamRecorder {
    fn drop(&mut self) {
        // The recorder tells what it failed with.
        let _ = self.stop();
    }
}
