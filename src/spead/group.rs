//! Item groups: the latest description and value of each item of a stream.

use std::collections::HashMap;

use super::descriptor::{Broken, Descriptor};
use super::item::{ItemValue, Items};
use super::value::Value;
use super::{Flavour, id};
use crate::error::{Error, ErrorKind, Result};

/// What a group may hold, whatever the sender sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLimits {
    /// Items: 65 536 by default.
    pub max_items: usize,
    /// Bytes of all values and descriptions together: 4 GiB by default.
    pub max_bytes: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { max_items: 65_536, max_bytes: 4 << 30 }
    }
}

impl GroupLimits {
    fn exceeded(&self, descriptor: &Descriptor) -> Error {
        let (name, limit) = (descriptor.short_name(), self.max_bytes);
        let message =
            format!("item {name}: the values and descriptions of a group have at most {limit} bytes");
        Error::new(ErrorKind::NoMemory, message)
    }
}

/// An item of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupItem {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its latest value, once there is one.
    pub value: Option<Value>,
    /// Grows by one with every value and with every new description.
    pub version: u64,
    /// The last update brought a value.
    pub changed: bool,
}

/// What an item could not be updated for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// The item's identifier, if that is known.
    pub id: Option<u64>,
    /// What is wrong.
    pub error: Error,
}

/// What came of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Items with a new value, in the order of their first one; see [`ItemGroup::get`].
    pub changed: Vec<usize>,
    /// What went wrong. All other items are updated.
    pub errors: Vec<ItemError>,
}

/// Items by identifier and by name.
///
/// Invariant: no two items have the same identifier or the same name; the tables have just those of the items.
#[derive(Debug, Default)]
pub struct ItemGroup {
    #[expect(clippy::vec_box, reason = "an item keeps its address, which C holds")]
    items: Vec<Box<GroupItem>>,
    by_id: HashMap<u64, usize>,
    by_name: HashMap<String, usize>,
    limits: GroupLimits,
    /// Bytes of all values and descriptions.
    bytes: usize,
}

impl GroupItem {
    fn footprint(&self) -> usize {
        self.descriptor.footprint() + self.value.as_ref().map_or(0, |value| value.bytes.len())
    }
}

impl ItemGroup {
    /// A group of nothing.
    pub fn new(limits: GroupLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many items are known.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item is known.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// An item by its index, below [`len`](Self::len). Indices change when items go, in [`update`](Self::update).
    pub fn get(&self, index: usize) -> Option<&GroupItem> {
        self.items.get(index).map(|item| &**item)
    }

    /// The index of the item with that identifier.
    pub fn index_of_id(&self, id: u64) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The index of the item with that name.
    pub fn index_of_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The item with that identifier.
    pub fn find_id(&self, id: u64) -> Option<&GroupItem> {
        self.index_of_id(id).and_then(|index| self.get(index))
    }

    /// The item with that name.
    pub fn find_name(&self, name: &str) -> Option<&GroupItem> {
        self.index_of_name(name).and_then(|index| self.get(index))
    }

    /// Takes over what a heap has to say: first its descriptors, then its values. A descriptor that says the same again
    /// changes nothing; one that says something else of an item drops its value. Items without a descriptor are left alone.
    pub fn update(&mut self, items: Items<'_>, flavour: Flavour, bug_compat: u8) -> Update {
        self.items.iter_mut().for_each(|item| item.changed = false);
        let mut update = Update::default();
        for item in items.clone() {
            let ItemValue::Addressed(bytes) = item.value else { continue };
            if item.id == id::DESCRIPTOR {
                match Descriptor::parse(bytes, bug_compat) {
                    Ok(Some(descriptor)) => {
                        let id = Some(descriptor.id);
                        if let Err(error) = self.define(descriptor) {
                            update.errors.push(ItemError { id, error });
                        }
                    }
                    Ok(None) => {}
                    Err(Broken { id, error }) => update.errors.push(ItemError { id, error }),
                }
            }
        }
        for item in items {
            let Some(&index) = self.by_id.get(&item.id) else { continue };
            match self.set(index, item.value, flavour) {
                Ok(true) => update.changed.push(index),
                Ok(false) => {}
                Err(error) => update.errors.push(ItemError { id: Some(item.id), error }),
            }
        }
        update
    }

    /// Adds a description, in place of those with its identifier or its name.
    fn define(&mut self, descriptor: Descriptor) -> Result<()> {
        let same_id = self.by_id.get(&descriptor.id).copied();
        let same_name = self.by_name.get(&descriptor.name).copied();
        if let Some(item) = same_id.and_then(|index| self.get(index))
            && item.descriptor == descriptor
        {
            return Ok(());
        }
        let old = [same_id, same_name.filter(|_| same_name != same_id)].into_iter().flatten();
        // From the last on, as those behind move up.
        let mut old: Vec<usize> = old.collect();
        old.sort_unstable_by(|a, b| b.cmp(a));
        if self.items.len() - old.len() >= self.limits.max_items {
            let message =
                format!("item {:#x}: a group has at most {} items", descriptor.id, self.limits.max_items);
            return Err(Error::new(ErrorKind::NoMemory, message));
        }
        let freed: usize = old.iter().filter_map(|&index| self.get(index)).map(GroupItem::footprint).sum();
        let bytes = self.bytes - freed + descriptor.footprint();
        if bytes > self.limits.max_bytes {
            return Err(self.limits.exceeded(&descriptor));
        }
        let version = old.into_iter().map(|index| self.remove(index).version + 1).max().unwrap_or(0);
        self.bytes = bytes;
        self.by_id.insert(descriptor.id, self.items.len());
        self.by_name.insert(descriptor.name.clone(), self.items.len());
        self.items.push(Box::new(GroupItem { descriptor, value: None, version, changed: false }));
        Ok(())
    }

    /// Removes an item; the last one takes its index.
    fn remove(&mut self, index: usize) -> Box<GroupItem> {
        let item = self.items.swap_remove(index);
        self.by_id.remove(&item.descriptor.id);
        self.by_name.remove(&item.descriptor.name);
        if let Some(moved) = self.items.get(index) {
            self.by_id.insert(moved.descriptor.id, index);
            self.by_name.insert(moved.descriptor.name.clone(), index);
        }
        self.bytes -= item.footprint();
        item
    }

    /// Sets a value; true if it is the first of this update.
    fn set(&mut self, index: usize, value: ItemValue<'_>, flavour: Flavour) -> Result<bool> {
        let Some(item) = self.items.get_mut(index) else { return Ok(false) };
        let value = item.descriptor.decode(value, flavour.heap_address_bits)?;
        let old = item.value.as_ref().map_or(0, |value| value.bytes.len());
        let bytes = self.bytes - old + value.bytes.len();
        if bytes > self.limits.max_bytes {
            return Err(self.limits.exceeded(&item.descriptor));
        }
        self.bytes = bytes;
        item.value = Some(value);
        item.version += 1;
        Ok(!std::mem::replace(&mut item.changed, true))
    }
}
