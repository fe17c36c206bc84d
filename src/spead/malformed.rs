//! Why bytes are not a SPEAD packet.

use std::fmt;

/// The first rule of the wire format that a packet breaks, in the order in which they are checked.
///
/// As an index (`reason as usize`) it selects one of `Malformed::ALL.len()` counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Shorter than a packet header.
    TooShort,
    /// The first byte is not 0x53.
    BadMagic,
    /// A version other than 4.
    BadVersion,
    /// Identifier and address widths that are zero or do not add up to 8 bytes.
    BadWidths,
    /// The item pointers reach beyond the bytes received.
    ItemsOverflow,
    /// No immediate HEAP_CNT.
    NoHeapCnt,
    /// No immediate PAYLOAD_OFFSET.
    NoPayloadOffset,
    /// No immediate PAYLOAD_LENGTH.
    NoPayloadLength,
    /// The payload reaches beyond the bytes received.
    PayloadOverflow,
    /// The payload reaches beyond HEAP_LENGTH.
    HeapOverflow,
    /// An item's address lies beyond HEAP_LENGTH.
    ItemBeyondHeap,
}

impl Malformed {
    /// Every reason, each at its own index.
    pub const ALL: [Malformed; 11] = [
        Malformed::TooShort,
        Malformed::BadMagic,
        Malformed::BadVersion,
        Malformed::BadWidths,
        Malformed::ItemsOverflow,
        Malformed::NoHeapCnt,
        Malformed::NoPayloadOffset,
        Malformed::NoPayloadLength,
        Malformed::PayloadOverflow,
        Malformed::HeapOverflow,
        Malformed::ItemBeyondHeap,
    ];

    /// The name under which it is counted, in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Malformed::TooShort => "too_short",
            Malformed::BadMagic => "bad_magic",
            Malformed::BadVersion => "bad_version",
            Malformed::BadWidths => "bad_widths",
            Malformed::ItemsOverflow => "items_overflow",
            Malformed::NoHeapCnt => "no_heap_cnt",
            Malformed::NoPayloadOffset => "no_payload_offset",
            Malformed::NoPayloadLength => "no_payload_length",
            Malformed::PayloadOverflow => "payload_overflow",
            Malformed::HeapOverflow => "heap_overflow",
            Malformed::ItemBeyondHeap => "item_beyond_heap",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::TooShort => "shorter than a packet header",
            Malformed::BadMagic => "the first byte is not 0x53",
            Malformed::BadVersion => "the version is not 4",
            Malformed::BadWidths => "the item pointer's widths do not add up to 8 bytes",
            Malformed::ItemsOverflow => "the item pointers reach beyond the packet",
            Malformed::NoHeapCnt => "HEAP_CNT is missing",
            Malformed::NoPayloadOffset => "PAYLOAD_OFFSET is missing",
            Malformed::NoPayloadLength => "PAYLOAD_LENGTH is missing",
            Malformed::PayloadOverflow => "the payload reaches beyond the packet",
            Malformed::HeapOverflow => "the payload reaches beyond HEAP_LENGTH",
            Malformed::ItemBeyondHeap => "an item's address lies beyond HEAP_LENGTH",
        })
    }
}

impl std::error::Error for Malformed {}
