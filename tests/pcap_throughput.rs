//! Nanoseconds per record of a capture of 1 KiB packets in the page cache, beside libpcap alone:
//! `cargo test --release --test pcap_throughput -- --ignored --nocapture`.

#![cfg(feature = "pcap")]

use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use aqueduct::recv::reader::pcap::PcapFile;
use aqueduct::spead::Packet;

const RECORDS: u32 = 190_000;

/// Ethernet, IPv4, UDP, and a SPEAD packet of 8 pointers and 1024 bytes.
fn frame(n: u32) -> Vec<u8> {
    let spead = 8 + 64 + 1024u16;
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((28 + spead).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0x1b, 0xec, 0x1b, 0xec]);
    frame.extend((8 + spead).to_be_bytes());
    frame.extend([0, 0, 0x53, 4, 2, 6, 0, 0, 0, 8]);
    for (id, value) in [(0x8001u64, n.into()), (0x8002, 1024), (0x8003, 0), (0x8004, 1024)] {
        frame.extend((id << 48 | value).to_be_bytes());
    }
    for item in 0..4 {
        frame.extend(((0x9600 + item) << 48 | u64::from(n)).to_be_bytes());
    }
    frame.resize(42 + usize::from(spead), n as u8);
    frame
}

fn write_capture(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut header = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    file.write_all(&header).unwrap();
    for n in 0..RECORDS {
        let frame = frame(n);
        for word in [n, 0, frame.len() as u32, frame.len() as u32] {
            file.write_all(&word.to_le_bytes()).unwrap();
        }
        file.write_all(&frame).unwrap();
    }
    file.flush().unwrap();
}

fn best(what: &str, mut run: impl FnMut() -> u64) {
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        assert_eq!(run(), u64::from(RECORDS));
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(RECORDS));
    }
    println!("{what:45} {best:6.1} ns/record");
}

#[test]
#[ignore = "a measurement"]
fn records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.pcap");
    write_capture(&path);
    best("libpcap through the pcap crate, nothing else", || {
        let mut capture = pcap::Capture::from_file(&path).unwrap();
        let mut n = 0;
        while capture.next_packet().is_ok() {
            n += 1;
        }
        n
    });
    best("read in blocks of 256 KiB, nothing else", || {
        let mut file = std::fs::File::open(&path).unwrap();
        let mut block = vec![0; 256 * 1024];
        while file.read(&mut block).unwrap() > 0 {}
        RECORDS.into()
    });
    best("PcapFile", || {
        let mut file = PcapFile::open(&path, None).unwrap();
        let mut n = 0;
        while let Some(record) = file.next().unwrap() {
            n += u64::from(record.payload.is_ok());
        }
        n
    });
    best("PcapFile, filter \"udp port 7148\"", || {
        let mut file = PcapFile::open(&path, Some("udp port 7148")).unwrap();
        let mut n = 0;
        while let Some(record) = file.next().unwrap() {
            n += u64::from(record.payload.is_ok());
        }
        n
    });
    best("PcapFile, packet parsed", || {
        let mut file = PcapFile::open(&path, None).unwrap();
        let mut n = 0;
        while let Some(record) = file.next().unwrap() {
            n += u64::from(Packet::parse(record.payload.unwrap()).is_ok());
        }
        n
    });
    let mut chunk = vec![0u8; 4 << 20];
    best("PcapFile, packet parsed and copied to 4 MiB", || {
        let mut file = PcapFile::open(&path, None).unwrap();
        let mut n = 0;
        while let Some(record) = file.next().unwrap() {
            let packet = Packet::parse(record.payload.unwrap()).unwrap();
            let at = packet.heap_cnt() as usize % 4096 * 1024;
            chunk[at..at + 1024].copy_from_slice(packet.payload());
            n += 1;
        }
        n
    });
}
