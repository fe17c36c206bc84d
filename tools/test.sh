#!/usr/bin/env bash
# All tests: runs every step, also after one has failed, and ends with `N passed, N failed` over all of them.
# Rust tests share target/debug, the packages target/release; loom's models have target/loom.
set -uo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
unset MAKEFLAGS MFLAGS # make's job server is not for cargo

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
number=0
steps=3
summary=()

# step NAME COMMAND...: counts the tests in what the command prints, in the forms of cargo and of tests/packages/run.sh.
step() {
    local name=$1 status=0 counts step_passed step_failed start=$SECONDS
    shift
    number=$((number + 1))
    echo
    echo "== [$number/$steps] $name: $*"
    "$@" </dev/null 2>&1 | tee "$log" || status=$?
    counts=$(sed -nE -e 's/^test result: [^.]*\. ([0-9]+) passed; ([0-9]+) failed;.*/\1 \2/p' \
        -e 's/^[a-z]+: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" |
        awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }')
    read -r step_passed step_failed <<<"$counts"
    # A step that does not build, dies, or runs no test at all, has failed, too.
    if [ "$step_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$step_passed" -eq 0 ]; }; then
        step_failed=1
        echo "== $name failed: status $status after $step_passed tests passed"
    fi
    passed=$((passed + step_passed))
    failed=$((failed + step_failed))
    summary+=("$(printf '%-48s %5d passed %5d failed %5d s' "$name" "$step_passed" "$step_failed" $((SECONDS - start)))")
}

step "Rust tests, C tests, layouts, fuzz smoke" "$cargo" test --workspace --locked --no-fail-fast
step "Models of the ring (loom)" tools/loom.sh
step "Installed packages, used from outside" tests/packages/run.sh

echo
printf '%s\n' "${summary[@]}"
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
