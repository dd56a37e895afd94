package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	for want, cfg := range map[string]redisstore.Config{
		"redisstore: Config.Client: is required":             {},
		"redisstore: Config.Prefix: \"otp{x}\" holds braces": {Client: client, Prefix: "otp{x}"},
		"redisstore: Config.Timeout: -1s is negative":        {Client: client, Timeout: -time.Second},
		"redisstore: Config.MaxParked: -1 is negative":       {Client: client, MaxParked: -1},
		"redisstore: Config.MaxJobs: -2 is negative":         {Client: client, MaxJobs: -2},
		"redisstore: Config.JobAttempts: -3 is negative":     {Client: client, JobAttempts: -3},
	} {
		if _, err := redisstore.New(cfg); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRealRedisPrefix(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	a, b := open(t, redisstore.Config{Client: client, Prefix: "a:"}),
		open(t, redisstore.Config{Client: client, Prefix: "b:"})
	ctx, now := t.Context(), time.Now()
	l := store.Limit{Key: "l", Most: 1, Per: time.Hour}
	for _, s := range []*opened{a, b} {
		r := challenge("aaa-1", now)
		r.MaxFailures = 1
		if err := s.Create(ctx, r, now); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Attempt(ctx, "aaa-1", now); err != nil || r.Attempts != 1 || r.LockedUntil.IsZero() {
			t.Errorf("Attempt: %+v, error %v", r, err)
		}
		if d, err := s.Take(ctx, now, l); err != nil || !d.Allowed {
			t.Errorf("Take: %+v, error %v", d, err)
		}
		if m, err := s.Match(ctx, "r/1", nil, now.Add(time.Hour), now); err != nil || m != "" {
			t.Errorf("Match: %q, error %v", m, err)
		}
		if _, err := s.Track(ctx, "r/1", s.prefix, now.Add(time.Hour), now); err != nil {
			t.Error(err)
		}
	}
	for key, life := range lives(client, "") {
		if !strings.HasPrefix(key, "a:") && !strings.HasPrefix(key, "b:") {
			t.Errorf("key %q", key)
		}
		if life < time.Minute || life > time.Hour+3*time.Minute {
			t.Errorf("key %q lives for %v", key, life)
		}
	}
}

// TestRealRedisSweep: runs of failures that are forgotten make room for others
// of their bucket.
func TestRealRedisSweep(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	const each = 400
	for round := range 5 {
		for i := range each {
			r := challenge(fmt.Sprintf("aaa-%d-%d", round, i), now)
			r.Lock = time.Minute
			if err := s.Create(ctx, r, now); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Attempt(ctx, r.ID, now); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(3 * time.Minute)
	}
	n, err := client.HLen(ctx, s.prefix+"{aaa}f").Result()
	if err != nil || n < each || n > 3*each {
		t.Errorf("%d runs are kept of %d of which %d live, error %v", n, 5*each, each, err)
	}
}

// TestRealRedisOddIDs: whatever a user typed for an ID is not found, or kept as
// well as any.
func TestRealRedisOddIDs(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	for _, id := range []string{"-", "a", "-b", "a-", "a-b-c", "}a{-b", "{}-{}", "a-}b", "\x00-\xff", "ä-ö",
		strings.Repeat("a", 300) + "-" + strings.Repeat("b", 300)} {
		if _, err := s.Get(ctx, id, now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get of %q: %v", id, err)
		}
		if err := s.Create(ctx, challenge(id, now), now); err != nil {
			t.Errorf("Create of %q: %v", id, err)
			continue
		}
		if r, err := s.Attempt(ctx, id, now); err != nil || r.ID != id || r.Attempts != 1 {
			t.Errorf("Attempt of %q: %+v, error %v", id, r, err)
		}
	}
	if _, err := s.Get(ctx, "", now); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of no ID: %v", err)
	}
}

// TestRealRedisNanoseconds: what Create is given comes back to the nanosecond,
// though the scripts reckon in microseconds.
func TestRealRedisNanoseconds(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	ctx, now := t.Context(), time.Unix(1_700_000_000, 123_456_789)
	r := challenge("aaa-1", now)
	r.Expires, r.Lock, r.Waits = now.Add(time.Minute+1), time.Hour+7,
		[]time.Duration{time.Second + 3, -5, math.MaxInt64}
	if err := s.Create(ctx, r, now); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, "aaa-1", now)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Created.Equal(now) || !got.Expires.Equal(r.Expires) || got.Lock != r.Lock ||
		fmt.Sprint(got.Waits) != fmt.Sprint(r.Waits) {
		t.Errorf("%+v, want %+v", got, r)
	}
	if !got.NextSend.Equal(r.NextSend) {
		t.Errorf("NextSend %v, and %v in the record of Create", got.NextSend, r.NextSend)
	}
	if _, err := s.Get(ctx, "aaa-1", r.Expires); !errors.Is(err, store.ErrExpired) {
		t.Errorf("Get at Expires: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	s := open(t, redisstore.Config{Client: client})
	now := time.Now()
	for word, edit := range map[string]func(*store.Record){
		"without ID":  func(r *store.Record) { r.ID = "" },
		"MaxAttempts": func(r *store.Record) { r.MaxAttempts = math.MaxUint32 + 1 },
		"MaxFailures": func(r *store.Record) { r.MaxFailures = -1 },
		"Waits":       func(r *store.Record) { r.Waits = make([]time.Duration, 1<<16) },
		"Expires":     func(r *store.Record) { r.Expires = time.Time{} },
		"Created":     func(r *store.Record) { r.Created = time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := challenge("aaa-1", now)
		edit(r)
		if err := s.Create(t.Context(), r, now); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := s.Finish(t.Context(), "aaa-1", store.Open, now); err == nil ||
		!strings.Contains(err.Error(), "Finish as open") {
		t.Errorf("Finish as Open: %v", err)
	}
}

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

func TestRealRedisCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		directives string
		want       []string
	}{
		"good":       {redistest.AOF, nil},
		"evicts":     {redistest.AOF + "\nmaxmemory-policy allkeys-lru", []string{"maxmemory-policy is allkeys-lru"}},
		"forgetful":  {"", []string{"no append-only file and no replica"}},
		"everything": {"maxmemory-policy volatile-ttl", []string{"maxmemory-policy is volatile-ttl", "append-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t, c.directives).Addr),
				Logger: slog.New(slog.NewTextHandler(&log, nil))})
			warnings, err := s.Check(t.Context())
			if err != nil || len(warnings) != len(c.want) {
				t.Fatalf("%q, error %v, want %q", warnings, err, c.want)
			}
			for i, w := range c.want {
				if !strings.Contains(warnings[i], w) || !strings.Contains(log.String(), w) {
					t.Errorf("%q, log %q, want %q", warnings[i], &log, w)
				}
			}
		})
	}
}

