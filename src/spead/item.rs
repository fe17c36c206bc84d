//! Items as they stand in a heap: a number in the item pointer, or bytes of the heap's payload.
//!
//! The item pointers of a heap are first put into order ([`freeze`]); then [`Items`] walks over them. What items mean is
//! another matter.

use std::slice;

use super::{Flavour, ItemPointer, id};

/// What an item holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemValue<'a> {
    /// The value itself, of as many bits as the flavour has for an address.
    Immediate(u64),
    /// Bytes of the payload, at least one.
    Addressed(&'a [u8]),
}

/// An item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its identifier.
    pub id: u64,
    /// What it holds.
    pub value: ItemValue<'a>,
}

/// Puts a heap's item pointers into the order in which its items are told: addressed ones by their address, then immediate
/// ones by their value, and those that are equal in that as they were sent.
pub fn freeze(pointers: &mut [u64], flavour: Flavour) {
    let key = |&raw: &u64| {
        let pointer = ItemPointer::new(raw, flavour.heap_address_bits);
        (pointer.is_immediate(), pointer.value())
    };
    // Senders most often send them so.
    if !pointers.is_sorted_by_key(key) {
        pointers.sort_by_key(key);
    }
}

/// The items of a heap. An addressed item extends to where the next one starts, or to the payload's end; those without bytes
/// are left out, and so is padding, which ends the item before it all the same.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    pointers: slice::Iter<'a, u64>,
    heap_address_bits: u8,
    payload: Option<&'a [u8]>,
}

impl<'a> Items<'a> {
    /// The items of frozen pointers; without a payload only the immediate ones.
    pub fn new(pointers: &'a [u64], flavour: Flavour, payload: Option<&'a [u8]>) -> Self {
        Self { pointers: pointers.iter(), heap_address_bits: flavour.heap_address_bits, payload }
    }

    fn pointer(&self, raw: u64) -> ItemPointer {
        ItemPointer::new(raw, self.heap_address_bits)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let &raw = self.pointers.next()?;
            let pointer = self.pointer(raw);
            let id = pointer.id();
            let value = match (pointer.address(), self.payload) {
                (None, _) => ItemValue::Immediate(pointer.value()),
                (Some(_), None) => continue,
                (Some(start), Some(payload)) => {
                    let next = self.pointers.as_slice().first().and_then(|&raw| self.pointer(raw).address());
                    let end = next.unwrap_or(payload.len() as u64);
                    // Addresses of 56 bits at most, and within the payload, or this is empty.
                    let bytes = payload.get(start as usize..end as usize).unwrap_or_default();
                    if bytes.is_empty() {
                        continue;
                    }
                    ItemValue::Addressed(bytes)
                }
            };
            if id != id::NULL {
                return Some(Item { id, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAVOUR: Flavour = Flavour { version: 4, heap_address_bits: 48 };

    fn immediate(id: u64, value: u64) -> u64 {
        1 << 63 | id << 48 | value
    }

    fn addressed(id: u64, address: u64) -> u64 {
        id << 48 | address
    }

    #[test]
    fn order_ends_padding_and_emptiness() {
        // What spead2 4.5.1 makes of these, too.
        let mut pointers = [
            addressed(0x2000, 4),
            immediate(0x1600, 7),
            addressed(0x1001, 0),
            addressed(0x2001, 4),
            addressed(id::NULL, 6),
            immediate(id::NULL, 3),
            immediate(6, 0),
            immediate(0x1500, 9),
            addressed(0x1700, 8),
        ];
        freeze(&mut pointers, FLAVOUR);
        let payload: Vec<u8> = (0..10).collect();
        let items: Vec<_> = Items::new(&pointers, FLAVOUR, Some(&payload)).map(|i| (i.id, i.value)).collect();
        let expected = [
            (0x1001, ItemValue::Addressed(&[0, 1, 2, 3])),
            (0x2001, ItemValue::Addressed(&[4, 5])),
            (0x1700, ItemValue::Addressed(&[8, 9])),
            (6, ItemValue::Immediate(0)),
            (0x1600, ItemValue::Immediate(7)),
            (0x1500, ItemValue::Immediate(9)),
        ];
        assert_eq!(items, expected);
        let without_payload: Vec<_> = Items::new(&pointers, FLAVOUR, None).map(|i| i.id).collect();
        assert_eq!(without_payload, [6, 0x1600, 0x1500]);
    }

    #[test]
    fn addresses_beyond_the_payload_are_no_items() {
        let pointers = [addressed(0x2000, 0), addressed(0x2001, 5), addressed(0x2002, 1 << 47)];
        assert_eq!(Items::new(&pointers, FLAVOUR, Some(&[1, 2])).count(), 0);
    }
}
