// Scrapetarget serves metrics that depend on nothing but how often they have
// been scraped: counters and native histograms that are reset, special floats,
// series that come and go or are late, a classic histogram, labels that need escaping.
// tests/fixtures/golden/tsdb/prometheus-2.42/make.sh lets an old Prometheus
// scrape it.
package main

import (
	"flag"
	"log"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:19101", "where to listen")
	flag.Parse()
	registry := prometheus.NewRegistry()
	registry.MustRegister(&target{})
	// Old servers ask for the protocol-buffer format, which alone carries
	// native histograms.
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(*address, nil))
}

type target struct {
	scrapes atomic.Int64
}

// Describe tells nothing: which series there are changes from scrape to scrape.
func (*target) Describe(chan<- *prometheus.Desc) {}

func (t *target) Collect(out chan<- prometheus.Metric) {
	n := t.scrapes.Add(1) - 1
	send := func(kind prometheus.ValueType, value float64, name string, pairs ...string) {
		out <- prometheus.MustNewConstMetric(describe(name, pairs), kind, value)
	}
	send(prometheus.CounterValue, float64(n%70*3), "golden_requests_total", "pod", "p0")
	send(prometheus.CounterValue, float64(n*n), "golden_requests_total", "pod", "p1")
	send(prometheus.GaugeValue, math.Sin(float64(n)/10), "golden_temperature", "room", "größe/東京")
	send(prometheus.GaugeValue, float64(n/7), "golden_temperature", "room", "say \"hi\" \\\n")
	send(prometheus.GaugeValue, 42, "golden_constant")
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64, 1}
	send(prometheus.GaugeValue, special[n%int64(len(special))], "golden_special")
	if n/20%2 == 0 {
		send(prometheus.GaugeValue, float64(n), "golden_comes_and_goes")
	}
	// Every other sample is of a time long past: it comes out of order.
	at := time.Now()
	if n%2 == 1 {
		at = at.Add(-17 * time.Second)
	}
	out <- prometheus.NewMetricWithTimestamp(at, prometheus.MustNewConstMetric(
		describe("golden_late", nil), prometheus.GaugeValue, float64(n)))
	out <- prometheus.MustNewConstHistogram(describe("golden_classic", nil), uint64(n), float64(n)/4,
		map[float64]uint64{0.1: uint64(n / 4), 1: uint64(n / 2)})
	out <- native("golden_native", n)
	if n/30%3 != 2 {
		out <- native("golden_native_restarted", n%45)
	}
}

// native counts observations whose buckets move and spread as they get more.
func native(name string, n int64) prometheus.Metric {
	positive, negative, count := map[int]int64{}, map[int]int64{}, uint64(n/3)
	for i := range int(n/25) + 2 {
		positive[i*i-2] = n/2 + int64(i)
		count += uint64(positive[i*i-2])
		if n >= 60 {
			negative[3*i] = n / 5
			count += uint64(negative[3*i])
		}
	}
	metric, err := prometheus.NewConstNativeHistogram(describe(name, nil), count, float64(n)*1.25,
		positive, negative, uint64(n/3), 2, 0.001, time.Time{})
	if err != nil {
		log.Fatal(err)
	}
	return metric
}

func describe(name string, pairs []string) *prometheus.Desc {
	constant := prometheus.Labels{}
	for i := 0; i+1 < len(pairs); i += 2 {
		constant[pairs[i]] = pairs[i+1]
	}
	return prometheus.NewDesc(name, "Depends on the number of scrapes alone.", nil, constant)
}
