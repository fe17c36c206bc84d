"""Writes the HDF5 file that datasets are streamed from in benches/dataset.rs: make_h5_stream.py FILE

    contiguous, chunked, gzip, blosc    (400 000, 128) <f4 of few digits, 205 MB each; 1024 rows (512 KiB) in a chunk; gzip: shuffle and gzip-4;
                                        blosc: LZ4, level 5, shuffled
"""

import sys

import h5py
import hdf5plugin
import numpy

random = numpy.random.default_rng(1)
with h5py.File(sys.argv[1], "w", libver="earliest") as file:
    rows = numpy.round(random.normal(size=(400_000, 128)) * 50).astype("<f4")
    file.create_dataset("contiguous", data=rows)
    chunks = {"chunks": (1024, 128)}
    file.create_dataset("chunked", data=rows, **chunks)
    file.create_dataset("gzip", data=rows, compression="gzip", compression_opts=4, shuffle=True, **chunks)
    file.create_dataset("blosc", data=rows, **chunks, **hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=1))
