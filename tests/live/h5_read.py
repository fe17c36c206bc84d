"""Reads datasets by h5py (with hdf5plugin), for tests of what we write.

For each line "FILE<tab>DATASET<tab>OUT[<tab>swmr]" on stdin: writes the bytes that numpy has of it to OUT and prints one line of JSON: dtype, shape, chunks,
filters, attributes; or {"error": ...}.
"""

import json
import sys

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if hasattr(value, "item") else value


def read(file, name, out, swmr):
    with h5py.File(file, "r", **({"libver": "latest", "swmr": True} if swmr else {})) as f:
        dataset = f[name]
        data = numpy.ascontiguousarray(dataset[()])
        with open(out, "wb") as to:
            to.write(data.tobytes())
        plist = dataset.id.get_create_plist()
        return {
            "dtype": str(data.dtype),
            "shape": list(dataset.shape),
            "chunks": dataset.chunks and list(dataset.chunks),
            "filters": [plist.get_filter(i)[0] for i in range(plist.get_nfilters())],
            "attrs": {key: plain(value) for key, value in dataset.attrs.items()},
            "masks": sorted({dataset.id.get_chunk_info(i).filter_mask for i in range(dataset.id.get_num_chunks())}),
        }


for line in sys.stdin:
    file, name, out, *options = line.rstrip("\n").split("\t")
    try:
        answer = read(file, name, out, "swmr" in options)
    except Exception as e:  # noqa: BLE001  whatever it is, the test wants to know
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
