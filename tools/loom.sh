#!/usr/bin/env bash
# The loom models of the ring, in a target directory of their own: --cfg loom rebuilds everything.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom"
exec "${CARGO:-cargo}" test --release --no-default-features --lib --target-dir "${CARGO_TARGET_DIR:-target}/loom" ring