// TestRealRedisCheckRefused: who may not see the configuration is not warned.
func TestRealRedisCheckRefused(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t, "maxmemory-policy allkeys-lru").Addr
	command := []any{"ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-@dangerous"}
	if err := dial(t, addr).Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, Username: "app", Password: "any"})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	if warnings, err := s.Check(t.Context()); err != nil || len(warnings) != 0 {
		t.Errorf("%q, error %v", warnings, err)
	}
	now := time.Now()
	if err := s.Create(t.Context(), challenge("aaa-1", now), now); err != nil {
		t.Error(err)
	}
}

// TestRealRedisClusterCheck: a warning that several masters earn is given once.
func TestRealRedisClusterCheck(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, "maxmemory-policy allkeys-lru")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	if warnings, err := s.Check(t.Context()); err != nil || len(warnings) != 2 {
		t.Errorf("%q, error %v, want 2 warnings", warnings, err)
	}
	cluster.Servers[1].Kill()
	if _, err := s.Check(t.Context()); err == nil {
		t.Error("no error with a master down")
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

// TestRealRedisClusterGivesBack: what one slot granted is given back when
// another refuses, or its master is down.
func TestRealRedisClusterGivesBack(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, "cluster-require-full-coverage no")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: time.Second})
	ctx, now := t.Context(), time.Now()
	var limits []store.Limit
	for i := range 12 { // on every master some
		limits = append(limits, store.Limit{Key: fmt.Sprint("l", i), Most: 1, Per: time.Hour})
	}
	if d, err := s.Take(ctx, now, limits[0]); err != nil || !d.Allowed {
		t.Fatalf("%+v, error %v", d, err)
	}
	if d, err := s.Take(ctx, now, limits...); err != nil || d.Allowed || fmt.Sprint(d.Over) != "[0]" {
		t.Fatalf("%+v, error %v, want it refused with Over [0]", d, err)
	}
	cluster.Servers[0].Kill()
	if d, err := s.Take(ctx, now, limits[1:]...); err == nil || d.Allowed {
		t.Fatalf("%+v, error %v, want an error", d, err)
	}
	allowed := 0
	for _, l := range limits[1:] {
		d, err := s.Take(ctx, now, l)
		if err == nil && !d.Allowed {
			t.Errorf("%+v, want what was taken in vain given back", d)
		}
		if d.Allowed {
			allowed++
		}
	}
	if allowed == 0 || allowed == len(limits)-1 {
		t.Errorf("%d of %d limits are on masters that live", allowed, len(limits)-1)
	}
}
