#![no_main]

#[path = "../src/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("aqueduct-fuzz-{}", std::process::id()));
    bodies::event_file(data, &path);
});
