#!/usr/bin/env python3
"""Black-box facts about spead2's chunk receiver (behaviour only; one subprocess per experiment).

    facts.py            run every experiment and print what came out
    facts.py NAME       run one experiment in this process
"""
import ctypes, os, struct, subprocess, sys, time, logging

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.environ.get("TMPDIR", "/tmp"), "aqueduct-facts")
SO = os.path.join(BUILD, "facts.so")
MISSING = object()


def imm(id_, value):
    return struct.pack(">Q", (1 << 63) | (id_ << 48) | (value & 0xFFFFFFFFFFFF))


def addr(id_, value):
    return struct.pack(">Q", (id_ << 48) | value)


def pkt(cnt, payload, *, off=0, hl=MISSING, chunk=0, index=0, offset=0, extra=None, stop=None, items=(), raw=True, special_extra=()):
    """One packet; hl None leaves HEAP_LENGTH out; chunk None leaves the placing items out."""
    ptr = [imm(1, cnt)]
    if hl is MISSING:
        hl = len(payload)
    if hl is not None:
        ptr.append(imm(2, hl))
    ptr += [imm(3, off), imm(4, len(payload))]
    if stop is not None:
        ptr.append(imm(6, stop))
    if chunk is not None:
        ptr += [imm(0x1600, chunk), imm(0x1601, index), imm(0x1602, offset)]
    if extra is not None:
        ptr.append(imm(0x1603, extra))
    if raw:
        ptr.append(addr(0x4300, 0))
    ptr += list(items)
    return struct.pack(">BBBBHH", 0x53, 4, 2, 6, 0, len(ptr)) + b"".join(ptr) + payload


def setup(**kw):
    import numpy as np, scipy, spead2, spead2.recv
    global np, spead2
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="    log %(levelname)s: %(message)s")
    lib = ctypes.CDLL(SO)
    place = scipy.LowLevelCallable(lib.facts_place, signature="void (void *, size_t, void *)")
    cfg = spead2.recv.StreamConfig(**{k: v for k, v in kw.items() if k in
        ("max_heaps", "allow_out_of_order", "allow_unsized_heaps", "stop_on_stop_item", "explicit_start", "substreams", "stream_id")})
    base_stats = [s.name for s in cfg.stats]
    cc = spead2.recv.ChunkStreamConfig(items=[1, 2, 0x1600, 0x1601, 0x1602, 0x1603, 3, 4, 6], max_chunks=kw.get("max_chunks", 2), place=place.__class__ and tuple(place),
        max_heap_extra=kw.get("max_heap_extra", 0))
    if kw.get("presence"):
        cc.enable_packet_presence(kw["presence"])
    n = kw.get("chunks", 32)
    data = spead2.recv.ChunkRingbuffer(kw.get("data_ring", n))
    free = spead2.recv.ChunkRingbuffer(kw.get("free_ring", n))
    s = spead2.recv.ChunkRingStream(spead2.ThreadPool(), cfg, cc, data, free)
    for _ in range(n):
        c = spead2.recv.Chunk(data=np.full(kw.get("size", 64), 0xEE, np.uint8), present=np.zeros(kw.get("present", 8), np.uint8),
                              extra=np.zeros(64, np.uint8) if kw.get("max_heap_extra") else None)
        s.add_free_chunk(c)
    return s, data, free, lib


def show_calls(lib):
    n = ctypes.c_int64.in_dll(lib, "n_calls").value
    F = "cnt length chunk index offset packet_size struct_size extra payload_offset payload_length stream_ctrl init_chunk init_index init_offset init_extra_size".split()
    arr = (ctypes.c_int64 * (len(F) * n)).in_dll(lib, "calls")
    print(f"  place called {n} times; (cnt, chunk, payload_offset): " + ", ".join(str((arr[i * len(F)], arr[i * len(F) + 2], arr[i * len(F) + 8])) for i in range(n)))
    if n:
        print("    first call:", dict(zip(F, arr[:len(F)])))


