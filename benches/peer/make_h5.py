"""Writes the HDF5 file that rows are read from at random in benches/dataset_random.rs: make_h5.py FILE

    chunked, gzip           (400 000, 64) <f4, 1024 rows (256 KiB) in a chunk; gzip: shuffle and gzip-4
    chunked64k, chunked1m   the same in chunks of 64 KiB and 1 MiB
    table, table_chunked    2 000 000 packed records of 51 bytes, contiguous and in chunks of 4096
"""

import sys

import h5py
import numpy

random = numpy.random.default_rng(1)
with h5py.File(sys.argv[1], "w", libver="earliest") as file:
    rows = numpy.round(random.normal(size=(400_000, 64)) * 50).astype("<f4")
    file.create_dataset("chunked", data=rows, chunks=(1024, 64))
    file.create_dataset("chunked64k", data=rows, chunks=(256, 64))
    file.create_dataset("chunked1m", data=rows, chunks=(4096, 64))
    file.create_dataset("gzip", data=rows, chunks=(1024, 64), compression="gzip", compression_opts=4, shuffle=True)
    table = numpy.zeros(2_000_000, [("id", "<u8"), ("flag", "u1"), ("value", "<f8"), ("rest", "<f4", (8,)), ("n", "<u2")])
    table["value"] = random.normal(size=len(table))
    file.create_dataset("table", data=table)
    file.create_dataset("table_chunked", data=table, chunks=(4096,))
