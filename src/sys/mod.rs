//! Every call to the operating system; nothing else in the crate names `libc`.
//!
//! Linux only, for now. What varies between kernels is probed at run time and degrades with a word in the log.

pub mod affinity;
pub mod clock;
pub mod direct;
pub mod epoll;
pub mod eventfd;
pub mod file;
pub mod futex;
pub mod gather;
#[cfg(feature = "hdf5")]
pub mod hdf5;
#[cfg(not(feature = "hdf5"))]
#[path = "no_hdf5.rs"]
pub mod hdf5;
mod hdf5_words;
pub mod interface;
pub mod local;
pub mod map_file;
pub mod memfd;
pub mod mirror;
pub mod mmap;
pub mod numa;
pub mod poll;
pub mod qdisc;
pub mod signal;
pub mod tcp;
pub mod terminal;
pub mod timer;
pub mod udp;
pub mod udp_send;
#[cfg(feature = "zmq")]
pub mod zmq;