def show_stats(s, only_nonzero=True):
    st = s.stats
    print("  stats:", {k: v for k, v in st.items() if (v or k in ("heaps", "packets", "single_packet_heaps", "rejected_heaps", "too_old_heaps", "incomplete_heaps_evicted", "incomplete_heaps_flushed")) and k not in ("batches", "max_batch", "search_dist", "worker_blocked")})


def show(c):
    d = bytes(c.data)
    runs, i = [], 0
    while i < len(d):
        j = i
        while j < len(d) and d[j] == d[i]:
            j += 1
        runs.append(f"{d[i]:02x}*{j - i}"); i = j
    return f"chunk {c.chunk_id} present={list(map(int, c.present))} data={' '.join(runs)}" + (f" extra={bytes(c.extra[:24]).hex()}" if c.extra is not None else "") + f" stream_id={c.stream_id}"


def drain(data, wait=0.3, label="out"):
    """What is on the data ring now (after a short wait); says when it is stopped."""
    time.sleep(wait)
    while True:
        try:
            print(f"  {label}:", show(data.get_nowait()))
        except spead2.Empty:
            print(f"  {label}: (data ring empty, not stopped)"); return
        except spead2.Stopped:
            print(f"  {label}: (data ring stopped)"); return


def run(packets, reader="buffer", **kw):
    s, data, free, lib = setup(**kw)
    if reader == "buffer":
        s.add_buffer_reader(b"".join(packets))
    else:
        q = spead2.InprocQueue()
        s.add_inproc_reader(q)
        for p in packets:
            q.add_packet(p)
        if reader == "inproc":
            q.stop()
    drain(data)
    show_calls(lib); show_stats(s)
    print(f"  free ring qsize after: {free.qsize()}")
    return s, data, free, lib


def P(b, n=8):
    return bytes([b]) * n

EXP = {}
def exp(f):
    EXP[f.__name__] = f
    return f

@exp
def q1_first_id_5_max_chunks_4():
    run([pkt(1, P(1), chunk=5)], max_chunks=4)

@exp
def q1b_first_id_1_max_chunks_4():
    run([pkt(1, P(1), chunk=1)], max_chunks=4)

@exp
def q1c_first_5_then_4_3_2_1():
    run([pkt(1, P(1), chunk=5), pkt(2, P(2), chunk=4), pkt(3, P(3), chunk=3), pkt(4, P(4), chunk=2), pkt(5, P(5), chunk=1)], max_chunks=4)

@exp
def q1d_first_0_then_1():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), chunk=1)], max_chunks=4)

@exp
def q2_window_jumps():
    s, data, free, lib = setup(max_chunks=2)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i, c in enumerate([5, 6, 7, 8, 9, 20, 19, 18, 21]):
        print(f"  -> heap for chunk {c}")
        q.add_packet(pkt(i + 1, P(i + 1), chunk=c)); drain(data, 0.1, f"after {c}")
        show_stats(s); print("  free ring qsize", free.qsize())
    q.stop(); drain(data); show_stats(s)

@exp
def q3_after_jump_id_minus_1():
    s, data, free, lib = setup(max_chunks=3)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i, c in enumerate([5, 50, 49, 48, 47, 51, 52, 53, 55, 59]):
        print(f"  -> heap for chunk {c}")
        q.add_packet(pkt(i + 1, P(i + 1), chunk=c)); drain(data, 0.1, f"after {c}"); show_stats(s)
    q.stop(); drain(data); show_stats(s)

@exp
def q4_rejected_single():
    run([pkt(1, P(1), chunk=-1), pkt(2, P(2), chunk=5)])

@exp
def q4_rejected_multi():
    run([pkt(1, P(1), hl=16, chunk=-1), pkt(1, P(1), off=8, hl=16, chunk=-1), pkt(2, P(2), chunk=5)])

@exp
def q4_rejected_multi_incomplete():
    run([pkt(1, P(1), hl=24, chunk=-1), pkt(1, P(1), off=8, hl=24, chunk=-1), pkt(2, P(2), chunk=5)])

@exp
def q4_too_old_single():
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), chunk=5)])

