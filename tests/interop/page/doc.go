// Package page drives the page of `varve compact` and `varve tools bucket web`
// in a real Chromium.
//
// It is a module of its own, so that its dependencies do not raise the versions
// that Prometheus and Thanos are released with.
package page
