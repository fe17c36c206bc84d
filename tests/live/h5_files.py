#!/usr/bin/env python3
"""Writes HDF5 files in every layout, with every filter, type and rank that we read, by h5py and PyTables, and prints a line of JSON for each
dataset: file, name, shape, type as numpy has it, the way that it should be read by, and where the expected bytes are, which numpy wrote.

usage: h5_files.py FOLDER
"""

import ctypes
import json
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import tables

folder = Path(sys.argv[1])
number = 0
rng = np.random.default_rng(20261125)


def tell(file, name, values, way, **more):
    """One line: what is to be found."""
    global number
    number += 1
    expected = folder / f"{number}.bin"
    values = np.ascontiguousarray(values)
    expected.write_bytes(values.tobytes())
    line = {"file": str(file), "name": name, "shape": values.shape, "dtype": values.dtype.str, "way": way, "expected": str(expected)}
    line["fields"] = {}
    for field in values.dtype.names or ():
        column = folder / f"{number}.{field}.bin"
        column.write_bytes(np.ascontiguousarray(values[field]).tobytes())
        line["fields"][field] = str(column)
    line.update(more)
    print(json.dumps(line))


RECORD = np.dtype([("time", "<f8"), ("n", "<u4"), ("flag", "?"), ("wave", "<i2", (3, 2)), ("name", "S7"), ("z", "<c8"), ("big", ">i4")])


