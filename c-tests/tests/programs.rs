//! Every C program of api/ and misuse/: as C11, as C++17, and with sanitizers. build.rs finds them.

include!(concat!(env!("OUT_DIR"), "/programs.rs"));
