package interop

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
)

// deployed is what a user takes into their cluster.
const deployed = "../../deploy"

// ruleFiles are those with alerts; each has a file of tests with its name.
func ruleFiles(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(glob(t, filepath.Join(deployed, "prometheus", "*.yaml")), func(file string) bool {
		return filepath.Base(file) == "kustomization.yaml"
	})
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

// alerts are the rules of all files by their names.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	all := map[string]rulefmt.Rule{}
	for _, file := range ruleFiles(t) {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				if _, known := all[rule.Alert]; known || rule.Alert == "" {
					t.Fatalf("%s: %q is no alert, or there are two of it", file, rule.Alert)
				}
				all[rule.Alert] = rule
			}
		}
	}
	return all
}

func TestAlertsFireAndEndAsTheirTestsSay(t *testing.T) {
	files := ruleFiles(t)
	Run(t, peer(t, "promtool"), append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files...)...)
	Run(t, peer(t, "promtool"), "check", "config", "--syntax-only",
		filepath.Join(deployed, "kubernetes", "sidecar", "prometheus.yml"))
	var tests []string
	for _, file := range files {
		tests = append(tests, filepath.Join(filepath.Dir(file), "tests", filepath.Base(file)))
	}
	Run(t, peer(t, "promtool"), append([]string{"test", "rules"}, tests...)...)

	fires, ends := firings(t, tests)
	for name, rule := range alerts(t) {
		if len(fires[name]) == 0 || !ends[name] {
			t.Errorf("%s: no test in which it fires, or none in which it does not", name)
		}
		for _, label := range templateLabels(rule) {
			for _, fired := range fires[name] {
				if !fired.Has(label) {
					t.Errorf("%s: its texts use $labels.%s, and it fires as %s", name, label, fired)
				}
			}
		}
	}
}

// firings gives the labels with which alerts fire in files of promtool's
// tests, and the alerts that are expected not to fire in some.
func firings(t *testing.T, files []string) (map[string][]labels.Labels, map[string]bool) {
	t.Helper()
	fires, silent := map[string][]labels.Labels{}, map[string]bool{}
	for _, file := range files {
		var tests struct {
			Tests []struct {
				Exprs []struct {
					Expr string
					Exp  []struct{ Labels string } `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range tests.Tests {
			for _, expr := range test.Exprs {
				for _, sample := range expr.Exp {
					fired := parseMetric(t, sample.Labels)
					fires[fired.Get("alertname")] = append(fires[fired.Get("alertname")], fired)
				}
				if len(expr.Exp) == 0 {
					silent[parseMetric(t, expr.Expr).Get("alertname")] = true
				}
			}
		}
	}
	return fires, silent
}

func parseMetric(t *testing.T, text string) labels.Labels {
	t.Helper()
	metric, err := parser.ParseMetric(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return metric
}

var templateLabel = regexp.MustCompile(`\$labels\.(\w+)`)

func templateLabels(rule rulefmt.Rule) []string {
	used := map[string]bool{}
	for _, text := range rule.Annotations {
		for _, found := range templateLabel.FindAllStringSubmatch(text, -1) {
			used[found[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		sections[name] = body
	}
	all := alerts(t)
	for name, rule := range all {
		if want := "docs/runbooks.md#" + strings.ToLower(name); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, not %q", name, rule.Annotations["runbook_url"], want)
		}
		body, found := sections[name]
		if !found {
			t.Errorf("docs/runbooks.md has no section %s", name)
		}
		for _, part := range []string{"**Means**", "**Users see**", "**Look", "end**:"} {
			if found && !strings.Contains(body, part) {
				t.Errorf("docs/runbooks.md: %s lacks %s", name, part)
			}
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", name)
		}
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity is %q", name, severity)
		}
	}
	for name := range sections {
		if _, found := all[name]; !found {
			t.Errorf("docs/runbooks.md has a section %s, and there is no such alert", name)
		}
	}
}

// alertQueries are the expressions of all alerts.
func alertQueries(t *testing.T) map[string][]string {
	t.Helper()
	queries := map[string][]string{}
	for name, rule := range alerts(t) {
		key := fmt.Sprintf("alert %s", name)
		queries[key] = append(queries[key], rule.Expr)
	}
	return queries
}
