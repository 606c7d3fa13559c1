package interop

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// span is what a collector gets of one, and of which process.
type span struct {
	service, name, trace, id, parent string
	attributes                       map[string]string
}

// collector takes spans by OTLP over gRPC.
type collector struct {
	otlp.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []span
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	otlp.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

func (c *collector) Export(_ context.Context, request *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, one := range resource.Resource.Attributes {
			if one.Key == "service.name" {
				service = one.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, got := range scope.Spans {
				c.spans = append(c.spans, read(service, got))
			}
		}
	}
	return &otlp.ExportTraceServiceResponse{}, nil
}

func read(service string, got *trace.Span) span {
	attributes := map[string]string{}
	for _, one := range got.Attributes {
		attributes[one.Key] = one.Value.GetStringValue()
	}
	return span{
		service: service, name: got.Name, attributes: attributes,
		trace: hex.EncodeToString(got.TraceId), id: hex.EncodeToString(got.SpanId),
		parent: hex.EncodeToString(got.ParentSpanId),
	}
}

// config is the argument that sends spans there; the sampler samples nothing
// by itself if it is "parentbasedneversample".
func (c *collector) config(service, sampler string) string {
	return fmt.Sprintf("--tracing.config={type: OTLP, config: {client_type: grpc, insecure: true, endpoint: '%s', service_name: %s, sampler_type: %s}}",
		c.address, service, sampler)
}

// path gives the names from the root of a trace down to a span; nothing while
// one on the way has not come.
func (c *collector) path(of span) []string {
	names := []string{of.service + " " + of.name}
	for of.parent != "" && of.parent != strings.Repeat("0", 16) {
		at := slices.IndexFunc(c.spans, func(other span) bool { return other.trace == of.trace && other.id == of.parent })
		if at < 0 {
			return nil
		}
		of = c.spans[at]
		names = append(names, of.service+" "+of.name)
	}
	slices.Reverse(names)
	return names
}

// await gives the path to a span of a service with this name, whose trace
// begins in Thanos Query.
func (c *collector) await(t *testing.T, service, name string) ([]string, span) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		c.mu.Lock()
		for _, one := range c.spans {
			if one.service != service || one.name != name {
				continue
			}
			if path := c.path(one); len(path) > 0 && strings.HasPrefix(path[0], "query ") {
				c.mu.Unlock()
				return path, one
			}
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.spans {
		t.Logf("%s %s %s %s below %s", one.trace, one.id, one.service, one.name, one.parent)
	}
	t.Fatalf("no trace leads from the query to %s of %s", name, service)
	return nil, span{}
}

// recording starts a proxy to a server, which keeps the last traceparent of
// each path.
func recording(t *testing.T, server string) (string, *sync.Map) {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	seen, to := &sync.Map{}, httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.URL.Path, r.Header.Get("traceparent"))
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, seen
}

// TestATraceLeadsFromTheQuerierToEachReadOfTheBucket has Thanos Query, a store
// gateway and a sidecar send spans to one collector.
func TestATraceLeadsFromTheQuerierToEachReadOfTheBucket(t *testing.T) {
	c := startCollector(t)
	s := sampleStack(t)
	s.startPrometheus(t)
	prometheus, seen := recording(t, s.prometheus)
	// Neither decides anything: what is sampled, the querier has sampled.
	store := s.startStore(t, c.config("store", "parentbasedneversample"))
	address, sidecar := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "sidecar", varve(t), "sidecar", "--prometheus.url="+prometheus, "--tsdb.path="+s.data,
		"--http-address="+address, "--grpc-address="+sidecar, c.config("sidecar", "parentbasedneversample"),
	).AwaitReady(t, "http://"+address+"/-/ready")
	query := s.startQueryOver(t, []string{store, sidecar}, c.config("query", "alwayssample"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := get(ctx, query+"/api/v1/query_range?query=up&start=1763856000&end=1763863200&step=600"); err != nil {
		t.Fatal(err)
	}

	path, read := c.await(t, "store", "bucket_getrange")
	for _, name := range []string{"query /thanos.Store/Series", "store /thanos.Store/Series", "store bucket_store_block_series"} {
		if !slices.Contains(path, name) {
			t.Errorf("%s is not on the path to the bucket: %q", name, path)
		}
	}
	if read.attributes["name"] == "" {
		t.Errorf("a read of the bucket without the name of its object: %v", read)
	}
	path, read = c.await(t, "sidecar", "/api/v1/read HTTP[client]")
	for _, name := range []string{"query /thanos.Store/Series", "sidecar /thanos.Store/Series", "sidecar query_prometheus"} {
		if !slices.Contains(path, name) {
			t.Errorf("%s is not on the path to Prometheus: %q", name, path)
		}
	}
	want := "00-" + read.trace + "-" + read.id + "-01"
	if got, _ := seen.Load("/api/v1/read"); got != want {
		t.Errorf("Prometheus got the traceparent %q, want %q", got, want)
	}
	// Heartbeats are of no trace.
	if got, _ := seen.Load("/api/v1/status/config"); got != "" {
		t.Errorf("a heartbeat has the traceparent %q", got)
	}
}
