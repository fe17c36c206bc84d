"""Compares what was received with the JSON that tells what a capture holds.

Usage: check_demo.py CAPTURE.json --json OUTPUT   (of `aqueduct recv --json` with placement)
       check_demo.py CAPTURE.json --items OUTPUT  (of `aqueduct recv --json` without)
       check_demo.py CAPTURE.json --data FILE     (heap after heap, as receive_chunks writes them)

Exit status 1 if a heap is wrong, missing or one too many, or if the ledger does not close.
"""

import hashlib
import json
import sys

HEAPS_PER_CHUNK = 8


def from_json(path):
    """SHA-256 by heap number, from the lines of chunks; shows where the packets went, from the last line."""
    with open(path) as file:
        *chunks, end = map(json.loads, file)
    stats = end["stats"]
    beside = {"packets", "batches", "max_batch", "search_dist", "worker_blocked"}
    print("packets received:", stats["packets"])
    for name, value in sorted(stats.items()):
        if value and name not in beside and "heaps" not in name and not name.startswith(("bytes_", "chunks_")):
            print(f"  {name}: {value}")
    if not end["ledger_closed"]:
        sys.exit("the ledger does not close")
    return {
        chunk["chunk"] * HEAPS_PER_CHUNK + index: sha256
        for chunk in chunks
        for index, sha256 in enumerate(chunk["sha256"])
        if sha256 is not None
    }


def from_data(path, heap_bytes):
    """SHA-256 by heap number; heaps that did not come are zeros."""
    received = {}
    with open(path, "rb") as file:
        for number, heap in enumerate(iter(lambda: file.read(heap_bytes), b"")):
            if any(heap):
                received[number] = hashlib.sha256(heap).hexdigest()
    return received


def check_items(path, capture):
    """Every item of every heap: the value of a scalar, the hash of anything else."""
    with open(path) as file:
        *heaps, end = map(json.loads, file)
    if not end["ledger_closed"]:
        sys.exit("the ledger does not close")
    received = {heap["heap"]: {item["id"]: item for item in heap["items"]} for heap in heaps}
    compared = 0
    for heap in capture["heaps"]:
        items = received.pop(heap["cnt"])
        for number, sent in heap["items"].items():
            item = items[number]
            if "sha256_c_order_native" in sent:
                same = item["sha256"] == sent["sha256_c_order_native"] and item["shape"] == sent["shape"]
            elif isinstance(sent["value"], list):
                continue  # sent as a list of numbers: `make test` compares those
            else:
                same = item["value"] == sent["value"]
            if not same:
                sys.exit(f"heap {heap['cnt']}: item {number} is not as sent")
            compared += 1
    if received:
        sys.exit(f"heaps that were not sent: {sorted(received)}")
    print(f"{compared} items of {len(heaps)} heaps as sent")


capture_path, kind, received_path = sys.argv[1:]
with open(capture_path) as file:
    capture = json.load(file)
if kind == "--items":
    sys.exit(check_items(received_path, capture))
sent = {heap["timestamp"] // capture["timestamp_step"]: heap["sha256"] for heap in capture["heaps"]}
# Heap number n has cnt n + 1; the last cnt is that of the stop heap. Undamaged captures do not list theirs.
complete = {cnt - 1 for cnt in capture.get("complete_cnts", [])} & sent.keys() or sent.keys()
received = from_json(received_path) if kind == "--json" else from_data(received_path, capture["heap_bytes"])

wrong = [number for number, sha256 in received.items() if sent.get(number) != sha256]
if wrong:
    sys.exit(f"heaps with wrong bytes: {sorted(wrong)}")
if received.keys() != complete:
    sys.exit(f"heaps missing or unexpected: {sorted(received.keys() ^ complete)}")
print(f"{len(received)} of {len(sent)} heaps complete, as expected; SHA-256 of each as sent")
