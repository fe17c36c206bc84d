#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (60), or those named. Needs a nightly toolchain and cargo-fuzz; the tests run
# the same bodies on the same corpus without either (tests/fuzz_smoke.rs).
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "Fuzzing needs Rust's nightly toolchain: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "Fuzzing needs cargo-fuzz: cargo install cargo-fuzz" >&2
    exit 1
fi
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # names of targets have no spaces
    set -- $(cargo +nightly fuzz list)
fi
for fuzz_target; do
    echo "== $fuzz_target, ${FUZZ_SECONDS:-60} s"
    cargo +nightly fuzz run "$fuzz_target" -- -max_total_time="${FUZZ_SECONDS:-60}"
done
