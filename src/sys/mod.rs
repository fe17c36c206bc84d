//! Every call to the operating system; nothing else in the crate names `libc`.

#[cfg(not(loom))]
pub mod eventfd;
