package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// lossy returns a store whose replies a proxy may lose, and a store of the same
// server that gets all replies. The server has the scripts that warm runs.
func lossy(t *testing.T, warm func(s store.Store)) (*opened, *opened, *redistest.Proxy) {
	t.Helper()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	warm(direct)
	return open(t, redisstore.Config{Client: dial(t, proxy.Addr), Prefix: direct.prefix}), direct, proxy
}

// once loses the reply to the call that f makes, and checks that it was lost.
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

// TestRealRedisLostReplies: if a reply was lost, the client repeats the call and gets
// the first answer. A wrong guess is charged once, a right code is accepted, and once.
func TestRealRedisLostReplies(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	everything := func(s store.Store) {
		_ = s.Create(ctx, challenge("aaa-warm", now), now)
		_, _ = s.Attempt(ctx, "aaa-warm", token(), now)
		_, _ = s.Update(ctx, "aaa-warm", 0, nil, now)
		_, _ = s.Finish(ctx, "aaa-warm", store.Cancelled, token(), now)
		_, _ = s.Finish(ctx, "aaa-warm", store.Verified, token(), now)
		_ = s.CancelAll(ctx, "aaa", "none", "", now.Add(time.Hour), now)
	}
	s, direct, proxy := lossy(t, everything)
	once(t, proxy, func() error { return s.Create(ctx, challenge("aaa-1", now), now) })
	other := challenge("aaa-1", now)
	other.Salt = []byte("another salt")
	if err := s.Create(ctx, other, now); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create with another salt: %v, want ErrExists", err)
	}
	for n := 1; n <= 5; n++ {
		once(t, proxy, func() error {
			r, err := s.Attempt(ctx, "aaa-1", token(), now)
			if err == nil && r.Attempts != n {
				t.Errorf("Attempt %d was charged %d", n, r.Attempts)
			}
			return err
		})
	}
	once(t, proxy, func() error { _, err := s.Update(ctx, "aaa-1", 0, []byte("new"), now); return err })
	r, err := direct.Get(ctx, "aaa-1", now)
	if err != nil || r.Attempts != 5 || r.Revision != 1 || string(r.Delivery) != "new" {
		t.Errorf("%+v, error %v", r, err)
	}
	once(t, proxy, func() error { _, err := s.Finish(ctx, "aaa-1", store.Verified, token(), now); return err })
	if _, err := s.Finish(ctx, "aaa-1", store.Verified, token(), now); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Finish with another token: %v, want ErrClosed", err)
	}
	once(t, proxy, func() error {
		return s.CancelAll(ctx, "aaa", challenge("aaa-2", now).Subject, "", now.Add(time.Hour), now.Add(1))
	})
}

// TestRealRedisLostCharges: of the charges to one subject, each third reply is
// lost, and the run of failures counts each once.
func TestRealRedisLostCharges(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, direct, proxy := lossy(t, func(s store.Store) {
		_ = s.Create(ctx, challenge("aaa-warm", now), now)
		_, _ = s.Attempt(ctx, "aaa-warm", token(), now)
	})
	r := challenge("aaa-1", now)
	r.MaxFailures = 30
	if err := direct.Create(ctx, r, now); err != nil {
		t.Fatal(err)
	}
	proxy.LoseEvery(3, "evalsha")
	for n := 1; n <= 30; n++ {
		r, err := s.Attempt(ctx, "aaa-1", token(), now)
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
		_ = s.(*opened).Give(ctx, now, now, l)
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
	once(t, proxy, func() error { return s.Give(ctx, now, now, limits...) })
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

// TestRealRedisScriptFlush: a script that the server has forgotten is sent again.
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
		if r, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil || r.Attempts != n {
			t.Fatalf("%+v, error %v", r, err)
		}
	}
}

// TestRealRedisTogether: each call of a pipeline gets its own answer, also if the
// server lacks some scripts and some replies are lost.
//
// A long pipeline reaches the proxy in several reads. Its client repeats it often
// enough to get through: seven reads are more than one pipeline has.
func TestRealRedisTogether(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	patient := redis.NewClient(&redis.Options{Addr: proxy.Addr, MaxRetries: 30})
	t.Cleanup(func() { patient.Close() })
	s := open(t, redisstore.Config{Client: patient, Prefix: direct.prefix})
	const challenges, each = 200, 6
	id := func(i int) string { return fmt.Sprintf("b%d-%d", i%7, i) }
	for i := range challenges {
		r := challenge(id(i), now)
		r.MaxAttempts = each - 1
		if err := direct.Create(ctx, r, now); err != nil {
			t.Fatal(err)
		}
	}
	proxy.LoseEvery(7, "evalsha")
	var charged, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range challenges * each {
		wg.Go(func() {
			switch r, err := s.Attempt(ctx, id(i%challenges), token(), now); {
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
	_, _ = direct.Attempt(ctx, "aaa-1", token(), now) // the scripts are there
	_, _ = direct.Update(ctx, "aaa-1", 0, nil, now)
	meanwhile := func(counts func() bool, mine, others func()) {
		t.Helper()
		var done sync.WaitGroup
		proxy.LoseReplies(1, "evalsha")
		done.Go(mine)
		for end := time.Now().Add(queuetest.Patience); time.Now().Before(end) && !counts(); {
			<-time.After(time.Millisecond)
		}
		others()
		done.Wait()
	}
	record := func() *store.Record {
		r, err := direct.Get(ctx, "aaa-1", now)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	meanwhile(func() bool { return record().Attempts == 2 }, func() {
		if r, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil || r.Attempts != 2 {
			t.Errorf("Attempt: %+v, error %v; want it to be the second", r, err)
		}
	}, func() {
		for range 70 {
			_, _ = direct.Attempt(ctx, "aaa-1", token(), now)
		}
	})
	meanwhile(func() bool { return record().Revision == 2 }, func() {
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
	taken := func() (n int) {
		for ; n < 20; n++ {
			l := store.Limit{Key: "thing" + store.Of + "a", Most: n + 1, Per: time.Hour, Peek: true}
			if d, err := direct.Take(ctx, now, l); err != nil || d.Allowed {
				return n
			}
		}
		return n
	}
	limits := []store.Limit{{Key: "thing" + store.Of + "a", Most: 30, Per: time.Hour},
		{Key: "thing" + store.Of + "b", Most: 30, Per: 24 * time.Hour}}
	meanwhile(func() bool { return taken() == 1 }, func() {
		if d, err := s.Take(ctx, now, limits...); err != nil || !d.Allowed {
			t.Errorf("Take: %+v, error %v", d, err)
		}
	}, func() {
		for range 7 {
			if _, err := direct.Take(ctx, now, limits...); err != nil {
				t.Error(err)
			}
		}
	})
	if n := taken(); n != 8 {
		t.Errorf("eight calls have taken %d", n)
	}
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
	for end := time.Now().Add(queuetest.Patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
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
