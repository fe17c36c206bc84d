//! Where a TCP reader listens, and what it makes of what comes.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::recv::reader::{SourceFilter, Timestamps};
use crate::runtime::MAX_REST;

/// A packet that has to be gathered is held in memory: no more of it than this.
const LARGEST_MAX_SIZE: usize = 1 << 30;

/// What to do where a packet should start and none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGarbage {
    /// The connection ends, with an error.
    #[default]
    Close,
    /// The bytes up to the next plausible header are skipped, and counted.
    Resync,
}

/// Where and how to receive packets over TCP.
#[derive(Debug)]
pub struct TcpConfig {
    /// Address or name to listen on; empty for all IPv4 addresses.
    pub host: String,
    /// Port; 0 lets the system choose.
    pub port: u16,
    /// Longest packet to accept, in bytes with its header: 1 to 2^30. A longer one is an error, as garbage is.
    pub max_size: usize,
    /// The connection's receive buffer in bytes; 4 MiB by default, so that a fast flow finds room while the worker rests; 0 leaves
    /// it to the system.
    pub buffer_size: usize,
    /// When everything there was has been read, how long the worker may rest so that more gathers: fewer wake-ups, less CPU
    /// time, and at most that much more latency. 0 to 1 ms, which is the default: nothing is lost meanwhile. A fast flow, which would fill the buffer meanwhile, gets none.
    pub batch_delay: Duration,
    /// After a connection, wait for the next one: the reader never ends by itself.
    pub reconnect: bool,
    /// What to do with bytes that are no packet.
    pub on_garbage: OnGarbage,
    /// Whose connections are taken; `None` for everybody's. Others are closed at once and counted as `connections_rejected`.
    pub source_filter: Option<SourceFilter>,
    /// Whether and by whom the time of arrival is taken: that of the last byte of each read.
    pub timestamps: Timestamps,
    /// A listening socket to use instead; `host` and `port` are then ignored.
    pub listener: Option<OwnedFd>,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            max_size: 65_536,
            buffer_size: 4 << 20,
            batch_delay: MAX_REST,
            reconnect: false,
            on_garbage: OnGarbage::Close,
            source_filter: None,
            timestamps: Timestamps::None,
            listener: None,
        }
    }
}

impl TcpConfig {
    /// Checks every field's range.
    pub(super) fn check(&self) -> Result<()> {
        let Self { max_size, batch_delay, .. } = self;
        if !(1..=LARGEST_MAX_SIZE).contains(max_size) {
            return Err(Error::invalid(format!(
                "max_size must be between 1 and {LARGEST_MAX_SIZE} (got {max_size})"
            )));
        }
        if *batch_delay > MAX_REST {
            return Err(Error::invalid(format!(
                "batch_delay must be at most {MAX_REST:?} (got {batch_delay:?})"
            )));
        }
        Ok(())
    }
}
