//! How fast datasets are streamed, and rows read at random.
//!
//! ```sh
//! cargo bench --bench dataset -- FILE [DATASET[:FIELD]]...
//! ```
//!
//! Streams each dataset with two threads, and reads 10 000 times 10 rows with one, the file being in the page cache. Compared with H5Dread, which libhdf5 is
//! asked for through the same crate, block by block. Prints a line for each.
#![cfg(feature = "hdf5")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aqueduct::dataset::{Dataset, File, Reader, StreamConfig, stream};
use aqueduct::ring::Wait;
use aqueduct::sys::hdf5;

/// The best of some runs: others may use the machine.
fn best(mut run: impl FnMut()) -> Duration {
    (0..3)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        println!("usage: cargo bench --bench dataset -- FILE [DATASET[:FIELD]]...");
        return;
    };
    let file = File::open(path.as_ref()).unwrap();
    println!(
        "{:<16} {:>22} {:>10} {:>10} {:>7} {:>14}",
        "dataset", "read by", "GB/s", "H5Dread", "ratio", "10 rows/s"
    );
    for argument in arguments {
        let (name, field) = match argument.split_once(':') {
            Some((name, field)) => (name, Some(field)),
            None => (&*argument, None),
        };
        let dataset = Dataset::open(&file, name).unwrap();
        let config = StreamConfig {
            threads: 2,
            field: field.map(str::to_owned),
            remainder: true,
            ordered: true,
            ..StreamConfig::default()
        };
        let mut reader = Reader::new(&dataset, field, false).unwrap();
        let bytes = dataset.rows() as f64 * dataset.row_size() as f64;
        let ours = best(|| {
            let queue = stream(&dataset, &config).unwrap();
            let mut rows = 0;
            while let Ok(block) = queue.get(Wait::Forever) {
                black_box(block.data().unwrap());
                rows += block.rows();
            }
            assert_eq!(rows, dataset.rows());
        });
        let theirs = {
            let library = hdf5::lock();
            let opened = hdf5::File::open(&library, path.as_bytes()).unwrap();
            let opened = opened.dataset(&library, name).unwrap();
            let kind = opened.kind(&library).unwrap();
            let block = dataset.default_block_rows();
            let mut can = true;
            let mut to = vec![0; block as usize * dataset.row_size()];
            let time = best(|| {
                for start in (0..dataset.rows()).step_by(block as usize) {
                    let rows = block.min(dataset.rows() - start);
                    let (mut from, mut count) = (vec![0; dataset.shape().len()], dataset.shape().to_vec());
                    (from[0], count[0]) = (start, rows);
                    let to = &mut to[..rows as usize * dataset.row_size()];
                    // libhdf5 may not have the filter.
                    can &= opened.read(&library, &kind, &from, &count, to).is_ok();
                    black_box(&to);
                }
            });
            if can { time } else { Duration::MAX }
        };
        let mut ten = vec![0; 10 * reader.row_size()];
        let mut seed = 1u64;
        let random = best(|| {
            for _ in 0..10_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let start = (seed >> 33) % (dataset.rows() - 10);
                reader.read(start..start + 10, &mut ten).unwrap();
                black_box(&ten);
            }
        });
        let rate = |time: Duration| bytes / time.as_secs_f64() / 1e9;
        let title = argument.clone();
        println!(
            "{title:<16} {:>22} {:>10.2} {:>10.2} {:>7.2} {:>14.0}",
            dataset.path_kind().to_string(),
            rate(ours),
            rate(theirs),
            rate(ours) / rate(theirs),
            10_000.0 / random.as_secs_f64()
        );
    }
}
