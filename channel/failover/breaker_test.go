package failover_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// by sends a message and returns the route that took it, with the one that was
// skipped for its breaker.
func (f *fakes) by(t *testing.T) string {
	t.Helper()
	s, err := f.Send(t.Context(), f.toAnother())
	if err != nil {
		t.Errorf("unexpected: %v", err)
	}
	text := s.Route
	for _, a := range s.Hops {
		if errors.Is(a.Err, failover.ErrBreakerOpen) {
			if a.Class != channel.Temporary || a.Took != 0 {
				t.Errorf("skipped hop %+v", a)
			}
			text += ", not " + a.Route
		}
	}
	return text
}

func (f *fakes) wantBy(t *testing.T, want string) {
	t.Helper()
	if got := f.by(t); got != want {
		t.Errorf("sent by %q, want %q", got, want)
	}
}

// After a Temporary about a recipient, a closed breaker stays closed, and a
// half-open breaker closes: the route does answer.
func TestTemporaryAboutRecipient(t *testing.T) {
	t.Parallel()
	greylisted := channeltest.Fail(&channel.Error{Class: channel.Temporary, Code: "4.7.1", AboutRecipient: true})
	down := refuse(channel.Temporary, "421")
	for _, tt := range []struct {
		name    string
		answers []channel.Func
		want    string // by the message after them, once an open breaker may be probed
	}{
		{"only", repeat(12, greylisted), "a"},
		{"among failures", append(append(repeat(4, down), greylisted), repeat(4, down)...), "a"},
		{"after failures", append(repeat(5, down), greylisted), "a"},
		{"none", repeat(6, down), "b, not a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakes{}
			a := f.route("a", tt.answers...).Channel.(*channeltest.Fake)
			f.route("b")
			f.build(t)
			for len(a.Calls()) < len(tt.answers) {
				if got := f.by(t); got == "b, not a" { // open: the next message probes it
					time.Sleep(30*time.Second + time.Millisecond)
				}
			}
			if got := f.by(t); got != tt.want {
				t.Errorf("%s: sent by %q, want %q", tt.name, got, tt.want)
			}
		})
	}
}

func repeat(n int, answer channel.Func) []channel.Func {
	all := make([]channel.Func, n)
	for i := range all {
		all[i] = answer
	}
	return all
}

// TestBreaker takes a breaker through its life: opened by failures in a row,
// half open after a while, opened by the probe's failure, closed by its
// success.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		answers := repeat(4, refuse(channel.Unknown, ""))
		answers = append(answers, channeltest.Accept()) // ends the run
		answers = append(answers, repeat(6, refuse(channel.Temporary, "421"))...)
		a := f.route("a", answers...).Channel.(*channeltest.Fake)
		f.route("b")
		f.build(t)

		for range 4 {
			f.wantBy(t, "b")
		}
		f.wantBy(t, "a")
		for range 5 {
			f.wantBy(t, "b")
		}
		opened := time.Now()
		f.wantBy(t, "b, not a")
		want := []failover.RouteHealth{{Route: "a", Open: true, Since: opened}, {Route: "b"}}
		if diff := cmp.Diff(want, f.Health()); diff != "" {
			t.Errorf("health (-want +got):\n%s", diff)
		}

		time.Sleep(30 * time.Second) // not yet over
		f.wantBy(t, "b, not a")
		time.Sleep(time.Millisecond)
		f.wantBy(t, "b") // the probe fails
		f.wantBy(t, "b, not a")
		time.Sleep(30*time.Second + time.Millisecond)
		f.wantBy(t, "a") // the probe succeeds
		f.wantBy(t, "a")
		want = []failover.RouteHealth{{Route: "a", Since: time.Now()}, {Route: "b"}}
		if diff := cmp.Diff(want, f.Health()); diff != "" {
			t.Errorf("health (-want +got):\n%s", diff)
		}
		if n := len(a.Calls()); n != 13 {
			t.Errorf("route a was tried %d times, want 13", n)
		}
		for _, line := range []string{"breaker opens\" route=a", "breaker stays open\" route=a",
			"breaker closes\" route=a"} {
			if strings.Count(f.log.String(), line) != 1 {
				t.Errorf("not logged once: %s", line)
			}
		}
	})
}

// TestBreakerProbe shows that one message probes, and no other waits for it.
func TestBreakerProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 1, Open: time.Minute}}}
		release := make(chan struct{})
		f.route("a", refuse(channel.Unknown, ""), channeltest.Hold(release, channeltest.Accept())).Retry.Attempts = 3
		f.route("b")
		f.build(t)
		f.wantBy(t, "b")
		time.Sleep(time.Minute + time.Millisecond)
		go f.wantBy(t, "a")
		synctest.Wait()
		f.wantBy(t, "b, not a")
		close(release)
		synctest.Wait()
		f.wantBy(t, "a")
	})
}

