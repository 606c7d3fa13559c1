package interop

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/value"
)

// blockDirs finds the blocks in a folder.
func blockDirs(t *testing.T, dir string) []string {
	t.Helper()
	metas, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range metas {
		metas[i] = filepath.Dir(metas[i])
	}
	return metas
}

func TestTheBlocksHoldTheHistory(t *testing.T) {
	history, dir := History(), t.TempDir()
	if err := WriteBlocks(history, peer(t, "promtool"), dir); err != nil {
		t.Fatal(err)
	}
	dirs := blockDirs(t, dir)
	if want := int((HistoryEnd - HistoryStart) / BlockDuration); len(dirs) != want {
		t.Fatalf("%d blocks, not %d", len(dirs), want)
	}
	got, err := ReadBlocks(dirs)
	if err != nil {
		t.Fatal(err)
	}
	want := Samples{}
	for _, series := range history {
		for _, s := range series.Samples {
			native, stale := s.H != nil || s.FH != nil, value.IsStaleNaN(s.V)
			if s.T >= Middle || !native && !stale {
				if s.T < Middle && math.IsNaN(s.V) {
					s.V = math.Float64frombits(value.NormalNaN)
				}
				want.Add(series.Labels, s)
			}
		}
	}
	if err := got.Compare(want); err != nil {
		t.Fatal(err)
	}
}
