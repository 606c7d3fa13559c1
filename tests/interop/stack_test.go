package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/thanos-io/thanos/pkg/block/metadata"
)

// external are the labels that tell this Prometheus from others. Thanos Query
// takes both for replica labels and drops them, so that its answers can be
// compared with those of Prometheus, which do not have them.
var external = labels.FromStrings("cluster", "eu", "replica", "a")

// stack is one Prometheus with its history and one bucket.
type stack struct {
	dir        string
	prometheus string // base URL
	data       string // Prometheus's data folder
	bucket     string // the folder that holds the bucket's objects as files
	objstore   string // path of the bucket's configuration
	source     Samples
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	s.startPrometheus(t)
	s.startBucket(t)
	return s
}

// newStack writes the history, as blocks in the folder of a Prometheus that
// does not run yet.
func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir()}
	s.data = filepath.Join(s.dir, "prometheus")
	if err := os.Mkdir(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteBlocks(History(), peer(t, "promtool"), s.data); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.source, err = ReadBlocks(blockDirs(t, s.data)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stack) startPrometheus(t *testing.T) *Process {
	t.Helper()
	return s.startPrometheusAt(t, peer(t, "prometheus"), FreeAddress(t))
}

// startPrometheusAt starts one of any version, which scrapes itself.
func (s *stack) startPrometheusAt(t *testing.T, binary, address string, more ...string) *Process {
	t.Helper()
	s.prometheus = "http://" + address
	s.configure(t, external.Get("replica"))
	prometheus := Start(t, s.dir, "prometheus", binary, append([]string{
		"--config.file=" + filepath.Join(s.dir, "prometheus.yml"),
		"--storage.tsdb.path=" + s.data, "--web.listen-address=" + address,
		"--storage.tsdb.retention.time=10y",
		"--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"}, more...)...)
	prometheus.AwaitReady(t, s.prometheus+"/-/ready")
	return prometheus
}

// configure writes Prometheus's configuration, with a replica as its label.
func (s *stack) configure(t *testing.T, replica string) {
	t.Helper()
	s.write(t, filepath.Join(s.dir, "prometheus.yml"), fmt.Sprintf(`
global:
  scrape_interval: 1s
  external_labels: {cluster: %s, replica: %s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: [%q]}]
`, external.Get("cluster"), replica, strings.TrimPrefix(s.prometheus, "http://")))
}

// bucketName is what the bucket on the S3 server is called, accessKey and
// secretKey are the only ones that it knows.
const bucketName, accessKey, secretKey = "varve", "interop", "interop-secret"

// startServer starts an S3 server of a region, with one bucket, and gives its
// address.
func (s *stack) startServer(t *testing.T, region string) string {
	t.Helper()
	root, address := filepath.Join(s.dir, "s3"), FreeAddress(t)
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	server := Start(t, s.dir, "versitygw", peer(t, "versitygw"), "--quiet", "--region", region,
		"--access", accessKey, "--secret", secretKey, "--port", address, "posix", root)
	client, err := minio.New(address, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Await(t, "making a bucket", func(ctx context.Context) error {
		return client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{Region: region})
	})
	s.bucket = filepath.Join(root, bucketName)
	return address
}

func (s *stack) startBucket(t *testing.T) {
	t.Helper()
	address := s.startServer(t, "us-east-1")
	s.objstore = filepath.Join(s.dir, "objstore.yml")
	s.write(t, s.objstore, s3Config(address)+"  insecure: true\n")
}

// s3Config is the configuration of the bucket at an address, which may go on.
func s3Config(address string) string {
	return fmt.Sprintf(`
type: S3
config:
  bucket: %s
  endpoint: %s
  region: us-east-1
  access_key: %s
  secret_key: %s
`, bucketName, address, accessKey, secretKey)
}

// startQuery starts Thanos Query over one store, and gives its URL as soon as
// it knows the store. More flags may follow.
func (s *stack) startQuery(t *testing.T, store string, more ...string) string {
	t.Helper()
	return s.startQueryOver(t, []string{store}, more...)
}

// startQueryOver starts one over several stores, and gives its URL as soon as
// it knows all of them and the labels of one.
func (s *stack) startQueryOver(t *testing.T, stores []string, more ...string) string {
	t.Helper()
	address := FreeAddress(t)
	args := []string{"query", "--http-address=" + address, "--grpc-address=" + FreeAddress(t),
		"--query.replica-label=cluster", "--query.replica-label=replica"}
	for _, store := range stores {
		args = append(args, "--endpoint="+store)
	}
	query := Start(t, s.dir, "thanos-query", peer(t, "thanos"), append(args, more...)...)
	query.Await(t, "seeing the stores", func(ctx context.Context) error {
		text, err := get(ctx, "http://"+address+"/api/v1/stores")
		if err != nil {
			return err
		}
		var answer struct {
			Data map[string][]struct {
				LastError any
				LabelSets []map[string]string
			}
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return err
		}
		known, labelled := 0, false
		// By the kind of component.
		for _, some := range answer.Data {
			for _, store := range some {
				if store.LastError == nil {
					known++
					labelled = labelled || len(store.LabelSets) > 0
				}
			}
		}
		if known == len(stores) && labelled {
			return nil
		}
		return fmt.Errorf("its stores are %s", text)
	})
	return "http://" + address
}

func (s *stack) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// block is what the bucket holds of a block.
type block struct {
	metadata.Meta
	dir    string
	marked bool
}

// blocks reads the blocks below a folder of the bucket, by time.
func (s *stack) blocks(t *testing.T, folder string) []block {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.bucket, folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var blocks []block
	for _, entry := range entries {
		if _, err := ulid.ParseStrict(entry.Name()); err != nil {
			continue
		}
		b := block{dir: filepath.Join(s.bucket, folder, entry.Name())}
		meta, err := metadata.ReadFromDir(b.dir)
		if err != nil {
			t.Fatal(err)
		}
		b.Meta = *meta
		if text, err := os.ReadFile(filepath.Join(b.dir, metadata.DeletionMarkFilename)); err == nil {
			var mark metadata.DeletionMark
			if err := json.Unmarshal(text, &mark); err != nil {
				t.Fatal(err)
			}
			if mark.ID != b.ULID || mark.Version != metadata.DeletionMarkVersion1 || mark.DeletionTime == 0 {
				t.Errorf("deletion mark of %s is %s", b.ULID, text)
			}
			b.marked = true
		}
		blocks = append(blocks, b)
	}
	slices.SortFunc(blocks, func(a, b block) int { return int(a.MinTime - b.MinTime) })
	return blocks
}

// unmarked leaves out the blocks that are marked for deletion.
func unmarked(blocks []block) []block {
	return slices.DeleteFunc(slices.Clone(blocks), func(b block) bool { return b.marked })
}

// sourceDirs finds the source blocks that a Parquet block was made of.
func (s *stack) sourceDirs(t *testing.T, of block) []string {
	t.Helper()
	var dirs []string
	for _, id := range of.Compaction.Sources {
		dirs = append(dirs, filepath.Join(s.data, id.String()))
	}
	return dirs
}

// objects lists what the bucket holds, but for what the server keeps to itself.
func (s *stack) objects(t *testing.T, folder string) []string {
	t.Helper()
	var keys []string
	err := filepath.WalkDir(filepath.Join(s.bucket, folder), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		key, err := filepath.Rel(s.bucket, path)
		if !strings.HasPrefix(key, ".") {
			keys = append(keys, key)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return keys
}
