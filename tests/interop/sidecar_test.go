package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestSidecarAnswersAsThanosDoes puts our sidecar and Thanos's beside one
// Prometheus with its history, and a Thanos Query in front of each. PromQL has
// to be answered as by Prometheus itself, and so have statistics; rules,
// alerts, targets, metadata and exemplars as over Thanos's sidecar.
func TestSidecarAnswersAsThanosDoes(t *testing.T) {
	s := newStack(t)
	s.startPrometheusWithRules(t)
	asked := s.askPrometheus(t)

	ours, theirs := s.startSidecar(t, varve(t)), s.startSidecar(t, peer(t, "thanos"))
	query, other := s.startQuery(t, ours), s.startQuery(t, theirs)
	s.checkQuery(t, asked, query)
	t.Run("StoreAPI", func(t *testing.T) { s.checkStoreAPI(t, ours) })
	t.Run("Info", func(t *testing.T) { sameInfo(t, ours, theirs) })

	now := time.Now().Unix()
	exemplars := url.Values{"query": {"demo_seconds_total"},
		"start": {strconv.FormatInt(now-3600, 10)}, "end": {strconv.FormatInt(now+3600, 10)}}
	for _, path := range []string{
		"/api/v1/rules",
		"/api/v1/rules?type=alert",
		"/api/v1/rules?type=record",
		"/api/v1/alerts",
		"/api/v1/targets",
		"/api/v1/targets?state=active",
		"/api/v1/targets?state=dropped",
		"/api/v1/metadata?metric=demo_seconds",
		"/api/v1/metadata?limit=1000",
		"/api/v1/query_exemplars?" + exemplars.Encode(),
	} {
		t.Run(path[:min(len(path), 40)], func(t *testing.T) { sameAnswer(t, query+path, other+path) })
	}
	// Over its own sidecar Thanos gives counts of values as sizes in memory and
	// no chunks.
	statistics := "/api/v1/status/tsdb?limit=5"
	t.Run(statistics, func(t *testing.T) { sameAnswer(t, query+statistics, s.prometheus+statistics) })
}

// startPrometheusWithRules starts one that evaluates rules, keeps exemplars and
// scrapes a target that has some.
func (s *stack) startPrometheusWithRules(t *testing.T) {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		fmt.Fprint(w, "# TYPE demo_seconds counter\n# UNIT demo_seconds seconds\n# HELP demo_seconds Of a demo.\n"+
			"demo_seconds_total{path=\"/\"} 7 # {trace_id=\"abc\"} 0.5\n# EOF\n")
	}))
	t.Cleanup(target.Close)
	rules := filepath.Join(s.dir, "rules.yml")
	s.write(t, rules, `
groups:
  - name: demo
    interval: 1s
    limit: 7
    rules:
      - {record: "demo:up", expr: "sum(up)", labels: {kind: demo}}
      - {alert: Always, expr: "demo_seconds_total > 0", for: 1s, keep_firing_for: 1m, labels: {severity: page}, annotations: {summary: "it is {{ $value }}"}}
      - {alert: Never, expr: "demo_seconds_total < 0"}
  - name: empty
    rules: []
`)
	address, config := FreeAddress(t), filepath.Join(s.dir, "prometheus.yml")
	s.write(t, config, fmt.Sprintf(`
global:
  scrape_interval: 1s
  external_labels: {cluster: %s, replica: %s}
rule_files: [%q]
scrape_configs:
  - job_name: demo
    static_configs: [{targets: [%q]}]
  - job_name: dropped
    static_configs: [{targets: ["localhost:1"]}]
    relabel_configs: [{action: drop, source_labels: [job], regex: dropped}]
  - job_name: away
    static_configs: [{targets: ["127.0.0.1:1"]}]
`, external.Get("cluster"), external.Get("replica"), rules, target.Listener.Addr().String()))
	s.prometheus = "http://" + address
	Start(t, s.dir, "prometheus", peer(t, "prometheus"),
		"--config.file="+config, "--storage.tsdb.path="+s.data, "--web.listen-address="+address,
		"--storage.tsdb.retention.time=10y", "--enable-feature=exemplar-storage",
		"--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h",
	).AwaitReady(t, s.prometheus+"/-/ready")
}

// startSidecar starts a sidecar that only serves, and gives its gRPC address.
func (s *stack) startSidecar(t *testing.T, binary string, more ...string) string {
	t.Helper()
	_, grpc := s.startSidecarWatched(t, binary, more...)
	return grpc
}

// startSidecarWatched gives its HTTP URL too.
func (s *stack) startSidecarWatched(t *testing.T, binary string, more ...string) (string, string) {
	t.Helper()
	http, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, filepath.Base(binary)+"-sidecar", binary, append([]string{"sidecar",
		"--prometheus.url=" + s.prometheus,
		"--tsdb.path=" + s.data, "--http-address=" + http, "--grpc-address=" + grpc,
		"--prometheus.get_config_interval=1s"}, more...)...,
	).AwaitReady(t, "http://"+http+"/-/ready")
	return "http://" + http, grpc
}

// sameInfo compares what two endpoints say of themselves.
func sameInfo(t *testing.T, ours, theirs string) {
	t.Helper()
	info := func(address string) *infopb.InfoResponse {
		info, err := infoOf(t, address)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if got, want := info(ours), info(theirs); !reflect.DeepEqual(got, want) {
		t.Errorf("Info is %v\nnot %v", got, want)
	}
}

// infoOf asks an endpoint what it is.
func infoOf(t *testing.T, address string) (*infopb.InfoResponse, error) {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return infopb.NewInfoClient(connection).Info(t.Context(), &infopb.InfoRequest{})
}

// sameAnswer asks both until they answer alike, for what they tell changes with
// every scrape; times of scrapes and evaluations are not compared.
func sameAnswer(t *testing.T, ours, theirs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/3)
	defer cancel()
	var got, want string
	for {
		got, want = told(t, ours), told(t, theirs)
		if got == want && len(want) > 60 {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s:\n   is %.3000s\n  not %.3000s", ours, got, want)
		}
	}
}

// told reads an answer, without the times at which something was done.
func told(t *testing.T, url string) string {
	t.Helper()
	text, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var answer any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(timeless(answer))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func timeless(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range []string{"evaluationTime", "lastEvaluation", "lastScrape", "lastScrapeDuration", "maxTime"} {
			if _, there := value[name]; there {
				value[name] = "then"
			}
		}
		for name, inner := range value {
			value[name] = timeless(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = timeless(inner)
		}
		slices.SortStableFunc(value, func(a, b any) int {
			one, _ := json.Marshal(a)
			other, _ := json.Marshal(b)
			return slices.Compare(one, other)
		})
	}
	return value
}
