package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// WriteBlocks writes the history into dir as blocks of two hours: what comes
// before Middle by `promtool tsdb create-blocks-from openmetrics`, the rest by
// Prometheus's block writer. The text can hold neither native histograms nor
// stale markers, so the first half has none.
func WriteBlocks(history []Series, promtool, dir string) error {
	text := filepath.Join(dir, "history.om")
	if err := writeOpenMetrics(history, text); err != nil {
		return err
	}
	out, err := exec.Command(promtool, "tsdb", "create-blocks-from", "--quiet", "openmetrics", text, dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("promtool: %w: %s", err, out)
	}
	if err := os.Remove(text); err != nil {
		return err
	}
	for from := Middle; from < HistoryEnd; from += BlockDuration {
		if err := writeBlock(history, dir, from, from+BlockDuration); err != nil {
			return fmt.Errorf("block at %d: %w", from, err)
		}
	}
	return nil
}

func writeOpenMetrics(history []Series, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	for _, series := range history {
		name := openMetricsSeries(series.Labels)
		for _, s := range series.Samples {
			if s.T >= Middle {
				break
			}
			if s.H != nil || s.FH != nil || value.IsStaleNaN(s.V) {
				continue
			}
			fmt.Fprintf(w, "%s %s %d.%03d\n", name, openMetricsFloat(s.V), s.T/1000, s.T%1000)
		}
	}
	if _, err := io.WriteString(w, "# EOF\n"); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func openMetricsFloat(v float64) string {
	if math.IsInf(v, 0) {
		return map[bool]string{true: "+Inf", false: "-Inf"}[v > 0]
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

var openMetricsEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// openMetricsSeries writes names that are not of the old alphabet in quotes.
func openMetricsSeries(lset labels.Labels) string {
	quote := func(s string) string { return `"` + openMetricsEscape.Replace(s) + `"` }
	name, parts := lset.Get(model.MetricNameLabel), []string(nil)
	if !model.LegacyValidation.IsValidMetricName(name) {
		name, parts = "", []string{quote(name)}
	}
	lset.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		key := l.Name
		if !model.LegacyValidation.IsValidLabelName(key) {
			key = quote(key)
		}
		parts = append(parts, key+"="+quote(l.Value))
	})
	return name + "{" + strings.Join(parts, ",") + "}"
}

func writeBlock(history []Series, dir string, from, to int64) error {
	ctx := context.Background()
	// The head takes samples of the last half of its range only, and here each
	// series comes as a whole after the one before.
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 2*(to-from))
	if err != nil {
		return err
	}
	defer w.Close()
	app := w.Appender(ctx)
	for _, series := range history {
		ref := storage.SeriesRef(0)
		for _, s := range series.Samples {
			if s.T < from || s.T >= to {
				continue
			}
			if s.H != nil || s.FH != nil {
				ref, err = app.AppendHistogram(ref, series.Labels, s.T, s.H, s.FH)
			} else {
				ref, err = app.Append(ref, series.Labels, s.T, s.V)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", series.Labels, err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		return err
	}
	_, err = w.Flush(ctx)
	return err
}

// Samples is what some source holds: by the text of its labels, a series.
type Samples map[string]*Series

// Add appends samples to a series, which it makes when it is new.
func (s Samples) Add(lset labels.Labels, samples ...Sample) {
	key := lset.String()
	if s[key] == nil {
		s[key] = &Series{Labels: lset}
	}
	s[key].Samples = append(s[key].Samples, samples...)
}

// Compare tells the first few differences from what is wanted.
func (s Samples) Compare(want Samples) error {
	var wrong []string
	for key, w := range want {
		g := s[key]
		if g == nil {
			wrong = append(wrong, key+": is missing")
			continue
		}
		if len(g.Samples) != len(w.Samples) {
			wrong = append(wrong, fmt.Sprintf("%s: has %d samples, not %d", key, len(g.Samples), len(w.Samples)))
			continue
		}
		for i := range w.Samples {
			if !g.Samples[i].Same(w.Samples[i]) {
				wrong = append(wrong, fmt.Sprintf("%s: sample %d is %s, not %s", key, i, g.Samples[i], w.Samples[i]))
				break
			}
		}
	}
	for key := range s {
		if want[key] == nil {
			wrong = append(wrong, key+": is not in the source")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%d series differ, among them:\n%s", len(wrong), strings.Join(wrong[:min(5, len(wrong))], "\n"))
}

// ReadBlocks reads whole blocks with Prometheus's tsdb package, in the order
// of their directories' time ranges.
func ReadBlocks(dirs []string) (Samples, error) {
	blocks := make([]*tsdb.Block, 0, len(dirs))
	for _, dir := range dirs {
		block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
		if err != nil {
			return nil, err
		}
		defer block.Close()
		at := len(blocks)
		for at > 0 && blocks[at-1].MinTime() > block.MinTime() {
			at--
		}
		blocks = append(blocks[:at], append([]*tsdb.Block{block}, blocks[at:]...)...)
	}
	all := Samples{}
	for _, block := range blocks {
		querier, err := tsdb.NewBlockQuerier(block, math.MinInt64, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		set := querier.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+"))
		for set.Next() {
			samples, err := drain(set.At().Iterator(nil))
			if err != nil {
				return nil, err
			}
			all.Add(set.At().Labels(), samples...)
		}
		if err := set.Err(); err != nil {
			return nil, err
		}
		if err := querier.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// DecodeChunk gives the samples of a chunk as a block holds it.
func DecodeChunk(encoding chunkenc.Encoding, data []byte) ([]Sample, error) {
	chunk, err := chunkenc.FromData(encoding, data)
	if err != nil {
		return nil, err
	}
	return drain(chunk.Iterator(nil))
}

func drain(it chunkenc.Iterator) ([]Sample, error) {
	var samples []Sample
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		switch kind {
		case chunkenc.ValFloat:
			t, v := it.At()
			samples = append(samples, Sample{T: t, V: v})
		case chunkenc.ValHistogram:
			t, h := it.AtHistogram(nil)
			samples = append(samples, Sample{T: t, H: h})
		case chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			samples = append(samples, Sample{T: t, FH: h})
		}
	}
	return samples, it.Err()
}
