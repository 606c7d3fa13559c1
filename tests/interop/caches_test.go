package interop

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sharedCache is a running server of a cache, and the YAML that leads to it.
type sharedCache struct {
	yaml    string
	servers []*Process
}

// TestStoresShareACache lets one store fill a real server of a cache, asks
// another one, which has nothing of its own, and asks a third one after the
// server was killed. All answers are those of Prometheus.
func TestStoresShareACache(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)
	s.upload(t)
	s.compact(t)
	ca := newAuthority(t, s.dir, "cache-ca")
	ca.issue(t, "cache", x509.ExtKeyUsageServerAuth, time.Now().Add(-time.Hour))
	ca.issue(t, "store", x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Hour))
	for _, one := range []struct {
		name, client string
		start        func(*testing.T) sharedCache
	}{
		{"memcached", "memcached", s.startMemcached},
		{"redis", "redis", s.startRedis},
		{"redis of sentinels", "redis", s.startSentinel},
	} {
		t.Run(one.name, func(t *testing.T) {
			cache := one.start(t)
			first, metrics := s.startCachedStore(t, cache.yaml)
			s.checkQuery(t, asked, s.startQuery(t, first))
			fetched := metric(t, metrics, "thanos_objstore_bucket_operations_total", `operation="get_range"`)
			if kept := metric(t, metrics, "thanos_"+one.client+"_operations_total", `operation="set"`); kept == 0 {
				t.Error("nothing was kept")
			}
			second, metrics := s.startCachedStore(t, cache.yaml)
			s.checkQuery(t, asked, s.startQuery(t, second))
			again := metric(t, metrics, "thanos_objstore_bucket_operations_total", `operation="get_range"`)
			if again > fetched/2 {
				t.Errorf("the second store fetched %v ranges from the bucket, the first %v", again, fetched)
			}
			// The files are small and fetched whole, first as what opens a block.
			for _, kind := range []string{"header", "chunks"} {
				label := fmt.Sprintf("config=%q", kind)
				if hits := metric(t, metrics, "thanos_store_bucket_cache_operation_hits_total", label); hits == 0 {
					t.Errorf("no %s was found", kind)
				}
			}
			if failed := metric(t, metrics, "thanos_"+one.client+"_operation_failures_total", ""); failed != 0 {
				t.Errorf("%v operations failed", failed)
			}
			for _, server := range cache.servers {
				server.quiet = true
				server.Signal(t, syscall.SIGKILL)
				<-server.done
			}
			third, metrics := s.startCachedStore(t, cache.yaml)
			s.checkQuery(t, asked, s.startQuery(t, third))
			if failed := metric(t, metrics, "thanos_"+one.client+"_operation_failures_total", ""); failed == 0 {
				t.Error("no operation failed, though the server is gone")
			}
		})
	}
}

// startCachedStore starts a store with nothing in its memory or on its disk,
// and gives its gRPC address and the URL of its metrics.
func (s *stack) startCachedStore(t *testing.T, yaml string) (string, string) {
	t.Helper()
	http, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "store", varve(t), "store", "--data-dir="+t.TempDir(), "--objstore.config-file="+s.objstore,
		"--index-cache.config="+yaml, "--store.caching-bucket.config="+yaml,
		"--http-address="+http, "--grpc-address="+grpc).AwaitReady(t, "http://"+http+"/-/ready")
	return grpc, "http://" + http + "/metrics"
}

// metric gives the sum of the series of a metric with a label.
func metric(t *testing.T, url, name, label string) float64 {
	t.Helper()
	text, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for line := range strings.Lines(string(text)) {
		series, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found || !strings.HasPrefix(series, name+"{") || !strings.Contains(series, label) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum += number
	}
	return sum
}

// startMemcached starts a server that asks for a client's certificate.
func (s *stack) startMemcached(t *testing.T) sharedCache {
	t.Helper()
	address := FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := Start(t, s.dir, "memcached", peer(t, "memcached"), "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", "0", "-Z",
		"-o", "ssl_chain_cert="+s.pem("cache", "pem"), "-o", "ssl_key="+s.pem("cache", "key"),
		"-o", "ssl_ca_cert="+s.pem("cache-ca", "pem"), "-o", "ssl_verify_mode=2")
	awaitPort(t, server, address)
	return sharedCache{servers: []*Process{server}, yaml: fmt.Sprintf(`
type: MEMCACHED
config:
  addresses: ["dns+localhost:%s"]
  max_async_buffer_size: 100000
  tls_enabled: true
  tls_config: {ca_file: %q, cert_file: %q, key_file: %q, server_name: localhost}
`, port, s.pem("cache-ca", "pem"), s.pem("store", "pem"), s.pem("store", "key"))}
}

// startRedis starts a server with TLS and a password.
func (s *stack) startRedis(t *testing.T) sharedCache {
	t.Helper()
	address := FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := Start(t, s.dir, "redis", peer(t, "redis-server"), "--bind", "127.0.0.1", "--port", "0",
		"--tls-port", port, "--save", "", "--requirepass", secretKey, "--dir", s.dir,
		"--tls-cert-file", s.pem("cache", "pem"), "--tls-key-file", s.pem("cache", "key"),
		"--tls-ca-cert-file", s.pem("cache-ca", "pem"))
	awaitPort(t, server, address)
	return sharedCache{servers: []*Process{server}, yaml: fmt.Sprintf(`
type: REDIS
config:
  addr: %s
  password: %s
  db: 1
  prefix: test/
  max_async_buffer_size: 100000
  tls_enabled: true
  tls_config: {ca_file: %q, cert_file: %q, key_file: %q}
`, address, secretKey, s.pem("cache-ca", "pem"), s.pem("store", "pem"), s.pem("store", "key"))}
}

// startSentinel starts a server and a sentinel that knows it.
func (s *stack) startSentinel(t *testing.T) sharedCache {
	t.Helper()
	address, watching := FreeAddress(t), FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := Start(t, s.dir, "redis", peer(t, "redis-server"), "--bind", "127.0.0.1", "--port", port,
		"--save", "", "--dir", s.dir)
	awaitPort(t, server, address)
	_, sentinelPort, _ := net.SplitHostPort(watching)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	s.write(t, config, fmt.Sprintf("bind 127.0.0.1\nport %s\nsentinel monitor main 127.0.0.1 %s 1\n", sentinelPort, port))
	sentinel := Start(t, s.dir, "sentinel", peer(t, "redis-server"), config, "--sentinel")
	awaitPort(t, sentinel, watching)
	return sharedCache{servers: []*Process{server, sentinel}, yaml: fmt.Sprintf(`
type: REDIS
config: {addr: %q, master_name: main, max_async_buffer_size: 100000}
`, watching)}
}

// awaitPort waits until a server takes connections.
func awaitPort(t *testing.T, server *Process, address string) {
	t.Helper()
	server.Await(t, "listening", func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			err = connection.Close()
		}
		return err
	})
}
