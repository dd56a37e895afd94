package telemetry

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// everyKind has an event of each kind that is counted.
func everyKind() []otp.Event {
	now := time.Now()
	e := otp.Event{At: now, Created: now.Add(-time.Minute), Sent: now.Add(-time.Second), Purpose: "login", Region: "GB",
		Route: "sms", State: channel.Delivered}
	var all []otp.Event
	for _, kind := range []otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventReceipt, otp.EventVerified,
		otp.EventRejected, otp.EventRefused, otp.EventCancelled} {
		e.Kind = kind
		all = append(all, e)
	}
	return all
}

// Without an SDK nothing is allocated, whichever providers the Config has; apart
// from the context and the span that OpenTelemetry's own Tracer.Start makes.
func TestNoAllocationWithoutSDK(t *testing.T) { // AllocsPerRun: not parallel
	fake := channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, nil
	})
	message := &channel.Message{ID: "m"}
	for name, row := range map[string]struct {
		meters  metric.MeterProvider
		tracers trace.TracerProvider
		spans   float64 // allocations of Tracer.Start
	}{
		"none":   {nil, nil, 0},
		"noop":   {noopmetric.NewMeterProvider(), nooptrace.NewTracerProvider(), 1},
		"global": {otel.GetMeterProvider(), otel.GetTracerProvider(), 3},
	} {
		tel, err := New(Config{MeterProvider: row.meters, TracerProvider: row.tracers, Currency: "EUR",
			Price: func(otp.Event) float64 { return 0.05 }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, events := t.Context(), tel.Events(nil)
		for _, e := range everyKind() {
			want := 0.0
			if e.Kind == otp.EventReceipt && row.tracers != nil {
				want = row.spans + 1 // its name
			}
			if got := testing.AllocsPerRun(100, func() { events(ctx, e) }); got > want {
				t.Errorf("%s: event %s: %v allocations, want %v", name, e.Kind, got, want)
			}
		}
		route := tel.Route(channel.Route{Name: "sms", Channel: fake, Address: channel.Phone})
		if got := testing.AllocsPerRun(100, func() { _, _ = route.Channel.Send(ctx, message) }); got > row.spans {
			t.Errorf("%s: a try: %v allocations, want %v", name, got, row.spans)
		}
		s := tel.Service(nil)
		if got := testing.AllocsPerRun(100, func() {
			if _, span := s.start(ctx, "otp.verify", ""); span != nil {
				endCall(span, nil, nil)
			}
		}); got > row.spans {
			t.Errorf("%s: a call: %v allocations, want %v", name, got, row.spans)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	tel, err := New(Config{MeterProvider: otel.GetMeterProvider()})
	if err != nil {
		b.Fatal(err)
	}
	events, e := tel.Events(nil), everyKind()[0]
	b.ReportAllocs()
	for b.Loop() {
		events(b.Context(), e)
	}
}
