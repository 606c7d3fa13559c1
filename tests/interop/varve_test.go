package interop

import (
	"os"
	"path/filepath"
	"testing"
)

// upload lets the sidecar take one look at Prometheus's blocks.
func (s *stack) upload(t *testing.T) {
	t.Helper()
	Run(t, varve(t), "sidecar", "--once", "--prometheus.url="+s.prometheus, "--tsdb.path="+s.data,
		"--objstore.config-file="+s.objstore,
		"--http-address="+FreeAddress(t), "--grpc-address="+FreeAddress(t))
}

// compact lets the compactor do what there is to do, with more flags.
func (s *stack) compact(t *testing.T, more ...string) {
	t.Helper()
	Run(t, varve(t), append([]string{"compact", "--data-dir=" + filepath.Join(s.dir, "compact"),
		"--objstore.config-file=" + s.objstore, "--consistency-delay=0s",
		"--http-address=" + FreeAddress(t)}, more...)...)
}

// startStore starts a store gateway on a folder of its own and gives its gRPC
// address.
func (s *stack) startStore(t *testing.T, more ...string) string {
	t.Helper()
	data, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		t.Fatal(err)
	}
	http, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "store", varve(t), append([]string{"store", "--data-dir=" + data,
		"--objstore.config-file=" + s.objstore,
		"--http-address=" + http, "--grpc-address=" + grpc}, more...)...,
	).AwaitReady(t, "http://"+http+"/-/ready")
	return grpc
}
