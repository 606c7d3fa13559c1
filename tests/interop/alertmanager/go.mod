module varve/tests/interop/alertmanager

go 1.26.0

// Which version the Makefile builds, and, in go.sum, its checksum. A copy of
// the module is built by its own go.mod.
require github.com/prometheus/alertmanager v0.35.0
