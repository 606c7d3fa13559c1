package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/thanos-io/thanos/pkg/store/storepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// endpoint is a sidecar that a test asks.
type endpoint struct {
	http  string
	store storepb.StoreClient
	grpc  string
}

func (s *stack) startEndpoint(t *testing.T, binary string) endpoint {
	t.Helper()
	http, address := s.startSidecarWatched(t, binary, "--prometheus.get_config_timeout=1s")
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return endpoint{http: http, store: storepb.NewStoreClient(connection), grpc: address}
}

// isReady says whether the endpoint does.
func (e endpoint) isReady(t *testing.T) bool {
	t.Helper()
	code, _, err := fetch(t.Context(), e.http+"/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	return code == http.StatusOK
}

// errors asks for series with and without chunks and for names and values of
// labels, each for a while, and gives the error of each.
func (e endpoint) errors(t *testing.T) map[string]error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	series := func(skip bool) error {
		stream, err := e.store.Series(ctx, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) {
			r.SkipChunks = skip
		}))
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	all := map[string]error{"Series": series(false), "Series without chunks": series(true)}
	_, all["LabelNames"] = e.store.LabelNames(ctx, &storepb.LabelNamesRequest{Start: HistoryStart, End: HistoryEnd})
	_, all["LabelValues"] = e.store.LabelValues(ctx, &storepb.LabelValuesRequest{Label: "job", Start: HistoryStart, End: HistoryEnd})
	return all
}

func codesOf(all map[string]error) string {
	var lines []string
	for _, call := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, fmt.Sprintf("%s: %s", call, status.Code(all[call])))
	}
	return strings.Join(lines, "\n")
}

// TestSidecarTellsWhatAilsPrometheusAsThanosDoes stops, kills, restarts and
// reloads a real Prometheus beside our sidecar and Thanos's. Calls end with the
// same codes, and whatever is answered is whole.
func TestSidecarTellsWhatAilsPrometheusAsThanosDoes(t *testing.T) {
	s := newStack(t)
	address := FreeAddress(t)
	prometheus := s.startPrometheusAt(t, peer(t, "prometheus"), address)
	ours, theirs := s.startEndpoint(t, varve(t)), s.startEndpoint(t, peer(t, "thanos"))
	both := []endpoint{ours, theirs}
	ready := func(wanted bool) {
		t.Helper()
		for _, one := range both {
			await(t, "change of readiness", func() error {
				if one.isReady(t) != wanted {
					return fmt.Errorf("%s is not to be ready: %t", one.http, wanted)
				}
				return nil
			})
		}
	}
	whole := func(replica string) {
		t.Helper()
		for _, one := range both {
			got := series(t, one.store, request(t, `{__name__=~".+"}`, func(r *storepb.SeriesRequest) {
				r.WithoutReplicaLabels = []string{"cluster", "replica"}
			}))
			if err := got.Compare(s.source); err != nil {
				t.Errorf("%s: %v", one.grpc, err)
			}
			for _, one := range frames(t, one.store, request(t, `up`, func(r *storepb.SeriesRequest) { r.SkipChunks = true })) {
				if got := one.PromLabels().Get("replica"); got != replica {
					t.Errorf("%s, not of replica %s", one.PromLabels(), replica)
				}
			}
		}
	}
	failed := func(what string, code codes.Code) {
		t.Helper()
		ready(false)
		got, want := ours.errors(t), theirs.errors(t)
		if codesOf(got) != codesOf(want) || status.Code(got["Series"]) != code {
			t.Errorf("%s:\n%s\nnot\n%s", what, codesOf(got), codesOf(want))
		}
		for _, one := range both {
			if info, err := infoOf(t, one.grpc); err == nil {
				t.Errorf("%s: %s says it is %v", what, one.grpc, info)
			}
		}
	}
	whole("a")

	prometheus.Signal(t, syscall.SIGSTOP)
	failed("stopped", codes.DeadlineExceeded)
	prometheus.Signal(t, syscall.SIGCONT)
	ready(true)
	whole("a")

	prometheus.Signal(t, syscall.SIGKILL)
	<-prometheus.done
	failed("killed", codes.Unknown)
	if text := ours.errors(t)["Series"].Error(); !strings.Contains(text, address+"/api/v1/read") {
		t.Errorf("it is not said where: %s", text)
	}
	prometheus = s.startPrometheusAt(t, peer(t, "prometheus"), address)
	ready(true)
	whole("a")

	s.configure(t, "b")
	prometheus.Signal(t, syscall.SIGHUP)
	for _, one := range both {
		await(t, "the new label", func() error {
			info, err := infoOf(t, one.grpc)
			if err == nil && !strings.Contains(info.String(), `"b"`) {
				err = fmt.Errorf("it is %v", info)
			}
			return err
		})
	}
	whole("b")
}

