package redisstore

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// atServer returns a Store on a server of its own.
func atServer(t *testing.T) *Store {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { client.Close() })
	s, err := New(Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRealRedisMatchAgain: if the reply of a Match was lost, and Track returned its
// receipt meanwhile, the Match that the client repeats does not match the receipt
// again.
func TestRealRedisMatchAgain(t *testing.T) {
	t.Parallel()
	s := atServer(t)
	ctx, now := t.Context(), time.Now()
	until := now.Add(time.Hour)
	keys, name := s.entryKeys("route/1")
	match := func(nonce string) []string {
		t.Helper()
		cmd, err := s.run(ctx, scriptMatch, keys, micros(now), micros(until), name, nonce, "delivered", 9, 9)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := cmd.StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	first := nonceBytes()
	if a := match(first); len(a) != 0 {
		t.Fatalf("Match: %q, want it parked", a)
	}
	if early, err := s.Track(ctx, "route/1", "m", until, now); err != nil || len(early) != 1 {
		t.Fatalf("Track: %q, error %v", early, err)
	}
	if a := match(first); len(a) != 0 {
		t.Errorf("Match again: %q, want it parked, as at first", a)
	}
	if a := match(nonceBytes()); len(a) != 1 || a[0] != "m" {
		t.Errorf("another Match: %q, want the message", a)
	}
}

// TestRealRedisHeartbeatLate: a heartbeat that does not name a job gives the job
// back, but not in the half second in which the heartbeat may have been sent before
// the job was handed out.
func TestRealRedisHeartbeatLate(t *testing.T) {
	t.Parallel()
	s := atServer(t)
	ctx := t.Context()
	if err := s.Enqueue(ctx, store.Job{Challenge: "j", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r := newRunner(s, 1, nil)
	fetched := time.Now()
	if _, err := s.run(ctx, scriptFetch, s.queue.keys, micros(fetched), 1, r.consumer); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if err := r.heartbeat(ctx); err != nil {
			t.Fatal(err)
		}
		after := time.Since(fetched)
		st, err := s.Stats(ctx)
		switch {
		case err != nil:
			t.Fatal(err)
		case st.Normal == 1 && after < 500*time.Millisecond:
			t.Fatalf("given back after %v, on turn %d", after, n)
		case st.Normal == 1:
			return
		case after > 30*time.Second:
			t.Fatalf("not given back: %+v", st)
		}
		<-time.After(10 * time.Millisecond)
	}
}
