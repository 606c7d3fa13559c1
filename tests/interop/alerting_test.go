package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// fault is what a proxy before the bucket does to requests.
type fault int32

const (
	none fault = iota
	refusesUploads
	refusesListings
	hangs
)

// spoilt is a daemon's own way to the bucket, which can be spoilt.
type spoilt struct {
	fault    atomic.Int32
	objstore string
}

// startSpoilt gives a way to the S3 server, below a prefix.
func (s *stack) startSpoilt(t *testing.T, server, prefix, name string) *spoilt {
	t.Helper()
	way := &spoilt{objstore: filepath.Join(s.dir, name+".yml")}
	behind := &url.URL{Scheme: "http", Host: server}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(behind)
			// The signature covers it.
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for way.is(hangs) {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
		if way.is(refusesUploads) && r.Method == http.MethodPut || way.is(refusesListings) && r.URL.Query().Has("list-type") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>spoilt</Message></Error>`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		way.becomes(none)
		front.CloseClientConnections()
		front.Close()
	})
	s.write(t, way.objstore, fmt.Sprintf(`
type: S3
config: {bucket: %s, endpoint: %q, region: us-east-1, access_key: %s, secret_key: %s, insecure: true}
prefix: %s
`, bucketName, strings.TrimPrefix(front.URL, "http://"), accessKey, secretKey, prefix))
	return way
}

func (way *spoilt) is(f fault) bool { return way.fault.Load() == int32(f) }
func (way *spoilt) becomes(f fault) { way.fault.Store(int32(f)) }
func (way *spoilt) flag() string    { return "--objstore.config-file=" + way.objstore }

// TestAlertsReachAReceiverAndEndWhenTheCauseIsMended runs Prometheus with the
// rules of deploy/prometheus, in which only times are shorter, and
// Alertmanager. A compactor whose bucket hangs, a sidecar whose uploads are
// refused, a damaged block, and a gateway that may not list each make an alert
// reach a webhook, and mending each ends it.
func TestAlertsReachAReceiverAndEndWhenTheCauseIsMended(t *testing.T) {
	s := &stack{dir: t.TempDir()}
	server := s.startServer(t, "us-east-1")
	compacting := s.startSpoilt(t, server, "compacted", "compact")
	uploading := s.startSpoilt(t, server, "uploaded", "sidecar")
	listing := s.startSpoilt(t, server, "served", "listing")
	serving := s.startSpoilt(t, server, "served", "serving")
	Run(t, varve(t), "sidecar", "--once", "--tsdb.path="+s.copyOfSample(t), serving.flag(), `--label=cluster="eu"`,
		"--http-address="+FreeAddress(t), "--grpc-address="+FreeAddress(t))

	start := func(name string, way *spoilt, args ...string) (string, *Process) {
		address := FreeAddress(t)
		args = append(args, way.flag(), "--http-address="+address)
		return address, Start(t, s.dir, name, varve(t), args...)
	}
	store := func(name string, way *spoilt) string {
		address, process := start(name, way, "store", "--data-dir="+filepath.Join(s.dir, name),
			"--sync-block-duration=1s", "--grpc-address="+FreeAddress(t))
		process.AwaitReady(t, "http://"+address+"/-/ready")
		return address
	}
	lists, serves := store("lists", listing), store("serves", serving)
	compacts, _ := start("compacts", compacting, "compact", "--wait", "--wait-interval=1s",
		"--data-dir="+filepath.Join(s.dir, "compacts"))
	// Its Prometheus starts later, so that failures are counted from 0.
	source := FreeAddress(t)
	s.data = s.copyOfSample(t)
	uploads, _ := start("uploads", uploading, "sidecar", "--tsdb.path="+s.data, "--prometheus.url=http://"+source,
		"--prometheus.get_config_interval=1s", "--grpc-address="+FreeAddress(t))

	received := s.watch(t, map[string][]string{
		"varve-compact": {compacts}, "varve-sidecar": {uploads}, "varve-store": {lists, serves},
	})
	uploading.becomes(refusesUploads)
	s.startPrometheusAt(t, peer(t, "prometheus"), source)
	listing.becomes(refusesListings)
	compacting.becomes(hangs)
	mend := s.damage(t, server)

	expected := map[string]func(){
		"VarveCompactStuck at " + compacts:      func() { compacting.becomes(none) },
		"VarveSidecarUploadsFail at " + uploads: func() { uploading.becomes(none) },
		"VarveSyncFails at " + lists:            func() { listing.becomes(none) },
		"VarveStoreBlockDamaged at " + serves:   mend,
	}
	for name := range expected {
		received.await(t, name, "firing")
	}
	t.Logf("received so far: %v", received.all())
	for _, mend := range expected {
		mend()
	}
	for name := range expected {
		received.await(t, name, "resolved")
	}
	// What else fired meanwhile, such as on a sidecar without its Prometheus.
	for _, name := range received.all() {
		received.await(t, name, "resolved")
	}
}

// copyOfSample gives a folder of Prometheus with the sample's blocks.
func (s *stack) copyOfSample(t *testing.T) string {
	t.Helper()
	data, err := os.MkdirTemp(s.dir, "sample-")
	if err == nil {
		err = os.CopyFS(data, os.DirFS(filepath.Join("..", "fixtures", "sample")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// damage cuts a meta.json off, and gives what puts the whole one back.
func (s *stack) damage(t *testing.T, server string) func() {
	t.Helper()
	client, err := minio.New(server, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	files := glob(t, filepath.Join(s.bucket, "served", "*", "meta.json"))
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := filepath.Rel(s.bucket, files[0])
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		_, err := client.PutObject(t.Context(), bucketName, key, bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(whole[:len(whole)/2])
	return func() { put(whole) }
}

// receiver keeps the last status of each alert that reached it.
type receiver struct {
	lock     sync.Mutex
	statuses map[string]string
	faults   []error
}

// notification is what Alertmanager posts.
type notification struct {
	Alerts []struct {
		Status              string
		Labels, Annotations map[string]string
	}
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	r.lock.Lock()
	defer r.lock.Unlock()
	var some notification
	if err := json.NewDecoder(request.Body).Decode(&some); err != nil {
		r.faults = append(r.faults, err)
	}
	for _, alert := range some.Alerts {
		r.statuses[alert.Labels["alertname"]+" at "+alert.Labels["instance"]] = alert.Status
		for name, text := range alert.Annotations {
			if text == "" || strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
				r.faults = append(r.faults, fmt.Errorf("%v: %s is %q", alert.Labels, name, text))
			}
		}
	}
}

// all are the alerts that it has received.
func (r *receiver) all() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return slices.Sorted(maps.Keys(r.statuses))
}

// await waits until an alert has a status.
func (r *receiver) await(t *testing.T, alert, status string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r.lock.Lock()
		last, faults, all := r.statuses[alert], errors.Join(r.faults...), fmt.Sprint(r.statuses)
		r.lock.Unlock()
		if faults != nil {
			t.Fatal(faults)
		}
		if last == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %q, not %s, after %s; received were %s", alert, last, status, patience, all)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// watch starts Prometheus with all rules over some targets, and Alertmanager
// with a receiver, and waits until each target was scraped.
func (s *stack) watch(t *testing.T, targets map[string][]string) *receiver {
	t.Helper()
	received := &receiver{statuses: map[string]string{}}
	webhook := httptest.NewServer(received)
	t.Cleanup(webhook.Close)
	folder := filepath.Join(s.dir, "watch")
	if err := os.MkdirAll(filepath.Join(folder, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, filepath.Join(folder, "rules", filepath.Base(file)), shorter(string(text)))
	}
	alerting, watching := FreeAddress(t), FreeAddress(t)
	s.write(t, filepath.Join(folder, "alertmanager.yml"), fmt.Sprintf(`
route: {receiver: test, group_by: [...], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: test, webhook_configs: [{url: %q, send_resolved: true}]}]
`, webhook.URL))
	Start(t, s.dir, "alertmanager", peer(t, "alertmanager"), "--config.file="+filepath.Join(folder, "alertmanager.yml"),
		"--storage.path="+filepath.Join(s.dir, "alertmanager"), "--web.listen-address="+alerting, "--cluster.listen-address=",
	).AwaitReady(t, "http://"+alerting+"/-/ready")

	scrapes := ""
	count := 0
	for job, addresses := range targets {
		text, err := json.Marshal(addresses)
		if err != nil {
			t.Fatal(err)
		}
		scrapes += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: %s}]}\n", job, text)
		count += len(addresses)
	}
	s.write(t, filepath.Join(folder, "prometheus.yml"), fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules/*.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs:
%s`, alerting, scrapes))
	watcher := Start(t, s.dir, "watching", peer(t, "prometheus"), "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(s.dir, "watched"), "--web.listen-address="+watching)
	watcher.Await(t, "scraping all", func(ctx context.Context) error {
		query := url.QueryEscape(fmt.Sprintf(`sum(count_over_time(up[1m]) >= bool 3 and up == 1) == %d`, count))
		text, err := get(ctx, "http://"+watching+"/api/v1/query?query="+query)
		if err == nil && !strings.Contains(string(text), `"value"`) {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	return received
}

// shorter makes the times of rules seconds. A sidecar looks for blocks every
// 30 s, so a window of ten minutes becomes one of 40 s.
func shorter(rules string) string {
	rules = regexp.MustCompile(`\bfor: \w+`).ReplaceAllString(rules, "for: 2s")
	rules = strings.ReplaceAll(rules, "[10m]", "[40s]")
	return regexp.MustCompile(`\[\d+[mhd]\]`).ReplaceAllString(rules, "[10s]")
}
