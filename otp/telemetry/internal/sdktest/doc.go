// Package sdktest holds the tests of package telemetry that need OpenTelemetry's
// SDK, its exporter for Prometheus, and promtool. It is a module of its own, so that
// a program that uses telemetry has none of these in its build list.
package sdktest
