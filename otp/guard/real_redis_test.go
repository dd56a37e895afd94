package guard_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// brief returns the part of a trace that a test against a real server has time
// for: the first attempts of the attack, and the people meanwhile and an hour
// before.
func brief(trace []guardtest.Attempt, most int) []guardtest.Attempt {
	first, n := 0, 0
	for first < len(trace) && trace[first].Label == guardtest.Legit {
		first++
	}
	var out []guardtest.Attempt
	for i, a := range trace {
		if a.Label != guardtest.Legit {
			n++
		}
		if n > most {
			break
		}
		if i >= first-300 {
			out = append(out, a)
		}
	}
	return out
}

// wantEqualReports replays attacks against memstore and l, and compares who was
// sent what, who was refused, and by which rule.
func wantEqualReports(t *testing.T, l store.Limiter, attempts int) {
	t.Helper()
	for _, s := range attacks() {
		trace := brief(s.trace, attempts)
		var reports [2]map[string]*guardtest.Tally
		var rules [2]map[string]int
		for i, l := range []store.Limiter{memstore.New(memstore.Config{}), l} {
			g := newGuard(t, l, s.Scenario, func(c *guard.Config) { c.Index = []byte(s.Name + string(index)) })
			u := &guardtest.Under{Guard: g, Limiter: prefixed{l, s.Name}, Rules: map[string]int{}}
			reports[i], rules[i] = guardtest.Replay(trace, u), u.Rules
			if u.Err != nil {
				t.Fatal(u.Err)
			}
		}
		if diff := cmp.Diff(reports[0], reports[1], cmp.AllowUnexported(guardtest.Tally{})); diff != "" {
			t.Errorf("%s: reports differ (-memstore +redisstore):\n%s", s.Name, diff)
		}
		if diff := cmp.Diff(rules[0], rules[1]); diff != "" {
			t.Errorf("%s: rules differ (-memstore +redisstore):\n%s", s.Name, diff)
		}
	}
}

// TestRealRedisReports: Redis refuses the same messages by the same rules as
// memstore. `go -C .bench run ./guard -redis` replays whole traces.
func TestRealRedisReports(t *testing.T) {
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	l, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	wantEqualReports(t, l, 600)
}

// TestRealRedisClusterReports: a Cluster, too.
func TestRealRedisClusterReports(t *testing.T) {
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	l, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	wantEqualReports(t, l, 120)
}
