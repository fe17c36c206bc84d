#!/usr/bin/env python3
"""Sends self-describing heaps of random items with spead2 (spead2==4.5.1, numpy), and tells what was sent.

    items_spead2.py SEED HEAPS file PATH          the packets back to back, to a file
    items_spead2.py SEED HEAPS udp HOST PORT [INTERFACE]
    items_spead2.py SEED HEAPS tcp HOST PORT

Types, formats, shapes, the flavour and the bug compatibility are drawn by SEED; descriptors are sent again and items redefined now and then.
The stream begins with a start item and ends with a stop item. INTERFACE is for multicast: an address (IPv4) or an interface's name (IPv6).
Prints one JSON line when all is sent: bug_compat, and for each heap its cnt and the items by name, each with id, dtype and shape as a receiver
in native byte order has them, order, and the SHA-256 of the elements in C order.
"""
import hashlib, json, os, random, socket, struct, sys, time

import numpy as np, spead2, spead2.send

seed, n_heaps, transport = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng, nrng = random.Random(seed), np.random.default_rng(seed)

bits = rng.choice([40, 48, 48, 56, 32])
bug_compat = spead2.BUG_COMPAT_PYSPEAD_0_5_2 if bits == 40 and rng.random() < 0.5 else 0
flavour = spead2.Flavour(4, 64, bits, bug_compat)
group = spead2.send.ItemGroup(flavour=flavour)

SCALARS = ["u1", "i1", "<u2", ">u2", "<i4", ">i4", "<u8", ">i8", "<f2", ">f4", "<f8", ">c8", "<c16", "S5", "<U3", ">U2", "?", "V7"]


def random_dtype(depth=0):
    if depth < 2 and rng.random() < 0.25:
        fields = []
        for i in range(rng.randint(1, 4)):
            field = (f"field{i}", random_dtype(depth + 1))
            fields.append(field + (tuple(rng.randint(1, 3) for _ in range(rng.randint(1, 2))),) if rng.random() < 0.3 else field)
        return np.dtype(fields)
    return np.dtype(rng.choice(SCALARS))


def random_array(dtype, shape):
    """Any bytes, but that bools are 0 or 1 and characters are such."""
    if dtype.fields:
        a = np.zeros(shape, dtype)
        for name in dtype.names:
            base, sub = dtype[name].subdtype or (dtype[name], ())
            a[name] = random_array(base, tuple(shape) + sub)
        return a
    if dtype.kind == "?" or dtype.kind == "b":
        return nrng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "SU":
        letters = np.array(["", "a", "bc", "xyz"])
        return nrng.choice(letters, shape).astype(dtype)
    n = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(nrng.bytes(n), dtype).reshape(shape).copy()


def native_bytes(a):
    return np.ascontiguousarray(a.astype(a.dtype.newbyteorder("="))).tobytes()


def dtype_text(dtype):
    """As numpy writes it, without the layout of titles and offsets."""
    return repr(dtype.newbyteorder("=").descr) if dtype.fields else dtype.newbyteorder("=").str


class ByType:
    """An item described by a numpy type."""

    def __init__(self, id_, name):
        self.dtype = random_dtype()
        self.shape = tuple(rng.randint(1, 5) for _ in range(rng.randint(0, 3)))
        # one byte less than none can be sent, and PySPEAD's scalars never are by type
        self.order = rng.choice("CF")
        if bug_compat and not self.shape:
            self.shape = (2,)
        group.add_item(id_, name, f"{name} by type", shape=self.shape, dtype=self.dtype, order=self.order)
        self.name, self.id = name, id_

    def set(self):
        a = random_array(self.dtype, self.shape)
        group[self.name].value = a
        return dict(dtype=dtype_text(self.dtype), shape=list(self.shape), order=self.order, bytes=native_bytes(a))


