package interop

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestProfiles reads the profiles of a daemon as pprof does.
func TestProfiles(t *testing.T) {
	t.Setenv("_RJEM_MALLOC_CONF", "prof:true,lg_prof_sample:10")
	s := &stack{dir: t.TempDir()}
	objstore := filepath.Join(s.dir, "objstore.yml")
	s.write(t, objstore, fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", t.TempDir()))
	address := FreeAddress(t)
	url := "http://" + address
	Start(t, s.dir, "store", varve(t), "store", "--debug.pprof", "--data-dir="+t.TempDir(),
		"--objstore.config-file="+objstore, "--http-address="+address, "--grpc-address="+FreeAddress(t),
	).AwaitReady(t, url+"/-/ready")

	cpu := make(chan *profile.Profile, 1)
	go func() {
		defer close(cpu)
		if read := readProfile(t, url+"/debug/pprof/profile?seconds=2"); read != nil {
			cpu <- read
		}
	}()
	var read *profile.Profile
	for busy := true; busy; {
		select {
		case read = <-cpu:
			busy = false
		default:
			if _, err := get(t.Context(), url+"/metrics"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if read == nil {
		t.FailNow()
	}
	checkProfile(t, read, []string{"samples/count", "cpu/nanoseconds"}, "service::")
	if read.Period != 10_000_000 || read.DurationNanos < 1_500_000_000 {
		t.Errorf("CPU: a sample in %d ns, for %d ns", read.Period, read.DurationNanos)
	}
	for _, sample := range read.Sample {
		if sample.Value[1] != sample.Value[0]*read.Period || len(sample.Label["thread"]) != 1 {
			t.Errorf("CPU: a sample has the values %v and the labels %v", sample.Value, sample.Label)
		}
	}
	if read := readProfile(t, url+"/debug/pprof/heap"); read != nil {
		checkProfile(t, read, []string{"inuse_space/bytes"}, "varve::")
	}
}

func readProfile(t *testing.T, url string) *profile.Profile {
	body, err := get(context.Background(), url)
	if err != nil {
		t.Error(err)
		return nil
	}
	read, err := profile.Parse(bytes.NewReader(body))
	if err != nil {
		t.Errorf("%s: %v", url, err)
	}
	return read
}

// checkProfile wants kinds of values, and a function of ours in one of the stacks.
func checkProfile(t *testing.T, read *profile.Profile, kinds []string, ours string) {
	t.Helper()
	var found []string
	for _, kind := range read.SampleType {
		found = append(found, kind.Type+"/"+kind.Unit)
	}
	if !slices.Equal(found, kinds) {
		t.Errorf("its values are %v, not %v", found, kinds)
	}
	if !slices.ContainsFunc(read.Function, func(f *profile.Function) bool {
		return strings.Contains(f.Name, ours)
	}) {
		t.Errorf("none of %d functions in %d samples is of %s", len(read.Function), len(read.Sample), ours)
	}
}
