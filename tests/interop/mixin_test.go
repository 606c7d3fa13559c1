package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mixinMetric is a metric that Thanos's mixin looks at.
type mixinMetric struct {
	component, name string
	labels          []string
	expected        string
}

// mixinMetrics reads the list of them.
func mixinMetrics(t *testing.T) []mixinMetric {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mixin_metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var metrics []mixinMetric
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) != 4 {
			t.Fatalf("expected four fields, found %q", line)
		}
		metric := mixinMetric{component: fields[0], name: fields[1], expected: fields[3]}
		if fields[2] != "-" {
			metric.labels = strings.Split(fields[2], ",")
		}
		metrics = append(metrics, metric)
	}
	return metrics
}

// query is what asks for it, of the job that Thanos's mixin would find too.
func (m mixinMetric) query() string {
	conditions := fmt.Sprintf("job=%q", "thanos-"+m.component)
	for _, label := range m.labels {
		conditions += "," + label + `!=""`
	}
	query := fmt.Sprintf("%s{%s}", m.name, conditions)
	if m.expected == "moves" {
		query += " > 0"
	}
	return query
}

// TestMetricsOfThanosMixinHaveData lets a real Prometheus scrape the three
// daemons after each has worked, and looks for each metric of the mixin.
func TestMetricsOfThanosMixinHaveData(t *testing.T) {
	s := &stack{dir: t.TempDir()}
	bucket := filepath.Join(s.dir, "bucket")
	if err := os.Mkdir(bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	s.objstore = filepath.Join(s.dir, "objstore.yml")
	s.write(t, s.objstore, fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", bucket))
	s.data = filepath.Join(s.dir, "prometheus")
	if err := os.CopyFS(s.data, os.DirFS(filepath.Join("..", "fixtures", "sample"))); err != nil {
		t.Fatal(err)
	}
	s.startPrometheus(t)

	sidecarHTTP, sidecarGRPC := s.startSidecarWatched(t, varve(t), "--objstore.config-file="+s.objstore,
		"--shipper.upload-compacted")
	compactHTTP, storeHTTP, storeGRPC := FreeAddress(t), FreeAddress(t), FreeAddress(t)
	scraping := FreeAddress(t)
	s.write(t, filepath.Join(s.dir, "scraping.yml"), fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: thanos-sidecar, static_configs: [{targets: [%q]}]}
  - {job_name: thanos-compact, static_configs: [{targets: [%q]}]}
  - {job_name: thanos-store, static_configs: [{targets: [%q]}]}
`, strings.TrimPrefix(sidecarHTTP, "http://"), compactHTTP, storeHTTP))
	prometheus := Start(t, s.dir, "scraping", peer(t, "prometheus"),
		"--config.file="+filepath.Join(s.dir, "scraping.yml"),
		"--storage.tsdb.path="+filepath.Join(s.dir, "scraped"), "--web.listen-address="+scraping)
	prometheus.AwaitReady(t, "http://"+scraping+"/-/ready")
	has := func(query string) func(context.Context) error {
		return func(ctx context.Context) error { return hasData(ctx, scraping, query) }
	}
	prometheus.Await(t, "uploads", has(`thanos_shipper_uploads_total > 5`))

	compact := Start(t, s.dir, "compact", varve(t), "compact", "--wait", "--data-dir="+filepath.Join(s.dir, "compact"),
		"--objstore.config-file="+s.objstore, "--consistency-delay=0s", "--http-address="+compactHTTP)
	compact.Await(t, "compactions", has(`sum(thanos_compact_group_compactions_total) > 0`))

	Start(t, s.dir, "store", varve(t), "store", "--data-dir="+filepath.Join(s.dir, "store"),
		"--objstore.config-file="+s.objstore, "--http-address="+storeHTTP, "--grpc-address="+storeGRPC,
	).AwaitReady(t, "http://"+storeHTTP+"/-/ready")
	query := s.startQueryOver(t, []string{storeGRPC, sidecarGRPC})
	// Twice, so that some of it is in memory.
	for range 2 {
		const path = `/api/v1/query_range?query=count({__name__!=""})&start=1763856000&end=1763863200&step=600`
		if text, err := get(t.Context(), query+path); err != nil || !strings.Contains(string(text), `"values"`) {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := get(t.Context(), query+"/api/v1/labels?start=1763856000&end=1763863200"); err != nil {
			t.Fatal(err)
		}
	}

	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range mixinMetrics(t) {
		switch metric.expected {
		case "there", "moves":
			prometheus.Await(t, metric.query(), has(metric.query()))
		case "none":
			if err := hasData(t.Context(), scraping, metric.query()); err == nil {
				t.Errorf("%s has data now", metric.name)
			}
			if !strings.Contains(string(docs), "`"+metric.name+"`") {
				t.Errorf("docs/metrics.md does not name %s", metric.name)
			}
		default:
			t.Errorf("unknown expectation %q", metric.expected)
		}
	}
}

// hasData asks a Prometheus whether a query gives anything.
func hasData(ctx context.Context, address, query string) error {
	text, err := get(ctx, "http://"+address+"/api/v1/query?query="+url.QueryEscape(query))
	if err != nil {
		return err
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if len(answer.Data.Result) == 0 {
		return errors.New("no data")
	}
	return nil
}
