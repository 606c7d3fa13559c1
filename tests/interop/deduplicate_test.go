package interop

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/thanos-io/thanos/pkg/dedup"
)

// replicasEnd is where the replicas' blocks end.
const replicasEnd = HistoryStart + 4*hour

// replicaShapes are what is scraped; of each shape every replica sees something
// of its own, with gaps of its own.
var replicaShapes = map[string]func(*rand.Rand) walk{
	"counter":             counter(50),
	"gauge":               gauge(0, 5000),
	"temperature":         temperature,
	"jobs":                jobs(counter(50)),
	"native":              nativeHistogram,
	"native-fractions":    nativeFractions,
	"native-gauge":        nativeGauge,
	"native-float-gauge":  nativeFloatGauge,
	"custom-bounds":       customBounds,
	"custom-bounds-float": fractions(customBounds),
	"stale-histograms":    staleHistograms,
}

// mixedShapes make chunks of several encodings that overlap.
var mixedShapes = map[string]func(*rand.Rand) walk{
	"float-or-histogram":   either(counter(50), nativeHistogram),
	"integers-or-fraction": either(nativeHistogram, nativeFractions),
	"any-kind":             either(either(counter(50), customBounds), nativeFloatGauge),
}

// either changes over from one shape to the other once in a while.
func either(one, other func(*rand.Rand) walk) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		now, next := one(r), other(r)
		return func(t int64) (Sample, bool) {
			if r.Intn(200) == 0 {
				now, next = next, now
			}
			return now(t)
		}
	}
}

// replicaSeries makes what replica number n holds. The replicas' times differ
// by some milliseconds at least, so no two chunks have both ends in common.
func replicaSeries(n int) []Series {
	var all []Series
	for name, shape := range replicaShapes {
		all = append(all, scrapes(n, name, "no", shape)...)
	}
	for name, shape := range mixedShapes {
		all = append(all, scrapes(n, name, "yes", shape)...)
	}
	return all
}

func scrapes(n int, name, mixed string, shape func(*rand.Rand) walk) []Series {
	gaps := map[string]func(func(*rand.Rand) walk) func(*rand.Rand) walk{
		"none":  func(shape func(*rand.Rand) walk) func(*rand.Rand) walk { return shape },
		"short": func(shape func(*rand.Rand) walk) func(*rand.Rand) walk { return holes(2*minute, shape) },
		"long":  func(shape func(*rand.Rand) walk) func(*rand.Rand) walk { return holes(40*minute, shape) },
		"late": func(shape func(*rand.Rand) walk) func(*rand.Rand) walk {
			return during(HistoryStart+int64(n)*hour, replicasEnd-int64(n*n)*15*minute, shape)
		},
		"alone": func(shape func(*rand.Rand) walk) func(*rand.Rand) walk {
			return during(HistoryStart+int64(n)*80*minute, HistoryStart+int64(n+1)*80*minute, shape)
		},
	}
	var all []Series
	for gap, with := range gaps {
		for _, step := range []int64{15 * second, minute} {
			series := Series{Labels: labels.FromStrings("__name__", "scraped", "shape", name, "mixed", mixed, "gaps", gap, "step", fmt.Sprint(step))}
			r := rand.New(rand.NewSource(seed(series.Labels.String()) + int64(n)))
			next := with(shape)(r)
			offset := r.Int63n(step/second)*second + int64(n)*37
			for t := HistoryStart + offset; t < replicasEnd; t += step {
				if s, ok := next(t); ok {
					s.T = t
					series.Samples = append(series.Samples, s)
				}
			}
			if len(series.Samples) > 0 {
				all = append(all, series)
			}
		}
	}
	return all
}

func writeReplica(t *testing.T, series []Series) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeBlock(series, dir, HistoryStart, replicasEnd); err != nil {
		t.Fatal(err)
	}
	return blockDirs(t, dir)[0]
}

