#!/usr/bin/env python3
"""send_spead2.py udp|tcp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE: what send_aqueduct.c does, with spead2's asynchronous streams (the wheel, 4.5.1).

The same heap is sent again and again, and up to 4 are queued: what its Python interface costs per heap is as little as can be.
"""
import asyncio, json, os, resource, sys, time

import numpy as np, spead2, spead2.send.asyncio

transport, port, heaps, heap_size, packet, rate = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


async def main():
    config = spead2.send.StreamConfig(max_packet_size=packet, rate=rate, max_heaps=4)
    pool, to = spead2.ThreadPool(1), [("127.0.0.1", port)]
    if transport == "udp":
        stream = spead2.send.asyncio.UdpStream(pool, to, config)
    else:
        stream = await spead2.send.asyncio.TcpStream.connect(pool, to, config)
    data = np.full(heap_size, 1, np.uint8)
    group = spead2.send.ItemGroup(flavour=spead2.Flavour(4, 64, 48))
    group.add_item(0x1600, "timestamp", "", shape=(), format=[("u", 48)], value=1)
    group.add_item(0x4300, "data", "", shape=data.shape, dtype=data.dtype, value=data)
    group.get_heap()
    heap = group.get_heap(descriptors="none", data="all")
    start, cpu_start = time.monotonic(), cpu()
    pending, sent = [], 0
    for i in range(heaps):
        pending.append(stream.async_send_heap(heap))
        if len(pending) == 4:
            sent += await pending.pop(0)
    for future in pending:
        sent += await future
    seconds, used = time.monotonic() - start, cpu() - cpu_start
    print(json.dumps(dict(seconds=seconds, cpu=used, bytes=sent, heaps=heaps)), flush=True)


asyncio.run(main())
os._exit(0)
