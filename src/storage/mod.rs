//! What everything that writes files has in common: how files are named that follow each other, and when what was written must be on the disk.

mod durability;
mod name;

pub use durability::Durability;
pub(crate) use durability::sync_folder;
pub(crate) use name::Name;
