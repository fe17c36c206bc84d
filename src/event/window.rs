//! A window on a file: the part of it that is in memory, which moves forwards.
//!
//! Invariant: `buffer[..filled]` is the file's content from byte `base`. Memory grows only as far as the file has bytes to fill
//! it, so that a size that lies costs nothing. Used by one thread at a time.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::error::{Error, ErrorKind, Result};

/// Bytes to ask of the file at a time. Twice this fits in the L2 cache.
const BLOCK: usize = 256 * 1024;

/// A buffer that was larger than this for one long record is not kept.
const KEEP: usize = 16 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Window {
    buffer: Vec<u8>,
    filled: usize,
    base: u64,
}

impl Window {
    /// `len` bytes at `offset`; fewer where the file ends.
    #[inline]
    pub(super) fn at(&mut self, file: &File, offset: u64, len: usize) -> Result<&[u8]> {
        let start = match self.start(offset) {
            Some(start) if self.filled - start >= len => start,
            _ => {
                self.fill(file, offset, len)?;
                0
            }
        };
        let end = self.filled.min(start.saturating_add(len));
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }

    /// Where `offset` is in the buffer.
    fn start(&self, offset: u64) -> Option<usize> {
        let start = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        (start <= self.filled).then_some(start)
    }

    /// Moves the window to `offset` and reads until it has `len` bytes.
    #[cold]
    fn fill(&mut self, file: &File, offset: u64, len: usize) -> Result<()> {
        let start = self.start(offset).unwrap_or(self.filled);
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        self.base = offset;
        if self.buffer.len() > KEEP && self.filled.max(len) <= BLOCK {
            self.buffer.truncate(BLOCK);
            self.buffer.shrink_to_fit();
        }
        while self.filled < len {
            let room = self.filled + BLOCK;
            if self.buffer.len() < room {
                self.buffer
                    .try_reserve(room - self.buffer.len())
                    .map_err(|_| Error::new(ErrorKind::NoMemory, format!("no memory for {len} bytes")))?;
                self.buffer.resize(room, 0);
            }
            let space = self.buffer.get_mut(self.filled..room).unwrap_or_default();
            match read_at(file, space, self.base + self.filled as u64)? {
                0 => break,
                n => self.filled += n,
            }
        }
        Ok(())
    }
}

/// Reads what there is at `offset`, as much as fits; 0 bytes at the end of the file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(format_args!("read at byte {offset}"), &error)),
            Ok(n) => return Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_window_shows_what_the_file_has() {
        let content: Vec<u8> = (0..3 * BLOCK as u32 + 100).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let mut window = Window::default();
        for (offset, len) in [
            (0, 10),
            (10, BLOCK),
            (BLOCK - 1, 2 * BLOCK),
            (BLOCK, 0),
            (5, 100),
            (content.len() - 50, 50),
            (content.len() - 50, 51),
            (content.len(), 1),
            (content.len() + 1000, 1),
            (0, content.len() + 1),
        ] {
            let expected = &content[offset.min(content.len())..(offset + len).min(content.len())];
            let shown = window.at(&file, offset as u64, len).unwrap();
            assert!(shown == expected, "{offset} {len}: {} bytes", shown.len());
        }
        // A size that the file does not have costs no memory.
        assert_eq!(window.at(&file, 0, usize::MAX / 2).unwrap().len(), content.len());
        assert!(window.buffer.capacity() < 8 * content.len());
    }

    #[test]
    fn memory_for_a_long_record_is_given_back() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(40 << 20).unwrap();
        let mut window = Window::default();
        assert_eq!(window.at(&file, 0, 30 << 20).unwrap().len(), 30 << 20);
        assert_eq!(window.at(&file, 35 << 20, 10).unwrap().len(), 10);
        assert!(window.buffer.capacity() < KEEP);
    }
}
