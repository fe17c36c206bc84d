//! stream_dataset.c: adds up all rows of c-tests/data/blocks.h5, which h5py has written (tests/live/h5_blocks.py).

use std::process::{Command, Output};

use aqueduct_c_tests::here;

use crate::running::{command, variants};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command: Command = command(program);
    command.arg(here().join("data/blocks.h5")).args(arguments);
    command.output().expect("it runs")
}

#[test]
fn sums_are_those_of_what_h5py_wrote() {
    for program in variants("../examples/stream_dataset.c") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let built = program.build(folder.path());
        let sum = |n: f64| n * (n - 1.0) / 2.0;
        for (arguments, expected) in [
            (
                &["rows"][..],
                format!("103 of 103 rows in 11 blocks, 0 failed, BYTES bytes read; sum {}", sum(412.0)),
            ),
            (
                &["flat", "-", "4"],
                format!("50 of 50 rows in 1 blocks, 0 failed, 400 bytes read; sum {}", sum(50.0)),
            ),
            // A field of big-endian arrays, packed in its records.
            (
                &["table", "wave"],
                format!("40 of 40 rows in 3 blocks, 0 failed, 400 bytes read; sum {}", sum(120.0)),
            ),
            (
                &["table", "n", "1"],
                format!("40 of 40 rows in 3 blocks, 0 failed, 400 bytes read; sum {}", sum(40.0)),
            ),
        ] {
            let output = run(&built, arguments);
            assert_eq!(
                (output.status.code(), text(&output.stderr)),
                (Some(0), String::new()),
                "{arguments:?}"
            );
            let told = text(&output.stdout);
            // The packed bytes are h5py's business.
            let bytes = told.split(", ").nth(2).and_then(|part| part.split(' ').next()).expect("the line");
            let expected = expected.replace("BYTES", bytes);
            assert_eq!(told.trim_end(), expected, "{arguments:?}");
        }
        let damaged = run(&built, &["damaged"]);
        assert_eq!(damaged.status.code(), Some(1));
        assert!(
            text(&damaged.stderr).starts_with("rows 10 to 20: dataset damaged of "),
            "{}",
            text(&damaged.stderr)
        );
        // All but the numbers 40 to 79.
        let expected = format!("sum {}\n", sum(160.0) - sum(80.0) + sum(40.0));
        assert!(text(&damaged.stdout).ends_with(&expected), "{}", text(&damaged.stdout));
        assert!(text(&run(&built, &["none"]).stderr).contains("none"));
    }
}
