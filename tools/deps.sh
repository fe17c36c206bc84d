#!/usr/bin/env bash
# Makes sure that what building and testing need is there: looks, and installs with apt only what is missing.
# Rust is not installed: where cargo is missing, this says so.
set -euo pipefail

missing=()
# wants PACKAGE COMMAND...: the Debian package is there if the command succeeds.
wants() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
program() { command -v "$1" || command -v "/usr/sbin/$1"; }

wants gcc program gcc
wants g++ program g++
wants make program make
wants cmake program cmake
wants pkg-config program pkg-config
wants libpcap-dev sh -c 'pkg-config --exists libpcap || test -e /usr/include/pcap/pcap.h'
wants libzmq3-dev sh -c 'pkg-config --exists libzmq || test -e /usr/include/zmq.h'
wants libhdf5-dev sh -c 'pkg-config --exists hdf5 || test -e /usr/include/hdf5.h'
wants python3 program python3
wants python3-venv python3 -c 'import venv, ensurepip'
wants tcpdump program tcpdump
wants iproute2 program ip
# To make and check Debian packages.
if command -v apt-get >/dev/null; then
    wants dpkg-dev program dpkg-shlibdeps
    wants file program file
fi

if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "Missing, by their Debian names: ${missing[*]}" >&2
        echo "This system has no apt: please install them with its own package manager." >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. Please install them as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing with apt: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v "${CARGO:-cargo}" >/dev/null; then
    echo "Rust is missing (no ${CARGO:-cargo} in PATH): install it from https://rustup.rs" >&2
    exit 1
fi