def values(dtype, shape):
    dtype = np.dtype(dtype)
    size = int(np.prod(shape))
    if dtype.names:
        made = np.zeros(size, dtype)
        made["time"] = np.arange(size) / 3
        made["n"] = np.arange(size) * 7
        made["flag"] = np.arange(size) % 3 == 0
        made["wave"] = rng.integers(-1000, 1000, (size, 3, 2))
        made["name"] = [f"r{i % 1000}" for i in range(size)]
        made["z"] = rng.normal(size=size) + 1j
        made["big"] = np.arange(size)
    elif dtype.kind == "f":
        made = np.cumsum(rng.normal(size=size)).astype(dtype)
    elif dtype.kind == "c":
        made = (np.arange(size) + 2j).astype(dtype)
    elif dtype.kind == "b":
        made = np.arange(size) % 5 < 2
    elif dtype.kind == "S":
        made = np.array([f"t{i % 777}" for i in range(size)]).astype(dtype)
    elif dtype.kind == "V":
        made = np.frombuffer(rng.bytes(size * dtype.itemsize), dtype)
    else:
        # Numbers that compress, and some that do not.
        made = (np.arange(size) // 3 + rng.integers(0, 3, size)).astype(dtype)
    return made.reshape(shape)


TYPES = ["i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">u8", "<f2", "<f4", ">f4", "<f8", ">f8", "<c16", "?", "S5", "V6", RECORD]
FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip", "compression_opts": 4},
    "gzip_shuffle": {"compression": "gzip", "shuffle": True},
    "gzip_shuffle_fletcher": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "fletcher": {"fletcher32": True},
    "shuffle": {"shuffle": True},
    "lzf": {"compression": "lzf"},
    "lzf_shuffle": {"compression": "lzf", "shuffle": True},
    "lz4": dict(hdf5plugin.LZ4(nbytes=1024)),
    "lz4_default": dict(hdf5plugin.LZ4()),
    "zstd": dict(hdf5plugin.Zstd(clevel=3)),
    "bitshuffle": dict(hdf5plugin.Bitshuffle(nelems=0, cname="none")),
    "bitshuffle_lz4": dict(hdf5plugin.Bitshuffle(nelems=0, cname="lz4")),
    "bitshuffle_lz4_64": dict(hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    "bitshuffle_zstd": dict(hdf5plugin.Bitshuffle(nelems=0, cname="zstd", clevel=2)),
    **{
        f"blosc_{codec}_{shuffle}": dict(hdf5plugin.Blosc(cname=codec, clevel=5, shuffle=shuffle))
        for codec in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
        for shuffle in (0, 1, 2)
    },
}
SHAPES = [
    ((1000,), (100,)),
    ((1003,), (100,)),
    ((50,), (64,)),
    ((1,), (1,)),
    ((60, 40), (10, 40)),
    ((61, 40), (10, 40)),
    ((61, 43), (10, 8)),
    ((20, 9, 7), (4, 9, 7)),
    ((21, 9, 7), (4, 5, 7)),
    ((21, 9, 7), (8, 4, 3)),
    ((9, 4, 5, 3), (2, 3, 5, 2)),
]


def by_h5py(path, version):
    direct = "chunks" if version == "earliest" else "chunks read by libhdf5"
    with h5py.File(path, "w", libver=(version, "v110" if version == "earliest" else version)) as f:
        for kind in TYPES:
            v = values(kind, (203, 3))
            f.create_dataset(f"contiguous/{np.dtype(kind).str}", data=v)
            tell(path, f"contiguous/{np.dtype(kind).str}", v, "contiguous")
            f.create_dataset(f"gzip/{np.dtype(kind).str}", data=v, chunks=(20, 2), compression="gzip", shuffle=True)
            tell(path, f"gzip/{np.dtype(kind).str}", v, direct)
        for name, options in FILTERS.items():
            for shape, chunks in SHAPES:
                v = values("<i4", shape)
                at = f"filters/{name}/{'x'.join(map(str, shape))}_{'x'.join(map(str, chunks))}"
                most = (None, *shape[1:]) if chunks[0] > shape[0] else None
                f.create_dataset(at, data=v, chunks=chunks, maxshape=most, **options)
                tell(path, at, v, direct)
            v = values(RECORD, (257,))
            f.create_dataset(f"records/{name}", data=v, chunks=(50,), **options)
            tell(path, f"records/{name}", v, direct)
            # What does not compress: blocks that are stored as they are, filters that leave themselves out.
            v = np.frombuffer(rng.bytes(4000 * 3), "u1").reshape(4000, 3)
            f.create_dataset(f"noise/{name}", data=v, chunks=(512, 3), **options)
            tell(path, f"noise/{name}", v, direct)
        # Every index of chunks: one chunk, implicit, fixed array, extensible array, B-tree.
        for name, most in {"fixed": (500, 8), "growing": (None, 8), "both": (None, None)}.items():
            v = values("<i4", (500, 8))
            for filters in ({}, {"compression": "gzip"}):
                at = f"index/{name}_{len(filters)}"
                f.create_dataset(at, data=v, chunks=(1, 8), maxshape=most, **filters)
                tell(path, at, v, direct)
        f.create_dataset("index/single", data=v, chunks=(500, 8))
        tell(path, "index/single", v, direct)
        # Chunks that were never written, with and without a fill value.
        for name, fill in {"fill": -7, "no_fill": None}.items():
            d = f.create_dataset(f"sparse/{name}", (100, 6), "<i4", chunks=(10, 4), fillvalue=fill, compression="gzip")
            d[25:31, 1:3] = 5
            tell(path, f"sparse/{name}", d[...], direct)
            d = f.create_dataset(f"sparse/none_{name}", (100, 6), "<i4", chunks=(10, 4), fillvalue=fill)
            tell(path, f"sparse/none_{name}", d[...], direct)
            d = f.create_dataset(f"sparse/late_{name}", (100, 6), "<i4", fillvalue=fill)
            tell(path, f"sparse/late_{name}", d[...], "contiguous")
        # More than 4 GiB that are hardly there.
        d = f.create_dataset("sparse/large", (3_000_000_000,), "<i8", chunks=(1 << 20,), compression="gzip")
        d[2_999_999_990:] = np.arange(10)
        tell(path, "sparse/large", np.arange(10, dtype="<i8"), direct, rows=[2_999_999_990, 3_000_000_000])
        # A chunk whose filters were left out, as direct chunk writing does.
        d = f.create_dataset("mask", (20,), "<i4", chunks=(10,), compression="gzip", shuffle=True)
        v = np.arange(20, dtype="<i4")
        d[:10] = v[:10]
        d.id.write_direct_chunk((10,), v[10:].tobytes(), filter_mask=3)
        tell(path, "mask", v, direct)
        # What libhdf5 reads.
        v = values("<i4", (100, 3))
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((100, 3))
        h5py.Dataset(h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I32LE, space, compact))[...] = v
        tell(path, "compact", v, "libhdf5")
        d = f.create_dataset("scaleoffset", data=v, chunks=(10, 3), scaleoffset=0)
        tell(path, "scaleoffset", v, "libhdf5")
        d = f.create_dataset("external", data=v, external=[(str(path) + ".raw", 0, 1200)])
        tell(path, "external", v, "libhdf5")
        kind = h5py.h5t.STD_I32LE.copy()
        kind.set_precision(20)
        d = h5py.h5d.create(f.id, b"bits20", kind, space)
        h5py.Dataset(d)[...] = v
        tell(path, "bits20", v, "libhdf5")
        d = f.create_dataset("enum", data=np.arange(50) % 2, dtype=h5py.enum_dtype({"a": 0, "b": 1}, "<u2"))
        tell(path, "enum", d[...].astype("<u2"), "contiguous")
        # What cannot be streamed.
        f["scalar"] = 5
        f.create_dataset("texts", data=["a", "bc"], dtype=h5py.string_dtype())
        f.create_dataset("empty", (0, 4), "<i4", maxshape=(None, 4), chunks=(10, 4))
        f.create_dataset("null", data=h5py.Empty("<i4"))
        f.create_group("group")
        if version != "earliest":
            f.create_virtual_dataset("virtual", h5py.VirtualLayout((4, 4), "<i4"), fillvalue=3)
            tell(path, "virtual", np.full((4, 4), 3, "<i4"), "libhdf5")
            # Edge chunks that the filters leave alone.
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((10, 4))
            plist.set_deflate(4)
            # h5py has no name for this setting.
            libhdf5 = next(Path(h5py.__file__).parent.parent.glob("h5py.libs/libhdf5-*"))
            if ctypes.CDLL(str(libhdf5)).H5Pset_chunk_opts(ctypes.c_int64(plist.id), 2) < 0:
                raise RuntimeError("H5Pset_chunk_opts")
            v = values("<i4", (33, 10))
            h5py.Dataset(h5py.h5d.create(f.id, b"edges", h5py.h5t.STD_I32LE, h5py.h5s.create_simple(v.shape), plist))[...] = v
            tell(path, "edges", v, direct)
            # A filter that is not there.
            f.create_dataset("blosc2", data=v, chunks=(10, 10), **hdf5plugin.Blosc2())


def to_damage(path):
    """Chunks of 4 rows with checksums, and where they are in the file; enough of them for a tree of nodes."""
    filters = {
        "plain": {},
        "gzip": {"compression": "gzip", "shuffle": True},
        "lzf": {"compression": "lzf"},
        "lz4": dict(hdf5plugin.LZ4()),
        "zstd": dict(hdf5plugin.Zstd()),
        "bitshuffle": dict(hdf5plugin.Bitshuffle()),
        "blosc": dict(hdf5plugin.Blosc(cname="lz4")),
        "blosc_zstd": dict(hdf5plugin.Blosc(cname="zstd")),
    }
    with h5py.File(path, "w", libver=("earliest", "v110")) as f:
        for name, options in filters.items():
            for checked in (True, False):
                v = values("<i4", (600, 16))
                d = f.create_dataset(f"{name}_{checked}", data=v, chunks=(4, 16), fletcher32=checked, **options)
                infos = [d.id.get_chunk_info(i) for i in range(d.id.get_num_chunks())]
                places = [[i.byte_offset, i.size] for i in sorted(infos, key=lambda i: i.chunk_offset)]
                tell(path, d.name, v, "chunks", places=places, checked=checked)


def by_pytables(path, userblock):
    class Row(tables.IsDescription):
        time = tables.Float64Col(pos=0)
        n = tables.UInt32Col(pos=1)
        wave = tables.Int16Col(pos=2, shape=(3,))

    with tables.open_file(str(path), "w", user_block_size=userblock) as f:
        filters = [None, tables.Filters(complevel=5, complib="zlib", fletcher32=True)]
        filters += [tables.Filters(complevel=5, complib=lib) for lib in ("lzo", "bzip2") if tables.which_lib_version(lib)]
        filters += [
            tables.Filters(complevel=5, complib=f"blosc:{codec}", shuffle=s == 1, bitshuffle=s == 2, fletcher32=s == 2)
            for codec in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
            for s in (0, 1, 2)
        ]
        for i, chosen in enumerate(filters):
            lib = (chosen and chosen.complib) or ""
            way = "libhdf5" if lib in ("lzo", "bzip2") else "chunks"
            if way == "libhdf5":
                # Their plugins are PyTables' own.
                continue
            v = values("<f4", (333, 17))
            f.create_carray("/", f"carray{i}", obj=v, filters=chosen, chunkshape=(50, 17) if i % 2 else (40, 5))
            tell(path, f"carray{i}", v, way)
            e = f.create_earray("/", f"earray{i}", tables.Int16Atom(), (0, 5), filters=chosen, expectedrows=1000)
            v = values("<i2", (1234, 5))
            for part in np.array_split(v, 7):
                e.append(part)
            tell(path, f"earray{i}", v, way)
            t = f.create_table("/", f"table{i}", Row, filters=chosen, chunkshape=(64,))
            v = np.zeros(999, t.dtype)
            v["time"], v["n"], v["wave"] = np.arange(999) / 7, np.arange(999), rng.integers(-9, 9, (999, 3))
            t.append(v)
            t.flush()
            tell(path, f"table{i}", v, way)
        v = values("<f8", (100, 2))
        f.create_array("/", "array", obj=v)
        tell(path, "array", v, "contiguous")


by_h5py(folder / "earliest.h5", "earliest")
by_h5py(folder / "v110.h5", "v110")
to_damage(folder / "damage.h5")
by_pytables(folder / "tables.h5", 0)
by_pytables(folder / "userblock.h5", 2048)
