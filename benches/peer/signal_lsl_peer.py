"""One measurement of LSL: a process that pushes chunks of float32 frames, and this one, which pulls them. Prints JSON: bytes and seconds, of what was pulled from the
first chunk on.

    signal_lsl_peer.py CHANNELS FRAMES CHUNKS
"""
import json, os, subprocess, sys, tempfile, time

channels, frames, chunks = (int(argument) for argument in sys.argv[1:4])
NAME = f"aqueduct-bench-{os.getpid()}"


def produce(name):
    import numpy, pylsl
    info = pylsl.StreamInfo(name, "bench", channels, pylsl.IRREGULAR_RATE, pylsl.cf_float32, name)
    # A buffer for all: LSL drops the oldest frames of a slow inlet.
    outlet = pylsl.StreamOutlet(info, max_buffered=chunks * frames // 100 + 1)
    data = numpy.full((frames, channels), 7, dtype=numpy.float32)
    if not outlet.wait_for_consumers(30):
        sys.exit("no inlet came")
    for _ in range(chunks):
        outlet.push_chunk(data)
    sys.stdin.read()


if len(sys.argv) > 4:
    produce(sys.argv[4])
    sys.exit()

with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
    # Nothing of it leaves this machine.
    config.write("[ports]\nIPv6 = disable\n[multicast]\nResolveScope = machine\n")
    config.flush()
    os.environ["LSLAPICFG"] = config.name
    import numpy, pylsl
    producer = subprocess.Popen([sys.executable, __file__, *sys.argv[1:4], NAME], stdin=subprocess.PIPE, env=os.environ)
    try:
        found = pylsl.resolve_byprop("name", NAME, timeout=30)
        if not found:
            sys.exit("LSL did not find the stream")
        inlet = pylsl.StreamInlet(found[0], max_buflen=chunks * frames // 100 + 1)
        inlet.open_stream(30)
        buffer = numpy.zeros((frames, channels), dtype=numpy.float32)
        count, begin, first = 0, None, 0
        while count < chunks * frames:
            _, stamps = inlet.pull_chunk(timeout=10, max_samples=frames, dest_obj=buffer)
            if not stamps:
                sys.exit(f"{count} of {chunks * frames} frames came")
            count += len(stamps)
            if begin is None:
                begin, first = time.perf_counter(), count
        seconds = time.perf_counter() - begin
        print(json.dumps(dict(bytes=(count - first) * channels * 4, seconds=seconds)))
    finally:
        producer.stdin.close()
        producer.wait(10)
