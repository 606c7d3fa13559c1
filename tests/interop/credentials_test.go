package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheBucketIsFoundWithTheCredentialsThatTheMachineHas names neither region
// nor keys in the configuration of a bucket on a real S3 server, which is of
// another region than the one that is tried first.
func TestTheBucketIsFoundWithTheCredentialsThatTheMachineHas(t *testing.T) {
	s := &stack{dir: t.TempDir()}
	address := s.startServer(t, "eu-north-1")
	blocks := filepath.Join("..", "fixtures", "odd", "non-utf8-value")
	if err := os.CopyFS(s.bucket, os.DirFS(blocks)); err != nil {
		t.Fatal(err)
	}
	yaml := func(name, more string) string {
		path := filepath.Join(s.dir, name+".yml")
		s.write(t, path, fmt.Sprintf("type: S3\nconfig:\n  bucket: %s\n  endpoint: %s\n  insecure: true\n%s",
			bucketName, address, more))
		return path
	}
	plain := yaml("plain", "")
	keys := yaml("keys", fmt.Sprintf("  access_key: %s\n  secret_key: %s\n", accessKey, secretKey))
	badKeys := yaml("bad", fmt.Sprintf("  access_key: %s\n  secret_key: wrong\n", accessKey))
	file := filepath.Join(s.dir, "credentials")
	s.write(t, file, fmt.Sprintf(`
[default]
aws_access_key_id = nobody
aws_secret_access_key = nothing

[interop]
aws_access_key_id = %s
aws_secret_access_key = %s
`, accessKey, secretKey))

	for _, c := range []struct {
		name, objstore string
		env            []string
	}{
		{"keys of the configuration", keys, nil},
		{"AWS_ACCESS_KEY_ID", plain, []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey}},
		{"AWS_ACCESS_KEY", plain, []string{"AWS_ACCESS_KEY=" + accessKey, "AWS_SECRET_KEY=" + secretKey}},
		{"a profile", plain, []string{"AWS_SHARED_CREDENTIALS_FILE=" + file, "AWS_PROFILE=interop"}},
		{"the region of the environment", keys, []string{"AWS_REGION=eu-north-1"}},
	} {
		if out, err := s.plan(t, c.objstore, c.env); err != nil || !strings.Contains(out, "01HFXJ00000000000000000001") {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}

	for _, c := range []struct {
		name, objstore string
		env            []string
		says           string
	}{
		{"a wrong secret", badKeys, nil, "config.access_key"},
		{"an unknown key", plain, []string{"AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nothing"}, "AWS_ACCESS_KEY_ID"},
		{"the other spelling", plain, []string{"AWS_ACCESS_KEY=nobody", "AWS_SECRET_KEY=nothing"}, "AWS_ACCESS_KEY"},
		{"another profile", plain, []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}, "profile default of " + file},
	} {
		out, err := s.plan(t, c.objstore, c.env)
		if err == nil {
			t.Errorf("%s: status 0\n%s", c.name, out)
		}
		for _, says := range []string{"access denied", "bucket " + bucketName, c.says} {
			if !strings.Contains(out, says) {
				t.Errorf("%s: no %q in\n%s", c.name, says, out)
			}
		}
	}
}

// plan shows what the compactor would do, in an environment with nothing of
// AWS but what is given.
func (s *stack) plan(t *testing.T, objstore string, env []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), varve(t), "compact", "plan", "--data-dir="+filepath.Join(s.dir, "compact"),
		"--objstore.config-file="+objstore, "--consistency-delay=0s")
	cmd.Env = append([]string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
