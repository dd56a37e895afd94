package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisQueueLostReplies checks that a reply that is lost, after which the
// client asks again, costs no job; and no job that Run hands out comes twice.
func TestRealRedisQueueLostReplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	lossy := open(t, redisstore.Config{Client: dial(t, proxy.Addr), Prefix: direct.prefix})
	queuetest.Add(t, lossy, store.Job{Challenge: "warm"}) // the script is there

	proxy.LoseReplies(1, "evalsha")
	queuetest.Add(t, lossy, store.Job{Challenge: "j"})
	if n := proxy.Lost(); n != 1 {
		t.Fatalf("%d replies were lost, want 1", n)
	}
	queuetest.AwaitStats(t, direct, "j, perhaps twice", func(st store.Stats) bool {
		st.Oldest = 0
		return st == store.Stats{Normal: 2} || st == store.Stats{Normal: 3}
	})
	proxy.LoseReplies(1, "evalsha")
	queuetest.Add(t, lossy, store.Job{Challenge: "later", NotBefore: time.Now().Add(10 * time.Minute)})
	if st, err := direct.Stats(t.Context()); err != nil || st.Delayed != 1 || proxy.Lost() != 1 {
		t.Errorf("%+v, error %v; want later once", st, err)
	}

	// Of the replies that Run awaits, each is lost in its turn.
	jobs := make(chan store.Job, 1000)
	var mu sync.Mutex
	turns := map[string]int{}
	queuetest.Work(t, lossy, 4, func(_ context.Context, j store.Job) (again time.Time, err error) {
		mu.Lock()
		defer mu.Unlock()
		if turns[j.Challenge]++; turns[j.Challenge] == 1 && strings.HasPrefix(j.Challenge, "again") {
			again = time.Now().Add(10 * time.Millisecond)
		}
		jobs <- j
		return again, nil
	})
	proxy.LoseEvery(3, "evalsha")
	const n = 100
	want := map[string]int{"warm": 1, "j": 1}
	for i := range n {
		want[fmt.Sprint(i)], want[fmt.Sprint("again", i)] = 1, 2
		queuetest.Add(t, direct, store.Job{Challenge: fmt.Sprint(i)}, store.Job{Challenge: fmt.Sprint("again", i)})
	}
	seen := map[string]int{}
	for range 3*n + 2 {
		j := queuetest.Receive(t, jobs, queuetest.Patience, "a job")
		if seen[j.Challenge]++; seen[j.Challenge] > want[j.Challenge] && j.Challenge != "j" {
			t.Errorf("job %+v came %d times", j, seen[j.Challenge])
		}
	}
	proxy.LoseReplies(0)
	queuetest.AwaitStats(t, direct, "nothing but later", queuetest.Are(store.Stats{Delayed: 1}))
	for len(jobs) > 0 {
		if j := <-jobs; j.Challenge != "j" && seen[j.Challenge] >= want[j.Challenge] {
			t.Errorf("job %+v came once more", j)
		} else {
			seen[j.Challenge]++
		}
	}
	for challenge, n := range want {
		if seen[challenge] < n {
			t.Errorf("job %s came %d times, want %d", challenge, seen[challenge], n)
		}
	}
}

// TestRealRedisQueueRestart restarts a server with a log of all that it does,
// while jobs come and go: none is lost, and the log of Run stays short.
func TestRealRedisQueueRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AOF)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1}) // all the more is ours to mend
	t.Cleanup(func() { client.Close() })
	var log lines
	s := open(t, redisstore.Config{Client: client, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const n = 2000
	var mu sync.Mutex
	seen := map[string]int{}
	handled := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	stop := queuetest.Work(t, s, 8, func(_ context.Context, j store.Job) (time.Time, error) {
		<-time.After(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		seen[j.Challenge]++
		return time.Time{}, nil
	})
	var adding sync.WaitGroup
	for w := range 4 {
		adding.Go(func() {
			for i := range n / 4 {
				j := store.Job{Challenge: fmt.Sprint(w, "/", i), Expires: time.Now().Add(time.Hour)}
				end := time.Now().Add(queuetest.Patience)
				for s.Enqueue(t.Context(), j) != nil && time.Now().Before(end) {
					<-time.After(10 * time.Millisecond)
				}
			}
		})
	}
	for _, part := range []int{n / 4, n / 2} {
		for end := time.Now().Add(queuetest.Patience); handled() < part && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		server.Kill()
		<-time.After(100 * time.Millisecond)
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	adding.Wait()
	queuetest.AwaitStats(t, s, "nothing", queuetest.Nothing)
	stop()
	again := 0
	for _, times := range seen {
		again += times - 1
	}
	if len(seen) != n || again > 64 {
		t.Errorf("%d jobs of %d were handled, %d of them again", len(seen), n, again)
	}
	t.Logf("%d handled again over two restarts; log:\n%s", again, log.String())
	if got := log.String(); strings.Count(got, "cannot be reached") < 1 || strings.Count(got, "\n") > 8 {
		t.Errorf("the log of two restarts:\n%s", got)
	}
}

// lines is a buffer that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestRealRedisQueueHeals: Run goes on if the server loses its scripts, its consumer
// groups or all its keys.
func TestRealRedisQueueHeals(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	jobs := make(chan store.Job, 10)
	queuetest.Work(t, s, 2, queuetest.Forward(jobs))
	for i, harm := range []func() error{
		func() error { return nil },
		func() error { return client.ScriptFlush(t.Context()).Err() },
		func() error { return client.XGroupDestroy(t.Context(), s.prefix+"{queue}normal", "jobs").Err() },
		func() error { return client.FlushAll(t.Context()).Err() },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		queuetest.Add(t, s, store.Job{Challenge: fmt.Sprint(i)})
		if j := queuetest.Receive(t, jobs, queuetest.Patience, "a job"); j.Challenge != fmt.Sprint(i) {
			t.Errorf("job %+v, want %d", j, i)
		}
		queuetest.AwaitStats(t, s, "nothing", queuetest.Nothing)
	}
}

// TestRealRedisQueueStalls checks that Run ends in the time that its doc states if
// the server does not answer.
func TestRealRedisQueueStalls(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: 500 * time.Millisecond})
	jobs, release := make(chan store.Job, 1), make(chan struct{})
	stop := queuetest.Work(t, s, 2, func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-release
		return time.Time{}, nil
	})
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	close(release)
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Run took %v to end, with a Timeout of 500ms", took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
}

// TestRealRedisQueueCrowd checks that no Enqueue takes longer than Timeout, however
// many there are at a server that does not answer, and that the server does not get
// their jobs when it is back.
func TestRealRedisQueueCrowd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 10 * time.Second, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: 500 * time.Millisecond})
	queuetest.Add(t, s, store.Job{Challenge: "warm"})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var crowd sync.WaitGroup
	began := time.Now()
	for i := range 2000 {
		crowd.Go(func() {
			j := store.Job{Challenge: fmt.Sprint(i), Expires: time.Now().Add(time.Hour)}
			if err := s.Enqueue(t.Context(), j); err == nil {
				t.Error("a job was added to a server that says nothing")
			}
		})
	}
	crowd.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("with a Timeout of 500ms the last returned after %v", took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	queuetest.AwaitStats(t, s, "an answer", func(store.Stats) bool { return true })
	queuetest.Add(t, s, store.Job{Challenge: "last"})
	if st, err := s.Stats(t.Context()); err != nil || st.Normal > 2+2*128 {
		t.Errorf("%+v, error %v: jobs were added that nobody waited for", st, err)
	}
}
