// Package deploy checks the manifests of deploy/kubernetes and the dashboards
// of deploy/grafana, and what the image is built of.
//
// It is a module of its own, as its dependencies would raise the versions that
// Prometheus and Thanos are released with.
package deploy
