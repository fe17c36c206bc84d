//! An output that a node sends through: it waits for slow inputs as the output's overflow policy says, and gives that up when the node is to stop.
//!
//! Used by the node's thread. Invariant: each step is done once and in order. What could not be done before a stop is kept, and done first when the node is
//! started again.

use std::collections::VecDeque;
use std::time::Duration;

use super::stop::Stop;
use crate::error::Result;
use crate::ring::Wait;
use crate::signal::chunk::Chunk;
use crate::signal::output::Sent;
use crate::signal::shared::SharedOutput;

/// What is to be done with the output.
enum Step {
    Send(Chunk),
    /// Publish what is held, also if it is less than the output's smallest chunk.
    Flush,
    /// Publish what could not be published in its time.
    Publish,
    /// Begin again at index 0.
    Begin,
}

/// See the module.
pub struct Outlet {
    output: SharedOutput,
    steps: VecDeque<Step>,
}

impl Outlet {
    /// Nothing to be done yet.
    pub fn new(output: SharedOutput) -> Self {
        Self { output, steps: VecDeque::new() }
    }

    /// Has a chunk sent by the next [`pump`](Self::pump).
    pub fn push(&mut self, chunk: Chunk) {
        self.steps.push_back(Step::Send(chunk));
    }

    /// Has all published.
    pub fn push_flush(&mut self) {
        self.steps.push_back(Step::Flush);
    }

    /// Has the output begin again.
    pub fn push_begin(&mut self) {
        self.steps.push_back(Step::Begin);
    }

    /// Does what can be done without waiting. True: that is all.
    pub fn try_pump(&mut self) -> Result<bool> {
        while let Some(step) = self.steps.pop_front() {
            if let Some(step) = self.run(step, Wait::No)? {
                self.steps.push_front(step);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does all, or as much as can be done before the node is to stop. True: that is all.
    pub fn pump(&mut self, stop: &Stop) -> Result<bool> {
        while !self.try_pump()? {
            let Some(wait) = stop.patience() else { return Ok(false) };
            let Some(step) = self.steps.pop_front() else { break };
            if let Some(step) = self.run(step, wait)? {
                self.steps.push_front(step);
            }
        }
        Ok(true)
    }

    /// Does one step; returns what is left to do of it.
    fn run(&self, step: Step, wait: Wait) -> Result<Option<Step>> {
        let time = if let Wait::For(time) = wait { time } else { Duration::ZERO };
        // Or else somebody else is sending.
        let Some(mut output) = self.output.lock_for(time) else { return Ok(Some(step)) };
        let timed_out = match step {
            Step::Send(chunk) => {
                let Chunk { index, layout, data } = chunk.clone();
                match output.send_shared(data, layout, Some(index), wait)? {
                    Sent::Taken(published) => published.timed_out,
                    Sent::Refused => return Ok(Some(Step::Send(chunk))),
                }
            }
            Step::Publish => output.publish(wait)?.timed_out,
            Step::Flush => output.flush(wait)?.timed_out,
            Step::Begin => {
                let done = output.reset_index(wait)?;
                return Ok((!done).then_some(Step::Begin));
            }
        };
        Ok(timed_out.then_some(Step::Publish))
    }
}

/// Does what is to be done with several outputs. One that is slow keeps the others waiting no longer than it must: they get theirs first. True: that is all.
pub fn pump_all(outlets: &mut [Outlet], stop: &Stop) -> Result<bool> {
    for outlet in outlets.iter_mut() {
        outlet.try_pump()?;
    }
    let mut all = true;
    for outlet in outlets {
        all &= outlet.pump(stop)?;
    }
    Ok(all)
}
