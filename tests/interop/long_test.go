package interop

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/providers/filesystem"
	thanos "github.com/thanos-io/thanos/pkg/block"
	"github.com/thanos-io/thanos/pkg/block/metadata"
)

// The long history is of twenty days, a block for each:
//
//	a window of fourteen days                        and of two                newest
//	 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | … | 12 | 13 | 14 |  | 15 | 16 |  | 17 | 18 |  | 19 | 20 |
//	 raw, 5 m and 1 h                                  raw and 5 m  raw and 5 m   raw
//
// which is what it becomes. Thanos takes a window for complete when a block
// begins behind it that is not the newest.
const (
	day      = 24 * hour
	longFrom = Middle - 6*day
	longDays = 20
	longTo   = longFrom + longDays*day
)

// longHistory is scraped seldom, so that days of it are cheap. What functions
// make of series of several names differs in a label too.
func longHistory() []Series {
	var all []Series
	add := func(step int64, shape func(*rand.Rand) walk, pairs ...string) {
		series := Series{Labels: labels.FromStrings(append(pairs, "metric", pairs[1])...)}
		next := shape(rand.New(rand.NewSource(seed(series.Labels.String()))))
		for t := longFrom + seed(series.Labels.Get("pod"))&math.MaxInt64%(step/second)*second; t < longTo; t += step {
			if s, ok := next(t); ok {
				s.T = t
				series.Samples = append(series.Samples, s)
			}
		}
		all = append(all, series)
	}
	for i := range 4 {
		pod := fmt.Sprint("web-", i)
		add(2*minute, counter(50), "__name__", "hits_total", "pod", pod)
		add(2*minute, holes(9*hour, counter(50)), "__name__", "holey_total", "pod", pod)
		add(2*minute, gauge(0, 5000), "__name__", "queue_length", "pod", pod)
	}
	for _, batch := range []string{"backup", "report"} {
		add(2*minute, jobs(counter(50)), "__name__", "jobs_total", "batch", batch)
		add(2*minute, jobs(gauge(1, 3000)), "__name__", "batch_progress", "batch", batch)
	}
	for _, room := range []string{"cellar", "größe/東京"} {
		add(3*minute, temperature, "__name__", "room_temperature_celsius", "room", room)
		add(5*minute, holes(9*hour, temperature), "__name__", "holey_temperature_celsius", "room", room)
	}
	add(17*minute+13*second, counter(1000), "__name__", "slow_total")
	add(hour, gauge(0, 9), "__name__", "hourly")
	add(minute, during(longFrom+3*day, longFrom+5*day, counter(9)), "__name__", "short_lived_total")
	add(2*minute, during(longFrom+13*day, longTo, gauge(0, 99)), "__name__", "late")
	add(2*minute, cycle(math.Inf(1)), "__name__", "odd_values", "kind", "inf")
	add(2*minute, cycle(math.Inf(-1)), "__name__", "odd_values", "kind", "-inf")
	add(2*minute, cycle(math.NaN()), "__name__", "odd_values", "kind", "nan")
	add(2*minute, cycle(1, math.NaN(), math.Inf(1), -1.5, math.Inf(-1), 1e-7, 1e21), "__name__", "odd_values", "kind", "mixed")
	for i, le := range []float64{0.01, 0.1, 0.5, math.Inf(1)} {
		add(2*minute, observations("/", func(b int, _ float64) float64 {
			if b <= 2*i+1 {
				return 1
			}
			return 0
		}), "__name__", "request_duration_seconds_bucket", "le", strconv.FormatFloat(le, 'g', -1, 64))
	}
	for i := range 2 {
		pod := fmt.Sprint("web-", i)
		add(4*minute, nativeHistogram, "__name__", "native_latency_seconds", "pod", pod)
	}
	add(4*minute, nativeFloatGauge, "__name__", "native_sizes_bytes")
	add(10*minute, holes(9*hour, nativeFractions), "__name__", "native_holey_seconds")
	add(10*minute, customBounds, "__name__", "native_custom_bounds")
	add(10*minute, staleHistograms, "__name__", "native_stale")
	add(10*minute, floatsAndHistograms, "__name__", "native_or_not")
	return all
}

// writeDays writes a history as a block for each of some days.
func writeDays(t *testing.T, history []Series, from int64, days int) []string {
	t.Helper()
	dir := t.TempDir()
	for i := range int64(days) {
		if err := writeBlock(history, dir, from+i*day, from+(i+1)*day); err != nil {
			t.Fatal(err)
		}
	}
	dirs := blockDirs(t, dir)
	if len(dirs) != days {
		t.Fatalf("%d blocks of %d days", len(dirs), days)
	}
	return dirs
}

