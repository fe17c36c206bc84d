//! A heap to send: items that are numbers or refer to bytes.
//!
//! Invariant: identifiers and immediate values fit in a pointer of the heap's flavour. A heap is a value that one thread builds; once it is
//! shared (`Arc`) for sending nobody changes it.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::memory::Buffer;
use crate::spead::{Flavour, id};

/// Bytes that several heaps may refer to.
#[derive(Clone)]
pub enum Bytes {
    /// Of this library.
    Owned(Arc<[u8]>),
    /// Of somebody else, released with the last reference.
    Lent(Arc<Lent>),
}

/// Memory of somebody else, to be read only.
pub struct Lent(Buffer);

// SAFETY: the bytes are only read, and who lent them has promised that nobody writes them meanwhile.
unsafe impl Sync for Lent {}

impl Bytes {
    /// Refers to `buffer` until the last reference is gone.
    ///
    /// # Safety
    /// Its bytes are initialised, and nobody changes them until it is released.
    pub unsafe fn lent(buffer: Buffer) -> Self {
        Self::Lent(Arc::new(Lent(buffer)))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            // SAFETY: the promise made to `lent`.
            Self::Lent(lent) => unsafe { lent.0.as_slice() },
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes.into())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self::Owned(bytes.into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.as_slice().len())
    }
}

/// What an item to send holds.
#[derive(Debug, Clone)]
pub enum SendValue {
    /// The value itself, in the item pointer.
    Immediate(u64),
    /// Bytes of the heap's payload. Receivers do not see an item without any.
    Addressed(Bytes),
}

/// An item to send.
#[derive(Debug, Clone)]
pub struct SendItem {
    /// Its identifier.
    pub id: u64,
    /// What it holds.
    pub value: SendValue,
}

/// A heap to send.
#[derive(Debug, Clone)]
pub struct SendHeap {
    flavour: Flavour,
    repeat_pointers: bool,
    items: Vec<SendItem>,
}

/// The flavour of a sender: SPEAD-64-`heap_address_bits`.
pub fn flavour(heap_address_bits: i64) -> Result<Flavour> {
    match u8::try_from(heap_address_bits) {
        Ok(bits @ 8..=56) if bits.is_multiple_of(8) => Ok(Flavour { version: 4, heap_address_bits: bits }),
        _ => {
            let rule = "heap_address_bits must be a multiple of 8 between 8 and 56";
            Err(Error::invalid(format!("{rule} (got {heap_address_bits})")))
        }
    }
}

impl SendHeap {
    /// A heap without items. `repeat_pointers`: every packet has all item pointers, not just one of them.
    pub fn new(flavour: Flavour, repeat_pointers: bool) -> Self {
        Self { flavour, repeat_pointers, items: Vec::new() }
    }

    /// Its flavour.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Whether every packet has all item pointers.
    pub fn repeats_pointers(&self) -> bool {
        self.repeat_pointers
    }

    /// Its items, in the order in which they were added.
    pub fn items(&self) -> &[SendItem] {
        &self.items
    }

    /// Adds an item.
    ///
    /// # Errors
    /// An identifier or an immediate value that does not fit in an item pointer of the flavour; one of the items that describe packets.
    pub fn add(&mut self, id: u64, value: SendValue) -> Result<()> {
        let (flavour, bits) = (self.flavour, self.flavour.heap_address_bits);
        if id >> flavour.id_bits() != 0 {
            let rule = format!("id must be less than 2^{} in {flavour}", flavour.id_bits());
            return Err(Error::invalid(format!("{rule} (got {id:#x})")));
        }
        if let SendValue::Immediate(value) = value {
            if (id::HEAP_CNT..=id::PAYLOAD_LENGTH).contains(&id) {
                return Err(Error::invalid(format!(
                    "id {id} describes a packet, which is not the heap's to say"
                )));
            }
            if value >> bits != 0 {
                let rule = format!("value of item {id:#x} must be less than 2^{bits} in {flavour}");
                return Err(Error::invalid(format!("{rule} (got {value:#x})")));
            }
        }
        self.items.push(SendItem { id, value });
        Ok(())
    }

    /// Adds a control item, one of `STREAM_CTRL_*` in [`crate::spead::id`].
    pub fn add_control(&mut self, value: u64) -> Result<()> {
        self.add(id::STREAM_CTRL, SendValue::Immediate(value))
    }

    /// Adds the bytes of a descriptor.
    pub fn add_descriptor(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.add(id::DESCRIPTOR, SendValue::Addressed(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_in_a_pointer() {
        let mut heap = SendHeap::new(flavour(48).unwrap(), false);
        heap.add((1 << 15) - 1, SendValue::Immediate((1 << 48) - 1)).unwrap();
        let message = |result: Result<()>| result.unwrap_err().message().to_owned();
        assert_eq!(
            message(heap.add(1 << 15, SendValue::Immediate(0))),
            "id must be less than 2^15 in SPEAD-64-48 (got 0x8000)"
        );
        assert_eq!(
            message(heap.add(7, SendValue::Immediate(1 << 48))),
            "value of item 0x7 must be less than 2^48 in SPEAD-64-48 (got 0x1000000000000)"
        );
        assert!(message(heap.add(id::HEAP_LENGTH, SendValue::Immediate(0))).contains("describes a packet"));
        assert_eq!(heap.items().len(), 1);
        for bits in [0, 4, 47, 64, -8] {
            assert!(flavour(bits).unwrap_err().message().ends_with(&format!("(got {bits})")));
        }
    }
}
