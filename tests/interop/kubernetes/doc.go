// Package kubernetes checks the manifests of deploy/kubernetes.
//
// It is a module of its own, as its dependencies would raise the versions that
// Prometheus and Thanos are released with.
package kubernetes
