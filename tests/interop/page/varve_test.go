package page

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
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

// meta writes a block that has nothing but its meta.json.
func (b folder) meta(from, to int64, level int, labels map[string]string) {
	b.t.Helper()
	if err := writeMeta(b.dir, from, to, level, labels); err != nil {
		b.t.Fatal(err)
	}
}

func (b folder) put(name, text string) {
	b.t.Helper()
	if err := put(b.dir, name, text); err != nil {
		b.t.Fatal(err)
	}
}

func writeMeta(dir string, from, to int64, level int, labels map[string]string) error {
	id := ulid.MustNew(uint64(to), rand.Reader).String()
	text, err := json.Marshal(map[string]any{
		"ulid": id, "minTime": from, "maxTime": to, "version": 1,
		"stats":      map[string]any{"numSeries": 1000, "numSamples": 480_000, "numChunks": 4000},
		"compaction": map[string]any{"level": level, "sources": []string{id}},
		"thanos":     map[string]any{"labels": labels, "downsample": map[string]any{"resolution": 0}, "source": "compactor"},
	})
	if err != nil {
		return err
	}
	return put(dir, filepath.Join(id, "meta.json"), string(text))
}

func put(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

const manyGroups, manyBlocks = 50, 100_000

// many is a bucket of 100,000 blocks, which is made while the first tests run.
type many struct {
	dir  string
	done chan error
}

func makeMany() *many {
	dir, err := os.MkdirTemp("", "varve-page-")
	m := &many{dir, make(chan error, manyGroups)}
	if err != nil {
		m.done <- err
		return m
	}
	for group := range manyGroups {
		go func() {
			labels := map[string]string{"cluster": fmt.Sprintf("eu-%d", group), "replica": "a"}
			for n := range int64(manyBlocks / manyGroups) {
				from := start - n*2*hour
				if err := writeMeta(dir, from, from+2*hour, 1+int(n)%4, labels); err != nil {
					m.done <- err
					return
				}
			}
			m.done <- nil
		}()
	}
	return m
}

// bucket waits until the blocks are written.
func (m *many) bucket(t *testing.T) folder {
	t.Helper()
	for range manyGroups {
		if err := <-m.done; err != nil {
			t.Fatal(err)
		}
	}
	return folder{t, m.dir}
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