// TestBreakerLateResult: a try that began before the breaker opened is no probe, whatever its
// result.
func TestBreakerLateResult(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]channel.Func{
		"taken": channeltest.Accept(), "failed": refuse(channel.Unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 1, Open: time.Second}}}
				release := make(chan struct{})
				f.route("a", channeltest.Hold(release, late), refuse(channel.Unknown, ""), channeltest.Accept())
				f.route("b")
				f.build(t)
				go f.by(t)
				synctest.Wait()
				time.Sleep(time.Millisecond)
				f.wantBy(t, "b")
				opened := f.Health()[0]
				time.Sleep(time.Second + time.Millisecond)
				close(release)
				synctest.Wait()
				if health := f.Health()[0]; !opened.Open || health != opened {
					t.Errorf("%+v, then %+v", opened, health)
				}
				f.wantBy(t, "a")
				if f.Health()[0].Open {
					t.Error("still open after a probe")
				}
			})
		})
	}
}

// TestBreakerCounts shows which answers are failures of a route.
func TestBreakerCounts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		answers []channel.Func
		opens   bool
	}{
		{"Unknown and Temporary", append(repeat(2, refuse(channel.Unknown, "")), refuse(channel.Temporary, "")), true},
		{"Misconfigured, once", []channel.Func{
			refuse(channel.Misconfigured, ""), channeltest.Accept(), channeltest.Accept(),
		}, false},
		{"Misconfigured, twice", []channel.Func{
			refuse(channel.Misconfigured, ""), refuse(channel.Misconfigured, ""), channeltest.Accept(),
		}, true},
		{"Throttled", repeat(9, throttle(0)), false},
		{"Unreachable", repeat(9, refuse(channel.Unreachable, "")), false},
		{"InvalidRecipient", repeat(9, refuse(channel.InvalidRecipient, "")), false},
		{"Unreachable ends the run", []channel.Func{refuse(channel.Unknown, ""), refuse(channel.Unknown, ""),
			refuse(channel.Unreachable, ""), refuse(channel.Unknown, "")}, false},
		{"Throttled does not", []channel.Func{refuse(channel.Unknown, ""), refuse(channel.Unknown, ""), throttle(0),
			refuse(channel.Unknown, "")}, true},
		{"overridden", repeat(9, refuse(channel.Temporary, "mild")), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 3}}}
				f.route("a", row.answers...).Classes = map[string]channel.Class{"mild": channel.Unreachable}
				f.route("email")
				f.build(t)
				for range row.answers {
					f.by(t)
				}
				if open := f.Health()[0].Open; open != row.opens {
					t.Errorf("open: %v", open)
				}
			})
		})
	}
}

// TestBreakerForgets shows that a route which was misconfigured is one like any
// other once it works.
func TestBreakerForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.route("a", refuse(channel.Misconfigured, "0x0E"), refuse(channel.Misconfigured, "0x0E"), channeltest.Accept(),
			refuse(channel.Temporary, "0x08"))
		f.route("b")
		f.build(t)
		f.wantBy(t, "b")
		f.wantBy(t, "b")
		f.wantBy(t, "b, not a")
		time.Sleep(time.Minute)
		f.wantBy(t, "a")
		f.wantBy(t, "b")
		f.wantBy(t, "a")
	})
}

// TestBreakerBlame shows that a route is blamed for a deadline if it has used up
// its share of the time, and not if others left it next to none.
func TestBreakerBlame(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		first  channel.Func // of route a, which route b follows
		end    func(context.Context) (context.Context, context.CancelFunc)
		opened []string
	}{
		{"deadline, shared", channeltest.Stall(), timeout(5 * time.Second), []string{"a", "b"}},
		{"deadline of the next", refuse(channel.Unreachable, ""), timeout(5 * time.Second), []string{"b"}},
		{"leftovers", channeltest.Stall(), timeout(1100 * time.Millisecond), []string{"a"}},
		{"half each", channeltest.Stall(), timeout(20 * time.Second), []string{"a", "b"}},
		{"cancelled", channeltest.Stall(), func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(5*time.Second, cancel)
			return ctx, cancel
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 1}}}
				f.route("a", row.first)
				f.route("b", channeltest.Stall())
				f.build(t)
				ctx, cancel := row.end(t.Context())
				defer cancel()
				s, err := f.Send(ctx, message())
				wantError(t, s, err, channel.Unknown)
				var opened []string
				for _, h := range f.Health() {
					if h.Open {
						opened = append(opened, h.Route)
					}
				}
				if !cmp.Equal(opened, row.opened) {
					t.Errorf("opened: %q, want %q", opened, row.opened)
				}
			})
		})
	}
}

func timeout(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
}

