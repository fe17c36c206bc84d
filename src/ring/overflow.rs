//! What becomes of an item that finds no space, where that can be chosen.

/// What is done when there is no space for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Whoever brings it waits; a reader of packets is paused.
    #[default]
    Block,
    /// It is dropped, and counted.
    DropNewest,
    /// The oldest is dropped to make space, and counted.
    DropOldest,
}
