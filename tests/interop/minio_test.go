package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/thanos-io/objstore"
)

// TestTheWholePathOnMinIO is on MinIO, which keeps objects in a form of its
// own.
func TestTheWholePathOnMinIO(t *testing.T) {
	checkWholePath(t, (*stack).startMinIO, (*stack).copyBucket)
}

// TestBothReadWhatTheOtherWroteToMinIOByTLS uploads a block with Thanos's
// client, makes it a Parquet block with Varve, and reads all with Thanos's
// client, with and without each kind of encryption. The conformance suites are
// run with each too.
func TestBothReadWhatTheOtherWroteToMinIOByTLS(t *testing.T) {
	s := &stack{dir: t.TempDir()}
	server, text := s.startMinIOByTLS(t)
	key := filepath.Join(s.dir, "customer.key")
	s.write(t, key, strings.Repeat("k", 32))
	const refused = "refused without the key"
	for _, c := range []struct{ name, more, encryption string }{
		{"plain", "", ""},
		{"version-1", "  list_objects_version: v1\n  disable_multipart: true\n", ""},
		{"sse-s3", "  sse_config: {type: SSE-S3}\n", "AES256"},
		{"sse-kms", "  sse_config: {type: SSE-KMS, kms_key_id: interop, kms_encryption_context: {team: metrics}}\n", "aws:kms"},
		{"sse-c", fmt.Sprintf("  sse_config: {type: SSE-C, encryption_key: %s}\n", key), refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := &stack{dir: t.TempDir()}
			of.bucket, of.objstore = filepath.Join(of.dir, "copy"), filepath.Join(of.dir, "objstore.yml")
			of.write(t, of.objstore, text+c.more+"prefix: "+c.name+"\n")
			of.checkBucket(t)

			const id = "01HFXJ00000000000000000001"
			folder := filepath.Join("..", "fixtures", "odd", "non-utf8-value", id)
			if err := objstore.UploadDir(t.Context(), log.NewNopLogger(), of.openBucket(t), folder, id); err != nil {
				t.Fatal(err)
			}
			Run(t, varve(t), "tools", "bucket", "rewrite", "--objstore.config-file="+of.objstore, "--id="+id,
				"--tmp.dir="+filepath.Join(of.dir, "rewrite"), "--output=parquet", "--no-dry-run", "--delete-blocks")
			of.copyBucket(t)
			was, is := of.blocks(t, ""), of.blocks(t, "parquet")
			if len(was) != 1 || !was[0].marked || len(is) != 1 || is[0].Stats.NumSamples != was[0].Stats.NumSamples {
				t.Errorf("%v became %v", was, is)
			}
			for object := range server.ListObjects(t.Context(), bucketName, minio.ListObjectsOptions{Prefix: c.name + "/", Recursive: true}) {
				stat, err := server.StatObject(t.Context(), bucketName, object.Key, minio.StatObjectOptions{})
				encryption := stat.Metadata.Get("X-Amz-Server-Side-Encryption")
				if minio.ToErrorResponse(err).StatusCode == http.StatusBadRequest {
					encryption, err = refused, nil
				}
				if err != nil || encryption != c.encryption {
					t.Errorf("%s: encryption %q, not %q (%v)", object.Key, encryption, c.encryption, err)
				}
			}
		})
	}
}

// startMinIO starts MinIO with one bucket.
func (s *stack) startMinIO(t *testing.T) {
	t.Helper()
	address := s.startMinIOServer(t, nil)
	s.bucket, s.objstore = filepath.Join(s.dir, "copy"), filepath.Join(s.dir, "objstore.yml")
	s.write(t, s.objstore, s3Config(address)+"  insecure: true\n")
}

// startMinIOByTLS starts MinIO with one bucket, a certificate for another name
// than the one that it is reached by, and a key to encrypt with. It gives a
// client and a configuration, which may go on.
func (s *stack) startMinIOByTLS(t *testing.T) (*minio.Client, string) {
	t.Helper()
	const name = "minio.internal"
	ca := s.newCertificate(t, "ca", nil)
	s.newCertificate(t, name, ca)
	certificates := filepath.Join(s.dir, "certificates")
	if err := os.Mkdir(certificates, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{s.pem(name, "crt"): "public.crt", s.pem(name, "key"): "private.key"} {
		if err := os.Link(from, filepath.Join(certificates, to)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("MINIO_KMS_SECRET_KEY", "interop:"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("m", 32))))
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}
	t.Cleanup(transport.CloseIdleConnections)
	address := s.startMinIOServer(t, transport, "--certs-dir", certificates)
	return newMinIOClient(t, address, transport), s3Config(address) + fmt.Sprintf(`  http_config:
    tls_config:
      ca_file: %s
      server_name: %s
`, s.pem("ca", "crt"), name)
}

// startMinIOServer starts MinIO with one bucket, and gives its address. It is
// asked by TLS if there is a transport for that.
func (s *stack) startMinIOServer(t *testing.T, transport *http.Transport, more ...string) string {
	t.Helper()
	address := FreeAddress(t)
	for name, value := range map[string]string{
		"MINIO_ROOT_USER": accessKey, "MINIO_ROOT_PASSWORD": secretKey, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
	} {
		t.Setenv(name, value)
	}
	args := append([]string{"server", "--quiet", "--address", address}, more...)
	server := Start(t, s.dir, "minio", peer(t, "minio"), append(args, filepath.Join(s.dir, "minio"))...)
	client := newMinIOClient(t, address, transport)
	server.Await(t, "making a bucket", func(ctx context.Context) error {
		return client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{})
	})
	return address
}

func newMinIOClient(t *testing.T, address string, transport *http.Transport) *minio.Client {
	t.Helper()
	options := &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1"}
	if transport != nil {
		options.Secure, options.Transport = true, transport
	}
	client, err := minio.New(address, options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
