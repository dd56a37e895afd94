package failover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// TestSelection shows which routes a message may use.
func TestSelection(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(m *channel.Message)
		want   []string // hops, all of which but the last are Unreachable
		class  channel.Class
		text   string // in the error, where there is no hop
	}{
		{name: "all", change: func(*channel.Message) {}, want: []string{"a", "b", "email"}},
		{name: "tried", change: func(m *channel.Message) { m.Tried = []string{"a", "x"} },
			want: []string{"b", "email"}},
		{name: "invalid phone", change: func(m *channel.Message) { m.Invalid = channel.Phone },
			want: []string{"email"}},
		{name: "no phone", change: func(m *channel.Message) { m.To.Phone = "" }, want: []string{"email"}},
		{name: "forced e-mail", change: func(m *channel.Message) { m.Route = "email" }, want: []string{"email"}},
		{
			name: "forced, does not go on", change: func(m *channel.Message) { m.Route = "b" },
			want: []string{"b"}, class: channel.Unreachable,
		}, {
			name: "forced, unheard of", change: func(m *channel.Message) { m.Route = "pigeon" },
			class: channel.Misconfigured, text: `there is no route "pigeon"`,
		}, {
			name: "forced, tried before", change: func(m *channel.Message) { m.Route, m.Tried = "b", []string{"b"} },
			class: channel.Unreachable, text: `route "b" cannot take this message`,
		}, {
			name: "forced, address invalid", change: func(m *channel.Message) {
				m.Route, m.Invalid = "email",
					channel.Email
			},
			class: channel.Unreachable, text: `route "email" cannot take this message`,
		}, {
			name: "all tried", change: func(m *channel.Message) { m.Tried = []string{"a", "b", "email"} },
			class: channel.Unreachable, text: "no route left",
		}, {
			name: "no address at all", change: func(m *channel.Message) { m.To = channel.Recipient{} },
			class: channel.InvalidRecipient, text: "no address that a route could use",
		}, {
			name:   "no address that is not invalid",
			change: func(m *channel.Message) { m.To.Email, m.Invalid = "", channel.Phone },
			class:  channel.InvalidRecipient, text: "no address that a route could use",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := &fakes{}
			f.route("a", refuse(channel.Unreachable, "0x45"))
			f.route("b", refuse(channel.Unreachable, "0x45"))
			f.route("email")
			f.build(t)
			m, untouched := message(), message()
			row.change(m)
			row.change(untouched)
			untouched.Created, untouched.Expires = m.Created, m.Expires

			s, err := f.Send(t.Context(), m)
			var names []string
			for _, a := range s.Hops {
				names = append(names, a.Route)
			}
			if diff := cmp.Diff(row.want, names); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
			if row.class != 0 {
				wantError(t, s, err, row.class)
				if none := len(names) == 0; errors.Is(err, channel.ErrNoRoute) != none ||
					!strings.Contains(err.Error(), row.text) {
					t.Errorf("error %v, want ErrNoRoute: %v, and %q", err, none, row.text)
				}
			} else if err != nil || s.Route != names[len(names)-1] {
				t.Errorf("error %v, route %q", err, s.Route)
			}
			if diff := cmp.Diff(*untouched, *m); diff != "" {
				t.Errorf("the message has changed:\n%s", diff)
			}
		})
	}
}

// TestRouter shows what becomes of a router that fails, or returns routes that
// no message could use.
func TestRouter(t *testing.T) {
	t.Parallel()
	var routes []channel.Route
	var failure error
	f := &fakes{}
	f.config.Router = channel.RouterFunc(
		func(context.Context, *channel.Message) ([]channel.Route, error) { return routes, failure },
	)
	f.build(t)
	if f.Routes() != nil {
		t.Errorf("routes %v are known", f.Routes())
	}

	s, err := f.Send(t.Context(), message())
	if wantError(t, s, err, channel.Unreachable); !errors.Is(err, channel.ErrNoRoute) {
		t.Errorf("no routes: %v", err)
	}
	failure = errors.New("no database")
	s, err = f.Send(t.Context(), message())
	if wantError(t, s, err, channel.Temporary); !errors.Is(err, failure) {
		t.Errorf("router's error: %v", err)
	}
	expired := message()
	expired.Expires = time.Now()
	s, err = f.Send(t.Context(), expired) // the router is not asked
	wantError(t, s, err, channel.Expired)
	failure = &channel.Error{Class: channel.Misconfigured, Op: "router"}
	s, err = f.Send(t.Context(), message())
	wantError(t, s, err, channel.Misconfigured)

	good := &channeltest.Fake{}
	failure, routes = nil, []channel.Route{
		{Channel: good, Address: channel.Phone},
		{Name: "no channel", Address: channel.Phone},
		{Name: "no address", Channel: good},
		{Name: "two addresses", Channel: good, Address: channel.Phone | channel.Email},
	}
	s, err = f.Send(t.Context(), message())
	wantError(t, s, err, channel.Misconfigured)
	if len(s.Hops) != 4 {
		t.Errorf("%+v", s)
	}
	routes = append(routes, channel.Route{Name: "good", Channel: good, Address: channel.Phone,
		Retry: channel.Retry{Attempts: -1, Backoff: -1}, Await: -1})
	if s, err = f.Send(t.Context(), message()); err != nil || s.Route != "good" {
		t.Errorf("%v, %+v", err, s)
	}
}

