package follow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
)

func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		report := func(u follow.Update) {
			t.Helper()
			if err := w.Report(t.Context(), u); err != nil {
				t.Errorf("Report: %v", err)
			}
		}
		w.say("p", update(channel.Sent, "Sent"))
		w.follow(time.Minute)
		report(update(channel.Sent, "sms:sent"))
		report(update(channel.Sent, "sms:sent")) // twice
		time.Sleep(10 * time.Second)             // and by polling
		w.wantHeard(t, "0s p/m.1 sent sms:sent")
		report(update(channel.Failed, "sms:failed"))
		report(update(channel.Sent, "sms:sent")) // backwards
		n := w.polled()
		time.Sleep(10 * time.Minute)
		if got := w.polled(); got != n {
			t.Errorf("%d polls after a failure", got-n)
		}
		w.wantHeard(t, "10s p/m.1 failed sms:failed")
		report(update(channel.Delivered, "sms:delivered")) // late, and after a failure
		report(update(channel.Delivered, "sms:delivered")) // a second part
		report(update(channel.Failed, "sms:failed"))
		w.wantHeard(t, "10m10s p/m.1 delivered sms:delivered")
	})
}

// Reports of a message that another process has sent, or that come before Send
// has returned.
func TestUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		for range 2 {
			u := follow.Update{ProviderID: "p", MessageID: "m.1", State: channel.Delivered}
			if err := w.Report(t.Context(), u); err != nil {
				t.Error(err)
			}
		}
		w.follow(time.Minute)
		time.Sleep(time.Hour)
		w.wantHeard(t, "0s p/m.1 delivered ")
		if n := w.polled(); n != 0 {
			t.Errorf("%d polls of what was delivered already", n)
		}
	})
}

func TestReceiptRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.follow(time.Minute)
		w.deaf = 1
		if err := w.Report(t.Context(), update(channel.Sent, "sms:sent")); !errors.Is(err, errStore) {
			t.Errorf("Report: %v, want the callback's error", err)
		}
		if err := w.Report(t.Context(), update(channel.Sent, "sms:sent")); err != nil {
			t.Errorf("repeated: %v", err)
		}
		w.wantHeard(t, "0s p/m.1 sent sms:sent")

		// What was asked for is told again, even past the expiry.
		w.set(func() { w.deaf = 12 })
		w.say("p", update(channel.Failed, "Failed"))
		time.Sleep(10 * time.Minute)
		w.say("p", follow.Update{})
		w.wantHeard(t, "4m0s p/m.1 failed Failed")
	})
}

// While a callback runs for a message, a second report of it waits: only its
// outcome says whether it is news.
func TestOneCallbackAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan error)
		calls := 0
		f := follow.New(follow.Config{Receipt: func(context.Context, channel.Receipt) error {
			calls++
			return <-release
		}})
		defer f.Close()
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- f.Report(t.Context(), update(channel.Sent, "")) }()
		}
		synctest.Wait()
		if calls != 1 {
			t.Errorf("%d callbacks run", calls)
		}
		release <- errStore
		if err := <-results; !errors.Is(err, errStore) {
			t.Errorf("first: %v", err)
		}
		release <- nil
		if err := <-results; err != nil {
			t.Errorf("second: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { results <- f.Report(t.Context(), update(channel.Failed, "")) }()
		synctest.Wait()
		cancel()
		if err := f.Report(ctx, update(channel.Failed, "")); !errors.Is(err, context.Canceled) {
			t.Errorf("a report that cannot wait: %v", err)
		}
		release <- nil
		<-results
	})
}

func TestMax(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Max: 2, Rate: 100})
		w.say("late", update(0, "Pending"))
		for id, life := range map[string]time.Duration{"late": 3 * time.Minute, "later": 4 * time.Minute} {
			w.Follow(follow.Message{ProviderID: id, Expires: w.start.Add(life)})
		}
		w.Follow(follow.Message{ProviderID: "latest", Expires: w.start.Add(5 * time.Minute)})
		time.Sleep(10 * time.Minute)
		w.wantHeard(t, "4m0s later/ sent ", "5m0s latest/ sent ")
		if err := w.Report(t.Context(), follow.Update{ProviderID: "late", State: channel.Sent}); err != nil {
			t.Error(err)
		}
		w.wantHeard(t, "10m0s late/ sent ")
	})
}

// A callback that panics, in a webhook that net/http recovers, does not keep
// the next report of the message waiting.
func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		panics := true
		f := follow.New(follow.Config{Receipt: func(context.Context, channel.Receipt) error {
			if panics {
				panic("a bug")
			}
			return nil
		}})
		defer f.Close()
		report := func() error {
			defer func() { _ = recover() }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return f.Report(ctx, follow.Update{ProviderID: "a", State: channel.Sent})
		}
		_ = report()
		panics = false
		if err := report(); err != nil {
			t.Error(err)
		}
	})
}
