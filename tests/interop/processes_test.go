package interop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take to become ready, or to end.
const patience = 90 * time.Second

// Process is a program that runs until the test ends.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	// quiet is set when it ended as it should, so that its output is of no interest.
	quiet bool
}

// Start runs a program with its output in a file of dir. When the test ends
// the program is asked to end too, and where the test has failed the last
// lines of its output are shown.
func Start(t *testing.T, dir, name, binary string, args ...string) *Process {
	t.Helper()
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &Process{name: name, cmd: exec.Command(binary, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() && !p.quiet {
			t.Logf("%s said at last:\n%s", name, p.tail())
		}
	})
	return p
}

// Stop asks the program to end, and fails the test when it does not.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		t.Errorf("%s did not end on SIGTERM within %s", p.name, patience)
	}
}

// Signal sends the program a signal.
func (p *Process) Signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("%s: %s: %v", p.name, signal, err)
	}
}

// AwaitEnd waits until the program has ended by itself, and fails the test
// unless its status is 0.
func (p *Process) AwaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		if !p.cmd.ProcessState.Success() {
			t.Fatalf("%s ended (%s):\n%s", p.name, p.cmd.ProcessState, p.tail())
		}
	case <-time.After(patience):
		t.Fatalf("%s did not end within %s", p.name, patience)
	}
}

// Await asks again and again until answered gives no error, and fails the test
// when the program ends before that, or patience does.
func (p *Process) Await(t *testing.T, what string, answered func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := answered(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-p.done:
			t.Fatalf("%s ended (%s) before %s:\n%s", p.name, p.cmd.ProcessState, what, p.tail())
		case <-ctx.Done():
			t.Fatalf("%s: no %s within %s: %v\n%s", p.name, what, patience, err, p.tail())
		}
	}
}

// AwaitReady waits for status 200 at an address.
func (p *Process) AwaitReady(t *testing.T, url string) {
	t.Helper()
	p.Await(t, "being ready", func(ctx context.Context) error {
		_, err := get(ctx, url)
		return err
	})
}

func (p *Process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// Run runs a program to its end, and fails the test unless its status is 0.
func Run(t *testing.T, binary string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(binary), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// FreeAddress gives an address of this machine that nothing listens on.
func FreeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// peer gives the path of a peer's program, which a variable such as THANOS_BIN
// may name, and fails where there is none: without its peers this suite proves
// nothing.
func peer(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_BIN")
	if path == "" {
		path = filepath.Join("bin", name)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: `make peers` builds it (%v)", name, err)
	}
	return path
}

// varve gives the path of the program under test.
func varve(t *testing.T) string {
	t.Helper()
	path := os.Getenv("VARVE_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "target", "debug", "varve")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("varve is missing: `cargo build` builds it, VARVE_BIN names another (%v)", err)
	}
	return path
}

// get reads what an address answers with status 200.
func get(ctx context.Context, url string) ([]byte, error) {
	status, text, err := fetch(ctx, url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", url, status, text)
	}
	return text, err
}

// fetch reads what an address answers, whatever the status.
func fetch(ctx context.Context, url string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}
