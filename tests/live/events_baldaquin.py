#!/usr/bin/env python3
"""A buffer of baldaquin (baldaquin==0.10.2) with a primary sink and custom ones, filled and flushed in rounds.

    events_baldaquin.py FOLDER SEED

Writes FOLDER/peer-primary, peer-csv, peer-micro (text whose separator is not ASCII), peer-binary (of a formatter: each packet behind its size) and
peer-bare (text without a header), and prints a JSON object: layout (the text that we parse), fields (how many), headers (of each sink, in hex), and
rounds: the packets (in hex) and what flush() returned.
"""
import json, random, struct, sys

from baldaquin.buf import CircularBuffer, WriteMode
from baldaquin.pkt import FixedSizePacketBase, Format, Layout, packetclass
from pathlib import Path

FORMATS = {f.value: f for f in Format}
LAYOUTS = {l.value: l for l in Layout}

folder, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
order = rng.choice("@=<>!")
codes = [rng.choice("cbB?hHiIlLqQfd") for _ in range(rng.choice([1, 3, 8]))]
names = [f"f{i}" for i in range(len(codes))]
body = {"__annotations__": {"header": FORMATS["B"], **{n: FORMATS[c] for n, c in zip(names, codes)}}, "layout": LAYOUTS[order], "header": 0xAA}
Packet = packetclass(type("Packet", (FixedSizePacketBase,), body))


def binary(packet):
    return struct.pack("<I", len(packet)) + packet.data


def micro(packet):
    return packet.to_text(" µ ")


headers = dict(primary=None, csv=Packet.text_header(creator="événement"), micro="µ\n", binary=rng.randbytes(100), bare=None)
buffer = CircularBuffer()
buffer.add_custom_sink(folder / "peer-csv", WriteMode.TEXT, Packet.to_text, headers["csv"])
buffer.add_custom_sink(folder / "peer-micro", WriteMode.TEXT, micro, headers["micro"])
buffer.add_custom_sink(folder / "peer-binary", WriteMode.BINARY, binary, headers["binary"])
buffer.add_custom_sink(folder / "peer-bare", WriteMode.TEXT, Packet.to_text)
buffer.set_primary_sink(folder / "peer-primary")

rounds = []
for count in [0, 1, rng.randrange(50), rng.randrange(3000), 0, 7]:
    packets = []
    for _ in range(count):
        data = bytearray(rng.randbytes(Packet.size))
        data[0] = 0xAA
        packet = Packet.unpack(bytes(data))
        packets.append(packet.data.hex())
        buffer.put(packet)
    rounds.append(dict(packets=packets, flushed=buffer.flush()))
buffer.disconnect_sinks()
hexed = {name: (header.encode() if isinstance(header, str) else header or b"").hex() for name, header in headers.items()}
text = ("" if order == "@" else order) + ",".join(["header:B=170"] + [f"{n}:{c}" for n, c in zip(names, codes)])
print(json.dumps(dict(layout=text, fields=1 + len(codes), headers=hexed, rounds=rounds)))
