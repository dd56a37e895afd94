package failover_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
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
		{"default", channel.Retry{Attempts: 4}, refuse(channel.Temporary, ""),
			[]time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}},
		{"own", channel.Retry{Attempts: 3, Backoff: time.Second}, refuse(channel.Temporary, ""),
			[]time.Duration{time.Second, 2 * time.Second}},
		{"cut", channel.Retry{Attempts: 5, Backoff: 2 * time.Second}, refuse(channel.Temporary, ""),
			[]time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"longest", channel.Retry{Attempts: 3, Backoff: math.MaxInt64}, refuse(channel.Temporary, ""),
			[]time.Duration{5 * time.Second, 5 * time.Second}},
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
		{"just before the deadline", 2, []time.Duration{2 * second}, 2*second + 2, anyone, "a", 2 * second, 2*second +
			1},

		{"no Retry", 0, []time.Duration{2 * second}, time.Minute, anyone, "a", 2 * second, 2500 * time.Millisecond},
		{"Retry of one", 1, []time.Duration{2 * second}, time.Minute, anyone, "a", 2 * second, 2500 * time.Millisecond},
		{"no Retry, once only", 0, []time.Duration{2 * second, second}, time.Minute, anyone, "email", 2 * second,
			2500 * time.Millisecond},
		{"no Retry, nothing asked", 0, []time.Duration{0}, time.Minute, anyone, "email", 0, 0},
		{"no Retry, over MaxPause", 0, []time.Duration{6 * second}, time.Minute, anyone, "email", 0, 0},
		{"no Retry, over the deadline", 0, []time.Duration{2 * second}, 2 * second, anyone, "email", 0, 0},

		{"last, over MaxPause", 0, []time.Duration{20 * second}, time.Minute, noEmail, "a", 20 * second, 25 * second},
		{"forced, over MaxPause", 0, []time.Duration{20 * second}, time.Minute, forced, "a", 20 * second, 25 * second},
		{"last, jitter leaves time", 0, []time.Duration{58 * second}, time.Minute, noEmail, "a", 58 * second,
			59 * second},
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
				if took := time.Since(began); (err == nil) != (row.route != "") || s.Route != row.route ||
					took < row.least || took > row.most {
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
				f.route("a", refuse(channel.Temporary, "421")).Retry = channel.Retry{Attempts: 2,
					Backoff: 3 * time.Second}
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
