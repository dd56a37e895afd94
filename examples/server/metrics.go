package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
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
func (m *metrics) provider(labels prometheus.Labels, views ...sdk.View) (*sdk.MeterProvider, error) {
	reader, err := otelprometheus.New(otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithRegisterer(prometheus.WrapRegistererWith(labels, m.registry)))
	if err != nil {
		return nil, err
	}
	p := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(views...))
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

// timed measures the requests to h by method, pattern and status. No header of a request
// can add a series.
func (m *metrics) timed(h http.Handler) (http.Handler, error) {
	p, err := m.provider(nil,
		sdk.NewView(sdk.Instrument{Name: "http.server.request.duration"}, sdk.Stream{
			AttributeFilter: attribute.NewAllowKeysFilter("http.request.method", "http.route",
				"http.response.status_code")}),
		sdk.NewView(sdk.Instrument{Name: "http.server.*.body.size"}, sdk.Stream{Aggregation: sdk.AggregationDrop{}}))
	if err != nil {
		return nil, err
	}
	return otelhttp.NewHandler(h, "server", otelhttp.WithMeterProvider(p)), nil
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
