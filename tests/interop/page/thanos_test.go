package page

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// answer is what the API of Thanos answers.
type answer struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
	code      int
	cors      string
}

func ask(t *testing.T, method, address string, form url.Values) answer {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{code: response.StatusCode, cors: response.Header.Get("Access-Control-Allow-Origin")}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("%s %s: %d %s", method, address, response.StatusCode, text)
		}
	}
	return a
}

func members(t *testing.T, a answer) map[string]any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(a.Data, &all); err != nil {
		t.Fatalf("%v: %s", err, a.Data)
	}
	return all
}

// TestTheAPIAnswersAsThatOfThanos asks `thanos tools bucket web` and ours on
// one bucket.
func TestTheAPIAnswersAsThatOfThanos(t *testing.T) {
	bucket := newBucket(t)
	bucket.upload(start, 3, `cluster="eu-1"`, `replica="a"`)
	bucket.upload(start, 2, `cluster="us-1"`)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := listener.Addr().String()
	listener.Close()
	thanos := exec.Command(binary(t, "THANOS_BIN", "../bin/thanos"), "tools", "bucket", "web", bucket.flag(),
		"--http-address="+free, "--label=cluster", "--web.external-prefix=/p", "--http-grace-period=0s")
	if err := thanos.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = thanos.Process.Kill()
		_ = thanos.Wait()
	})
	theirs, ours := "http://"+free+"/p", bucket.serve("tools", "bucket", "web", "--label=cluster", "--web.external-prefix=/p")+"/p"
	blocks := func(base string) map[string]any {
		for begun := time.Now(); time.Since(begun) < patience; time.Sleep(100 * time.Millisecond) {
			if _, err := http.Get(base + "/api/v1/blocks"); err != nil {
				continue
			}
			all := members(t, ask(t, http.MethodGet, base+"/api/v1/blocks?view=global", nil))
			if found, _ := all["blocks"].([]any); len(found) == 5 {
				slices.SortFunc(found, func(a, b any) int {
					id := func(block any) string { return fmt.Sprint(block.(map[string]any)["ulid"]) }
					return strings.Compare(id(a), id(b))
				})
				for _, block := range found {
					// Thanos writes fewer zeros than are in the file.
					thanos := block.(map[string]any)["thanos"].(map[string]any)
					thanos["upload_time"], _ = time.Parse(time.RFC3339Nano, fmt.Sprint(thanos["upload_time"]))
				}
				return all
			}
		}
		t.Fatalf("%s lists no blocks", base)
		return nil
	}
	their, our := blocks(theirs), blocks(ours)
	delete(their, "refreshedAt")
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(our["refreshedAt"])); err != nil {
		t.Error(err)
	}
	delete(our, "refreshedAt")
	if !reflect.DeepEqual(their, our) {
		t.Errorf("Thanos says\n%v\nwe say\n%v", their, our)
	}

	for _, path := range []string{"/api/v1/status/flags", "/api/v1/status/buildinfo"} {
		their, our := members(t, ask(t, http.MethodGet, theirs+path, nil)), members(t, ask(t, http.MethodGet, ours+path, nil))
		for name := range maps.Keys(their) {
			if _, known := our[name]; !known && !ofThanosAlone[name] {
				t.Errorf("%s lacks %s", path, name)
			}
		}
		if our["label"] != their["label"] {
			t.Errorf("%s: Thanos says %v, we say %v", path, their, our)
		}
	}

	id := fmt.Sprint(our["blocks"].([]any)[0].(map[string]any)["ulid"])
	for _, form := range []url.Values{
		{},
		{"id": {id}},
		{"id": {id}, "action": {"BURN"}},
		{"id": {id}, "action": {"NO_COMPACTION"}, "detail": {"looked at"}},
		{"id": {id}, "action": {"NO_COMPACTION"}, "detail": {"again"}},
		{"id": {id}, "action": {"DELETION"}, "detail": {"done"}},
	} {
		their, our := ask(t, http.MethodPost, theirs+"/api/v1/blocks/mark", form), ask(t, http.MethodPost, ours+"/api/v1/blocks/mark", form)
		if !reflect.DeepEqual(their, our) {
			t.Errorf("mark %v: Thanos says %+v, we say %+v", form, their, our)
		}
	}
	bucket.varve("tools", "bucket", "mark", "--id", id, "--marker", "deletion-mark.json", "--remove")
	our1 := ask(t, http.MethodPost, ours+"/api/v1/blocks/mark", url.Values{"id": {id}, "action": {"DELETION"}, "detail": {"ours"}})
	if our1.code != http.StatusNoContent {
		t.Errorf("%+v", our1)
	}
}

// ofThanosAlone are flags of Thanos that have no effect here, or belong to all
// of its tools.
var ofThanosAlone = map[string]bool{
	"tracing.config": true, "tracing.config-file": true, "enable-auto-gomemlimit": true, "auto-gomemlimit.ratio": true,
}
