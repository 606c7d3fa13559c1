package interop

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// The history lies on both sides of an instant where a window of eight hours
// and one of two days begin, so that compaction finds two complete windows and
// newest blocks that it has to leave alone:
//
//	-8h                        Middle                      +8h    +12h
//	 | four blocks, by promtool  | four, by the block writer | two  |
//
// All times are in milliseconds; HistoryStart is inclusive, HistoryEnd is not.
const (
	hour   = int64(time.Hour / time.Millisecond)
	minute = int64(time.Minute / time.Millisecond)
	second = int64(time.Second / time.Millisecond)

	Middle        = int64(1700006400000) // 2023-11-15T00:00:00Z
	HistoryStart  = Middle - 8*hour
	HistoryEnd    = Middle + 12*hour
	BlockDuration = 2 * hour
)

// Sample is a float, or a native histogram when one of the two is not nil.
type Sample struct {
	T  int64
	V  float64
	H  *histogram.Histogram
	FH *histogram.FloatHistogram
}

// Series is one series with its samples in the order of time.
type Series struct {
	Labels  labels.Labels
	Samples []Sample
}

// Same tells whether two samples are equal to the last bit, so that one NaN is
// not taken for another (a stale marker is a NaN). The counter reset hint of a
// histogram is no part of the sample: it depends on where chunks were cut.
func (s Sample) Same(o Sample) bool {
	if s.T != o.T {
		return false
	}
	switch {
	case s.H != nil:
		return o.H != nil && s.H.Equals(o.H)
	case s.FH != nil:
		return o.FH != nil && s.FH.Equals(o.FH)
	}
	return o.H == nil && o.FH == nil && math.Float64bits(s.V) == math.Float64bits(o.V)
}

func (s Sample) String() string {
	switch {
	case s.H != nil:
		return fmt.Sprintf("%d %s", s.T, s.H)
	case s.FH != nil:
		return fmt.Sprintf("%d %s", s.T, s.FH)
	}
	return fmt.Sprintf("%d %v (%#016x)", s.T, s.V, math.Float64bits(s.V))
}

// walk gives the sample of a series at an instant, or false where it has none.
type walk func(t int64) (Sample, bool)

// maker collects series. What a series does depends on its labels alone, so
// adding one to the history leaves the others as they were.
type maker struct {
	series []Series
}

func (m *maker) add(step int64, shape func(r *rand.Rand) walk, pairs ...string) {
	lset := labels.FromStrings(pairs...)
	next := shape(rand.New(rand.NewSource(seed(lset.String()))))
	series := Series{Labels: lset}
	// Each target has its own second of the minute to be scraped.
	offset := seed(lset.Get("job")+"/"+lset.Get("pod")) & math.MaxInt64 % (step / second) * second
	for t := HistoryStart + offset; t < HistoryEnd; t += step {
		if s, ok := next(t); ok {
			s.T = t
			series.Samples = append(series.Samples, s)
		}
	}
	if len(series.Samples) > 0 {
		m.series = append(m.series, series)
	}
}

func seed(text string) int64 {
	hash := fnv.New64a()
	hash.Write([]byte(text))
	return int64(hash.Sum64())
}

func float(v float64) (Sample, bool) { return Sample{V: v}, true }

// restart is where counters begin, and begin again after a reset. It is not
// zero, because near zero Prometheus's rate guesses when a counter began. Thanos
// Query has taken the resets out before that and guesses otherwise; both are
// right, but no two answers would be equal.
const restart = 5000

// counter grows by up to most quarters per sample, and resets once in every few
// hundred samples. A quarter is exact in binary, so that Thanos Query's way of
// taking resets out loses nothing.
func counter(most int) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		total := restart
		return func(int64) (Sample, bool) {
			total += r.Intn(most + 1)
			if r.Intn(400) == 0 {
				total = restart
			}
			return float(float64(total) / 4)
		}
	}
}

func gauge(least, most int) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		v := least + r.Intn(most-least+1)
		return func(int64) (Sample, bool) {
			if r.Intn(3) == 0 {
				v = min(most, max(least, v+r.Intn(2001)-1000))
			}
			return float(float64(v))
		}
	}
}

func temperature(r *rand.Rand) walk {
	v := r.Float64()*50 - 20
	return func(int64) (Sample, bool) {
		v += r.NormFloat64() / 7
		return float(v)
	}
}

func constant(v float64) func(*rand.Rand) walk {
	return func(*rand.Rand) walk {
		return func(int64) (Sample, bool) { return float(v) }
	}
}

