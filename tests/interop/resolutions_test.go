package interop

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/thanos-io/thanos/pkg/compact/downsample"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// longExpressions are asked of each resolution: whatever Thanos Query takes from
// an aggregate of its own, and what it takes the average for.
var longExpressions = []string{
	`hits_total`,
	`queue_length{pod!="web-0"}`,
	`room_temperature_celsius`,
	`batch_progress`,
	`odd_values`,
	`{__name__=~"hourly|late|short_lived_total"}`,
	`native_latency_seconds`,
	`native_or_not`,
	`rate(hits_total[4h])`,
	`irate(hits_total[3h])`,
	`increase(holey_total[1d])`,
	`increase(jobs_total[12h])`,
	`rate(slow_total[6h])`,
	`sum by (pod) (rate({__name__=~"hits_total|holey_total"}[3h]))`,
	`sum_over_time(queue_length[6h])`,
	`avg_over_time(queue_length[6h])`,
	`min_over_time(holey_temperature_celsius[6h])`,
	`max_over_time(room_temperature_celsius[6h])`,
	`count_over_time({__name__=~".*_total|batch_progress"}[1d])`,
	`sum(avg_over_time(batch_progress[3h]))`,
	`quantile_over_time(0.9, queue_length[12h])`,
	`deriv(room_temperature_celsius[12h])`,
	`delta(holey_temperature_celsius[1d])`,
	`max_over_time(rate(hits_total[4h])[1d:2h])`,
	`avg_over_time((queue_length > 1000)[1d:3h] offset 1d)`,
	`histogram_quantile(0.9, rate(request_duration_seconds_bucket[4h]))`,
	`histogram_quantile(0.5, sum by (le) (increase(request_duration_seconds_bucket[1d])))`,
	`histogram_quantile(0.9, sum(rate(native_latency_seconds[4h])))`,
	`rate({__name__=~"native_holey_seconds|native_custom_bounds|native_stale"}[6h])`,
	`histogram_count(increase(native_latency_seconds[1d])) + histogram_sum(increase(native_latency_seconds[1d]))`,
	`count_over_time({__name__=~"native_.*"}[6h])`,
	`sum_over_time(native_sizes_bytes[6h])`,
	`avg_over_time(native_sizes_bytes[6h])`,
	`topk(2, max_over_time(queue_length[1d]))`,
}

// infinities are what Thanos answers with the finite float that its downsampler
// starts with, where all that a window holds is infinite.
var infinities = []string{
	`min_over_time(odd_values[6h])`,
	`max_over_time(odd_values[6h])`,
}

// missing asks for an aggregate that histograms do not have. Thanos's store
// fails the whole query for that; what it should answer is what the series
// that have the aggregate give, which the second asks for alone.
const (
	missing = `min_over_time({__name__=~"queue_length|native_sizes_bytes"}[6h])`
	present = `min_over_time(queue_length[6h])`
)

var resolutions = []string{"0s", "5m", "1h"}

// longQuestion is a question for one resolution.
type longQuestion struct {
	Question
	resolution string
}

func (q longQuestion) String() string { return q.Question.String() + " of " + q.resolution }

func longQuestions(exprs ...string) []longQuestion {
	var all []longQuestion
	for _, expr := range exprs {
		for _, resolution := range resolutions {
			for _, q := range []Question{
				{Expr: expr, Start: longFrom, End: longTo, Step: 3 * hour},
				{Expr: expr, Start: longFrom + 14*day},
				{Expr: expr, Start: longFrom + 9*day + 7*hour + 17},
			} {
				all = append(all, longQuestion{q, resolution})
			}
		}
	}
	return all
}

type longAnswers map[longQuestion]Answer

// askLong puts every question to a store by way of Thanos Query.
func (s *stack) askLong(t *testing.T, store string) longAnswers {
	t.Helper()
	query := s.startQuery(t, store)
	answers := longAnswers{}
	var lock sync.Mutex
	parallel(t, longQuestions(slices.Concat(longExpressions, infinities, []string{missing, present})...), func(q longQuestion) error {
		answer, err := Ask(t.Context(), query, q.Question, "&partial_response=false&max_source_resolution="+q.resolution)
		if err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		lock.Lock()
		defer lock.Unlock()
		answers[q] = answer
		return nil
	})
	return answers
}

