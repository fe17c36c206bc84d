//! Packets that stand back to back in memory.

use std::os::fd::BorrowedFd;

use super::{Leftover, Polled, Reader};
use crate::error::{Error, ErrorKind};
use crate::memory::{Buffer, prefetch};
use crate::recv::sink::{Flow, PacketSink};
use crate::spead::Packet;

/// Packets offered per poll, before other tasks get their turn.
const BATCH: usize = 256;

/// How far ahead of the packet at hand bytes are brought into the cache. Measured: less is too late, more does not help.
const AHEAD: usize = 6 << 10;

/// Reads packets from a buffer, which is released when the reader is done with it.
#[derive(Debug)]
pub struct BufferReader {
    buffer: Buffer,
    /// Offset of the next packet; at most the buffer's length.
    position: usize,
    /// Up to where the processor was asked for the bytes.
    asked: usize,
}

impl BufferReader {
    /// A reader of `buffer`.
    ///
    /// # Safety
    /// All of the buffer's bytes must be initialised, and nobody may write to them until it is released.
    pub unsafe fn new(buffer: Buffer) -> Self {
        Self { buffer, position: 0, asked: 0 }
    }

    /// A reader of a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = bytes.to_vec();
        let (start, len) = (std::ptr::NonNull::from(copy.as_mut_slice()).cast(), copy.len());
        // SAFETY: the vector's bytes, initialised, are reached through the buffer only, until its release drops them.
        unsafe { Self::new(Buffer::from_raw(start, len, move || drop(copy))) }
    }
}

impl Reader for BufferReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        // SAFETY: by the contract of `new`, the bytes are initialised and nobody writes to them.
        let bytes = unsafe { std::slice::from_raw_parts(self.buffer.as_ptr(), self.buffer.len()) };
        for _ in 0..BATCH {
            let rest = bytes.get(self.position..).unwrap_or_default();
            if rest.is_empty() {
                return Polled::Ended;
            }
            let ahead = bytes.len().min(self.position + AHEAD);
            if let Some(next) = bytes.get(self.asked.max(self.position)..ahead) {
                prefetch(next);
                self.asked = ahead;
            }
            match Packet::parse(rest) {
                Ok(packet) => match sink.parsed(&packet) {
                    Flow::Taken => self.position += packet.size(),
                    Flow::Blocked | Flow::Ended => return Polled::Blocked,
                },
                Err(kind) => {
                    // Where one packet is broken, nobody knows where the next one starts.
                    sink.malformed(kind, rest);
                    let position = self.position;
                    self.position = bytes.len();
                    return Polled::Failed(Error::new(
                        ErrorKind::Format,
                        format!(
                            "buffer: malformed packet at byte {position} of {}: {}",
                            bytes.len(),
                            kind.name()
                        ),
                    ));
                }
            }
        }
        Polled::More
    }

    fn leftover(&mut self) -> Leftover {
        // What has not been looked at has not been received.
        Leftover::default()
    }
}
