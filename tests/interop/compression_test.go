package interop

import (
	"encoding/json"
	"testing"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"

	_ "github.com/thanos-io/thanos/pkg/extgrpc/snappy"
)

// TestQuerierAndStoreAgreeOnACompression asks the same through a querier that
// compresses its requests, and one that does not, and asks every service as
// gRPC for Go does.
func TestQuerierAndStoreAgreeOnACompression(t *testing.T) {
	s := sampleStack(t)
	store := s.startStore(t)

	plain := s.startQuery(t, store, "--grpc-compression=none")
	snappy := s.startQuery(t, store, "--grpc-compression=snappy")
	for _, path := range []string{
		"/api/v1/label/__name__/values",
		"/api/v1/labels",
		"/api/v1/series?match[]={__name__!=%22%22}",
		"/api/v1/query_range?query={__name__!=%22%22}&start=1763856000&end=1763899200&step=300",
	} {
		want, err := get(t.Context(), plain+path)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data     json.RawMessage
			Warnings []string
		}
		if err := json.Unmarshal(want, &answer); err != nil || len(answer.Data) < 100 || len(answer.Warnings) > 0 {
			t.Fatalf("%s: %.200s, %v", path, want, err)
		}
		if got, err := get(t.Context(), snappy+path); err != nil || !sameData(got, want) {
			t.Errorf("%s in snappy: %.200s, %v, expected %.200s", path, got, err, want)
		}
	}

	for _, name := range []string{"gzip", "snappy"} {
		connection, err := grpc.NewClient(store, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.UseCompressor(name)))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		info, err := infopb.NewInfoClient(connection).Info(t.Context(), &infopb.InfoRequest{})
		if err != nil || info.ComponentType != "store" {
			t.Errorf("Info in %s: %v, %v", name, info, err)
		}
		health, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil || health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("health in %s: %v, %v", name, health, err)
		}
		client := storepb.NewStoreClient(connection)
		names, err := client.LabelNames(t.Context(), &storepb.LabelNamesRequest{End: 1 << 62})
		if err != nil || len(names.Names) == 0 {
			t.Errorf("LabelNames in %s: %v, %v", name, names, err)
		}
		if got := frames(t, client, request(t, `{__name__!=""}`, func(r *storepb.SeriesRequest) {
			r.MinTime, r.MaxTime = 0, 1<<62
		})); len(got) == 0 {
			t.Errorf("Series in %s: nothing", name)
		}
		if services := learn(t, connection).services; len(services) < 4 {
			t.Errorf("reflection in %s: %v", name, services)
		}
	}
}

// sameData tells whether two answers have the same data and no warnings.
func sameData(got, want []byte) bool {
	var a, b struct {
		Status   string
		Data     any
		Warnings []string
	}
	if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil {
		return false
	}
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return a.Status == "success" && string(one) == string(other)
}
