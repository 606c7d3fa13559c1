package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find gives what the only group of a pattern matches in a file.
func find(t *testing.T, name, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(read(t, name))
	if found == nil {
		t.Fatalf("%s has no %s", name, pattern)
	}
	return found[1]
}

func TestTheImageIsBuiltOfWhatDockerignoreLeaves(t *testing.T) {
	ignored := strings.Split(strings.TrimSpace(read(t, ".dockerignore")), "\n")
	members := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(find(t, "Cargo.toml", `(?s)members = \[(.*?)\]`), -1)
	if len(members) < 10 {
		t.Fatalf("only the crates %v were found", members)
	}
	needed := []string{"Cargo.toml", "Cargo.lock", ".cargo/config.toml"}
	for _, member := range members {
		folders, err := filepath.Glob(filepath.Join(root, member[1]))
		if err != nil || len(folders) == 0 {
			t.Fatalf("%s: %v", member[1], err)
		}
		for _, folder := range folders {
			relative, err := filepath.Rel(root, folder)
			if err != nil {
				t.Fatal(err)
			}
			needed = append(needed, relative)
		}
	}
	for _, name := range needed {
		if !exists(filepath.Join(root, name)) {
			t.Errorf("%s is not there", name)
		}
		if slices.ContainsFunc(ignored, func(line string) bool { return name == line || strings.HasPrefix(name, line+"/") }) {
			t.Errorf("the build needs %s, which .dockerignore leaves out", name)
		}
	}
}

func TestTheImageHasTheVersionOfRustAndTheUserThatItShould(t *testing.T) {
	const dockerfile = "deploy/Dockerfile"
	rust := find(t, "Cargo.toml", `rust-version = "([0-9.]+)"`)
	if image := find(t, dockerfile, `FROM rust:([0-9.]+)-`); image != rust {
		t.Errorf("the image is built by Rust %s, the workspace by %s", image, rust)
	}
	user := find(t, dockerfile, `(?m)^USER ([0-9]+):[0-9]+$`)
	for _, folder := range folders(t) {
		for _, pod := range pods(objects(t, folder)) {
			if id := pod.Spec.SecurityContext.RunAsUser; id == nil || user != strconv.FormatInt(*id, 10) {
				t.Errorf("%s: a pod runs as %v, the image as %s", folder, id, user)
			}
		}
	}
}
