//! throw-away
mod support;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;
use aqueduct::recv::reader::{TcpConfig, TcpReader};
use aqueduct::recv::StreamConfig;
use aqueduct::recv::stats::Stat;
use aqueduct::ring::Wait;
use support::wire::split;
use support::Layout;
const HEAP: usize = 1 << 20;
fn cpu() -> f64 {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap();
        if name.starts_with("aqueduct") {
            let s = std::fs::read_to_string(path.join("schedstat")).unwrap();
            total += s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9;
        }
    }
    total
}
#[test]
fn measure() {
    let env = |n: &str, d: usize| std::env::var(n).ok().map_or(d, |v| v.parse().unwrap());
    let (packet, gb, rate) = (env("PACKET", 65536), env("GB", 3), env("RATE", 0));
    let layout = Layout { step: 1, heap_size: HEAP, heaps_per_chunk: env("HPC", 1) };
    let stream = support::chunk_stream(StreamConfig::default(), layout.chunk_config(), layout, 4);
    let config = TcpConfig { host: "127.0.0.1".into(), buffer_size: env("BUF", 208 << 10), batch_delay: std::time::Duration::from_micros(env("DELAY", 500) as u64), ..TcpConfig::default() };
    let reader = TcpReader::new(config).unwrap();
    let port = reader.port();
    assert!(stream.stream().add_reader(Box::new(reader)).unwrap());
    let heaps = gb * 1000;
    let sending = std::thread::spawn(move || {
        let mut s = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let packets: Vec<_> = split(0, &vec![7u8; HEAP], packet - 48).into_iter().map(|p| p.item(true, 0x1600, 0).encode()).collect();
        let mut starts = vec![0];
        for p in &packets { starts.push(starts.last().unwrap() + p.len()); }
        starts.pop();
        let mut bytes = packets.concat();
        let start = Instant::now();
        for h in 0..heaps as u64 {
            for &at in &starts {
                bytes[at + 8..at + 16].copy_from_slice(&(1u64 << 63 | 1 << 48 | (h + 1)).to_be_bytes());
                bytes[at + 40..at + 48].copy_from_slice(&(1u64 << 63 | 0x1600 << 48 | h).to_be_bytes());
            }
            if rate > 0 {
                for (i, piece) in bytes.chunks(16384).enumerate() {
                    let due = (h as f64 * HEAP as f64 + i as f64 * 16384.0) / (rate as f64 * 1e6);
                    while start.elapsed().as_secs_f64() < due { std::hint::spin_loop(); }
                    s.write_all(piece).unwrap();
                }
            } else { s.write_all(&bytes).unwrap(); }
        }
    });
    let start = Instant::now();
    let mut n = 0;
    while let Ok(chunk) = stream.data_ring().get(Wait::Forever) { n += 1; stream.add_free_chunk(chunk); }
    let secs = start.elapsed().as_secs_f64();
    let c = cpu();
    sending.join().unwrap();
    stream.stream().stop().unwrap();
    let stats = stream.stream().snapshot();
    assert_eq!(stats[Stat::CompleteHeaps], heaps as u64, "{stats:?}");
    let g = heaps as f64 * HEAP as f64 / 1e9;
    eprintln!("packet {packet} chunks {n}: {:.2} GB/s, cpu {:.4} s/GB, batches/GB {:.0} blocked {}", g / secs, c / g, stats[Stat::Batches] as f64 / g, stats[Stat::WorkerBlocked]);
}
