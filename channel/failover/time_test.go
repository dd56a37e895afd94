package failover_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

// TestBackoff shows the pauses of retries: doubled, jittered, cut to MaxPause.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		retry  channel.Retry
		answer channel.Func
		pauses []time.Duration // before jitter
	}{
		{"default", channel.Retry{Attempts: 4}, refuse(channel.Temporary, ""), []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}},
		{"own", channel.Retry{Attempts: 3, Backoff: time.Second}, refuse(channel.Temporary, ""), []time.Duration{time.Second, 2 * time.Second}},
		{"cut", channel.Retry{Attempts: 5, Backoff: 2 * time.Second}, refuse(channel.Temporary, ""), []time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"longest", channel.Retry{Attempts: 3, Backoff: math.MaxInt64}, refuse(channel.Temporary, ""), []time.Duration{5 * time.Second, 5 * time.Second}},
		{"none", channel.Retry{}, refuse(channel.Temporary, ""), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries []time.Time
				f := &fakes{}
				r := f.route("a")
				r.Retry = row.retry
				r.Channel = channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
					tries = append(tries, time.Now())
					return row.answer(ctx, m)
				})
				f.build(t)
				s, err := f.Send(t.Context(), message())
				wantError(t, s, err, channel.Temporary)
				if len(tries) != len(row.pauses)+1 {
					t.Fatalf("%d tries, want %d", len(tries), len(row.pauses)+1)
				}
				for i, d := range row.pauses {
					if got := tries[i+1].Sub(tries[i]); got < d/2 || got > min(d+d/2, 5*time.Second) {
						t.Errorf("pause %d of %v, want %v ± 50 %%", i, got, d)
					}
				}
			})
		})
	}
}

// TestThrottled shows that RetryAfter is waited out where it fits, without a
// Retry too, and else costs no time; and that the last usable route may ask
// for more than the others.
func TestThrottled(t *testing.T) {
	t.Parallel()
	const second = time.Second
	anyone := func(*channel.Message) {}
	noEmail := func(m *channel.Message) { m.To.Email = "" }
	forced := func(m *channel.Message) { m.Route = "a" }
	for _, row := range []struct {
		name     string
		attempts int             // of Retry
		asked    []time.Duration // RetryAfter of a's refusals, in turn
		deadline time.Duration   // of ctx; the code lives for five minutes
		change   func(*channel.Message)
		route    string // empty: none
		least    time.Duration
		most     time.Duration
	}{
		{"fits", 2, []time.Duration{2 * second}, time.Minute, anyone, "a", 2 * second, 2500 * time.Millisecond},
		{"longest", 2, []time.Duration{5 * second}, time.Minute, anyone, "a", 5 * second, 5 * second},
		{"over MaxPause", 2, []time.Duration{5*second + 1}, time.Minute, anyone, "email", 0, 0},
		{"over the deadline", 2, []time.Duration{2 * second}, 2 * second, anyone, "email", 0, 0},
		{"just before the deadline", 2, []time.Duration{2 * second}, 2*second + 2, anyone, "a", 2 * second, 2*second + 1},

		{"no Retry", 0, []time.Duration{2 * second}, time.Minute, anyone, "a", 2 * second, 2500 * time.Millisecond},
		{"Retry of one", 1, []time.Duration{2 * second}, time.Minute, anyone, "a", 2 * second, 2500 * time.Millisecond},
		{"no Retry, once only", 0, []time.Duration{2 * second, second}, time.Minute, anyone, "email", 2 * second, 2500 * time.Millisecond},
		{"no Retry, nothing asked", 0, []time.Duration{0}, time.Minute, anyone, "email", 0, 0},
		{"no Retry, over MaxPause", 0, []time.Duration{6 * second}, time.Minute, anyone, "email", 0, 0},
		{"no Retry, over the deadline", 0, []time.Duration{2 * second}, 2 * second, anyone, "email", 0, 0},

		{"last, over MaxPause", 0, []time.Duration{20 * second}, time.Minute, noEmail, "a", 20 * second, 25 * second},
		{"forced, over MaxPause", 0, []time.Duration{20 * second}, time.Minute, forced, "a", 20 * second, 25 * second},
		{"last, jitter leaves time", 0, []time.Duration{58 * second}, time.Minute, noEmail, "a", 58 * second, 59 * second},
		{"last, over ctx", 0, []time.Duration{time.Minute}, time.Minute, noEmail, "", 0, 0},
		{"last, over Expires", 0, []time.Duration{5 * time.Minute}, time.Hour, noEmail, "", 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{}
				var answers []channel.Func
				for _, d := range row.asked {
					answers = append(answers, throttle(d))
				}
				f.route("a", answers...).Retry.Attempts = row.attempts
				f.route("email")
				f.build(t)
				ctx, cancel := context.WithTimeout(t.Context(), row.deadline)
				defer cancel()
				m := message()
				row.change(m)
				began := time.Now()
				s, err := f.Send(ctx, m)
				if took := time.Since(began); (err == nil) != (row.route != "") || s.Route != row.route || took < row.least || took > row.most {
					t.Errorf("route %q after %v, error %v", s.Route, took, err)
				}
			})
		})
	}
}

