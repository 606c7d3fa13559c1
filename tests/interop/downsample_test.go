package interop

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	thanos "github.com/thanos-io/thanos/pkg/block"
	"github.com/thanos-io/thanos/pkg/block/metadata"
	"github.com/thanos-io/thanos/pkg/compact/downsample"
)

// longEnd is where the series end that are long enough for chunks of hours.
const longEnd = Middle + 12*24*hour

// TestDownsampledBlocksAreThoseOfThanos downsamples the history, and some longer
// series, with Thanos's package and with Varve, and compares the chunks.
func TestDownsampledBlocksAreThoseOfThanos(t *testing.T) {
	bin := os.Getenv("DOWNSAMPLE_BLOCK_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "target", "debug", "examples", "downsample_block")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("downsample_block is missing: `cargo build -p compactor --example downsample_block` builds it (%v)", err)
	}
	ours := func(from string) string {
		to := filepath.Join(t.TempDir(), "block")
		Run(t, bin, from, to)
		return to
	}
	raw := t.TempDir()
	if err := writeBlock(append(History(), longSeries()...), raw, HistoryStart, longEnd); err != nil {
		t.Fatal(err)
	}
	raw = blockDirs(t, raw)[0]

	fiveTheirs, fiveOurs := downsampleWithThanos(t, raw, downsample.ResLevel1), ours(raw)
	theirs, held := readDownsampled(t, fiveTheirs), readDownsampled(t, fiveOurs)
	// Thanos takes the greatest finite float for the least of infinities.
	if infinite := compareDownsampled(t, held, theirs); infinite == 0 {
		t.Error("no window of five minutes has nothing but infinities")
	}
	chunks := 0
	for _, series := range held {
		chunks += len(series)
	}
	if len(held) < 500 || chunks < len(held)+400 {
		t.Errorf("only %d chunks of %d series were compared", chunks, len(held))
	}
	// From the blocks of either, both make the same hours.
	for name, five := range map[string]string{"Thanos's": fiveTheirs, "Varve's": fiveOurs} {
		t.Run("hours from "+name+" five minutes", func(t *testing.T) {
			want := readDownsampled(t, downsampleWithThanos(t, five, downsample.ResLevel2))
			compareDownsampled(t, readDownsampled(t, ours(five)), want)
		})
	}
	for _, dir := range []string{fiveOurs, ours(fiveOurs)} {
		meta, err := metadata.ReadFromDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := thanos.GatherIndexHealthStats(t.Context(), log.NewNopLogger(), filepath.Join(dir, thanos.IndexFilename), meta.MinTime, meta.MaxTime)
		if err != nil {
			t.Fatal(err)
		}
		if err := stats.AnyErr(); err != nil {
			t.Errorf("Thanos: %v", err)
		}
	}
}

// longSeries makes what becomes several chunks of hours, and what the history
// has no series of.
func longSeries() []Series {
	var all []Series
	add := func(step int64, next walk, pairs ...string) {
		series := Series{Labels: labels.FromStrings(append(pairs, "__name__", "long")...)}
		for t := HistoryStart + 7*second; t < longEnd; t += step {
			if s, ok := next(t); ok {
				s.T = t
				series.Samples = append(series.Samples, s)
			}
		}
		all = append(all, series)
	}
	shapes := map[string]func(*rand.Rand) walk{
		"counter":               counter(50),
		"gauge":                 gauge(0, 5000),
		"holes":                 holes(9*hour, counter(50)),
		"jobs":                  jobs(counter(50)),
		"temperature":           temperature,
		"native":                nativeHistogram,
		"native-gauge":          nativeFloatGauge,
		"native-fractions":      nativeFractions,
		"native-holes":          holes(9*hour, nativeHistogram),
		"custom-bounds":         customBounds,
		"custom-bounds-float":   fractions(customBounds),
		"integer-gauge":         nativeGauge,
		"floats-and-histograms": floatsAndHistograms,
		"stale-histograms":      staleHistograms,
	}
	for name, shape := range shapes {
		for i, step := range []int64{minute, 17 * minute} {
			r := rand.New(rand.NewSource(seed(name)))
			add(step, shape(r), "shape", name, "step", fmt.Sprint(i))
		}
	}
	return all
}

// fractions makes integer histograms such of fractional counts.
func fractions(shape func(*rand.Rand) walk) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		next := shape(r)
		return func(t int64) (Sample, bool) {
			s, ok := next(t)
			return Sample{FH: s.H.ToFloat(nil).Mul(1.1)}, ok
		}
	}
}

func nativeFractions(r *rand.Rand) walk { return fractions(nativeHistogram)(r) }

func nativeGauge(r *rand.Rand) walk {
	return func(int64) (Sample, bool) {
		return Sample{H: tsdbutil.GenerateTestGaugeHistogram(r.Int63n(50))}, true
	}
}

