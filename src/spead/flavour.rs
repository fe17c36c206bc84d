//! The flavour of a packet: how an item pointer divides its 64 bits.

use std::fmt;

/// The widths that a packet's header announces: SPEAD-64-`heap_address_bits`.
///
/// All packets of a heap must have one flavour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flavour {
    /// Version of the protocol; always 4 in a checked packet.
    pub version: u8,
    /// Bits of heap address, or of immediate value, in an item pointer: 8, 16, … 56 in a checked packet.
    pub heap_address_bits: u8,
}

impl Flavour {
    /// Bits of an item identifier; the remaining bit of the 64 is the immediate flag.
    pub fn id_bits(self) -> u8 {
        63u8.saturating_sub(self.heap_address_bits)
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPEAD-64-{}", self.heap_address_bits)
    }
}
