#!/usr/bin/env bash
# Sends captured SPEAD traffic through a UDP socket of this machine, receives it, and checks every heap against the hash
# of what was sent, by its JSON: first all of it, then with packets lost, repeated and out of order, then from a file
# that breaks off. `make demo` builds the program and runs this.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="${AQUEDUCT_BIN:-$PWD/build/bin}:$PATH"
data=$PWD/tests/data
work=$(mktemp -d)
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null; rm -rf "$work"' EXIT

# round_trip CAPTURE OPTIONS...: replays a capture to a receiver on a free port, and checks what it received.
round_trip() {
    local name=$1 address
    shift
    # A pipe with a name, to wait for the line that tells the port.
    mkfifo "$work/$name.err"
    aqueduct recv udp://127.0.0.1:0 --item 0x1600 --step 4096 --heap-size 8192 --heaps-per-chunk 8 --json "$@" \
        >"$work/$name.out" 2>"$work/$name.err" &
    receiver=$!
    exec 3<"$work/$name.err"
    until read -r address <&3 && [[ $address == "listening on "* ]]; do
        kill -0 "$receiver"
        echo "$address" >&2
    done
    aqueduct replay "$data/$name.pcap" "udp://${address#listening on }" --rate 50M
    # The stop item at the capture's end ends the receiver.
    wait "$receiver" || { cat <&3 >&2; exit 1; }
    receiver=
    exec 3<&-
    python3 examples/check_demo.py "$data/$name.json" "$work/$name.out"
}

echo "== 64 heaps of 8 KiB in 385 packets, over UDP"
round_trip chunks_1472_48
for damage in lossy reordered duplicated; do
    echo
    echo "== the same with packets $damage"
    round_trip "chunks_$damage" --out-of-order
done

echo
echo "== a capture that breaks off: what is there is delivered, and the error says where"
head -c 100000 "$data/chunks_1472_48.pcap" >"$work/cut.pcap"
status=0
aqueduct recv "pcap:$work/cut.pcap" --item 0x1600 --step 4096 --heap-size 8192 --heaps-per-chunk 8 || status=$?
echo "exit status: $status"
[ "$status" -eq 1 ]

echo
echo "demo: all heaps as sent, every packet accounted for"
