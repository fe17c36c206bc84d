#!/usr/bin/env python3
"""Aqueduct against spead2 4.5.1 on this machine: the receivers, side by side, in one run.

    cargo build --release && benches/peer/run.py [--quick] [--only TEXT] [--rounds N] [--venv DIR] [--lib DIR] [--peer-only]

Builds the C parts with cc, makes target/peer-venv with the peer if it is not there, generates the inputs under target/bench/, then runs each
scenario in interleaved rounds (ours, peer, ours, peer, ...), each measurement in a process of its own. Prints the medians and merges them by name into
target/bench/results.json; ratio > 1 means that we are better. See README.md beside this file.
"""
import argparse, json, os, shutil, socket, statistics, subprocess, sys, threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import results

PACKAGES = ["spead2==4.5.1", "numpy", "scipy"]
MIB = 1 << 20
NETWORK = ("udp", "tcp")

# memcpy: the better of the two documented settings for that side and scenario (measured; see README.md).
SCENARIOS = [
    dict(name="chunk/buffer/1KiB/packets", unit="packets/s", goal=2.2, mode="buffer", heap=1024, payload=1024, total=256 * MIB, chunk=MIB,
         max_chunks=4, passes=6, peer_memcpy="std", our_memcpy="nontemporal"),
    dict(name="chunk/buffer/1KiB/large", unit="packets/s", goal=1.8, mode="buffer", heap=1024, payload=1024, total=256 * MIB, chunk=16 * MIB,
         max_chunks=4, passes=6, peer_memcpy="std", our_memcpy="nontemporal"),
    dict(name="chunk/buffer/1MiB/throughput", unit="GB/s", goal=1.0, mode="buffer", heap=MIB, payload=8192, total=512 * MIB, chunk=16 * MIB,
         max_chunks=2, passes=6, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/pcap/1KiB/packets", unit="packets/s", goal=1.5, mode="pcap", heap=1024, payload=1024, total=256 * MIB, chunk=MIB,
         max_chunks=4, passes=4, peer_memcpy="std", our_memcpy="std"),
    dict(name="chunk/buffer/8B/packet", unit="ns/packet", goal=1.0, mode="buffer", heap=1024, payload=8, total=16 * MIB, chunk=MIB,
         max_chunks=4, passes=6, peer_memcpy="std", our_memcpy="std"),
    dict(name="heaps/buffer/1KiB/heaps", unit="heaps/s", goal=5.0, program="heaps", mode="buffer", heap=1024, payload=1024, total=256 * MIB,
         ring=1024, passes=4, peer_memcpy="std", our_memcpy="std"),
    dict(name="heaps/buffer/64KiB/heaps", unit="heaps/s", goal=1.2, program="heaps", mode="buffer", heap=65536, payload=1472 - 56, total=512 * MIB,
         ring=16, passes=4, peer_memcpy="std", our_memcpy="std"),
    dict(name="heaps/inproc/64KiB/packets", unit="packets/s", goal=4.0, program="heaps", mode="inproc", heap=65536, payload=1024, total=128 * MIB,
         ring=16, passes=4, peer_memcpy="std", our_memcpy="std"),
    dict(name="chunk/tcp/64KiB/1MiB/cpu", unit="CPU s/GB", goal=1.43, mode="tcp", heap=MIB, packet=65536, heaps=1900, rate=4e9, chunk=16 * MIB,
         max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/tcp/8972/1MiB/cpu", unit="CPU s/GB", goal=1.43, mode="tcp", heap=MIB, packet=8972, heaps=1900, rate=4e9, chunk=16 * MIB,
         max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/udp/8972/1MiB/cpu", unit="CPU s/GB", goal=1.25, mode="udp", heap=MIB, packet=8972, heaps=1900, rate=4e9, batch=8, chunk=16 * MIB,
         max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/udp/8972/gso/cpu", unit="CPU s/GB", goal=1.67, mode="udp", heap=MIB, packet=8972, heaps=1900, rate=4e9, batch=7, gso=1,
         chunk=16 * MIB, max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/udp/8972/single/cpu", unit="CPU s/GB", goal=1.43, mode="udp", heap=MIB, packet=8972, heaps=1900, rate=4e9, batch=1,
         chunk=16 * MIB, max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
    dict(name="chunk/udp/1472/single/cpu", unit="CPU s/GB", goal=1.43, mode="udp", heap=MIB, packet=1472, heaps=950, rate=2e9, batch=1,
         chunk=16 * MIB, max_chunks=2, passes=1, peer_memcpy="nontemporal", our_memcpy="nontemporal"),
]


def fail(message):
    print(f"benches/peer/run.py: {message}", file=sys.stderr)
    sys.exit(1)


def json_of(command, **kw):
    r = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=180, **kw)
    if r.returncode != 0:
        fail(f"exit {r.returncode} of {' '.join(command)}")
    return json.loads(r.stdout.strip().splitlines()[-1])


