package otp_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// backendVariable has newStore take Redis: "single address", "cluster
// address…" or "sentinel name address…"; or PostgreSQL: "postgres URL".
const backendVariable = "OTPCOURIER_TEST_BACKEND"

// storeless matches the tests that take long and do not use newStore. A rerun leaves them out.
var storeless = regexp.MustCompile(`^Test(EveryHistory|HistoriesOutside|RandomIsUnbiased|RandomHasADigit|Pages|` +
	`CanonicalDomains|Buckets)$`)

// newStore is where a test keeps everything: memstore, or where rerun says: on Redis or
// PostgreSQL.
//
// In a bubble of testing/synctest Redis works, since the store is told the
// time; but no time passes there while anyone waits for a server, and a queue
// always does. So the queue is memstore's then, and Sentinels are asked for the
// master, and not listened to.
func newStore(t testing.TB) backend {
	if top, _, _ := strings.Cut(t.Name(), "/"); storeless.MatchString(top) {
		t.Fatal("the test uses newStore: storeless must not match it")
	}
	inMemory := memstore.New(memstore.Config{})
	where := strings.Fields(os.Getenv(backendVariable))
	if len(where) == 0 {
		return inMemory
	}
	bubble := time.Now().Year() == 2000 // where a bubble's time begins
	if where[0] == "postgres" {
		return newPostgresStore(t, where[1], bubble, inMemory)
	}
	if bubble && where[0] == "sentinel" {
		where = []string{"single", masterOf(t, where)}
	}
	client, err := clientAt(where, bubble)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if bubble {
			time.Sleep(time.Second) // go-redis may be waiting to look at a cluster once more
		}
	})
	b, err := redisstore.New(redisstore.Config{Client: client, Prefix: rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	if bubble {
		return withQueue(b, inMemory)
	}
	return b
}

// withQueue returns s with the queue of another.
func withQueue(s interface {
	store.Store
	store.Forgetter
	store.Limiter
	store.Tracker
}, queue *memstore.Store) backend {
	if o, ok := s.(store.Opener); ok {
		return struct {
			store.Store
			store.Forgetter
			store.Opener
			store.Tracker
			store.Queue
			store.Inspector
		}{s, s, o, s, queue, queue}
	}
	return struct {
		store.Store
		store.Forgetter
		store.Limiter
		store.Tracker
		store.Queue
		store.Inspector
	}{s, s, s, s, queue, queue}
}

func masterOf(t testing.TB, where []string) string {
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: where[2]})
	defer sentinel.Close()
	master, err := sentinel.GetMasterAddrByName(t.Context(), where[1]).Result()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(master[0], master[1])
}

// clientAt connects to one server, a cluster, or what Sentinels watch. In a
// bubble it must wait neither before it tries again, which would cost virtual
// time, nor for one of few connections, since go-redis does so with timers that
// it takes from bubble to bubble.
func clientAt(where []string, bubble bool) (redis.UniversalClient, error) {
	pool, pause := 0, time.Duration(0)
	if bubble {
		pool, pause = 200, -1
	}
	switch {
	case len(where) == 2 && where[0] == "single":
		return redis.NewClient(&redis.Options{Addr: where[1], PoolSize: pool, MaxRetries: 6, MinRetryBackoff: pause,
			MaxRetryBackoff: pause}), nil
	case len(where) > 1 && where[0] == "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: where[1:], PoolSize: pool}), nil
	case len(where) > 2 && where[0] == "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: where[1], SentinelAddrs: where[2:]}), nil
	}
	return nil, fmt.Errorf("no backend %q", where)
}

// backendAt is Redis as a backend, under a prefix, or PostgreSQL, in a schema.
func backendAt(where []string, prefix string) (b backend, closeBackend func(), err error) {
	if where[0] == "postgres" {
		return postgresAt(where[1], schemaOf(prefix))
	}
	client, err := clientAt(where, false)
	if err != nil {
		return nil, nil, err
	}
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: prefix})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return s, func() { _ = client.Close() }, nil
}

// TestRealRedis runs the tests of this package once more, on Redis.
func TestRealRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rerun(t, scriptCalls(t, server.Addr), "single", server.Addr)
}

func TestRealRedisClusterRerun(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	rerun(t, scriptCalls(t, c.Addrs...), append([]string{"cluster"}, c.Addrs...)...)
}

// TestRealRedisLossy runs them over a network that loses every 20th reply.
func TestRealRedisLossy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	proxy.LoseEvery(20, "evalsha")
	rerun(t, scriptCalls(t, server.Addr), "single", proxy.Addr)
	if t.Logf("%d replies were lost", proxy.Lost()); proxy.Lost() < 20 {
		t.Error("there should be more")
	}
}

// TestRealSentinel runs them after a failover.
func TestRealSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	where := append([]string{"sentinel", s.Name}, s.Addrs...)
	s.Servers[0].Kill()
	client, err := clientAt(where, false)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for end := time.Now().Add(20 * time.Second); client.Set(t.Context(), "probe", 1, time.Minute).Err() != nil; {
		if time.Now().After(end) {
			t.Fatal("no failover")
		}
		time.Sleep(50 * time.Millisecond)
	}
	rerun(t, scriptCalls(t, s.Servers[1].Addr), where...)
}

// rerun runs the tests in a process of its own whose newStore is elsewhere,
// and looks at the servers there for signs of it: how many calls they have had.
func rerun(t *testing.T, calls func() int64, where ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test",
		"-test.skip=^TestReal|"+storeless.String(), "-test.v", "-test.timeout=12m")
	cmd.Env = append(os.Environ(), backendVariable+"="+strings.Join(where, " "))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("on %s: %v\n%s", where[0], err, failures(out))
	}
	n := calls()
	passed, skipped := bytes.Count(out, []byte("\n--- PASS: ")), bytes.Count(out, []byte("\n--- SKIP: "))
	t.Logf("on %s: %d tests passed, %d were skipped; the servers had %d calls", where[0], passed, skipped, n)
	if passed < 20 || n < 200 {
		t.Error("that is too little to be true")
	}
}

// failures leaves out of a test's output what passed.
func failures(out []byte) []byte {
	var left bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- PASS") {
			fmt.Fprintln(&left, line)
		}
	}
	return left.Bytes()
}

// scriptCalls tells how many scripts servers were asked to run.
func scriptCalls(t *testing.T, addrs ...string) func() int64 {
	return func() (calls int64) {
		for _, addr := range addrs {
			calls += scriptCallsAt(t, addr)
		}
		return calls
	}
}

func scriptCallsAt(t *testing.T, addr string) (calls int64) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	info, err := client.InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for name, stats := range info["Commandstats"] {
		var n int64
		if strings.HasPrefix(name, "cmdstat_eval") {
			if _, err := fmt.Sscanf(stats, "calls=%d", &n); err != nil {
				t.Fatal(err)
			}
		}
		calls += n
	}
	return calls
}
