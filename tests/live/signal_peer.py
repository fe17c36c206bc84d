#!/usr/bin/env python3
"""A peer of signal streams as pyacq's are on the wire, made of pyzmq, numpy and blosc from the wire's description.

Reads commands from stdin, one JSON object a line, and answers with JSON lines:

    {"do": "publish", "params": {...}, "seed": N, "chunks": N}
        -> {"params": {...}} when bound; it waits for a subscriber, sends, and -> {"chunks": [CHUNK, ...]}
    {"do": "subscribe", "params": {...}, "chunks": N}
        -> {"ready": true}, and when as many have come -> {"chunks": [CHUNK, ...]}

With "fnv1a": true the answer has that hash, too, of the elements of all chunks in C order. A CHUNK has index, shape, and sha256, that of the elements in C order. All streams end with the command, but for "keep": true.
"""
import hashlib, json, mmap, os, random, signal, string, struct, sys, tempfile

import blosc, numpy as np, zmq

# Whoever started this may be gone.
signal.alarm(300)
context = zmq.Context()
kept = []


def say(**what):
    print(json.dumps(what), flush=True)


def type_of(dtype):
    """A numpy type out of JSON, where lists stand for tuples."""
    if isinstance(dtype, list):
        return np.dtype([(name, type_of(kind)) + tuple(tuple(s) for s in shape) for name, kind, *shape in dtype])
    return np.dtype(dtype)


def dtype_of(params):
    return type_of(params["dtype"])


