package interop

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/thanos-io/thanos/pkg/store/storepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestSidecarAnswersBesideAnOldPrometheusAsThanosDoes puts our sidecar and
// Thanos's beside Prometheus 2.42. Its PromQL is older than Thanos Query's and
// it reads no quoted names, so answers are compared with those over Thanos's
// sidecar, and samples with the source blocks.
func TestSidecarAnswersBesideAnOldPrometheusAsThanosDoes(t *testing.T) {
	s := newStack(t)
	s.startPrometheusAt(t, peer(t, "prometheus2"), FreeAddress(t), "--enable-feature=native-histograms")
	ours, theirs := s.startEndpoint(t, varve(t)), s.startEndpoint(t, peer(t, "thanos"))
	t.Run("Info", func(t *testing.T) { sameInfo(t, ours.grpc, theirs.grpc) })
	t.Run("every sample of every series", func(t *testing.T) {
		got := series(t, ours.store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) {
			r.WithoutReplicaLabels = []string{"cluster", "replica"}
		}))
		if err := got.Compare(s.source); err != nil {
			t.Error(err)
		}
	})
	t.Run("selectors", func(t *testing.T) {
		for _, selector := range selectors {
			for _, skip := range []bool{false, true} {
				got, want := ours.drawn(t, selector, skip), theirs.drawn(t, selector, skip)
				// Without chunks Thanos asks an API that refuses to look for
				// series by what they have not.
				if got != want && !(skip && want == codes.InvalidArgument.String()) {
					t.Errorf("%s, without chunks: %t:\n   is %.600s\n  not %.600s", selector, skip, got, want)
				}
			}
		}
	})
	t.Run("names and values", func(t *testing.T) {
		for _, selector := range []string{`{job="web"}`, `{__name__=~"sorted_.*"}`, `{cluster="us"}`, `{no="such"}`} {
			for _, label := range []string{"__name__", "pod", "cluster", "nope"} {
				if got, want := ours.labels(t, selector, label), theirs.labels(t, selector, label); got != want {
					t.Errorf("%s, %s:\n   is %s\n  not %s", selector, label, got, want)
				}
			}
		}
	})
	t.Run("expressions", func(t *testing.T) {
		query, other := s.startQuery(t, ours.grpc), s.startQuery(t, theirs.grpc)
		var questions []Question
		for _, expr := range handPicked {
			questions = append(questions, HandPicked(expr)...)
		}
		var refused atomic.Int64
		parallel(t, questions, func(q Question) error {
			want, err := Ask(t.Context(), other, q, "&partial_response=false")
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			if want.Error != "" {
				refused.Add(1)
				return nil
			}
			got, err := Ask(t.Context(), query, q, "&partial_response=false")
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			if diff := got.Differs(want); diff != "" {
				return fmt.Errorf("%s: %s", q, diff)
			}
			return nil
		})
		if refused.Load() > int64(len(questions)/10) {
			t.Errorf("Thanos refuses %d of %d questions", refused.Load(), len(questions))
		}
	})
}

// labels gives the names of labels of the series that match, and the values of
// one of them.
func (e endpoint) labels(t *testing.T, selector, label string) string {
	t.Helper()
	matchers := request(t, selector, func(*storepb.SeriesRequest) {}).Matchers
	names, err := e.store.LabelNames(t.Context(), &storepb.LabelNamesRequest{
		Start: HistoryStart, End: HistoryEnd, Matchers: matchers,
	})
	if err != nil {
		t.Fatal(err)
	}
	values, err := e.store.LabelValues(t.Context(), &storepb.LabelValuesRequest{
		Label: label, Start: HistoryStart, End: HistoryEnd, Matchers: matchers,
	})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(names.Names)
	slices.Sort(all)
	return fmt.Sprint(slices.Compact(all), values.Values)
}

// drawn gives the labels of the series of an answer, and how many bytes of
// chunks each has, or the code of its error.
func (e endpoint) drawn(t *testing.T, selector string, skip bool) string {
	t.Helper()
	stream, err := e.store.Series(t.Context(), request(t, selector, func(r *storepb.SeriesRequest) { r.SkipChunks = skip }))
	var lines []string
	for err == nil {
		var response *storepb.SeriesResponse
		if response, err = stream.Recv(); err == nil && response.GetSeries() != nil {
			bytes := 0
			for _, chunk := range response.GetSeries().Chunks {
				bytes += len(chunk.Raw.Data)
			}
			lines = append(lines, fmt.Sprintf("%s %d", response.GetSeries().PromLabels(), bytes))
		}
	}
	if !errors.Is(err, io.EOF) {
		return status.Code(err).String()
	}
	return strings.Join(lines, "\n")
}
