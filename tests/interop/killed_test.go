package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/thanos-io/objstore/providers/s3"
	"github.com/thanos-io/thanos/pkg/block/metadata"
)

const (
	// kills is how often the compactor is killed.
	kills = 50
	// crash is how often in a row, before a run may end.
	crash = 6
	// groups is how many groups the bucket holds, of shortDays blocks each.
	groups    = 4
	shortDays = 6
)

// startShared makes a bucket on a real S3 server. It holds several groups, in
// each of which there are two windows of two days to do, and two newest days.
func startShared(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir()}
	s.startBucket(t)
	text, err := os.ReadFile(s.objstore)
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := bytes.Cut(text, []byte("config:"))
	bucket, err := s3.NewBucket(log.NewNopLogger(), config, "interop", nil)
	if err != nil {
		t.Fatal(err)
	}
	history := longHistory()
	for i := range groups {
		uploadBlocks(t, bucket, writeDays(t, history, longFrom, shortDays), labels.FromStrings("cluster", "eu", "replica", fmt.Sprint(i)))
	}
	return s
}

// bucketCopy makes another bucket of the same server with what this one holds;
// the server keeps some of it in attributes of files.
func (s *stack) bucketCopy(t *testing.T, name string) *stack {
	t.Helper()
	other := &stack{dir: filepath.Join(s.dir, name), bucket: filepath.Join(filepath.Dir(s.bucket), name)}
	if err := os.Mkdir(other.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", s.bucket, other.bucket).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	config, err := os.ReadFile(s.objstore)
	if err != nil {
		t.Fatal(err)
	}
	other.objstore = filepath.Join(other.dir, "objstore.yml")
	was, is := "bucket: "+filepath.Base(s.bucket), "bucket: "+name
	other.write(t, other.objstore, strings.Replace(string(config), was, is, 1))
	return other
}

// compactor starts a compactor with a data folder of that name.
func (s *stack) compactor(t *testing.T, data string, more ...string) *Process {
	t.Helper()
	return Start(t, s.dir, "compact", varve(t), append([]string{"compact", "--data-dir=" + filepath.Join(s.dir, data),
		"--objstore.config-file=" + s.objstore, "--consistency-delay=0s", "--log.format=json",
		"--http-address=" + FreeAddress(t)}, more...)...)
}

// End waits for the end, and fails the test unless the status is 0.
func (p *Process) End(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s did not end within %s:\n%s", p.name, patience, p.tail())
	}
	if !p.cmd.ProcessState.Success() {
		t.Fatalf("%s: %s\n%s", p.name, p.cmd.ProcessState, p.tail())
	}
	p.quiet = true
}

// Kill kills the program at once, and tells whether it was still running.
func (p *Process) Kill(t *testing.T) bool {
	t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.done
	if p.cmd.ProcessState.ExitCode() >= 0 && !p.cmd.ProcessState.Success() {
		t.Fatalf("%s: %s\n%s", p.name, p.cmd.ProcessState, p.tail())
	}
	p.quiet = true
	return !p.cmd.ProcessState.Success()
}

// said gives the values of a field in the lines of the log with a message.
func (p *Process) said(t *testing.T, message, field string) []string {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		var said map[string]any
		if json.Unmarshal([]byte(line), &said) != nil {
			continue // it is being written, or was cut off
		}
		if said["msg"] == message {
			values = append(values, fmt.Sprint(said[field]))
		}
	}
	return values
}

// passDeadlines makes the leases of those who died look as if their deadlines
// were long past, which otherwise takes as long as a lease does.
func (s *stack) passDeadlines(t *testing.T) {
	t.Helper()
	for _, key := range s.objects(t, "parquet/leases") {
		if strings.HasPrefix(key, "parquet/leases/self-test/") {
			continue
		}
		path := filepath.Join(s.bucket, key)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var lease map[string]any
		if err := json.Unmarshal(text, &lease); err != nil {
			t.Fatalf("%s: %v: %s", key, err, text)
		}
		lease["deadline"] = 0
		if text, err = json.Marshal(lease); err != nil {
			t.Fatal(err)
		}
		s.write(t, path, string(text))
	}
}

// held is what a bucket comes to, whatever its blocks are called.
type held struct {
	// blocks are the live ones: by what they are of, what is in their files.
	blocks map[string]string
	// marked are the source blocks that are marked for deletion.
	marked []string
	// made is how many blocks compactors committed, marked ones too.
	made int
	// partial is how many uploads were never committed.
	partial int
}

