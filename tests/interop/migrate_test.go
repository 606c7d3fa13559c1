package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestEachStepFromThanosAndBackAnswersAsPrometheusDoes replaces the components
// one at a time on one bucket, in the order of docs/migrate.md, and goes back.
// After each step Thanos Query answers over what serves then as Prometheus does.
func TestEachStepFromThanosAndBackAnswersAsPrometheusDoes(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)
	step := func(name string, stores ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) { s.checkQuery(t, asked, s.startQueryOver(t, stores)) })
		if t.Failed() {
			t.FailNow()
		}
	}
	s.startSidecar(t, peer(t, "thanos"), "--objstore.config-file="+s.objstore)
	await(t, "the upload", func() error {
		isMeta := func(key string) bool { return filepath.Base(key) == "meta.json" }
		if got, want := count(s.objects(t, ""), isMeta), len(blockDirs(t, s.data)); got != want {
			return fmt.Errorf("%d blocks, not %d", got, want)
		}
		return nil
	})
	step("Thanos alone", s.startThanosStore(t))

	// The new sidecar goes on where the old one stopped.
	before := s.objects(t, "")
	recent := s.startSidecar(t, varve(t), "--objstore.config-file="+s.objstore,
		"--min-time="+time.UnixMilli(Middle-3*hour).UTC().Format(time.RFC3339))
	if after := s.objects(t, ""); !slices.Equal(before, after) {
		t.Fatalf("the bucket holds %v, not %v", after, before)
	}
	step("the sidecar", recent, s.startThanosStore(t))

	store := s.startStore(t, "--sync-block-duration=1s")
	step("a gateway beside Thanos's", recent, s.startThanosStore(t), store)
	step("the gateway alone", recent, store)

	t.Run("the compactor that writes TSDB blocks", func(t *testing.T) {
		other := s.copied(t)
		other.compact(t, "--compact.output=tsdb")
		other.removeMarked(t)
		other.verifyWithThanos(t)
		other.checkQuery(t, asked, other.startQueryOver(t, []string{other.startThanosStore(t)}))
	})

	s.compact(t)
	s.checkCompacted(t, 2)
	step("the compactor, with both gateways", recent, s.startThanosStore(t), s.startStore(t))
	s.removeMarked(t)
	step("the compactor", recent, s.startStore(t))

	for _, b := range unmarked(s.blocks(t, "parquet")) {
		Run(t, varve(t), "tools", "bucket", "rewrite", "--id="+b.ULID.String(), "--output=tsdb",
			"--no-dry-run", "--delete-blocks", "--objstore.config-file="+s.objstore,
			"--tmp.dir="+filepath.Join(s.dir, "rewrite"))
	}
	s.removeMarked(t)
	if left := s.objects(t, "parquet"); len(s.blocks(t, "parquet")) != 0 {
		t.Fatalf("Parquet blocks are left: %v", left)
	}
	s.verifyWithThanos(t)
	s.compactWithThanos(t)
	s.removeMarked(t)
	step("back to Thanos", s.startThanosStore(t))
}

// count tells how many keys are such ones.
func count(keys []string, isSuch func(string) bool) int {
	return len(keys) - len(slices.DeleteFunc(slices.Clone(keys), isSuch))
}
