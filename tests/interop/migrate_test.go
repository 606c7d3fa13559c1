package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestEachStepFromThanosAndBackAnswersAsPrometheusDoes replaces the components
// one at a time on one bucket, in the order of docs/migrate.md, and goes back.
// After each step Thanos Query answers over what serves then as Prometheus does.
func TestEachStepFromThanosAndBackAnswersAsPrometheusDoes(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)
	step := func(name string, stores ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) { s.checkQuery(t, asked, s.startQueryOver(t, stores)) })
		if t.Failed() {
			t.FailNow()
		}
	}
	s.startSidecar(t, peer(t, "thanos"), "--objstore.config-file="+s.objstore)
	await(t, "the upload", func() error {
		isMeta := func(key string) bool { return filepath.Base(key) == "meta.json" }
		if got, want := count(s.objects(t, ""), isMeta), len(blockDirs(t, s.data)); got != want {
			return fmt.Errorf("%d blocks, not %d", got, want)
		}
		return nil
	})
	step("Thanos alone", s.startThanosStore(t))

	// The new sidecar goes on where the old one stopped.
	before := s.objects(t, "")
	recent := s.startSidecar(t, varve(t), "--objstore.config-file="+s.objstore,
		"--min-time="+time.UnixMilli(Middle-3*hour).UTC().Format(time.RFC3339))
	if after := s.objects(t, ""); !slices.Equal(before, after) {
		t.Fatalf("the bucket holds %v, not %v", after, before)
	}
	step("the sidecar", recent, s.startThanosStore(t))

	store := s.startStore(t, "--sync-block-duration=1s")
	step("a gateway beside Thanos's", recent, s.startThanosStore(t), store)
	step("the gateway alone", recent, store)

	t.Run("the compactor that writes TSDB blocks", func(t *testing.T) {
		other := s.copied(t)
		other.compact(t, "--compact.output=tsdb")
		other.removeMarked(t)
		other.verifyWithThanos(t)
		other.checkQuery(t, asked, other.startQueryOver(t, []string{other.startThanosStore(t)}))
	})

	s.compact(t)
	s.checkCompacted(t, 2)
	step("the compactor, with both gateways", recent, s.startThanosStore(t), s.startStore(t))
	s.removeMarked(t)
	step("the compactor", recent, s.startStore(t))

	for _, b := range unmarked(s.blocks(t, "parquet")) {
		Run(t, varve(t), "tools", "bucket", "rewrite", "--id="+b.ULID.String(), "--output=tsdb",
			"--no-dry-run", "--delete-blocks", "--objstore.config-file="+s.objstore,
			"--tmp.dir="+filepath.Join(s.dir, "rewrite"))
	}
	s.removeMarked(t)
	if left := s.objects(t, "parquet"); len(s.blocks(t, "parquet")) != 0 {
		t.Fatalf("Parquet blocks are left: %v", left)
	}
	s.verifyWithThanos(t)
	s.compactWithThanos(t)
	s.removeMarked(t)
	step("back to Thanos", s.startThanosStore(t))
}

// TestThanosMissesNothingUntilAGatewayHasServedTheParquetBlocks compacts to
// Parquet in a bucket that Thanos's store gateway reads too.
func TestThanosMissesNothingUntilAGatewayHasServedTheParquetBlocks(t *testing.T) {
	s := startStack(t)
	asked := s.askPrometheus(t)
	s.upload(t)
	web, client := filepath.Join(s.dir, "web.yml"), filepath.Join(s.dir, "client.yml")
	s.write(t, web, "basic_auth_users: {compactor: "+passwordHash+"}\n")
	s.write(t, client, "basic_auth: {username: compactor, password: interop-password}\n")
	address, grpc := FreeAddress(t), FreeAddress(t)
	Start(t, s.dir, "store", varve(t), "store", "--data-dir="+filepath.Join(s.dir, "store"),
		"--objstore.config-file="+s.objstore, "--sync-block-duration=1s", "--http.config="+web,
		"--http-address="+address, "--grpc-address="+grpc)
	gateway := "http://" + address

	const delay = 4 * time.Second
	compact := func(gateway string) {
		t.Helper()
		s.compact(t, "--compact.keep-until-served="+gateway, "--compact.store-http-client-file="+client,
			"--delete-delay="+delay.String())
	}
	sources := func() (left, marked int) {
		for _, b := range s.blocks(t, "") {
			if b.marked {
				marked++
			}
			left++
		}
		return left, marked
	}
	before, _ := sources()

	// Nobody is asked who could say that it serves them.
	nobody := "http://" + FreeAddress(t)
	for range 2 {
		compact(nobody)
	}
	if left, marked := sources(); left != before || marked != 0 || len(s.blocks(t, "parquet")) == 0 {
		t.Fatalf("%d of %d TSDB blocks are left, %d of them marked, beside %d Parquet blocks",
			left, before, marked, len(s.blocks(t, "parquet")))
	}
	s.checkQuery(t, asked, s.startQueryOver(t, []string{s.startThanosStore(t)}))

	// Once the gateway has seen them, they are served, but not for long enough.
	served := func(key string) bool { return filepath.Base(key) == "served-mark.json" }
	await(t, "the mark of the served blocks", func() error {
		compact(gateway)
		if count(s.objects(t, "parquet"), served) == 0 {
			return fmt.Errorf("none among %v", s.objects(t, "parquet"))
		}
		return nil
	})
	if _, marked := sources(); marked != 0 {
		t.Fatalf("%d blocks are marked at once", marked)
	}
	await(t, "the deletion marks", func() error {
		compact(gateway)
		if _, marked := sources(); marked == 0 {
			return fmt.Errorf("no block is marked")
		}
		return nil
	})
	compact(nobody)
	s.checkQuery(t, asked, s.startQueryOver(t, []string{grpc}))
}

// count tells how many keys are such ones.
func count(keys []string, isSuch func(string) bool) int {
	return len(keys) - len(slices.DeleteFunc(slices.Clone(keys), isSuch))
}
