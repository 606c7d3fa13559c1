#!/bin/sh
# Builds the fuzz targets on the stable toolchain and runs them one after the other:
#   fuzz/run.sh SECONDS [TARGET...]
# Corpora are kept in fuzz/corpus, and inputs that break a target in fuzz/artifacts.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift

# What cargo-fuzz asks of rustc, but for the address sanitizer, which stable has not. With --target,
# cargo spares build scripts and macros the instrumentation, which could not be linked.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
export CARGO_TARGET_DIR=../target/fuzz
host=$(rustc --print host-tuple)
bin=$CARGO_TARGET_DIR/$host/release

if [ $# -eq 0 ]; then
    set -- $(ls fuzz_targets | sed 's/\.rs$//')
    ${CARGO:-cargo} build --release --target "$host" --bins
else
    for target in seeds "$@"; do
        ${CARGO:-cargo} build --release --target "$host" --bin "$target"
    done
fi
"$bin/seeds" ../tests/fixtures corpus

broken=
for target in "$@"; do
    mkdir -p "artifacts/$target" "corpus/$target"
    echo "== $target: $seconds s"
    "$bin/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=4096 \
        -verbosity=${VERBOSITY:-0} -print_final_stats=1 || broken="$broken $target"
done
if [ -n "$broken" ]; then
    echo "broken:$broken; the inputs are in fuzz/artifacts" >&2
    exit 1
fi
