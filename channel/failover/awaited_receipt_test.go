package failover_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// TestAwait shows that a receipt is awaited only where somebody could take
// over.
func TestAwait(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(m *channel.Message)
		first  []channel.Func
		route  string
		await  time.Duration
	}{
		{"next route left", func(*channel.Message) {}, nil, "a", time.Minute},
		{"the last but one", func(m *channel.Message) { m.Tried = []string{"a"} }, nil, "b", 30 * time.Second},
		{"the rest tried", func(m *channel.Message) { m.Tried = []string{"b", "email"} }, nil, "a", 0},
		{"the rest has no address", func(m *channel.Message) { m.Tried, m.To.Email = []string{"a"}, "" }, nil, "b", 0},
		{"forced", func(m *channel.Message) { m.Route = "a" }, nil, "a", 0},
		{"the last", func(m *channel.Message) { m.Invalid = channel.Phone }, nil, "email", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{}
				f.route("a", row.first...).Await = time.Minute
				f.route("b").Await = 30 * time.Second
				f.route("email").Await = time.Hour
				f.build(t)
				m := message()
				row.change(m)
				s, err := f.Send(t.Context(), m)
				if err != nil || s.Route != row.route {
					t.Fatalf("error %v, route %q", err, s.Route)
				}
				var want time.Time
				if row.await > 0 {
					want = time.Now().Add(row.await)
				}
				if !s.Await.Equal(want) {
					t.Errorf("await %v, want %v", s.Await, want)
				}
			})
		})
	}
}

// TestState shows that what the channel says of the message is passed on.
func TestState(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	answer := func(state channel.State) channel.Func {
		return func(context.Context, *channel.Message) (channel.Submission, error) {
			return channel.Submission{Route: "inner", ProviderIDs: []string{"1", "2"}, State: state, Await: time.Now()},
				nil
		}
	}
	f.route("a", answer(0), answer(channel.Delivered), answer(channel.Queued))
	f.build(t)
	for _, want := range []channel.State{channel.Sent, channel.Delivered, channel.Queued} {
		s, err := f.Send(t.Context(), message())
		if err != nil || s.State != want || s.Route != "a" || len(s.ProviderIDs) != 2 || !s.Await.IsZero() {
			t.Errorf("error %v, submission %+v, want state %v", err, s, want)
		}
	}
}
