package interop

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestSidecarReloadsPrometheus has `varve sidecar` make the configuration of a
// real Prometheus and reload it, by HTTP and by signal: rules in a volume that
// is swapped as Kubernetes does it, a configuration with variables, a gzipped
// one, and rules that Prometheus refuses until they are mended.
func TestSidecarReloadsPrometheus(t *testing.T) {
	for _, method := range []string{"http", "signal"} {
		t.Run(method, func(t *testing.T) { reload(t, method) })
	}
}

func reload(t *testing.T, method string) {
	t.Setenv("VARVE_TEST_ZONE", "north")
	dir := t.TempDir()
	template, config := filepath.Join(dir, "template.yml"), filepath.Join(dir, "prometheus.yml")
	rules := filepath.Join(dir, "rules")
	swap(t, rules, "..1", rule("demo:first"))
	write(t, template, configuration(rules, "{zone: $(VARVE_TEST_ZONE)}"))

	// Under a name of its own, so that no other Prometheus gets the signal.
	name := fmt.Sprintf("prom-%d", os.Getpid())
	binary := filepath.Join(dir, name)
	if err := os.Symlink(peer(t, "prometheus"), binary); err != nil {
		t.Fatal(err)
	}
	address, http, api := FreeAddress(t), FreeAddress(t), FreeAddress(t)
	base, ours := "http://"+address, "http://"+http
	// Labels are to be followed by the reload, not by the next heartbeat.
	sidecar := Start(t, dir, "sidecar", varve(t), "sidecar", "--prometheus.url="+base,
		"--prometheus.get_config_interval=1h", "--tsdb.path="+dir, "--http-address="+http, "--grpc-address="+api,
		"--reloader.config-file="+template, "--reloader.config-envsubst-file="+config,
		"--reloader.rule-dir="+rules, "--reloader.watch-interval=1h", "--reloader.retry-interval=1s",
		"--reloader.delay-interval=100ms", "--reloader.method="+method, "--reloader.process-name="+name)
	sidecar.Await(t, "a configuration", func(context.Context) error {
		_, err := os.Stat(config)
		return err
	})
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + address}
	if method == "http" {
		args = append(args, "--web.enable-lifecycle")
	}
	Start(t, dir, "prometheus", binary, args...).AwaitReady(t, base+"/-/ready")
	sidecar.AwaitReady(t, ours+"/-/ready")
	holds := func(url, text string) {
		t.Helper()
		sidecar.Await(t, text, func(ctx context.Context) error {
			found, err := get(ctx, url)
			if err == nil && !strings.Contains(string(found), text) {
				err = fmt.Errorf("%s is %.2000s", url, found)
			}
			return err
		})
	}
	metric := func(name string) { t.Helper(); holds(ours+"/metrics", "\nthanos_sidecar_reloader_"+name+"\n") }
	holds(base+"/api/v1/status/config", "zone: north")
	holds(base+"/api/v1/rules", "demo:first")
	metric("last_reload_successful 1")
	metric(`info{method="` + method + `"} 1`)

	swap(t, rules, "..2", rule("demo:second"))
	holds(base+"/api/v1/rules", "demo:second")

	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write([]byte(configuration(rules, "{zone: $(VARVE_TEST_ZONE), replica: b}")))
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, template, packed.String())
	holds(base+"/api/v1/status/config", "replica: b")
	sidecar.Await(t, "labels", func(ctx context.Context) error { return hasLabel(ctx, api, "replica", "b") })

	metric("last_reload_successful 1")
	swap(t, rules, "..3", "groups: [{name: demo, rules: [{record: 'demo:third', expr: '(('}]}]")
	metric("last_reload_successful 0")
	holds(base+"/api/v1/rules", "demo:second")
	swap(t, rules, "..4", rule("demo:fourth"))
	holds(base+"/api/v1/rules", "demo:fourth")
	metric("last_reload_successful 1")
	metric("config_apply_operations_failed_total 0")
}

func configuration(rules, labels string) string {
	return fmt.Sprintf("global: {external_labels: %s}\nrule_files: [%q]\n", labels, filepath.Join(rules, "*.yaml"))
}

func rule(name string) string {
	return fmt.Sprintf("groups: [{name: demo, rules: [{record: %q, expr: '1'}]}]", name)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// swap puts a file into a volume as Kubernetes does: into a folder of its own,
// to which a link is swapped.
func swap(t *testing.T, volume, version, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(volume, version), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(volume, version, "rules.yaml"), text)
	data := filepath.Join(volume, "..data")
	old, _ := os.Readlink(data)
	if err := os.Symlink(version, data+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data+"_tmp", data); err != nil {
		t.Fatal(err)
	}
	if old == "" {
		if err := os.Symlink(filepath.Join("..data", "rules.yaml"), filepath.Join(volume, "rules.yaml")); err != nil {
			t.Fatal(err)
		}
	} else if err := os.RemoveAll(filepath.Join(volume, old)); err != nil {
		t.Fatal(err)
	}
}

// hasLabel asks an endpoint for its external labels.
func hasLabel(ctx context.Context, address, name, value string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	info, err := infopb.NewInfoClient(connection).Info(ctx, &infopb.InfoRequest{})
	if err != nil {
		return err
	}
	for _, set := range info.LabelSets {
		for _, label := range set.Labels {
			if label.Name == name && label.Value == value {
				return nil
			}
		}
	}
	return fmt.Errorf("%s says %v", address, info.LabelSets)
}