// TestOneRecipientOpensNoBreaker: requests for one address, however many, close a
// route for nobody else.
func TestOneRecipientOpensNoBreaker(t *testing.T) {
	t.Parallel()
	for _, class := range []channel.Class{channel.Unknown, channel.Temporary, channel.Misconfigured} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakes{}
			f.route("a", repeat(21, refuse(class, ""))...)
			f.route("b")
			f.build(t)
			for range 20 {
				if s, err := f.Send(t.Context(), message()); err != nil || s.Route != "b" || s.Hops[0].Class != class {
					t.Fatalf("%v: %+v, %v", class, s, err)
				}
			}
			f.wantBy(t, "b") // another's failure: now it is the route
			f.wantBy(t, "b, not a")
		})
	}
}

// TestOnlyUsableRouteIsTried: if each breaker is open, the best route is tried all
// the same, and its answer counts.
func TestOnlyUsableRouteIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		a := f.route("a", refuse(channel.Misconfigured, "0x0E"), refuse(channel.Misconfigured, "0x0E"),
			channeltest.Accept(), refuse(channel.Temporary, "0x08")).Channel.(*channeltest.Fake)
		f.route("email", refuse(channel.Misconfigured, "535"), refuse(channel.Misconfigured, "535"))
		f.build(t)
		for range 2 {
			if _, err := f.Send(t.Context(), f.toAnother()); err == nil {
				t.Fatal("no error")
			}
		}
		began := time.Now()
		f.wantBy(t, "a, not email")
		s, err := f.Send(t.Context(), f.toAnother())
		e := wantError(t, s, err, channel.Temporary)
		if !errors.Is(err, failover.ErrBreakerOpen) || time.Since(began) != 0 {
			t.Errorf("error %v, RetryAfter %v, after %v", err, e.RetryAfter, time.Since(began))
		}
		if want := "failover: send: temporary: email breaker open; a temporary (0x08)"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if n := len(a.Calls()); n != 4 {
			t.Errorf("route a was tried %d times, want 4", n)
		}
	})
}

// TestNoLastResortAfterUnknown: a message that may be out is not sent by a route
// whose breaker is open.
func TestNoLastResortAfterUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		a := f.route("a", refuse(channel.Misconfigured, ""), refuse(channel.Misconfigured,
			"")).Channel.(*channeltest.Fake)
		f.route("b", channeltest.Accept(), channeltest.Accept(), refuse(channel.Unknown, ""))
		f.build(t)
		f.wantBy(t, "b")
		f.wantBy(t, "b")
		s, err := f.Send(t.Context(), f.toAnother())
		wantError(t, s, err, channel.Unknown)
		if n := len(a.Calls()); n != 2 {
			t.Errorf("route a was tried %d times, want 2", n)
		}
	})
}

// TestPanic shows that a panic is a try of class Unknown, that its value is in no
// log, and that the next route goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{config: failover.Config{Breaker: failover.BreakerConfig{Failures: 1}}}
		bang := func(context.Context, *channel.Message) (channel.Submission, error) { panic("bang 482910") }
		f.route("a", bang, bang)
		f.route("b")
		f.build(t)
		for range 2 { // closed, then half open
			s, err := f.Send(t.Context(), message())
			var panicked *channel.PanicError
			if err != nil || s.Route != "b" || s.Hops[0].Class != channel.Unknown || !errors.As(s.Hops[0].Err,
				&panicked) {
				t.Errorf("%+v, %v", s, err)
			}
			if !f.Health()[0].Open {
				t.Error("the breaker did not count it")
			}
			time.Sleep(time.Minute)
		}
		if log := f.log.String(); strings.Contains(log, "482910") || !strings.Contains(log, "channel panicked") {
			t.Errorf("log: %s", log)
		}
		f.wantBy(t, "a")
	})
}

// TestManyBreakers shows that a router with ever new names takes no more than
// a bounded number of breakers, and that open ones are kept.
func TestManyBreakers(t *testing.T) {
	t.Parallel()
	broken := &channeltest.Fake{Then: refuse(channel.Misconfigured, "")}
	dead := channel.Route{Name: "dead", Address: channel.Phone, Channel: broken}
	n := 0
	router := func(context.Context, *channel.Message) ([]channel.Route, error) {
		n++
		return []channel.Route{dead, {Name: strconv.Itoa(n), Address: channel.Phone, Channel: &channeltest.Fake{}}}, nil
	}
	f := &fakes{config: failover.Config{Router: channel.RouterFunc(router)}}
	f.build(t)
	for range 3000 {
		f.by(t)
	}
	if n := len(f.Health()); n != 1024 {
		t.Errorf("%d breakers", n)
	}
	if n := len(broken.Calls()); n != 2 {
		t.Errorf("the open breaker was forgotten: the dead route was tried %d times", n)
	}
}
