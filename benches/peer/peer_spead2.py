#!/usr/bin/env python3
"""The peer's side: spead2's ChunkRingStream, one process per measurement, one JSON line at the end.

    peer_spead2.py key=value...     the same keys as recv_aqueduct.c:

mode=buffer|pcap|udp|tcp  file=PATH  port=N  heap=BYTES  chunk=BYTES  max_heaps=N  max_chunks=N  ring=N  passes=N  core=N  place=place.so
memcpy=std|nontemporal (peer only; std is spead2's default)

buffer and pcap: one warm-up pass, which also counts the present flags and adds up the data, then `passes` timed ones. A pass is a stream of its
own over the same input and the same chunks; timed from start() until the data ring is stopped and empty.
udp, tcp: prints READY on stderr when listening; CPU time from there until the stop heap. core pins the worker; with these modes, the whole process.
"""
import ctypes, json, mmap, os, resource, sys, time

arg = dict(a.split("=", 1) for a in sys.argv[1:])
mode, core = arg["mode"], int(arg.get("core", 1))
heap, chunk = int(arg["heap"]), int(arg["chunk"])
ring, passes = int(arg["ring"]), int(arg.get("passes", 1))
if mode in ("udp", "tcp"):
    os.sched_setaffinity(0, {core})
import numpy as np, scipy, spead2, spead2.recv


class Layout(ctypes.Structure):
    _fields_ = [("step", ctypes.c_int64), ("heaps_per_chunk", ctypes.c_int64), ("heap_size", ctypes.c_int64)]


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([r.ru_utime, r.ru_stime])


layout = Layout(4096, chunk // heap, heap)
lib = ctypes.CDLL(arg["place"])
place = scipy.LowLevelCallable(lib.bench_place, user_data=ctypes.cast(ctypes.pointer(layout), ctypes.c_void_p), signature="void (void *, size_t, void *)")
pool = spead2.ThreadPool(1, [core])
config = spead2.recv.StreamConfig(max_heaps=int(arg["max_heaps"]), explicit_start=True,
                                  memcpy=spead2.MEMCPY_NONTEMPORAL if arg.get("memcpy") == "nontemporal" else spead2.MEMCPY_STD)
chunk_config = spead2.recv.ChunkStreamConfig(items=[0x1600], max_chunks=int(arg["max_chunks"]), place=place)
# np.empty of this size is mapped with MADV_HUGEPAGE by numpy; filled so that no page fault is measured
chunks = [spead2.recv.Chunk(data=np.full(chunk, 0xEE, np.uint8), present=np.zeros(chunk // heap, np.uint8)) for _ in range(ring)]


def new_stream():
    stream = spead2.recv.ChunkRingStream(pool, config, chunk_config, spead2.recv.ChunkRingbuffer(ring), spead2.recv.ChunkRingbuffer(ring))
    for c in chunks:
        stream.add_free_chunk(c)
    return stream


def consume(stream, verify):
    """Gets and recycles chunks until the data ring is stopped; no other work unless verify."""
    n, present, total = 0, 0, 0
    get, recycle = stream.data_ringbuffer.get, stream.add_free_chunk
    try:
        while True:
            c = get()
            n += 1
            if verify:
                present += int(np.count_nonzero(c.present))
                total += int(np.sum(c.data.view(np.uint64), dtype=np.uint64))
            recycle(c)
    except spead2.Stopped:
        return n, present, total & (2**64 - 1)


def take_back(stream):
    """The chunks of a finished pass, for the next one."""
    chunks.clear()
    try:
        while True:
            chunks.append(stream.free_ringbuffer.get_nowait())
    except (spead2.Empty, spead2.Stopped):
        assert len(chunks) == ring, len(chunks)


out = {"who": "spead2 " + spead2.__version__, "packets": 0, "heaps": 0, "seconds": 0.0, "user": 0.0, "sys": 0.0, "chunks": 0}
if mode in ("udp", "tcp"):
    stream = new_stream()
    if mode == "tcp":
        stream.add_tcp_reader(int(arg["port"]), bind_hostname="127.0.0.1")
    else:
        stream.add_udp_reader(int(arg["port"]), max_size=9200, buffer_size=8 * 1024 * 1024, bind_hostname="127.0.0.1")
    stream.start()
    print("READY", file=sys.stderr, flush=True)
    c0 = cpu()
    present = 0
    n = 0
    t0 = None
    try:
        while True:
            c = stream.data_ringbuffer.get()
            t0 = t0 or time.monotonic()
            n += 1
            present += int(np.count_nonzero(c.present))
            stream.add_free_chunk(c)
    except spead2.Stopped:
        pass
    out["user"], out["sys"] = (cpu() - c0).tolist()
    out["seconds"] = time.monotonic() - t0
    stream.stop()
    out.update(chunks=n, present=present, packets=stream.stats["packets"], heaps=stream.stats["heaps"], batches=stream.stats["batches"])
else:
    if mode == "buffer":
        size = os.path.getsize(arg["file"])
        data = mmap.mmap(-1, (size + (1 << 21) - 1) >> 21 << 21)
        data.madvise(mmap.MADV_HUGEPAGE)
        view = memoryview(data)[:size]
        with open(arg["file"], "rb", buffering=0) as f:
            at = 0
            while at < size:
                at += f.readinto(view[at:])
    for i in range(passes + 1):
        stream = new_stream()
        if mode == "buffer":
            stream.add_buffer_reader(view)
        else:
            stream.add_udp_pcap_file_reader(arg["file"])
        c0, t0 = cpu(), time.monotonic()
        stream.start()
        n, present, total = consume(stream, i == 0)
        t1, c1 = time.monotonic(), cpu()
        stream.stop()  # the statistics are published after the data ring is stopped: wait for that
        take_back(stream)
        if i == 0:
            out.update(present=present, sum=total)
        else:
            out["seconds"] += t1 - t0
            out["user"] += float(c1[0] - c0[0])
            out["sys"] += float(c1[1] - c0[1])
            out["chunks"] += n
            out["packets"] += stream.stats["packets"]
            out["heaps"] += stream.stats["heaps"]
            out.setdefault("pass_seconds", []).append(round(t1 - t0, 6))
print(json.dumps(out), flush=True)
os._exit(0)
