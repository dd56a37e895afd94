package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

var sentinels = []error{store.ErrExists, store.ErrNotFound, store.ErrExpired, store.ErrClosed, store.ErrExhausted,
	store.ErrLocked, store.ErrTooSoon, store.ErrConflict, store.ErrFull}

// challenge returns a record with room for many attempts and resends.
func challenge(id string, now time.Time) *store.Record {
	return &store.Record{ID: id, Subject: "subject of " + id, Key: "k1", Salt: []byte("salt"),
		Sealed:  []byte(strings.Repeat("s", 120)),
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 1000, MaxFailures: 1000, Lock: time.Hour,
		Waits: make([]time.Duration, 100), Delivery: []byte("delivery")}
}

// lossy returns a store whose replies a proxy may lose, and one beside it that
// gets them all. The scripts that warm runs are there already.
func lossy(t *testing.T, warm func(s store.Store)) (*opened, *opened, *redistest.Proxy) {
	t.Helper()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	warm(direct)
	return open(t, redisstore.Config{Client: dial(t, proxy.Addr), Prefix: direct.prefix}), direct, proxy
}

// once loses the reply to what f asks for, and checks that one was lost.
func once(t *testing.T, proxy *redistest.Proxy, f func() error) {
	t.Helper()
	proxy.LoseReplies(1, "evalsha")
	if err := f(); err != nil {
		t.Fatalf("after a lost reply: %v", err)
	}
	if n := proxy.Lost(); n != 1 {
		t.Fatalf("%d replies were lost, want 1", n)
	}
}

// TestRealRedisLostReplies: the client asks again when a reply was lost, and is
// given the first answer. A wrong guess is charged once, a right code is
// accepted, and once.
func TestRealRedisLostReplies(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	everything := func(s store.Store) {
		_ = s.Create(ctx, challenge("aaa-warm", now), now)
		_, _ = s.Attempt(ctx, "aaa-warm", now)
		_, _ = s.Resend(ctx, "aaa-warm", now)
		_, _ = s.Update(ctx, "aaa-warm", 1, nil, now)
		_, _ = s.Finish(ctx, "aaa-warm", store.Cancelled, now)
	}
	s, direct, proxy := lossy(t, everything)
	once(t, proxy, func() error { return s.Create(ctx, challenge("aaa-1", now), now) })
	if err := s.Create(ctx, challenge("aaa-1", now), now); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create once more: %v, want ErrExists", err)
	}
	for n := 1; n <= 5; n++ {
		once(t, proxy, func() error {
			r, err := s.Attempt(ctx, "aaa-1", now)
			if err == nil && r.Attempts != n {
				t.Errorf("Attempt %d was charged %d", n, r.Attempts)
			}
			return err
		})
	}
	once(t, proxy, func() error { _, err := s.Resend(ctx, "aaa-1", now); return err })
	once(t, proxy, func() error { _, err := s.Update(ctx, "aaa-1", 1, []byte("new"), now); return err })
	r, err := direct.Get(ctx, "aaa-1", now)
	if err != nil || r.Attempts != 5 || r.Sends != 2 || r.Revision != 2 || string(r.Delivery) != "new" {
		t.Errorf("%+v, error %v", r, err)
	}
	once(t, proxy, func() error { _, err := s.Finish(ctx, "aaa-1", store.Verified, now); return err })
	if _, err := s.Finish(ctx, "aaa-1", store.Verified, now); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Finish once more: %v, want ErrClosed", err)
	}
}

// TestRealRedisLostCharges: of the charges to one subject, each third reply is
// lost, and the run of failures counts each once.
func TestRealRedisLostCharges(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, direct, proxy := lossy(t, func(s store.Store) {
		_ = s.Create(ctx, challenge("aaa-warm", now), now)
		_, _ = s.Attempt(ctx, "aaa-warm", now)
	})
	r := challenge("aaa-1", now)
	r.MaxFailures = 30
	if err := direct.Create(ctx, r, now); err != nil {
		t.Fatal(err)
	}
	proxy.LoseEvery(3, "evalsha")
	for n := 1; n <= 30; n++ {
		r, err := s.Attempt(ctx, "aaa-1", now)
		if err != nil || r.Attempts != n || r.LockedUntil.IsZero() != (n < 30) {
			t.Fatalf("Attempt %d: %+v, error %v", n, r, err)
		}
	}
	if n := proxy.Lost(); n < 10 {
		t.Errorf("%d replies were lost, want 10 or more", n)
	}
}