@exp
def q4_too_old_multi():
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), hl=16, chunk=5), pkt(2, P(2), off=8, hl=16, chunk=5)])

@exp
def q4_too_old_multi_incomplete():
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), hl=24, chunk=5), pkt(2, P(2), off=8, hl=24, chunk=5)])

@exp
def q4_too_old_evicted():
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), hl=24, chunk=5), pkt(3, P(3), hl=24, chunk=9)], max_heaps=1)

@exp
def q4_becomes_too_old_before_last_packet():
    run([pkt(1, P(1), hl=16, chunk=5), pkt(2, P(2), chunk=9), pkt(1, P(1), off=8, hl=16, chunk=5)])

@exp
def q4_becomes_too_old_and_never_completes():
    run([pkt(1, P(1), hl=24, chunk=5), pkt(2, P(2), chunk=9), pkt(1, P(1), off=8, hl=24, chunk=5)])

@exp
def q4_missing_items_placed_at_minus1():
    run([pkt(1, P(1), chunk=None), pkt(2, P(2), chunk=5)])

@exp
def q5_two_buffers_no_explicit_start():
    s, data, free, lib = setup()
    s.add_buffer_reader(b"".join([pkt(1, P(1), chunk=0), pkt(2, P(2), chunk=1)]))
    time.sleep(0.2)
    try:
        s.add_buffer_reader(b"".join([pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)]))
    except Exception as e:
        print("  second add_buffer_reader:", type(e).__name__, e)
    drain(data); show_stats(s)

@exp
def q5_two_buffers_explicit_start():
    s, data, free, lib = setup(explicit_start=True)
    s.add_buffer_reader(b"".join([pkt(1, P(1), chunk=0), pkt(2, P(2), chunk=1)]))
    s.add_buffer_reader(b"".join([pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)]))
    s.start()
    drain(data); show_stats(s); show_calls(lib)
    try:
        s.add_buffer_reader(b"".join([pkt(5, P(5), chunk=4)]))
        drain(data); show_stats(s)
    except Exception as e:
        print("  third add_buffer_reader after the end:", type(e).__name__, e)

@exp
def q5_explicit_start_add_after_start():
    s, data, free, lib = setup(explicit_start=True)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    s.start()
    try:
        s.add_buffer_reader(b"".join([pkt(5, P(5), chunk=4)]))
        drain(data); show_stats(s)
    except Exception as e:
        print("  add_buffer_reader after start:", type(e).__name__, e)
    try:
        s.start(); print("  start() twice: no error")
    except Exception as e:
        print("  start() twice:", type(e).__name__, e)
    q.stop(); drain(data)

@exp
def q5_two_buffers_one_has_stop_item():
    s, data, free, lib = setup(explicit_start=True)
    s.add_buffer_reader(b"".join([pkt(1, P(1), chunk=0), pkt(2, b"", stop=2, chunk=None, raw=False)]))
    s.add_buffer_reader(b"".join([pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)]))
    s.start()
    drain(data); show_stats(s); show_calls(lib)

@exp
def q5_buffer_then_inproc():
    s, data, free, lib = setup(explicit_start=True)
    s.add_buffer_reader(b"".join([pkt(1, P(1), chunk=0), pkt(2, P(2), chunk=1)]))
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    s.start()
    drain(data, label="buffer ended, inproc open"); show_stats(s)
    q.add_packet(pkt(3, P(3), chunk=2)); q.stop()
    drain(data); show_stats(s)

@exp
def q6_stop_in_first_of_two_packets():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), hl=16, stop=2, chunk=1), pkt(2, P(2), off=8, hl=16, stop=2, chunk=1), pkt(3, P(3), chunk=2)])

@exp
def q6_stop_in_second_of_two_packets():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), hl=16, chunk=1), pkt(2, P(2), off=8, hl=16, stop=2, chunk=1), pkt(3, P(3), chunk=2)])

@exp
def q6_stop_in_first_of_two_packets_incomplete():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), hl=16, stop=2, chunk=1), pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)])

