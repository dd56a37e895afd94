package sdktest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/telemetry"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A rig is a Service over two SMS routes and one for e-mail, observed by an SDK.
type rig struct {
	*telemetry.Service
	telemetry *telemetry.Telemetry
	routes    *failover.Channel
	receipts  channel.Receipts
	a, b      *channeltest.Fake
	mail      *channeltest.Fake
	reader    metric.Reader
	meters    *metric.MeterProvider
	pause     func(time.Duration)
	spans     *tracetest.InMemoryExporter
	log       strings.Builder

	mu     sync.Mutex
	events []otp.Event
}

// took is how long the first route takes for a message.
const took = 300 * time.Millisecond

// newRig makes a rig; change may be nil. reader defaults to a ManualReader. pause is
// time.Sleep, or does nothing outside testing/synctest.
func newRig(t testing.TB, reader metric.Reader, pause func(time.Duration), change func(*otp.Config)) *rig {
	t.Helper()
	if reader == nil {
		reader = metric.NewManualReader()
	}
	r := &rig{reader: reader, pause: pause, spans: tracetest.NewInMemoryExporter(), b: &channeltest.Fake{Name: "b"},
		mail: &channeltest.Fake{Name: "mail"}}
	r.a = &channeltest.Fake{Name: "a"}
	slow := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		pause(took)
		return r.a.Send(ctx, m)
	})
	r.meters = metric.NewMeterProvider(metric.WithReader(reader))
	var err error
	r.telemetry, err = telemetry.New(telemetry.Config{
		MeterProvider:  r.meters,
		TracerProvider: trace.NewTracerProvider(trace.WithSyncer(r.spans)),
		Purposes:       []string{"login", "payment"}, Countries: []string{"GB", "FR"},
		Price: func(e otp.Event) float64 { return 0.05 * float64(len(e.Providers)) }, Currency: "EUR",
	})
	must(t, err)
	wrap := r.telemetry.Route
	r.routes, err = failover.New(failover.Config{Router: failover.List(
		wrap(channel.Route{Name: "sms-a", Channel: slow, Address: channel.Phone, Await: time.Minute}),
		wrap(channel.Route{Name: "sms-b", Channel: r.b, Address: channel.Phone}),
		wrap(channel.Route{Name: "email", Channel: r.mail, Address: channel.Email}))})
	must(t, err)
	kept := memstore.New(memstore.Config{})
	config := otp.Config{Channel: r.routes, Store: kept, Keys: otp.NewKeyring(), Receipts: &r.receipts,
		Wording: wording.Config{Brand: "MyBank"}, Events: r.telemetry.Events(r.keep),
		Logger: slog.New(telemetry.LogHandler(slog.NewTextHandler(&r.log, nil)))}
	if change != nil {
		change(&config)
	}
	plain, err := otp.New(config)
	must(t, err)
	r.Service = r.telemetry.Service(plain)
	_, err = r.telemetry.Observe(telemetry.Sources{Health: r.routes.Health, Queue: kept})
	must(t, err)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) keep(_ context.Context, e otp.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// collect reads the metrics.
func (r *rig) collect(t testing.TB) metricdata.ResourceMetrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	must(t, r.reader.(*metric.ManualReader).Collect(t.Context(), &all))
	return all
}

// last returns the latest message that a route took.
func last(t testing.TB, f *channeltest.Fake) channel.Message {
	t.Helper()
	all := f.Accepted()
	if len(all) == 0 {
		t.Fatal("the route has no message")
	}
	return all[len(all)-1]
}

const (
	british = "+447912345678"
	french  = "+33612345678"
	german  = "+4915112345678"
	subject = "ann.smith"
)

// live runs through what happens to codes: sent, delivered, verified, failed over,
// undelivered, mistyped, refused, cancelled.
func (r *rig) live(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	// Delivered and verified.
	c, err := r.Send(ctx, otp.Request{Subject: subject, Purpose: "login", To: channel.Recipient{Phone: british}})
	must(t, err)
	r.pause(4 * time.Second)
	must(t, r.receipts.For("sms-a")(ctx, channel.Receipt{ProviderID: "a-1", State: channel.Delivered}))
	if _, err = r.Resend(ctx, otp.ResendRequest{ID: c.ID, Subject: subject}); otp.ReasonOf(err) != otp.ReasonTooSoon {
		t.Fatal(err)
	}
	r.pause(16 * time.Second)
	_, err = r.Verify(ctx, otp.Verification{ID: c.ID, Subject: subject, Purpose: "login", Code: last(t, r.a).Code})
	must(t, err)
	// By the second route, mistyped once, and reported undeliverable.
	r.a.Then = channeltest.Refuse(channel.Unreachable, "0x0B")
	c, err = r.Send(ctx, otp.Request{Subject: subject, Purpose: "payment", To: channel.Recipient{Phone: french}})
	must(t, err)
	r.pause(30 * time.Second)
	code := last(t, r.b).Code
	for _, typed := range []string{wrong(code), code} {
		_, err = r.Verify(ctx, otp.Verification{ID: c.ID, Subject: subject, Purpose: "payment", Code: typed})
	}
	must(t, err)
	must(t, r.receipts.For("sms-b")(ctx, channel.Receipt{ProviderID: "b-1", State: channel.Failed, Code: "UNDELIV"}))
	// By no route.
	r.b.Then = channeltest.Refuse(channel.InvalidRecipient, "0x0B")
	_, err = r.Send(ctx, otp.Request{Subject: subject, Purpose: "+15550000001", To: channel.Recipient{Phone: german}})
	if otp.ReasonOf(err) != otp.ReasonUndelivered {
		t.Fatal(err)
	}
	// By e-mail, and cancelled.
	c, err = r.Send(ctx, otp.Request{Subject: subject, To: channel.Recipient{Email: "ann@example.com"}})
	must(t, err)
	must(t, r.Cancel(ctx, otp.Ref{ID: c.ID, Subject: subject}))
	// Refused.
	if _, err = r.Send(ctx, otp.Request{Subject: subject}); err == nil {
		t.Fatal("a request without an address is sent")
	}
	if err = r.Cancel(ctx, otp.Ref{ID: british, Subject: subject}); err == nil {
		t.Fatal("a number is an ID")
	}
}

// wrong is another code of the same length.
func wrong(code string) string {
	if code[0] == '1' {
		return "2" + code[1:]
	}
	return "1" + code[1:]
}
