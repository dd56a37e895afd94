package failover_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// mayDie is a store that can be down.
type mayDie struct {
	failover.Shared
	mu   sync.Mutex
	down bool
}

func (d *mayDie) set(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *mayDie) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errors.New("down")
	}
	return nil
}

func (d *mayDie) Load(ctx context.Context, key string) ([]byte, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.Shared.Load(ctx, key)
}

func (d *mayDie) Swap(ctx context.Context, key string, old, new []byte) error {
	if err := d.err(); err != nil {
		return err
	}
	return d.Shared.Swap(ctx, key, old, new)
}

// runs runs a Learner until the test ends.
func runs(t *testing.T, l *failover.Learner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Each process learns from the messages of all, also one started later. A message sent by
// one process and verified at another is no loss. With a dead store, routes keep the given
// order.
func TestLearnShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := memstore.New(memstore.Config{})
		shared := &mayDie{Shared: mem}
		c := failover.Learning{Shared: shared, Explore: -1}
		one, two := newStudent(t, c), newStudent(t, c)
		runs(t, one.Learner)
		runs(t, two.Learner)
		synctest.Wait()
		for range 60 { // sent by one, verified by two
			m := one.message("+44")
			sub, err := one.send.Send(context.Background(), m)
			if err != nil {
				t.Fatal(err)
			}
			sent := time.Now()
			time.Sleep(20 * time.Second)
			two.Observe(channel.Feedback{Kind: channel.FeedbackVerified, Route: sub.Route, To: m.To, Sent: sent})
		}
		if a, b := one.order(t, "+44"), two.order(t, "+44"); a != "a b c" || b != "a b c" {
			t.Fatalf("without a loss: %s, %s", a, b)
		}
		for range 30 {
			one.person(t, "+44", func(r string) bool { return r != "a" })
		}
		late := newStudent(t, c)
		if got := late.order(t, "+44"); got != "a b c" {
			t.Errorf("before it has read: %s", got)
		}
		stop := runs(t, late.Learner)
		synctest.Wait()
		for name, s := range map[string]*student{"one": one, "two": two, "late": late} {
			if got := s.order(t, "+44"); !strings.HasPrefix(got, "b") {
				t.Errorf("%s: by %s", name, got)
			}
		}
		stop()
		shared.set(true)
		time.Sleep(time.Minute)
		if got := two.order(t, "+44"); got != "a b c" {
			t.Errorf("with a dead store: %s", got)
		}
		for _, r := range two.Health().Routes {
			if !strings.Contains(r.Reason, "store") {
				t.Errorf("with a dead store: %+v", r)
			}
		}
		one.person(t, "+44", all)
		shared.set(false)
		time.Sleep(10 * time.Second)
		if got := two.order(t, "+44"); !strings.HasPrefix(got, "b") {
			t.Errorf("the store is back: by %s", got)
		}
	})
}

// A store that hangs holds up neither Route nor Observe.
func TestLearnStoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStudent(t, failover.Learning{Shared: hanging{}})
		runs(t, s.Learner)
		synctest.Wait()
		began := time.Now()
		for range 10 {
			m := s.message("+44")
			if _, err := s.send.Send(context.Background(), m); err != nil {
				t.Fatal(err)
			}
			s.Observe(channel.Feedback{Kind: channel.FeedbackVerified, Route: "a", To: m.To, Sent: time.Now()})
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

type hanging struct{}

func (hanging) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hanging) Swap(ctx context.Context, _ string, _, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

// Many processes that exchange at once lose nothing.
func TestLearnExchangesAtOnce(t *testing.T) {
	t.Parallel()
	exchangesAtOnce(t, memstore.New(memstore.Config{}))
}

// Two processes share evidence on a real Redis.
func TestRealRedisLearn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { client.Close() })
	s, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	exchangesAtOnce(t, s)
}

// exchangesAtOnce has four processes see 50 messages each, hand them over as they end,
// and a fifth read them at its start.
func exchangesAtOnce(t *testing.T, shared failover.Shared) {
	c := failover.Learning{Shared: shared, Explore: -1, Interval: time.Second}
	var wg sync.WaitGroup
	for i := range 4 {
		s := newStudent(t, c)
		stop := runs(t, s.Learner)
		wg.Go(func() {
			to := channel.Recipient{Phone: "+447912345678"}
			if i%2 == 1 {
				to.Phone = "+33612345678"
			}
			for range 50 {
				s.Observe(channel.Feedback{Kind: channel.FeedbackSent, Route: "a", To: to, Sent: time.Now()})
			}
			stop()
		})
	}
	wg.Wait()
	late := newStudent(t, c)
	stop := runs(t, late.Learner)
	stop() // exchanges as it starts, and as it ends
	got := map[string]float64{}
	for _, r := range late.Health().Routes {
		if r.Route == "a" {
			got[r.Region] = r.Evidence
		}
	}
	if got["GB"] != 100 || got["FR"] != 100 || got["*"] != 200 {
		t.Errorf("messages by region: %v, want 100, 100 and 200 in all", got)
	}
}
