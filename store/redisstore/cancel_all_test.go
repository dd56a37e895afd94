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

// TestRealRedisMarksEnd: CancelAll leaves one field with the subject's run of
// failures; what it remembers is as long as the groups that count, and goes when it is
// over.
func TestRealRedisMarksEnd(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	runs := s.prefix + "{aaa}f"
	length := func() int {
		t.Helper()
		all, err := client.HVals(ctx, runs).Result()
		if err != nil || len(all) > 1 {
			t.Fatalf("%d runs, error %v", len(all), err)
		}
		for _, v := range all {
			return len(v)
		}
		return 0
	}
	all := func(group string, until time.Duration) {
		t.Helper()
		if err := s.CancelAll(ctx, "aaa", "subject", group, now.Add(until), now); err != nil {
			t.Fatal(err)
		}
	}
	all("", -time.Second)
	if n := length(); n != 0 {
		t.Errorf("a call that is over left %d bytes", n)
	}
	all("g", time.Hour)
	one := length()
	all("g", time.Hour)
	if n := length(); n != one {
		t.Errorf("the same group twice: %d bytes, then %d", one, n)
	}
	all("h", 10*time.Minute)
	two := length()
	if lives := lives(client, s.prefix); len(lives) != 1 || lives[runs] < time.Hour+time.Minute {
		t.Errorf("keys %v, want the runs of failures, for an hour and a minute at least", lives)
	}
	now = now.Add(12 * time.Minute)
	r := challenge("aaa-1", now)
	r.Subject = "subject"
	if err := s.Create(ctx, r, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil {
		t.Fatal(err)
	}
	if n := length(); two <= one || n != one {
		t.Errorf("%d bytes of one mark, %d of two, %d when one is over", one, two, n)
	}
	if _, err := s.Finish(ctx, "aaa-1", store.Verified, token(), now); err != nil {
		t.Fatal(err)
	}
	if n := length(); n != one {
		t.Errorf("%d bytes when the run has ended, want the mark kept: %d", n, one)
	}
	now = now.Add(time.Hour)
	if err := s.Create(ctx, challengeOf("aaa-2", "subject", now), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(ctx, "aaa-2", store.Verified, token(), now); err != nil {
		t.Fatal(err)
	}
	if n := length(); n != 0 {
		t.Errorf("%d bytes when all is over and the run has ended, want no field", n)
	}
}

func challengeOf(id, subject string, now time.Time) *store.Record {
	r := challenge(id, now)
	r.Subject = subject
	return r
}

// TestRealRedisMarksKeepRun: CancelAll leaves the run of failures, and its lock, as
// they are; and a lock that a challenge's charge sets leaves the marks.
func TestRealRedisMarksKeepRun(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	ctx, now := t.Context(), time.Now()
	create := func(id string, at time.Time, failures int) {
		t.Helper()
		r := challengeOf(id, "subject", at)
		r.MaxFailures = failures
		if err := s.Create(ctx, r, at); err != nil {
			t.Fatal(err)
		}
	}
	create("aaa-1", now, 3)
	create("aaa-2", now, 3)
	later := now.Add(time.Second)
	for range 2 {
		if _, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CancelAll(ctx, "aaa", "subject", "", now.Add(time.Hour), later); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Attempt(ctx, "aaa-2", token(), later); !errors.Is(err, store.ErrClosed) ||
		r.Outcome != store.Cancelled {
		t.Fatalf("Attempt: %+v, error %v; want it cancelled", r, err)
	}
	create("aaa-3", later, 3)
	if r, err := s.Attempt(ctx, "aaa-3", token(), later); err != nil || r.LockedUntil.IsZero() {
		t.Errorf("Attempt: %+v, error %v; want the third failure to lock", r, err)
	}
	if r, err := s.Get(ctx, "aaa-2", later); err != nil || r.Outcome != store.Cancelled || r.LockedUntil.IsZero() {
		t.Errorf("Get: %+v, error %v; want it cancelled, and the subject locked", r, err)
	}
	if r, err := s.Finish(ctx, "aaa-3", store.Verified, token(), later); err != nil || !r.LockedUntil.IsZero() {
		t.Errorf("Finish: %+v, error %v; want the lock ended", r, err)
	}
	if r, err := s.Finish(ctx, "aaa-2", store.Verified, token(), later); !errors.Is(err, store.ErrClosed) ||
		r.Outcome != store.Cancelled {
		t.Errorf("Finish: %+v, error %v; want it cancelled", r, err)
	}
	if r, err := s.Update(ctx, "aaa-2", 0, []byte("more"), later); err != nil || r.Outcome != store.Cancelled {
		t.Errorf("Update: %+v, error %v; want it allowed on a cancelled challenge", r, err)
	}
}

// TestRealRedisMarksSwept: marks that are over make room for others of their bucket,
// and marks that count are not swept away.
func TestRealRedisMarksSwept(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	const each = 400
	create := challengeOf("aaa-1", "lasts", now)
	create.Expires = now.Add(time.Hour)
	if err := s.Create(ctx, create, now); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if err := s.CancelAll(ctx, "aaa", "lasts", "", now.Add(time.Hour), now); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		for i := range each {
			if err := s.CancelAll(ctx, "aaa", fmt.Sprint(round, "/", i), "", now.Add(time.Minute), now); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(3 * time.Minute)
	}
	n, err := client.HLen(ctx, s.prefix+"{aaa}f").Result()
	if err != nil || n < each || n > 3*each {
		t.Errorf("%d marks are kept of %d of which %d live, error %v", n, 5*each, each, err)
	}
	if r, err := s.Get(ctx, "aaa-1", now); err != nil || r.Outcome != store.Cancelled {
		t.Errorf("Get: %+v, error %v; want it cancelled", r, err)
	}
}
