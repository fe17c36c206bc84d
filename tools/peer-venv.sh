#!/usr/bin/env bash
# Makes a Python environment with spead2, the peer of live tests and benchmarks, below the target folder (or leaves the one
# that is there), and prints the path of its python. Exit status 3: pip or its registry is not available.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${CARGO_TARGET_DIR:-target}/peer-venv
python=$folder/bin/python
works() { "$python" -c 'import numpy, scipy, spead2; assert spead2.__version__ == "4.5.1"' 2>/dev/null; }

if ! works; then
    echo "installing spead2 (the peer) into $folder" >&2
    if ! { python3 -m venv "$folder" &&
        "$python" -m pip install -q --disable-pip-version-check spead2==4.5.1 numpy scipy; } >&2 || ! works; then
        echo "spead2 cannot be installed: pip, or a package registry, is not available" >&2
        exit 3
    fi
fi
realpath -s "$python"
