#!/usr/bin/env python3
"""Signal streams against LSL (pylsl 1.18.6, with its liblsl): chunks of 64 KiB, 4096 frames of 4 float32, from one process to another on this machine, none lost.

    benches/peer/signal_lsl.py [--rounds N] [--target DIR]

Alternates rounds of the peer (signal_lsl_peer.py) and `cargo bench --bench signal -- --json shm/64K`, and merges `signal/lsl/64K` into target/bench/results.json. LSL
sends by TCP and stamps every frame; ours goes through shared memory.
"""
import argparse, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import results

CHANNELS, FRAMES, CHUNKS = 4, 4096, 300


def output(command, **kw):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **kw)
    if done.returncode != 0:
        sys.exit(f"benches/peer/signal_lsl.py: exit {done.returncode} of {' '.join(command)}")
    return done.stdout


p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
p.add_argument("--rounds", type=int, default=3, help="measurements of each side; each of ours is a median of five already")
p.add_argument("--target", default=os.path.join(ROOT, "target"), help="cargo's target directory")
o = p.parse_args()
if o.rounds < 1:
    p.error("--rounds must be at least 1")
target = os.path.abspath(o.target)
environment = dict(os.environ, CARGO_TARGET_DIR=target)
python = output([os.path.join(ROOT, "tools", "peer-venv.sh")], env=environment).strip()
ours, peer = [], []
for _ in range(o.rounds):
    numbers = [str(number) for number in (CHANNELS, FRAMES, CHUNKS)]
    run = json.loads(output([python, os.path.join(HERE, "signal_lsl_peer.py"), *numbers], stderr=subprocess.DEVNULL))
    peer.append(run["bytes"] / run["seconds"] / 1e9)
    bench = [os.environ.get("CARGO", "cargo"), "bench", "--bench", "signal", "--", "--json", "shm/64K"]
    line = json.loads(output(bench, cwd=ROOT, env=environment))[0]
    ours.append(line["ours"] * 65536 / 1e9)
    print(f"  ours {ours[-1]:.3f} GB/s, LSL {peer[-1]:.4f} GB/s", flush=True)
ours, peer = statistics.median(ours), statistics.median(peer)
entry = dict(name="signal/lsl/64K", ours=ours, peer=peer, ratio=ours / peer, unit="GB/s", runs=o.rounds, goal=10, peer_name="pylsl 1.18.6")
results.show([entry])
path = os.path.join(target, "bench", "results.json")
results.merge(path, [entry])
print("written to", path)
