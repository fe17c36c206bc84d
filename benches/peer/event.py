#!/usr/bin/env python3
"""Event buffers against the seed's, baldaquin 0.10.2: packets of 64 bytes per second, put and flushed to a file in memory.

    benches/peer/event.py [--rounds N] [--packets N] [--ours FILE] [--target DIR]

Measures the peer in half of the rounds, then `cargo bench --bench event -- --json` (or takes what that has printed into FILE), then the peer again.
Merges all of it into target/bench/results.json: `event/record/seed/64` is the number of `event/record/untimed/64` (the peer does not note when
packets came either) beside the median of the peer's.
"""
import argparse, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import results

GOAL = 20
# As in benches/event.rs.
FLUSH_SIZE = 32768
OURS = "event/record/untimed/64"


def output(command, **kw):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **kw)
    if done.returncode != 0:
        sys.exit(f"benches/peer/event.py: exit {done.returncode} of {' '.join(command)}")
    return done.stdout


p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
p.add_argument("--rounds", type=int, default=6, help="measurements of the peer")
p.add_argument("--packets", type=int, default=1 << 20, help="packets that the peer puts in each")
p.add_argument("--ours", help="a file with what `cargo bench --bench event -- --json` has printed; results.json is left as it is")
p.add_argument("--target", default=os.path.join(ROOT, "target"), help="cargo's target directory")
o = p.parse_args()
if o.rounds < 1 or o.packets < 1:
    p.error("--rounds and --packets must be at least 1")
target = os.path.abspath(o.target)
environment = dict(os.environ, CARGO_TARGET_DIR=target)
python = output([os.path.join(ROOT, "tools", "peer-venv.sh")], env=environment).strip()
folder = os.environ.get("AQ_BENCH_FOLDER", "/dev/shm")


def peer():
    command = [python, os.path.join(HERE, "event_baldaquin.py"), str(o.packets), str(FLUSH_SIZE), folder]
    # In a folder under git baldaquin looks for that folder's revision.
    run = json.loads(output(command, cwd="/"))
    rate = run["packets"] / run["seconds"]
    print(f"  baldaquin: {rate:,.0f} packets/s", flush=True)
    return rate


rates = [peer() for _ in range((o.rounds + 1) // 2)]
if o.ours:
    with open(o.ours) as file:
        lines = json.load(file)
else:
    lines = json.loads(output([os.environ.get("CARGO", "cargo"), "bench", "--bench", "event", "--", "--json"], cwd=ROOT, env=environment))
rates += [peer() for _ in range(o.rounds // 2)]
ours, seed = next(line["ours"] for line in lines if line["name"] == OURS), statistics.median(rates)
entry = dict(name="event/record/seed/64", ours=ours, peer=seed, ratio=ours / seed, unit="packets/s", runs=o.rounds, goal=GOAL, peer_name="baldaquin 0.10.2",
             values=dict(peer=rates))
results.show(lines + [entry])
if entry["ratio"] < GOAL:
    print(f"event/record/seed/64 is below the goal, {GOAL}")
if not o.ours:
    path = os.path.join(target, "bench", "results.json")
    results.merge(path, lines + [entry])
    print("written to", path)
