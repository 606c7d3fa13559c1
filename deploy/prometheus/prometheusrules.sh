#!/bin/sh
# Prints the alerts as PrometheusRules, for Prometheus Operator: sh deploy/prometheus/prometheusrules.sh | kubectl apply -f -
set -eu
cd "$(dirname "$0")"
for name in compact daemons objstore sidecar store; do
	cat <<END
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: varve-$name
  labels: {app.kubernetes.io/name: varve}
spec:
END
	sed 's/^/  /' "$name.yaml"
done