func TestRealRedisLostTakings(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	limits := []store.Limit{{Key: "a", Most: 3, Per: time.Hour}, {Key: "b", Most: 1000, Per: time.Hour},
		{Key: "c", Most: 1, Per: time.Hour, Shadow: true}}
	s, direct, proxy := lossy(t, func(s store.Store) {
		l := store.Limit{Key: "warm", Most: 1, Per: time.Second}
		_, _ = s.(*opened).Take(ctx, now, l)
		_ = s.(*opened).Give(ctx, now, l)
	})
	take := func(over ...int) func() error {
		return func() error {
			d, err := s.Take(ctx, now, limits...)
			if err == nil && (!d.Allowed || fmt.Sprint(d.Over) != fmt.Sprint(over)) {
				t.Errorf("%+v, want it allowed with Over %v", d, over)
			}
			return err
		}
	}
	once(t, proxy, take())
	once(t, proxy, take(2))
	once(t, proxy, func() error { return s.Give(ctx, now, limits...) })
	for want := 2; want > 0; want-- { // of 3, two were taken and one given back
		if d, err := direct.Take(ctx, now, limits[0]); err != nil || !d.Allowed {
			t.Fatalf("%+v, error %v, want %d left", d, err, want)
		}
	}
	if d, err := direct.Take(ctx, now, limits[0]); err != nil || d.Allowed {
		t.Errorf("%+v, error %v, want none left", d, err)
	}
	if d, err := direct.Take(ctx, now, store.Limit{Key: "b", Most: 2, Per: time.Hour}); err != nil || !d.Allowed {
		t.Errorf("the coarse log: %+v, error %v, want 1 of 2 taken", d, err)
	}
}

func TestRealRedisLostReceipts(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	until := now.Add(time.Hour)
	s, direct, proxy := lossy(t, func(s store.Store) {
		_, _ = s.(*opened).Match(ctx, "warm", nil, until, now)
		_, _ = s.(*opened).Track(ctx, "warm", "m", until, now)
	})
	once(t, proxy, func() error { _, err := s.Match(ctx, "r/1", []byte("sent"), until, now); return err })
	once(t, proxy, func() error {
		early, err := s.Track(ctx, "r/1", "m", until, now)
		if err == nil && (len(early) != 1 || string(early[0]) != "sent") {
			t.Errorf("Track returned %q", early)
		}
		return err
	})
	if m, err := direct.Match(ctx, "r/1", []byte("delivered"), until, now); m != "m" || err != nil {
		t.Errorf("Match: %q, %v", m, err)
	}
}

// TestRealRedisScriptFlush: scripts that the server has forgotten are sent.
func TestRealRedisScriptFlush(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	flush := func() {
		t.Helper()
		if err := client.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	if err := s.Create(ctx, challenge("aaa-1", now), now); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		flush()
		if r, err := s.Attempt(ctx, "aaa-1", now); err != nil || r.Attempts != n {
			t.Fatalf("%+v, error %v", r, err)
		}
	}
}

