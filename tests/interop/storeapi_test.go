package interop

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	_ "github.com/thanos-io/thanos/pkg/extgrpc" // strings of an answer point into its buffer: no pool may take it back
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// selectors are answered by Go's own matchers here and by the store: each kind
// of matcher on labels that all, some or no series have, on external labels,
// and what regular expressions mean to RE2.
var selectors = []string{
	`{__name__="up"}`,
	`{__name__!="up"}`,
	`{__name__=~"up|once|sorted_around"}`,
	`{__name__!~"[a-t].*"}`,
	`{__name__=~".+",pod=""}`,
	`{__name__=~".+",pod!=""}`,
	`{__name__=~".+",pod=~""}`,
	`{__name__=~".+",pod!~""}`,
	`{__name__=~".+",pod=~".*"}`,
	`{__name__=~".+",pod!~".*"}`,
	`{__name__=~".+",pod!~".+"}`,
	`{__name__=~".+",pod=~"web-0-a|"}`,
	`{__name__=~".+",pod!~"web-0-a|"}`,
	`{__name__=~".+",nope=""}`,
	`{__name__=~".+",nope!=""}`,
	`{__name__=~".+",nope=~"x?"}`,
	`{code="200",handler="/",pod="web-0-a"}`,
	`{code=~"2..",code!="200"}`,
	`{code=~"[45]\\d+"}`,
	`{code=~"(4|5)0[04]"}`,
	`{pod=~"(?i:WEB)-0-A"}`,
	`{pod=~"web-[^024]-\\w"}`,
	`{pod=~"web-0"}`,
	`{room=~"gr.*/東京"}`,
	`{room=~"gr..e/\\p{Han}+"}`,
	`{room=~"\\w+"}`,
	`{"service.name"=~".*\n"}`,
	`{"service.name"=~"say \"hi\" \\\\ ."}`,
	`{"service.name"=~"\\Qplain\\E"}`,
	`{tenant=~"0{3}[0-9]"}`,
	`{tenant=~"0{,3}7"}`,
	`{tenant=~"[[a]0-9]*"}`,
	`{tenant=~"00(07|14|21)|0700"}`,
	`{tenant=~"0.*7",tier!~"free|paid"}`,
	`{le=~"\\+Inf|0\\..*"}`,
	`{kind=~"-?inf"}`,
	`{Zone="1"}`,
	`{cluster="eu",__name__="up"}`,
	`{cluster="us",__name__="up"}`,
	`{cluster!="us",replica=~"a|b",__name__="up"}`,
	`{cluster=~"e.",replica!~"b.*",__name__=~"sorted.*"}`,
	`{cluster="",__name__="up"}`,
}

// checkStoreAPI asks a store gateway itself, as Thanos Query does, and compares
// what it gives with the source blocks: to the last bit, and in order.
func (s *stack) checkStoreAPI(t *testing.T, address string) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	store := storepb.NewStoreClient(connection)

	whole := Samples{}
	for _, series := range s.source {
		whole.Add(withExternal(series.Labels), series.Samples...)
	}
	t.Run("every sample of every series", func(t *testing.T) {
		for _, size := range []int64{0, 1, 64} {
			got := series(t, store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) { r.ResponseBatchSize = size }))
			if err := got.Compare(whole); err != nil {
				t.Errorf("with batches of %d: %v", size, err)
			}
		}
	})
	t.Run("a part of the time", func(t *testing.T) {
		for _, span := range [][2]int64{
			{Middle - 90*minute, Middle + 30*minute}, {Middle, Middle}, {Middle - 1, Middle},
			{HistoryStart, HistoryStart + minute}, {HistoryEnd - minute, HistoryEnd}, {HistoryEnd + hour, HistoryEnd + 2*hour},
		} {
			got := series(t, store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) { r.MinTime, r.MaxTime = span[0], span[1] }))
			if err := got.during(span).Compare(whole.during(span)); err != nil {
				t.Errorf("%v: %v", span, err)
			}
		}
	})
	t.Run("without replica labels", func(t *testing.T) {
		got := series(t, store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) {
			r.WithoutReplicaLabels = []string{"cluster", "replica"}
		}))
		if err := got.Compare(s.source); err != nil {
			t.Error(err)
		}
	})
	t.Run("selectors", func(t *testing.T) {
		for _, selector := range selectors {
			want := Samples{}
			matchers := parse(t, selector)
			for _, series := range whole {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(series.Labels.Get(m.Name)) }) {
					want.Add(series.Labels)
				}
			}
			got := series(t, store, request(t, selector, func(r *storepb.SeriesRequest) { r.SkipChunks = true }))
			if err := got.Compare(want); err != nil {
				t.Errorf("%s: %v", selector, err)
			}
		}
	})
	t.Run("a limit", func(t *testing.T) {
		got := series(t, store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) { r.Limit = 7 }))
		if len(got) != 7 {
			t.Errorf("%d series, not 7", len(got))
		}
	})
}

func withExternal(lset labels.Labels) labels.Labels {
	builder := labels.NewBuilder(lset)
	external.Range(func(l labels.Label) { builder.Set(l.Name, l.Value) })
	return builder.Labels()
}

