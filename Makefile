# One command per target; what it does stands in the script, CMake file or cargo command that it calls.
# `make` or `make help` lists the targets.

CARGO ?= cargo
PREFIX ?= /usr/local
CARGO_TARGET_DIR ?= $(CURDIR)/target
FUZZ_SECONDS ?= 60
export CARGO FUZZ_SECONDS

.DEFAULT_GOAL := help
.PHONY: help deps build demo test bench header install fuzz loom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what is missing of compilers, CMake, libpcap, libzmq, libhdf5, Python (apt; does nothing when all is there)
	@tools/deps.sh

build: deps ## build the libraries and the program, into build/lib and build/bin
	cmake -S cmake -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$(PREFIX)" \
		-DAQUEDUCT_CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)"
	cmake --build build

demo: build ## send, lose, receive and account for packets, on this machine, in a minute
	examples/demo.sh

test: deps ## run all tests: Rust, C, layouts, loom models, installed packages
	@tools/test.sh

bench: deps ## measure against spead2 and others; about 5 minutes, on a machine with nothing else to do
	$(CARGO) build --release
	$(CARGO) bench --bench ring -- --json | benches/results.py --merge "$(CARGO_TARGET_DIR)/bench/results.json"
	$(CARGO) bench --bench signal -- --json | benches/results.py --merge "$(CARGO_TARGET_DIR)/bench/results.json"
	$(CARGO) bench --bench signal_zmq -- --json | benches/results.py --merge "$(CARGO_TARGET_DIR)/bench/results.json"
	$(CARGO) bench --bench dataset_record -- --json | benches/results.py --merge "$(CARGO_TARGET_DIR)/bench/results.json"
	python3 benches/peer/run.py --target "$(CARGO_TARGET_DIR)"
	python3 benches/peer/event.py --target "$(CARGO_TARGET_DIR)"
	python3 benches/peer/signal_lsl.py --target "$(CARGO_TARGET_DIR)"
	python3 benches/peer/send.py --target "$(CARGO_TARGET_DIR)"
	@benches/results.py "$(CARGO_TARGET_DIR)/bench/results.json"

header: deps ## write include/aqueduct/aqueduct.h anew from src/ffi
	AQ_WRITE_HEADER=1 $(CARGO) test --test header

# Cargo is not root's business: for a system folder, `make build && sudo cmake --install build`.
install: build ## install below PREFIX (/usr/local); DESTDIR works
	cmake --install build

fuzz: deps ## run every fuzz target for FUZZ_SECONDS (60); needs Rust nightly and cargo-fuzz
	tools/fuzz.sh

loom: deps ## check the ring's models with loom
	tools/loom.sh

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf build
