#!/usr/bin/env python3
"""The peer's side: spead2's ring Stream of heaps, one process per measurement, one JSON line at the end.

    heaps_spead2.py key=value...    the same keys as heaps_aqueduct.c:

file=PATH  mode=buffer|inproc  packet=BYTES  max_heaps=N  ring=HEAPS  passes=N  core=N  memcpy=std|nontemporal (std is the default of both)

Packets come from memory, or (inproc) from an in-process queue, in which all of them, each of so many bytes, are before the time starts. One warm-up pass, which also adds up the payloads, then `passes` timed ones. A pass is a stream of its own over the
same input; timed from start() until the last heap has been taken. The consumer takes each heap and drops it, nothing else. "worker" is the CPU
time of the thread pool's thread alone: what the receiver costs, without its consumer (here: Python).
"""
import json, mmap, os, resource, sys, time

arg = dict(a.split("=", 1) for a in sys.argv[1:])
import numpy as np, spead2, spead2.recv


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([r.ru_utime, r.ru_stime])


def worker_cpu():
    return sum(int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in workers) * 1e-9


before = set(os.listdir("/proc/self/task"))
pool = spead2.ThreadPool(1, [int(arg.get("core", 1))])
workers = set(os.listdir("/proc/self/task")) - before
assert len(workers) == 1, workers
config = spead2.recv.StreamConfig(max_heaps=int(arg["max_heaps"]), explicit_start=True,
                                  memcpy=spead2.MEMCPY_NONTEMPORAL if arg.get("memcpy") == "nontemporal" else spead2.MEMCPY_STD)
ring_config = spead2.recv.RingStreamConfig(heaps=int(arg["ring"]))

size = os.path.getsize(arg["file"])
data = mmap.mmap(-1, (size + (1 << 21) - 1) >> 21 << 21)
data.madvise(mmap.MADV_HUGEPAGE)
view = memoryview(data)[:size]
with open(arg["file"], "rb", buffering=0) as f:
    at = 0
    while at < size:
        at += f.readinto(view[at:])


def add_up(stream):
    heaps, total = 0, 0
    for heap in stream:
        heaps += 1
        for item in heap.get_items():
            if item.id == 0x4300:
                total += int(np.sum(np.frombuffer(item, np.uint64), dtype=np.uint64))
    return heaps, total & (2**64 - 1)


def consume(stream):
    for heap in stream:
        pass


out = {"who": "spead2 " + spead2.__version__, "packets": 0, "heaps": 0, "user": 0.0, "sys": 0.0, "worker": 0.0, "pass_seconds": []}
for i in range(int(arg.get("passes", 1)) + 1):
    stream = spead2.recv.Stream(pool, config, ring_config)
    if arg.get("mode") == "inproc":
        queue, packet = spead2.InprocQueue(), int(arg["packet"])
        for at in range(0, size, packet):
            queue.add_packet(view[at:at + packet])
        queue.stop()
        stream.add_inproc_reader(queue)
    else:
        stream.add_buffer_reader(view)
    c0, w0, t0 = cpu(), worker_cpu(), time.monotonic()
    stream.start()
    if i == 0:
        out["present"], out["sum"] = add_up(stream)
    else:
        consume(stream)
    t1, w1, c1 = time.monotonic(), worker_cpu(), cpu()
    stream.stop()  # the statistics are published after the last heap: wait for that
    if i > 0:
        out["user"] += float(c1[0] - c0[0])
        out["sys"] += float(c1[1] - c0[1])
        out["worker"] += w1 - w0
        out["packets"] += stream.stats["packets"]
        out["heaps"] += stream.stats["heaps"]
        out["pass_seconds"].append(round(t1 - t0, 6))
print(json.dumps(out), flush=True)
os._exit(0)
