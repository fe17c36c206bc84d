//! Items with descriptors and values, of which heaps are made that have just what receivers do not know yet.
//!
//! Invariant: no two items have the same identifier or name. One thread at a time.

use std::collections::HashMap;

use super::heap::{Bytes, SendHeap, SendValue};
use crate::error::{Error, ErrorKind, Result};
use crate::spead::Flavour;
use crate::spead::descriptor::Descriptor;

/// What of all items goes into a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// What has changed since it was put into a heap, or never was in one.
    Stale,
    /// All that there is.
    All,
}

/// What a heap of a group holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Which descriptors.
    pub descriptors: Include,
    /// Which values.
    pub values: Include,
    /// Every packet has all item pointers.
    pub repeat_pointers: bool,
}

impl Default for Contents {
    fn default() -> Self {
        Self { descriptors: Include::Stale, values: Include::Stale, repeat_pointers: false }
    }
}

#[derive(Debug)]
struct Item {
    descriptor: Descriptor,
    /// The descriptor's bytes in a heap.
    described: Bytes,
    value: Option<SendValue>,
    descriptor_is_stale: bool,
    value_is_stale: bool,
}

/// Items to send.
#[derive(Debug)]
pub struct SendGroup {
    flavour: Flavour,
    bug_compat: u8,
    items: Vec<Item>,
    by_id: HashMap<u64, usize>,
}

impl SendGroup {
    /// A group without items, for heaps of this flavour, for receivers with this `bug_compat`.
    pub fn new(flavour: Flavour, bug_compat: u8) -> Self {
        Self { flavour, bug_compat, items: Vec::new(), by_id: HashMap::new() }
    }

    /// The flavour of its heaps.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item, without a value. One with the same identifier is described anew, and its value is answered.
    ///
    /// # Errors
    /// What does not fit in the flavour, or is another item's name.
    pub fn add(&mut self, descriptor: Descriptor) -> Result<Option<SendValue>> {
        let descriptor = descriptor.for_bug_compat(self.bug_compat)?;
        let (id, bits) = (descriptor.id, self.flavour.id_bits());
        if id >> bits != 0 {
            let rule = format!("id must be less than 2^{bits} in {}", self.flavour);
            return Err(Error::invalid(format!("{rule} (got {id:#x})")));
        }
        if let Some(other) = self.items.iter().find(|item| item.descriptor.name == descriptor.name)
            && other.descriptor.id != id
        {
            let (name, other) = (&descriptor.name, other.descriptor.id);
            return Err(Error::invalid(format!("name {name:?} is that of item {other:#x} already")));
        }
        let described = descriptor.to_bytes(self.flavour, self.bug_compat)?.into();
        let item =
            Item { descriptor, described, value: None, descriptor_is_stale: true, value_is_stale: false };
        match self.by_id.get(&id).and_then(|&index| self.items.get_mut(index)) {
            Some(old) => Ok(std::mem::replace(old, item).value),
            None => {
                self.by_id.insert(id, self.items.len());
                self.items.push(item);
                Ok(None)
            }
        }
    }

