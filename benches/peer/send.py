#!/usr/bin/env python3
"""Senders, this library's against spead2 4.5.1's, on this machine in one run.

    cargo build --release && benches/peer/send.py [--rounds N] [--only TEXT] [--seconds S]

Sides alternate; each measurement is a process of its own on processor 1, and what it sends goes to a socket of this host that takes nothing off the sender's processor: over UDP
nobody reads it (the kernel drops what its small buffer does not hold), over TCP a process on processor 0 discards it. Prints medians and merges them by name into
target/bench/results.json; ratio > 1 means that we are better.
"""
import argparse, json, os, socket, statistics, subprocess, sys, threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import results

# rate in bytes per second; 0: as fast as it goes
SCENARIOS = [
    dict(name="send/udp/1472/cpu", unit="CPU s/GB", goal=1.43, transport="udp", packet=1472, heap=1 << 20, rate=500e6),
    dict(name="send/udp/8972/cpu", unit="CPU s/GB", goal=1.43, transport="udp", packet=8972, heap=1 << 20, rate=500e6),
    dict(name="send/udp/1472/rate", unit="GB/s", goal=1.0, transport="udp", packet=1472, heap=1 << 20, rate=0),
    dict(name="send/udp/8972/rate", unit="GB/s", goal=1.0, transport="udp", packet=8972, heap=1 << 20, rate=0),
    dict(name="send/tcp/8972/cpu", unit="CPU s/GB", goal=1.43, transport="tcp", packet=8972, heap=1 << 20, rate=500e6),
    dict(name="send/tcp/65536/rate", unit="GB/s", goal=1.0, transport="tcp", packet=65536, heap=1 << 20, rate=0),
]


def discard(listener):
    os.sched_setaffinity(0, {0})  # this thread
    connection, _ = listener.accept()
    buffer = bytearray(1 << 20)
    while connection.recv_into(buffer, len(buffer), socket.MSG_TRUNC):
        pass


def measure(command, scenario, seconds):
    tcp = scenario["transport"] == "tcp"
    sink = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    if tcp:
        sink.listen(1)
        threading.Thread(target=discard, args=(sink,), daemon=True).start()
    heaps = int(seconds * (scenario["rate"] or 2e9) / scenario["heap"])
    arguments = [scenario["transport"], sink.getsockname()[1], heaps, scenario["heap"], scenario["packet"], scenario["rate"]]
    run = subprocess.run(["taskset", "-c", "1", *command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=300)
    sink.close()
    if run.returncode != 0:
        sys.exit(f"benches/peer/send.py: exit {run.returncode} of {command[-1]}")
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["heaps"] == heaps, found
    if scenario["rate"]:
        found["rate_error"] = found["bytes"] / found["seconds"] / scenario["rate"] - 1
        return found["cpu"] / found["bytes"] * 1e9, found
    return found["bytes"] / found["seconds"] / 1e9, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", default="", help="scenarios with this text in their name; results.json is left as it is")
    parser.add_argument("--target", default=os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")))
    options = parser.parse_args()
    target = options.target
    out, release = os.path.join(target, "bench"), os.path.join(target, "release")
    os.makedirs(out, exist_ok=True)
    ours = os.path.join(out, "send_aqueduct")
    lines = open(os.path.join(ROOT, "c-tests/link/native-static-libs.txt")).read().splitlines()
    native = [word for line in lines if not line.startswith("#") for word in line.split()[1:]]
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-Wextra", "-I", os.path.join(ROOT, "include"), "-o", ours,
                    os.path.join(HERE, "send_aqueduct.c"), os.path.join(release, "libaqueduct.a"), *native], check=True)
    python = subprocess.run([os.path.join(ROOT, "tools/peer-venv.sh")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    peer = [python, os.path.join(HERE, "send_spead2.py")]
    rows = []
    for scenario in SCENARIOS:
        if options.only not in scenario["name"]:
            continue
        values, errors = {"ours": [], "peer": []}, {"ours": [], "peer": []}
        for _ in range(options.rounds):
            for side, command in (("ours", [ours]), ("peer", peer)):
                value, found = measure(command, scenario, options.seconds)
                values[side].append(value)
                errors[side].append(100 * found.get("rate_error", 0))
        a, b = statistics.median(values["ours"]), statistics.median(values["peer"])
        ratio = b / a if scenario["rate"] else a / b
        rates = f"   rate off by {statistics.median(errors['ours']):+.2f} % (peer {statistics.median(errors['peer']):+.2f} %)" if scenario["rate"] else ""
        print(f"{scenario['name']:24} {a:8.3f} {scenario['unit']:9} peer {b:8.3f}   ratio {ratio:5.2f} (goal {scenario['goal']}){rates}", flush=True)
        rows.append(dict(name=scenario["name"], unit=scenario["unit"], ours=a, peer=b, ratio=ratio, goal=scenario["goal"], runs=options.rounds))
    if options.seconds == 3 and not options.only:
        results.merge(os.path.join(out, "results.json"), rows)


main()
