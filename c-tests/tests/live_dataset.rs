//! examples/random_access.c on a file that h5py wrote: it must see numpy's bytes, in the order in which it asked for them.
#![cfg(feature = "hdf5")]

use std::path::Path;
use std::process::Command;

use aqueduct_c_tests::{check, here, peer, Program, Standard};

const ROWS: u64 = 3000;

/// The hash that the example prints, of a dataset of which the bytes of a row are known.
fn expected(all: u64, rows: u64, count: u64, row: impl Fn(u64) -> Vec<u8>) -> String {
    let mut state = 1u64;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let first = (state >> 33) % (all - rows + 1);
        for byte in (first..first + rows).flat_map(&row) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("fnv1a {hash:016x}")
}

fn is(program: &Path, file: &Path, arguments: &[&str], first: &str, last: &str) {
    let output = check(Command::new(program).arg(file).args(arguments));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines.first(), lines.last()), (Some(&first), Some(&last)), "{arguments:?}: {output}");
}

#[test]
fn the_example_reads_rows_at_random_as_numpy_has_them() {
    let Some(python) = peer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("random.h5");
    let script = here().join("../tests/live/h5_random.py");
    check(Command::new(python).arg(script).arg(&file).arg(ROWS.to_string()));
    let items =
        |row: u64| -> Vec<u8> { (5 * row..5 * row + 5).flat_map(|i| (i as i32).to_le_bytes()).collect() };
    for standard in [Standard::C11, Standard::Cxx17] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Program::new("../examples/random_access.c").standard(standard).build(folder.path());
        for (name, stages) in [("gzip", "stages=1"), ("chunked", "stages=7")] {
            let line = format!("{name}: <i4 [3000, 5], read by chunks");
            let hash = expected(ROWS, 10, 2000, items);
            is(&program, &file, &[name, "count=2000", stages], &line, &hash);
        }
        let hash = expected(50, 3, 500, |row| (3 * row as u32).to_le_bytes().to_vec());
        let line = r#"table: [["time","<f8"],["n","<u4"],["wave","<i2",[3]]] [50], read by chunks"#;
        is(&program, &file, &["table", "field=n", "rows=3", "count=500", "threads=1"], line, &hash);
        let failed = Command::new(&program).arg(&file).arg("nothing").output().expect("it runs");
        let said = String::from_utf8_lossy(&failed.stderr);
        assert!(!failed.status.success() && said.contains("dataset nothing of"), "{said}");
    }
}
