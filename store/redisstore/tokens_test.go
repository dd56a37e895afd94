package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisTokensApart: a token is one of those charged only as a whole, and the
// token of Finish is none of them.
func TestRealRedisTokensApart(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	ctx, now := t.Context(), time.Now()
	if err := s.Create(ctx, challenge("aaa-1", now), now); err != nil {
		t.Fatal(err)
	}
	tokens := []store.Token{1, 2, 256, 512, 1 << 56, 1 << 48, 0x0101010101010101, 0x01010101010101, 1<<63 - 1}
	for n, token := range tokens {
		if r, err := s.Attempt(ctx, "aaa-1", token, now); err != nil || r.Attempts != n+1 {
			t.Errorf("token %#x: %+v, error %v; want attempt %d", uint64(token), r, err, n+1)
		}
	}
	if _, err := s.Update(ctx, "aaa-1", 0, []byte("a longer delivery"), now); err != nil {
		t.Fatal(err)
	}
	const last = 0x7766554433221100
	if _, err := s.Finish(ctx, "aaa-1", store.Cancelled, last, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx, "aaa-1", 1, nil, now); err != nil {
		t.Fatal(err)
	}
	for n, token := range tokens {
		r, err := s.Attempt(ctx, "aaa-1", token, now)
		if err != nil || r.Attempts != n+1 || r.Outcome != store.Cancelled || r.Delivery != nil {
			t.Errorf("token %#x once more: %+v, error %v; want attempt %d", uint64(token), r, err, n+1)
		}
	}
	for _, token := range []store.Token{last, 3, 0x7665544332211} {
		r, err := s.Attempt(ctx, "aaa-1", token, now)
		if !errors.Is(err, store.ErrClosed) || r.Attempts != len(tokens) {
			t.Errorf("token %#x: %+v, error %v; want ErrClosed", uint64(token), r, err)
		}
	}
}
