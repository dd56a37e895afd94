package follow_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
)

// A phone that is offline until the code expires: polling ends, and what the
// provider knew last is reported.
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

// Without polling the last state is reported as well.
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

func TestNoExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{Life: time.Minute})
		w.Follow(follow.Message{ProviderID: "p", MessageID: "m.1"})
		time.Sleep(2 * time.Hour)
		w.wantHeard(t, "1m0s p/m.1 sent ")
	})
}
