//go:build azurite

package interop

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

// TestAzuriteDoesWhatABucketMust runs the conformance suites on Azurite, which
// creates the container when it is asked to. It has a build tag, as Azurite is
// a program of Node's: `make azurite` installs it and runs this.
func TestAzuriteDoesWhatABucketMust(t *testing.T) {
	s := &stack{dir: t.TempDir()}
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
	s.objstore = filepath.Join(s.dir, "objstore.yml")
	// The account and the key that Azurite is documented with.
	s.write(t, s.objstore, fmt.Sprintf(`
type: AZURE
config:
  storage_account: devstoreaccount1
  container: varve
  storage_connection_string: >-
    AccountName=devstoreaccount1;BlobEndpoint=http://%s/devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
`, address))
	s.checkBucket(t)
}