    fn item(&mut self, id: u64) -> Result<&mut Item> {
        let index = self.by_id.get(&id).copied();
        index
            .and_then(|index| self.items.get_mut(index))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("id: the group has no item {id:#x}")))
    }

    /// The description of an item.
    pub fn descriptor(&self, id: u64) -> Option<&Descriptor> {
        self.by_id.get(&id).and_then(|&index| self.items.get(index)).map(|item| &item.descriptor)
    }

    /// Sets a value, and answers the one before; `elements` as [`Descriptor::encode`] takes them. It counts as changed, whatever it was before.
    pub fn set(&mut self, id: u64, elements: &[u8]) -> Result<Option<SendValue>> {
        let flavour = self.flavour;
        let item = self.item(id)?;
        let encoded = item.descriptor.encode(elements, flavour)?;
        Ok(item.set(match encoded.immediate {
            Some(value) => SendValue::Immediate(value),
            None => SendValue::Addressed(encoded.bytes.into()),
        }))
    }

    /// Sets a value to bytes as they stand on the wire, which are not copied, and answers the one before.
    pub fn set_wire(&mut self, id: u64, bytes: Bytes) -> Result<Option<SendValue>> {
        Ok(self.item(id)?.set(SendValue::Addressed(bytes)))
    }

    /// Makes a heap, and takes what is in it as known to receivers from now on.
    pub fn heap(&mut self, contents: Contents) -> Result<SendHeap> {
        let mut heap = SendHeap::new(self.flavour, contents.repeat_pointers);
        let wants = |include, is_stale| match include {
            Include::None => false,
            Include::Stale => is_stale,
            Include::All => true,
        };
        for item in &mut self.items {
            if wants(contents.descriptors, item.descriptor_is_stale) {
                heap.add(crate::spead::id::DESCRIPTOR, SendValue::Addressed(item.described.clone()))?;
                item.descriptor_is_stale = false;
            }
        }
        for item in &mut self.items {
            if let Some(value) = &item.value
                && wants(contents.values, item.value_is_stale)
            {
                heap.add(item.descriptor.id, value.clone())?;
                item.value_is_stale = false;
            }
        }
        Ok(heap)
    }
}

impl Item {
    fn set(&mut self, value: SendValue) -> Option<SendValue> {
        self.value_is_stale = true;
        self.value.replace(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::heap::flavour;
    use crate::spead::descriptor::Layout;
    use crate::spead::dtype::Dtype;

    fn described(id: u64, name: &str, dtype: &str) -> Descriptor {
        let dtype = Dtype::parse_scalar(dtype).unwrap();
        let layout = Layout::Numpy { dtype, fortran_order: false };
        Descriptor::new(id, name, "", vec![], layout).unwrap()
    }

    fn ids(group: &mut SendGroup, descriptors: Include, values: Include) -> Vec<u64> {
        let heap = group.heap(Contents { descriptors, values, ..Contents::default() }).unwrap();
        heap.items().iter().map(|item| item.id).collect()
    }

    #[test]
    fn heaps_have_what_is_new() {
        use Include::{All, None, Stale};
        let mut group = SendGroup::new(flavour(48).unwrap(), 0);
        group.add(described(0x1000, "a", "<u4")).unwrap();
        group.add(described(0x1001, "b", "<u8")).unwrap();
        group.set(0x1000, &7u32.to_ne_bytes()).unwrap();
        assert_eq!(ids(&mut group, Stale, Stale), [5, 5, 0x1000]);
        assert!(ids(&mut group, Stale, Stale).is_empty());
        group.set(0x1001, &7u64.to_ne_bytes()).unwrap();
        assert!(ids(&mut group, None, None).is_empty());
        assert_eq!(ids(&mut group, Stale, Stale), [0x1001]);
        assert_eq!(ids(&mut group, All, All), [5, 5, 0x1000, 0x1001]);
        group.add(described(0x1000, "c", "<u2")).unwrap();
        assert_eq!(ids(&mut group, Stale, All), [5, 0x1001]);
    }

    #[test]
    fn what_is_refused() {
        let mut group = SendGroup::new(flavour(48).unwrap(), 8);
        group.add(described(0x1000, "a", "<u4")).unwrap();
        fn message<T>(result: Result<T>) -> String {
            result.err().unwrap().message().to_owned()
        }
        assert_eq!(
            message(group.add(described(0x1001, "a", "<u4"))),
            "name \"a\" is that of item 0x1000 already"
        );
        assert!(message(group.add(described(0x8000, "b", "<u4"))).contains("less than 2^15"));
        assert!(message(group.add(described(0x1001, "b", "<c8"))).contains("has no format"));
        assert_eq!(message(group.set(0x1002, &[])), "id: the group has no item 0x1002");
        assert!(message(group.set(0x1000, &[1])).contains("size must be 4"));
        assert_eq!(group.len(), 1);
    }
}
