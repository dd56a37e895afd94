package otp_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// sameStore answers every Attempt and Get with the record that was created, or with one
// error.
type sameStore struct {
	backend
	record *store.Record
	err    error
}

func (s *sameStore) Create(ctx context.Context, r *store.Record, now time.Time) error {
	s.record = r
	return s.backend.Create(ctx, r, now)
}

func (s *sameStore) Attempt(context.Context, string, store.Token, time.Time) (*store.Record, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.record, nil
}

func (s *sameStore) Get(context.Context, string, time.Time) (*store.Record, error) {
	return s.record, s.err
}

// An ID that was never issued is as much work as a wrong code, the event of it
// included: nobody learns from the time which IDs there are. What the work
// allocates stands for its time, which a test cannot hold to. Not parallel: the
// count is the process's.
func TestUnknownIDIsAsMuchWork(t *testing.T) {
	for _, observed := range []bool{false, true} {
		s := &sameStore{backend: newStore(t)}
		r := newRig(t, func(c *otp.Config) {
			c.Store, c.Events = s, nil
			if observed {
				c.Events = func(context.Context, otp.Event) {}
			}
		})
		c := r.send(t, otp.Request{Purpose: "login", To: channel.Recipient{Phone: both.Phone}})
		typed := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login", Code: another6(r.a.messages()[0].Code)}
		allocs := func() float64 { // the least of three, as goroutines of other tests may be ending
			count := func() float64 {
				return testing.AllocsPerRun(2000, func() { _ = verify(t.Context(), r, typed) })
			}
			return min(count(), count(), count())
		}
		wrong := allocs()
		s.err = store.ErrNotFound
		unknown := allocs()
		other := typed
		other.Subject = "u2"
		typed, s.err = other, nil
		another := allocs()
		for what, n := range map[string]float64{"an unknown ID": unknown, "another subject": another} {
			if diff := wrong - n; diff < -1 || diff > 1 { // the race detector empties pools at random
				t.Errorf("observed=%v: %v allocations for a wrong code, %v for %s", observed, wrong, n, what)
			}
		}
	}
}
