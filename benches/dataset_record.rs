//! Recording: rows to an HDF5 file in memory, against a plain pwrite of the same bytes, and against h5py.
//!
//! `cargo bench --bench dataset_record` prints a table, with `-- --json` a JSON list. Each number is the median of runs that alternate between us and the peer; each run
//! makes the file, writes all rows in blocks of 1 MiB, and closes it. Files are made in `/dev/shm`, or where `AQ_BENCH_FOLDER` says, and deleted. h5py is that
//! of tools/peer-venv.sh; without it only the line against pwrite is measured.

mod support;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use aqueduct::dataset::record::{RecordConfig, Recorder};
use aqueduct::dataset::{Compression, Packing};
use aqueduct::ring::Wait;
use aqueduct::signal::numpy::parse_dtype;
use support::{Line, compare};

/// Bytes of a run that are written as they are; those that are packed are an eighth.
const BYTES: usize = 512 << 20;
/// Numbers of a row, and rows of a block.
const ROW: usize = 64;
const BLOCK: usize = (1 << 20) / (2 * ROW);

fn main() {
    let folder = std::env::var_os("AQ_BENCH_FOLDER").map_or("/dev/shm".into(), PathBuf::from);
    let file = |name: &str| folder.join(format!("aqueduct-bench-{}-{name}", std::process::id()));
    let (target, input) = (file("target"), file("input"));
    let data = samples();
    let plain = || record(&target, &data, Packing::default());
    let mut lines = Vec::new();
    lines.push(Line::rate("dataset/record/plain", compare(plain, || pwrite(&target, &data)), "GB/s"));
    std::fs::write(&input, &data).unwrap();
    if let Some(peer) = Peer::start(&input) {
        let h5py = |how: &str, bytes: usize| peer.borrow_mut().run(how, &target, bytes);
        lines.push(Line::rate("dataset/record/plain-h5py", compare(plain, || h5py("plain", BYTES)), "GB/s"));
        let packing = Packing { compression: Compression::Deflate(1), shuffle: true };
        let gzip = || record(&target, &data[..BYTES / 8], packing);
        lines.push(Line::rate("dataset/record/gzip-h5py", compare(gzip, || h5py("gzip", BYTES / 8)), "GB/s"));
    }
    for path in [target, input] {
        let _ = std::fs::remove_file(path);
    }
    support::print(&lines);
}

/// What an ADC of 16 bits has: slow waves and noise of some bits.
fn samples() -> Vec<u8> {
    let mut seed = 1u64;
    (0..BYTES / 2)
        .flat_map(|i| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (time, channel) = (i / ROW, i % ROW);
            let phase = (time * (channel + 1) % 30_000) as f32 / 30_000.0;
            let wave = 3000.0 * (phase * std::f32::consts::TAU).sin();
            (wave as i16 + (seed >> 59) as i16).to_le_bytes()
        })
        .collect()
}

fn rate(bytes: usize, began: Instant) -> f64 {
    bytes as f64 / began.elapsed().as_secs_f64() / 1e9
}

/// As a stream would: rows of about 10 ms at a time.
fn record(target: &Path, data: &[u8], packing: Packing) -> f64 {
    let _ = std::fs::remove_file(target);
    let config = RecordConfig::new(target, "data", parse_dtype("<i2").unwrap(), &[ROW]);
    let config = RecordConfig { packing, threads: 2, block_rows: Some(BLOCK as u64), ..config };
    let began = Instant::now();
    let recorder = Recorder::new(config, None).unwrap();
    for part in data.chunks(256 * 2 * ROW) {
        recorder.put_rows(part, None, Wait::Forever).unwrap();
    }
    recorder.stop().unwrap();
    rate(data.len(), began)
}

fn pwrite(target: &Path, data: &[u8]) -> f64 {
    let _ = std::fs::remove_file(target);
    let began = Instant::now();
    let file = std::fs::File::create(target).unwrap();
    for (number, part) in data.chunks(1 << 20).enumerate() {
        file.write_all_at(part, (number as u64) << 20).unwrap();
    }
    drop(file);
    rate(data.len(), began)
}

/// benches/peer/dataset_record.py
struct Peer {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(input: &Path) -> Option<RefCell<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(root.join("tools/peer-venv.sh")).output().ok()?;
        if !made.status.success() {
            eprintln!("h5py is not there: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        let python = String::from_utf8(made.stdout).ok()?;
        let mut child = Command::new(python.trim())
            .arg(root.join("benches/peer/dataset_record.py"))
            .arg(input)
            .args([ROW.to_string(), BLOCK.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take()?));
        let mut peer = Self { child, to, from };
        assert_eq!(peer.line(), "ready");
        Some(RefCell::new(peer))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn run(&mut self, how: &str, target: &Path, bytes: usize) -> f64 {
        writeln!(self.to.as_mut().unwrap(), "{how} {}", target.display()).unwrap();
        bytes as f64 / self.line().parse::<f64>().unwrap() / 1e9
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}
