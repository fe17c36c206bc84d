#!/usr/bin/env bash
# The main job, shown: packets that spead2 once sent go through a UDP socket of this machine into a C program, and every
# heap is checked against the SHA-256 of what was sent. Then the same with packets lost, repeated and out of order, items of
# a stream that describes itself, and a file that breaks off, by the program `aqueduct`. `make demo` builds all that and runs this.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${AQUEDUCT_BUILD:-$PWD/build}
export PATH="$build/bin:$PATH"
data=$PWD/tests/data
work=$(mktemp -d)
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null; rm -rf "$work"' EXIT

# start ERRORS COMMAND...: starts a receiver, its output to ERRORS.out, and waits for the line that tells its address.
start() {
    local errors=$1
    shift
    # A pipe with a name, so that waiting for a line is not waiting for the end.
    mkfifo "$errors"
    "$@" >"$errors.out" 2>"$errors" &
    receiver=$!
    exec 3<"$errors"
    until read -r address <&3 && [[ $address == "listening on "* ]]; do
        kill -0 "$receiver"
        echo "$address" >&2
    done
    address=${address#listening on }
}

# finish: the stop item at the capture's end ends the receiver.
finish() {
    wait "$receiver" || { cat <&3 >&2; exit 1; }
    receiver=
    exec 3<&-
}

placement=(--item 0x1600 --step 4096 --heap-size 8192 --heaps-per-chunk 8)

echo "== a C program, examples/receive_chunks.c, receives 64 heaps of 8 KiB in 385 packets"
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Iinclude examples/receive_chunks.c -o "$work/receive_chunks" \
    -L"$build/lib" -laqueduct -Wl,-rpath,"$build/lib"
start "$work/c" "$work/receive_chunks" 127.0.0.1 0 0x1600 4096 8192 8 "$work/heaps"
aqueduct replay "$data/chunks_1472_48.pcap" "udp://$address" --rate 50M
finish
cat "$work/c.out"
python3 examples/check_demo.py "$data/chunks_1472_48.json" --data "$work/heaps"

for damage in lossy reordered duplicated; do
    echo
    echo "== the same with packets $damage, received by the program aqueduct"
    start "$work/$damage" aqueduct recv udp://127.0.0.1:0 "${placement[@]}" --out-of-order --json
    aqueduct replay "$data/chunks_$damage.pcap" "udp://$address" --rate 50M
    finish
    python3 examples/check_demo.py "$data/chunks_$damage.json" --json "$work/$damage.out"
done

echo
echo "== a stream that describes itself, item by item, by a C program, examples/receive_heaps.c"
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Iinclude examples/receive_heaps.c -o "$work/receive_heaps" \
    -L"$build/lib" -laqueduct -Wl,-rpath,"$build/lib"
start "$work/items" "$work/receive_heaps" udp 127.0.0.1 0
aqueduct replay "$data/items_48.pcap" "udp://$address" --rate 50M
finish
sed -n '1,11p;$p' "$work/items.out"
aqueduct recv "pcap:$data/items_48.pcap" --json >"$work/items.json"
python3 examples/check_demo.py "$data/items_48.json" --items "$work/items.json"

echo
echo "== a capture that breaks off: what is there is delivered, and the error says where"
head -c 100000 "$data/chunks_1472_48.pcap" >"$work/cut.pcap"
status=0
aqueduct recv "pcap:$work/cut.pcap" "${placement[@]}" || status=$?
echo "exit status: $status"
[ "$status" -eq 1 ]

echo
echo "== an instrument's events to disk, by a C program, examples/record_events.c, and what is in its files"
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Iinclude examples/record_events.c -o "$work/record_events" \
    -L"$build/lib" -laqueduct -Wl,-rpath,"$build/lib" -pthread -lm
mkdir "$work/events"
"$work/record_events" "$work/events" 100000 0
aqueduct events "$work"/events/*.aqe
head -3 "$work"/events/*.csv

echo
echo "== a signal of 4 channels from one C program, examples/signal_producer.c, to another, through shared memory and over TCP, compressed"
for program in signal_producer signal_consumer; do
    "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Iinclude "examples/$program.c" -o "$work/$program" \
        -L"$build/lib" -laqueduct -Wl,-rpath,"$build/lib" -lm
done
for way in protocol=shm "protocol=tcp compression=zstd"; do
    mkfifo "$work/params"
    # shellcheck disable=SC2086
    "$work/signal_producer" $way frames=100000 inputs=1 pace=0 >"$work/params" &
    receiver=$!
    exec 3<"$work/params"
    read -r params <&3
    "$work/signal_consumer" "$params" 100000 | tail -1 | tee -a "$work/signals"
    finish
    rm "$work/params"
done
[ "$(sort -u "$work/signals" | wc -l)" -eq 1 ]
grep -q '^100000 frames in .*, 0 missing' "$work/signals"

echo
echo "demo: all heaps as sent, every packet and event accounted for"
