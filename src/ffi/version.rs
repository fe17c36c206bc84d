//! Version and features
//!
//! AQ_VERSION_* is the version of the header that a program was compiled with, aq_version() that of the library that it
//! runs with. A program works with every later library of the same SONAME.

use std::ffi::{CStr, c_char};

use super::text;

/// The version from Cargo.toml, the same that build.rs writes into the header.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("no NUL in a version"),
};

/// The library's version, e.g. "0.1.0".
///
/// @return static text
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn aq_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The library's version as a number, to compare with AQ_VERSION_NUMBER: major * 1000000 + minor * 1000 + patch.
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn aq_version_number() -> i32 {
    const NUMBER: i32 = number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + number(env!("CARGO_PKG_VERSION_MINOR")) * 1000
        + number(env!("CARGO_PKG_VERSION_PATCH"));
    NUMBER
}

const fn number(digits: &str) -> i32 {
    let (digits, mut value, mut i) = (digits.as_bytes(), 0, 0);
    while i < digits.len() {
        value = value * 10 + (digits[i] - b'0') as i32;
        i += 1;
    }
    value
}

/// Whether this build of the library has a feature. Every function exists in every build; one whose feature is missing
/// answers AQ_E_UNSUPPORTED.
///
/// @param name "pcap" (capture files as a source), "zmq" (signal streams over ZeroMQ), "hdf5" (datasets of HDF5 files) or "cli" (built together with the program `aqueduct`)
/// @return 1 when it has, else 0, also for names that it does not know and for NULL
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_has_feature(name: *const c_char) -> i32 {
    // SAFETY: NULL or a C string by the caller's contract.
    let name = unsafe { text::optional(name, "name") };
    let has = matches!(name, Ok(Some(name)) if FEATURES.contains(&(name, true)));
    i32::from(has)
}

/// The features that a build may have, and whether this one has them.
const FEATURES: &[(&str, bool)] = &[
    ("pcap", cfg!(feature = "pcap")),
    ("zmq", cfg!(feature = "zmq")),
    ("hdf5", cfg!(feature = "hdf5")),
    ("cli", cfg!(feature = "cli")),
];
