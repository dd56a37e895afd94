package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisParkingBounded: no more than MaxParked receipts are parked, but
// 4096 at least, Track has room beside them, and what has expired makes room.
func TestRealRedisParkingBounded(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr), MaxParked: 256})
	ctx, now := t.Context(), time.Now()
	park := func() (n int) {
		for i := range 6000 {
			_, err := s.Match(ctx, fmt.Sprint("r/", i), []byte("receipt"), now.Add(time.Hour), now)
			switch {
			case err == nil:
				n++
			case !errors.Is(err, store.ErrFull):
				t.Fatal(err)
			}
		}
		return n
	}
	first := park()
	if first < 3800 || first > 4096 {
		t.Errorf("%d receipts were parked, want most of 4096", first)
	}
	for i := range 6000 {
		early, err := s.Track(ctx, fmt.Sprint("r/", i), "m", now.Add(time.Hour), now)
		if err != nil {
			t.Fatal(err)
		}
		first -= len(early)
	}
	if first != 0 {
		t.Errorf("Track returned %d fewer receipts than were parked", first)
	}
	now = now.Add(time.Hour)
	if again := park(); again < 3800 {
		t.Errorf("%d receipts were parked when those before had expired", again)
	}
}

// TestRealRedisParkingOfOne: one message parks its 16 receipts, however small
// MaxParked is.
func TestRealRedisParkingOfOne(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr), MaxParked: 1})
	ctx, now := t.Context(), time.Now()
	for n := 1; n <= 17; n++ {
		_, err := s.Match(ctx, "r/1", fmt.Append(nil, n), now.Add(time.Hour), now)
		if n <= 16 && err != nil || n > 16 && !errors.Is(err, store.ErrFull) {
			t.Errorf("receipt %d: %v", n, err)
		}
	}
}
