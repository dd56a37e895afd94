package follow_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStore = errors.New("the store is down")

// A world is a provider and whoever hears of receipts.
type world struct {
	*follow.Follower
	start time.Time

	mu     sync.Mutex
	states map[string]follow.Update // what the provider says
	down   error                    // what it says instead
	polls  []time.Duration          // when it was asked
	heard  []string
	deaf   int // how many receipts are refused
	// running and most count polls.
	running, most int
	slow          time.Duration
}

var errClosed = errors.New("carrier: channel closed")

func newWorld(t *testing.T, c follow.Config) *world {
	t.Helper()
	w := &world{start: time.Now(), states: map[string]follow.Update{}}
	c.Receipt, c.Closed = w.receipt, errClosed
	if c.Poll == nil {
		c.Poll = w.poll
	}
	w.Follower = follow.New(c)
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *world) poll(ctx context.Context, id string) (follow.Update, error) {
	w.mu.Lock()
	w.running++
	w.most = max(w.most, w.running)
	w.polls = append(w.polls, time.Since(w.start))
	slow := w.slow
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.running--
		w.mu.Unlock()
	}()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return follow.Update{}, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[id], w.down
}

func (w *world) receipt(_ context.Context, r channel.Receipt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf != 0 {
		w.deaf--
		return errStore
	}
	w.heard = append(w.heard,
		fmt.Sprintf("%v %s/%s %v %s", time.Since(w.start), r.ProviderID, r.MessageID, r.State, r.Code))
	return nil
}

func (w *world) say(id string, u follow.Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[id] = u
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) wantHeard(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := cmp.Diff(want, w.heard); d != "" {
		t.Errorf("receipts (-want +got):\n%s", d)
	}
	w.heard = nil
}

func (w *world) polled() int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.polls)
}

func (w *world) follow(life time.Duration) {
	w.Follow(follow.Message{ProviderID: "p", MessageID: "m.1", Expires: time.Now().Add(life)})
}

func update(s channel.State, code string) follow.Update {
	return follow.Update{ProviderID: "p", State: s, Code: code}
}

func TestPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Interval: 2 * time.Second, MaxInterval: 4 * time.Second})
		w.say("p", update(0, "Pending"))
		w.follow(5 * time.Minute)
		time.Sleep(6 * time.Second) // asked at 2 and 5
		w.say("p", update(channel.Sent, "Sent"))
		time.Sleep(10 * time.Second) // at 9, 13
		w.say("p", update(channel.Delivered, "Delivered"))
		time.Sleep(time.Minute) // at 17
		w.wantHeard(t, "9s p/m.1 sent Sent", "17s p/m.1 delivered Delivered")
		want := []time.Duration{2e9, 5e9, 9e9, 13e9, 17e9}
		if d := cmp.Diff(want, w.polls); d != "" {
			t.Errorf("polls (-want +got):\n%s", d)
		}
	})
}

// A phone that is offline until the code expires: polling ends, and what the
// provider knew last is told.
func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		last follow.Update
		down error
		poll func(context.Context, string) (follow.Update, error)
		want []string
	}{
		"pending":     {last: update(0, "Pending"), want: []string{"1m0s p/m.1 sent Pending"}},
		"told before": {last: update(channel.Sent, "Sent"), want: []string{"2s p/m.1 sent Sent"}},
		"no answer":   {down: errors.New("down"), want: []string{"1m0s p/m.1 sent "}},
		"failed":      {last: update(channel.Failed, "Failed"), want: []string{"2s p/m.1 failed Failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, follow.Config{})
				w.say("p", row.last)
				w.down = row.down
				w.follow(time.Minute)
				time.Sleep(time.Minute)
				w.wantHeard(t, row.want...)
				n := w.polled()
				time.Sleep(time.Hour)
				if got := w.polled(); got != n {
					t.Errorf("%d polls after the expiry", got-n)
				}
				w.wantHeard(t)
			})
		})
	}
}

// A message does not wait for its last state until all have been asked for that
// have longer to live.
func TestExpiryOfOneAmongMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Rate: 1})
		for i := range 2000 {
			w.Follow(follow.Message{ProviderID: fmt.Sprint(i), Expires: w.start.Add(time.Hour)})
		}
		w.follow(5 * time.Minute)
		<-time.After(6 * time.Minute)
		w.wantHeard(t, "5m30s p/m.1 sent ")
	})
}