// rightAnswers makes of what Thanos answers what is right, and fails the test
// where Thanos itself is right by now, or its answers prove nothing.
func rightAnswers(t *testing.T, theirs longAnswers) longAnswers {
	t.Helper()
	right := longAnswers{}
	empty := 0
	for _, q := range longQuestions(longExpressions...) {
		right[q] = theirs[q]
		if theirs[q].Error != "" {
			t.Errorf("Thanos answers %s with an error %q", q, theirs[q].Error)
		}
		if len(theirs[q].Lines) == 0 {
			empty++
		}
		coarse := longQuestion{q.Question, "1h"}
		if q.resolution == "0s" && q.Expr == longExpressions[0] && theirs[q].Differs(theirs[coarse]) == "" {
			t.Errorf("%s is answered from raw samples too", coarse)
		}
	}
	if empty > len(right)/20 {
		t.Errorf("Thanos answers nothing to %d questions of %d", empty, len(right))
	}
	starts := strings.NewReplacer(`"-1.7976931348623157e+308"`, `"-Inf"`, `"1.7976931348623157e+308"`, `"+Inf"`)
	for _, q := range longQuestions(infinities...) {
		answer := theirs[q]
		answer.Lines = slices.Clone(answer.Lines)
		for i, line := range answer.Lines {
			answer.Lines[i] = starts.Replace(line)
		}
		right[q] = answer
		if q.resolution != "0s" && q.Start != longFrom+14*day && right[q].Differs(theirs[q]) == "" {
			t.Errorf("Thanos answers %s without the float that it starts with", q)
		}
	}
	for _, q := range longQuestions(missing) {
		answerable := q
		answerable.Expr = present
		right[q] = theirs[answerable]
		if q.resolution != "0s" && q.Step > 0 && theirs[q].Error == "" {
			t.Errorf("Thanos answers %s without an error", q)
		}
	}
	return right
}

// compareLong compares answers, but for those to some expressions.
func compareLong(t *testing.T, got, want longAnswers, but ...string) {
	t.Helper()
	wrong := 0
	for q, right := range want {
		if slices.Contains(but, q.Expr) {
			continue
		}
		if diff := got[q].Differs(right); diff != "" {
			if wrong++; wrong <= 6 {
				t.Errorf("%s: %s", q, diff)
			}
		}
	}
	if wrong > 6 {
		t.Errorf("and %d more of %d", wrong-6, len(want))
	}
}

// TestLongRangesAreAnsweredAsThanosDoes compares compactors and stores on the
// long history: Thanos's of either after Thanos's and after ours, and ours after
// ours and after both; all asked by Thanos Query, of three resolutions.
func TestLongRangesAreAnsweredAsThanosDoes(t *testing.T) {
	source := startLong(t)
	whole := []string{"raw 0–14", "5m 0–14", "1h 0–14", "raw 14–16", "5m 14–16", "raw 16–18", "5m 16–18", "raw 18–19", "raw 19–20"}
	settled := func(t *testing.T, s *stack, folders ...string) *stack {
		t.Helper()
		s.removeMarked(t)
		var spans []string
		for _, folder := range folders {
			spans = append(spans, s.spans(t, folder)...)
		}
		want := slices.Clone(whole)
		slices.Sort(spans)
		slices.Sort(want)
		if !slices.Equal(spans, want) {
			t.Fatalf("the bucket holds %v, not %v", spans, want)
		}
		return s
	}

	theirs := source.copied(t)
	theirs.compactWithThanos(t)
	theirStore := settled(t, theirs, "").startThanosStore(t)
	want := theirs.askLong(t, theirStore)
	right := rightAnswers(t, want)
	if t.Failed() {
		return
	}
	t.Run("parquet", func(t *testing.T) {
		ours := source.copied(t)
		ours.compact(t)
		store := settled(t, ours, "", "parquet").startStore(t)
		compareLong(t, ours.askLong(t, store), right)
		compareAggregates(t, store, theirStore)
	})
	t.Run("tsdb", func(t *testing.T) {
		ours := source.copied(t)
		ours.compact(t, "--compact.output=tsdb")
		settled(t, ours, "").verifyWithThanos(t)
		t.Run("served by Thanos", func(t *testing.T) {
			store := ours.startThanosStore(t)
			compareLong(t, ours.askLong(t, store), right, missing)
			compareAggregates(t, store, theirStore)
		})
		t.Run("served by Varve", func(t *testing.T) {
			store := ours.startStore(t)
			compareLong(t, ours.askLong(t, store), right)
			compareAggregates(t, store, theirStore)
		})
	})

	// Blocks of two days, of which those of fourteen are made then.
	days := source.copied(t)
	days.compactWithThanos(t, "--debug.max-compaction-level=3")
	days.removeMarked(t)
	theirs = days.copied(t)
	theirs.compactWithThanos(t)
	theirStore = settled(t, theirs, "").startThanosStore(t)
	want = theirs.askLong(t, theirStore)
	right = rightAnswers(t, want)
	t.Run("half Thanos", func(t *testing.T) {
		ours := days.copied(t)
		ours.compact(t)
		store := settled(t, ours, "", "parquet").startStore(t)
		// What Thanos's downsampler lost of infinities is lost.
		for _, q := range longQuestions(infinities...) {
			right[q] = want[q]
		}
		compareLong(t, ours.askLong(t, store), right)
		compareAggregates(t, store, theirStore)
	})
	t.Run("half Varve", func(t *testing.T) {
		ours := source.copied(t)
		ours.compact(t, "--compact.output=tsdb", "--debug.max-compaction-level=3")
		ours.removeMarked(t)
		ours.compactWithThanos(t)
		store := settled(t, ours, "").startThanosStore(t)
		ours.verifyWithThanos(t)
		// Of infinities either has made a part.
		compareLong(t, ours.askLong(t, store), right, append(infinities, missing)...)
		compareAggregates(t, store, theirStore)
	})
}

