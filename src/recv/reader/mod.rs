//! Readers: where packets come from.

#[cfg(feature = "pcap")]
pub mod pcap;
