package interop

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"varve/tests/interop/dashboards"
)

// foreign are the metrics in alerts and dashboards that others export.
var foreign = []string{
	"up", "kube_cronjob_created", "kube_cronjob_spec_suspend", "kube_cronjob_status_last_successful_time",
	"kube_job_failed", "kube_job_owner", "kube_pod_container_resource_limits",
	"prometheus_tsdb_data_replay_duration_seconds",
}

// ofTargets are the labels that scraping adds.
var ofTargets = []string{"job", "instance", "namespace", "pod", "container"}

func TestDashboardsAreThoseOfTheirDescriptions(t *testing.T) {
	folder := filepath.Join(deployed, "grafana")
	all, err := dashboards.Read(filepath.Join(folder, "src"))
	if err != nil {
		t.Fatal(err)
	}
	uids := map[string]bool{}
	for name, dashboard := range all {
		want, err := dashboard.JSON()
		if err != nil {
			t.Fatal(err)
		}
		found, err := os.ReadFile(filepath.Join(folder, name+".json"))
		if err != nil || !bytes.Equal(found, want) || !json.Valid(found) {
			t.Errorf("%s.json is not what src/%s.yaml gives; run `go run ./dashboards/write` (%v)", name, name, err)
		}
		if uids[dashboard.UID] || dashboard.UID == "" {
			t.Errorf("%s: uid %q is empty or taken", name, dashboard.UID)
		}
		uids[dashboard.UID] = true
	}
	if written := glob(t, filepath.Join(folder, "*.json")); len(written) != len(all) {
		t.Errorf("%v were written of %d descriptions", written, len(all))
	}
}

// TestAlertsAndDashboardsReadWhatDaemonsExport starts each daemon with all that
// has metrics of its own, and looks for each selector of each query in what
// they export: the name, and label values such as those of `state`.
func TestAlertsAndDashboardsReadWhatDaemonsExport(t *testing.T) {
	exported := startAndScrape(t)
	queries := alertQueries(t)
	all, err := dashboards.Read(filepath.Join(deployed, "grafana", "src"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dashboard := range all {
		for panel, some := range dashboard.Queries() {
			for _, query := range some {
				query = strings.ReplaceAll(query, "$__rate_interval", "5m")
				queries[panel] = append(queries[panel], strings.ReplaceAll(query, "$job", dashboard.Jobs))
			}
		}
	}
	for where, some := range queries {
		for _, query := range some {
			for _, selector := range selectorsOf(t, query) {
				if !slices.Contains(foreign, selector.Name) && !matchesOne(exported, selector) {
					t.Errorf("%s: no daemon exports %s", where, selector)
				}
			}
		}
	}
}

// selectorsOf gives those of a query, each of one metric.
func selectorsOf(t *testing.T, query string) []*parser.VectorSelector {
	t.Helper()
	expr, err := parser.ParseExpr(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var found []*parser.VectorSelector
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			if selector.Name == "" {
				t.Errorf("%s: %s names no metric", query, selector)
			}
			found = append(found, selector)
		}
		return nil
	})
	return found
}

func matchesOne(exported []labels.Labels, selector *parser.VectorSelector) bool {
	return slices.ContainsFunc(exported, func(series labels.Labels) bool {
		for _, matcher := range selector.LabelMatchers {
			if !slices.Contains(ofTargets, matcher.Name) && !matcher.Matches(series.Get(matcher.Name)) {
				return false
			}
		}
		return true
	})
}

// startAndScrape gives the series that the three daemons export after some
// work: blocks uploaded, merged and asked for.
func startAndScrape(t *testing.T) []labels.Labels {
	t.Helper()
	s := sampleStack(t)
	s.startPrometheus(t)
	newAuthority(t, s.dir, "ca").issue(t, "server", x509.ExtKeyUsageServerAuth, time.Now().Add(-time.Hour))
	web := filepath.Join(s.dir, "web.yml")
	s.write(t, web, "http_server_config: {}\n")
	rules := filepath.Join(s.dir, "rules.yml")
	s.write(t, rules, "- {action: drop, source_labels: [cluster], regex: none}\n")
	at := func(name string) string { return filepath.Join(s.dir, name) }
	start := func(name string, args ...string) string {
		http := FreeAddress(t)
		args = append([]string{name, "--http-address=" + http, "--http.config=" + web,
			"--objstore.config-file=" + s.objstore}, args...)
		Start(t, s.dir, name, varve(t), args...).AwaitReady(t, "http://"+http+"/-/ready")
		return "http://" + http + "/metrics"
	}
	withTLS := func(more ...string) []string {
		return append(more, "--grpc-address="+FreeAddress(t), "--grpc-server-tls-cert="+at("server.pem"),
			"--grpc-server-tls-key="+at("server.key"))
	}
	addresses := []string{
		start("sidecar", withTLS("--prometheus.url="+s.prometheus, "--tsdb.path="+s.data,
			"--reloader.config-file="+at("prometheus.yml"))...),
		start("compact", "--data-dir="+at("compact"), "--wait", "--consistency-delay=0s",
			"--selector.relabel-config-file="+rules),
	}
	plain := FreeAddress(t)
	addresses = append(addresses, start("store", "--data-dir="+at("store"), "--grpc-address="+plain),
		start("store", withTLS("--data-dir="+at("store-tls"))...))
	Run(t, varve(t), "tools", "series", "--endpoint="+plain, `{__name__=~".+"}`)
	var all []labels.Labels
	for _, address := range addresses {
		all = append(all, scrape(t, address)...)
	}
	return all
}

// scrape reads the series of a text of metrics.
func scrape(t *testing.T, url string) []labels.Labels {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, text, err := fetch(ctx, url)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: status %d, %v", url, status, err)
	}
	var all []labels.Labels
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series := line[:strings.LastIndex(line, " ")]
		parsed, err := parser.ParseMetric(series)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %s: %w", url, series, err))
		}
		all = append(all, parsed)
	}
	return all
}
