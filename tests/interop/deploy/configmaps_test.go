package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
)

// TestAlertsArePrometheusRules runs the script that makes them.
func TestAlertsArePrometheusRules(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), "sh", filepath.Join(deployed, "prometheus", "prometheusrules.sh")).Output()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, text := range strings.Split(string(output), "---\n")[1:] {
		rules, ok := decode(t, []byte(text)).(*monitoring.PrometheusRule)
		if !ok || len(rules.Spec.Groups) == 0 {
			t.Fatalf("no rules in\n%s", text)
		}
		names[strings.TrimPrefix(rules.Name, "varve-")+".yaml"] = true
	}
	for _, file := range ruleFiles(t) {
		if !names[filepath.Base(file)] {
			t.Errorf("%s is missing", file)
		}
	}
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deployed, "prometheus", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return filepath.Base(file) == "kustomization.yaml" })
}

// TestAlertsAndDashboardsAreConfigMaps builds those that Prometheus and
// Grafana mount.
func TestAlertsAndDashboardsAreConfigMaps(t *testing.T) {
	panels, err := filepath.Glob(filepath.Join(deployed, "grafana", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for folder, files := range map[string][]string{"prometheus": ruleFiles(t), "grafana": panels} {
		all := objects(t, filepath.Join(deployed, folder))
		data := map[string]string{}
		for _, object := range all {
			for name, text := range object.(*core.ConfigMap).Data {
				data[name] = text
			}
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil || data[filepath.Base(file)] != string(text) {
				t.Errorf("%s is in no config map of deploy/%s (%v)", file, folder, err)
			}
		}
		if len(data) != len(files) || len(files) == 0 {
			t.Errorf("deploy/%s has %d files, its config maps %d", folder, len(files), len(data))
		}
	}
}
