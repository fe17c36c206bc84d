//! Event buffers: packets of any size from those who read an instrument to files, by size or time.
//!
//! | file | what it is |
//! |---|---|
//! | [`layout`] | packets of a fixed size: fields, types, byte order and constants; their values as text and CSV |
//! | [`frame`] | the framed file's format: file headers, records, their checks |
//! | [`reader`] | reading framed files: what is good, what was lost, what is damaged |
//! | `search`, `window` | the next good record after damage; a moving part of a file in memory |
//! | [`raw`] | reading files of packets of one size back to back |

pub mod frame;
pub mod layout;
pub mod raw;
pub mod reader;
mod search;
mod window;
