//! The symbols of the shared library: exactly those of symbols.txt, each declared in the header and called from C.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use aqueduct_c_tests::{check, here, include, library};

fn symbols() -> BTreeSet<String> {
    let list = fs::read_to_string(here().join("symbols.txt")).expect("symbols.txt");
    assert!(list.lines().is_sorted(), "symbols.txt is sorted");
    list.lines().map(String::from).collect()
}

#[test]
fn the_library_exports_what_is_promised_and_nothing_else() {
    let nm = check(Command::new("nm").args(["-D", "--defined-only"]).arg(&library().shared));
    let exported: BTreeSet<String> =
        nm.lines().filter_map(|line| line.split_whitespace().nth(2)).map(String::from).collect();
    let promised = symbols();
    let gone: Vec<&String> = promised.difference(&exported).collect();
    let new: Vec<&String> = exported.difference(&promised).collect();
    assert!(gone.is_empty(), "promised by symbols.txt and gone, which breaks the ABI: {gone:#?}");
    assert!(
        new.is_empty(),
        "exported, but not in c-tests/symbols.txt (add what is meant for callers): {new:#?}"
    );
}

#[test]
fn every_symbol_is_declared_and_called_from_c() {
    let header = fs::read_to_string(include().join("aqueduct/aqueduct.h")).expect("the header");
    let mut programs = String::new();
    // With the headers that they include; not misuse/, which calls with NULL what nobody may ever call right.
    let files =
        [here().join("api"), here().to_path_buf()].map(|folder| fs::read_dir(folder).expect("a folder"));
    for path in files.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "c" || extension == "h") {
            programs += &fs::read_to_string(path).expect("a source file");
        }
    }
    let (header, programs) = (without_comments(&header), without_comments(&programs));
    for symbol in symbols() {
        assert!(has_call(&header, &symbol), "{symbol} is not declared in aqueduct.h");
        assert!(has_call(&programs, &symbol), "{symbol} is not called by any program of c-tests/api");
    }
}

/// C source without its `/* */` comments.
fn without_comments(source: &str) -> String {
    let mut parts = source.split("/*");
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| text + part.split_once("*/").map_or("", |(_, after)| after))
}

/// Whether `name(` occurs as a word.
fn has_call(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        !source[..at].ends_with(word) && source[at + name.len()..].starts_with('(')
    })
}
