package interop

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsTellWhatBecomesOfEachFlagOfThanos compares the help of the real Thanos
// with docs/flags.md, so that a flag of a newer version is not overlooked.
func TestDocsTellWhatBecomesOfEachFlagOfThanos(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `--([^`]+)` \\|")
	flag := regexp.MustCompile(`(?m)^ {2,6}(?:-\w, +)?--(?:\[no-\])?([a-z0-9][a-zA-Z0-9_.-]*)`)
	sections := strings.Split(string(page), "\n## ")
	for _, component := range []string{"sidecar", "compact", "store"} {
		var known []string
		for _, section := range sections {
			if strings.HasPrefix(section, "Every component\n") || strings.HasPrefix(section, component+"\n") {
				for _, found := range row.FindAllStringSubmatch(section, -1) {
					known = append(known, found[1])
				}
			}
		}
		help, err := exec.Command(peer(t, "thanos"), component, "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("thanos %s --help: %v\n%s", component, err, help)
		}
		found := flag.FindAllStringSubmatch(string(help), -1)
		if len(found) < 20 {
			t.Fatalf("thanos %s --help names only %d flags", component, len(found))
		}
		for _, name := range found {
			// These are of every program.
			if slices.Contains([]string{"help", "version", "objstore.config", "objstore.config-file"}, name[1]) {
				continue
			}
			if !slices.Contains(known, name[1]) {
				t.Errorf("docs/flags.md does not have --%s of thanos %s", name[1], component)
			}
		}
	}
}
