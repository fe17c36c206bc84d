"""Writes datasets by h5py, as benches/dataset_record.rs does: told how by lines on stdin, answers the seconds that each took.

    dataset_record.py DATA ROW BLOCK     DATA: int16 in a file; ROW: of a row; BLOCK: rows of a chunk

Lines: "plain TARGET" or "gzip TARGET". Rows are written a chunk at a time to a dataset that grows, as a recorder must.
"""

import os
import sys
import time

import h5py
import numpy

data = numpy.fromfile(sys.argv[1], "<i2").reshape(-1, int(sys.argv[2]))
block = int(sys.argv[3])
print("ready", flush=True)
for line in sys.stdin:
    how, target = line.split()
    if os.path.exists(target):
        os.unlink(target)
    began = time.perf_counter()
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if how == "gzip" else {}
    rows = len(data) // (8 if how == "gzip" else 1)
    with h5py.File(target, "w") as f:
        dataset = f.create_dataset("data", (0, data.shape[1]), data.dtype, maxshape=(None, data.shape[1]), chunks=(block, data.shape[1]), **packed)
        for start in range(0, rows, block):
            part = data[start : min(start + block, rows)]
            dataset.resize(start + len(part), axis=0)
            dataset[start : start + len(part)] = part
    print(time.perf_counter() - began, flush=True)