@exp
def q6_stop_single_packet_with_payload():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), stop=2, chunk=1), pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)])

@exp
def q6_stop_single_packet_empty():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=2, chunk=None, raw=False), pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)])

@exp
def q6_stop_single_packet_empty_rejected_by_place():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=2, chunk=-1, raw=False), pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)])

@exp
def q6_stop_single_unsized():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", hl=None, stop=2, chunk=-1, raw=False), pkt(3, P(3), chunk=2), pkt(4, P(4), chunk=3)])

@exp
def q6_stop_on_stop_item_off():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=2, chunk=-1, raw=False), pkt(3, P(3), chunk=2), pkt(4, P(4), stop=2, chunk=2, index=1, offset=8)], stop_on_stop_item=False)

@exp
def q6_start_item():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=0, chunk=-1, raw=False), pkt(3, P(3), chunk=1)])

@exp
def q6_stop_with_partial_heap_live():
    run([pkt(1, P(1), hl=16, chunk=0), pkt(2, b"", stop=2, chunk=-1, raw=False)])

@exp
def q7_partial_evicted():
    run([pkt(1, P(1), hl=24, chunk=0, extra=0x11), pkt(1, P(2), off=8, hl=24, chunk=0), pkt(2, P(3), hl=16, chunk=0, index=1, offset=24, extra=0x22),
         pkt(3, P(4), hl=16, chunk=0, index=2, offset=40), pkt(3, P(5), off=8, hl=16, chunk=0, index=2, offset=40)], max_heaps=1, max_heap_extra=8)

@exp
def q7_packet_presence():
    run([pkt(1, P(1), hl=24, chunk=0, index=0), pkt(1, P(2), off=16, hl=24, chunk=0, index=0), pkt(2, P(3), off=8, hl=16, chunk=0, index=4, offset=32),
         pkt(2, P(4), off=0, hl=16, chunk=0, index=4, offset=32)], max_heaps=2, presence=8, allow_out_of_order=True)

@exp
def q7_packet_presence_small_packets():
    run([pkt(1, P(1, 4), hl=24, chunk=0, index=0), pkt(1, P(2, 4), off=4, hl=24, chunk=0), pkt(1, P(3, 12), off=12, hl=24, chunk=0)], presence=8, allow_out_of_order=True)

@exp
def q7_presence_index_beyond_present():
    run([pkt(1, P(1), chunk=0, index=7), pkt(2, P(2), chunk=0, index=8, offset=8), pkt(3, P(3), chunk=0, index=100, offset=16)])

@exp
def q7_packet_presence_beyond_present():
    run([pkt(1, P(1), hl=24, chunk=0, index=7), pkt(1, P(2), off=8, hl=24, chunk=0, index=7)], presence=8)

@exp
def q7_out_of_order_first_packet_nonzero():
    run([pkt(1, P(1), off=8, hl=16, chunk=0), pkt(1, P(2), off=0, hl=16, chunk=0)], allow_out_of_order=True)

@exp
def q7_in_order_starts_at_8():
    run([pkt(1, P(1), off=8, hl=16, chunk=0), pkt(1, P(2), off=0, hl=16, chunk=0), pkt(1, P(1), off=8, hl=16, chunk=0)])

@exp
def q7_duplicate_packet():
    run([pkt(1, P(1), off=0, hl=16, chunk=0), pkt(1, P(1), off=0, hl=16, chunk=0), pkt(1, P(2), off=8, hl=16, chunk=0), pkt(1, P(2), off=8, hl=16, chunk=0)], allow_out_of_order=True)

@exp
def q8_user_stop():
    s, data, free, lib = setup(max_chunks=2)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    q.add_packet(pkt(1, P(1), chunk=0)); q.add_packet(pkt(2, P(2), hl=16, chunk=1))
    drain(data, label="before stop"); show_stats(s)
    print("  stream.stop()"); s.stop()
    drain(data, label="after stop"); show_stats(s)
    try:
        free.get_nowait(); print("  free ring: got a chunk, not stopped")
    except Exception as e:
        print("  free ring get_nowait:", type(e).__name__, "qsize", free.qsize())
    try:
        free.put_nowait(spead2.recv.Chunk(data=np.zeros(8, np.uint8), present=np.zeros(8, np.uint8))); print("  free ring put ok")
    except Exception as e:
        print("  free ring put:", type(e).__name__)

