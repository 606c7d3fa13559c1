package interop

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/thanos-io/thanos/pkg/store/storepb"
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
				if got, want := ours.drawn(t, selector, skip), theirs.drawn(t, selector, skip); got != want {
					t.Errorf("%s, without chunks: %t:\n   is %.600s\n  not %.600s", selector, skip, got, want)
				}
			}
		}
	})
	asked := s.askOf(t, s.startQuery(t, theirs.grpc), "&partial_response=false")
	s.checkQuery(t, asked, s.startQuery(t, ours.grpc))
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
