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

	type result struct {
		read *profile.Profile
		err  error
	}
	cpu := make(chan result, 1)
	go func() {
		read, err := readProfile(t.Context(), url+"/debug/pprof/profile?seconds=2")
		cpu <- result{read, err}
	}()
	var of result
	for of == (result{}) {
		select {
		case of = <-cpu:
		default:
			// Something to see.
			if _, err := get(t.Context(), url+"/metrics"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if of.err != nil {
		t.Fatal(of.err)
	}
	read := of.read
	checkProfile(t, read, []string{"samples/count", "cpu/nanoseconds"}, "service::")
	if read.Period != 10_000_000 || read.DurationNanos < 1_500_000_000 {
		t.Errorf("CPU: a sample in %d ns, for %d ns", read.Period, read.DurationNanos)
	}
	for _, sample := range read.Sample {
		if sample.Value[1] != sample.Value[0]*read.Period || len(sample.Label["thread"]) != 1 {
			t.Errorf("CPU: a sample has the values %v and the labels %v", sample.Value, sample.Label)
		}
	}
	heap, err := readProfile(t.Context(), url+"/debug/pprof/heap")
	if err != nil {
		t.Fatal(err)
	}
	checkProfile(t, heap, []string{"inuse_space/bytes"}, "varve::")
}

func readProfile(ctx context.Context, url string) (*profile.Profile, error) {
	body, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	return profile.Parse(bytes.NewReader(body))
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
