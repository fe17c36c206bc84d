//! What stands for the two ends in a build without the feature `zmq`: they cannot be made.

use std::convert::Infallible;
use std::os::fd::BorrowedFd;

use super::super::{NoChunk, Published, Publisher, Subscriber};
use super::{PublisherConfig, SubscriberConfig, SubscriberStats, queue_length};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::chunk::Chunk;
use crate::signal::params::Params;

fn unsupported<T>() -> Result<T> {
    let reason = "signal streams over ZeroMQ need the feature `zmq`, which this build does not have";
    Err(Error::new(ErrorKind::Unsupported, reason))
}

/// The output's end.
#[derive(Debug)]
pub struct ZmqPublisher(Infallible);

impl ZmqPublisher {
    /// An error: this build cannot do it.
    pub fn bind(_: &Params, config: &PublisherConfig) -> Result<Self> {
        config.check()?;
        unsupported()
    }

    /// How many have subscribed.
    pub fn subscribers(&mut self) -> Result<u64> {
        match self.0 {}
    }
}

impl Publisher for ZmqPublisher {
    fn input_count(&mut self) -> Result<u64> {
        match self.0 {}
    }

    fn publish(&mut self, _: &Chunk, _: Wait) -> Result<Published> {
        match self.0 {}
    }

    fn describe(&self, _: &mut Params) {
        match self.0 {}
    }
}

/// The input's end.
#[derive(Debug)]
pub struct ZmqSubscriber(Infallible);

impl ZmqSubscriber {
    /// An error: this build cannot do it.
    pub fn connect(_: &Params, config: &SubscriberConfig) -> Result<Self> {
        queue_length(config.queue)?;
        unsupported()
    }

    /// What became of the messages.
    pub fn stats(&self) -> SubscriberStats {
        match self.0 {}
    }

    /// Drops what waits.
    pub fn empty_queue(&mut self) -> Result<u64> {
        match self.0 {}
    }
}

impl Subscriber for ZmqSubscriber {
    fn receive(&mut self, _: Wait) -> Result<Chunk, NoChunk> {
        match self.0 {}
    }

    fn fd(&self) -> Result<BorrowedFd<'_>> {
        match self.0 {}
    }
}
