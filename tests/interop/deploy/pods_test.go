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
	"k8s.io/apimachinery/pkg/runtime"
)

// patience is how long a pod may take to become ready, or to end.
const patience = 90 * time.Second

// TestPodsBecomeReadyOrEndTheirWork runs the real programs with the arguments,
// the environment and the files of each container of each pod. The volumes are
// folders of the test, the ports are free ones. Daemons must answer their
// probes, jobs end with 0.
func TestPodsBecomeReadyOrEndTheirWork(t *testing.T) {
	ran := 0
	for _, folder := range folders(t) {
		all := objects(t, folder)
		for _, template := range pods(all) {
			ran++
			t.Run(filepath.Base(folder)+"/"+template.Labels["app.kubernetes.io/component"], func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				newPod(t, template.Spec, all).run(ctx, t)
			})
		}
	}
	if ran < 10 {
		t.Errorf("only %d pods were found", ran)
	}
}

// pod is one that runs here.
type pod struct {
	spec core.PodSpec
	// volumes has a folder for each volume, by its name.
	volumes string
	// ports are addresses by the names of ports.
	ports map[string]string
	// environment is that of all containers.
	environment map[string]string
}

func newPod(t *testing.T, spec core.PodSpec, all []runtime.Object) *pod {
	t.Helper()
	p := &pod{spec: spec, volumes: t.TempDir(), ports: map[string]string{},
		environment: map[string]string{"JOB_COMPLETION_INDEX": "0"}}
	for _, container := range spec.Containers {
		for _, mount := range container.VolumeMounts {
			if err := os.MkdirAll(filepath.Join(p.volumes, mount.Name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, port := range container.Ports {
			p.ports[port.Name] = freeAddress(t)
		}
		for _, variable := range container.Env {
			p.environment[variable.Name] = valueOf(t, variable)
		}
	}
	for _, volume := range spec.Volumes {
		switch {
		case volume.Secret != nil:
			bucket := filepath.Join(p.volumes, "objects")
			if err := os.Mkdir(bucket, 0o755); err != nil {
				t.Fatal(err)
			}
			p.write(t, volume.Name, "bucket.yaml", fmt.Sprintf("type: FILESYSTEM\nconfig: {directory: %q}\n", bucket))
		case volume.ConfigMap != nil && volume.ConfigMap.Name == "varve-alerts":
			for _, file := range ruleFiles(t) {
				p.write(t, volume.Name, filepath.Base(file), read(t, strings.TrimPrefix(file, root+"/")))
			}
		case volume.ConfigMap != nil:
			for name, text := range dataOf(t, all, volume.ConfigMap.Name) {
				p.write(t, volume.Name, name, text)
			}
		}
	}
	return p
}

// valueOf gives what Kubernetes puts into a variable: a field as a text that
// tells which, an index where one is meant.
func valueOf(t *testing.T, variable core.EnvVar) string {
	t.Helper()
	switch {
	case variable.ValueFrom == nil:
		return variable.Value
	case variable.ValueFrom.FieldRef == nil:
		t.Fatalf("%s: only fields are known here", variable.Name)
	case strings.HasSuffix(variable.ValueFrom.FieldRef.FieldPath, "/pod-index']"):
		return "0"
	}
	return "value-of-" + variable.ValueFrom.FieldRef.FieldPath
}

func dataOf(t *testing.T, all []runtime.Object, name string) map[string]string {
	t.Helper()
	for _, object := range all {
		if configured, ok := object.(*core.ConfigMap); ok && configured.Name == name {
			return configured.Data
		}
	}
	t.Fatalf("there is no config map %s", name)
	return nil
}

func (p *pod) write(t *testing.T, volume, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.volumes, volume, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var reference = regexp.MustCompile(`\$\((\w+)\)`)

// args are a container's, with this pod's folders and addresses.
func (p *pod) args(t *testing.T, container core.Container) []string {
	t.Helper()
	var args []string
	for _, arg := range container.Args {
		arg = reference.ReplaceAllStringFunc(arg, func(found string) string {
			value, known := p.environment[reference.FindStringSubmatch(found)[1]]
			if !known {
				t.Fatalf("%s: %s is not in the environment", arg, found)
			}
			return value
		})
		for _, mount := range container.VolumeMounts {
			if rest, found := strings.CutPrefix(arg[strings.Index(arg, "=")+1:], mount.MountPath); found {
				arg = arg[:strings.Index(arg, "=")+1] + filepath.Join(p.volumes, mount.Name) + rest
			}
		}
		for _, other := range p.spec.Containers {
			for _, port := range other.Ports {
				for _, host := range []string{"0.0.0.0", "localhost"} {
					arg = strings.ReplaceAll(arg, fmt.Sprintf("%s:%d", host, port.ContainerPort), p.ports[port.Name])
				}
			}
		}
		args = append(args, arg)
	}
	if path.Base(program(t, container)) == "prometheus" {
		args = append(args, "--web.listen-address="+p.ports["web"])
	}
	return args
}

// program gives the path of what a container's image runs.
func program(t *testing.T, container core.Container) string {
	t.Helper()
	image, _, _ := strings.Cut(container.Image, ":")
	name := path.Base(image)
	binary, found := map[string]string{"varve": "../../../target/debug/varve", "prometheus": "../bin/prometheus"}[name]
	if !found {
		t.Fatalf("%s is an unknown image", container.Image)
	}
	if named := os.Getenv(strings.ToUpper(name) + "_BIN"); named != "" {
		binary = named
	}
	if !exists(binary) {
		t.Fatalf("%s is missing: `make interop` builds it", binary)
	}
	return binary
}

// run starts all containers, and waits for the probes of each or for its end.
// As Kubernetes does, it starts one again that ends by itself.
func (p *pod) run(ctx context.Context, t *testing.T) {
	t.Helper()
	var started []*container
	for _, spec := range p.spec.Containers {
		one := &container{name: spec.Name, binary: program(t, spec), args: p.args(t, spec)}
		for name, value := range p.environment {
			one.environment = append(one.environment, name+"="+value)
		}
		one.start(ctx, t)
		defer one.stop(t)
		started = append(started, one)
	}
	for i, spec := range p.spec.Containers {
		if spec.LivenessProbe == nil {
			started[i].awaitEnd(t)
			continue
		}
		for _, probe := range []*core.Probe{spec.LivenessProbe, spec.ReadinessProbe} {
			url := "http://" + p.ports[probe.HTTPGet.Port.StrVal] + probe.HTTPGet.Path
			for status(ctx, url) != http.StatusOK {
				// One may wait for another, so all are looked after.
				for _, one := range started {
					one.keep(ctx, t)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

// container is one that runs here.
type container struct {
	name, binary string
	args         []string
	environment  []string
	command      *exec.Cmd
	output       *bytes.Buffer
	done         chan error
	// ends is how often it has ended by itself.
	ends int
}

func (c *container) start(ctx context.Context, t *testing.T) {
	t.Helper()
	c.command, c.output, c.done = exec.CommandContext(ctx, c.binary, c.args...), &bytes.Buffer{}, make(chan error, 1)
	c.command.Stdout, c.command.Stderr, c.command.Env = c.output, c.output, c.environment
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func(command *exec.Cmd, done chan<- error) { done <- command.Wait() }(c.command, c.done)
}

// keep starts it again if it has ended, a few times.
func (c *container) keep(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case err := <-c.done:
		c.ends++
		if c.ends == 5 || ctx.Err() != nil {
			c.done <- err
			t.Fatalf("%s ended %d times: %v\n%v\n%s", c.name, c.ends, err, c.args, c.output.String())
		}
		time.Sleep(200 * time.Millisecond)
		c.start(ctx, t)
	default:
	}
}

// awaitEnd waits until it has ended, and wants status 0.
func (c *container) awaitEnd(t *testing.T) {
	t.Helper()
	err := <-c.done
	c.done <- err
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.args, err, c.output.String())
	}
}

func (c *container) stop(t *testing.T) {
	t.Helper()
	_ = c.command.Process.Signal(syscall.SIGTERM)
	if err := <-c.done; err != nil {
		t.Errorf("%s: %v\n%s", c.name, err, c.output.String())
	}
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

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
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
