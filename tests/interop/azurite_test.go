package interop

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

// TestTheWholePathOnAzure is on Azurite.
func TestTheWholePathOnAzure(t *testing.T) {
	checkWholePath(t, (*stack).startAzurite, (*stack).copyBucket)
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
