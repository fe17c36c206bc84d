//! Event buffers: packets of any size from those who read an instrument to files, by size or time.
//!
//! | file | what it is |
//! |---|---|
//! | [`layout`] | packets of a fixed size: fields, types, byte order and constants; their values as text and CSV |

pub mod layout;
