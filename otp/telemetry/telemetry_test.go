package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/gateway/pull"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smtp"
)

// A Service with spans serves an HTTP API.
var _ otphttp.Service = (*Service)(nil)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	price := func(otp.Event) float64 { return 1 }
	for want, c := range map[string]Config{
		"Config.Purposes":                {Purposes: []string{"login", ""}},
		"Config.Countries":               {Countries: []string{"gb"}},
		`Config.Countries: "GBR"`:        {Countries: []string{"GBR"}},
		"Config.Routes":                  {Routes: []string{""}},
		"Config.Currency: \"\"":          {Price: price},
		`Config.Currency: "euro"`:        {Price: price, Currency: "euro"},
		"Config.Currency needs a Price":  {Currency: "EUR"},
		"Config.Countries has an empty ": {Countries: []string{""}},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "telemetry: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// The wrapper of a route's channel is as good a channel as what it wraps.
func TestRouteConforms(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Address: channel.Phone,
		New: func(t testing.TB) channeltest.Subject {
			tel, err := New(Config{TracerProvider: nooptrace.NewTracerProvider()})
			if err != nil {
				t.Fatal(err)
			}
			fake := &channeltest.Fake{Address: channel.Phone}
			var refusing atomic.Pointer[channel.Func]
			provider := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
				if refuse := refusing.Load(); refuse != nil {
					return (*refuse)(ctx, m)
				}
				return fake.Send(ctx, m)
			})
			return channeltest.Subject{
				Channel:  tel.Route(channel.Route{Name: "sms", Channel: provider}).Channel,
				Accepted: func() int { return len(fake.Accepted()) },
				Refuse: func(c channel.Class) bool {
					refuse := channeltest.Refuse(c, "1")
					refusing.Store(&refuse)
					return true
				},
			}
		},
	})
}

type cancelling struct{ channeltest.Fake }

func (*cancelling) Cancel(context.Context, *channel.Message, channel.Submission) error { return nil }

// Optional interfaces are found behind the wrapper, and only if they are there.
func TestRouteKeepsOptionalInterfaces(t *testing.T) {
	t.Parallel()
	tel, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	wrap := func(c channel.Channel) channel.Channel {
		return tel.Route(channel.Route{Name: "x", Channel: c}).Channel
	}
	if _, ok := channel.As[channel.Canceler](wrap(&cancelling{})); !ok {
		t.Error("no Canceler")
	}
	if _, ok := channel.As[channel.Canceler](wrap(&channeltest.Fake{})); ok {
		t.Error("a Canceler of a channel that is none")
	}
	if _, ok := channel.As[*cancelling](wrap(wrap(&cancelling{}))); !ok {
		t.Error("a channel is not found behind two wrappers")
	}
	routes, err := failover.New(failover.Config{Router: failover.List(channel.Route{Name: "a",
		Channel: &channeltest.Fake{}, Address: channel.Phone})})
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := channel.As[channel.RouteLister](wrap(routes)); !ok || len(l.Routes()) != 1 {
		t.Error("no RouteLister")
	}
	_, err = failover.New(failover.Config{Router: failover.List(tel.Route(channel.Route{Name: "b", Channel: routes,
		Address: channel.Phone}))})
	if err == nil || !strings.Contains(err.Error(), "failover") {
		t.Errorf("a failover in a route: %v", err)
	}
	if _, err = failover.New(failover.Config{Router: failover.List(tel.Route(channel.Route{Name: "b",
		Address: channel.Phone}))}); err == nil || !strings.Contains(err.Error(), "Channel is required") {
		t.Errorf("a route without a channel: %v", err)
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]channel.Channel{"smpp": &smpp.Client{}, "smtp": &smtp.Channel{},
		"http": &pull.Channel{}, "other": &channeltest.Fake{}} {
		if got := systemOf(&observed{Channel: c}); got != want {
			t.Errorf("%T: %s, want %s", c, got, want)
		}
	}
	if got := systemOf(channel.Func(nil)); got != "other" {
		t.Errorf("a Func: %s", got)
	}
}

// A panic of a channel goes on, for channel.Try to see.
func TestPanicGoesOn(t *testing.T) {
	t.Parallel()
	tel, err := New(Config{TracerProvider: nooptrace.NewTracerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	r := tel.Route(channel.Route{Name: "x", Channel: channel.Func(func(context.Context, *channel.Message) (
		channel.Submission, error) {
		panic("of a provider")
	})})
	_, err = channel.Try(t.Context(), r.Channel, channeltest.Message(channel.Phone, "m"))
	var panicked *channel.PanicError
	if !errors.As(err, &panicked) {
		t.Errorf("error %v", err)
	}
}

func FuzzParent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	f.Add("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
	f.Add("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-xx")
	f.Add(strings.Repeat("x", 55))
	f.Fuzz(func(t *testing.T, id string) {
		c, ok := parent(id)
		if !ok {
			return
		}
		if !c.IsValid() || !c.IsRemote() {
			t.Fatalf("%q: %+v", id, c)
		}
		if again, ok := parent(traceparent(c)); !ok || !again.Equal(c) {
			t.Fatalf("%q is written as %q", id, traceparent(c))
		}
	})
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if c, ok := parent(id); !ok || traceparent(c) != id {
		t.Errorf("%v %v", c, ok)
	}
	if got := traceparent(trace.SpanContext{}); got != "" {
		t.Errorf("no span: %q", got)
	}
}

// The package links OpenTelemetry's API and no SDK, and no channel or backend.
func TestLinks(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath", ".")
	out, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	linked := 0
	for d := json.NewDecoder(out); ; linked++ {
		var p struct{ ImportPath string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters",
			"github.com/prometheus", "otpcourier/smpp", "otpcourier/smtp", "otpcourier/gateway",
			"otpcourier/store/", "github.com/redis"} {
			if strings.Contains(p.ImportPath, bad) {
				t.Errorf("links %s", p.ImportPath)
			}
		}
	}
	if err := list.Wait(); err != nil || linked < 50 {
		t.Errorf("%d packages, %v", linked, err)
	}
}