// during keeps the samples of a span, both ends inclusive, and the series that
// have some.
func (s Samples) during(span [2]int64) Samples {
	some := Samples{}
	for _, series := range s {
		for _, sample := range series.Samples {
			if sample.T >= span[0] && sample.T <= span[1] {
				some.Add(series.Labels, sample)
			}
		}
	}
	return some
}

func parse(t *testing.T, selector string) []*labels.Matcher {
	t.Helper()
	matchers, err := parser.ParseMetricSelector(selector)
	if err != nil {
		t.Fatalf("%s: %v", selector, err)
	}
	return matchers
}

func request(t *testing.T, selector string, change func(*storepb.SeriesRequest)) *storepb.SeriesRequest {
	t.Helper()
	matchers, err := storepb.PromMatchersToMatchers(parse(t, selector)...)
	if err != nil {
		t.Fatal(err)
	}
	r := &storepb.SeriesRequest{
		MinTime: HistoryStart, MaxTime: HistoryEnd, Matchers: matchers,
		PartialResponseStrategy: storepb.PartialResponseStrategy_ABORT,
	}
	change(r)
	return r
}

// series reads an answer whole, and fails the test where chunks are not in order
// and as their times and hashes say.
func series(t *testing.T, store storepb.StoreClient, r *storepb.SeriesRequest) Samples {
	t.Helper()
	all := Samples{}
	for _, one := range frames(t, store, r) {
		samples, err := samplesOf(one.Chunks)
		if err != nil {
			t.Fatalf("%s: %v", one.PromLabels(), err)
		}
		all.Add(one.PromLabels().Copy(), samples...)
	}
	return all
}

// frames reads an answer whole, and fails the test where its frames break the
// rules: series in order and each once, batches no bigger than asked for, no
// warnings, no chunks unless they are asked for.
func frames(t *testing.T, store storepb.StoreClient, r *storepb.SeriesRequest) []*storepb.Series {
	t.Helper()
	stream, err := store.Series(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var all []*storepb.Series
	last := labels.EmptyLabels()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if warning := response.GetWarning(); warning != "" {
			t.Fatalf("a warning: %s", warning)
		}
		frame := []*storepb.Series{response.GetSeries()}
		if batch := response.GetBatch(); batch != nil {
			if frame = batch.Series; len(frame) > int(max(1, r.ResponseBatchSize)) {
				t.Fatalf("a batch of %d, not of %d", len(frame), r.ResponseBatchSize)
			}
		}
		for _, one := range frame {
			if one == nil {
				continue // hints
			}
			lset := one.PromLabels().Copy()
			if labels.Compare(last, lset) >= 0 {
				t.Fatalf("%s comes after %s", lset, last)
			}
			last = lset
			if r.SkipChunks && len(one.Chunks) > 0 {
				t.Fatalf("%s has chunks that nobody asked for", lset)
			}
			all = append(all, one)
		}
	}
}

// samplesOf decodes chunks. Those that overlap have to agree.
func samplesOf(chunks []storepb.AggrChunk) ([]Sample, error) {
	var all []Sample
	for i, c := range chunks {
		if c.Raw == nil {
			return nil, fmt.Errorf("chunk %d is not raw", i)
		}
		if i > 0 && c.MinTime < chunks[i-1].MinTime {
			return nil, fmt.Errorf("chunk %d comes too late", i)
		}
		if c.Raw.Hash != 0 && c.Raw.Hash != xxhash.Sum64(c.Raw.Data) {
			return nil, fmt.Errorf("chunk %d has a wrong hash", i)
		}
		samples, err := DecodeChunk(chunkenc.Encoding(c.Raw.Type+1), c.Raw.Data)
		if err != nil {
			return nil, err
		}
		if len(samples) == 0 || samples[0].T != c.MinTime || samples[len(samples)-1].T != c.MaxTime {
			return nil, fmt.Errorf("chunk %d says it has %d…%d, and has %d samples", i, c.MinTime, c.MaxTime, len(samples))
		}
		all = append(all, samples...)
	}
	slices.SortStableFunc(all, func(a, b Sample) int { return int(a.T - b.T) })
	for i := 1; i < len(all); i++ {
		if all[i].T == all[i-1].T && !all[i].Same(all[i-1]) {
			return nil, fmt.Errorf("two samples at one time: %s, %s", all[i-1], all[i])
		}
	}
	return slices.CompactFunc(all, Sample.Same), nil
}

func TestOverlappingChunksHaveToAgree(t *testing.T) {
	chunk := func(v float64) storepb.AggrChunk {
		c := chunkenc.NewXORChunk()
		app, err := c.Appender()
		if err != nil {
			t.Fatal(err)
		}
		app.Append(5, v)
		return storepb.AggrChunk{MinTime: 5, MaxTime: 5, Raw: &storepb.Chunk{Data: c.Bytes()}}
	}
	if samples, err := samplesOf([]storepb.AggrChunk{chunk(1), chunk(1)}); err != nil || len(samples) != 1 {
		t.Errorf("%v, %v", samples, err)
	}
	if _, err := samplesOf([]storepb.AggrChunk{chunk(1), chunk(2)}); err == nil || !strings.Contains(err.Error(), "two samples") {
		t.Errorf("%v", err)
	}
}