@exp
def q8_user_stop_with_ready_chunk_in_ring():
    s, data, free, lib = setup(max_chunks=1)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i in range(3):
        q.add_packet(pkt(i + 1, P(i + 1), chunk=i))
    time.sleep(0.3); print("  qsize before stop:", data.qsize())
    s.stop()
    drain(data, label="after stop"); show_stats(s)

@exp
def q8_network_stop():
    s, data, free, lib = setup(max_chunks=2)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    q.add_packet(pkt(1, P(1), chunk=0)); q.add_packet(pkt(2, P(2), hl=16, chunk=1)); q.stop()
    drain(data, label="after queue stop"); show_stats(s)
    print("  free ring qsize", free.qsize())
    c = free.get_nowait(); print("  free ring get ok")
    free.put_nowait(c); print("  free ring put ok; then stream.stop()")
    s.stop()
    try:
        free.get_nowait(); print("  free ring: got a chunk, not stopped")
    except Exception as e:
        print("  free ring get_nowait:", type(e).__name__)
    try:
        free.put_nowait(spead2.recv.Chunk(data=np.zeros(8, np.uint8), present=np.zeros(8, np.uint8))); print("  free ring put ok, not stopped")
    except Exception as e:
        print("  free ring put:", type(e).__name__)
    show_stats(s)

@exp
def q9_rejected_multi_three_packets_interleaved():
    run([pkt(1, P(1), hl=24, chunk=-1), pkt(2, P(2), chunk=5), pkt(1, P(1), off=8, hl=24, chunk=-1), pkt(3, P(3), chunk=5, index=1, offset=8),
         pkt(1, P(1), off=16, hl=24, chunk=-1)])

@exp
def q9_rejected_multi_out_of_order_mode():
    run([pkt(1, P(1), hl=24, chunk=-1), pkt(1, P(1), off=8, hl=24, chunk=-1), pkt(1, P(1), off=16, hl=24, chunk=-1)], allow_out_of_order=True)

@exp
def q9_rejected_heap_takes_a_slot():
    """max_heaps 1: does a rejected heap evict a good partial one?"""
    run([pkt(1, P(1), hl=16, chunk=0), pkt(2, P(2), hl=16, chunk=-1), pkt(1, P(1), off=8, hl=16, chunk=0)], max_heaps=1)

@exp
def q9_place_called_for_second_packet():
    run([pkt(1, P(1), hl=16, chunk=0), pkt(1, P(1), off=8, hl=16, chunk=7, index=3)])

@exp
def q10_unsized_single():
    run([pkt(1, P(1), hl=None, chunk=0), pkt(2, P(2), chunk=0, index=1, offset=8)])

@exp
def q10_unsized_multi_then_evicted():
    run([pkt(1, P(1), hl=None, chunk=0), pkt(1, P(2), off=8, hl=None, chunk=0), pkt(2, P(3), hl=16, chunk=0, index=1, offset=16)], max_heaps=1)

@exp
def q10_unsized_evicted_late():
    run([pkt(1, P(1), hl=None, chunk=0), pkt(2, P(3), hl=16, chunk=9, index=1, offset=16)], max_heaps=1)

@exp
def q10_unsized_disallowed():
    run([pkt(1, P(1), hl=None, chunk=0), pkt(2, P(2), chunk=0, index=1, offset=8)], allow_unsized_heaps=False)

@exp
def q10_unsized_first_then_sized():
    run([pkt(1, P(1), hl=None, chunk=0), pkt(1, P(2), off=8, hl=16, chunk=0)])

@exp
def q11_single_packet_too_big():
    s, *_ = run([pkt(1, P(1, 128), chunk=0)], size=64)

@exp
def q11_multi_packet_heap_length_too_big_first_fits():
    run([pkt(1, P(1), hl=128, chunk=0)], size=64)

