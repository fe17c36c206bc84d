//! `aqueduct h5` on files that h5py and PyTables wrote: what it tells of each dataset is what they say.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

mod cli;
mod h5;
mod peer;

use std::collections::HashMap;

use cli::run;
use serde_json::{Value, json};

#[test]
fn what_is_listed_is_what_h5py_wrote() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases = h5::files(&python, folder.path());
    let mut listed: HashMap<String, HashMap<String, Value>> = HashMap::new();
    let mut checked = 0;
    for case in &cases {
        let file = case.file.to_str().unwrap();
        let lines = listed.entry(file.to_owned()).or_insert_with(|| {
            let told = run(&format!("h5 ls {file} --json"));
            assert_eq!((told.status, &*told.stderr), (0, ""));
            let lines = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|line| (line["path"].as_str().unwrap().to_owned(), line)).collect()
        });
        let line = &lines[&format!("/{}", case.name.trim_start_matches('/'))];
        assert_eq!(line["kind"], "dataset", "{}", case.title());
        // Of a few only some rows are told.
        if case.line["rows"].is_null() {
            assert_eq!(line["shape"], case.line["shape"], "{}", case.title());
            let size = case.expected(None).len();
            let odd = line["path"] == "/bits20";
            assert!(odd || line["bytes"] == json!(size), "{}: {line}", case.title());
        }
        assert!(line["path_kind"].is_string(), "{}: {line}", case.title());
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
    let earliest = cases.iter().find(|case| case.file.ends_with("earliest.h5")).unwrap().file.clone();
    let file = earliest.to_str().unwrap();

    let told = run(&format!("h5 info {file} filters/gzip_shuffle/61x43_10x8 --json"));
    let line: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(
        (&line["shape"], &line["chunks"], &line["dtype"]),
        (&json!([61, 43]), &json!([10, 8]), &json!("<i4"))
    );
    assert_eq!((&line["n_chunks"], &line["n_chunks_written"]), (&json!(42), &json!(42)));
    let filters = line["filters"].as_array().unwrap();
    let names: Vec<&Value> = filters.iter().map(|filter| &filter["name"]).collect();
    assert_eq!(names, ["shuffle", "gzip"]);
    assert_eq!((&line["index"], &line["path_kind"]), (&json!("B-tree of version 1"), &json!("chunks")));
    let told = run(&format!("h5 info {file} sparse/fill"));
    assert!(told.stdout.contains("chunks there  2 of 20"), "{}", told.stdout);
    let told = run(&format!("h5 info {file} compact"));
    assert!(told.stdout.contains("libhdf5, since its elements are in its header"), "{}", told.stdout);

    let told =
        run(&format!("h5 bench {file} filters/gzip_shuffle/61x43_10x8 --threads 2 --block-size 7 --json"));
    let line: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(
        (&line["rows"], &line["blocks"], &line["bytes"]),
        (&json!(61), &json!(9), &json!(61 * 43 * 4))
    );
    assert_eq!((told.status, &line["blocks_failed"]), (0, &json!(0)));
}

#[test]
fn what_cannot_be_shown_is_an_error() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/c-tests/data/blocks.h5");
    let told = run(&format!("h5 ls {file}"));
    let expected = "\
damaged  (40, 4) <i4, chunks (10, 4), fletcher32, 656 B, path: chunks
empty  (0, 4) <i4, chunks (10, 4), 0 B, path: chunks
flat  (50,) <f8, contiguous, 400 B, path: contiguous
rows  (103, 4) <i4, chunks (10, 4), shuffle, gzip, ";
    assert!(told.stdout.starts_with(expected), "{}", told.stdout);
    assert!(
        told.stdout.contains("texts  (2,) text of variable length, contiguous, 32 B, cannot be streamed")
    );
    // One block of four cannot be read; the others are counted.
    let told = run(&format!("h5 bench {file} damaged"));
    assert_eq!(told.status, 1);
    assert!(told.stderr.contains("1 of 4 blocks could not be read") && told.stderr.contains("checksum"));
    for (arguments, status, words) in [
        (format!("h5 info {file} none"), 1, "dataset none of"),
        (format!("h5 ls {file} none"), 1, "group /none of"),
        ("h5 ls none.h5".to_owned(), 1, "none.h5"),
        ("h5 ls README.md".to_owned(), 1, "cannot be opened as an HDF5 file"),
        (format!("h5 bench {file} texts"), 1, "cannot be streamed"),
        (format!("h5 bench {file} rows --threads 0"), 2, "--threads"),
        (format!("h5 bench {file} empty"), 2, "must have rows"),
    ] {
        let told = run(&arguments);
        assert_eq!(told.status, status, "{arguments}: {}", told.stderr);
        assert!(told.stderr.contains(words), "{arguments}: {}", told.stderr);
    }
}
