#!/usr/bin/env bash
# Makes a Python environment with the peers of live tests and benchmarks (spead2; baldaquin, of
# which the modules without graphics work; Prometheus's client, for its parser; ZeroMQ and blosc, of which a pyacq peer is made; LSL; h5py, PyTables and hdf5plugin, which write HDF5 files) below the target folder, or leaves the one that is there, and
# prints the path of its python. Several may ask at the same time.
# Exit status 3: pip or its registry is not available.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${CARGO_TARGET_DIR:-target}/peer-venv
python=$folder/bin/python
works() {
    "$python" -c 'import baldaquin.pkt, blosc, h5py, hdf5plugin, numpy, prometheus_client, pylsl, scipy, spead2, tables, zmq
from importlib.metadata import version
assert (version("baldaquin"), spead2.__version__) == ("0.10.2", "4.5.1")' 2>/dev/null
}

if ! works; then
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock"
    flock 9
fi
if ! works; then
    echo "installing the peers (spead2, baldaquin, prometheus_client, pyzmq, blosc, pylsl, h5py, PyTables) into $folder" >&2
    if ! { python3 -m venv "$folder" &&
        "$python" -m pip install -q --disable-pip-version-check spead2==4.5.1 numpy scipy loguru==0.7.3 \
            prometheus_client==0.26.0 pyzmq==27.3.0 blosc==1.11.4 pylsl==1.18.6 \
            h5py==3.16.0 hdf5plugin==7.1.0 tables==3.11.1 &&
        # without what its windows are drawn with, which is ten times as large as all the rest
        "$python" -m pip install -q --disable-pip-version-check --no-deps baldaquin==0.10.2
    } >&2 || ! works; then
        echo "the peers cannot be installed: pip, or a package registry, is not available" >&2
        exit 3
    fi
fi
realpath -s "$python"
