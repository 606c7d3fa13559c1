package interop

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// rewritten lets Varve's reader and writer copy a block into a folder; told to
// --encode, it decodes and encodes every sample.
func rewritten(t *testing.T, from, to string, flags ...string) string {
	t.Helper()
	rewrite := os.Getenv("REWRITE_BLOCK_BIN")
	if rewrite == "" {
		rewrite = filepath.Join("..", "..", "target", "debug", "examples", "rewrite_block")
	}
	if _, err := os.Stat(rewrite); err != nil {
		t.Fatalf("rewrite_block is missing: `cargo build -p tsdb --example rewrite_block` builds it (%v)", err)
	}
	copied := filepath.Join(to, filepath.Base(from))
	Run(t, rewrite, append([]string{from, copied}, flags...)...)
	return copied
}

// TestAnIndexOfVersion1IsReadAsPrometheusReadsIt takes the block of that
// version that Prometheus's module has for its own tests.
func TestAnIndexOfVersion1IsReadAsPrometheusReadsIt(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(strings.TrimSpace(string(out)), "tsdb", "testdata", "index_format_v1")
	head, err := os.ReadFile(filepath.Join(from, "index"))
	if err != nil {
		t.Fatal(err)
	}
	if head[4] != index.FormatV1 {
		t.Fatalf("the index is of version %d", head[4])
	}
	want := chunksOf(t, from)
	if len(want) < 100 {
		t.Fatalf("only %d series", len(want))
	}
	compareBytes(t, chunksOf(t, rewritten(t, from, t.TempDir())), want)
}

// TestSamplesEncodedAnewAreReadBackBucketByBucket lets Varve decode and encode
// every sample, and compares what Prometheus reads: buckets with what is in
// them, custom bounds, the zero bucket, sum, count, and hints of counter resets.
func TestSamplesEncodedAnewAreReadBackBucketByBucket(t *testing.T) {
	histograms := 0
	for _, folder := range []string{"golden/tsdb/all-kinds", "golden/tsdb/prometheus-2.42", "golden/tsdb/floats", "sample"} {
		for _, from := range blockDirs(t, filepath.Join("..", "fixtures", folder)) {
			t.Run(folder+"/"+filepath.Base(from), func(t *testing.T) {
				compareBytes(t, chunksOf(t, rewritten(t, from, t.TempDir())), chunksOf(t, from))
				want := chunksOf(t, from)
				got := chunksOf(t, rewritten(t, from, t.TempDir(), "--encode"))
				if len(got) != len(want) {
					t.Errorf("%d series, not %d", len(got), len(want))
				}
				for key := range want {
					histograms += compareBuckets(t, key, got[key], want[key])
				}
			})
		}
	}
	if histograms < 8000 {
		t.Errorf("only %d histograms were compared", histograms)
	}
}

// visitSeries shows the series of a block with their chunks, as Prometheus's
// packages read them; the chunks' memory is the block's, and gone after the visit.
func visitSeries(t *testing.T, dir string, pool chunkenc.Pool, visit func(key string, metas []chunks.Meta)) {
	t.Helper()
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer block.Close()
	reader, err := block.Index()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	data, err := block.Chunks()
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	name, values := index.AllPostingsKey()
	postings, err := reader.Postings(t.Context(), name, values)
	if err != nil {
		t.Fatal(err)
	}
	for postings.Next() {
		var builder labels.ScratchBuilder
		var metas []chunks.Meta
		if err := reader.Series(postings.At(), &builder, &metas); err != nil {
			t.Fatal(err)
		}
		for i := range metas {
			if metas[i].Chunk, _, err = data.ChunkOrIterable(metas[i]); err != nil {
				t.Fatal(err)
			}
		}
		visit(builder.Labels().String(), metas)
	}
	if err := postings.Err(); err != nil {
		t.Fatal(err)
	}
}

