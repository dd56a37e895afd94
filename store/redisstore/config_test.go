package redisstore_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
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
		"Group":       func(r *store.Record) { r.Group = strings.Repeat("g", 17) },
		"Expires":     func(r *store.Record) { r.Expires = time.Time{} },
		"Created":     func(r *store.Record) { r.Created = time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := challenge("aaa-1", now)
		edit(r)
		if err := s.Create(t.Context(), r, now); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestCallsRefuse: what no server could do right does not reach it.
func TestCallsRefuse(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	for want, call := range map[string]func() error{
		"Finish as open": func() error {
			_, err := s.Finish(ctx, "aaa-1", store.Open, token(), now)
			return err
		},
		"the token is zero":  func() error { _, err := s.Attempt(ctx, "aaa-1", 0, now); return err },
		"the token is zero ": func() error { _, err := s.Finish(ctx, "aaa-1", store.Verified, 0, now); return err },
		"Group of 17 bytes": func() error {
			return s.CancelAll(ctx, "aaa", "s", strings.Repeat("g", 17), now.Add(time.Hour), now)
		},
		"bucket \"aaa-1\"": func() error { return s.CancelAll(ctx, "aaa-1", "s", "", now.Add(time.Hour), now) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
