package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// recorded returns the calls that f makes of a Store.
func recorded(f func(s *Store)) (calls []call) {
	s := &Store{prefix: "otp:", calls: &batcher[call, reply]{timeout: time.Second, maxBatch: 1, maxInFlight: 1}}
	s.calls.keepsDeadline, s.calls.send = true, func(_ context.Context, batch []*sent) {
		for _, r := range batch {
			calls = append(calls, r.query)
			r.reply(nil, errors.New("recorded"))
		}
	}
	f(s)
	return calls
}

// send sends calls in one batch and returns their replies and errors.
func send(ctx context.Context, c Client, calls []call) (replies []string) {
	batch := make([]*sent, len(calls))
	for i, one := range calls {
		batch[i] = &sent{query: one}
	}
	(&Store{calls: callsOf(c)}).calls.send(ctx, batch)
	for _, r := range batch {
		replies = append(replies, fmt.Sprintf("%q %v", r.answer, r.err))
	}
	return replies
}

func callsOf(c Client) *batcher[call, reply] { return calls(c, 3*time.Second) }

// aRecord is a record of one of a few subjects.
func aRecord(id string, now time.Time, salt byte) *store.Record {
	return &store.Record{ID: id, Subject: "subject of " + id[len(id)-1:], Key: "k", Salt: []byte{salt},
		Sealed: []byte("sealed"), Created: now, Expires: now.Add(time.Minute), MaxAttempts: 3, MaxFailures: 2,
		Lock: time.Minute, Group: "g"}
}

// kinds are calls of every script that may be joined.
var kinds = []func(ctx context.Context, s *Store, id string, n int, now time.Time){
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_ = s.Create(ctx, aRecord(id, now, byte(n)), now)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Open(ctx, aRecord(id, now, byte(n)), now, limitsOf(id, n)...)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Take(ctx, now, limitsOf(id, n)...)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_ = s.Give(ctx, now, now, limitsOf(id, n)...)
	},
	func(ctx context.Context, s *Store, id string, _ int, now time.Time) { _, _ = s.Get(ctx, id, now) },
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Attempt(ctx, id, store.Token(n+1), now)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Update(ctx, id, uint64(n)%3, fmt.Append(nil, "delivery", n), now)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Finish(ctx, id, store.Verified, store.Token(n+1), now)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_, _ = s.Finish(ctx, id, store.Cancelled, store.Token(n+1), now)
	},
	func(ctx context.Context, s *Store, id string, n int, now time.Time) {
		_ = s.CancelAll(ctx, "a", "subject of "+id[len(id)-1:], "g"[n%2:], now.Add(time.Minute), now)
	},
	func(ctx context.Context, s *Store, id string, _ int, now time.Time) {
		_ = s.Forget(ctx, "a", "subject of "+id[len(id)-1:], now)
	},
}

// limitsOf are up to three limits of an address, which few takings use up.
func limitsOf(id string, n int) (limits []store.Limit) {
	for i := range 1 + n%3 {
		per := time.Minute << i
		limits = append(limits, store.Limit{Key: id + store.Of + per.String(), Most: 3 + 100*i, Per: per})
	}
	return limits
}

// TestRealRedisJoined: calls that one EVALSHA runs have the replies of calls that are sent
// one by one, and leave the same values.
func TestRealRedisJoined(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	alone, together := atServer(t).client.(*redis.Client), atServer(t).client.(*redis.Client)
	seen := map[string]bool{}
	for range 400 {
		kind := kinds[random.IntN(len(kinds))]
		at := now.Add(time.Duration(random.IntN(90)) * time.Second)
		all := recorded(func(s *Store) {
			for range 2 + random.IntN(2*maxJoined) {
				kind(ctx, s, fmt.Sprintf("a-%c", 'a'+random.IntN(12)), random.IntN(40), at)
			}
		})
		var want []string
		for _, c := range all {
			want = append(want, send(ctx, alone, []call{c})...)
		}
		got := send(ctx, together, all)
		if !slices.Equal(got, want) {
			t.Fatalf("replies\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, text := range got {
			seen[text[:min(len(text), 6)]] = true
		}
	}
	if a, b := values(ctx, t, alone), values(ctx, t, together); !maps.Equal(a, b) {
		t.Errorf("values %q\nwant %q", b, a)
	}
	if len(seen) < 8 {
		t.Errorf("replies of few kinds: %q", slices.Sorted(maps.Keys(seen)))
	}
}

// values returns all strings and hashes of a server by key.
func values(ctx context.Context, t *testing.T, c *redis.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		all[key] = c.Get(ctx, key).Val() + fmt.Sprint(c.HGetAll(ctx, key).Val())
	}
	if len(all) < 12 {
		t.Errorf("the server has %d keys", len(all))
	}
	return all
}

// TestRealRedisJoinedFaults: a call that fails does not fail the calls that were sent with
// it, a server without scripts gets them, and a full server does not run those that may
// fill it.
func TestRealRedisJoinedFaults(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	client := atServer(t).client.(*redis.Client)
	if err := client.Set(ctx, "otp:{a}cbad", "no record", 0).Err(); err != nil {
		t.Fatal(err)
	}
	all := recorded(func(s *Store) {
		for _, id := range []string{"a-1", "a-bad", "a-2"} {
			_ = s.Create(ctx, aRecord(id, now, 1), now)
		}
	})
	for _, what := range []string{"first", "again", "flushed"} {
		got := send(ctx, client, all)
		if strings.Contains(got[0]+got[2], "redisstore") || !strings.Contains(got[1], "data string too short") {
			t.Errorf("%s: %q", what, got)
		}
		if what == "again" {
			client.ScriptFlush(ctx)
		}
	}
	if err := client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, answer := range send(ctx, client, all) {
		if !strings.HasSuffix(answer, store.ErrFull.Error()) {
			t.Errorf("on a full server: %s", answer)
		}
	}
}

// TestGroups: calls of one script go together, up to maxJoined, but not those of many
// words.
func TestGroups(t *testing.T) {
	t.Parallel()
	script, other := newJoinedScript("#!lua\nreturn 1"), newJoinedScript("#!lua\nreturn 2")
	single := newScript("return 3")
	var batch []*sent
	add := func(n int, c call) {
		for range n {
			batch = append(batch, &sent{query: c})
		}
	}
	add(1, call{script: other})
	add(maxJoined+1, call{script: script})
	add(2, call{script: single})
	add(2, call{script: script, args: make([]any, maxWords+1)})
	add(2, call{script: other})
	for m, want := range map[manner][]int{
		{joined: true}: {3, maxJoined, 1, 1, 1, 1, 1}, {}: slices.Repeat([]int{1}, len(batch)),
	} {
		var got []int
		for _, g := range m.groups(batch) {
			got = append(got, len(g))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: groups of %d, want %d", m, got, want)
		}
	}
}