// uploadBlocks puts blocks into a bucket as Thanos's sidecar would.
func uploadBlocks(t *testing.T, bucket objstore.Bucket, dirs []string, lset labels.Labels) {
	t.Helper()
	for _, dir := range dirs {
		meta := metadata.Thanos{Labels: lset.Map(), Source: metadata.SidecarSource}
		if _, err := metadata.InjectThanos(log.NewNopLogger(), dir, meta, nil); err != nil {
			t.Fatal(err)
		}
		if err := thanos.Upload(context.Background(), log.NewNopLogger(), bucket, dir, metadata.NoneFunc); err != nil {
			t.Fatal(err)
		}
	}
}

// startFolder makes a bucket that is a folder.
func startFolder(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir()}
	s.bucket, s.objstore = filepath.Join(s.dir, "bucket"), filepath.Join(s.dir, "objstore.yml")
	if err := os.Mkdir(s.bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, s.objstore, fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", s.bucket))
	return s
}

// startLong makes a bucket of the long history.
func startLong(t *testing.T) *stack {
	t.Helper()
	s := startFolder(t)
	bucket, err := filesystem.NewBucket(s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	uploadBlocks(t, bucket, writeDays(t, longHistory(), longFrom, longDays), external)
	return s
}

// copied makes another bucket with what this one holds.
func (s *stack) copied(t *testing.T) *stack {
	t.Helper()
	other := startFolder(t)
	if err := os.CopyFS(other.bucket, os.DirFS(s.bucket)); err != nil {
		t.Fatal(err)
	}
	return other
}

// compactWithThanos lets Thanos's compactor do what there is to do. A compactor
// that finds what it cannot go on with ends with an error.
func (s *stack) compactWithThanos(t *testing.T, more ...string) {
	t.Helper()
	Run(t, peer(t, "thanos"), append([]string{"compact", "--data-dir=" + filepath.Join(s.dir, "thanos-compact"),
		"--objstore.config-file=" + s.objstore, "--consistency-delay=0s", "--no-debug.halt-on-error",
		"--http-address=" + FreeAddress(t)}, more...)...)
}

// startThanosStore starts Thanos's store gateway and gives its gRPC address.
func (s *stack) startThanosStore(t *testing.T) string {
	t.Helper()
	data, err := os.MkdirTemp(s.dir, "thanos-store-")
	if err != nil {
		t.Fatal(err)
	}
	http, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "thanos-store", peer(t, "thanos"), "store", "--data-dir="+data,
		"--objstore.config-file="+s.objstore, "--sync-block-duration=1m",
		"--http-address="+http, "--grpc-address="+grpc,
	).AwaitReady(t, "http://"+http+"/-/ready")
	return grpc
}

// verifyWithThanos looks for each issue that Thanos's verifier knows.
func (s *stack) verifyWithThanos(t *testing.T) {
	t.Helper()
	out := Run(t, peer(t, "thanos"), "tools", "bucket", "verify", "--objstore.config-file="+s.objstore,
		"--issues=index_known_issues", "--issues=overlapped_blocks", "--issues=duplicated_compaction")
	verified := 0
	for line := range strings.Lines(out) {
		switch {
		case strings.Contains(line, "GLOBAL COMPACTOR SHOULD __NOT__ BE RUNNING"):
		case strings.Contains(line, "level=warn"), strings.Contains(line, "level=error"):
			t.Errorf("Thanos's verifier: %s", line)
		case strings.Contains(line, "started verifying issue"):
			verified++
		}
	}
	if verified != 3 {
		t.Errorf("Thanos verified %d issues, not 3:\n%s", verified, out)
	}
}

// spans tells what the blocks below a folder of the bucket span: resolution,
// first day and end.
func (s *stack) spans(t *testing.T, folder string) []string {
	t.Helper()
	var spans []string
	for _, b := range s.blocks(t, folder) {
		if !b.marked {
			round := func(t int64) int64 { return (t - longFrom + hour) / day }
			spans = append(spans, fmt.Sprintf("%s %d–%d", resolutionName(b.Thanos.Downsample.Resolution), round(b.MinTime), round(b.MaxTime)))
		}
	}
	return spans
}

func resolutionName(millis int64) string {
	return map[int64]string{0: "raw", 5 * minute: "5m", hour: "1h"}[millis]
}