// holes leaves gaps of up to most milliseconds in what shape gives.
func holes(most int64, shape func(*rand.Rand) walk) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		next, until := shape(r), int64(0)
		return func(t int64) (Sample, bool) {
			if t >= until && r.Intn(60) == 0 {
				until = t + r.Int63n(most)
			}
			if t < until {
				return Sample{}, false
			}
			return next(t)
		}
	}
}

// during keeps what shape gives between two instants; the second is exclusive.
func during(from, to int64, shape func(*rand.Rand) walk) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		next := shape(r)
		return func(t int64) (Sample, bool) {
			if t < from || t >= to {
				return Sample{}, false
			}
			return next(t)
		}
	}
}

// jobs lets a series live for some minutes, ends it with a stale marker, and
// lets it come back later.
func jobs(shape func(*rand.Rand) walk) func(*rand.Rand) walk {
	return func(r *rand.Rand) walk {
		next, ends, begins := shape(r), int64(0), int64(0)
		return func(t int64) (Sample, bool) {
			switch {
			case t < begins:
				return Sample{}, false
			case ends < begins || ends == 0:
				ends = t + (5+r.Int63n(25))*minute
			case t >= ends:
				begins = t + (5+r.Int63n(40))*minute
				return float(math.Float64frombits(value.StaleNaN))
			}
			return next(t)
		}
	}
}

func cycle(values ...float64) func(*rand.Rand) walk {
	return func(*rand.Rand) walk {
		i := 0
		return func(int64) (Sample, bool) {
			i++
			return float(values[i%len(values)])
		}
	}
}

func nativeHistogram(r *rand.Rand) walk {
	i := int64(0)
	return func(int64) (Sample, bool) {
		if i += r.Int63n(3); r.Intn(300) == 0 {
			i = 0
		}
		return Sample{H: tsdbutil.GenerateTestHistogram(i)}, true
	}
}

func nativeFloatGauge(r *rand.Rand) walk {
	return func(int64) (Sample, bool) {
		return Sample{FH: tsdbutil.GenerateTestGaugeFloatHistogram(r.Int63n(50))}, true
	}
}

// History makes the series; it gives the same ones each time.
func History() []Series {
	m := &maker{}
	httpServers(m)
	latencies(m)
	odd(m)
	for i := range 300 { // many rows with a label of many values
		id := fmt.Sprintf("%04d", i*7)
		m.add(5*minute, gauge(0, 90), "__name__", "tenant_objects", "tenant", id, "tier", []string{"free", "paid", "trial"}[i%3])
	}
	return m.series
}

// httpServers makes what six pods expose, of which three are replaced every
// six hours.
func httpServers(m *maker) {
	for slot := range 6 {
		lives := 1
		if slot%2 == 1 {
			lives = 3
		}
		span := (HistoryEnd - HistoryStart) / int64(lives)
		for life := range lives {
			from := HistoryStart + int64(life)*span
			pod := fmt.Sprintf("web-%d-%c", slot, 'a'+life)
			at := []string{"job", "web", "pod", pod, "az", "eu-" + strconv.Itoa(slot%3)}
			put := func(step int64, shape func(*rand.Rand) walk, pairs ...string) {
				m.add(step, during(from, from+span, shape), append(pairs, at...)...)
			}
			for _, handler := range []string{"/", "/api/orders", "/api/users"} {
				for _, code := range []string{"200", "404", "500"} {
					put(30*second, counter(120), "__name__", "http_requests_total", "handler", handler, "code", code)
				}
			}
			put(30*second, counter(9), "__name__", "process_cpu_seconds_total")
			put(30*second, gauge(1000, 100000), "__name__", "memory_usage_bytes", "zone", "z"+strconv.Itoa(slot%2))
			put(30*second, holes(20*minute, constant(1)), "__name__", "up")
			put(minute, constant(1), "__name__", "build_info", "version", fmt.Sprintf("v1.%d.0", life), "arch", "amd64")
		}
	}
}