// Without polling the last state is told as well.
func TestExpiryWithoutPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var heard []string
		deaf := true
		f := follow.New(follow.Config{Receipt: func(_ context.Context, r channel.Receipt) error {
			if deaf {
				deaf = false
				return errStore
			}
			heard = append(heard, fmt.Sprintf("%v %v", time.Since(start), r.State))
			return nil
		}})
		defer f.Close()
		f.Follow(follow.Message{ProviderID: "p", Expires: start.Add(time.Minute)})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d := cmp.Diff([]string{"1m3s sent"}, heard); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

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

func TestPollBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Workers: 3, Rate: 2, Timeout: 20 * time.Second})
		w.slow = 30 * time.Second
		for i := range 20 {
			w.Follow(follow.Message{ProviderID: fmt.Sprint(i), Expires: w.start.Add(time.Hour)})
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.most != 3 {
			t.Errorf("%d polls at once, want 3", w.most)
		}
		w.set(func() { w.slow, w.polls = 0, nil })
		time.Sleep(time.Minute)
		if n := w.polled(); n < 100 || n > 121 {
			t.Errorf("%d polls in a minute, want 2 a second", n)
		}
		w.set(func() {
			w.polls = nil
			w.down = &channel.Error{Class: channel.Throttled, Op: "test", RetryAfter: 15 * time.Second}
		})
		time.Sleep(time.Minute)
		if n := w.polled(); n > 10 {
			t.Errorf("%d polls in a minute, although the provider wants 15 s between them", n)
		}
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

func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.follow(time.Minute)
		w.Forget("p")
		w.Forget("unknown")
		time.Sleep(10 * time.Minute)
		w.wantHeard(t)
		if n := w.polled(); n != 0 {
			t.Errorf("%d polls of what was withdrawn", n)
		}
		w.follow(0) // no expiry to speak of, and withdrawn all the same
		time.Sleep(2 * time.Hour)
		w.wantHeard(t)
	})
}

func TestNoExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Life: time.Minute})
		w.Follow(follow.Message{ProviderID: "p", MessageID: "m.1"})
		time.Sleep(2 * time.Hour)
		w.wantHeard(t, "1m0s p/m.1 sent ")
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.slow = 5 * time.Second
		w.follow(time.Minute)
		time.Sleep(3 * time.Second) // a poll is under way
		began := time.Now()
		if err := w.Shutdown(t.Context()); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("Shutdown: %v after %v, want the poll's end", err, time.Since(began))
		}
		if err := w.Report(t.Context(), update(channel.Sent, "")); !errors.Is(err, errClosed) {
			t.Errorf("Report: %v", err)
		}
		w.follow(time.Minute)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		w.wantHeard(t)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.slow = 5 * time.Second
		w.follow(time.Minute)
		time.Sleep(3 * time.Second)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(began))
		}
	})
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	f := follow.New(follow.Config{})
	f.Follow(follow.Message{ProviderID: "p"})
	f.Forget("p")
	if err := f.Report(t.Context(), update(channel.Sent, "")); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
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

// More messages than may be asked for: what is known of each is told within
// another life of the code all the same, and no more is asked than may be.
func TestBacklog(t *testing.T) {
	t.Parallel()
	for name, asks := range map[string]bool{"polling": true, "webhooks only": false} {
		synctest.Test(t, func(t *testing.T) {
			const life = 5 * time.Minute
			var mu sync.Mutex
			sent := map[string]time.Time{}
			latest, polls := time.Duration(0), 0
			c := follow.Config{Receipt: func(_ context.Context, r channel.Receipt) error {
				mu.Lock()
				defer mu.Unlock()
				latest = max(latest, time.Since(sent[r.ProviderID]))
				delete(sent, r.ProviderID)
				return nil
			}}
			if asks {
				c.Poll = func(context.Context, string) (follow.Update, error) {
					mu.Lock()
					defer mu.Unlock()
					polls++
					return follow.Update{}, nil
				}
			}
			f := follow.New(c)
			defer f.Close()
			began := time.Now()
			for i := range 20 * 60 * 20 { // twenty minutes, twenty a second
				id := fmt.Sprint(i)
				mu.Lock()
				sent[id] = time.Now()
				mu.Unlock()
				f.Follow(follow.Message{ProviderID: id, Expires: time.Now().Add(life)})
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(time.Hour)
			if len(sent) != 0 || latest > 2*(life+time.Minute) {
				t.Errorf("%s: %d messages were not told, the latest %v after it was sent", name, len(sent), latest)
			}
			if most := int(time.Since(began)/time.Second) * 10; polls > most || asks && polls == 0 {
				t.Errorf("%s: asked %d times, at most %d are allowed", name, polls, most)
			}
		})
	}
}
