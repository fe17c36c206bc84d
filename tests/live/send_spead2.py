#!/usr/bin/env python3
"""Sends heaps with spead2 (pip install spead2==4.5.1 numpy) to a receiver under test.

    send_spead2.py HOST PORT HEAPS HEAP_BYTES RATE_BITS PACKET_SIZE [--step N] [--pause SECONDS] [--no-stop]

Heap i (from 0) has HEAP_CNT i + 1, item 0x1600 = i * step (immediate, 48 bits) and item 0x4300, HEAP_BYTES bytes. Every packet carries all item
pointers. Byte j of heap i is

    (131 * i + 7 * j + 13 * (j >> 8) + 29 * (j >> 16)) & 0xff

RATE_BITS is bits of packets (headers and payload, without UDP and IP) per second, smoothed by spead2; PACKET_SIZE is the largest UDP payload. A stop heap ends it
unless --no-stop; it is sent PAUSE seconds after the last heap. Prints one JSON line when everything is sent: heaps, heap_bytes, step, seconds,
and the sha256 of each heap's bytes in order.
"""
import argparse, hashlib, json, time

import numpy as np, spead2, spead2.send

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("host")
for name in ("port", "heaps", "heap_bytes"):
    p.add_argument(name, type=int)
p.add_argument("rate_bits", type=float)
p.add_argument("packet_size", type=int)
p.add_argument("--step", type=int, default=4096)
p.add_argument("--pause", type=float, default=0.2)
p.add_argument("--no-stop", action="store_true")
a = p.parse_args()


def payload(i):
    j = np.arange(a.heap_bytes, dtype=np.int64)
    return ((131 * i + 7 * j + 13 * (j >> 8) + 29 * (j >> 16)) & 0xFF).astype(np.uint8)


flavour = spead2.Flavour(4, 64, 48)
group = spead2.send.ItemGroup(flavour=flavour)
group.add_item(0x1600, "timestamp", "heap number * step", shape=(), format=[("u", 48)])
group.add_item(0x4300, "raw", "payload", shape=(a.heap_bytes,), dtype=np.uint8)
stream = spead2.send.UdpStream(spead2.ThreadPool(), [(a.host, a.port)],
                               spead2.send.StreamConfig(rate=a.rate_bits / 8, max_packet_size=a.packet_size, max_heaps=4), buffer_size=1 << 20)
pattern = payload(0)  # byte j of heap i is byte j of heap 0 plus 131 * i
sha256, begin = [], time.monotonic()
for i in range(a.heaps):
    data = (pattern + np.uint8(131 * i & 0xFF)).astype(np.uint8)
    group["timestamp"].value = i * a.step
    group["raw"].value = data
    heap = group.get_heap(descriptors="none", data="all")
    heap.repeat_pointers = True
    stream.send_heap(heap, cnt=i + 1)
    sha256.append(hashlib.sha256(data).hexdigest())
seconds = time.monotonic() - begin
if not a.no_stop:
    time.sleep(a.pause)
    end = spead2.send.Heap(flavour)
    end.add_end()
    stream.send_heap(end, cnt=a.heaps + 1)
print(json.dumps(dict(heaps=a.heaps, heap_bytes=a.heap_bytes, step=a.step, seconds=seconds, sha256=sha256)))
