"""Compares the output of `aqueduct recv --json` with the JSON that tells what a capture holds.

Usage: check_demo.py CAPTURE.json OUTPUT

Shows where the packets went; exit status 1 if a heap is wrong or missing, or if the ledger does not close.
"""

import json
import sys

HEAPS_PER_CHUNK = 8

with open(sys.argv[1]) as file:
    capture = json.load(file)
with open(sys.argv[2]) as file:
    *chunks, end = map(json.loads, file)

sent = {heap["timestamp"] // capture["timestamp_step"]: heap["sha256"] for heap in capture["heaps"]}
received = {
    chunk["chunk"] * HEAPS_PER_CHUNK + index: sha256
    for chunk in chunks
    for index, sha256 in enumerate(chunk["sha256"])
    if sha256 is not None
}
# Heap number n has cnt n + 1; the last cnt is that of the stop heap. Undamaged captures do not list theirs.
complete = {cnt - 1 for cnt in capture.get("complete_cnts", [])} & sent.keys() or sent.keys()

stats = end["stats"]
beside = {"packets", "batches", "max_batch", "search_dist", "worker_blocked"}
print("packets received:", stats["packets"])
for name, value in sorted(stats.items()):
    if value and name not in beside and "heaps" not in name and not name.startswith(("bytes_", "chunks_")):
        print(f"  {name}: {value}")
print(f"heaps complete: {len(received)} of {len(sent)}, expected {len(complete)}")

wrong = [number for number, sha256 in received.items() if sent.get(number) != sha256]
problems = []
if wrong:
    problems.append(f"heaps with wrong bytes: {sorted(wrong)}")
if received.keys() != complete:
    problems.append(f"heaps missing or unexpected: {sorted(received.keys() ^ complete)}")
if not end["ledger_closed"]:
    problems.append("the ledger does not close")
for problem in problems:
    print(problem, file=sys.stderr)
if problems:
    sys.exit(1)
print("SHA-256 of every heap as sent; ledger closed")
