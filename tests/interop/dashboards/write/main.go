// Command write writes Grafana's dashboards into deploy/grafana. It runs in
// tests/interop: go run ./dashboards/write
package main

import (
	"log"
	"os"
	"path/filepath"

	"varve/tests/interop/dashboards"
)

func main() {
	folder := filepath.Join("..", "..", "deploy", "grafana")
	all, err := dashboards.Read(filepath.Join(folder, "src"))
	if err != nil {
		log.Fatal(err)
	}
	for name, dashboard := range all {
		text, err := dashboard.JSON()
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".json"), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
