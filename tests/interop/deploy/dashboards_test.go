package deploy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// TestDashboardsKeepToGrafanasSchema decodes them by the types that Grafana's
// schemas are made into: an unknown field is an error, and so is a missing one.
func TestDashboardsKeepToGrafanasSchema(t *testing.T) {
	known := cog.NewRuntime()
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	known.RegisterPanelcfgVariant(stat.VariantConfig())
	known.RegisterPanelcfgVariant(timeseries.VariantConfig())
	files, err := filepath.Glob(filepath.Join(deployed, "grafana", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var decoded dashboard.Dashboard
		// It gives an empty list where nothing is wrong.
		if err := decoded.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
			t.Errorf("%s: %v", file, err)
		}
		if len(decoded.Panels) < 5 {
			t.Errorf("%s has %d panels and rows", file, len(decoded.Panels))
		}
	}
}
