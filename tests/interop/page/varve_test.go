package page

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
)

const hour = int64(3600_000)

// start is when the first block begins: some days ago, at midnight.
var start = time.Now().UTC().Truncate(24 * time.Hour).Add(-6 * 24 * time.Hour).UnixMilli()

func binary(t *testing.T, variable, name string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = name
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return path
}

func varveBin(t *testing.T) string {
	return binary(t, "VARVE_BIN", "../../../target/debug/varve")
}

// folder is a bucket in a folder.
type folder struct {
	t   *testing.T
	dir string
}

func newBucket(t *testing.T) folder {
	return folder{t, t.TempDir()}
}

func (b folder) flag() string {
	return fmt.Sprintf("--objstore.config={type: FILESYSTEM, config: {directory: %q}}", b.dir)
}

// varve runs a command to its end.
func (b folder) varve(args ...string) string {
	b.t.Helper()
	out, err := exec.Command(varveBin(b.t), append(args, b.flag())...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("varve %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// upload makes real blocks of two hours by promtool, and uploads them with
// these labels.
func (b folder) upload(from int64, blocks int, labels ...string) {
	b.t.Helper()
	dir := b.t.TempDir()
	var text strings.Builder
	text.WriteString("# TYPE up gauge\n")
	for series := range 20 {
		for at := from; at < from+int64(blocks)*2*hour; at += 300_000 {
			fmt.Fprintf(&text, "up{instance=\"%d\"} %d %d\n", series, (at/300_000+int64(series))%7, at/1000)
		}
	}
	text.WriteString("# EOF\n")
	file := filepath.Join(dir, "text.om")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		b.t.Fatal(err)
	}
	made := filepath.Join(dir, "blocks")
	promtool := binary(b.t, "PROMTOOL_BIN", "../bin/promtool")
	out, err := exec.Command(promtool, "tsdb", "create-blocks-from", "--quiet", "openmetrics", file, made).CombinedOutput()
	if err != nil {
		b.t.Fatalf("promtool: %v\n%s", err, out)
	}
	args := []string{"tools", "bucket", "upload-blocks", "--path", made}
	for _, label := range labels {
		args = append(args, "--label", label)
	}
	b.varve(args...)
}

// block is a block that has nothing but its meta.json, and a file as long as
// samples of its time are.
type block struct {
	from, to   int64
	level      int
	resolution int64
	labels     map[string]string
	parquet    bool
	// sources are the blocks whose samples it holds; its own, if there are none.
	sources []string
}

// made writes a block, and gives its name.
func (b folder) made(m block) string {
	b.t.Helper()
	id := ulid.MustNew(uint64(m.to), rand.Reader).String()
	if m.sources == nil {
		m.sources = []string{id}
	}
	meta := map[string]any{
		"ulid": id, "minTime": m.from, "maxTime": m.to, "version": 1,
		"stats":      map[string]any{"numSeries": 25_000, "numSamples": (m.to - m.from) / 15_000 * 25_000, "numChunks": (m.to - m.from) / 1_800_000 * 25_000},
		"compaction": map[string]any{"level": m.level, "sources": m.sources},
		"thanos":     map[string]any{"labels": m.labels, "downsample": map[string]any{"resolution": m.resolution}, "source": "compactor"},
	}
	root, file := id, "chunks/000001"
	if m.parquet {
		root, file = "parquet/"+id, "0.chunks.parquet"
		meta["parquet"] = map[string]any{"version": 1, "shards": []any{}}
	}
	text, err := json.Marshal(meta)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(filepath.Join(root, file), "")
	// It takes no space.
	if err := os.Truncate(filepath.Join(b.dir, root, file), (m.to-m.from)*(1+m.resolution/100_000)/7); err != nil {
		b.t.Fatal(err)
	}
	b.put(filepath.Join(root, "meta.json"), string(text))
	return id
}

func (b folder) put(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

const manyGroups, manyBlocks = 50, 100_000

// manyServer serves the page of a server of ours with a timeline of 100,000
// blocks: to make so many folders takes longer than all other tests.
func manyServer(t *testing.T, ours string) string {
	t.Helper()
	target, err := url.Parse(ours)
	if err != nil {
		t.Fatal(err)
	}
	timeline := map[string]any{"version": "many", "words": []string{"", "newest", "window-open", "alone"}, "broken": []any{}, "tasks": []any{}, "plannedAt": start}
	var groups []map[string]string
	columns := map[string][]int64{}
	var roots []string
	for group := range manyGroups {
		groups = append(groups, map[string]string{"cluster": fmt.Sprintf("eu-%d", group), "replica": "a"})
		for n := range int64(manyBlocks / manyGroups) {
			from := start - n*2*hour
			roots = append(roots, ulid.MustNew(uint64(from), rand.Reader).String())
			for name, value := range map[string]int64{"min": from, "max": from + 2*hour, "level": 1 + n%4, "group": int64(group), "resolution": 0, "bytes": 1 << 20, "flags": 2 + n%2, "word": n % 4} {
				columns[name] = append(columns[name], value)
			}
		}
	}
	timeline["groups"], timeline["root"] = groups, roots
	for name, column := range columns {
		timeline[name] = column
	}
	now := start + 24*hour
	activity := map[string]any{"component": "store", "label": "", "plans": false, "now": now, "version": "many", "lookedAt": now, "listedAt": now, "error": nil, "running": []any{}, "failed": []any{}}
	mux := http.NewServeMux()
	for path, data := range map[string]any{"/api/v1/timeline": timeline, "/api/v1/activity": activity} {
		text, err := json.Marshal(map[string]any{"status": "success", "data": data})
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(text)
		})
	}
	mux.Handle("/", httputil.NewSingleHostReverseProxy(target))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// serve starts a command that serves the page, and gives its address. It ends
// with the test.
func (b folder) serve(args ...string) string {
	b.t.Helper()
	args = append(args, b.flag(), "--http-address=127.0.0.1:0", "--http-grace-period=0s")
	command := exec.Command(varveBin(b.t), args...)
	pipe, err := command.StderrPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	address := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scanner := bufio.NewScanner(pipe); scanner.Scan(); {
			line := scanner.Text()
			mu.Lock()
			lines = append(lines, line)
			mu.Unlock()
			if found := listening.FindStringSubmatch(line); found != nil && strings.Contains(line, "service metrics") {
				select {
				case address <- found[1]:
				default:
				}
			}
		}
	}()
	b.t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		<-done
		_ = command.Wait()
		if b.t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			b.t.Logf("varve %v:\n%s", args, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	select {
	case found := <-address:
		return "http://" + found
	case <-done:
		mu.Lock()
		defer mu.Unlock()
		b.t.Fatalf("varve %v ended:\n%s", args, strings.Join(lines, "\n"))
	case <-time.After(patience):
		b.t.Fatalf("varve %v serves nothing", args)
	}
	return ""
}
