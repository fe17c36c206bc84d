#!/usr/bin/env python3
"""Writes c-tests/data/blocks.h5, for the C tests of dataset streaming. Element number i of each dataset is i, unless said otherwise.

  rows      (103, 4) <i4, chunks of 10 rows, shuffled and gzipped
  flat      (50,) <f8, contiguous
  table     (40,) records of <u4 "n" (i) and >i2[3] "wave" (3i, 3i+1, 3i+2), chunks of 16
  damaged   (40, 4) <i4, chunks of 10 rows with checksums; one bit of the second chunk is wrong
  empty     (0, 4), texts (variable length)

usage: h5_blocks.py FILE
"""

import sys

import h5py
import numpy as np

path = sys.argv[1]
with h5py.File(path, "w", libver=("earliest", "v110")) as f:
    f.create_dataset("rows", data=np.arange(412, dtype="<i4").reshape(103, 4), chunks=(10, 4), compression="gzip", shuffle=True)
    f.create_dataset("flat", data=np.arange(50, dtype="<f8"))
    table = np.zeros(40, [("n", "<u4"), ("wave", ">i2", (3,))])
    table["n"] = np.arange(40)
    table["wave"] = np.arange(120).reshape(40, 3)
    f.create_dataset("table", data=table, chunks=(16,))
    d = f.create_dataset("damaged", data=np.arange(160, dtype="<i4").reshape(40, 4), chunks=(10, 4), fletcher32=True)
    place = d.id.get_chunk_info_by_coord((10, 0)).byte_offset
    f.create_dataset("empty", (0, 4), "<i4", maxshape=(None, 4), chunks=(10, 4))
    f.create_dataset("texts", data=["a", "bc"], dtype=h5py.string_dtype())
with open(path, "r+b") as f:
    f.seek(place + 5)
    byte = f.read(1)[0]
    f.seek(place + 5)
    f.write(bytes([byte ^ 4]))