func deduplicateWithVarve(t *testing.T, dirs []string) map[string][]chunks.Meta {
	t.Helper()
	bin := os.Getenv("DEDUPLICATE_BLOCKS_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "target", "debug", "examples", "deduplicate_blocks")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("deduplicate_blocks is missing: `cargo build -p compactor --example deduplicate_blocks` builds it (%v)", err)
	}
	to := filepath.Join(t.TempDir(), "block")
	Run(t, bin, append([]string{to}, dirs...)...)
	return chunksOf(t, to)
}

// TestDeduplicatedBlocksAreThoseOfThanos merges the blocks of two and of three
// replicas with Thanos's compactor and with Varve, and compares the chunks.
func TestDeduplicatedBlocksAreThoseOfThanos(t *testing.T) {
	dirs := make([]string, 3)
	for n := range dirs {
		dirs[n] = writeReplica(t, replicaSeries(n))
	}
	for _, dirs := range [][]string{dirs[:2], dirs} {
		t.Run(fmt.Sprint(len(dirs), " replicas"), func(t *testing.T) {
			compactor, err := tsdb.NewLeveledCompactor(t.Context(), nil, slog.New(slog.DiscardHandler), []int64{replicasEnd - HistoryStart}, nil, dedup.NewChunkSeriesMerger())
			if err != nil {
				t.Fatal(err)
			}
			to := t.TempDir()
			ids, err := compactor.Compact(to, dirs, nil)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := deduplicateWithVarve(t, dirs), chunksOf(t, filepath.Join(to, ids[0].String()))
			if len(ours) != len(theirs) {
				t.Errorf("there are %d series, not %d", len(ours), len(theirs))
			}
			sources := make([]map[string][]chunks.Meta, len(dirs))
			for n, dir := range dirs {
				sources[n] = chunksOf(t, dir)
			}
			merged, lossy := 0, 0
			for key, want := range theirs {
				var all []chunks.Meta
				for _, source := range sources {
					all = append(all, source[key]...)
				}
				if bytes.Contains([]byte(key), []byte(`mixed="no"`)) {
					compareChunks(t, key, ours[key], want)
					if len(want) < len(all) {
						merged++
					}
					continue
				}
				// Thanos's compactor keeps the samples of one encoding only where chunks
				// overlap; its queries keep all.
				right, got := foldWithThanos(t, all), chunkSamples(t, ours[key])
				if err := compareSamples(got, right); err != nil {
					t.Errorf("%s: %v", key, err)
				}
				if len(chunkSamples(t, want)) < len(right)*9/10 {
					lossy++
				}
			}
			if merged < 60 {
				t.Errorf("only %d series have been merged", merged)
			}
			if lossy == 0 {
				t.Error("Thanos's compactor has lost nothing where encodings are mixed: it can be followed now")
			}
		})
	}
}

// TestOfEqualTimesTheSampleThatThanosTakesIsKept merges replicas that have
// samples at the same times and chunks with the same ends, as two rulers have.
// Which one counts is left to the order in which a heap gives them.
func TestOfEqualTimesTheSampleThatThanosTakesIsKept(t *testing.T) {
	for _, count := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(count, " replicas"), func(t *testing.T) {
			dirs := make([]string, count)
			for n := range dirs {
				var all []Series
				for name, shape := range replicaShapes {
					series := Series{Labels: labels.FromStrings("__name__", "recorded", "shape", name)}
					r := rand.New(rand.NewSource(seed(name) + int64(n)))
					next := shape(r)
					for at := HistoryStart; at < replicasEnd; at += 30 * second {
						// All of them stop to evaluate for some time.
						if at/(10*minute)%5 == 0 || at/hour%3 == 1 && n == r.Intn(2*count) {
							continue
						}
						if s, ok := next(at); ok {
							s.T = at
							series.Samples = append(series.Samples, s)
						}
					}
					all = append(all, series)
				}
				dirs[n] = writeReplica(t, all)
			}
			ours := deduplicateWithVarve(t, dirs)
			sets := make([]storage.ChunkSeriesSet, count)
			for n, dir := range dirs {
				block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer block.Close()
				querier, err := tsdb.NewBlockChunkQuerier(block, HistoryStart, replicasEnd)
				if err != nil {
					t.Fatal(err)
				}
				defer querier.Close()
				sets[n] = querier.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "recorded"))
			}
			// The compactor hands over series in an order of chance; here it is that of the blocks.
			for range replicaShapes {
				series := make([]storage.ChunkSeries, count)
				for n, set := range sets {
					if !set.Next() {
						t.Fatal("a replica lacks a series", set.Err())
					}
					series[n] = set.At()
				}
				merged := dedup.NewChunkSeriesMerger()(series...)
				want, err := storage.ExpandChunks(merged.Iterator(nil))
				if err != nil {
					t.Fatal(err)
				}
				key := merged.Labels().String()
				compareChunks(t, key, ours[key], want)
			}
		})
	}
}