class Bench:
    def __init__(self, options):
        self.o = options
        self.dir = os.path.join(options.target, "bench")
        os.makedirs(self.dir, exist_ok=True)

    def at(self, name):
        return os.path.join(self.dir, name)

    def build(self):
        cc = os.environ.get("CC", "cc")
        flags = ["-O2", "-Wall", "-Wextra"]
        for name in ["make_input", "send_udp", "send_tcp"]:
            self.cc([cc, *flags, "-o", self.at(name), os.path.join(HERE, name + ".c")])
        self.cc([cc, *flags, "-shared", "-fPIC", "-o", self.at("place.so"), os.path.join(HERE, "place.c")])
        if not self.o.peer_only and not self.o.receiver:
            lib = self.o.lib or os.path.join(self.o.target, "release")
            if not os.path.exists(os.path.join(lib, "libaqueduct.so")):
                fail(f"{lib}/libaqueduct.so is missing: run cargo build --release first")
            # the library is found by its file, whatever its SONAME
            soname = subprocess.run(["readelf", "-d", os.path.join(lib, "libaqueduct.so")], capture_output=True, text=True).stdout
            soname = soname.split("soname: [")[1].split("]")[0] if "soname: [" in soname else "libaqueduct.so"
            libdir = self.at("lib")
            os.makedirs(libdir, exist_ok=True)
            for n in {"libaqueduct.so", soname}:
                link = os.path.join(libdir, n)
                if os.path.lexists(link):
                    os.remove(link)
                os.symlink(os.path.abspath(os.path.join(lib, "libaqueduct.so")), link)
            for name in ["recv_aqueduct", "heaps_aqueduct"]:
                self.cc([cc, *flags, "-I", os.path.join(ROOT, "include"), "-o", self.at(name), os.path.join(HERE, name + ".c"),
                         "-L", libdir, "-laqueduct", f"-Wl,-rpath,{libdir}"])

    def cc(self, command):
        if subprocess.run(command).returncode != 0:
            fail("cannot compile: " + " ".join(command))

    def venv(self):
        if not self.o.venv:
            made = subprocess.run([os.path.join(ROOT, "tools", "peer-venv.sh")], stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, CARGO_TARGET_DIR=os.path.abspath(self.o.target)))
            if made.returncode != 0:
                fail(f"this benchmark needs the peer ({' '.join(PACKAGES)}): pip with a package registry, or --venv DIR")
            self.python = made.stdout.strip()
            return
        self.python = os.path.join(self.o.venv, "bin", "python")
        test = "import spead2, scipy, numpy, sys; sys.exit(spead2.__version__ != '4.5.1')"
        if subprocess.run([self.python, "-c", test], stderr=subprocess.DEVNULL).returncode != 0:
            fail(f"{self.o.venv} has no working {' '.join(PACKAGES)}")

    def receiver(self, side, s, extra):
        if s.get("program") == "heaps":
            command = [self.at("heaps_aqueduct")] if side == "ours" else [self.python, os.path.join(HERE, "heaps_spead2.py")]
            keys = dict(max_heaps=4, ring=s["ring"], mode=s["mode"])
        else:
            command = [self.o.receiver or self.at("recv_aqueduct")] if side == "ours" else [self.python, os.path.join(HERE, "peer_spead2.py"), "place=" + self.at("place.so")]
            keys = dict(mode=s["mode"], heap=s["heap"], chunk=s["chunk"], max_heaps=4, max_chunks=s["max_chunks"], ring=8)
        keys.update(passes=s["passes"], core=1, memcpy=s["our_memcpy" if side == "ours" else "peer_memcpy"], **extra)
        return command + [f"{k}={v}" for k, v in keys.items()]

    def input(self, s):
        if s["mode"] in NETWORK:
            return None
        mode = "pcap" if s["mode"] == "pcap" else "buffer"
        name = f"{mode}-{s['heap']}-{s['payload']}-{s['total'] // MIB}MiB"
        path, note = self.at(name), self.at(name + ".json")
        if not os.path.exists(note) or os.path.getmtime(note) < os.path.getmtime(self.at("make_input")):
            made = json_of([self.at("make_input"), mode, path, str(s["heap"]), str(s["payload"]), str(s["total"])])
            with open(note, "w") as f:
                json.dump(made, f)
        with open(note) as f:
            return path, json.load(f)

    def measure(self, side, s):
        """One measurement: (value in s["unit"], what else is worth saying)."""
        if s["mode"] in NETWORK:
            return self.measure_network(side, s)
        path, made = self.input(s)
        extra = dict(file=path)
        if s["mode"] == "inproc":  # every packet is of one size
            extra["packet"] = os.path.getsize(path) // made["packets"]
        r = json_of(self.receiver(side, s, extra))
        if r["present"] != made["heaps"] or r["packets"] != made["packets"] * s["passes"] or r["heaps"] != made["heaps"] * s["passes"]:
            fail(f"{s['name']}: {side} lost something: {r} of {made}")
        self.sums.setdefault(s["name"], r["sum"])
        if r["sum"] != self.sums[s["name"]]:
            fail(f"{s['name']}: the sides disagree about the data")
        seconds = statistics.median(r["pass_seconds"])
        value = {"GB/s": made["bytes"] / seconds / 1e9, "packets/s": made["packets"] / seconds, "heaps/s": made["heaps"] / seconds,
                 "ns/packet": seconds / made["packets"] * 1e9}[s["unit"]]
        more = dict(cpu_s_per_gb=(r["user"] + r["sys"]) / (made["bytes"] * s["passes"] / 1e9))
        if "worker" in r:
            more["worker_ns_per_heap"] = r["worker"] / r["heaps"] * 1e9
        return value, more

    def measure_network(self, side, s):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        receiver = subprocess.Popen(self.receiver(side, s, dict(port=port)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        guard = threading.Timer(60, receiver.kill)
        guard.start()
        try:
            for line in receiver.stderr:
                if "READY" in line:
                    break
                self.note(line.strip())
            else:
                fail(f"{side} receiver ended before it listened (exit {receiver.wait()})")
            drain = threading.Thread(target=receiver.stderr.read, daemon=True)
            drain.start()
            send = [self.at("send_" + s["mode"]), port, s["heaps"], s["heap"], s["packet"], s["rate"]] + ([s["batch"], s.get("gso", 0)] if s["mode"] == "udp" else [])
            sent = json_of(["taskset", "-c", "0", *map(str, send)])
            out = receiver.stdout.read()
            if receiver.wait() != 0:
                fail(f"{side} receiver: exit {receiver.returncode}")
        finally:
            guard.cancel()
            receiver.kill()
        r = json.loads(out.strip().splitlines()[-1])
        data_packets = min(r["packets"], sent["packets"])              # without the stop packet
        gigabytes = sent["payload"] / 1e9 * data_packets / sent["packets"]
        cpu = (r["user"] + r["sys"]) / gigabytes
        return cpu, dict(
            cpu_s_per_gb=cpu, gbit_per_s=sent["bytes"] * 8e-9 / sent["seconds"], lost_packets=sent["packets"] - data_packets, lost_heaps=sent["heaps"] - r["present"],
            user_s_per_gb=r["user"] / gigabytes, sys_s_per_gb=r["sys"] / gigabytes, batches=r["batches"], kernel_drops=r.get("kernel_drops", -1))

    seen_notes = frozenset()

    def note(self, line):
        if line and line not in self.seen_notes:
            self.seen_notes |= {line}
            print("  (" + line + ")", flush=True)

    def run(self):
        self.build()
        self.venv()
        self.sums, entries = {}, []
        sides = [side for side in ("ours", "peer") if side not in ({"ours"} if self.o.peer_only else {"peer"} if self.o.ours_only else set())]
        for s in SCENARIOS:
            if self.o.only not in s["name"]:
                continue
            if self.o.quick:
                s = dict(s, passes=min(s["passes"], 2), heaps=s.get("heaps", 0) // 4)
            self.input(s)
            values = {side: [] for side in sides}
            more = {side: [] for side in sides}
            for i in range(self.o.rounds):
                for side in sides:
                    value, extra = self.measure(side, s)
                    values[side].append(value)
                    more[side].append(extra)
                    print(f"  {s['name']} round {i + 1} {side}: {value:.6g} {s['unit']}  " + "  ".join(f"{k} {v:.4g}" for k, v in extra.items()), flush=True)
            mid = {side: statistics.median(v) for side, v in values.items()}
            lower_is_better = s["unit"] in ("CPU s/GB", "ns/packet")
            entry = dict(name=s["name"], ours=mid.get("ours"), peer=mid.get("peer"), ratio=None, unit=s["unit"], runs=self.o.rounds)
            if len(sides) == 2:
                entry["ratio"] = mid["peer"] / mid["ours"] if lower_is_better else mid["ours"] / mid["peer"]
            entry.update(goal=s["goal"], peer_name="spead2 4.5.1", values=values,
                         details={side: {k: statistics.median(e[k] for e in v) for k in v[0]} for side, v in more.items()})
            entries.append(entry)
        print(f"\n{'benchmark':32} {'unit':10} {'ours':>12} {'spead2':>12} {'ratio':>7} {'goal':>5} {'cpu ratio':>10}")
        for e in entries:
            number = lambda v: "-" if v is None else f"{v:.4g}" if v < 1e4 else f"{v:,.0f}"
            cpu = [e["details"][side]["cpu_s_per_gb"] for side in sides]
            cpu = f"{cpu[1] / cpu[0]:>10.3g}" if len(sides) == 2 else f"{'-':>10}"
            verdict = "" if e["ratio"] is None else "" if e["ratio"] >= e["goal"] else "  below the goal"
            print(f"{e['name']:32} {e['unit']:10} {number(e['ours']):>12} {number(e['peer']):>12} {number(e['ratio']):>7} {e['goal']:>5} {cpu}{verdict}")
            if "worker_ns_per_heap" in next(iter(e["details"].values())):
                print("    worker alone: " + ", ".join(f"{side} {d['worker_ns_per_heap']:.0f} ns/heap" for side, d in e["details"].items()))
            if "lost_packets" in next(iter(e["details"].values())):
                for side, d in e["details"].items():
                    print(f"    {side}: lost packets {d['lost_packets']:.0f}, lost heaps {d['lost_heaps']:.0f}, {d['gbit_per_s']:.3f} Gb/s, user {d['user_s_per_gb']:.3f} + system {d['sys_s_per_gb']:.3f} s/GB")
        if len(sides) == 2 and not self.o.receiver and not self.o.quick:
            self.save(entries)

    def save(self, new):
        path = self.at("results.json")
        results.merge(path, new)
        print("written to", path)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rounds", type=int, default=5, help="interleaved pairs of measurements")
    p.add_argument("--only", default="", help="scenarios whose name contains this")
    p.add_argument("--quick", action="store_true", help="fewer passes and 1 s of UDP, for trying out; results.json is left as it is")
    p.add_argument("--venv", help="an environment that has the peer already")
    p.add_argument("--lib", help="where libaqueduct.so is (target/release)")
    p.add_argument("--target", default=os.path.join(ROOT, "target"), help="cargo's target directory")
    p.add_argument("--receiver", help="a program to run in place of recv_aqueduct, with the same arguments; results.json is left as it is")
    p.add_argument("--nice", type=int, default=0, help="niceness of the measurements; below 0 (needs root) on a machine with other work")
    p.add_argument("--peer-only", action="store_true", help="measure the peer alone; results.json is left as it is")
    p.add_argument("--ours-only", action="store_true", help="measure us alone; results.json is left as it is")
    o = p.parse_args()
    if o.rounds < 1:
        p.error("--rounds must be at least 1")
    if shutil.which(os.environ.get("CC", "cc")) is None:
        fail("no C compiler (cc)")
    if len(os.sched_getaffinity(0)) < 2:
        fail("needs two processors: the sender or consumer on 0, the receiver on 1")
    if o.nice:
        os.setpriority(os.PRIO_PROCESS, 0, o.nice)
    Bench(o).run()