@exp
def q11_multi_packet_heap_length_too_big_second_outside():
    run([pkt(1, P(1), hl=128, chunk=0)] + [pkt(1, P(2), off=o, hl=128, chunk=0) for o in range(8, 128, 8)], size=64)

@exp
def q11_offset_beyond():
    run([pkt(1, P(1), chunk=0, offset=60)], size=64)

@exp
def q12_zero_length_heap():
    run([pkt(1, b"", chunk=0, index=3)])

@exp
def q12_same_cnt_twice_single_packet():
    run([pkt(1, P(1), chunk=0), pkt(1, P(2), chunk=0, index=1, offset=8)])

@exp
def q12_single_packet_with_partial_of_same_cnt():
    run([pkt(1, P(1), hl=16, chunk=0), pkt(1, P(2, 16), hl=16, chunk=0, index=1, offset=16), pkt(1, P(3), off=8, hl=16, chunk=0)])

@exp
def q12_malformed_in_buffer():
    bad = bytearray(pkt(1, P(1), chunk=0)); bad[1] = 9
    run([pkt(1, P(1), chunk=0), bytes(bad), pkt(3, P(3), chunk=0, index=2, offset=16)])

@exp
def q12_malformed_in_inproc():
    bad = bytearray(pkt(1, P(1), chunk=0)); bad[1] = 9
    run([pkt(1, P(1), chunk=0), bytes(bad), pkt(3, P(3), chunk=0, index=2, offset=16)], reader="inproc")

@exp
def q12_no_free_chunk_blocks():
    s, data, free, lib = setup(max_chunks=1, chunks=2)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i in range(4):
        q.add_packet(pkt(i + 1, P(i + 1), chunk=i))
    time.sleep(0.3); print("  data qsize", data.qsize(), "free qsize", free.qsize()); show_stats(s); print("  worker_blocked", s.stats["worker_blocked"])
    c = data.get(); print("  got", show(c)); s.add_free_chunk(c)
    q.stop(); time.sleep(0.2)
    c = data.get(); print("  got", show(c)); s.add_free_chunk(c)
    drain(data); show_stats(s); print("  worker_blocked", s.stats["worker_blocked"])

@exp
def q12_max_heaps_eviction_by_new_heap():
    run([pkt(1, P(1), hl=16, chunk=0), pkt(2, P(2), hl=16, chunk=0, index=1, offset=16), pkt(3, P(3), hl=16, chunk=0, index=2, offset=32), pkt(1, P(1), off=8, hl=16, chunk=0)], max_heaps=2)

@exp
def q12_add_free_chunk_full():
    s, data, free, lib = setup(chunks=2)
    try:
        s.add_free_chunk(spead2.recv.Chunk(data=np.zeros(8, np.uint8), present=np.ones(8, np.uint8)))
    except Exception as e:
        print("  full free ring:", type(e).__name__)

@exp
def q13_first_packet_empty_of_multi():
    run([pkt(1, b"", hl=16, chunk=0), pkt(1, P(1), hl=16, chunk=0), pkt(1, P(2), off=8, hl=16, chunk=0)])

@exp
def q13_stop_item_in_rejected_heap():
    run([pkt(1, P(1), chunk=0), pkt(2, P(2), stop=2, chunk=-1), pkt(3, P(3), chunk=1)])

@exp
def q13_extra_of_rejected_and_too_old():
    run([pkt(1, P(1), chunk=9, extra=0x11), pkt(2, P(2), chunk=5, index=1, extra=0x22), pkt(3, P(3), chunk=-1, index=2, extra=0x33)], max_heap_extra=8)

@exp
def q13_stop_inproc_then_more():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=2, chunk=None, raw=False), pkt(3, P(3), chunk=1)], reader="inproc")

@exp
def q13_stop_with_value_other():
    run([pkt(1, P(1), chunk=0), pkt(2, b"", stop=1, chunk=None, raw=False), pkt(3, b"", stop=3, chunk=None, raw=False), pkt(4, P(3), chunk=1)])

