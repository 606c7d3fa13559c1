package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/client"
)

// TestTheWholePathOnGoogleCloudStorage is on a real server of GCS's API:
// fake-gcs-server, with its objects as files.
func TestTheWholePathOnGoogleCloudStorage(t *testing.T) {
	checkWholePath(t, (*stack).startGCS, func(*stack, *testing.T) {})
}

// checkWholePath uploads, compacts with two compactors at once, which share
// the work by leases, cleans up, and serves behind a real Thanos Query, on the
// store that start starts. look is called before the folder of the stack is
// looked at, which may be a copy of the bucket.
func checkWholePath(t *testing.T, start, look func(*stack, *testing.T)) {
	t.Helper()
	s := newStack(t)
	s.startPrometheus(t)
	start(s, t)
	asked := s.askPrometheus(t)
	s.upload(t)
	look(s, t)
	s.checkUploaded(t)
	s.compactInTwos(t)
	look(s, t)
	// Each block was made once.
	s.checkCompacted(t, 2)
	if keys := s.objects(t, "parquet/leases"); len(keys) == 0 {
		t.Error("there are no leases in the bucket")
	}
	Run(t, varve(t), "tools", "bucket", "cleanup", "--objstore.config-file="+s.objstore,
		"--consistency-delay=0s", "--delete-delay=0s")
	look(s, t)
	for _, key := range s.objects(t, "") {
		if path.Base(key) == "deletion-mark.json" {
			t.Errorf("%s is left", key)
		}
	}
	s.checkQuery(t, asked, s.startQuery(t, s.startStore(t)))
}

// compactInTwos runs two compactors at once.
func (s *stack) compactInTwos(t *testing.T) {
	t.Helper()
	var compactors []*Process
	for _, name := range []string{"compact-a", "compact-b"} {
		compactors = append(compactors, Start(t, s.dir, name, varve(t), "compact",
			"--data-dir="+filepath.Join(s.dir, name), "--objstore.config-file="+s.objstore,
			"--consistency-delay=0s", "--http-address="+FreeAddress(t)))
	}
	for _, compactor := range compactors {
		compactor.AwaitEnd(t)
	}
}

// openBucket opens the bucket of the stack with Thanos's client.
func (s *stack) openBucket(t *testing.T) objstore.Bucket {
	t.Helper()
	text, err := os.ReadFile(s.objstore)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.NewBucket(log.NewNopLogger(), text, "interop", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	return bucket
}

// copyBucket makes the folder of the stack a copy of its bucket, by Thanos's
// client.
func (s *stack) copyBucket(t *testing.T) {
	t.Helper()
	bucket := s.openBucket(t)
	if err := os.RemoveAll(s.bucket); err != nil {
		t.Fatal(err)
	}
	copyObject := func(key string) error {
		object, err := bucket.Get(t.Context(), key)
		if err != nil {
			return err
		}
		defer object.Close()
		path := filepath.Join(s.bucket, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, object); err != nil {
			return err
		}
		return file.Close()
	}
	if err := bucket.Iter(t.Context(), "", copyObject, objstore.WithRecursiveIter()); err != nil {
		t.Fatal(err)
	}
}

// TestEveryStoreDoesWhatABucketMust runs the conformance suites of buckets and
// of leases on real servers.
func TestEveryStoreDoesWhatABucketMust(t *testing.T) {
	t.Run("S3", func(t *testing.T) {
		s := &stack{dir: t.TempDir()}
		s.startBucket(t)
		s.checkBucket(t)
	})
	t.Run("MinIO", func(t *testing.T) {
		s := &stack{dir: t.TempDir()}
		s.startMinIO(t)
		s.checkBucket(t)
	})
	t.Run("S3 over mutual TLS", func(t *testing.T) {
		s := &stack{dir: t.TempDir()}
		s.startTLS(t, s.startServer(t, "us-east-1"))
		s.checkBucket(t)
	})
	t.Run("GCS", func(t *testing.T) {
		s := &stack{dir: t.TempDir()}
		s.startGCS(t)
		s.checkBucket(t)
	})
	t.Run("Azure", func(t *testing.T) {
		s := &stack{dir: t.TempDir()}
		s.startAzurite(t)
		s.checkBucket(t)
	})
}

// startGCS starts an emulator of GCS with one bucket.
func (s *stack) startGCS(t *testing.T) {
	t.Helper()
	root, address := filepath.Join(s.dir, "gcs"), FreeAddress(t)
	s.bucket = filepath.Join(root, bucketName)
	if err := os.MkdirAll(s.bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := Start(t, s.dir, "fake-gcs-server", peer(t, "fake-gcs-server"), "-scheme=http",
		"-host="+host, "-port="+port, "-filesystem-root="+root, "-log-level=error")
	server.AwaitReady(t, "http://"+address+"/storage/v1/b/"+bucketName)
	t.Setenv("STORAGE_EMULATOR_HOST", address)
	s.objstore = filepath.Join(s.dir, "objstore.yml")
	s.write(t, s.objstore, fmt.Sprintf("type: GCS\nconfig:\n  bucket: %s\n", bucketName))
}

// checkBucket runs the conformance suites on the bucket, which is empty.
func (s *stack) checkBucket(t *testing.T) {
	t.Helper()
	program := os.Getenv("BUCKET_CONFORMANCE_BIN")
	if program == "" {
		program = filepath.Join("..", "..", "target", "debug", "examples", "bucket_conformance")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, s.objstore, filepath.Join(s.dir, "scratch"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bucket_conformance: %v\n%s", err, out)
	}
}

// startTLS puts a proxy before the server that demands a certificate of its
// clients, and whose own certificate is for another name than the one that it
// is reached by.
func (s *stack) startTLS(t *testing.T, server string) {
	t.Helper()
	ca := s.newCertificate(t, "ca", nil)
	own := s.newCertificate(t, "store.internal", ca)
	s.newCertificate(t, "varve", ca)
	clients := x509.NewCertPool()
	clients.AddCert(ca.Leaf)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{*own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: server})
		// The signature covers it.
		r.Out.Host = r.In.Host
	}}
	front := &http.Server{Handler: proxy, ReadHeaderTimeout: patience}
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })

	s.objstore = filepath.Join(s.dir, "objstore.yml")
	text := s3Config(listener.Addr().String()) + fmt.Sprintf(`  http_config:
    max_conns_per_host: 20
    tls_config:
      ca_file: %s
      cert_file: %s
      key_file: %s
`, s.pem("ca", "crt"), s.pem("varve", "crt"), s.pem("varve", "key"))
	s.write(t, s.objstore, text)
	for _, c := range []struct{ what, more string }{
		{"the proxy's name is not the one in the URL", ""},
		{"another name", "      server_name: other.internal\n"},
	} {
		s.write(t, s.objstore, text+c.more)
		if out, err := s.plan(t, s.objstore, nil); err == nil {
			t.Errorf("%s: status 0\n%s", c.what, out)
		}
	}
	s.write(t, s.objstore, text+"      server_name: store.internal\n")
}

func (s *stack) pem(name, kind string) string {
	return filepath.Join(s.dir, name+"."+kind)
}

// newCertificate makes a certificate for a name, in files, signed by another
// or by itself.
func (s *stack) newCertificate(t *testing.T, name string, by *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := of, any(key)
	if by == nil {
		of.IsCA, of.KeyUsage, of.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, of, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, s.pem(name, "crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(t, s.pem(name, "key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
