// Randomqueries writes testdata/random.promql: random expressions about the
// history, each of which Prometheus's own engine answers. promqlsmith walks Go
// maps, so one seed gives other expressions on each run; therefore they are
// kept, and whoever wants others draws again:
//
//	go run -tags slicelabels ./randomqueries -seed 3 >testdata/random.promql
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/cortexproject/promqlsmith"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"varve/tests/interop"
)

func main() {
	seed := flag.Int64("seed", 3, "where the random numbers begin")
	count := flag.Int("count", 300, "how many expressions")
	promtool := flag.String("promtool", filepath.Join("bin", "promtool"), "promtool's path")
	flag.Parse()
	if err := run(*seed, *count, *promtool); err != nil {
		log.Fatal(err)
	}
}

func run(seed int64, count int, promtool string) error {
	dir, err := os.MkdirTemp("", "randomqueries")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	history := interop.History()
	if err := interop.WriteBlocks(history, promtool, dir); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "wal"), 0o755); err != nil {
		return err
	}
	db, err := tsdb.OpenDBReadOnly(dir, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer db.Close()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: 20 * time.Second, EnableAtModifier: true, EnableNegativeOffset: true,
	})
	smith := promqlsmith.New(rand.New(rand.NewSource(seed)), subjects(history),
		promqlsmith.WithEnableOffset(true), promqlsmith.WithEnableVectorMatching(true),
		promqlsmith.WithEnabledFunctions(functions()), promqlsmith.WithMaxDepth(4))

	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "# %d random expressions of promqlsmith, seed %d: see randomqueries/main.go.\n", count, seed)
	queryable := storage.QueryableFunc(func(from, to int64) (storage.Querier, error) { return db.Querier(from, to) })
	empty, seen := 0, map[string]bool{}
	for len(seen) < count {
		expr := smith.WalkRangeQuery()
		if expr == nil {
			continue
		}
		text := expr.String()
		if seen[text] || strings.ContainsRune(text, '\n') || !strings.Contains(text, "__name__") {
			continue
		}
		if !countersOnly(expr) {
			continue
		}
		series, err := ask(engine, queryable, text)
		if err != nil || len(series) == 0 && empty >= count/6 {
			continue
		}
		if len(series) == 0 {
			empty++
		}
		seen[text] = true
		fmt.Fprintln(out, text)
	}
	return out.Flush()
}

// errOrder is for an expression whose answer is not the same each time, since
// the engine adds up floats in the order of a map.
var errOrder = errors.New("the answer depends on an order")

// ask gives the answer of an expression when that is always the same.
func ask(engine *promql.Engine, queryable storage.Queryable, expr string) (string, error) {
	first := ""
	for round := range 20 {
		q := interop.RandomRange(expr)
		query, err := engine.NewRangeQuery(context.Background(), queryable, nil, expr,
			time.UnixMilli(q.Start), time.UnixMilli(q.End), time.Duration(q.Step)*time.Millisecond)
		if err != nil {
			return "", err
		}
		result := query.Exec(context.Background())
		if result.Err != nil {
			return "", result.Err
		}
		matrix, err := result.Matrix()
		if err != nil {
			return "", err
		}
		sort.Sort(matrix)
		text := matrix.String()
		query.Close()
		if round == 0 {
			first = text
		} else if text != first {
			return "", errOrder
		}
	}
	return first, nil
}

// countersOnly tells whether rate, increase and irate are asked of counters
// alone. Thanos Query takes resets out of what they see, and what is no counter
// has none to take out.
func countersOnly(expr parser.Expr) bool {
	ok := true
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		counter := slices.ContainsFunc(selector.LabelMatchers, func(m *labels.Matcher) bool {
			return m.Name == labels.MetricName && m.Type == labels.MatchEqual && counters[m.Value]
		})
		for _, above := range path {
			if call, is := above.(*parser.Call); is && slices.Contains([]string{"rate", "increase", "irate"}, call.Func.Name) {
				ok = ok && counter
			}
		}
		return nil
	})
	return ok
}

var counters = map[string]bool{
	"http_requests_total": true, "process_cpu_seconds_total": true, "slow_total": true, "native_latency_seconds": true,
	"request_duration_seconds_bucket": true, "request_duration_seconds_count": true, "request_duration_seconds_sum": true,
}

// subjects are at most eight series of a metric, so that no metric outweighs
// the others. promqlsmith cuts values in the middle to make patterns of them,
// so those that a cut would spoil are left out.
func subjects(history []interop.Series) []labels.Labels {
	var some []labels.Labels
	taken := map[string]int{}
	for _, series := range history {
		name, plain := series.Labels.Get(labels.MetricName), true
		series.Labels.Range(func(l labels.Label) {
			for _, c := range l.Name + l.Value {
				plain = plain && c > ' ' && c < 0x7f && !strings.ContainsRune(`\"()[]{}|*?.`, c)
			}
		})
		if taken[name]++; plain && taken[name] <= 8 {
			some = append(some, series.Labels)
		}
	}
	return some
}

// functions are those whose answers do not depend on the server's clock, and
// that Thanos Query leaves as they are.
func functions() []*parser.Function {
	var some []*parser.Function
	for name, f := range parser.Functions {
		switch {
		case f.Experimental, name == "time", name == "resets",
			name == "label_replace", name == "label_join":
		default:
			some = append(some, f)
		}
	}
	return some
}
