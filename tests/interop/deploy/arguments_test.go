package deploy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
)

// patience is how long a probe may take to answer as it should.
const patience = 60 * time.Second

// TestVarveRunsWithTheArgumentsOfEachContainer starts the real program with the
// arguments and the environment of each container. The volumes are folders of
// the test, the ports are free ones. A daemon must answer its probes, a job end
// with 0.
func TestVarveRunsWithTheArgumentsOfEachContainer(t *testing.T) {
	ran := 0
	for _, folder := range folders(t) {
		for _, pod := range pods(objects(t, folder)) {
			for _, container := range pod.Spec.Containers {
				if image, _, _ := strings.Cut(container.Image, ":"); path.Base(image) != "varve" {
					continue
				}
				ran++
				t.Run(filepath.Base(folder)+"/"+container.Name, func(t *testing.T) {
					t.Parallel()
					runContainer(t, container)
				})
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d containers of varve were found", ran)
	}
}

func runContainer(t *testing.T, container core.Container) {
	root := t.TempDir()
	for _, mount := range container.VolumeMounts {
		if err := os.MkdirAll(filepath.Join(root, mount.MountPath), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bucket := filepath.Join(root, "bucket")
	if err := os.Mkdir(bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "etc/varve/bucket.yaml"), fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", bucket))
	if folder := filepath.Join(root, "etc/prometheus/in"); exists(folder) {
		text, err := os.ReadFile(filepath.Join(deployed, "kubernetes", "sidecar", "prometheus.yml"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "prometheus.yml"), string(text))
	}
	environment := environmentOf(t, container)
	ports := map[string]string{}
	for _, port := range container.Ports {
		ports[port.Name] = freeAddress(t)
	}
	var args []string
	for _, arg := range container.Args {
		arg = expand(t, arg, environment)
		for _, mount := range container.VolumeMounts {
			arg = strings.Replace(arg, "="+mount.MountPath, "="+filepath.Join(root, mount.MountPath), 1)
		}
		for _, port := range container.Ports {
			arg = strings.Replace(arg, fmt.Sprintf("=0.0.0.0:%d", port.ContainerPort), "="+ports[port.Name], 1)
		}
		args = append(args, arg)
	}
	run(t, container, ports, args, environment)
}

// run starts varve, and waits for its probes or for its end.
func run(t *testing.T, container core.Container, ports map[string]string, args []string, environment map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, varve(t), args...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	fail := func(what string, err error) {
		t.Helper()
		_ = command.Process.Kill()
		t.Fatalf("varve %s: %s: %v\n%s", strings.Join(args, " "), what, err, output.String())
	}
	if container.LivenessProbe == nil {
		if err := <-done; err != nil {
			fail("the job", err)
		}
		return
	}
	// A sidecar is ready when its Prometheus is, and there is none here.
	ready := http.StatusOK
	if container.Args[0] == "sidecar" {
		ready = http.StatusServiceUnavailable
	}
	await := func(what string, answered func() bool) {
		t.Helper()
		for !answered() {
			select {
			case err := <-done:
				done <- err
				fail(what+": it ended", err)
			case <-ctx.Done():
				fail(what, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	for probe, want := range map[*core.Probe]int{container.LivenessProbe: http.StatusOK, container.ReadinessProbe: ready} {
		url := "http://" + ports[probe.HTTPGet.Port.StrVal] + probe.HTTPGet.Path
		await(fmt.Sprintf("%s answers %d", url, want), func() bool { return status(ctx, url) == want })
	}
	if file := argument(args, "--reloader.config-envsubst-file="); file != "" {
		await(file+" is written", func() bool {
			text, err := os.ReadFile(file)
			return err == nil && bytes.Contains(text, []byte("replica: value-of-metadata.name}"))
		})
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	if err := <-done; err != nil {
		fail("SIGTERM", err)
	}
}

func argument(args []string, flag string) string {
	for _, arg := range args {
		if value, found := strings.CutPrefix(arg, flag); found {
			return value
		}
	}
	return ""
}

// environmentOf gives what Kubernetes puts into the environment: its own fields
// as texts that tell them, an index where one is meant.
func environmentOf(t *testing.T, container core.Container) map[string]string {
	t.Helper()
	environment := map[string]string{"JOB_COMPLETION_INDEX": "0"}
	for _, variable := range container.Env {
		switch {
		case variable.ValueFrom == nil:
			environment[variable.Name] = variable.Value
		case variable.ValueFrom.FieldRef == nil:
			t.Fatalf("%s: only fields are known here", variable.Name)
		case strings.HasSuffix(variable.ValueFrom.FieldRef.FieldPath, "/pod-index']"):
			environment[variable.Name] = "0"
		default:
			environment[variable.Name] = "value-of-" + variable.ValueFrom.FieldRef.FieldPath
		}
	}
	return environment
}

var reference = regexp.MustCompile(`\$\((\w+)\)`)

// expand replaces $(NAME), as Kubernetes does in arguments.
func expand(t *testing.T, arg string, environment map[string]string) string {
	t.Helper()
	return reference.ReplaceAllStringFunc(arg, func(found string) string {
		value, known := environment[reference.FindStringSubmatch(found)[1]]
		if !known {
			t.Fatalf("%s: %s is not in the environment", arg, found)
		}
		return value
	})
}

func status(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func varve(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("VARVE_BIN")
	if binary == "" {
		binary = "../../../target/debug/varve"
	}
	if !exists(binary) {
		t.Fatalf("%s is missing: `cargo build` builds it, VARVE_BIN names another", binary)
	}
	return binary
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
