package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

var sentinels = []error{store.ErrExists, store.ErrNotFound, store.ErrExpired, store.ErrClosed, store.ErrExhausted,
	store.ErrLocked, store.ErrConflict, store.ErrFull}

// TestRealRedisStalled: a call returns when its context's deadline comes, or
// Timeout is over, though the client waits for the server for longer; and when
// its context is cancelled, unless the client has ContextTimeoutEnabled.
func TestRealRedisStalled(t *testing.T) {
	t.Parallel()
	for _, enabled := range []bool{false, true} {
		t.Run(fmt.Sprintf("ContextTimeoutEnabled=%t", enabled), func(t *testing.T) {
			t.Parallel()
			testStalled(t, enabled)
		})
	}
}

func testStalled(t *testing.T, enabled bool) {
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 20 * time.Second,
		ContextTimeoutEnabled: enabled})
	t.Cleanup(func() { client.Close() })
	const timeout = 400 * time.Millisecond
	s := open(t, redisstore.Config{Client: client, Timeout: timeout})
	now := time.Now()
	if err := s.Create(t.Context(), challenge("aaa-1", now), now); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Resume() })
	for name, c := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want error
		took time.Duration // at least
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		}, context.DeadlineExceeded, 100 * time.Millisecond},
		"cancelled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled, 100 * time.Millisecond},
		"timeout": {context.WithCancel, os.ErrDeadlineExceeded, timeout},
	} {
		ctx, cancel := c.end(t.Context())
		began := time.Now()
		_, err := s.Attempt(ctx, "aaa-1", token(), now)
		took := time.Since(began)
		cancel()
		if !errors.Is(err, c.want) || name == "timeout" &&
			!strings.HasPrefix(err.Error(), "redisstore: no answer within") {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if took < c.took || took > 2*time.Second {
			t.Errorf("%s: returned after %v", name, took)
		}
	}
	client.Close() // ends what was left behind
	_ = server.Resume()
}

// TestRealRedisDown: without a server every call fails soon, with an error that is
// none of package store's.
func TestRealRedisDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redisstore.Config{Client: dial(t, server.Addr), Timeout: time.Second})
	server.Kill()
	ctx, now := t.Context(), time.Now()
	for name, call := range map[string]func() error{
		"Create":    func() error { return s.Create(ctx, challenge("aaa-1", now), now) },
		"Get":       func() error { _, err := s.Get(ctx, "aaa-1", now); return err },
		"CancelAll": func() error { return s.CancelAll(ctx, "aaa", "s", "", now.Add(time.Hour), now) },
		"Update":    func() error { _, err := s.Update(ctx, "aaa-1", 1, nil, now); return err },
		"Attempt":   func() error { _, err := s.Attempt(ctx, "aaa-1", token(), now); return err },
		"Finish":    func() error { _, err := s.Finish(ctx, "aaa-1", store.Verified, token(), now); return err },
		"Take":      func() error { _, err := s.Take(ctx, now, store.Limit{Key: "a", Most: 1, Per: 1}); return err },
		"Give":      func() error { return s.Give(ctx, now, now, store.Limit{Key: "a", Most: 1, Per: time.Hour}) },
		"Track":     func() error { _, err := s.Track(ctx, "a", "m", now, now); return err },
		"Match":     func() error { _, err := s.Match(ctx, "a", nil, now.Add(time.Hour), now); return err },
		"Enqueue":   func() error { return s.Enqueue(ctx, store.Job{Challenge: "j", Expires: now.Add(time.Hour)}) },
		"Stats":     func() error { _, err := s.Stats(ctx); return err },
		"Dead":      func() error { _, err := s.Dead(ctx, 1); return err },
		"Check":     func() error { _, err := s.Check(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			err := call()
			if err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("error %v", err)
			}
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) {
					t.Errorf("error %v is %v", err, sentinel)
				}
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("returned after %v", took)
			}
		})
	}
}

// TestRealRedisOutOfMemory: a full server takes nothing new, and says so, but a
// right code is accepted.
func TestRealRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	if err := s.Create(ctx, challenge("aaa-1", now), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, attempt := s.Attempt(ctx, "aaa-1", token(), now)
	_, take := s.Take(ctx, now, store.Limit{Key: "a", Most: 1, Per: time.Hour})
	_, track := s.Track(ctx, "a", "m", now.Add(time.Hour), now)
	_, match := s.Match(ctx, "a", nil, now.Add(time.Hour), now)
	cancel := s.CancelAll(ctx, "aaa", "s", "", now.Add(time.Hour), now)
	for i, err := range []error{s.Create(ctx, challenge("aaa-2", now), now), attempt, take, track, match, cancel} {
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("call %d: %v, want ErrFull", i, err)
		}
	}
	if r, err := s.Get(ctx, "aaa-1", now); err != nil || r.Attempts != 1 {
		t.Errorf("Get: %+v, error %v", r, err)
	}
	if r, err := s.Finish(ctx, "aaa-1", store.Verified, token(), now); err != nil || r.Outcome != store.Verified {
		t.Errorf("Finish: %+v, error %v", r, err)
	}
}

// TestRealSentinelFailover: the store goes on with the new master by itself,
// and what had reached it is not forgotten: a used code, and a lock.
func TestRealSentinelFailover(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: sentinel.Name, SentinelAddrs: sentinel.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: time.Second})
	ctx, now := t.Context(), time.Now()
	used, locked := challenge("aaa-used", now), challenge("aaa-locked", now)
	locked.MaxFailures = 1
	for _, r := range []*store.Record{used, locked} {
		if err := s.Create(ctx, r, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Attempt(ctx, "aaa-locked", token(), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(ctx, "aaa-used", store.Verified, token(), now); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(ctx, "WAIT", 1, 5000).Err(); err != nil {
		t.Fatal(err)
	}
	master, err := sentinel.Master()
	if err != nil {
		t.Fatal(err)
	}
	master.Kill()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := s.Finish(ctx, "aaa-used", store.Verified, token(), now)
		if errors.Is(err, store.ErrClosed) {
			break
		}
		if err == nil || time.Now().After(end) {
			t.Fatalf("Finish once more: %v, want ErrClosed", err)
		}
	}
	if _, err := s.Attempt(ctx, "aaa-locked", token(), now); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Attempt: %v, want ErrLocked", err)
	}
}
