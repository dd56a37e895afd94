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

// A world is a provider and the handler of its receipts.
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
