//! Nanoseconds to parse a packet: `cargo test --release --test spead_throughput -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use aqueduct::spead::Packet;

/// 4 specials and `n_items` items, one of them addressed.
fn packet(n_items: u16) -> Vec<u8> {
    let n = n_items + 4;
    let mut bytes = vec![0x53, 4, 2, 6, 0, 0, (n >> 8) as u8, n as u8];
    for (id, value) in [(0x8001u64, 7u64), (0x8002, 8192), (0x8003, 1024), (0x8004, 1024)] {
        bytes.extend((id << 48 | value).to_be_bytes());
    }
    for item in 0..u64::from(n_items) {
        let flag = if item == 0 { 0 } else { 0x8000 };
        bytes.extend(((flag | (0x1600 + item)) << 48 | item).to_be_bytes());
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
#[ignore = "a measurement"]
fn parse() {
    for n_items in [0, 1, 4, 12, 60] {
        let packets: Vec<_> = (0..64).map(|_| packet(n_items)).collect();
        let mut best = f64::MAX;
        let mut sum = 0;
        for _ in 0..200 {
            let start = Instant::now();
            for _ in 0..100 {
                for bytes in &packets {
                    let packet = Packet::parse(black_box(bytes)).unwrap();
                    sum += packet.heap_cnt() + packet.payload_offset() + packet.payload().len() as u64;
                }
            }
            best = best.min(start.elapsed().as_nanos() as f64 / 6400.0);
        }
        black_box(sum);
        println!("{:2} pointers: {best:5.1} ns/packet", n_items + 4);
    }
}
