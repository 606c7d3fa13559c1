package interop

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// TestVarveAnswersAsPrometheusDoes is the whole path: a real Prometheus, the
// sidecar, a real S3 server, the compactor, the store gateway, a real Thanos
// Query, and back: what Thanos Query answers has to be what Prometheus does.
func TestVarveAnswersAsPrometheusDoes(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)

	s.upload(t)
	s.checkUploaded(t)
	t.Run("before compaction", func(t *testing.T) { s.checkAnswers(t, asked) })
	if t.Failed() {
		return
	}

	// The window before Middle is complete as soon as blocks behind it are
	// known, of which this shows the compactor two.
	s.compact(t, "--max-time="+time.UnixMilli(Middle+3*hour).UTC().Format(time.RFC3339))
	s.checkCompacted(t, 1)
	t.Run("half compacted", func(t *testing.T) { s.checkAnswers(t, asked) })
	if t.Failed() {
		return
	}

	// Without the sources, whatever is answered comes from Parquet.
	s.compact(t)
	s.checkCompacted(t, 2)
	s.checkParquet(t)
	s.removeMarked(t)
	t.Run("compacted", func(t *testing.T) { s.checkAnswers(t, asked) })
}

// checkUploaded looks at what the sidecar left in the bucket and behind it.
func (s *stack) checkUploaded(t *testing.T) {
	t.Helper()
	want := blockDirs(t, s.data)
	got := s.blocks(t, "")
	if len(got) != len(want) || len(got) != int((HistoryEnd-HistoryStart)/BlockDuration) {
		t.Fatalf("%d blocks in the bucket, %d on Prometheus's disk", len(got), len(want))
	}
	var ids []string
	for _, b := range got {
		ids = append(ids, b.ULID.String())
		if !labels.Equal(labels.FromMap(b.Thanos.Labels), external) || b.Thanos.Source != "sidecar" || b.marked {
			t.Errorf("%s has labels %v, source %q", b.ULID, b.Thanos.Labels, b.Thanos.Source)
		}
		for _, file := range b.Thanos.Files {
			info, err := os.Stat(filepath.Join(b.dir, file.RelPath))
			if err != nil || file.RelPath != "meta.json" && info.Size() != file.SizeBytes {
				t.Errorf("%s: meta.json says %s has %d bytes; %v", b.ULID, file.RelPath, file.SizeBytes, err)
			}
		}
		for _, file := range []string{"index", "chunks/000001"} {
			sent, err1 := os.ReadFile(filepath.Join(b.dir, file))
			had, err2 := os.ReadFile(filepath.Join(s.data, b.ULID.String(), file))
			if err1 != nil || err2 != nil || !slices.Equal(sent, had) {
				t.Errorf("%s/%s is not what Prometheus wrote (%v, %v)", b.ULID, file, err1, err2)
			}
		}
	}
	if keys := s.objects(t, "parquet"); len(keys) != 0 {
		t.Errorf("nothing is compacted yet, but there are %v", keys)
	}
	var shipped struct{ Uploaded []string }
	text, err := os.ReadFile(filepath.Join(s.data, "thanos.shipper.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &shipped); err != nil {
		t.Fatal(err)
	}
	slices.Sort(shipped.Uploaded)
	slices.Sort(ids)
	if !slices.Equal(shipped.Uploaded, ids) {
		t.Errorf("thanos.shipper.json lists %v, the bucket holds %v", shipped.Uploaded, ids)
	}
}

// checkCompacted looks for Parquet blocks of so many of the two windows of
// eight hours: each is whole, and of the TSDB blocks exactly its sources are
// marked.
func (s *stack) checkCompacted(t *testing.T, windows int) {
	t.Helper()
	blocks := unmarked(s.blocks(t, "parquet"))
	if len(blocks) != windows {
		t.Fatalf("%d Parquet blocks, not %d: %v", len(blocks), windows, s.objects(t, "parquet"))
	}
	merged := map[string]bool{}
	for i, b := range blocks {
		from, to := HistoryStart+int64(i)*8*hour, HistoryStart+int64(i+1)*8*hour
		if b.MinTime < from || b.MaxTime > to || b.MaxTime-b.MinTime < 7*hour {
			t.Errorf("Parquet block %d has %d…%d, not %d…%d", i, b.MinTime, b.MaxTime, from, to)
		}
		if !labels.Equal(labels.FromMap(b.Thanos.Labels), external) {
			t.Errorf("Parquet block %d has the labels %v", i, b.Thanos.Labels)
		}
		for _, id := range b.Compaction.Sources {
			merged[id.String()] = true
		}
	}
	if len(merged) != windows*4 {
		t.Errorf("Parquet blocks have %d sources, not %d", len(merged), windows*4)
	}
	for _, b := range s.blocks(t, "") {
		if b.marked != merged[b.ULID.String()] {
			t.Errorf("TSDB block %s: marked %t, merged %t", b.ULID, b.marked, merged[b.ULID.String()])
		}
	}
}

// removeMarked deletes what is marked for deletion, as a compactor would after
// two days.
func (s *stack) removeMarked(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"", "parquet"} {
		for _, b := range s.blocks(t, folder) {
			if b.marked {
				if err := os.RemoveAll(b.dir); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// asked are the questions with Prometheus's own answers.
type asked struct {
	hand, random []Question
	answers      map[Question]Answer
	apis         map[string][]string
}

func (s *stack) askPrometheus(t *testing.T) *asked {
	t.Helper()
	a := &asked{answers: map[Question]Answer{}}
	for _, expr := range handPicked {
		a.hand = append(a.hand, HandPicked(expr)...)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "random.promql"))
	if err != nil {
		t.Fatal(err)
	}
	exprs := 0
	for line := range strings.Lines(string(text)) {
		if expr := strings.TrimSpace(line); expr != "" && expr[0] != '#' {
			a.random = append(a.random, RandomRange(expr), RandomInstant(expr))
			exprs++
		}
	}
	if len(handPicked) < 60 || exprs < 300 {
		t.Fatalf("%d expressions picked by hand, %d random ones", len(handPicked), exprs)
	}
	told := map[string]bool{}
	var lock sync.Mutex
	parallel(t, append(slices.Clone(a.hand), a.random...), func(q Question) error {
		answer, err := Ask(t.Context(), s.prometheus, q, "")
		if err != nil {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		a.answers[q] = answer
		if len(answer.Lines) > 0 {
			told[q.Expr] = true
		}
		if answer.Error != "" {
			return fmt.Errorf("%s: %s", q, answer.Error)
		}
		return nil
	})
	// Questions that nothing answers would compare nothing with nothing.
	if empty := len(handPicked) + exprs - len(told); empty > exprs/4 {
		t.Fatalf("Prometheus answers nothing to %d expressions", empty)
	}
	a.apis = s.askLabels(t, s.prometheus, "")
	return a
}

// checkAnswers starts a store gateway and Thanos Query on the bucket as it is,
// and asks both.
func (s *stack) checkAnswers(t *testing.T, a *asked) {
	store := s.startStore(t)
	s.checkQuery(t, a, s.startQuery(t, store))
	t.Run("StoreAPI", func(t *testing.T) { s.checkStoreAPI(t, store) })
	t.Run("reflection", func(t *testing.T) { checkReflection(t, store) })
}

// checkQuery asks Thanos Query what Prometheus was asked.
func (s *stack) checkQuery(t *testing.T, a *asked, query string) {
	for _, kind := range []struct {
		name      string
		questions []Question
	}{{"hand-picked expressions", a.hand}, {"random expressions", a.random}} {
		t.Run(kind.name, func(t *testing.T) {
			parallel(t, kind.questions, func(q Question) error {
				answer, err := Ask(t.Context(), query, q, "&partial_response=false")
				if err != nil {
					return fmt.Errorf("%s: %w", q, err)
				}
				if diff := answer.Differs(a.answers[q]); diff != "" {
					return fmt.Errorf("%s: %s", q, diff)
				}
				return nil
			})
		})
	}
	t.Run("labels and series", func(t *testing.T) {
		for path, got := range s.askLabels(t, query, "&partial_response=false") {
			if want := a.apis[path]; !slices.Equal(got, want) {
				t.Errorf("%s:\n   is %.600q\n  not %.600q", path, got, want)
			}
		}
	})
}

// parallel lets a few workers do every piece of work, and fails the test with
// the first few of their errors.
func parallel[W any](t *testing.T, work []W, do func(W) error) {
	t.Helper()
	todo, failures := make(chan W), []error(nil)
	var workers sync.WaitGroup
	var lock sync.Mutex
	for range 4 {
		workers.Go(func() {
			for w := range todo {
				if err := do(w); err != nil {
					lock.Lock()
					failures = append(failures, err)
					lock.Unlock()
				}
			}
		})
	}
	for _, w := range work {
		todo <- w
	}
	close(todo)
	workers.Wait()
	for i, err := range failures {
		if i == 10 {
			t.Errorf("and %d more", len(failures)-i)
			break
		}
		t.Error(err)
	}
}

// askLabels asks for names and values of labels and for series, by matchers
// and without; external labels are left out of what it gives.
func (s *stack) askLabels(t *testing.T, base, more string) map[string][]string {
	t.Helper()
	answers := map[string][]string{}
	ask := func(path, match string, span [2]int64, result any) {
		values := url.Values{}
		if match != "" {
			values.Set("match[]", match)
		}
		values.Set("start", strconv.FormatInt(span[0]/1000, 10))
		values.Set("end", strconv.FormatInt(span[1]/1000, 10))
		text, err := get(t.Context(), base+path+"?"+values.Encode()+more)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &struct{ Data any }{result}); err != nil {
			t.Fatal(err)
		}
	}
	whole := [2]int64{HistoryStart, HistoryEnd - 1}
	for _, match := range []string{"", `up`, `{job="web",code!="200"}`, `{__name__=~"sorted_.*",z!=""}`, `no_such_metric`} {
		for _, path := range []string{"/api/v1/labels", "/api/v1/label/__name__/values", "/api/v1/label/pod/values", "/api/v1/label/z/values", "/api/v1/label/nope/values"} {
			var values []string
			ask(path, match, whole, &values)
			answers[path+" "+match] = slices.DeleteFunc(values, func(v string) bool {
				return strings.HasSuffix(path, "/labels") && external.Has(v)
			})
		}
	}
	for _, match := range []string{`{__name__=~".+"}`, `up`, `{job="web",code!="200"}`, `queue_length`, `{"http.server.requests"}`} {
		var series []map[string]string
		ask("/api/v1/series", match, whole, &series)
		var lines []string
		for _, lset := range series {
			external.Range(func(l labels.Label) { delete(lset, l.Name) })
			lines = append(lines, labels.FromMap(lset).String())
		}
		slices.Sort(lines)
		answers["/api/v1/series "+match] = lines
	}
	return answers
}
