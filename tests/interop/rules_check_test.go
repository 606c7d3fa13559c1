package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// differs matches the expressions of which the two verdicts differ, as
// docs/tools.md says: expressions of durations without arithmetic, the words of
// extended ranges as names, and numbers that Go cannot hold.
var differs = regexp.MustCompile(`(?i)step *\(|offset [-+(]*(min|max)\(|anchored|smoothed|9\.5e10|9{100}`)

// templates are annotations of alerts; some of them do not parse.
var templates = []string{
	"", "plain } text {", "{{ $labels.job }} is at {{ $value | humanizePercentage }}",
	"{{- $value -}}", "{{/* none */}}", "{{ if gt $value 5.0 }}a{{ else if true }}b{{ else }}c{{ end }}",
	"{{ with query \"up{job='x'}\" }}{{ . | first | value | humanize }}{{ end }}",
	"{{ range $i, $e := query `up` }}{{ $i }}{{ break }}{{ else }}none{{ end }}",
	"{{ $x := 5 }}{{ $x = 6 }}{{ $x }}", "{{ (index (query \"up\") 0).Value }}",
	"{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" $value }}", "{{ block \"t\" . }}{{ . }}{{ end }}",
	"{{ printf \"%c\" 'x' }} {{ 0x1F }} {{ 1e3 }} {{ -1.5 }} {{ .5 }} {{ 1_000 }}", "{{ $ }}{{ . }}{{ nil | print }}",
	"{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "{{ externalURL }}{{ pathPrefix }}",
	"{{ $value", "{{ }}", "{{ $value | }}", "{{ if }}a{{ end }}", "{{ $label.job }}", "{{ humanise $value }}",
	"{{ if $value }}a", "{{ end }}", "{{ else }}", "{{ if $value }}{{ else }}{{ else }}{{ end }}",
	"{{ range $value }}{{ else if $value }}{{ end }}", "{{ break }}", "{{ range . }}{{ else }}{{ break }}{{ end }}", "{{ range . }}{{ block \"t\" . }}{{ break }}{{ end }}{{ end }}", "{{ $x = 5 }}",
	"{{ if $value }}{{ $x := 1 }}{{ end }}{{ $x }}", "{{ define \"t\" }}{{ $value }}{{ end }}",
	"{{ define t }}{{ end }}", "{{ ($value }}", "{{ $value) }}", "{{ \"a }}", "{{ `a }}", "{{ 'a }}", "{{/* a }}",
	"{{/* a */ b }}", "{{ 1x }}", "{{ $value : 5 }}", "{{ $value # }}", "{{ $value | 5 }}", "{{ \"a\".b }}",
	"{{ $value, 5 }}", "{{ $a-b }}", "{{ \"a\"\"b\" }}", "{{ range $a, $b }}{{ end }}", "{{ nil }}", "{{ 5 6 }}",
	"{{ $labels . }}", "{{ .a.b.c }}", "{{ (.a).b }}", "{{ true.a }}", "{{ 5.a }}", "{{ len.a }}", "{{-$value}}", "{{ $value -}} x",
	"{{ $value }}}", "{{ '\\n' }}", "{{ \"\\x\" }}", "{{ 'ab' }}", "{{ 08 }}", "{{ 08i }}", "{{ \"\\u00e9\\101\" }}", "{{ \"\\'\" }}", "{{ '\\400' }}", "{{ 18446744073709551616 }}", "{{ 1e400 }}", "{{ '' }}", "{{ \"\\ud800\" }}", "{{ 0b12 }}", "{{ 1i }}", "{{ - }}",
}

// TestRulesCheckSaysWhatThanosSays gives both programs the expressions of
// Prometheus's own tests, templates, and whole files, good and bad.
func TestRulesCheckSaysWhatThanosSays(t *testing.T) {
	t.Parallel()
	prometheus := moduleDir(t, "github.com/prometheus/prometheus")
	dir := t.TempDir()
	t.Run("expressions", func(t *testing.T) {
		compareRules(t, dir, expressions(t, prometheus), differs, func(expr string) map[string]any {
			return map[string]any{"record": "r", "expr": expr}
		})
	})
	t.Run("templates", func(t *testing.T) {
		compareRules(t, dir, templates, nil, func(text string) map[string]any {
			return map[string]any{"alert": "a", "expr": "up", "annotations": map[string]string{"text": text}}
		})
	})
	t.Run("files", func(t *testing.T) {
		var files []string
		for _, pattern := range []string{
			filepath.Join(prometheus, "model/rulefmt/testdata/*.yaml"),
			filepath.Join(moduleDir(t, "github.com/thanos-io/thanos"), "examples/alerts/*.yaml"),
			"../../deploy/prometheus/*.yaml",
		} {
			found, err := filepath.Glob(pattern)
			if err != nil || len(found) < 3 {
				t.Fatalf("%s matches %v: %v", pattern, found, err)
			}
			files = append(files, found...)
		}
		for i, text := range []string{
			"", "groups:", "groups: [{name: a}]", "groups: [{rules: []}]", "group: []", "groups: [{name: a, interval: 1.5m}]",
			"groups: [{name: a, interval: 1m30s, query_offset: 5s, limit: 3, labels: {a: 1}, partial_response_strategy: Warn}]",
			"groups: [{name: a, partial_response_strategy: maybe}]", "groups: [{name: a}, {name: a}]", "groups: [",
			"groups: [{name: a, rules: [{record: a, expr: 1}]}]", "groups: [{name: a, rules: [{record: a, expr: 1, for: 0s}]}]",
			"groups: [{name: 5, rules: [{alert: 6, expr: up, labels: {a: 7, b: true}}]}]", "groups: [{name: a, name: b}]",
			"groups: [{name: a, rules: [{alert: a, expr: up, for: 1d12h, keep_firing_for: 5}]}]",
			"groups: [{name: a, rules: [{alert: a, expr: up, labels: {'': b}}]}]",
			"groups: [{name: a, rules: [{alert: a, expr: up, labels: {'a b': c}, annotations: {'d e': f}}]}]",
			"groups: [{name: a, rules: [{record: 'a b', expr: up}]}]",
		} {
			file := filepath.Join(dir, fmt.Sprintf("file-%d.yaml", i))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		good, bad := 0, 0
		for _, file := range files {
			// Prometheus takes its merge keys, Thanos does not.
			if filepath.Base(file) == "test_aliases.yaml" {
				continue
			}
			theirs, told := checkRules(peer(t, "thanos"), file)
			ours, said := checkRules(varve(t), file)
			if theirs != ours {
				text, _ := os.ReadFile(file)
				t.Errorf("thanos: %v, varve: %v of %s\n%.300s\n%s\n%s", theirs, ours, file, text, told, said)
			}
			if theirs {
				good++
			} else {
				bad++
			}
		}
		if good < 5 || bad < 5 {
			t.Errorf("only %d good and %d bad files", good, bad)
		}
	})
}

// compareRules compares which of the rules, made of these texts, each program
// refuses, but for those that differ by intent.
func compareRules(t *testing.T, dir string, texts []string, except *regexp.Regexp, rule func(string) map[string]any) {
	t.Helper()
	var rules []map[string]any
	for _, text := range texts {
		rules = append(rules, rule(text))
	}
	// JSON is YAML.
	group := map[string]any{"groups": []any{map[string]any{"name": "g", "rules": rules}}}
	encoded, err := json.Marshal(group)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	_, told := checkRules(peer(t, "thanos"), file)
	_, said := checkRules(varve(t), file)
	number := regexp.MustCompile(`rule (\d+), `)
	refused := func(text string, first int) map[int]bool {
		numbers := map[int]bool{}
		for _, found := range number.FindAllStringSubmatch(text, -1) {
			n, err := strconv.Atoi(found[1])
			if err != nil {
				t.Fatal(err)
			}
			numbers[n-first] = true
		}
		return numbers
	}
	// Thanos counts from 0.
	theirs, ours := refused(told, 0), refused(said, 1)
	if len(theirs) < 10 || len(theirs) == len(texts) {
		t.Fatalf("thanos refuses %d of %d:\n%.2000s", len(theirs), len(texts), told)
	}
	for i, text := range texts {
		if theirs[i] != ours[i] && (except == nil || !except.MatchString(text)) {
			t.Errorf("refused by thanos: %v, by varve: %v: %s", theirs[i], ours[i], text)
		}
	}
}

// checkRules runs the check of a program, and gives its verdict and all that it
// prints.
func checkRules(program, file string) (good bool, text string) {
	out, err := exec.Command(program, "tools", "rules-check", "--rules="+file).CombinedOutput()
	return err == nil, string(out)
}

// expressions are those of the tests of Prometheus's engine and parser.
func expressions(t *testing.T, prometheus string) []string {
	t.Helper()
	var found []string
	files, err := filepath.Glob(filepath.Join(prometheus, "promql/promqltest/testdata/*.test"))
	if err != nil {
		t.Fatal(err)
	}
	eval := regexp.MustCompile(`(?m)^eval\w* (?:instant at \S+|range from \S+ to \S+ step \S+) (.+)$`)
	input := regexp.MustCompile("input: +(`[^`]*`|\"(?:[^\"\\\\]|\\\\.)*\")")
	for _, file := range append(files, filepath.Join(prometheus, "promql/parser/parse_test.go")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range eval.FindAllSubmatch(text, -1) {
			found = append(found, string(match[1]))
		}
		for _, match := range input.FindAllSubmatch(text, -1) {
			if expr, err := strconv.Unquote(string(match[1])); err == nil && strings.ToValidUTF8(expr, "") == expr {
				found = append(found, expr)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) < 1500 {
		t.Fatalf("only %d expressions", len(found))
	}
	return found
}

// moduleDir is the folder of a module's sources.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
