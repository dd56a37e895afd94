package failover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A hop is an Attempt without its error.
type hop struct {
	Route   string
	Address channel.Address
	Class   channel.Class
	Code    string
	Took    time.Duration
}

const accepted = channel.Class(99) // the class of a hop that went well

func hops(s channel.Submission) []hop {
	var all []hop
	for _, a := range s.Hops {
		h := hop{a.Route, a.Address, a.Class, a.Code, a.Took}
		if a.Err == nil {
			h.Class = accepted
		}
		all = append(all, h)
	}
	return all
}

func sms(name string) hop  { return hop{Route: name, Address: channel.Phone, Class: accepted} }
func mail(name string) hop { return hop{Route: name, Address: channel.Email, Class: accepted} }

func (h hop) as(class channel.Class, code string) hop { h.Class, h.Code = class, code; return h }
func (h hop) took(d time.Duration) hop                { h.Took = d; return h }

// fakes makes a failover over fakes. Each route is named and answers as told;
// those whose name begins with "email" need an e-mail address.
type fakes struct {
	*failover.Channel
	config failover.Config
	routes []channel.Route
	log    bytes.Buffer
	sent   int // messages to others
}

func (f *fakes) route(name string, answers ...channel.Func) *channel.Route {
	kind := channel.Phone
	if len(name) > 4 && name[:5] == "email" {
		kind = channel.Email
	}
	f.routes = append(f.routes, channel.Route{
		Name: name, Address: kind,
		Channel: &channeltest.Fake{Name: name, Address: kind, Answers: answers},
	})
	return &f.routes[len(f.routes)-1]
}

func (f *fakes) build(t testing.TB) *fakes {
	t.Helper()
	if f.config.Router == nil {
		f.config.Router = failover.List(f.routes...)
	}
	f.config.Logger = slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := failover.New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.Channel = c
	return f
}

// toAnother returns a message to a person who was not sent one before.
func (f *fakes) toAnother() *channel.Message {
	f.sent++
	m := message()
	m.To.Phone = fmt.Sprintf("+4479121%05d", f.sent)
	m.To.Email = fmt.Sprintf("ann%d@example.com", f.sent)
	return m
}

func message() *channel.Message {
	return channeltest.Message(channel.Phone|channel.Email, "k3v9.1")
}

func wantHops(t *testing.T, s channel.Submission, want ...hop) {
	t.Helper()
	if diff := cmp.Diff(want, hops(s)); diff != "" {
		t.Errorf("hops (-want +got):\n%s", diff)
	}
}

// wantError checks the class of a failed Send and returns its error.
func wantError(t *testing.T, s channel.Submission, err error, class channel.Class) *channel.Error {
	t.Helper()
	var e *channel.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want a *channel.Error", err, err)
	}
	if e.Class != class {
		t.Errorf("class %q, want %q: %v", e.Class, class, err)
	}
	if s.State != channel.Failed || s.Route != "" || !s.Await.IsZero() || s.ProviderIDs != nil {
		t.Errorf("submission beside an error: %+v", s)
	}
	return e
}

func slow(d time.Duration, then channel.Func) channel.Func {
	return func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		released := make(chan struct{})
		timer := time.AfterFunc(d, func() { close(released) })
		defer timer.Stop()
		return channeltest.Hold(released, then)(ctx, m)
	}
}

func refuse(class channel.Class, code string) channel.Func { return channeltest.Refuse(class, code) }

func throttle(after time.Duration) channel.Func {
	return channeltest.Fail(&channel.Error{Class: channel.Throttled, Op: "fake: send", Code: "0x58", RetryAfter: after})
}
