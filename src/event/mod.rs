//! Event buffers: packets of any size from those who read an instrument to files, by size or time.
//!
//! | file | what it is |
//! |---|---|
//! | [`frame`] | the framed file's format: file headers, records, their checks |

pub mod frame;