@exp
def q13_heap_length_mismatch():
    run([pkt(1, P(1), hl=24, chunk=0), pkt(1, P(2), off=8, hl=32, chunk=0), pkt(1, P(3), off=8, hl=24, chunk=0), pkt(1, P(4), off=16, hl=24, chunk=0)])

@exp
def q13_second_packet_without_length():
    run([pkt(1, P(1), hl=16, chunk=0), pkt(1, P(2), off=8, hl=None, chunk=0)])

@exp
def q13_substreams():
    """substreams 2, max_heaps 1: odd and even heaps do not evict each other."""
    run([pkt(2, P(2), hl=16, chunk=0), pkt(3, P(3), hl=16, chunk=0, index=1, offset=16), pkt(2, P(4), off=8, hl=16, chunk=0), pkt(3, P(5), off=8, hl=16, chunk=0),
         pkt(4, P(2), hl=16, chunk=0, index=2, offset=32), pkt(6, P(6), hl=16, chunk=0, index=3, offset=48), pkt(4, P(4), off=8, hl=16, chunk=0)], max_heaps=1, substreams=2)

@exp
def q13_truncated_buffer():
    b = pkt(2, P(2), chunk=1)
    run([pkt(1, P(1), chunk=0), b[:-3]])

@exp
def q13_truncated_inproc():
    b = pkt(2, P(2), chunk=1)
    run([pkt(1, P(1), chunk=0), b[:-3], b + b"junk"], reader="inproc")

@exp
def q13_chunk_id_jump_to_2_62():
    s, data, free, lib = setup(max_chunks=2)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i, c in enumerate([0, (1 << 48) - 2, 5]):
        q.add_packet(pkt(i + 1, P(i + 1), chunk=c)); drain(data, 0.1, f"after {c}"); show_stats(s)
    q.stop(); drain(data)

@exp
def q13_max_chunks_1():
    run([pkt(1, P(1), chunk=3), pkt(2, P(2), hl=16, chunk=4), pkt(3, P(3), chunk=3), pkt(2, P(2), off=8, hl=16, chunk=4), pkt(4, P(4), chunk=5)], max_chunks=1)

@exp
def q13_jump_of_window_length():
    """window [8,9]: heap for 11: id 9 leaves, does 10 get a chunk?"""
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), chunk=11)])

@exp
def q13_jump_of_window_length_plus_1():
    run([pkt(1, P(1), chunk=9), pkt(2, P(2), chunk=12)])

@exp
def q13_data_ring_full_worker_blocked():
    s, data, free, lib = setup(max_chunks=1, chunks=8, data_ring=1)
    q = spead2.InprocQueue(); s.add_inproc_reader(q)
    for i in range(5):
        q.add_packet(pkt(i + 1, P(i + 1), chunk=i))
    time.sleep(0.3); show_stats(s); print("  data qsize", data.qsize(), "free qsize", free.qsize())
    for i in range(4):
        c = data.get(); print("  got", show(c))
    q.stop(); drain(data); show_stats(s); print("  worker_blocked", s.stats["worker_blocked"])

@exp
def q13_explicit_start_stats_names():
    s, data, free, lib = setup(explicit_start=True)
    print("  all stats:", dict(s.stats.items()))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        EXP[sys.argv[1]](); sys.stdout.flush(); os._exit(0)
    os.makedirs(BUILD, exist_ok=True)
    subprocess.check_call(["cc", "-O1", "-shared", "-fPIC", "-o", SO, os.path.join(HERE, "facts.c")])
    for name in [n for n in EXP if n.startswith(os.environ.get("ONLY", ""))]:
        print(f"== {name}", flush=True)
        try:
            r = subprocess.run([sys.executable, __file__, name], timeout=15, capture_output=True, text=True)
            print(r.stdout, end=""); 
            if r.returncode: print("  exit", r.returncode, r.stderr.strip().splitlines()[-1:] )
        except subprocess.TimeoutExpired as e:
            print((e.stdout or b"").decode(), end=""); print("  TIMEOUT (hangs)")
