package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// passwordHash is what `htpasswd -B` makes of "interop-password".
const passwordHash = "$2y$10$abcdefghijklmnopqrstuuQmElzo1ArVngp7yTKPZWWE2RNFpmTgO"

// authority signs certificates, and keeps them as files of a folder.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", der)
	return a
}

// issue writes a certificate and its key, for an hour from a time on.
func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage, from time.Time) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: from.Add(2 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".key", "PRIVATE KEY", pkcs8)
	a.write(t, name+".pem", "CERTIFICATE", der)
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(a.dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t *testing.T) *big.Int {
	t.Helper()
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// client is a TLS configuration that trusts an authority, with a certificate
// where one is named.
func (a *authority) client(t *testing.T, name string) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	config := &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// TestServersAreReachedByMutualTLS lets a Thanos Query ask `varve store` and
// `varve sidecar` by TLS with certificates on both sides, while the servers'
// own are replaced.
func TestServersAreReachedByMutualTLS(t *testing.T) {
	s := sampleStack(t)
	s.startPrometheus(t)
	ours := newAuthority(t, s.dir, "ca")
	now := time.Now().Add(-time.Hour)
	ours.issue(t, "server", x509.ExtKeyUsageServerAuth, now)
	ours.issue(t, "client", x509.ExtKeyUsageClientAuth, now)
	ours.issue(t, "expired", x509.ExtKeyUsageClientAuth, now.Add(-24*time.Hour))
	newAuthority(t, s.dir, "other-ca").issue(t, "stranger", x509.ExtKeyUsageClientAuth, now)
	file := func(flag, name string) string { return "--" + flag + "=" + filepath.Join(s.dir, name) }
	server := []string{file("grpc-server-tls-cert", "server.pem"), file("grpc-server-tls-key", "server.key"),
		file("grpc-server-tls-client-ca", "ca.pem")}
	client := []string{"--grpc-client-tls-secure", file("grpc-client-tls-cert", "client.pem"),
		file("grpc-client-tls-key", "client.key"), file("grpc-client-tls-ca", "ca.pem")}

	stores := []string{s.startStore(t, server...), s.startSidecar(t, varve(t), server...)}
	secure := s.startQueryOver(t, stores, client...)
	plain := s.startQueryOver(t, []string{s.startStore(t), s.startSidecar(t, varve(t))})
	compare := func(t *testing.T) {
		t.Helper()
		for _, path := range []string{
			"/api/v1/series?match[]={__name__!=%22%22}&start=1763856000&end=1763899200",
			"/api/v1/query_range?query={__name__!=%22%22}&start=1763856000&end=1763899200&step=300",
		} {
			want, err := get(t.Context(), plain+path)
			if err != nil || len(want) < 1000 {
				t.Fatalf("%s: %.200s, %v", path, want, err)
			}
			if got, err := get(t.Context(), secure+path); err != nil || !sameData(got, want) {
				t.Errorf("%s by TLS: %.200s, %v, expected %.200s", path, got, err, want)
			}
		}
	}
	compare(t)

	for _, address := range stores {
		for name, answered := range map[string]bool{"client": true, "": false, "expired": false, "stranger": false} {
			if err := info(t, address, ours.client(t, name)); (err == nil) != answered {
				t.Errorf("a client with the certificate %q: %v", name, err)
			}
		}
		old := ours.client(t, "client")
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if err := info(t, address, old); err == nil {
			t.Error("TLS 1.2 was accepted, where 1.3 is the least")
		}
	}

	before := leaf(t, stores[0], ours.client(t, "client"))
	ours.issue(t, "server", x509.ExtKeyUsageServerAuth, now)
	for _, address := range stores {
		deadline := time.Now().Add(patience)
		for leaf(t, address, ours.client(t, "client")).Cmp(before) == 0 {
			if time.Now().After(deadline) {
				t.Fatalf("the new certificate was not served within %s", patience)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	compare(t)
}

// leaf gives the serial number of the certificate that a server shows.
func leaf(t *testing.T, address string, config *tls.Config) *big.Int {
	t.Helper()
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber
}

// info asks a server what it is.
func info(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = infopb.NewInfoClient(connection).Info(t.Context(), &infopb.InfoRequest{})
	return err
}

// TestPrometheusScrapesByTLSAndPassword serves metrics with Prometheus's own
// web configuration to a real Prometheus, whose promtool finds it valid.
func TestPrometheusScrapesByTLSAndPassword(t *testing.T) {
	s := sampleStack(t)
	ours := newAuthority(t, s.dir, "ca")
	now := time.Now().Add(-time.Hour)
	ours.issue(t, "server", x509.ExtKeyUsageServerAuth, now)
	web := filepath.Join(s.dir, "web.yml")
	s.write(t, web, fmt.Sprintf(`
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  min_version: TLS12
http_server_config:
  headers: {X-Content-Type-Options: nosniff}
basic_auth_users: {scraper: %s}
`, passwordHash))
	Run(t, peer(t, "promtool"), "check", "web-config", web)
	address, data := FreeAddress(t), filepath.Join(s.dir, "store")
	store := Start(t, s.dir, "store", varve(t), "store", "--data-dir="+data, "--objstore.config-file="+s.objstore,
		"--http-address="+address, "--grpc-address="+FreeAddress(t), "--http.config="+web)
	config := ours.client(t, "")
	config.NextProtos = nil
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	ask := func(ctx context.Context, password string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/-/ready", nil)
		if err != nil {
			return nil, err
		}
		request.SetBasicAuth("scraper", password)
		response, err := https.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return response, err
	}
	store.Await(t, "being ready", func(ctx context.Context) error {
		response, err := ask(ctx, "interop-password")
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %s", response.Status)
		}
		if err == nil && (response.ProtoMajor != 2 || response.Header.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s, %v", response.Proto, response.Header)
		}
		return err
	})
	if response, err := ask(t.Context(), "wrong"); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: %v, %v", response, err)
	}

	scraping := FreeAddress(t)
	prometheusConfig := filepath.Join(s.dir, "scraping.yml")
	s.write(t, prometheusConfig, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: varve
    scheme: https
    tls_config: {ca_file: ca.pem}
    basic_auth: {username: scraper, password: interop-password}
    static_configs: [{targets: [%q]}]
`, address))
	prometheus := Start(t, s.dir, "scraping", peer(t, "prometheus"), "--config.file="+prometheusConfig,
		"--storage.tsdb.path="+filepath.Join(s.dir, "scraped"), "--web.listen-address="+scraping)
	scraped := func(query string) func(context.Context) error {
		return func(ctx context.Context) error {
			text, err := get(ctx, "http://"+scraping+"/api/v1/query?query="+url.QueryEscape(query))
			if err != nil {
				return err
			}
			var answer struct {
				Data struct{ Result []json.RawMessage }
			}
			if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data.Result) == 0 {
				return fmt.Errorf("%s: %s, %v", query, text, err)
			}
			return nil
		}
	}
	prometheus.Await(t, "scraping", scraped(`up{job="varve"} == 1 and on(instance) varve_http_config_last_reload_successful == 1`))

	// A user less: the next scrape is refused. On request it is read at once.
	s.write(t, web, strings.ReplaceAll(`
tls_server_config: {cert_file: server.pem, key_file: server.key}
basic_auth_users: {other: HASH}
`, "HASH", passwordHash))
	store.Signal(t, syscall.SIGHUP)
	prometheus.Await(t, "being refused", scraped(`up{job="varve"} == 0`))
}

// sampleStack has what a Prometheus scraped in two hours, in its folder and in
// a bucket.
func sampleStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir()}
	s.objstore = filepath.Join(s.dir, "objstore.yml")
	bucket := filepath.Join(s.dir, "bucket")
	if err := os.Mkdir(bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, s.objstore, fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", bucket))
	s.data = filepath.Join(s.dir, "prometheus")
	if err := os.CopyFS(s.data, os.DirFS(filepath.Join("..", "fixtures", "sample"))); err != nil {
		t.Fatal(err)
	}
	Run(t, varve(t), "sidecar", "--once", "--tsdb.path="+s.data, "--objstore.config-file="+s.objstore,
		`--label=cluster="eu"`, `--label=replica="a"`,
		"--http-address="+FreeAddress(t), "--grpc-address="+FreeAddress(t))
	return s
}
