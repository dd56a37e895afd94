package follow_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
)

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