func customBounds(r *rand.Rand) walk {
	i := int64(0)
	return func(int64) (Sample, bool) {
		if i += r.Int63n(3); r.Intn(200) == 0 {
			i = 0
		}
		return Sample{H: tsdbutil.GenerateTestCustomBucketsHistogram(i)}, true
	}
}

func floatsAndHistograms(r *rand.Rand) walk {
	floats, histograms := counter(20)(r), nativeHistogram(r)
	return func(t int64) (Sample, bool) {
		if t/(31*hour)%2 == 0 {
			return floats(t)
		}
		return histograms(t)
	}
}

func staleHistograms(r *rand.Rand) walk {
	next := nativeHistogram(r)
	return func(t int64) (Sample, bool) {
		if r.Intn(200) == 0 {
			return Sample{H: &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}}, true
		}
		return next(t)
	}
}

func downsampleWithThanos(t *testing.T, from string, resolution int64) string {
	t.Helper()
	meta, err := metadata.ReadFromDir(from)
	if err != nil {
		t.Fatal(err)
	}
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), from, downsample.NewPool(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer block.Close()
	to := t.TempDir()
	id, err := downsample.Downsample(t.Context(), log.NewNopLogger(), meta, block, to, resolution)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, id.String())
}

// downsampledChunk is a chunk of all aggregates, as the index and the data say.
type downsampledChunk struct {
	minTime, maxTime int64
	aggregates       [5][]Sample
}

// readDownsampled gives the chunks of a downsampled block by their labels.
func readDownsampled(t *testing.T, dir string) map[string][]downsampledChunk {
	t.Helper()
	all := map[string][]downsampledChunk{}
	visitSeries(t, dir, downsample.NewPool(), func(key string, metas []chunks.Meta) {
		for _, meta := range metas {
			read := downsampledChunk{minTime: meta.MinTime, maxTime: meta.MaxTime}
			for kind := range read.aggregates {
				aggregate, err := meta.Chunk.(*downsample.AggrChunk).Get(downsample.AggrType(kind))
				if errors.Is(err, downsample.ErrAggrNotExist) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if read.aggregates[kind], err = drain(aggregate.Iterator(nil)); err != nil {
					t.Fatal(err)
				}
			}
			all[key] = append(all[key], read)
		}
	})
	return all
}

// compareDownsampled tells the first differences, and in how many windows ours
// has an infinity where Thanos has the finite float that it starts with.
func compareDownsampled(t *testing.T, ours, theirs map[string][]downsampledChunk) (infinite int) {
	t.Helper()
	wrong := 0
	fail := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf(format, args...)
		}
	}
	for key := range ours {
		if theirs[key] == nil {
			fail("%s is not in Thanos's block", key)
		}
	}
	for key, want := range theirs {
		got := ours[key]
		if len(got) != len(want) {
			fail("%s has %d chunks, not %d", key, len(got), len(want))
			continue
		}
		for i := range want {
			if got[i].minTime != want[i].minTime || got[i].maxTime != want[i].maxTime {
				fail("%s: chunk %d is of %d…%d, not %d…%d", key, i, got[i].minTime, got[i].maxTime, want[i].minTime, want[i].maxTime)
			}
			for kind := range want[i].aggregates {
				kind := downsample.AggrType(kind)
				g, w := got[i].aggregates[kind], want[i].aggregates[kind]
				if len(g) != len(w) {
					fail("%s: chunk %d has %d samples of %s, not %d", key, i, len(g), kind, len(w))
					continue
				}
				for j := range w {
					switch {
					case sameAggregate(g[j], w[j]):
					case startOf(kind, g[j], w[j]):
						infinite++
					default:
						fail("%s: chunk %d, %s, sample %d is %s, not %s", key, i, kind, j, g[j], w[j])
					}
				}
			}
		}
	}
	if wrong > 10 {
		t.Errorf("and %d more", wrong-10)
	}
	return infinite
}

// startOf tells whether Thanos gives what it starts with for the least or the
// greatest of infinities.
func startOf(kind downsample.AggrType, ours, theirs Sample) bool {
	sign := map[downsample.AggrType]int{downsample.AggrMin: 1, downsample.AggrMax: -1}[kind]
	return sign != 0 && ours.T == theirs.T && math.IsInf(ours.V, sign) && theirs.V == float64(sign)*math.MaxFloat64
}

// sameAggregate compares samples that were computed: empty buckets make no
// difference, nor which NaN it is.
func sameAggregate(a, b Sample) bool {
	if (a.FH == nil) != (b.FH == nil) {
		return false
	}
	if a.FH != nil {
		gauges := (a.FH.CounterResetHint == histogram.GaugeType) == (b.FH.CounterResetHint == histogram.GaugeType)
		return gauges && a.T == b.T && a.FH.Copy().Compact(0).Equals(b.FH.Copy().Compact(0))
	}
	nan := math.IsNaN(a.V) && math.IsNaN(b.V) && !value.IsStaleNaN(a.V)
	return a.Same(b) || nan && a.T == b.T
}