// compareAggregates asks two stores for each aggregate alone, and compares the
// chunks. Thanos's gives an error for those that histograms do not have.
func compareAggregates(t *testing.T, ours, theirs string) {
	t.Helper()
	for kind, aggregate := range map[downsample.AggrType]storepb.Aggr{
		downsample.AggrCount: storepb.Aggr_COUNT, downsample.AggrSum: storepb.Aggr_SUM,
		downsample.AggrMin: storepb.Aggr_MIN, downsample.AggrMax: storepb.Aggr_MAX,
		downsample.AggrCounter: storepb.Aggr_COUNTER,
	} {
		selector := `{__name__=~".+"}`
		if aggregate == storepb.Aggr_MIN || aggregate == storepb.Aggr_MAX {
			selector = `{__name__!~"native_.*"}`
		}
		for _, window := range []int64{5 * minute, hour} {
			r := request(t, selector, func(r *storepb.SeriesRequest) {
				r.MinTime, r.MaxTime = longFrom, longTo
				r.MaxResolutionWindow, r.Aggregates = window, []storepb.Aggr{aggregate}
			})
			got, want := aggregates(t, ours, kind, r), aggregates(t, theirs, kind, r)
			if len(want) < 30 {
				t.Errorf("Thanos gives %d series", len(want))
			}
			compareDownsampled(t, got, want)
		}
	}
}

// aggregates reads the chunks of one aggregate, and raw ones, in the order of
// their times.
func aggregates(t *testing.T, address string, kind downsample.AggrType, r *storepb.SeriesRequest) map[string][]downsampledChunk {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	all := map[string][]downsampledChunk{}
	for _, series := range frames(t, storepb.NewStoreClient(connection), r) {
		key := series.PromLabels().String()
		for _, c := range series.Chunks {
			chunk := downsampledChunk{minTime: c.MinTime, maxTime: c.MaxTime}
			for of, part := range []*storepb.Chunk{c.Count, c.Sum, c.Min, c.Max, c.Counter} {
				if part == nil {
					continue
				}
				if downsample.AggrType(of) != kind {
					t.Errorf("%s: a chunk of %s for one of %s", key, downsample.AggrType(of), kind)
				}
				if chunk.aggregates[of], err = DecodeChunk(chunkenc.Encoding(part.Type+1), part.Data); err != nil {
					t.Fatal(err)
				}
			}
			// Raw samples, where nothing coarser is: they are compared elsewhere.
			if c.Raw == nil {
				all[key] = append(all[key], chunk)
			}
		}
		slices.SortFunc(all[key], func(a, b downsampledChunk) int { return int(a.minTime - b.minTime) })
	}
	return all
}
