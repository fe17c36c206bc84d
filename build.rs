//! Build script: the C header, generated from src/ffi into OUT_DIR, and how the shared library is linked.
//!
//! The header in include/ is a checked-in copy; tests/header.rs compares the two. Nothing here may fail a build that
//! needs no header (documentation, loom): what goes wrong is a warning, and that test fails.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The sections of the header, in order: the files of src/ffi that export something.
const SECTIONS: &[&str] = &[
    "status",
    "version",
    "callback",
    "log",
    "wait",
    "ring",
    "memory",
    "thread_pool",
    "memory_pool",
    "chunk",
    "stats",
    "copy",
    "recv",
    "reader",
    "tcp_reader",
    "pcap_live_reader",
    "inproc",
    "heap",
    "item",
    "item_group",
    "heap_stream",
    "chunk_stream",
    "send_heap",
    "send_group",
    "send_stats",
    "send_stream",
    "send_transport",
    "packet_layout",
    "event",
    "event_stats",
    "event_put",
    "event_record",
    "event_pop",
    "event_flush",
    "sink",
    "event_file",
    "chunk_recorder",
    "chunk_recording",
    "signal",
    "array_view",
    "output_config",
    "output_stream",
    "output_send",
    "input_config",
    "input_stream",
    "history",
    "input_history",
    "registry",
    "config_server",
    "filter",
    "filter_callback",
    "stream_node",
    "poll_thread",
    "stream_converter",
    "channel_splitter",
    "chunk_resizer",
    "stream_graph",
    "element_type",
    "dataset",
    "selection",
    "stage",
    "future",
    "dataset_reader",
    "request_pool",
    "block_queue",
    "streamer",
    "row_iter",
    "dataset_recorder",
    "dataset_replay",
];

/// The number in the SONAME. It changes when, and only when, a program linked to the library before would not run with
/// it any more (docs/abi.md).
const ABI_NUMBER: u32 = 0;

/// The longest line of the header.
const WIDTH: usize = 113;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=src/ffi");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libaqueduct.so.{ABI_NUMBER}");
        // Worker threads may still run library code when the host calls dlclose: it never unloads.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    #[cfg(feature = "zmq")]
    link("libzmq", "4.2", "zmq");
    #[cfg(feature = "hdf5")]
    link("hdf5", "1.10.5", "hdf5");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("aqueduct.h");
    let header = header(&root).unwrap_or_else(|problem| {
        println!("cargo::warning=no header generated: {problem}");
        String::new()
    });
    if let Err(problem) = fs::write(&out, header) {
        println!("cargo::warning=cannot write {}: {problem}", out.display());
    }
}

/// Has one of the system's libraries linked. Without pkg-config, or when that does not know it, the linker looks where it always does, and says so
/// if there is none.
#[cfg(any(feature = "zmq", feature = "hdf5"))]
fn link(package: &str, version: &str, name: &str) {
    if pkg_config::Config::new().atleast_version(version).probe(package).is_err() {
        println!("cargo::rustc-link-lib={name}");
    }
}

/// The whole header.
fn header(root: &Path) -> Result<String, String> {
    let ffi = root.join("src/ffi");
    check_sections(&ffi)?;
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    let mut header = opening();
    for section in SECTIONS {
        let path = ffi.join(section).with_extension("rs");
        let source = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        header.push_str(&banner(&source));
        header.push_str(&declarations(&config, &path, &source)?);
    }
    header.push_str("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* AQUEDUCT_H */\n");
    Ok(header)
}

/// Every file that exports something must be a section: one left out would be missing silently.
fn check_sections(ffi: &Path) -> Result<(), String> {
    for entry in fs::read_dir(ffi).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).map_err(|e| e.to_string())?;
        if source.lines().any(|line| line == "#[unsafe(no_mangle)]") && !SECTIONS.contains(&&*name) {
            return Err(format!("src/ffi/{name}.rs exports functions: add it to SECTIONS in build.rs"));
        }
    }
    Ok(())
}