// TestRealRedisTogether: calls that go in one pipeline are each answered for
// themselves, though some of their scripts are not there and some of the
// replies are lost.
func TestRealRedisTogether(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, direct, proxy := lossy(t, func(store.Store) {})
	const challenges, each = 200, 6
	id := func(i int) string { return fmt.Sprintf("b%d-%d", i%7, i) }
	for i := range challenges {
		r := challenge(id(i), now)
		r.MaxAttempts = each - 1
		if err := direct.Create(ctx, r, now); err != nil {
			t.Fatal(err)
		}
	}
	proxy.LoseEvery(3, "evalsha")
	var charged, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range challenges * each {
		wg.Go(func() {
			switch r, err := s.Attempt(ctx, id(i%challenges), now); {
			case r == nil || r.ID != id(i%challenges):
				t.Errorf("%+v, error %v", r, err)
			case err == nil:
				charged.Add(1)
			case errors.Is(err, store.ErrExhausted):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if charged.Load() != challenges*(each-1) || refused.Load() != challenges {
		t.Errorf("%d charged, %d refused", charged.Load(), refused.Load())
	}
	if proxy.Lost() == 0 {
		t.Error("no reply was lost")
	}
}

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
		_, err := s.Attempt(ctx, "aaa-1", now)
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

// TestRealRedisDown: without a server every call fails, soon, and with none of
// the answers of a store.
func TestRealRedisDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redisstore.Config{Client: dial(t, server.Addr), Timeout: time.Second})
	server.Kill()
	ctx, now := t.Context(), time.Now()
	for name, call := range map[string]func() error{
		"Create":  func() error { return s.Create(ctx, challenge("aaa-1", now), now) },
		"Get":     func() error { _, err := s.Get(ctx, "aaa-1", now); return err },
		"Resend":  func() error { _, err := s.Resend(ctx, "aaa-1", now); return err },
		"Update":  func() error { _, err := s.Update(ctx, "aaa-1", 1, nil, now); return err },
		"Attempt": func() error { _, err := s.Attempt(ctx, "aaa-1", now); return err },
		"Finish":  func() error { _, err := s.Finish(ctx, "aaa-1", store.Verified, now); return err },
		"Take":    func() error { _, err := s.Take(ctx, now, store.Limit{Key: "a", Most: 1, Per: 1}); return err },
		"Give":    func() error { return s.Give(ctx, now, store.Limit{Key: "a", Most: 1, Per: time.Hour}) },
		"Track":   func() error { _, err := s.Track(ctx, "a", "m", now, now); return err },
		"Match":   func() error { _, err := s.Match(ctx, "a", nil, now.Add(time.Hour), now); return err },
		"Enqueue": func() error { return s.Enqueue(ctx, store.Job{ID: "j", Expires: now.Add(time.Hour)}) },
		"Stats":   func() error { _, err := s.Stats(ctx); return err },
		"Dead":    func() error { _, err := s.Dead(ctx, 1); return err },
		"Check":   func() error { _, err := s.Check(ctx); return err },
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
	if _, err := s.Attempt(ctx, "aaa-1", now); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, attempt := s.Attempt(ctx, "aaa-1", now)
	_, take := s.Take(ctx, now, store.Limit{Key: "a", Most: 1, Per: time.Hour})
	_, track := s.Track(ctx, "a", "m", now.Add(time.Hour), now)
	_, match := s.Match(ctx, "a", nil, now.Add(time.Hour), now)
	for i, err := range []error{s.Create(ctx, challenge("aaa-2", now), now), attempt, take, track, match} {
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("call %d: %v, want ErrFull", i, err)
		}
	}
	if r, err := s.Get(ctx, "aaa-1", now); err != nil || r.Attempts != 1 {
		t.Errorf("Get: %+v, error %v", r, err)
	}
	if r, err := s.Finish(ctx, "aaa-1", store.Verified, now); err != nil || r.Outcome != store.Verified {
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
	if _, err := s.Attempt(ctx, "aaa-locked", now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(ctx, "aaa-used", store.Verified, now); err != nil {
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
		_, err := s.Finish(ctx, "aaa-used", store.Verified, now)
		if errors.Is(err, store.ErrClosed) {
			break
		}
		if err == nil || time.Now().After(end) {
			t.Fatalf("Finish once more: %v, want ErrClosed", err)
		}
	}
	if _, err := s.Attempt(ctx, "aaa-locked", now); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Attempt: %v, want ErrLocked", err)
	}
}

// TestRealRedisLostMeanwhile: a call whose reply was lost gets the first answer
// also when others of its kind were answered before it asks again.
func TestRealRedisLostMeanwhile(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	patient := redis.NewClient(&redis.Options{Addr: proxy.Addr, MinRetryBackoff: 300 * time.Millisecond,
		MaxRetryBackoff: 300 * time.Millisecond})
	t.Cleanup(func() { patient.Close() })
	s := open(t, redisstore.Config{Client: patient, Prefix: direct.prefix})
	if err := errors.Join(direct.Create(ctx, challenge("aaa-1", now), now),
		s.Create(ctx, challenge("aaa-2", now), now)); err != nil {
		t.Fatal(err)
	}
	_, _ = direct.Attempt(ctx, "aaa-1", now) // the scripts are there
	_, _ = direct.Update(ctx, "aaa-1", 0, nil, now)
	meanwhile := func(counts func(*store.Record) bool, mine, others func()) {
		t.Helper()
		var done sync.WaitGroup
		proxy.LoseReplies(1, "evalsha")
		done.Go(mine)
		for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(time.Millisecond) {
			if r, err := direct.Get(ctx, "aaa-1", now); err == nil && counts(r) {
				break
			}
		}
		others()
		done.Wait()
	}
	meanwhile(func(r *store.Record) bool { return r.Attempts == 2 }, func() {
		if r, err := s.Attempt(ctx, "aaa-1", now); err != nil || r.Attempts != 9 {
			t.Errorf("Attempt: %+v, error %v; want 9 in all", r, err)
		}
	}, func() {
		for range 7 {
			_, _ = direct.Attempt(ctx, "aaa-1", now)
		}
	})
	meanwhile(func(r *store.Record) bool { return r.Revision == 2 }, func() {
		if r, err := s.Update(ctx, "aaa-1", 1, []byte("mine"), now); err != nil || r.Revision != 5 {
			t.Errorf("Update: %+v, error %v; want revision 5", r, err)
		}
	}, func() {
		for revision := range uint64(3) {
			if _, err := direct.Update(ctx, "aaa-1", 2+revision, []byte("theirs"), now); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestRealRedisLeftBehind: a call that goes on after it has returned does not
// look at what its caller has back.
func TestRealRedisLeftBehind(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	client := dial(t, server.Addr)
	direct := open(t, redisstore.Config{Client: client})
	patient := redis.NewClient(&redis.Options{Addr: proxy.Addr, MinRetryBackoff: 300 * time.Millisecond,
		MaxRetryBackoff: 300 * time.Millisecond})
	t.Cleanup(func() { patient.Close() })
	s := open(t, redisstore.Config{Client: patient, Prefix: direct.prefix})
	if err := direct.Create(ctx, challenge("aaa-1", now), now); err != nil {
		t.Fatal(err)
	}
	const given = "as given"
	delivery, receipt := []byte(given), []byte(given)
	for name, call := range map[string]func(context.Context) error{
		"Update": func(ctx context.Context) error { _, err := s.Update(ctx, "aaa-1", 0, delivery, now); return err },
		"Match": func(ctx context.Context) error {
			_, err := s.Match(ctx, "r/1", receipt, now.Add(time.Hour), now)
			return err
		},
	} {
		proxy.Down()
		within, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		if err := call(within); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want that its time is over", name, err)
		}
		cancel()
		proxy.Up()
	}
	copy(delivery, "changed ")
	copy(receipt, "changed ")
	var r *store.Record
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		// The challenge, and what is parked of one message.
		if r, _ = direct.Get(ctx, "aaa-1", now); r != nil && r.Revision == 1 && len(lives(client, s.prefix)) == 3 {
			break
		}
	}
	if r == nil || string(r.Delivery) != given {
		t.Errorf("%+v, want its Delivery %q", r, given)
	}
	early, err := direct.Track(ctx, "r/1", "m", now.Add(time.Hour), now)
	if err != nil || len(early) != 1 || string(early[0]) != given {
		t.Errorf("Track: %q, error %v; want %q", early, err, given)
	}
}
