#!/usr/bin/env python3
"""Random packets as baldaquin (baldaquin==0.10.2) and Python's struct have them.

    packets_baldaquin.py SEED CASES     prints a JSON line for each of CASES random layouts
    packets_baldaquin.py SEED floats N  prints N floats, a JSON line for each: its bits and its text
    packets_baldaquin.py header CREATOR prints a packet class's text header with and without a creator

A layout's line has: layout (the text that we parse), size, fields (name, type, offset, size, constant), by_peer (whether baldaquin told), and packets, each with its
bytes, the values, to_text() with two separators, or the name of the field whose constant it does not have.
Packets are random bytes, padding included, with chosen values at most fields. Where a layout has explicit padding the text is that of struct's
values: baldaquin's packet classes take pad bytes for fields, for which struct then has no value, so that none can be made.
Values: integers and characters as integers, floats as the bits of a double ("nan" for every NaN), bools.
"""
import json, random, struct, sys

from baldaquin.pkt import FieldMismatchError, FixedSizePacketBase, Format, Layout, packetclass

FORMATS = {f.value: f for f in Format}
LAYOUTS = {l.value: l for l in Layout}
SEPARATORS = [",", "; "]
SPECIAL = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-5, 9.999e-5, 1e-4, 1e15, 1e16, 123456789012345678.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
SPECIAL += [float("inf"), float("-inf"), float("nan"), 3.4028234663852886e38, 1.401298464324817e-45, 1.1754943508222875e-38, 2.0**-44, 1e22, 1e23]


def integers(code, order):
    bits = 8 * struct.calcsize(order + code)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if code.islower() else (0, 2**bits - 1)


def random_value(code, order):
    if code == "c":
        return bytes([rng.choice([rng.randrange(256), ord(rng.choice("',\"\\ \n\r\tab,~"))])])
    if code == "?":
        return rng.random() < 0.5
    if code in "fd":
        value = rng.choice([rng.choice(SPECIAL), rng.uniform(-1000, 1000), rng.uniform(-1, 1) * 10 ** rng.randint(-30, 30), float(rng.randint(-10**6, 10**6))])
        if code == "d":
            return value
        try:
            return struct.unpack(order + "f", struct.pack(order + "f", value))[0]
        except OverflowError:
            return 1.5
    low, high = integers(code, order)
    return rng.choice([low, high, 0, 1, rng.randint(low, high), max(low, min(high, rng.randint(-1000, 1000)))]) if low < 0 else rng.choice([0, 1, high, rng.randint(0, high)])


def literal(code, value):
    if code == "c":
        text = repr(value)[2:-1]
        return "'" + ("\\'" if value == b"'" else text if rng.random() < 0.7 else "\\x%02x" % value[0]) + "'"
    if code in "?fd":
        return repr(value)
    return hex(value) if rng.random() < 0.4 else ("+" if value >= 0 and rng.random() < 0.1 else "") + str(value)


def blank():
    return rng.choice(["", "", "", " ", "\t", "  "])


def plain(value):
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value).hex()
    return value[0] if isinstance(value, bytes) else value