/// From the first line to the first section.
fn opening() -> String {
    let part = |name: &str| env::var(name).unwrap_or_default();
    let version = part("CARGO_PKG_VERSION");
    let numbers = ["MAJOR", "MINOR", "PATCH"].map(|name| (name, part(&format!("CARGO_PKG_VERSION_{name}"))));
    let mut text = format!(
        "/* Aqueduct {version}: data acquisition from the wire to your code, with every loss accounted for.\n *\n \
         * SPDX-License-Identifier: MIT OR Apache-2.0\n \
         * Generated from src/ffi by cbindgen: do not edit.\n */\n\n\
         #ifndef AQUEDUCT_H\n#define AQUEDUCT_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n\
         /** The version of this header. */\n#define AQ_VERSION \"{version}\"\n"
    );
    for (name, value) in numbers {
        text += &format!("#define AQ_VERSION_{name} {value}\n");
    }
    text + "/** The version of this header, comparable with aq_version_number(). */\n\
            #define AQ_VERSION_NUMBER (AQ_VERSION_MAJOR * 1000000 + AQ_VERSION_MINOR * 1000 + AQ_VERSION_PATCH)\n\n\
            #ifdef __cplusplus\nextern \"C\" {\n#endif\n"
}

/// A section's banner: the `//!` text at the top of its file.
fn banner(source: &str) -> String {
    let rule = "=".repeat(WIDTH - 4);
    let mut text = format!("\n/* {rule}\n");
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        text += &format!(" *{line}\n");
    }
    text + &format!(" * {rule} */\n\n")
}

/// What cbindgen makes of one section, in the form that we want.
fn declarations(config: &cbindgen::Config, path: &Path, source: &str) -> Result<String, String> {
    let mut builder = cbindgen::Builder::new().with_config(config.clone()).with_src(path);
    // Also the types that no function of this section uses: other sections do.
    for line in source.lines() {
        let name = line.strip_prefix("pub type ").or(line.strip_prefix("pub struct "));
        if let Some(name) = name.filter(|name| name.starts_with("aq_")) {
            builder = builder
                .include_item(name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(name));
        }
    }
    let mut generated = Vec::new();
    builder.generate().map_err(|e| format!("{}: {e}", path.display()))?.write(&mut generated);
    let generated = String::from_utf8(generated).map_err(|e| e.to_string())?;
    Ok(tidy(&generated))
}

/// cbindgen's text as a person would have written it: negative constants in parentheses, structs with their tag (for
/// forward declarations), one-line comments on one line, constants as a block, long prototypes wrapped.
fn tidy(generated: &str) -> String {
    let lines: Vec<&str> = generated.lines().map(str::trim_end).collect();
    let mut tidied: Vec<String> = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        let words: Vec<&str> = lines[i].split(' ').collect();
        match (&words[..], lines.get(i + 1), lines.get(i + 2).map(|line| line.trim_start())) {
            (["#define", name, value], ..) if value.starts_with('-') => {
                tidied.push(format!("#define {name} ({value})"))
            }
            (["typedef", "struct", "{"], ..) => {
                let name = lines[i..].iter().find_map(|line| line.strip_prefix("} ")?.strip_suffix(';'));
                tidied.push(format!("typedef struct {} {{", name.unwrap_or_default()));
            }
            ([.., "/**"], Some(text), Some("*/")) => {
                let indent = " ".repeat(words.len() - 1);
                tidied.push(format!("{indent}/** {} */", text.trim_start_matches([' ', '*'])));
                i += 2;
            }
            ([""], ..) if tidied.last().is_some_and(|last| last.starts_with("#define")) => {
                let next_is_constant = lines[i..].iter().find(|line| !line.is_empty() && !line.contains('*'));
                if !next_is_constant.is_some_and(|line| line.starts_with("#define")) {
                    tidied.push(String::new());
                }
            }
            _ if is_long_prototype(lines[i]) => tidied.push(wrap(lines[i])),
            _ => tidied.push(lines[i].to_owned()),
        }
        i += 1;
    }
    tidied.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A line of code, not of a comment, that is too long.
fn is_long_prototype(line: &str) -> bool {
    line.len() > WIDTH && line.ends_with(");") && !line.trim_start().starts_with('*')
}

/// A prototype on several lines.
fn wrap(prototype: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for parameter in prototype.split_inclusive(", ") {
        if column + parameter.trim_end().len() > WIDTH {
            text.truncate(text.trim_end().len());
            text.push_str("\n    ");
            column = 4;
        }
        text.push_str(parameter);
        column += parameter.len();
    }
    text
}
