//! Every call to the operating system; nothing else in the crate names `libc`.
//!
//! Linux only, for now. What varies between kernels is probed at run time and degrades with a word in the log.

#[cfg(not(loom))]
pub mod affinity;
#[cfg(not(loom))]
pub mod epoll;
#[cfg(not(loom))]
pub mod eventfd;
#[cfg(not(loom))]
pub mod file;
#[cfg(not(loom))]
pub mod futex;
#[cfg(not(loom))]
pub mod interface;
pub mod local;
#[cfg(not(loom))]
pub mod map_file;
#[cfg(not(loom))]
pub mod memfd;
#[cfg(not(loom))]
pub mod mirror;
#[cfg(not(loom))]
pub mod mmap;
#[cfg(not(loom))]
pub mod numa;
#[cfg(not(loom))]
pub mod poll;
#[cfg(not(loom))]
pub mod signal;
#[cfg(not(loom))]
pub mod tcp;
#[cfg(not(loom))]
pub mod udp;
#[cfg(all(feature = "zmq", not(loom)))]
pub mod zmq;