def case():
    order = rng.choice("@@@=<>!")
    codes = "cbB?hHiIlLqQfd" + ("nN" if order == "@" else "")
    with_padding = rng.random() < 0.3
    parts, fields, format = [], [], order
    for i in range(rng.choice([1, 2, 5, 10, 20])):
        if with_padding and rng.random() < 0.3:
            count = rng.choice([1, 1, 2, 3, 9])
            parts.append((str(count) if count > 1 or rng.random() < 0.3 else "") + "x")
            format += f"{count}x"
        code = rng.choice(codes)
        size = struct.calcsize(order + code)
        name = rng.choice(["f", "_", "Field", "x", "temperature_"]) + str(i)
        format += code
        constant = random_value(code, order) if rng.random() < 0.2 else None
        if constant != constant:
            constant = None
        fields.append(dict(name=name, type=code, offset=struct.calcsize(format) - size, size=size, constant=constant))
        equals = "" if constant is None else f"{blank()}={blank()}{literal(code, constant)}"
        parts.append(f"{name}{blank()}:{blank()}{code}{equals}")
    if with_padding and rng.random() < 0.5:
        parts.append("2x")
        format += "2x"
    text = (order if order != "@" or rng.random() < 0.5 else "") + blank() + ",".join(f"{blank()}{part}{blank()}" for part in parts)
    size = struct.calcsize(format)

    peer = None
    if "x" not in format:
        body = {"__annotations__": {f["name"]: FORMATS[f["type"]] for f in fields}}
        body.update({f["name"]: f["constant"] for f in fields if f["constant"] is not None})
        if order != "@" or rng.random() < 0.5:
            body["layout"] = LAYOUTS[order]
        peer = packetclass(type("Peer", (FixedSizePacketBase,), body))
        assert peer.size == size

    def packet(wrong):
        """A packet; with the constants that it must have but for the field `wrong`."""
        data = bytearray(rng.randbytes(size))
        for f in fields:
            chosen = f["constant"]
            if chosen is None and rng.random() < 0.7 and f["type"] != "?":  # bools are any byte
                chosen = random_value(f["type"], order)
            if f is wrong:
                chosen = random_value(f["type"], order)
            if chosen is not None:
                data[f["offset"] : f["offset"] + f["size"]] = struct.pack(order + f["type"], chosen)
        data = bytes(data)
        values = struct.unpack(format, data)
        mismatch = next((f["name"] for f, v in zip(fields, values) if f["constant"] is not None and v != f["constant"]), None)
        told = dict(data=data.hex(), values=[plain(v) for v in values], mismatch=mismatch)
        if mismatch is None:
            told["text"] = [separator.join(str(v) for v in values) + "\n" for separator in SEPARATORS]
        if peer is not None:
            try:
                unpacked = peer.unpack(data)
            except (FieldMismatchError, TypeError):  # it cannot tell of floats that differ: a TypeError of its own
                assert mismatch is not None
            else:
                assert mismatch is None
                told["text"] = [unpacked.to_text(separator) for separator in SEPARATORS]
        return told

    constants = [f for f in fields if f["constant"] is not None]
    packets = [packet(None) for _ in range(3)] + [packet(rng.choice(constants)) for _ in range(2 if constants else 0)]
    for f in fields:
        f["constant"] = None if f["constant"] is None else plain(f["constant"])
    return dict(layout=text, size=size, fields=fields, by_peer=peer is not None, packets=packets)


def random_float():
    kind = rng.randrange(6)
    if kind == 0:
        return struct.unpack("<f", rng.randbytes(4))[0]
    if kind == 1:  # at and beside powers, where the shortest digits are hardest
        value = rng.choice([2.0 ** rng.randint(-1074, 1023), float(f"1e{rng.randint(-323, 308)}")])
        bits = struct.unpack("<Q", struct.pack("<d", value))[0] + rng.randint(-2, 2)
        return struct.unpack("<d", struct.pack("<Q", max(0, bits)))[0]
    if kind == 2:
        return round(rng.uniform(-1000, 1000), rng.randint(0, 6))
    if kind == 3:
        return float(rng.randint(-(2**60), 2**60))
    if kind == 4:
        return rng.uniform(0, 1) * 10.0 ** rng.randint(-7, 18)
    return struct.unpack("<d", rng.randbytes(8))[0]


if sys.argv[1] == "header":

    @packetclass
    class Example(FixedSizePacketBase):
        layout = Layout.LITTLE_ENDIAN
        header: Format.UNSIGNED_CHAR = 0xAA
        time: Format.UNSIGNED_LONG_LONG
        adc: Format.SHORT

    def header(**arguments):
        """Until no digit of the fraction is left out, as Python does with zeros at its end."""
        while True:
            text = Example.text_header(**arguments)
            if len(text.split("(")[1].split(" s)")[0].split(".")[1]) == 6:
                return text

    print(json.dumps([header(), header(prefix="// ", creator=sys.argv[2])]))
    sys.exit()

rng = random.Random(int(sys.argv[1]))
if sys.argv[2] == "floats":
    for _ in range(int(sys.argv[3])):
        value = random_float()
        print(json.dumps([struct.pack("<d", value).hex(), str(value)]))
else:
    for _ in range(int(sys.argv[2])):
        print(json.dumps(case()))