// holds looks through a bucket, and fails the test where two live blocks are of
// the same, or a meta.json does not tell of its block's files.
func (s *stack) holds(t *testing.T) held {
	t.Helper()
	h := held{blocks: map[string]string{}}
	for _, folder := range []string{"", "parquet"} {
		h.partial += s.removePartial(t, folder)
		for _, b := range s.blocks(t, folder) {
			if b.Thanos.Source != metadata.SidecarSource {
				h.made++
			} else if b.marked {
				h.marked = append(h.marked, b.ULID.String())
			}
			if b.marked {
				continue
			}
			sources := slices.Clone(b.Compaction.Sources)
			slices.SortFunc(sources, ulid.ULID.Compare)
			key := fmt.Sprint(labels.FromMap(b.Thanos.Labels), " ", resolutionName(b.Thanos.Downsample.Resolution), " ", b.MinTime, " ", b.MaxTime, " ", sources)
			if h.blocks[key] != "" {
				t.Errorf("two live blocks are %s", key)
			}
			h.blocks[key] = b.content(t)
		}
	}
	slices.Sort(h.marked)
	return h
}

// content tells what is in the files of a block, which are those that its
// meta.json lists, and its counts.
func (b block) content(t *testing.T) string {
	t.Helper()
	listed := map[string]int64{}
	for _, file := range b.Thanos.Files {
		if file.RelPath != "meta.json" {
			listed[file.RelPath] = file.SizeBytes
		}
	}
	hash := sha256.New()
	err := filepath.WalkDir(b.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "meta.json" {
			return err
		}
		name, err := filepath.Rel(b.dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if size, ok := listed[name]; !ok || size != int64(len(text)) {
			t.Errorf("%s: %s has %d bytes, and meta.json lists %v", b.ULID, name, len(text), b.Thanos.Files)
		}
		delete(listed, name)
		fmt.Fprintf(hash, "%s %d\n", name, len(text))
		hash.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) > 0 {
		t.Errorf("%s has no %v", b.ULID, listed)
	}
	return fmt.Sprintf("%x %+v", hash.Sum(nil), b.Stats)
}

// removePartial removes what was uploaded of blocks that never were: it counts
// for nothing, and is cleaned away after two days. It gives how many there were.
func (s *stack) removePartial(t *testing.T, folder string) (partial int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.bucket, folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		dir := filepath.Join(s.bucket, folder, entry.Name())
		if _, err := ulid.ParseStrict(entry.Name()); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "meta.json")); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			partial++
		}
	}
	return partial
}

func (h held) compare(t *testing.T, want held) {
	t.Helper()
	for key, content := range want.blocks {
		switch h.blocks[key] {
		case content:
		case "":
			t.Errorf("there is no block %s", key)
		default:
			t.Errorf("block %s holds %s, not %s", key, h.blocks[key], content)
		}
	}
	for key := range h.blocks {
		if want.blocks[key] == "" {
			t.Errorf("there is a block %s", key)
		}
	}
	if !slices.Equal(h.marked, want.marked) {
		t.Errorf("%v are marked, not %v", h.marked, want.marked)
	}
	if h.made != want.made {
		t.Errorf("%d blocks were made, not %d", h.made, want.made)
	}
}

// TestManyCompactorsAndManyCrashesComeToOneBucket lets compactors work alone,
// together, and be killed: each time the bucket comes to the same.
func TestManyCompactorsAndManyCrashesComeToOneBucket(t *testing.T) {
	source := startShared(t)
	alone := source.bucketCopy(t, "alone")
	undisturbed := alone.compactor(t, "compact")
	undisturbed.End(t)
	want := alone.holds(t)
	tasks := undisturbed.said(t, "done", "task")
	// Of each group there are two windows raw and in five minutes, and the newest days.
	if len(tasks) != 2*groups || len(want.blocks) != 6*groups || want.made != 4*groups || len(want.marked) != 4*groups {
		t.Fatalf("undisturbed, %d tasks made %d blocks: %v", len(tasks), want.made, slices.Sorted(maps.Keys(want.blocks)))
	}

	// The holder of a lease is killed, and its deadline passes while the rest is tested.
	orphan, dead := source.killHolding(t)
	heir := orphan.compactor(t, "heir")
	heir.End(t)
	if left := heir.said(t, "skipped, as another compactor works on it", "group"); !slices.Equal(left, []string{dead}) {
		t.Errorf("one was killed at %q, the other left %q to it", dead, left)
	}
	inherited := slices.DeleteFunc(slices.Clone(tasks), func(task string) bool { return !strings.HasPrefix(task, dead) })
	if done := heir.said(t, "done", "task"); len(inherited) != 2 || len(done) != len(tasks)-2 {
		t.Errorf("all but those of %s are done: %v", dead, done)
	}

	t.Run("two at once", func(t *testing.T) { source.shareWork(t, want, tasks) })
	t.Run("killed", func(t *testing.T) { source.killOften(t, want) })

	heir = orphan.compactor(t, "heir", "--wait", "--wait-interval=500ms")
	heir.Await(t, "taking over", func(context.Context) error {
		if done := heir.said(t, "done", "task"); !slices.Contains(done, inherited[1]) {
			return fmt.Errorf("the heir has done %v", done)
		}
		return nil
	})
	heir.Stop(t)
	last := orphan.compactor(t, "heir")
	last.End(t)
	orphan.holds(t).compare(t, want)
}