// latencies makes a classic histogram, a summary, and native histograms.
func latencies(m *maker) {
	for _, handler := range []string{"/", "/api/orders", "/api/users"} {
		// The buckets have to agree with each other, so all are drawn alike
		// from one seed and each counts up to its own bound.
		bounds := []float64{0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, math.Inf(1)}
		for i, le := range bounds {
			m.add(minute, observations(handler, func(b int, _ float64) float64 {
				if b <= i {
					return 1
				}
				return 0
			}), "__name__", "request_duration_seconds_bucket", "handler", handler, "job", "web", "le", strconv.FormatFloat(le, 'g', -1, 64))
		}
		m.add(minute, observations(handler, func(int, float64) float64 { return 1 }), "__name__", "request_duration_seconds_count", "handler", handler, "job", "web")
		m.add(minute, observations(handler, func(_ int, took float64) float64 { return took }), "__name__", "request_duration_seconds_sum", "handler", handler, "job", "web")
	}
	for _, q := range []string{"0.5", "0.9", "0.99"} {
		m.add(minute, cycle(0.1, 0.2, math.NaN(), math.NaN(), 0.3), "__name__", "rpc_latency_seconds", "quantile", q, "job", "rpc")
	}
	for _, pod := range []string{"web-0-a", "web-2-a", "web-4-a"} {
		m.add(30*second, nativeHistogram, "__name__", "native_latency_seconds", "pod", pod)
	}
	m.add(minute, nativeFloatGauge, "__name__", "native_sizes_bytes", "pod", "web-0-a")
}

// observations counts, over draws that depend on the handler alone, what worth
// gives for the bucket of each draw and the time it stands for.
func observations(handler string, worth func(bucket int, took float64) float64) func(*rand.Rand) walk {
	return func(*rand.Rand) walk {
		r := rand.New(rand.NewSource(int64(len(handler))))
		total := float64(restart)
		return func(int64) (Sample, bool) {
			for range r.Intn(12) {
				bucket := min(r.Intn(8), r.Intn(8))
				total += worth(bucket, float64(int(1)<<bucket)/128)
			}
			if r.Intn(300) == 0 {
				total = restart
			}
			return float(total)
		}
	}
}

// odd makes what breaks things: gaps, stale markers, special floats, names in
// UTF-8, lonely samples, and labels that sort on all sides of external ones.
func odd(m *maker) {
	for _, room := range []string{"cellar", "attic", "lab", "größe/東京"} {
		m.add(15*second, temperature, "__name__", "room_temperature_celsius", "room", room)
	}
	for _, queue := range []string{"mail", "orders", "video"} {
		m.add(30*second, holes(50*minute, gauge(0, 5000)), "__name__", "queue_length", "queue", queue)
	}
	m.add(30*second, during(Middle-hour, Middle+5*hour, gauge(0, 5000)), "__name__", "queue_length", "queue", "short-lived")
	for _, job := range []string{"backup", "report", "rotate"} {
		m.add(30*second, jobs(gauge(1, 3000)), "__name__", "batch_progress", "batch", job)
	}
	m.add(minute, cycle(math.NaN()), "__name__", "odd_values", "kind", "nan")
	m.add(minute, cycle(math.Inf(1)), "__name__", "odd_values", "kind", "inf")
	m.add(minute, cycle(math.Inf(-1)), "__name__", "odd_values", "kind", "-inf")
	m.add(minute, cycle(math.Copysign(0, -1), 0), "__name__", "odd_values", "kind", "zeros")
	m.add(minute, cycle(math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64), "__name__", "odd_values", "kind", "smallest")
	m.add(minute, cycle(math.MaxFloat64, 1, -math.MaxFloat64), "__name__", "odd_values", "kind", "largest")
	m.add(minute, cycle(1, math.NaN(), math.Inf(1), -1.5, math.Inf(-1), 1e-7, 1e21), "__name__", "odd_values", "kind", "mixed")
	m.add(minute, counter(9), "__name__", "http.server.requests", "service.name", "größe/東京", "region", "eu")
	m.add(minute, counter(9), "__name__", "http.server.requests", "service.name", `say "hi" \ `+"\n", "region", "eu")
	m.add(minute, counter(9), "__name__", "http.server.requests", "service.name", "plain")
	m.add(7*minute+13*second, counter(1000), "__name__", "slow_total", "source", "meter")
	m.add(hour, gauge(0, 9), "__name__", "hourly")
	m.add(minute, during(Middle+hour, Middle+hour+minute, constant(42)), "__name__", "once")
	m.add(minute, holes(3*hour, constant(1)), "__name__", "up", "job", "flaky")
	for i, pairs := range [][]string{
		{}, {"b", "1"}, {"b", "2"}, {"b", "1", "d", "1"}, {"d", "1"}, {"d", "2", "z", "1"},
		{"cluster_name", "x"}, {"replica_id", "x"}, {"s", "1"}, {"z", "1"}, {"Zone", "1"}, {"Zone", "1", "z", "1"},
	} {
		m.add(2*minute, constant(float64(i)), append([]string{"__name__", "sorted_around"}, pairs...)...)
	}
}
