package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-kit/log"
	thanos "github.com/thanos-io/thanos/pkg/block"
	"github.com/thanos-io/thanos/pkg/block/metadata"
)

// TestPromtoolAndThanosAcceptBlocksThatVarveWrites lets Varve's reader and
// writer copy blocks of every kind, and compares what Prometheus's tools say of
// the copy with what they say of the block.
func TestPromtoolAndThanosAcceptBlocksThatVarveWrites(t *testing.T) {
	fixtures := filepath.Join("..", "fixtures")
	for _, folder := range []string{"golden/tsdb/all-kinds", "golden/tsdb/floats", "golden/tsdb/prometheus-2.42", "sample"} {
		for _, dir := range blockDirs(t, filepath.Join(fixtures, folder)) {
			t.Run(folder+"/"+filepath.Base(dir), func(t *testing.T) {
				from, to := t.TempDir(), t.TempDir()
				if err := os.CopyFS(filepath.Join(from, filepath.Base(dir)), os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				rewritten(t, dir, to)
				compareBlocks(t, from, to, filepath.Base(dir))
			})
		}
	}
}

// compareBlocks compares a block in one data folder with its copy in another.
func compareBlocks(t *testing.T, from, to, id string) {
	t.Helper()
	promtool := peer(t, "promtool")
	for _, dir := range []string{from, to} {
		// promtool looks at data folders, which have a write-ahead log.
		if err := os.Mkdir(filepath.Join(dir, "wal"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"dump"}, {"list"}, {"analyze", "--extended", "--limit=100000"}} {
		args := func(dir string) []string {
			args := append([]string{"tsdb"}, append(command, dir)...)
			if command[0] == "analyze" {
				args = append(args, id)
			}
			return args
		}
		say := func(dir string) []string {
			lines := strings.Split(strings.TrimSpace(Run(t, promtool, args(dir)...)), "\n")
			if command[0] == "list" {
				// The last column is the bytes on disk, of which an index may take more or fewer.
				for i, line := range lines {
					fields := strings.Fields(line)
					lines[i] = strings.Join(fields[:len(fields)-1], " ")
				}
			}
			// What is counted alike comes in any order.
			slices.Sort(lines)
			return lines
		}
		got, want := say(to), say(from)
		if !slices.Equal(got, want) || len(got) < 2 {
			t.Errorf("promtool %s says of the copy\n%.2000q\nand of the block\n%.2000q", command[0], got, want)
		}
	}
	got, err := ReadBlocks([]string{filepath.Join(to, id)})
	if err != nil {
		t.Fatal(err)
	}
	want, err := ReadBlocks([]string{filepath.Join(from, id)})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Compare(want); err != nil {
		t.Error(err)
	}
	meta, err := metadata.ReadFromDir(filepath.Join(to, id))
	if err != nil {
		t.Fatal(err)
	}
	stats, err := thanos.GatherIndexHealthStats(t.Context(), log.NewNopLogger(), filepath.Join(to, id, thanos.IndexFilename), meta.MinTime, meta.MaxTime)
	if err != nil {
		t.Fatal(err)
	}
	if err := stats.AnyErr(); err != nil {
		t.Errorf("Thanos: %v", err)
	}
}
