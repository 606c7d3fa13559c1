// Headseries makes the folder of a Prometheus whose head has many series, as a
// write-ahead log:
//
//	go run -tags slicelabels ./headseries FOLDER SERIES
//
// There are a thousandth as many metrics; each series is a counter with a
// sample every 15 s of the last 15 minutes.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	step    = 15 * time.Second
	samples = 60
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: headseries FOLDER SERIES")
	}
	series, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := run(context.Background(), os.Args[1], series); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, series int) error {
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	all := make([]labels.Labels, series)
	metrics := max(1, series/1000)
	for i := range all {
		all[i] = labels.FromStrings(
			labels.MetricName, fmt.Sprintf("metric_%03d_total", i%metrics),
			"container", "main", "job", "node", "namespace", fmt.Sprintf("team-%d", i%7),
			"instance", fmt.Sprintf("10.0.%d.%d:9100", i/metrics/250, i/metrics%250),
			"pod", fmt.Sprintf("pod-%05d", i/metrics))
	}
	refs := make([]storage.SeriesRef, series)
	start := time.Now().Add(-samples * step).UnixMilli()
	for n := range samples {
		at := start + int64(n)*step.Milliseconds()
		app := db.Appender(ctx)
		for i := range all {
			// Each grows at a rate of its own, and not evenly.
			value := float64(n*(i%97+1) + (n*i)%13)
			if refs[i], err = app.Append(refs[i], all[i], at+int64(i%1000), value); err != nil {
				return err
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	return db.Close()
}
