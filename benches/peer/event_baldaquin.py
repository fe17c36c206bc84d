#!/usr/bin/env python3
"""baldaquin (baldaquin==0.10.2) puts packets of 64 bytes into a buffer and flushes them to its primary sink.

    event_baldaquin.py PACKETS FLUSH_SIZE FOLDER

Prints a JSON object with the packets and the seconds from the first put to the end of the last flush. It puts the same packet, made before, and
flushes when it knows that it should, without asking flush_needed(): that is the fastest that its interface allows. One thread: with two it is slower.
"""
import json, os, sys, tempfile, time

from baldaquin.buf import CircularBuffer
from baldaquin.pkt import FixedSizePacketBase, Format, Layout, packetclass
from pathlib import Path

packets, flush_size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
body = {"__annotations__": {f"f{i}": Format.UNSIGNED_LONG_LONG for i in range(8)}, "layout": Layout.LITTLE_ENDIAN}
packet = packetclass(type("Packet", (FixedSizePacketBase,), body))(*range(8))
assert len(packet.data) == 64
with tempfile.TemporaryDirectory(dir=folder) as folder:
    path = Path(folder) / "packets"
    buffer = CircularBuffer()
    buffer.set_primary_sink(path)
    put, flush = buffer.put, buffer.flush
    written = 0
    start = time.perf_counter()
    for _ in range(packets // flush_size):
        for _ in range(flush_size):
            put(packet)
        written += flush()[0]
    for _ in range(packets - written):
        put(packet)
    written += flush()[0]
    seconds = time.perf_counter() - start
    assert written == packets and os.path.getsize(path) == 64 * packets
print(json.dumps(dict(packets=packets, seconds=seconds)))
