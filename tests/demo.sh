#!/bin/sh
# Starts `varve standalone` on the sample, asks it one question and shows the answer.
# Usage: demo.sh VARVE. ONCE=1 ends after the answer; DATA is where the data goes.
set -eu

varve=$1
data=${DATA:-data/standalone}
grpc=${GRPC_ADDRESS:-127.0.0.1:10901}
http=${HTTP_ADDRESS:-127.0.0.1:10902}
sample=tests/fixtures/sample

rm -rf "$data"
mkdir -p "$data/tsdb"
cp -R "$sample"/01* "$data/tsdb/"

"$varve" standalone \
	--tsdb.path "$data/tsdb" --data-dir "$data" --label 'cluster="sample"' \
	--grpc-address "$grpc" --http-address "$http" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT
trap 'exit 130' INT TERM

question='{__name__=~"node_load.*|prometheus_tsdb_head_series"}'
echo
echo "\$ varve tools series --endpoint $grpc '$question'"
"$varve" tools series --endpoint "$grpc" --wait 60s "$question"
echo
echo "Thanos Query reads it too:  thanos query --endpoint $grpc --http-address 127.0.0.1:9090"
echo "Metrics and readiness:      http://$http/metrics  http://$http/-/ready"
if [ "${ONCE:-0}" = 1 ]; then
	exit 0
fi
echo "Ctrl-C ends it."
wait "$server"
