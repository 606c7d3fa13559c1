package interop

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/client"
)

// TestTheWholePathOnAzure does on Azurite what
// TestTheWholePathOnGoogleCloudStorage does on fake-gcs-server. What is in the
// bucket is looked at in a copy, which Thanos's own client makes.
func TestTheWholePathOnAzure(t *testing.T) {
	s := newStack(t)
	s.startPrometheus(t)
	s.startAzurite(t)
	s.checkWholePath(t, func() { s.copyBucket(t) })
}

// startAzurite starts an emulator of Azure, a program of Node's, which makes
// the container when it is asked to.
func (s *stack) startAzurite(t *testing.T) {
	t.Helper()
	address := FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := Start(t, s.dir, "azurite", peer(t, "azurite-blob"), "--blobHost", host, "--blobPort", port,
		"--location", filepath.Join(s.dir, "azurite"), "--disableTelemetry", "--skipApiVersionCheck")
	server.Await(t, "listening", func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			err = connection.Close()
		}
		return err
	})
	s.bucket, s.objstore = filepath.Join(s.dir, "copy"), filepath.Join(s.dir, "objstore.yml")
	// The account and the key that Azurite is documented with.
	s.write(t, s.objstore, fmt.Sprintf(`
type: AZURE
config:
  storage_account: devstoreaccount1
  container: %s
  storage_connection_string: >-
    AccountName=devstoreaccount1;BlobEndpoint=http://%s/devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
`, bucketName, address))
}

// copyBucket makes the folder of the stack a copy of its bucket, by Thanos's
// client.
func (s *stack) copyBucket(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(s.objstore)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.NewBucket(log.NewNopLogger(), text, "interop", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
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
