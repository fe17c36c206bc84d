#!/usr/bin/env python3
"""The results of all benchmarks, in one file: a list of {"name", "ours", "peer", "ratio", "unit", "runs"}, and more keys where
a benchmark has more to tell. A ratio above 1 means that this library is better. Names start with their domain.

    BENCHMARK --json | results.py --merge FILE      merges a benchmark's list into FILE, by name
    results.py FILE                                 prints what is in FILE
"""
import json, os, sys


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return json.load(file)


def merge(path, entries):
    """Replaces what has the same name, keeps the rest."""
    names = {entry["name"] for entry in entries}
    entries = [entry for entry in load(path) if entry["name"] not in names] + entries
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w") as file:
        json.dump(entries, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def show(entries):
    number = lambda v: "-" if v is None else f"{v:.4g}" if v < 1e4 else f"{v:,.0f}"
    print(f"{'benchmark':32} {'unit':10} {'ours':>14} {'peer':>14} {'ratio':>7}")
    for e in sorted(entries, key=lambda e: e["name"]):
        print(f"{e['name']:32} {e['unit']:10} {number(e['ours']):>14} {number(e['peer']):>14} {number(e['ratio']):>7}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--merge", path]:
            merge(path, json.load(sys.stdin))
        case [path]:
            show(load(path))
        case _:
            sys.exit(__doc__)
