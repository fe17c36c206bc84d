//! How a dataset is recorded. Plain values.

use std::path::PathBuf;
use std::time::Duration;

use crate::dataset::packing::Packing;
use crate::error::{Error, ErrorKind, Result};
use crate::spead::dtype::Dtype;

/// More threads than any machine has cores; a larger number is a mistake.
const MAX_THREADS: usize = 4096;
/// Axes that HDF5 allows.
const MAX_AXES: usize = 32;
/// Bytes of a block where nobody says.
const BLOCK: usize = 1 << 20;
/// A chunk must have less, by the file format.
const MOST_BLOCK: u64 = (1 << 32) - 1;

/// What is recorded, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordConfig {
    /// The file, which is made.
    pub path: PathBuf,
    /// The dataset's path in it; groups on the way are made.
    pub dataset: String,
    /// Replaces a file that there is; else that is an error.
    pub overwrite: bool,
    /// The type of elements.
    pub dtype: Dtype,
    /// The shape of a row: all axes but the first.
    pub row_shape: Vec<usize>,
    /// Rows of a block, which is a chunk of the dataset; `None`: as many as 1 MiB has, at least one.
    pub block_rows: Option<u64>,
    /// How blocks are packed.
    pub packing: Packing,
    /// Threads that pack; 1 to 4096. None is started where nothing is to be packed.
    pub threads: usize,
    /// Blocks in memory at the most, at least 2: those being filled, packed, and waiting to be written. Then who puts rows waits.
    pub queue_blocks: usize,
    /// At the latest so long after they came rows are in the file, for others to read; zero: after each block.
    pub flush_interval: Duration,
    /// A flush waits until the disk has what is flushed: it outlasts a loss of power.
    pub sync: bool,
    /// Others may read while it is written, in SWMR mode, and no crash of this process leaves a file that cannot be read.
    pub swmr: bool,
    /// Of chunks: bytes of their presence flags and of their extra bytes, which are recorded beside; 0: they are not.
    pub present_size: usize,
    /// See `present_size`.
    pub extra_size: usize,
    /// Whether chunks of the receiver come, not rows: their numbers are recorded.
    pub chunks: bool,
    /// Attributes of the dataset.
    pub attributes: Vec<(String, Attribute)>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl RecordConfig {
    /// The defaults.
    pub fn new(path: impl Into<PathBuf>, dataset: &str, dtype: Dtype, row_shape: &[usize]) -> Self {
        Self {
            path: path.into(),
            dataset: dataset.to_owned(),
            overwrite: false,
            dtype,
            row_shape: row_shape.to_vec(),
            block_rows: None,
            packing: Packing::default(),
            threads: 2,
            queue_blocks: 8,
            flush_interval: Duration::from_secs(1),
            sync: false,
            swmr: false,
            present_size: 0,
            extra_size: 0,
            chunks: false,
            attributes: Vec::new(),
        }
    }

    /// Checks the numbers; bytes of a row and rows of a block.
    pub(super) fn check(&self) -> Result<(usize, u64)> {
        if self.threads == 0 || self.threads > MAX_THREADS {
            let rule = format!("threads must be between 1 and {MAX_THREADS}");
            return Err(Error::invalid(format!("{rule} (got {})", self.threads)));
        }
        if self.queue_blocks < 2 {
            return Err(Error::invalid(format!(
                "queue_blocks must be at least 2 (got {})",
                self.queue_blocks
            )));
        }
        if self.dataset.trim_matches('/').is_empty() || self.dataset.contains('\0') {
            return Err(Error::invalid(format!(
                "dataset must be a path in the file (got {:?})",
                self.dataset
            )));
        }
        self.packing.check()?;
        let shape = &self.row_shape;
        if shape.len() + 1 > MAX_AXES {
            let message = format!("a dataset has at most {MAX_AXES} axes (got {})", shape.len() + 1);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if shape.contains(&0) {
            return Err(Error::invalid(format!("shape of a row must be positive (got {shape:?})")));
        }
        let size = shape.iter().try_fold(self.dtype.size(), |all, &n| all.checked_mul(n));
        let size = size.filter(|&size| size > 0 && size as u64 <= MOST_BLOCK).ok_or_else(|| {
            let dtype = &self.dtype;
            Error::invalid(format!("a row must have 1 to {MOST_BLOCK} bytes (got {shape:?} of {dtype})"))
        })?;
        let rows = self.block_rows.unwrap_or_else(|| (BLOCK / size).max(1) as u64);
        if rows == 0 {
            return Err(Error::invalid("block_rows must be at least 1 (got 0)"));
        }
        match rows.checked_mul(size as u64) {
            Some(bytes) if bytes <= MOST_BLOCK => Ok((size, rows)),
            _ => {
                let rule = format!("a block must have at most {MOST_BLOCK} bytes");
                Err(Error::invalid(format!("{rule} (got block_rows {rows} of {size} bytes)")))
            }
        }
    }
}
