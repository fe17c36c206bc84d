"""Writes the HDF5 file that requests are tested with: h5_random.py FILE [ROWS]

c-tests/data/random.h5 is one of these with 300 rows; element number i of each dataset is i, unless said otherwise. With more rows
there are more in `chunked` and `gzip`.

    plain     (40, 6)    <i4  contiguous
    chunked   (ROWS, 5)  <i4  chunks of 64 rows
    gzip      (ROWS, 5)  <i4  the same, packed by shuffle and gzip
    cube      (6, 7, 8)  <i2  chunks of (2, 3, 4)
    big       (20,)      >i2
    compact   (12,)      <i4  in its header, which libhdf5 reads
    table     (50,)      records, packed; of record i: time i / 2, n 3 i, wave 5 i, 5 i + 1, 5 i + 2; 13 records in a chunk
    damaged   (40,)      <i4  10 in a chunk, of which the third is damaged
    group/one (1,)       |u1
    text      ()         of variable length: cannot be read
"""

import sys

import h5py
import numpy


def main(path, rows):
    with h5py.File(path, "w", libver="earliest") as file:
        numbers = lambda shape, dtype: numpy.arange(numpy.prod(shape)).astype(dtype).reshape(shape)
        file.create_dataset("plain", data=numbers((40, 6), "<i4"))
        all_rows = numbers((rows, 5), "<i4")
        file.create_dataset("chunked", data=all_rows, chunks=(64, 5))
        file.create_dataset("gzip", data=all_rows, chunks=(64, 5), compression="gzip", shuffle=True)
        file.create_dataset("cube", data=numbers((6, 7, 8), "<i2"), chunks=(2, 3, 4))
        file.create_dataset("big", data=numbers((20,), ">i2"))
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((12,))
        h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I32LE, space, compact)
        file["compact"][...] = numbers((12,), "<i4")
        table = numpy.zeros(50, [("time", "<f8"), ("n", "<u4"), ("wave", "<i2", (3,))])
        table["time"] = numpy.arange(50) / 2
        table["n"] = numpy.arange(50) * 3
        table["wave"] = 5 * numpy.arange(50)[:, None] + numpy.arange(3)
        file.create_dataset("table", data=table, chunks=(13,), compression="gzip")
        damaged = file.create_dataset("damaged", data=numbers((40,), "<i4"), chunks=(10,), compression="gzip")
        chunk = damaged.id.get_chunk_info(2)
        file.create_dataset("group/one", data=numbers((1,), "|u1"))
        file.create_dataset("text", data="text")
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))


main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300)
