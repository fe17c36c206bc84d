#!/usr/bin/env python3
"""Feeds packets to spead2's receiver and prints what it makes of them (pip install spead2==4.5.1).

    receive_spead2.py < CASES

Each line of CASES is JSON: {"config": {keyword arguments of StreamConfig}, "contiguous_only": bool, "packets": [hex, …]}. For each,
one line of JSON comes out: {"heaps": [[cnt, [heap_address_bits, is_start_of_stream, is_end_of_stream], complete, heap_length,
received_length, [[start, end], …], [[id, value or hex], …]], …], "stats": {…}}. Lengths and (non-empty) ranges are those of incomplete heaps; else null.
"""
import json, logging, sys

import spead2, spead2.recv

logging.disable(logging.CRITICAL)
pool = spead2.ThreadPool()


def run(case):
    queue = spead2.InprocQueue()
    for packet in case["packets"]:
        queue.add_packet(bytes.fromhex(packet))
    queue.stop()
    ring = spead2.recv.RingStreamConfig(
        heaps=2 * len(case["packets"]) + 64, contiguous_only=case["contiguous_only"], incomplete_keep_payload_ranges=True
    )
    stream = spead2.recv.Stream(pool, spead2.recv.StreamConfig(**case["config"]), ring)
    stream.add_inproc_reader(queue)
    heaps = []
    for heap in stream:
        items = [[item.id, item.immediate_value if item.is_immediate else bytes(item).hex()] for item in heap.get_items()]
        about = [heap.flavour.heap_address_bits, heap.is_start_of_stream(), heap.is_end_of_stream()]
        if isinstance(heap, spead2.recv.IncompleteHeap):
            ranges = [list(r) for r in heap.payload_ranges if r[0] < r[1]]
            heaps.append([heap.cnt, about, False, heap.heap_length, heap.received_length, ranges, items])
        else:
            heaps.append([heap.cnt, about, True, None, None, None, items])
    stream.stop()  # it publishes the statistics of the last batch after its heaps
    names = ["heaps", "incomplete_heaps_evicted", "incomplete_heaps_flushed", "packets", "single_packet_heaps"]
    return {"heaps": heaps, "stats": {name: stream.stats[name] for name in names}}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
