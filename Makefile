# The commands of this project. `make` alone says what there is.

CARGO ?= cargo
ONCE ?= 0
DATA ?= data/standalone
SECONDS ?= 60
CASES ?= two-days scraped
SERIES ?= 100000
HEAD_SERIES ?= 200000

.PHONY: help run test interop bench bench-peers fuzz lint clean

help:
	@echo "make run          build, start on a scraped sample, ask it one question, stay up (ONCE=1: end after the answer)"
	@echo "make test         every Rust test, end-to-end ones included"
	@echo "make interop      the tests that need peers: Prometheus, Thanos, an S3 server (needs Go 1.26)"
	@echo "make bench        the benchmarks"
	@echo "make bench-peers  varve compact and thanos compact on the same buckets (CASES=all SERIES=\"25000 100000\": more; CASES=sidecar: the two sidecars; needs Go 1.26)"
	@echo "make fuzz         each fuzz target for a minute (SECONDS=10: shorter; TARGET=xor: only that one)"
	@echo "make lint         formatting, clippy, documentation, dependency licences"

run:
	$(CARGO) build --release --locked --package varve
	ONCE=$(ONCE) DATA=$(DATA) sh tests/demo.sh target/release/varve

test:
	$(CARGO) test --workspace --locked

interop:
	$(CARGO) build --workspace --locked --bins --tests
	$(MAKE) -C tests/interop test

bench:
	$(CARGO) bench --locked --package benches

bench-peers:
	test -x tests/interop/bin/thanos || $(MAKE) -C tests/interop peers
	$(CARGO) build --release --locked --package varve
	CASES="$(CASES)" SERIES="$(SERIES)" HEAD_SERIES="$(HEAD_SERIES)" $(CARGO) run --release --locked --package benches --bin peers

fuzz:
	CARGO=$(CARGO) sh fuzz/run.sh $(SECONDS) $(TARGET)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(CARGO) test --workspace --locked --test dependencies

clean:
	$(CARGO) clean
	rm -rf data
