#!/usr/bin/env python3
"""numpy as the judge of filters.

Reads commands from stdin, one JSON object a line. For each it makes an array as slicing may leave one, and says where it is in memory:

    {"do": "cast", "from": DTYPE, "to": DTYPE, "seed": N}
    {"do": "scale", "from": DTYPE, "to": DTYPE, "scale": X, "offset": X, "seed": N}
    {"do": "channels", "from": DTYPE, "indices": [N, ...], "seed": N}
    {"do": "decimate", "from": DTYPE, "every": N, "seed": N}
    {"do": "reshape", "from": DTYPE, "shape": [N, ...], "seed": N}
        -> {"array": {"memory": HEX, "offset": N, "shape": [...], "strides": [...], "item": N}}
    {"shape": [...], "dtype": DTYPE, "elements": HEX}, what the filter made of it in C order
        -> {"judged": "same"}, or what differs
"""
import json, signal, sys, warnings

import numpy as np

# Whoever started this may be gone.
signal.alarm(300)
warnings.simplefilter("ignore")


def say(**what):
    print(json.dumps(what), flush=True)


def type_of(dtype):
    if isinstance(dtype, list):
        return np.dtype([(name, type_of(kind)) + tuple(tuple(s) for s in shape) for name, kind, *shape in dtype])
    return np.dtype(dtype)


def in_range(rng, source, target, count):
    """Numbers of the type `source` that `target` can hold, as far as its integers go."""
    low, high = -1e6, 1e6
    if source.kind in "iu":
        low, high = np.iinfo(source).min, np.iinfo(source).max
    if source.kind == "b":
        return rng.integers(0, 2, count).astype(source)
    if source.kind == "f" and source.itemsize == 2:
        low, high = -65504, 65504
    if target.kind in "iu":
        # Floats do not have all of the largest integers.
        room = 1 if source.kind in "iu" else 1 - 2.0**-10
        low, high = max(low, np.iinfo(target).min * room), min(high, np.iinfo(target).max * room)
    if source.kind in "iu":
        return rng.integers(int(low), int(high), count, dtype=source.newbyteorder("="), endpoint=True).astype(source)
    values = rng.uniform(low, high, count)
    small = rng.uniform(max(low, -3), min(high, 3), count)
    values = np.where(rng.integers(0, 2, count), values, small)
    if target.kind in "fcb":
        special = [0.0, -0.0, np.nan, np.inf, -np.inf, 65504.0, 65520.0, 2.0**-24, 2.0**-25, 6e-8, 1e-40, 1e300, 1 + 2.0**-11]
        values[: len(special)] = special
    if source.kind == "c":
        pairs = values.astype("c16")
        pairs.imag = np.roll(values, 3)
        return pairs.astype(source)
    return values.astype(source)


def array_of(rng, source, target):
    """An array, time first, as slicing may leave it, and the memory that it is in."""
    if source.kind in "biufc":
        memory = in_range(rng, source, target, 24 * 8 * 6)
    else:
        memory = np.frombuffer(rng.bytes(24 * 8 * 6 * source.itemsize), source)
    full = memory.reshape([(24, 8, 6), (6, 24, 8), (8, 6, 24)][rng.integers(3)])
    full = full.transpose(rng.permutation(3)) if rng.integers(2) else full
    steps = [[slice(None), slice(None, None, -1), slice(1, None, 2), slice(None, None, -3)][rng.integers(4)] for _ in range(3)]
    return full if rng.integers(3) == 0 else full[tuple(steps)], memory


def expected(command, array, target):
    if command["do"] == "cast":
        return array.astype(target)
    if command["do"] == "scale":
        wide = np.dtype("c16") if array.dtype.kind == "c" else np.dtype("f8")
        if wide.kind == "c":
            values = array.astype(wide)
            values.real = values.real * command["scale"] + command["offset"]
            values.imag *= command["scale"]
        else:
            values = array.astype(wide) * command["scale"] + command["offset"]
        return values.astype(target)
    if command["do"] == "channels":
        return np.take(array, [i % array.shape[-1] for i in command["indices"]], axis=-1)
    if command["do"] == "decimate":
        return array[:: command["every"]]
    return array.reshape([len(array)] + command["shape"])


for line in sys.stdin:
    command = json.loads(line)
    rng = np.random.default_rng(command["seed"])
    source = type_of(command["from"])
    target = type_of(command.get("to", command["from"]))
    array, memory = array_of(rng, source, target)
    offset = array.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    say(array={"memory": memory.tobytes().hex(), "offset": offset, "shape": array.shape, "strides": array.strides, "item": source.itemsize})
    made = json.loads(sys.stdin.readline())
    right = expected(command, array, target)
    found = np.frombuffer(bytes.fromhex(made["elements"]), type_of(made["dtype"]))
    if type_of(made["dtype"]) != right.dtype or tuple(made["shape"]) != right.shape or found.size != right.size:
        say(judged=f"{made['dtype']} {made['shape']} are not {right.dtype} {right.shape}")
        continue
    found = found.reshape(right.shape)
    if right.dtype.kind in "biufc":
        same = (found == right) | ((found != found) & (right != right))
        if right.dtype.kind == "f":
            same &= (np.signbit(found) == np.signbit(right)) | (right != right)
        if not same.all():
            at = tuple(int(i) for i in np.argwhere(~same)[0])
            say(judged=f"{array[at] if array.shape == right.shape else '?'} at {at} became {found[at]}, not {right[at]}")
            continue
    elif found.tobytes() != right.tobytes():
        say(judged="other bytes")
        continue
    say(judged="same")