// TestSidecarRefusesDamagedAnswersAsThanosDoes puts a proxy between a real
// Prometheus and both sidecars, which spoils what remote read answers. No part
// of such an answer passes for a whole one, and the codes are the same.
func TestSidecarRefusesDamagedAnswersAsThanosDoes(t *testing.T) {
	s := newStack(t)
	s.startPrometheus(t)
	behind, err := url.Parse(s.prometheus)
	if err != nil {
		t.Fatal(err)
	}
	var fault atomic.Pointer[func(http.ResponseWriter, []byte)]
	proxy := httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spoil := fault.Load()
		if spoil == nil || r.URL.Path != "/api/v1/read" {
			proxy.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		proxy.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		(*spoil)(w, whole.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	s.prometheus = server.URL
	ours, theirs := s.startEndpoint(t, varve(t)), s.startEndpoint(t, peer(t, "thanos"))

	for _, c := range []struct {
		name  string
		spoil func(http.ResponseWriter, []byte)
		place string
	}{
		{"500", func(w http.ResponseWriter, _ []byte) { http.Error(w, "no such luck", 500) }, "status 500: no such luck"},
		{"503", func(w http.ResponseWriter, _ []byte) { http.Error(w, "no such luck", 503) }, "status 503: no such luck"},
		{"cut in a frame", func(w http.ResponseWriter, whole []byte) { w.Write(whole[:len(whole)-1]) }, "expected 1 more bytes"},
		{"broken off", func(w http.ResponseWriter, whole []byte) {
			w.Write(whole[:len(whole)/2])
			panic(http.ErrAbortHandler)
		}, "/api/v1/read"},
		{"wrong checksum", func(w http.ResponseWriter, whole []byte) {
			spoiled := bytes.Clone(whole)
			spoiled[len(spoiled)-1] ^= 1
			w.Write(spoiled)
		}, "checksum"},
		{"a frame of 60 MB", func(w http.ResponseWriter, whole []byte) {
			w.Write(binary.AppendUvarint(bytes.Clone(whole), 60_000_000))
			w.Write(make([]byte, 1<<20))
		}, "60000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fault.Store(&c.spoil)
			defer fault.Store(nil)
			got, want := ours.errors(t), theirs.errors(t)
			if codesOf(got) != codesOf(want) || got["Series"] == nil {
				t.Fatalf("\n%s\nnot\n%s", codesOf(got), codesOf(want))
			}
			for _, part := range []string{server.URL + "/api/v1/read", c.place} {
				if text := got["Series"].Error(); !strings.Contains(text, part) {
					t.Errorf("no %q in %s", part, text)
				}
			}
		})
	}
	// The proxy may still break a connection of the last case.
	for _, one := range []endpoint{ours, theirs} {
		await(t, "whole answers afterwards", func() error {
			if got := codesOf(one.errors(t)); strings.Count(got, ": OK") != 4 {
				return errors.New(got)
			}
			return nil
		})
	}
}
