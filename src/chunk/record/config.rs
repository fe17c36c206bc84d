//! What a recorder is told.

use std::path::PathBuf;

use super::format::{Ledger, MOST_USER};
use super::stats::FailReason;
use crate::error::{Error, Result};
use crate::storage::Durability;

/// The most chunks that can be written at the same time.
const MOST_IN_FLIGHT: usize = 64;

/// Whether data goes past the page cache (O_DIRECT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direct {
    /// Where the file system does that; else through the page cache, with a word in the log.
    #[default]
    Auto,
    /// Yes; it is an error where the file system does not do that.
    Always,
    /// No.
    Never,
}

/// What became of a chunk.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Which of the chunks that the recorder was given, from 0.
    pub sequence: u64,
    /// The chunk's own number.
    pub id: i64,
    /// The number of the stream that filled it.
    pub stream_id: u64,
    /// Of a written chunk: the number of the file that it is in.
    pub file: u64,
    /// Of a written chunk: where its record begins in the data file.
    pub offset: u64,
    /// Bytes of its data.
    pub data_size: u64,
    /// Written, and if so whether it is durable already; or what went wrong.
    pub result: Result<bool, (FailReason, &'a Error)>,
}

/// Told of each chunk, in the order in which they were taken.
pub type Report = Box<dyn FnMut(&Recorded<'_>) + Send>;

/// The ledger of the stream that fills the chunks, now.
pub type LedgerSource = Box<dyn Fn() -> Ledger + Send + Sync>;

/// What a recorder is told.
pub struct RecorderConfig {
    /// The data file; with rotation, a pattern with `%n`. The index is beside it, with `.index` behind its name. Neither must exist.
    pub path: PathBuf,
    /// The user's own header, which each file gets; at most 1 MiB.
    pub header: Vec<u8>,
    /// A data file that has grown to so many bytes, whole chunks only, is followed by the next; 0: never.
    pub rotate_bytes: u64,
    /// When what was written must be on the disk.
    pub durability: Durability,
    /// Whether data goes past the page cache.
    pub direct: Direct,
    /// Chunks that are written at the same time, 1 .. 64: as many threads.
    pub in_flight: usize,
    /// Asked for each chunk, where the index is to have the stream's ledger.
    pub ledger: Option<LedgerSource>,
}

impl RecorderConfig {
    /// A recorder to that file, with defaults for the rest.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            header: Vec::new(),
            rotate_bytes: 0,
            durability: Durability::System,
            direct: Direct::Auto,
            in_flight: Self::DEFAULT_IN_FLIGHT,
            ledger: None,
        }
    }

    /// Chunks that are written at the same time, unless said otherwise.
    pub const DEFAULT_IN_FLIGHT: usize = 3;

    /// Checks ranges.
    pub(super) fn check(&self) -> Result<()> {
        let Self { in_flight, header, path, .. } = self;
        if !(1..=MOST_IN_FLIGHT).contains(in_flight) {
            let rule = format!("in_flight must be between 1 and {MOST_IN_FLIGHT}");
            return Err(Error::invalid(format!("{rule} (got {in_flight})")));
        }
        if header.len() > MOST_USER {
            let rule = format!("header_size must be at most {MOST_USER}");
            return Err(Error::invalid(format!("{rule} (got {})", header.len())));
        }
        if path.as_os_str().is_empty() {
            return Err(Error::invalid("path must not be empty"));
        }
        if path.is_dir() {
            return Err(Error::invalid(format!("path must be a file's (got the folder {})", path.display())));
        }
        Ok(())
    }
}
