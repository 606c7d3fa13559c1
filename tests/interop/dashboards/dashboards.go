// Package dashboards makes Grafana's dashboards of short descriptions.
//
// deploy/grafana/src has a description of each dashboard, and in common.yaml
// rows that several of them have. `go run ./dashboards/write` writes the JSON.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"
)

// Dashboard is a description.
type Dashboard struct {
	Title, UID string
	// Jobs is a regular expression of the jobs to choose from.
	Jobs string
	Rows []Row
}

// Row has panels of its own, or is a common one.
type Row struct {
	Use    string
	Title  string
	Panels []Panel
}

// Panel shows the answers to some queries.
type Panel struct {
	Title string
	// Help is what the panel's (i) says.
	Help string
	// Unit is one of Grafana's: short, s, bytes, percentunit, …
	Unit string
	// Type is `timeseries` unless given, or `stat`.
	Type string
	// Queries are of the form `legend: query`.
	Queries yaml.MapSlice
}

// Read reads the descriptions in a folder, with the common rows filled in.
func Read(folder string) (map[string]Dashboard, error) {
	var common map[string]Row
	if err := decode(filepath.Join(folder, "common.yaml"), &common); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := map[string]Dashboard{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "common" {
			continue
		}
		var dashboard Dashboard
		if err := decode(file, &dashboard); err != nil {
			return nil, err
		}
		for i, row := range dashboard.Rows {
			if row.Use == "" {
				continue
			}
			known, found := common[row.Use]
			if !found || len(row.Panels) > 0 {
				return nil, fmt.Errorf("%s: row %q: common.yaml has %v", file, row.Use, slices.Sorted(maps.Keys(common)))
			}
			dashboard.Rows[i] = known
		}
		all[name] = dashboard
	}
	return all, nil
}

func decode(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Queries are those of all panels.
func (d Dashboard) Queries() map[string][]string {
	all := map[string][]string{}
	for _, row := range d.Rows {
		for _, panel := range row.Panels {
			name := d.Title + ": " + row.Title + ": " + panel.Title
			for _, query := range panel.Queries {
				all[name] = append(all[name], fmt.Sprint(query.Value))
			}
		}
	}
	return all
}

// JSON is the dashboard as Grafana 10 and later read it.
func (d Dashboard) JSON() ([]byte, error) {
	var panels []any
	id, y := 0, 0
	next := func() int { id++; return id }
	for _, row := range d.Rows {
		panels = append(panels, object{"id": next(), "type": "row", "title": row.Title, "collapsed": false,
			"gridPos": place(0, y, 24, 1), "panels": []any{}})
		y++
		width, height := 24/min(len(row.Panels), 3), 8
		if row.stats() {
			width, height = 24/len(row.Panels), 4
		}
		columns := 24 / width
		for i, panel := range row.Panels {
			made, err := panel.json(next(), place(i%columns*width, y+i/columns*height, width, height))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", d.Title, err)
			}
			panels = append(panels, made)
		}
		y += (len(row.Panels) + columns - 1) / columns * height
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(object{
		"title": d.Title, "uid": d.UID, "tags": []string{"varve"}, "schemaVersion": 39, "version": 1,
		"editable": true, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
		"time":        object{"from": "now-6h", "to": "now"},
		"annotations": object{"list": []any{}}, "links": []any{},
		"templating": object{"list": []any{
			object{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
			object{"name": "job", "label": "Job", "type": "query", "datasource": datasource(), "hide": 0,
				"definition": "label_values(up{job=~\"" + d.Jobs + "\"}, job)",
				"query":      object{"query": "label_values(up{job=~\"" + d.Jobs + "\"}, job)", "refId": "job"},
				"refresh":    2, "sort": 1, "multi": true, "includeAll": true, "allValue": d.Jobs,
				"current": object{"text": []string{"All"}, "value": []string{"$__all"}}},
		}},
		"panels": panels,
	})
	return text.Bytes(), err
}

type object = map[string]any

// stats tells whether all panels are single numbers, which are lower.
func (r Row) stats() bool {
	return !slices.ContainsFunc(r.Panels, func(panel Panel) bool { return panel.Type != "stat" })
}

func (p Panel) json(id int, at object) (object, error) {
	if p.Type == "" {
		p.Type = "timeseries"
	}
	if p.Title == "" || p.Unit == "" || len(p.Queries) == 0 || p.Type != "timeseries" && p.Type != "stat" {
		return nil, fmt.Errorf("panel %q needs a title, a unit, queries, and the type timeseries or stat", p.Title)
	}
	var targets []any
	for i, query := range p.Queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": datasource(),
			"expr": query.Value, "legendFormat": query.Key, "editorMode": "code", "range": p.Type == "timeseries",
			"instant": p.Type == "stat"})
	}
	defaults := object{"unit": p.Unit}
	options := object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	if p.Type == "stat" {
		options = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}, "values": false}, "textMode": "auto",
			"graphMode": "none", "colorMode": "value", "justifyMode": "auto", "orientation": "auto", "wideLayout": true,
			"showPercentChange": false, "percentChangeColorMode": "standard"}
	} else {
		defaults["min"] = 0
		defaults["custom"] = object{"fillOpacity": 5, "showPoints": "never"}
	}
	return object{"id": id, "type": p.Type, "title": p.Title, "description": p.Help, "datasource": datasource(),
		"gridPos": at, "targets": targets, "options": options,
		"fieldConfig": object{"defaults": defaults, "overrides": []any{}}}, nil
}

func datasource() object {
	return object{"type": "prometheus", "uid": "${datasource}"}
}

func place(x, y, width, height int) object {
	return object{"x": x, "y": y, "w": width, "h": height}
}
