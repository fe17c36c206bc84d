//! The captures beside this file, read without the library's help: they are classic little-endian pcap files of
//! Ethernet, IPv4 without options, and UDP.

#![allow(dead_code)]

use std::path::PathBuf;

/// Every capture, with its number of UDP packets as `tcpdump -r` counts them.
pub const CAPTURES: [(&str, usize); 9] = [
    ("chunks_1472_48", 385),
    ("chunks_9000_40", 193),
    ("chunks_duplicated", 396),
    ("chunks_lossy", 376),
    ("chunks_reordered", 385),
    ("chunks_single_packet", 301),
    ("items_40", 26),
    ("items_40_pyspead_bugs", 26),
    ("items_48", 26),
];

/// The path of a capture.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).with_extension("pcap")
}

/// The captured frames, link header included.
pub fn frames(name: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path(name)).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1));
    let mut at = 24;
    let mut frames = Vec::new();
    while at < bytes.len() {
        let captured = word(at + 8);
        frames.push(bytes[at + 16..at + 16 + captured].to_vec());
        at += 16 + captured;
    }
    frames
}

/// The UDP payloads.
pub fn datagrams(name: &str) -> Vec<Vec<u8>> {
    frames(name)
        .into_iter()
        .map(|frame| {
            assert_eq!((&frame[12..15], frame[23]), (&[8, 0, 0x45][..], 17));
            frame[42..].to_vec()
        })
        .collect()
}
