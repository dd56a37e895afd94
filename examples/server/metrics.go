package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/telemetry"
	"github.com/otpcourier/otpcourier/otp/telemetry/smpptelemetry"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/store"
)

// metrics are those that Prometheus reads at /metrics. The metrics of an application have
// its name as the label application.
type metrics struct {
	registry  *prometheus.Registry
	providers []*sdk.MeterProvider
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// provider returns a MeterProvider whose metrics have the labels.
func (m *metrics) provider(labels prometheus.Labels) (*sdk.MeterProvider, error) {
	reader, err := otelprometheus.New(otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithRegisterer(prometheus.WrapRegistererWith(labels, m.registry)))
	if err != nil {
		return nil, err
	}
	p := sdk.NewMeterProvider(sdk.WithReader(reader))
	m.providers = append(m.providers, p)
	return p, nil
}

// handler is GET /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true})
}

// close ends the providers. After that /metrics has nothing of theirs.
func (m *metrics) close(ctx context.Context) {
	for _, p := range m.providers {
		_ = p.Shutdown(ctx) // nothing is pushed, so that nothing can be lost
	}
}

// durationBounds are the buckets of OpenTelemetry's semantic conventions for
// http.server.request.duration (1.44.0), in seconds.
var durationBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// timed measures the requests to h by method, pattern and status: OpenTelemetry's
// http.server.request.duration. No part of a request can add a series. otelhttp costs 43
// allocations of a request, and measures much that nobody reads.
func (m *metrics) timed(h http.Handler) (http.Handler, error) {
	p, err := m.provider(nil)
	if err != nil {
		return nil, err
	}
	durations, err := p.Meter("github.com/otpcourier/otpcourier/examples/server").Float64Histogram(
		"http.server.request.duration", metric.WithUnit("s"), metric.WithDescription("How long requests took."),
		metric.WithExplicitBucketBoundaries(durationBounds...))
	return &timer{next: h, durations: durations, options: map[request][]metric.RecordOption{}}, err
}

// A timer is a handler that measures another.
type timer struct {
	next      http.Handler
	durations metric.Float64Histogram
	mu        sync.RWMutex
	options   map[request][]metric.RecordOption
}

// A request is what a series of durations has in common.
type request struct {
	method, pattern string
	status          int
}

// ServeHTTP serves by the other handler, which sets the Pattern of r.
func (t *timer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, answer := time.Now(), &answered{ResponseWriter: w, status: http.StatusOK}
	t.next.ServeHTTP(answer, r)
	t.durations.Record(r.Context(), time.Since(began).Seconds(), t.of(request{r.Method, r.Pattern, answer.status})...)
}

// of returns the attributes of a series, made once.
func (t *timer) of(q request) []metric.RecordOption {
	if !slices.Contains(methods, q.method) {
		q.method = "_OTHER"
	}
	t.mu.RLock()
	made := t.options[q]
	t.mu.RUnlock()
	if made != nil {
		return made
	}
	attrs := []attribute.KeyValue{attribute.String("http.request.method", q.method),
		attribute.Int("http.response.status_code", q.status)}
	if at := strings.IndexByte(q.pattern, '/'); at >= 0 { // behind a method
		attrs = append(attrs, attribute.String("http.route", q.pattern[at:]))
	}
	made = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options[q] = made
	return made
}

// An appMetrics measures an application: its Service, routes, queue, SMPP binds and guard.
type appMetrics struct {
	*telemetry.Telemetry
	provider *sdk.MeterProvider
	alerts   metric.Int64Counter
}

func (m *metrics) of(a application, tracer trace.TracerProvider) (*appMetrics, error) {
	p, err := m.provider(prometheus.Labels{"application": a.Name})
	if err != nil {
		return nil, err
	}
	c := telemetry.Config{MeterProvider: p, TracerProvider: tracer, Purposes: a.Purposes, Countries: phone.Regions()}
	if c.Currency = a.Currency; c.Currency != "" {
		c.Price = func(e otp.Event) float64 { return float64(a.tariff.ofEvent(&e)) / float64(unit) }
	}
	t, err := telemetry.New(c)
	if err != nil {
		return nil, err
	}
	alerts, err := p.Meter("github.com/otpcourier/otpcourier/examples/server").Int64Counter("otp.guard.alerts",
		metric.WithUnit("{alert}"), metric.WithDescription("Rules of the guard that closed, opened, or failed."))
	return &appMetrics{t, p, alerts}, err
}

// alert is a guard's Config.Alert.
func (m *appMetrics) alert(ctx context.Context, a guard.Alert) {
	m.alerts.Add(ctx, 1, metric.WithAttributes(attribute.String("otp.guard.rule", a.Rule),
		attribute.Bool("otp.guard.opened", a.Opened)))
}

// observe has the state of the application read whenever /metrics is.
func (m *appMetrics) observe(a *app, queue store.Inspector) error {
	_, err := m.Observe(telemetry.Sources{Health: a.courier.Health, Queue: queue})
	binds := map[string]*smpp.Client{}
	for i, c := range a.opened {
		if client, ok := channel.As[*smpp.Client](c); ok {
			binds[a.config.Routes[i].Name] = client
		}
	}
	if len(binds) > 0 {
		_, failed := smpptelemetry.Observe(m.provider, binds)
		err = errors.Join(err, failed)
	}
	return err
}
