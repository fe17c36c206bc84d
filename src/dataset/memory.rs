//! Memory of a size that a file tells: an error where there is none, instead of an end of the process. A pure function.

use crate::error::{Error, ErrorKind, Result};

/// A vector of so many bytes, or an error where there is no memory.
pub(super) fn resize(memory: &mut Vec<u8>, size: usize) -> Result<()> {
    let more = size.saturating_sub(memory.len());
    memory
        .try_reserve_exact(more)
        .map_err(|_| Error::new(ErrorKind::NoMemory, format!("cannot allocate {size} bytes for a chunk")))?;
    memory.resize(size, 0);
    Ok(())
}
