package failover_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// TestEnds shows when Send gives up, what it says then, and that a later
// route is not tried.
func TestEnds(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for _, row := range []struct {
		name    string
		timeout time.Duration // of ctx; negative: cancelled then
		life    time.Duration // of the code
		answer  channel.Func  // of the first route
		class   channel.Class
		cause   error
		took    time.Duration
		hops    int
		more    bool // routes are left
	}{
		{"expired before", 0, 0, nil, channel.Expired, nil, 0, 0, false},
		{"cancelled before", -1, 60 * second, nil, channel.Temporary, context.Canceled, 0, 0, false},
		{"deadline in a try", second, 60 * second, channeltest.Stall(), channel.Unknown, context.DeadlineExceeded,
			second, 1, true},
		{"cancelled in a try", -3 * second, 60 * second, channeltest.Stall(), channel.Unknown, context.Canceled,
			3 * second, 1, true},
		{"expires in a try", 0, second, channeltest.Stall(), channel.Unknown, context.DeadlineExceeded, second,
			1, false},
		{"cancelled in a pause", -3 * second, 60 * second, refuse(channel.Temporary, ""), channel.Temporary,
			context.Canceled, 3 * second, 1, true},
		{"refused with the last moment", 0, second, refuseAtEnd, channel.Expired, nil, second, 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{}
				f.config.MaxPause = time.Minute
				r := f.route("a")
				r.Retry = channel.Retry{Attempts: 2, Backoff: 20 * second}
				if row.answer != nil {
					r.Channel = row.answer
				}
				f.route("b", func(context.Context, *channel.Message) (channel.Submission, error) {
					t.Error("the next route was tried")
					return channel.Submission{}, nil
				})
				f.build(t)
				ctx, cancel := context.WithCancel(t.Context())
				if row.timeout > 0 {
					ctx, cancel = context.WithTimeout(ctx, row.timeout)
				}
				defer cancel()
				if row.timeout == -1 {
					cancel()
				} else if row.timeout < 0 {
					defer time.AfterFunc(-row.timeout, cancel).Stop()
				}
				m := message()
				began := time.Now()
				m.Expires = began.Add(row.life)
				s, err := f.Send(ctx, m)
				wantError(t, s, err, row.class)
				if took := time.Since(began); took != row.took || len(s.Hops) != row.hops || s.More != row.more {
					t.Errorf("took %v, want %v; more %v; hops %+v", took, row.took, s.More, s.Hops)
				}
				if row.cause != nil && !errors.Is(err, row.cause) {
					t.Errorf("error %v does not wrap %v", err, row.cause)
				}
			})
		})
	}
}

// TestCancelledAtTheEnd shows that the error tells of a cancellation even where
// the channel, the last one, does not.
func TestCancelledAtTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := &fakes{}
	f.route("a", func(context.Context, *channel.Message) (channel.Submission, error) {
		cancel()
		return refuse(channel.Unreachable, "0x45")(ctx, nil)
	})
	f.build(t)
	if _, err := f.Send(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestTryTimeout shows that a route which does not answer leaves time for the
// others, and that its class is the channel's to say.
func TestTryTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.route("a", channeltest.Stall())
		f.route("b").Channel = channel.Func(refuseAtEnd)
		f.route("c", func(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
			<-ctx.Done()
			return channel.Submission{}, ctx.Err()
		})
		f.route("email")
		f.build(t)
		s, err := f.Send(t.Context(), message())
		if err != nil || s.Route != "email" {
			t.Errorf("route %q, error %v", s.Route, err)
		}
		wantHops(t, s,
			sms("a").as(channel.Unknown, "").took(10*time.Second),
			sms("b").as(channel.Temporary, "").took(10*time.Second),
			sms("c").as(channel.Unknown, "").took(10*time.Second),
			mail("email"))
	})
}

// TestShares: a route that hangs leaves the routes behind it their share of the
// time.
func TestShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.route("a", channeltest.Stall())
		f.route("b", channeltest.Stall())
		f.route("email")
		f.build(t)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		s, err := f.Send(ctx, message())
		if err != nil || s.Route != "email" {
			t.Errorf("route %q, error %v", s.Route, err)
		}
		wantHops(t, s, sms("a").as(channel.Unknown, "").took(3*time.Second),
			sms("b").as(channel.Unknown, "").took(3*time.Second), mail("email"))
	})
}

// TestSharesWithRetries: nor do its retries use more than its share, if it says
// that it did not send the message.
func TestSharesWithRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
			<-ctx.Done()
			return refuse(channel.Temporary, "dial")(ctx, m)
		}
		f := &fakes{}
		f.route("a", hangs, hangs, hangs, hangs).Retry = channel.Retry{Attempts: 4, Backoff: time.Millisecond}
		f.route("b", hangs, hangs, hangs, hangs).Retry = channel.Retry{Attempts: 4, Backoff: time.Millisecond}
		f.route("email", slow(2*time.Second, (&channeltest.Fake{}).Send))
		f.build(t)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		s, err := f.Send(ctx, message())
		if err != nil || s.Route != "email" {
			t.Errorf("route %q, error %v, hops %+v", s.Route, err, hops(s))
		}
		wantHops(t, s, sms("a").as(channel.Temporary, "dial").took(3*time.Second),
			sms("b").as(channel.Temporary, "dial").took(3*time.Second), mail("email").took(2*time.Second))
	})
}

