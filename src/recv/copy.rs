//! How payloads get to where they belong.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::memory::CopyMethod;
use crate::spead::Packet;

/// Memory that a heap's payload goes to.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Where the heap's first byte goes.
    pub base: NonNull<u8>,
    /// Bytes there that may be written. They hold at least the payload of the packet that the room was made for, at its
    /// payload offset.
    pub size: usize,
}

/// A user's way to copy the payload of a packet, for example scattering it.
///
/// # Safety
/// An implementation writes to the room only, and has written all of a heap's bytes when all its packets were copied.
pub unsafe trait PacketCopy: Send + Sync {
    /// Copies the packet's payload to `room`, anywhere in it. Called by the stream's worker, packet by packet.
    fn copy(&self, room: Room, packet: &Packet<'_>);
}

/// How a stream copies payloads.
#[derive(Clone, Default)]
pub struct Copier {
    /// How, where the user has no function for it.
    pub method: CopyMethod,
    /// The user's function.
    pub user: Option<Arc<dyn PacketCopy>>,
}

impl fmt::Debug for Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copier").field("method", &self.method).field("user", &self.user.is_some()).finish()
    }
}

impl Copier {
    /// Copies the packet's payload to its place in `room`.
    ///
    /// # Safety
    /// The room is one that was made for this packet, just now.
    #[inline]
    pub(super) unsafe fn copy(&self, room: Room, packet: &Packet<'_>) {
        if let Some(user) = &self.user {
            return user.copy(room, packet);
        }
        let (payload, offset) = (packet.payload(), packet.payload_offset() as usize);
        // SAFETY: by the contract of Room, offset + payload.len() <= size; nobody else has this memory, so nothing overlaps.
        unsafe { self.method.copy(room.base.as_ptr().add(offset), payload.as_ptr(), payload.len()) }
    }
}