// compareChunks compares where chunks begin and end, what is known of counter
// resets before them, and their samples.
func compareChunks(t *testing.T, key string, got, want []chunks.Meta) {
	t.Helper()
	if err := compareSamples(chunkSamples(t, got), chunkSamples(t, want)); err != nil {
		t.Errorf("%s: %v", key, err)
		return
	}
	shape := func(metas []chunks.Meta) (shapes []string) {
		for _, meta := range metas {
			header := chunkenc.CounterResetHeader(0)
			switch chunk := meta.Chunk.(type) {
			case *chunkenc.HistogramChunk:
				header = chunk.GetCounterResetHeader()
			case *chunkenc.FloatHistogramChunk:
				header = chunk.GetCounterResetHeader()
			}
			shapes = append(shapes, fmt.Sprint(meta.MinTime, meta.MaxTime, meta.Chunk.Encoding(), header))
		}
		return shapes
	}
	if g, w := shape(got), shape(want); !slices.Equal(g, w) {
		t.Errorf("%s: the chunks are\n%v, not\n%v", key, g, w)
	}
}

func compareSamples(got, want []Sample) error {
	for i := range min(len(got), len(want)) {
		if !got[i].Same(want[i]) {
			return fmt.Errorf("sample %d is %s, not %s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("there are %d samples, not %d", len(got), len(want))
	}
	return nil
}

func chunkSamples(t *testing.T, metas []chunks.Meta) []Sample {
	t.Helper()
	var all []Sample
	for _, meta := range metas {
		samples, err := drain(meta.Chunk.Iterator(nil))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, samples...)
	}
	return all
}

// foldWithThanos deduplicates each run of chunks that overlap as Thanos's
// queries do, as if each chunk were a series.
func foldWithThanos(t *testing.T, metas []chunks.Meta) []Sample {
	t.Helper()
	slices.SortFunc(metas, func(a, b chunks.Meta) int {
		if a.MinTime != b.MinTime {
			return int(a.MinTime - b.MinTime)
		}
		return int(a.MaxTime - b.MaxTime)
	})
	var all []Sample
	for len(metas) > 0 {
		end, n := metas[0].MaxTime, 1
		for ; n < len(metas) && metas[n].MinTime <= end; n++ {
			end = max(end, metas[n].MaxTime)
		}
		set := dedup.NewSeriesSet(&chunkSet{chunks: metas[:n]}, "", dedup.AlgorithmPenalty)
		for set.Next() {
			samples, err := drain(set.At().Iterator(nil))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, samples...)
		}
		metas = metas[n:]
	}
	return all
}

// chunkSet gives each chunk as a series; all have the same labels.
type chunkSet struct {
	chunks []chunks.Meta
	at     int
}

func (s *chunkSet) Next() bool { s.at++; return s.at <= len(s.chunks) }

func (s *chunkSet) At() storage.Series {
	chunk := s.chunks[s.at-1].Chunk
	return &storage.SeriesEntry{SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator { return chunk.Iterator(nil) }}
}

func (s *chunkSet) Err() error { return nil }

func (s *chunkSet) Warnings() annotations.Annotations { return nil }