// killHolding kills a compactor at its first task, and gives the bucket with the
// group that it held a lease on.
func (s *stack) killHolding(t *testing.T) (*stack, string) {
	t.Helper()
	for i := range 10 {
		bucket := s.bucketCopy(t, fmt.Sprint("orphan-", i))
		p := bucket.compactor(t, "compact", "--compact.lease-duration=5s")
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for running := true; running && len(p.said(t, "begun", "task")) == 0; {
			select {
			case <-p.done:
				running = false
			case <-tick.C:
			}
		}
		killed := p.Kill(t)
		begun := p.said(t, "begun", "task")
		if killed && len(begun) == 1 && len(p.said(t, "done", "task")) == 0 && bucket.holds(t).made == 0 {
			return bucket, regexp.MustCompile(`^\d+@\d+`).FindString(begun[0])
		}
	}
	t.Fatal("each ended its first task before it could be killed")
	return nil, ""
}

// shareWork lets two work at once, again if one came too late to do anything.
func (s *stack) shareWork(t *testing.T, want held, tasks []string) {
	for i := range 10 {
		bucket := s.bucketCopy(t, fmt.Sprint("two-", i))
		both := []*Process{bucket.compactor(t, "first"), bucket.compactor(t, "second")}
		var done []string
		late := false
		for _, p := range both {
			p.End(t)
			did := p.said(t, "done", "task")
			late = late || len(did) == 0
			done = append(done, did...)
		}
		slices.Sort(done)
		if tasks := slices.Sorted(slices.Values(tasks)); !slices.Equal(done, tasks) {
			t.Errorf("both together did %v, not %v", done, tasks)
		}
		bucket.holds(t).compare(t, want)
		if !late {
			return
		}
	}
	t.Error("no two ever worked at once")
}

// killOften kills compactors at random moments, lets others go on from there,
// with what lies in the data folder or without it, and looks at what they came to.
func (s *stack) killOften(t *testing.T, parquet held) {
	kinds := []struct {
		output string
		want   held
		took   time.Duration
	}{{output: "parquet", want: parquet}, {output: "tsdb"}}
	for i := range kinds {
		bucket, begun := s.bucketCopy(t, "undisturbed-"+kinds[i].output), time.Now()
		bucket.compactor(t, "compact", "--compact.output="+kinds[i].output).End(t)
		kinds[i].took = time.Since(begun)
		if i > 0 {
			kinds[i].want = bucket.holds(t)
		} else {
			bucket.holds(t).compare(t, parquet)
		}
	}
	if len(kinds[1].want.blocks) != len(parquet.blocks) {
		t.Fatalf("%d blocks of one format, %d of the other", len(kinds[1].want.blocks), len(parquet.blocks))
	}
	now := time.Now().UnixNano()
	t.Logf("seed %d; undisturbed runs take %s and %s", now, kinds[0].took, kinds[1].took)
	random := rand.New(rand.NewSource(now))
	killed, rounds, partial := 0, 0, 0
	for ; killed < kills && !t.Failed(); rounds++ {
		kind, bucket := &kinds[rounds%2], s.bucketCopy(t, fmt.Sprint("killed-", rounds))
		for i := range crash {
			data := "compact"
			if rounds/2%2 == 1 {
				data = fmt.Sprint("compact-", i)
			}
			begun := time.Now()
			p := bucket.compactor(t, data, "--compact.output="+kind.output)
			select {
			case <-p.done:
				if i == 0 {
					kind.took = time.Since(begun) // it was slow before
				}
			case <-time.After(time.Duration(random.Int63n(int64(kind.took)))):
			}
			if !p.Kill(t) {
				break
			}
			killed++
			bucket.passDeadlines(t)
		}
		bucket.compactor(t, "compact", "--compact.output="+kind.output).End(t)
		got := bucket.holds(t)
		got.compare(t, kind.want)
		partial += got.partial
		if t.Failed() {
			t.Logf("%s, after %d kills in %d rounds", kind.output, killed, rounds+1)
		} else if err := os.RemoveAll(bucket.bucket); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("killed %d times in %d rounds, with %d blocks half uploaded", killed, rounds, partial)
	if partial == 0 {
		t.Error("no upload was ever cut off")
	}
}
