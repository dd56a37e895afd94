package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// newTracing returns what exports spans to an OTLP endpoint over HTTP; nil: there is no
// endpoint. The exporter and the sampler read the other variables of OpenTelemetry
// themselves, as OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER.
func newTracing(ctx context.Context, endpoint string) (*sdktrace.TracerProvider, error) {
	if endpoint == "" {
		return nil, nil //nolint:nilnil // no tracing is no error
	}
	to, err := url.Parse(endpoint)
	if err != nil || to.Host == "" {
		return nil, fmt.Errorf("%s: it must be a URL, as http://127.0.0.1:4318", otlpEndpoint)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(to.JoinPath("v1/traces").String()))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "otpcourier-server")),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), err
}

// otlpEndpoint is the variable that turns tracing on.
const otlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// flushFor is how long the end waits for the last spans.
const flushFor = 5 * time.Second

// tracer is for telemetry.Config; nil: off.
func (s *server) tracer() trace.TracerProvider {
	if s.tracing == nil {
		return nil
	}
	return s.tracing
}

// closeTracing exports the last spans, for a moment at most: the collector may be down.
func (s *server) closeTracing(ctx context.Context) {
	if s.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	if err := s.tracing.Shutdown(ctx); err != nil {
		s.log.Warn("the last spans are lost", "error", err)
	}
}

// traced makes a span of each request to h, which belongs to the trace that the client's
// traceparent names. It has the pattern of the path only: the path of a hosted page is a
// secret, and the client's address is nobody's business.
func (s *server) traced(h http.Handler) http.Handler {
	if s.tracing == nil {
		return h
	}
	tracer := s.tracing.Tracer("github.com/otpcourier/otpcourier/examples/server")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		q, answer := r.WithContext(ctx), &answered{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			r.Pattern = q.Pattern // for metrics
			method, route := "_OTHER", r.Pattern[strings.IndexByte(r.Pattern, ' ')+1:]
			if slices.Contains(methods, r.Method) {
				method = r.Method
			}
			span.SetName(method + " " + route)
			span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
				attribute.Int("http.response.status_code", answer.status))
			if answer.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		}()
		h.ServeHTTP(answer, q)
	})
}

// methods are those that spans tell apart, since a client may send any word.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions}

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
