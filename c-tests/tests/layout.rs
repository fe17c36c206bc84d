//! Sizes, alignments, offsets, signatures and constants: src/ffi against the header, by ctest2. Callback types are
//! compared by build.rs.
// Most of this is generated.
#![allow(warnings, clippy::all, clippy::undocumented_unsafe_blocks)]

// The library whose functions are compared.
use aqueduct as _;
// Carries what build.rs compiled.
use aqueduct_c_tests as _;
use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;

include!(concat!(env!("OUT_DIR"), "/declarations.rs"));
include!(concat!(env!("OUT_DIR"), "/padding.rs"));
include!(concat!(env!("OUT_DIR"), "/layout.rs"));
