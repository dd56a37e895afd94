package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisNanoseconds: what Create is given comes back to the nanosecond,
// though the scripts reckon in microseconds.
func TestRealRedisNanoseconds(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	ctx, now := t.Context(), time.Unix(1_700_000_000, 123_456_789)
	r := challenge("aaa-1", now)
	r.Expires, r.Lock = now.Add(time.Minute+1), time.Hour+7
	if err := s.Create(ctx, r, now); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, "aaa-1", now)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Created.Equal(now) || !got.Expires.Equal(r.Expires) || got.Lock != r.Lock {
		t.Errorf("%+v, want %+v", got, r)
	}
	if _, err := s.Get(ctx, "aaa-1", r.Expires); !errors.Is(err, store.ErrExpired) {
		t.Errorf("Get at Expires: %v", err)
	}
}

// TestRealRedisSkewedClocks: a process whose clock is ahead does not forget
// takings that count for one whose clock is behind.
func TestRealRedisSkewedClocks(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	now := time.Now()
	l := store.Limit{Key: "l", Most: 3, Per: time.Minute}
	for i, step := range []struct {
		at      time.Duration
		allowed bool
	}{{0, true}, {time.Second, true}, {61500 * time.Millisecond, true}, {30 * time.Second, false}} {
		if d, err := s.Take(t.Context(), now.Add(step.at), l); err != nil || d.Allowed != step.allowed {
			t.Errorf("taking %d: %+v, error %v, want allowed %v", i, d, err, step.allowed)
		}
	}
}