class ByFormat:
    """An item described by a format of bits."""

    def __init__(self, id_, name):
        self.format = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            letter = rng.choice("uiuifcb")
            self.format.append((letter, {"f": rng.choice([32, 64]), "c": 8, "b": rng.choice([1, 8])}.get(letter) or rng.randint(1, 64)))
        self.dims = [rng.randint(1, 4) for _ in range(rng.randint(0, 2))]
        self.variable = rng.randrange(len(self.dims)) if self.dims and rng.random() < 0.5 else None
        # an element of less than a byte leaves a variable dimension in doubt
        if sum(b for _, b in self.format) < 8:
            self.variable = None
        shape = tuple(None if i == self.variable else n for i, n in enumerate(self.dims))
        group.add_item(id_, name, f"{name} by format", shape=shape, format=self.format)
        self.name, self.id = name, id_

    def field(self, letter, width):
        """A value, and its bytes for a receiver."""
        if letter == "f":
            code = "f" if width == 32 else "d"
            value = struct.unpack(code, struct.pack(code, rng.uniform(-1e9, 1e9)))[0]
            return value, struct.pack("=" + code, value)
        if letter == "c":
            value = bytes([rng.randint(1, 127)])
            return value, value
        if letter == "b":
            value = rng.random() < 0.5
            return value, bytes([value])
        low, high = (0, 2**width - 1) if letter == "u" else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)
        value = rng.randint(low, high)
        return value, value.to_bytes(size_of(letter, width), sys.byteorder, signed=letter == "i")

    def set(self):
        shape = [rng.randint(1, 6) if i == self.variable else n for i, n in enumerate(self.dims)]
        out = []

        def build(dims):
            if dims:
                return [build(dims[1:]) for _ in range(dims[0])]
            fields = [self.field(*entry) for entry in self.format]
            out.extend(b for _, b in fields)
            return fields[0][0] if len(fields) == 1 else tuple(v for v, _ in fields)

        group[self.name].value = build(shape)
        names = [{"u": "u", "i": "i", "f": "f", "c": "S", "b": "b"}[l] for l, _ in self.format]
        types = [("|" if size_of(l, b) == 1 else "<" if sys.byteorder == "little" else ">") + n + str(size_of(l, b)) for n, (l, b) in zip(names, self.format)]
        text = types[0] if len(types) == 1 else repr([(f"f{i}", t) for i, t in enumerate(types)])
        return dict(dtype=text, shape=shape, order="C", bytes=b"".join(out))


def size_of(letter, width):
    return 1 if letter in "cb" else 1 << max(0, (width - 1).bit_length() - 3) if width > 8 else 1


def new_item(i):
    return rng.choice([ByType, ByFormat])((0x30 if bits == 56 else 0x1000) + i, f"item{i}")


class File:
    def __init__(self, path):
        self.path, self.stream = path, spead2.send.BytesStream(spead2.ThreadPool(), spead2.send.StreamConfig(max_packet_size=rng.choice([1472, 9000])))

    def close(self):
        with open(self.path, "wb") as f:
            f.write(self.stream.getvalue())


class Network:
    def __init__(self, host, port, interface=None):
        config = spead2.send.StreamConfig(max_packet_size=rng.choice([1472, 4000]), rate=20e6)
        pool, to = spead2.ThreadPool(), [(host, int(port))]
        if transport == "tcp":
            self.stream = spead2.send.TcpStream(pool, to, config)
        elif interface and ":" in host:
            self.stream = spead2.send.UdpStream(pool, to, config, ttl=1, interface_index=socket.if_nametoindex(interface))
        elif interface:
            self.stream = spead2.send.UdpStream(pool, to, config, ttl=1, interface_address=interface)
        else:
            self.stream = spead2.send.UdpStream(pool, to, config)

    def close(self):
        pass


out = File(*sys.argv[4:]) if transport == "file" else Network(*sys.argv[4:])
items = [new_item(i) for i in range(rng.randint(1, 6))]
sent = []
for cnt in range(1, n_heaps + 1):
    if cnt > 1 and rng.random() < 0.2:  # another description for one of them
        i = rng.randrange(len(items))
        items[i] = new_item(i)
    values = {item.name: dict(item.set(), id=item.id) for item in items}
    heap = group.get_heap(descriptors="all" if rng.random() < 0.2 else "stale", data="all")
    if cnt == 1:
        heap.add_start()
    out.stream.send_heap(heap, cnt=cnt)
    for value in values.values():
        value["sha256"] = hashlib.sha256(value.pop("bytes")).hexdigest()
    sent.append(dict(cnt=cnt, items=values))
if transport == "udp":
    time.sleep(0.2)
end = spead2.send.Heap(flavour)
end.add_end()
out.stream.send_heap(end, cnt=n_heaps + 1)
out.close()
print(json.dumps(dict(bug_compat=bug_compat, heap_address_bits=bits, heaps=sent)), flush=True)
# All is sent. Without the interpreter's end: there spead2's stream sometimes waits for its thread pool, which is already gone, for ever.
os._exit(0)
