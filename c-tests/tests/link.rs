//! The ways into the library: the header alone, shared, static, from two translation units, dlopen.

use std::fs;
use std::process::Command;

use aqueduct_c_tests::{check, compiler, library, native_static_libs, Link, Program, Standard};

#[test]
fn header_compiles_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("alone.c");
    fs::write(&source, "#include <aqueduct/aqueduct.h>\n#include <aqueduct/aqueduct.h>\n").expect("writable");
    for standard in [Standard::C99, Standard::C11, Standard::C17, Standard::Cxx17] {
        check(compiler(standard).arg("-fsyntax-only").arg(&source));
    }
}

#[test]
fn shared() {
    Program::new("link/one.c").run();
}

#[test]
fn statically() {
    Program::new("link/one.c").link(Link::Static).run();
}

#[test]
fn from_two_translation_units() {
    Program::new("link/two.c").source("link/two_other.c").run();
    Program::new("link/two.c").source("link/two_other.c").link(Link::Static).run();
    Program::new("link/two.c").source("link/two_other.c").standard(Standard::Cxx17).run();
}

#[test]
fn by_dlopen() {
    Program::new("link/dlopen.c").link(Link::No).argument(library().folder.join("libaqueduct.so.0")).run();
}

/// That the list is enough shows `statically`; here: it has all that Rust's standard library asks for.
#[test]
fn native_static_libs_are_all_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("empty.rs");
    fs::write(&source, "").expect("writable");
    let output = Command::new("rustc")
        .args(["--crate-type", "staticlib", "--print", "native-static-libs", "--out-dir"])
        .arg(folder.path())
        .arg(&source)
        .output()
        .expect("rustc runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted =
        said.split("native-static-libs:").nth(1).expect("rustc prints the list").lines().next().unwrap_or("");
    let listed = native_static_libs();
    for library in wanted.split_whitespace() {
        assert!(
            listed.iter().any(|l| l == library),
            "link/native-static-libs.txt lacks {library} of: {wanted}"
        );
    }
}

#[test]
fn soname_and_nodelete() {
    let dynamic = check(Command::new("readelf").arg("-d").arg(&library().shared));
    let line = |tag: &str| dynamic.lines().find(|line| line.contains(tag)).unwrap_or("").to_owned();
    assert!(line("(SONAME)").contains("[libaqueduct.so.0]"), "{dynamic}");
    assert!(line("(FLAGS_1)").contains("NODELETE"), "{dynamic}");
}
