package smtp_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

func TestRate(t *testing.T) {
	t.Parallel()
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(nil)
			c.Rate = smtp.Rate{PerSecond: 2, Burst: 3}
			begun := time.Now()
			if diff := cmp.Diff(make([]string, 9), sendAll(t, f, c, 9)); diff != "" {
				t.Error(diff)
			}
			if took := time.Since(begun); took != 3*time.Second { // 3 at once, 6 more
				t.Errorf("took %v, want 3s", took)
			}
		})
	})
	t.Run("not longer than the message may", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(nil)
			defer f.stop()
			c.Rate, c.Timeout = smtp.Rate{PerSecond: 0.1}, 5*time.Second
			ch, err := smtp.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ch.Close() }()
			for i, want := range []time.Duration{0, 10 * time.Second, 10 * time.Second, 0} {
				if i == 3 { // what was refused has used up nothing
					time.Sleep(10 * time.Second)
				}
				_, err := ch.Send(t.Context(), message("rate.1"))
				var e *channel.Error
				if (err == nil) != (want == 0) ||
					err != nil && (!errors.As(err, &e) || e.Class != channel.Throttled || e.RetryAfter != want) {
					t.Errorf("message %d: %v, want it to be tried after %v", i, err, want)
				}
			}
		})
	})
	t.Run("or than the caller wants", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(nil)
			defer f.stop()
			c.Rate = smtp.Rate{PerSecond: 1}
			ch, err := smtp.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ch.Close() }()
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
			_, first := ch.Send(ctx, message("rate.1"))
			begun := time.Now()
			_, second := ch.Send(ctx, message("rate.2"))
			if took := time.Since(begun); first != nil || !errors.Is(second, context.Canceled) ||
				took > 100*time.Millisecond {
				t.Errorf("%v, then %v after %v", first, second, took)
			}
		})
	})
	t.Run("the next relay has room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, c := twoRelays(nil, nil)
			defer b.stop()
			c.Rate = smtp.Rate{PerSecond: 1}
			begun := time.Now()
			if diff := cmp.Diff(make([]string, 4), sendAll(t, a, c, 4)); diff != "" {
				t.Error(diff)
			}
			if got := [2]int{countOf(a.commands(), ".+"), countOf(b.commands(), ".+")}; got != [2]int{1, 3} ||
				time.Since(begun) != 0 {
				t.Errorf("%v messages each, after %v", got, time.Since(begun))
			}
		})
	})
	t.Run("the next relay has none", testRateOfSeveral)
	t.Run("warming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(nil)
			c.Rate = smtp.Rate{PerSecond: 100, WarmFrom: 1, WarmSince: time.Now().Add(-48 * time.Hour)}
			begun := time.Now()
			if diff := cmp.Diff(make([]string, 12), sendAll(t, f, c, 12)); diff != "" {
				t.Error(diff)
			}
			// 4 at once, 8 more at 4 a second
			if took := time.Since(begun); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
				t.Errorf("took %v, want 2s", took)
			}
		})
	})
}

// Where no relay takes a message at once, it waits for the one that has room
// first, whatever its place.
func testRateOfSeveral(t *testing.T) {
	minutely, secondly := smtp.Rate{PerSecond: 1.0 / 64}, smtp.Rate{PerSecond: 1}
	for _, tt := range []struct {
		name    string
		a, b    smtp.Rate
		script  map[string]string // of b
		classes []string
		mails   [2]int // by relay
		took    time.Duration
	}{
		{"the first is sooner", secondly, minutely, nil, make([]string, 4), [2]int{3, 1}, 2 * time.Second},
		{"the second is sooner", minutely, secondly, nil, make([]string, 4), [2]int{1, 3}, 2 * time.Second},
		{"the second is down", secondly, smtp.Rate{}, map[string]string{"greeting": hangUp}, make([]string, 3),
			[2]int{3, 0}, 2 * time.Second},
		{"the second is silent", secondly, smtp.Rate{}, map[string]string{"greeting": stall}, make([]string, 3),
			[2]int{3, 0}, 20 * time.Second},
		{"the second refuses us", secondly, smtp.Rate{}, map[string]string{"AUTH": "535 5.7.8 no\r\n"},
			make([]string, 3), [2]int{3, 0}, 2 * time.Second},
		{"the second refuses the message", secondly, smtp.Rate{}, map[string]string{"RCPT": "550 5.1.1 unknown\r\n"},
			[]string{"", "invalid recipient"}, [2]int{1, 0}, 0},
		{"neither in time", minutely, minutely, nil, []string{"", "", "throttled"}, [2]int{1, 1}, 0},
		{"the second is down, the first not in time", minutely, smtp.Rate{}, map[string]string{"greeting": hangUp},
			[]string{"", "throttled"}, [2]int{1, 0}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, c := twoRelays(nil, tt.script)
				defer b.stop()
				c.Rate, c.Fallbacks[0].Rate, c.Timeout = tt.a, tt.b, 20*time.Second
				begun := time.Now()
				if diff := cmp.Diff(tt.classes, sendAll(t, a, c, len(tt.classes))); diff != "" {
					t.Errorf("errors (-want +got):\n%s", diff)
				}
				if took := time.Since(begun); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if got := [2]int{countOf(a.commands(), ".+"), countOf(b.commands(), ".+")}; got != tt.mails {
					t.Errorf("%v messages each, want %v", got, tt.mails)
				}
			})
		})
	}
}
