#!/usr/bin/env python3
"""Receives self-describing heaps with spead2 (spead2==4.5.1, numpy), and tells what it makes of them.

Reads commands from stdin, one JSON object a line, and answers with JSON lines:

    {"from": "file", "path": PATH, "bug_compat": N}     the packets back to back
    {"from": "pcap", "path": PATH, "bug_compat": N}
    {"from": "udp" | "tcp", "bug_compat": N}            -> {"port": PORT} first, on 127.0.0.1

and when the stream has ended -> {"heaps": [HEAP, ...], "incomplete": N}, where a HEAP has cnt, flavour (heap_address_bits), start and items by name. An
item has id, shape and values: those that a format describes as a flat list, of a record as a list; those of a numpy type as dtype, order (C or F)
and sha256 of the elements in C order, in native byte order.
"""
import hashlib, json, os, signal, socket, sys

import numpy as np, spead2, spead2.recv

# Whoever started this may be gone.
signal.alarm(600)
pool = spead2.ThreadPool()


def say(**what):
    print(json.dumps(what), flush=True)


def leaf(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, tuple):
        return [leaf(part) for part in value]
    return value


def flat(value, n_dims):
    """Elements of nested lists, an array or a text, one behind the other."""
    if n_dims == 0:
        return [leaf(value)]
    return [element for part in value for element in flat(part, n_dims - 1)]


def shape_of(value, n_dims):
    return [] if n_dims == 0 else [len(value)] + (shape_of(value[0], n_dims - 1) if len(value) > 0 else [0] * (n_dims - 1))


def dtype_text(dtype):
    return repr(dtype.newbyteorder("=").descr) if dtype.fields else dtype.newbyteorder("=").str


def described(item):
    if item.format is None:
        array = np.asarray(item.value, item.dtype)
        native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
        about = dict(dtype=dtype_text(item.dtype), order=item.order, sha256=hashlib.sha256(native.tobytes()).hexdigest())
        return dict(about, id=item.id, shape=list(array.shape))
    n_dims = len(item.shape)
    return dict(id=item.id, shape=shape_of(item.value, n_dims), values=flat(item.value, n_dims))


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(command):
    config = spead2.recv.StreamConfig(bug_compat=command["bug_compat"], max_heaps=16)
    stream = spead2.recv.Stream(pool, config, spead2.recv.RingStreamConfig(heaps=16, contiguous_only=False))
    match command["from"]:
        case "file":
            with open(command["path"], "rb") as f:
                stream.add_buffer_reader(f.read())
        case "pcap":
            stream.add_udp_pcap_file_reader(command["path"])
        case "udp":
            port = free_port(socket.SOCK_DGRAM)
            stream.add_udp_reader(port, max_size=9200, buffer_size=8 << 20, bind_hostname="127.0.0.1")
            say(port=port)
        case "tcp":
            port = free_port(socket.SOCK_STREAM)
            stream.add_tcp_reader(port, bind_hostname="127.0.0.1")
            say(port=port)
    group = spead2.ItemGroup()
    heaps, incomplete = [], 0
    for heap in stream:
        if isinstance(heap, spead2.recv.IncompleteHeap):
            incomplete += 1
            continue
        start = heap.is_start_of_stream()
        bits, cnt = heap.flavour.heap_address_bits, heap.cnt
        items = {name: described(item) for name, item in group.update(heap).items()}
        heaps.append(dict(cnt=cnt, flavour=bits, start=start, items=items))
    stream.stop()
    say(heaps=heaps, incomplete=incomplete)


for line in sys.stdin:
    run(json.loads(line))
# Without the interpreter's end, which may wait for a stream's thread pool that is already gone.
os._exit(0)
