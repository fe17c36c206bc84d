//! Waiting
//!
//! Calls that may wait take `int64_t timeout_ns`: how long at most, in nanoseconds. With 0 they do not wait and answer
//! AQ_EMPTY or AQ_FULL; with AQ_WAIT_FOREVER they wait until there is an answer; otherwise they answer AQ_TIMEOUT
//! once the time is over. Other negative values are AQ_E_INVALID. Time is measured by the monotonic clock.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::ring::Wait;

/// Wait as long as it takes.
pub const AQ_WAIT_FOREVER: i64 = -1;

/// The core's way to say `timeout_ns`.
pub fn wait(timeout_ns: i64) -> Result<Wait> {
    match timeout_ns {
        AQ_WAIT_FOREVER => Ok(Wait::Forever),
        0 => Ok(Wait::No),
        1.. => Ok(Wait::For(Duration::from_nanos(timeout_ns.unsigned_abs()))),
        _ => Err(Error::invalid(format!(
            "timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got {timeout_ns})"
        ))),
    }
}