// TestStuckChannel: a channel that ignores its context holds up nobody, and is
// named in the log.
func TestStuckChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		release := make(chan struct{})
		defer close(release)
		f.route("a").Channel = channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
			<-release
			return channel.Submission{}, nil
		})
		f.route("b")
		f.build(t)
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		s, err := f.Send(ctx, message())
		if err != nil || s.Route != "b" || !errors.Is(s.Hops[0].Err, channel.ErrStuck) ||
			s.Hops[0].Class != channel.Unknown {
			t.Errorf("%+v, %v", s, err)
		}
		if !strings.Contains(f.log.String(), "ignores its context") {
			t.Errorf("log: %s", f.log.String())
		}
	})
}

// TestRoutesHaveTheirOwnMessage: a channel that changes or keeps its message
// harms no other.
func TestRoutesHaveTheirOwnMessage(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	m := message()
	m.Tried = []string{"x"}
	f.route("a").Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		m.Code, m.To, m.Tried[0] = "000000", channel.Recipient{}, "b"
		return channel.Submission{}, &channel.Error{Class: channel.Unreachable}
	})
	b := f.route("b").Channel.(*channeltest.Fake)
	f.build(t)
	if s, err := f.Send(t.Context(), m); err != nil || s.Route != "b" {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := b.Accepted(); len(got) != 1 || got[0].Code != m.Code || got[0].To != message().To || m.Code == "000000" {
		t.Errorf("%+v", got)
	}
}

// TestAllow: each route is asked for before it is tried, and a refusal is a hop.
func TestAllow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testAllow)
}

func testAllow(t *testing.T) {
	f := &fakes{}
	a := f.route("a").Channel.(*channeltest.Fake)
	f.route("email")
	f.build(t)
	var asked []string
	m := message()
	m.Allow = func(_ context.Context, r channel.Route) error {
		asked = append(asked, r.Name)
		if r.Address == channel.Phone {
			return &channel.Error{Class: channel.Throttled, Code: "limited"}
		}
		return nil
	}
	s, err := f.Send(t.Context(), m)
	if err != nil || s.Route != "email" || len(a.Calls()) != 0 || strings.Join(asked, " ") != "a email" {
		t.Errorf("%+v, %v, asked %q", s, err, asked)
	}
	wantHops(t, s, sms("a").as(channel.Throttled, "limited"), mail("email"))
}

// TestPlan: the routes that a message would be tried by, those whose breaker is
// open last.
func TestPlan(t *testing.T) {
	t.Parallel()
	f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 1}}}
	f.route("a", refuse(channel.Unknown, ""))
	f.route("b")
	f.route("email")
	f.build(t)
	plan := func(m *channel.Message) (names string) {
		routes, err := f.Plan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			names += r.Name + " "
		}
		return names
	}
	m := message()
	if got := plan(m); got != "a b email " {
		t.Errorf("got %q", got)
	}
	f.wantBy(t, "b")
	m.Tried = []string{"email"}
	if got := plan(m); got != "b a " {
		t.Errorf("got %q", got)
	}
	m.Invalid = channel.Phone
	if got := plan(m); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestParallel sends many messages at once by routes that fail in all ways.
func TestParallel(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	f.route("imessage").Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		n, _ := strconv.Atoi(strings.TrimSuffix(m.ID, ".1"))
		if class := channel.Class(n % 8); class <= channel.Misconfigured {
			return channel.Submission{}, &channel.Error{Class: class, Op: "fake: send"}
		}
		return channel.Submission{ProviderIDs: []string{m.ID}}, nil
	})
	f.routes[0].Retry = channel.Retry{Attempts: 2, Backoff: time.Microsecond}
	carrier, mail := &channeltest.Fake{}, &channeltest.Fake{}
	f.route("carrier").Channel = carrier
	f.route("email").Channel = mail
	f.build(t)

	var wg sync.WaitGroup
	var mu sync.Mutex
	by := map[string]int{}
	for i := range 100 {
		wg.Go(func() {
			m := message()
			m.ID = strconv.Itoa(i) + ".1"
			s, err := f.Send(t.Context(), m)
			_ = f.Health()
			mu.Lock()
			defer mu.Unlock()
			by[s.Route]++
			if err != nil {
				t.Errorf("%s: %v", m.ID, err)
			}
		})
	}
	wg.Wait()
	if by["carrier"] != len(carrier.Accepted()) || by["email"] != len(mail.Accepted()) ||
		by["imessage"]+by["carrier"]+by["email"] != 100 {
		t.Errorf("%v; carrier took %d, email %d", by, len(carrier.Accepted()), len(mail.Accepted()))
	}
}

// refuseAtEnd holds the message until its context ends, but knows then that
// it was not sent.
func refuseAtEnd(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
	<-ctx.Done()
	return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "fake: send", Err: ctx.Err()}
}
