package interop

import (
	"encoding/json"
	"math"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// found is what export.py prints.
type found struct {
	Series []struct {
		Labels    map[string]string
		Count     int64
		Sum, Last string
		At        int64
	}
	DuckDB, Polars, Pyarrow, Arrow, CSV int64
	Histograms                          int64
	Observations                        float64
}

// TestExportedFilesHoldWhatPromQLAnswers exports a bucket that is half TSDB,
// half Parquet, and asks DuckDB, Polars and pyarrow what PromQL is asked.
func TestExportedFilesHoldWhatPromQLAnswers(t *testing.T) {
	s := startStack(t)
	s.upload(t)
	s.compact(t, "--max-time="+time.UnixMilli(Middle+3*hour).UTC().Format(time.RFC3339))
	query := s.startQuery(t, s.startStore(t))
	end := HistoryEnd - 1

	export := func(name string, more ...string) string {
		out := filepath.Join(s.dir, name)
		Run(t, varve(t), append([]string{"tools", "export", `{__name__=~".+"}`, "--output=" + out,
			"--objstore.config-file=" + s.objstore,
			"--max-time=" + time.UnixMilli(end).UTC().Format(time.RFC3339Nano)}, more...)...)
		return out
	}
	parquet := export("parquet", "--partition=day")
	arrow := export("arrow", "--format=arrow")
	csv := export("csv", "--format=csv")

	got := s.python(t, parquet, arrow, csv)
	all := got.DuckDB
	for name, rows := range map[string]int64{
		"polars": got.Polars, "pyarrow": got.Pyarrow, "arrow": got.Arrow, "csv": got.CSV,
	} {
		if rows != all {
			t.Errorf("%s: %d rows, DuckDB has %d", name, rows, all)
		}
	}
	if got.Histograms == 0 || got.Observations == 0 {
		t.Errorf("%d histograms with %f observations", got.Histograms, got.Observations)
	}

	type sums struct{ count, sum, last map[string]float64 }
	metrics := map[string]sums{}
	var counted int64
	for _, one := range got.Series {
		name := one.Labels[labels.MetricName]
		m, ok := metrics[name]
		if !ok {
			of := func(function string) map[string]float64 { return s.overTime(t, query, function, name, end) }
			m = sums{of("count_over_time"), of("sum_over_time"), of("last_over_time")}
			metrics[name] = m
		}
		counted += one.Count
		delete(one.Labels, labels.MetricName)
		delete(one.Labels, "cluster")
		delete(one.Labels, "replica")
		key := labels.FromMap(one.Labels).String()
		number := func(text string) float64 {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%s%s: %v", name, key, err)
			}
			return value
		}
		for _, c := range []struct {
			what      string
			got, want float64
		}{
			{"count", float64(one.Count), m.count[key]},
			{"sum", number(one.Sum), m.sum[key]},
			{"last", number(one.Last), m.last[key]},
		} {
			if !alike(c.got, c.want) {
				t.Errorf("%s%s: %s %v, PromQL answers %v", name, key, c.what, c.got, c.want)
			}
		}
	}
	if counted+got.Histograms != all {
		t.Errorf("%d floats and %d histograms, %d rows", counted, got.Histograms, all)
	}
	t.Logf("%d series, %d rows", len(got.Series), all)
}

// overTime asks for a function over the whole history of a metric's floats, by
// labels without the name.
func (s *stack) overTime(t *testing.T, base, function, name string, end int64) map[string]float64 {
	t.Helper()
	expr := function + `({__name__=` + strconv.Quote(name) + `}[30d])`
	text, err := get(t.Context(), base+"/api/v1/query?"+url.Values{
		"query": {expr}, "time": {strconv.FormatFloat(float64(end)/1000, 'f', 3, 64)},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status   string
		Error    string
		Warnings []string
		Data     struct {
			Result []struct {
				Metric map[string]string
				Value  []any
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 || len(answer.Data.Result) == 0 {
		t.Errorf("%s: %s", expr, text)
	}
	values := map[string]float64{}
	for _, one := range answer.Data.Result {
		if len(one.Value) < 2 {
			continue
		}
		delete(one.Metric, labels.MetricName)
		value, err := strconv.ParseFloat(one.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		values[labels.FromMap(one.Metric).String()] = value
	}
	return values
}

// alike says whether two sums of the same numbers, perhaps added up in another
// order, are the same.
func alike(a, b float64) bool {
	if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return math.IsNaN(a) == math.IsNaN(b) && (a == b || math.IsNaN(a))
	}
	return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b), 1e-300)
}

// python runs export.py with the packages that it needs, in an environment of
// its own.
func (s *stack) python(t *testing.T, folders ...string) found {
	t.Helper()
	env := filepath.Join(s.dir, "venv")
	Run(t, "python3", "-m", "venv", env)
	Run(t, filepath.Join(env, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check",
		"--requirement", filepath.Join("testdata", "requirements.txt"))
	cmd := exec.CommandContext(t.Context(), filepath.Join(env, "bin", "python"),
		append([]string{filepath.Join("testdata", "export.py")}, folders...)...)
	out, err := cmd.Output()
	if err != nil {
		text := err.Error()
		if exit, ok := err.(*exec.ExitError); ok {
			text += "\n" + string(exit.Stderr)
		}
		t.Fatal(text)
	}
	var got found
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}
