package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// An ownLimiter is a whole store.Limiter: it keeps the time of each taking, and one mutex
// stands in the place of a transaction. It has no clock: each call has the caller's time.
type ownLimiter struct {
	mu        sync.Mutex
	takings   map[count][]taking // in the order of their times
	collected time.Time          // when garbage was last collected
}

var _ store.Limiter = (*ownLimiter)(nil)

// Limits with one Key and Per have one count.
type count struct {
	key string
	per time.Duration
}

// A taking is n takings of one time.
type taking struct {
	at time.Time
	n  int
}

func newOwnLimiter() *ownLimiter { return &ownLimiter{takings: map[count][]taking{}} }

// begin checks the limits and begins a transaction, unless ctx has ended. The caller must
// call end.
func (s *ownLimiter) begin(ctx context.Context, now time.Time, limits []store.Limit) (end func(), err error) {
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 || l.N < 0 {
			return nil, errors.New("own limiter: a limit is out of range")
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if now.Sub(s.collected) > time.Minute {
		s.collect(now)
	}
	return s.mu.Unlock, nil
}

// collect removes counts whose takings are over.
func (s *ownLimiter) collect(now time.Time) {
	maps.DeleteFunc(s.takings, func(c count, taken []taking) bool { return c.over(taken[len(taken)-1], now) })
	s.collected = now
}

// over reports whether no call counts t any more. It counts for Per, and is kept for longer,
// since the clocks of other callers may be behind.
func (c count) over(t taking, now time.Time) bool {
	return now.Sub(t.at) >= c.per+min(c.per, time.Minute)
}

// Take decides first, for all limits, and then takes from all or none.
func (s *ownLimiter) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	end, err := s.begin(ctx, now, limits)
	if err != nil {
		return store.Decision{}, err
	}
	defer end()
	d := store.Decision{Allowed: true}
	takes := map[count]int{} // of this call
	for i, l := range limits {
		c := count{l.Key, l.Per}
		wait := s.wait(l, takes[c], now)
		switch {
		case wait == 0 && !l.Peek:
			takes[c] += l.Takings()
		case wait > 0:
			d.Over, d.Waits = append(d.Over, i), append(d.Waits, wait)
			if !l.Shadow {
				d.Allowed, d.RetryAfter = false, max(d.RetryAfter, wait)
			}
		}
	}
	if d.Allowed {
		for c, n := range takes {
			s.take(c, taking{now, n}, now)
		}
	}
	return d, nil
}

// wait returns 0 if l allows its N after others of the same call, and else the time until it
// does. It counts takings of the future, too: they are of callers whose clocks are ahead.
func (s *ownLimiter) wait(l store.Limit, others int, now time.Time) time.Duration {
	room := l.Most - others
	if l.Takings() > room {
		return l.Per // no wait helps
	}
	room -= l.Takings()
	for _, t := range slices.Backward(s.takings[count{l.Key, l.Per}]) {
		left := t.at.Add(l.Per).Sub(now)
		if left <= 0 {
			break
		}
		if room -= t.n; room < 0 {
			return left // once t no longer counts, there is room
		}
	}
	return 0
}

// take adds a taking in its place.
func (s *ownLimiter) take(c count, t taking, now time.Time) {
	taken := slices.DeleteFunc(s.takings[c], func(t taking) bool { return c.over(t, now) })
	i, _ := slices.BinarySearchFunc(taken, t, func(a, b taking) int { return a.at.Compare(b.at) })
	s.takings[c] = slices.Insert(taken, i, t)
}

// Give returns takings of one time or, for the zero time, the latest.
func (s *ownLimiter) Give(ctx context.Context, at, now time.Time, limits ...store.Limit) error {
	end, err := s.begin(ctx, now, limits)
	if err != nil {
		return err
	}
	defer end()
	for _, l := range limits {
		if l.Peek {
			continue
		}
		c, n := count{l.Key, l.Per}, l.Takings()
		taken := s.takings[c]
		for i, t := range slices.Backward(taken) {
			if at.IsZero() || t.at.Equal(at) {
				returned := min(n, t.n)
				taken[i].n, n = t.n-returned, n-returned
			}
		}
		s.takings[c] = slices.DeleteFunc(taken, func(t taking) bool { return t.n == 0 })
		if len(s.takings[c]) == 0 {
			delete(s.takings, c)
		}
	}
	return nil
}

// A limiter of one's own, to be copied. TestOwnLimiter runs the suite on it.
func Example_wholeLimiter() {
	var s store.Limiter = newOwnLimiter()
	ctx, now := context.Background(), time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	hourly := store.Limit{Key: "ann", Most: 2, Per: time.Hour}
	for range 3 {
		d, err := s.Take(ctx, now, hourly)
		fmt.Println(d.Allowed, d.RetryAfter, err)
		now = now.Add(time.Minute)
	}
	// Output:
	// true 0s <nil>
	// true 0s <nil>
	// false 58m0s <nil>
}
