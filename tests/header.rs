//! The checked-in header is the one that this source generates.

use std::path::Path;
use std::{env, fs};

/// What build.rs made.
const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/aqueduct.h"));

/// With `AQ_WRITE_HEADER=1` in the environment, this test writes the header instead of comparing it.
#[test]
fn header_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/aqueduct/aqueduct.h");
    assert!(!GENERATED.is_empty(), "build.rs generated no header; its warning says why");
    if env::var_os("AQ_WRITE_HEADER").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("it has one")).expect("the header's folder can be made");
        fs::write(&path, GENERATED).expect("the header can be written");
        return;
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    let first_difference = GENERATED
        .lines()
        .zip(checked_in.lines().chain(std::iter::repeat("(end of file)")))
        .position(|(generated, checked_in)| generated != checked_in);
    assert!(
        GENERATED == checked_in,
        "include/aqueduct/aqueduct.h is not what src/ffi generates (first difference: line {}).\n\
         It is never edited: write it anew with `make header`, which is `AQ_WRITE_HEADER=1 cargo test --test header`, \
         and commit it.",
        first_difference.map_or(checked_in.lines().count(), |i| i + 1),
    );
}
