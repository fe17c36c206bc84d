"""Writes an HDF5 file that others read meanwhile, as it is told: h5_writer.py FILE MODE, lines of JSON in and out.

MODE: "swmr" (the newer file format as HDF5 1.10 has it, h5py's swmr_mode) or "flush" (the older one, flushed after each step). Datasets, of which element i is i:

    plain  (0 to any, 3) <i4, 16 rows in a chunk
    gzip   the same, packed by shuffle and gzip
    wide   (0 to any, 0 to any... of 3) <i4: two axes that can grow, which has another index of chunks

    {"do": "append", "rows": N}   adds rows to all of them
    {"do": "close"}               closes the file
    {"do": "reopen"}              opens it again to write, as one can who finds no lock on it
Each is answered by {"rows": all rows now}.
"""

import json
import sys

import h5py
import numpy

path, mode = sys.argv[1:]
swmr = mode == "swmr"


def append(file, rows):
    for dataset in file.values():
        old = dataset.shape[0]
        dataset.resize(old + rows, axis=0)
        numbers = numpy.arange(3 * old, 3 * (old + rows), dtype="<i4").reshape(rows, 3)
        dataset[old:] = numbers
        dataset.flush()
    file.flush()


file = h5py.File(path, "w", libver=("v110", "v110") if swmr else "earliest")
file.create_dataset("plain", (0, 3), "<i4", maxshape=(None, 3), chunks=(16, 3))
file.create_dataset("gzip", (0, 3), "<i4", maxshape=(None, 3), chunks=(16, 3), compression="gzip", shuffle=True)
file.create_dataset("wide", (0, 3), "<i4", maxshape=(None, None), chunks=(16, 2))
file.flush()
if swmr:
    file.swmr_mode = True
print(json.dumps({"rows": 0}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "append":
        append(file, command["rows"])
    elif command["do"] == "close":
        rows = file["plain"].shape[0]
        file.close()
        print(json.dumps({"rows": rows}), flush=True)
        continue
    elif command["do"] == "reopen":
        file = h5py.File(path, "r+", libver=("v110", "v110") if swmr else "earliest")
    print(json.dumps({"rows": file["plain"].shape[0]}), flush=True)
