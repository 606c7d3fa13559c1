package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestBothHalvesAnswerAsPrometheusDoes puts one Thanos Query over `varve
// sidecar`, for what is recent, and `varve store`, for what was uploaded and
// compacted. They overlap by some blocks, and what both have is told once:
// whatever is asked before, during and after an upload and a compaction is
// answered as by Prometheus itself.
func TestBothHalvesAnswerAsPrometheusDoes(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)
	check := func(t *testing.T, stores ...string) {
		s.checkQuery(t, asked, s.startQueryOver(t, stores))
	}

	store := s.startStore(t, "--sync-block-duration=1s")
	all := s.startSidecar(t, varve(t))
	t.Run("before the upload", func(t *testing.T) { check(t, all, store) })

	// Blocks go up while the questions are asked.
	uploading := s.startSidecar(t, varve(t), "--objstore.config-file="+s.objstore)
	t.Run("during the upload", func(t *testing.T) { check(t, uploading, store) })
	await(t, "the upload", func() error {
		want := int((HistoryEnd - HistoryStart) / BlockDuration)
		if got := len(s.blocks(t, "")); got != want {
			return fmt.Errorf("%d blocks, not %d", got, want)
		}
		return nil
	})
	recent := s.startSidecar(t, varve(t),
		"--min-time="+time.UnixMilli(Middle-3*hour).UTC().Format(time.RFC3339))
	t.Run("after the upload", func(t *testing.T) { check(t, recent, s.startStore(t)) })

	compaction := Start(t, s.dir, "compact", varve(t), "compact",
		"--data-dir="+filepath.Join(s.dir, "compact"), "--objstore.config-file="+s.objstore,
		"--consistency-delay=0s", "--http-address="+FreeAddress(t))
	t.Run("during the compaction", func(t *testing.T) { check(t, recent, store) })
	compaction.AwaitEnd(t)
	s.checkCompacted(t, 2)
	s.removeMarked(t)
	t.Run("after the compaction", func(t *testing.T) { check(t, recent, s.startStore(t)) })
}

// TestStandaloneServesBothHalvesThroughOnePort puts Thanos Query over one
// process that uploads, compacts and serves both.
func TestStandaloneServesBothHalvesThroughOnePort(t *testing.T) {
	s := newStack(t)
	s.startPrometheus(t)
	asked := s.askPrometheus(t)
	data := filepath.Join(s.dir, "standalone")
	s.bucket = filepath.Join(data, "bucket")
	http, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "standalone", varve(t), "standalone", "--prometheus.url="+s.prometheus,
		"--tsdb.path="+s.data, "--data-dir="+data, "--interval=1s",
		"--http-address="+http, "--grpc-address="+grpc,
	).AwaitReady(t, "http://"+http+"/-/ready")
	query := s.startQuery(t, grpc)
	t.Run("during upload and compaction", func(t *testing.T) { s.checkQuery(t, asked, query) })
	await(t, "the compaction", func() error {
		if got := len(unmarked(s.blocks(t, "parquet"))); got != 2 {
			return fmt.Errorf("%d Parquet blocks, not 2", got)
		}
		return nil
	})
	t.Run("after them", func(t *testing.T) { s.checkQuery(t, asked, query) })
	t.Run("StoreAPI", func(t *testing.T) { s.checkStoreAPI(t, grpc) })
	for _, path := range []string{"/api/v1/targets?state=active", "/api/v1/metadata?limit=3"} {
		if text := told(t, query+path); len(text) < 60 {
			t.Errorf("%s: %s", path, text)
		}
	}
	info, err := infoOf(t, grpc)
	if err != nil {
		t.Fatal(err)
	}
	if info.Store.MinTime >= HistoryStart+time.Minute.Milliseconds() || len(info.LabelSets) != 1 || info.Rules == nil {
		t.Errorf("Info is %v", info)
	}
	if _, err := os.Stat(filepath.Join(s.data, "thanos.shipper.json")); err != nil {
		t.Error(err)
	}
}

// await asks again and again until there is no error.
func await(t *testing.T, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("no %s within %s: %v", what, patience, err)
		}
	}
}