// nilError panics as nil pointers do.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// A panic of the router fails the Send, and no route is tried.
func TestRouterPanics(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]func() ([]channel.Route, error){
		"panics":    func() ([]channel.Route, error) { panic("482910") },
		"typed nil": func() ([]channel.Route, error) { return nil, (*nilError)(nil) },
	} {
		f := &fakes{}
		f.config.Router = channel.RouterFunc(
			func(context.Context, *channel.Message) ([]channel.Route, error) { return route() },
		)
		f.build(t)
		s, err := f.Send(t.Context(), message())
		wantError(t, s, err, channel.Temporary)
		routes, err := f.Plan(t.Context(), message())
		if routes != nil || channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%s: the plan is %v, %v", name, routes, err)
		}
		err = f.Cancel(t.Context(), message(), channel.Submission{Route: "a"})
		if err == nil || strings.Contains(err.Error(), "482910") {
			t.Errorf("%s: Cancel: %v", name, err)
		}
		if log := f.log.String(); !strings.Contains(log, "the router panicked") || strings.Contains(log, "482910") {
			t.Errorf("%s: the log is %q", name, log)
		}
	}
}

// TestRepeatedName shows that a router which repeats itself does not send
// twice by one route, nor make a receipt be awaited for it.
func TestRepeatedName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, class := range []channel.Class{channel.Unknown, channel.Unreachable, channel.Temporary} {
			a := &channeltest.Fake{Name: "a", Then: refuse(class, "1")}
			again := channel.Route{Name: "a", Channel: a, Address: channel.Phone}
			b := channel.Route{Name: "b", Channel: &channeltest.Fake{}, Address: channel.Phone, Await: time.Minute}
			f := (&fakes{config: failover.Config{Router: &fickle{now: []channel.Route{again, again, b,
				again}}}}).build(t)
			s, err := f.Send(t.Context(), message())
			if err != nil || len(a.Calls()) != 1 || !s.Await.IsZero() {
				t.Errorf("%v: error %v, a was called %d times, await %v", class, err, len(a.Calls()), s.Await)
			}
			wantHops(t, s, sms("a").as(class, "1"), sms("b"))
		}
	})
}

// TestNested shows that a failover is refused as a route of another, which
// would not find the routes of a message there.
func TestNested(t *testing.T) {
	t.Parallel()
	inner := (&fakes{routes: []channel.Route{route("x")}}).build(t)
	nested := channel.Route{Name: "inner", Address: channel.Phone}
	const advice = "put its routes into the outer Router"
	for name, c := range map[string]channel.Channel{"bare": inner.Channel, "wrapped": wrapper{wrapper{inner.Channel}}} {
		nested.Channel = c
		if _, err := failover.New(failover.Config{Router: failover.List(nested)}); err == nil ||
			!strings.Contains(err.Error(), `route 0 "inner"`) || !strings.Contains(err.Error(), advice) {
			t.Errorf("%s: New: error %v", name, err)
		}
		if _, err := failover.ByCountry(failover.Countries{Default: []channel.Route{nested},
			Region: region}); err == nil || !strings.Contains(err.Error(), advice) {
			t.Errorf("%s: ByCountry: error %v", name, err)
		}
		outer := (&fakes{config: failover.Config{Router: &fickle{now: []channel.Route{nested, route("b")}}}}).build(t)
		s, err := outer.Send(t.Context(), message())
		if err != nil || s.Route != "b" || len(s.Hops) != 2 {
			t.Fatalf("%s: Send: error %v, %+v", name, err, s)
		}
		if hop := s.Hops[0]; hop.Class != channel.Misconfigured || !strings.Contains(hop.Err.Error(), advice) {
			t.Errorf("%s: Send: hop %+v", name, hop)
		}
	}
}

// TestForeignErrNoRoute shows that ErrNoRoute is about this failover's routes.
func TestForeignErrNoRoute(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	f.route("a", channeltest.Fail(&channel.Error{Class: channel.Unreachable, Op: "fake: send",
		Err: channel.ErrNoRoute}))
	f.build(t)
	if _, err := f.Send(t.Context(), message()); errors.Is(err, channel.ErrNoRoute) ||
		channel.ClassOf(err) != channel.Unreachable {
		t.Errorf("there was a route: %v", err)
	}
}
