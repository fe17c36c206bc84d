//! Item pointers: 64 bits that are a flag, an identifier, and a value or an address.

use std::fmt;
use std::slice;

/// The flag that makes an item pointer carry its value.
pub(super) const IMMEDIATE: u64 = 1 << 63;

/// One item pointer. What its low `heap_address_bits` mean depends on [`ItemPointer::is_immediate`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemPointer {
    raw: u64,
    /// 8 to 56 when it comes from a packet. From elsewhere it may be anything, hence the wrapping shifts.
    heap_address_bits: u8,
}

impl ItemPointer {
    /// Decodes a pointer, already in native byte order, of a flavour with `heap_address_bits` (1 to 62).
    #[inline]
    pub fn new(raw: u64, heap_address_bits: u8) -> Self {
        Self { raw, heap_address_bits }
    }

    /// All 64 bits, in native byte order.
    #[inline]
    pub fn raw(self) -> u64 {
        self.raw
    }

    /// Whether the pointer carries the value itself; otherwise it has the value's address.
    #[inline]
    pub fn is_immediate(self) -> bool {
        self.raw & IMMEDIATE != 0
    }

    /// The item's identifier.
    #[inline]
    pub fn id(self) -> u64 {
        (self.raw & !IMMEDIATE).wrapping_shr(self.heap_address_bits.into())
    }

    /// The low `heap_address_bits`, whatever they mean.
    #[inline]
    pub fn value(self) -> u64 {
        self.raw & low_bits(self.heap_address_bits)
    }

    /// The value of an immediate item.
    #[inline]
    pub fn immediate(self) -> Option<u64> {
        self.is_immediate().then(|| self.value())
    }

    /// Where in the heap's payload an addressed item starts, in bytes.
    #[inline]
    pub fn address(self) -> Option<u64> {
        (!self.is_immediate()).then(|| self.value())
    }
}

impl fmt::Debug for ItemPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_immediate() { "=" } else { "@" };
        write!(f, "{:#x}{kind}{:#x}", self.id(), self.value())
    }
}

/// A mask of the low `bits`.
#[inline]
pub(super) fn low_bits(bits: u8) -> u64 {
    1u64.wrapping_shl(bits.into()).wrapping_sub(1)
}

/// The item pointers of a packet, in the order sent; see [`super::Header::pointers`].
#[derive(Clone, Debug)]
pub struct Pointers<'a> {
    words: slice::Iter<'a, [u8; 8]>,
    heap_address_bits: u8,
}

impl<'a> Pointers<'a> {
    pub(super) fn new(bytes: &'a [u8], heap_address_bits: u8) -> Self {
        Self { words: bytes.as_chunks().0.iter(), heap_address_bits }
    }
}

impl Iterator for Pointers<'_> {
    type Item = ItemPointer;

    #[inline]
    fn next(&mut self) -> Option<ItemPointer> {
        let word = self.words.next()?;
        Some(ItemPointer::new(u64::from_be_bytes(*word), self.heap_address_bits))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.words.size_hint()
    }
}

impl DoubleEndedIterator for Pointers<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<ItemPointer> {
        let word = self.words.next_back()?;
        Some(ItemPointer::new(u64::from_be_bytes(*word), self.heap_address_bits))
    }
}

impl ExactSizeIterator for Pointers<'_> {}