// chunksOf gives the chunks of a block, with their data, by the labels of their
// series.
func chunksOf(t *testing.T, dir string) map[string][]chunks.Meta {
	t.Helper()
	all := map[string][]chunks.Meta{}
	visitSeries(t, dir, nil, func(key string, metas []chunks.Meta) {
		for i, meta := range metas {
			data, err := chunkenc.FromData(meta.Chunk.Encoding(), slices.Clone(meta.Chunk.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			metas[i].Chunk = data
		}
		all[key] = metas
	})
	return all
}

// compareBytes compares series, times, encodings and bytes.
func compareBytes(t *testing.T, got, want map[string][]chunks.Meta) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d series, not %d", len(got), len(want))
	}
	for key, chunks := range want {
		if len(got[key]) != len(chunks) {
			t.Errorf("%s has %d chunks, not %d", key, len(got[key]), len(chunks))
			continue
		}
		for i, w := range chunks {
			g := got[key][i]
			if g.MinTime != w.MinTime || g.MaxTime != w.MaxTime || g.Chunk.Encoding() != w.Chunk.Encoding() || !bytes.Equal(g.Chunk.Bytes(), w.Chunk.Bytes()) {
				t.Errorf("%s: chunk %d differs", key, i)
			}
		}
	}
}

// stored is a sample, and whether it is the first of its chunk.
type stored struct {
	Sample
	first bool
}

func storedIn(t *testing.T, key string, metas []chunks.Meta) (all []stored) {
	t.Helper()
	for _, meta := range metas {
		samples, err := drain(meta.Chunk.Iterator(nil))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		for i, sample := range samples {
			all = append(all, stored{sample, i == 0})
		}
	}
	return all
}

// compareBuckets compares the samples of a series field by field, and says how
// many were histograms.
func compareBuckets(t *testing.T, key string, got, want []chunks.Meta) (histograms int) {
	t.Helper()
	g, w := storedIn(t, key, got), storedIn(t, key, want)
	if len(g) != len(w) {
		t.Errorf("%s has %d samples, not %d", key, len(g), len(w))
		return 0
	}
	for i := range w {
		if layout(g[i].Sample) != layout(w[i].Sample) {
			t.Errorf("%s: sample %d is\n%s, not\n%s", key, i, layout(g[i].Sample), layout(w[i].Sample))
			return histograms
		}
		// What came before its first sample is no part of a chunk, unless it is a
		// gauge's.
		if hint(g[i]) != hint(w[i]) && !(g[i].first || w[i].first) {
			t.Errorf("%s: sample %d has the hint %d, not %d", key, i, hint(g[i]), hint(w[i]))
			return histograms
		}
		if (hint(g[i]) == histogram.GaugeType) != (hint(w[i]) == histogram.GaugeType) {
			t.Errorf("%s: sample %d has the hint %d, not %d", key, i, hint(g[i]), hint(w[i]))
			return histograms
		}
		if w[i].H != nil || w[i].FH != nil {
			histograms++
		}
	}
	return histograms
}

func hint(s stored) histogram.CounterResetHint {
	switch {
	case s.H != nil:
		return s.H.CounterResetHint
	case s.FH != nil:
		return s.FH.CounterResetHint
	}
	return histogram.UnknownCounterReset
}

// layout writes down a sample: floats by their bits, so that one NaN is not
// taken for another, and histograms bucket by bucket, without the empty ones,
// which a chunk adds where a later sample needs them.
func layout(s Sample) string {
	bits, h := math.Float64bits, s.FH
	kind := "fractions"
	switch {
	case s.H != nil:
		h, kind = s.H.ToFloat(nil), fmt.Sprint("integers ", s.H.Count, s.H.ZeroCount)
	case h == nil:
		return fmt.Sprint(s.T, " ", bits(s.V))
	}
	buckets := func(it histogram.BucketIterator[float64]) (text string) {
		for it.Next() {
			if b := it.At(); b.Count != 0 {
				text += fmt.Sprint(" ", b.Index, ":", b.Lower, "…", b.Upper, "=", bits(b.Count))
			}
		}
		return text
	}
	bounds := ""
	for _, bound := range h.CustomValues {
		bounds += fmt.Sprint(" ", bits(bound))
	}
	return fmt.Sprint(s.T, " ", kind, " schema ", h.Schema, " zero ", bits(h.ZeroThreshold), " ", bits(h.ZeroCount),
		" count ", bits(h.Count), " sum ", bits(h.Sum), " positive", buckets(h.PositiveBucketIterator()),
		" negative", buckets(h.NegativeBucketIterator()), " bounds", bounds)
}