def described(index, array):
    return {"index": index, "shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes()).hexdigest()}


class Hash:
    """FNV-1a, if it is asked for."""

    def __init__(self, command):
        self.value = 0xCBF29CE484222325 if command.get("fnv1a") else None

    def add(self, array):
        if self.value is not None:
            for byte in array.tobytes():
                self.value = (self.value ^ byte) * 0x100000001B3 & (1 << 64) - 1

    def said(self):
        return {} if self.value is None else {"fnv1a": f"{self.value:016x}"}


def url(params):
    if params["protocol"] in ("inproc", "ipc"):
        return f"{params['protocol']}://{params['interface']}"
    return f"{params['protocol']}://{params['interface']}:{params['port']}"


def dense(array):
    """What an array is on the wire: offset, strides, and bytes."""
    if array.size == 0:
        return 0, (0,) * array.ndim, b""
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    forward = array[tuple(slice(None, None, -1) if s < 0 else slice(None) for s in array.strides)].transpose(axes)
    if not forward.flags.c_contiguous:
        # The copy keeps the order of axes, and goes forward.
        forward = np.ascontiguousarray(forward)
        strides = [0] * array.ndim
        for axis, stride in zip(axes, forward.strides):
            strides[axis] = stride
        source = np.empty(forward.shape, array.dtype)
        back = array.transpose(axes)
        source[...] = back
        return 0, tuple(strides), source.tobytes()
    offset = sum(-s * (n - 1) for s, n in zip(array.strides, array.shape) if s < 0)
    return offset, array.strides, forward.tobytes()


class Ring:
    """The file of the transfer mode sharedmem."""

    def __init__(self, params, create):
        self.frames, self.double = params["buffer_size"], params["double"]
        shape = [self.frames * (2 if self.double else 1)] + list(params["shape"][1:])
        order = params.get("axisorder") or list(range(len(shape)))
        dtype = dtype_of(params)
        size = 16 + int(np.prod(shape)) * dtype.itemsize
        if create:
            self.file = tempfile.NamedTemporaryFile(prefix="pyacq_SharedMem_")
            self.file.truncate(size)
            params["shm_id"] = self.file.name
            self.memory = mmap.mmap(self.file.fileno(), size)
        else:
            assert os.path.getsize(params["shm_id"]) == size, (os.path.getsize(params["shm_id"]), size)
            assert os.stat(params["shm_id"]).st_mode & 0o777 == 0o600
            with open(params["shm_id"], "rb") as file:
                self.memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self.index = np.ndarray((2,), np.int64, self.memory)
        stored = np.ndarray([shape[axis] for axis in order], dtype, self.memory, 16)
        self.array = stored.transpose(np.argsort(order))

    def write(self, index, array):
        self.index[1] = index
        for i in range(len(array)):
            at = (index - len(array) + i) % self.frames
            self.array[at] = array[i]
            if self.double:
                self.array[at + self.frames] = array[i]
        self.index[0] = index

    def read(self, index, rows):
        if index - rows < self.index[1] - self.frames:
            return None
        if self.double:
            at = (index - rows) % self.frames
            return np.array(self.array[at : at + rows])
        return self.array[[(index - rows + i) % self.frames for i in range(rows)]]


def random_array(rng, dtype, frame):
    """Any bytes, seen as slicing may: permuted, reversed, cut."""
    rows = rng.choice([0, 1, 2, 5, 64, 300])
    shape = [rows] + frame
    order = rng.choice([list(range(len(shape))), list(range(len(shape)))[::-1], rng.sample(range(len(shape)), len(shape))])
    wide = [shape[axis] * rng.choice([1, 1, 1, 2]) + rng.choice([0, 0, 1]) for axis in order]
    raw = rng.randbytes(int(np.prod(wide)) * dtype.itemsize)
    if rng.random() < 0.5:
        raw = bytes(b % 4 for b in raw)
    array = np.ndarray(wide, dtype, raw).transpose(np.argsort(order))
    cut = []
    for n, have in zip(shape, array.shape):
        step = 2 if have >= 2 * n and rng.random() < 0.5 else 1
        part = slice(0, n * step, step)
        cut.append(part)
    array = array[tuple(cut)]
    for axis in range(array.ndim):
        if rng.random() < 0.25:
            array = np.flip(array, axis)
    assert list(array.shape) == shape
    return array


def publish(command):
    params, rng = command["params"], random.Random(command["seed"])
    # As a PUB socket, but that it hears who subscribes.
    socket = context.socket(zmq.XPUB)
    socket.linger = 10_000
    if params["protocol"] == "ipc":
        params["interface"] = "pyacq_pipe_" + "".join(rng.choices(string.ascii_uppercase + string.digits, k=24))
    socket.bind(url(params))
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
    params["port"] = endpoint.rpartition(":")[2]
    ring = Ring(params, True) if params["transfermode"] == "sharedmem" else None
    say(params=params)
    assert socket.recv() == b"\x01"
    dtype, index, chunks, total = dtype_of(params), command.get("index", 0), [], Hash(command)
    for _ in range(command["chunks"]):
        array = random_array(rng, dtype, params["shape"][1:])
        index += len(array) + rng.choice([0, 0, 0, 7])
        chunks.append(described(index, array))
        total.add(array)
        if ring:
            ring.write(index, array)
            socket.send(struct.pack("!QQ", index, len(array)))
            continue
        offset, strides, data = dense(array)
        header = struct.pack(f"!QQQ{array.ndim}Q{array.ndim}q", array.ndim, index, offset, *array.shape, *strides)
        if params["compression"]:
            # It knows no larger items.
            item = array.itemsize if array.itemsize < 256 else 1
            data = blosc.compress(data, item, cname=params["compression"].removeprefix("blosc-"))
        socket.send_multipart([header, data])
    say(chunks=chunks, **total.said())
    kept.append((socket, ring))


def subscribe(command):
    params = command["params"]
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.rcvhwm = 0
    ring = Ring(params, False) if params["transfermode"] == "sharedmem" else None
    socket.connect(url(params))
    say(ready=True)
    dtype, chunks, total = dtype_of(params), [], Hash(command)
    while len(chunks) < command["chunks"]:
        parts = socket.recv_multipart()
        if ring:
            index, rows = struct.unpack("!QQ", *parts)
            array = ring.read(index, rows)
            if array is None:
                chunks.append({"index": index, "overwritten": rows})
                continue
        else:
            header, data = parts
            ndim, index, offset = struct.unpack_from("!QQQ", header)
            assert len(header) == 8 * (3 + 2 * ndim)
            shape = struct.unpack_from(f"!{ndim}Q", header, 24)
            strides = struct.unpack_from(f"!{ndim}q", header, 24 + 8 * ndim)
            if params["compression"]:
                assert len(data) >= 16, len(data)
                data = blosc.decompress(data)
            assert len(data) == np.prod(shape) * dtype.itemsize
            array = np.ndarray(shape, dtype, data, offset, strides)
        chunks.append(described(index, array))
        total.add(array)
    say(chunks=chunks, **total.said())
    socket.close()


for line in sys.stdin:
    command = json.loads(line)
    if not command.get("keep"):
        for socket, _ in kept:
            socket.close()
        kept.clear()
    {"publish": publish, "subscribe": subscribe}[command["do"]](command)
