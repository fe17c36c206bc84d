//! Why a stream ended.

use crate::error::Error;

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// It was stopped, or freed.
    User,
    /// A packet with the stop item came.
    StopItem,
    /// Its sources have nothing more.
    SourceEnded,
    /// A ring that it needs was stopped.
    RingStopped,
    /// Its thread pool was stopped.
    PoolStopped,
    /// A source failed.
    Failed(Error),
}