// TestThrottledForever shows that without any deadline the last route may not
// ask for more than MaxPause either.
func TestThrottledForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.route("a", throttle(6*time.Second))
		f.build(t)
		m := message()
		m.Expires = time.Time{}
		began := time.Now()
		s, err := f.Send(t.Context(), m)
		e := wantError(t, s, err, channel.Throttled)
		if took := time.Since(began); took != 0 || e.RetryAfter != 6*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestNoTimeToPause shows that a pause which cannot end before the deadline of
// ctx or the end of the code is not begun.
func TestNoTimeToPause(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"ctx", "Expires"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{}
				f.route("a", refuse(channel.Temporary, "421")).Retry = channel.Retry{Attempts: 2, Backoff: 3 * time.Second}
				f.route("b")
				f.build(t)
				ctx, m := t.Context(), message()
				if by == "ctx" {
					limited, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					ctx = limited
				} else {
					m.Expires = time.Now().Add(time.Second)
				}
				began := time.Now()
				s, err := f.Send(ctx, m)
				if took := time.Since(began); err != nil || s.Route != "b" || took != 0 {
					t.Errorf("route %q after %v, error %v", s.Route, took, err)
				}
			})
		})
	}
}

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
	}{
		{"expired before", 0, 0, nil, channel.Expired, nil, 0, 0},
		{"cancelled before", -1, 60 * second, nil, channel.Temporary, context.Canceled, 0, 0},
		{"deadline in a try", 3 * second, 60 * second, channeltest.Stall(), channel.Unknown, context.DeadlineExceeded, 3 * second, 1},
		{"cancelled in a try", -3 * second, 60 * second, channeltest.Stall(), channel.Unknown, context.Canceled, 3 * second, 1},
		{"expires in a try", 0, 3 * second, channeltest.Stall(), channel.Unknown, context.DeadlineExceeded, 3 * second, 1},
		{"cancelled in a pause", -3 * second, 60 * second, refuse(channel.Temporary, ""), channel.Temporary, context.Canceled, 3 * second, 1},
		{"refused with the last moment", 0, 3 * second, refuseAtEnd, channel.Expired, nil, 3 * second, 1},
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
				if took := time.Since(began); took != row.took || len(s.Attempts) != row.hops {
					t.Errorf("took %v, want %v; hops %+v", took, row.took, s.Attempts)
				}
				if row.cause != nil && !errors.Is(err, row.cause) {
					t.Errorf("error %v does not wrap %v", err, row.cause)
				}
			})
		})
	}
}

// refuseAtEnd holds the message until its context ends, but knows then that
// it was not sent.
func refuseAtEnd(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
	<-ctx.Done()
	return channel.Submission{}, &channel.Error{Class: channel.Temporary, Op: "fake: send", Err: ctx.Err()}
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
	if by["carrier"] != len(carrier.Accepted()) || by["email"] != len(mail.Accepted()) || by["imessage"]+by["carrier"]+by["email"] != 100 {
		t.Errorf("%v; carrier took %d, email %d", by, len(carrier.Accepted()), len(mail.Accepted()))
	}
}
