//! The standard output, as commands write it that have much to say.
//!
//! One thread uses it. When nobody reads any more, what is written is forgotten, and `is_closed` says so.

use std::io::{self, Write};

use crate::failure::Failure;
use crate::terminal;

/// Bytes that are written at a time.
pub const BLOCK: usize = 256 * 1024;

/// The standard output, in large pieces.
pub struct Lines {
    buffer: Vec<u8>,
    closed: bool,
}

impl Lines {
    pub fn new() -> Self {
        Self { buffer: Vec::new(), closed: false }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BLOCK { Ok(()) } else { self.flush() }
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        let written = terminal::aside(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&self.buffer).and_then(|()| stdout.flush())
        });
        self.buffer.clear();
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::Run(format!("writing to the standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}
