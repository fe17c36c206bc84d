//! The programs of examples/ do what they say: they compile as C11, C17 and C++17, and receive, record and split every byte that was sent.

mod dataset;
mod events;
mod receive_chunks;
mod receive_heaps;
mod running;
mod send;
mod signal;
mod splitter;
mod stream_dataset;

use std::fs;

use aqueduct_c_tests::{compiler, here, Standard};

#[test]
fn all_compile_as_c_and_cxx() {
    for entry in fs::read_dir(here().join("../examples")).expect("the folder").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "c") {
            for standard in [Standard::C11, Standard::C17, Standard::Cxx17] {
                aqueduct_c_tests::check(compiler(standard).arg("-fsyntax-only").arg(entry.path()));
            }
        }
    }
}
