//! Identifiers of the items that the protocol itself defines.
//!
//! [`HEAP_CNT`] to [`PAYLOAD_LENGTH`] are *special* in an immediate item pointer: they describe the packet.

/// Padding. When addressed it still ends the item before it.
pub const NULL: u64 = 0;
/// Number of the heap that the packet belongs to; required.
pub const HEAP_CNT: u64 = 1;
/// Bytes in the heap's payload; a heap whose packets lack it is *unsized*.
pub const HEAP_LENGTH: u64 = 2;
/// Where in the heap's payload the packet's payload goes, in bytes; required.
pub const PAYLOAD_OFFSET: u64 = 3;
/// Bytes of payload in the packet; required.
pub const PAYLOAD_LENGTH: u64 = 4;
/// An item descriptor: addressed, an embedded SPEAD packet.
pub const DESCRIPTOR: u64 = 5;
/// A message to the receiver about the stream, one of `STREAM_CTRL_*`.
pub const STREAM_CTRL: u64 = 6;
/// In a descriptor: the item's name.
pub const DESCRIPTOR_NAME: u64 = 0x10;
/// In a descriptor: what the item is, for people.
pub const DESCRIPTOR_DESCRIPTION: u64 = 0x11;
/// In a descriptor: the item's dimensions.
pub const DESCRIPTOR_SHAPE: u64 = 0x12;
/// In a descriptor: the item's elements as type characters and bit lengths.
pub const DESCRIPTOR_FORMAT: u64 = 0x13;
/// In a descriptor: the identifier that is described; immediate only.
pub const DESCRIPTOR_ID: u64 = 0x14;
/// In a descriptor: the header of a numpy array; overrides shape and format.
pub const DESCRIPTOR_DTYPE: u64 = 0x15;

/// Value of [`STREAM_CTRL`]: the stream starts.
pub const STREAM_CTRL_START: u64 = 0;
/// Value of [`STREAM_CTRL`]: the descriptors are sent again.
pub const STREAM_CTRL_DESCRIPTOR_REISSUE: u64 = 1;
/// Value of [`STREAM_CTRL`]: the stream ends with this heap.
pub const STREAM_CTRL_STOP: u64 = 2;
/// Value of [`STREAM_CTRL`]: descriptors have changed.
pub const STREAM_CTRL_DESCRIPTOR_UPDATE: u64 = 3;
