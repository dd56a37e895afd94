package otp_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// sameStore answers every Attempt with one record, or with one error.
type sameStore struct {
	backend
	record *store.Record
	err    error
}

func (s *sameStore) Attempt(context.Context, string, time.Time) (*store.Record, error) {
	return s.record, s.err
}

// An id that was never issued is as much work as a wrong code, the event of it
// included: nobody learns from the time which ids there are. What the work
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
		typed := otp.Verification{ID: c.ID, Subject: "u2", Purpose: "login", Code: "000000"}
		allocs := func() float64 {
			return testing.AllocsPerRun(2000, func() { _ = r.Verify(t.Context(), typed) })
		}
		var err error
		if s.record, err = s.Get(t.Context(), c.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		wrong := allocs()
		s.record, s.err = nil, store.ErrNotFound
		unknown := allocs()
		if diff := wrong - unknown; diff < -1 || diff > 1 { // the race detector empties pools at random
			t.Errorf("observed=%v: %v allocations for a wrong code, %v for an unknown id", observed, wrong, unknown)
		}
	}
}
