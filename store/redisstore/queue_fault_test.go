package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// patience bounds how long a test waits for what has to come.
const patience = 30 * time.Second

type handler = func(context.Context, store.Job) error

// work runs s until the returned function is called, which waits for Run.
func work(t testing.TB, s store.Queue, workers int, handle handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, workers, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want context.Canceled", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// forward is a handler that succeeds.
func forward(c chan<- store.Job) handler {
	return func(_ context.Context, j store.Job) error {
		c <- j
		return nil
	}
}

func receive[T any](t testing.TB, c <-chan T, within time.Duration, what string) T {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("%s did not come within %v", what, within)
		panic("unreachable")
	}
}

func add(t testing.TB, s store.Queue, jobs ...store.Job) {
	t.Helper()
	for _, j := range jobs {
		if j.Expires.IsZero() {
			j.Expires = time.Now().Add(time.Hour)
		}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

// awaitStats waits until ok says that the stats are right.
func awaitStats(t testing.TB, s store.Inspector, what string, ok func(store.Stats) bool) {
	t.Helper()
	var st store.Stats
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if st, err = s.Stats(t.Context()); err == nil && ok(st) {
			return
		}
	}
	t.Fatalf("Stats %+v, error %v; want %s", st, err, what)
}

// snatch takes what is due as a worker that dies at once.
func snatch(t testing.TB, c *redis.Client, s *opened) int {
	t.Helper()
	got, err := c.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: "jobs", Consumer: "dead", Streams: []string{s.prefix + "{queue}normal", ">"}, Count: 100,
	}).Result()
	if err != nil {
		t.Fatal(err)
	}
	return len(got[0].Messages)
}

// TestRealRedisQueueReclaim checks what becomes of jobs whose worker died: they
// come to another within 5 s, and each death counts as an attempt.
func TestRealRedisQueueReclaim(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client, JobAttempts: 2})
	jobs := make(chan store.Job, 10)
	stop := work(t, s, 1, forward(jobs))
	add(t, s, store.Job{ID: "first"}) // so that there is a group
	receive(t, jobs, patience, "the first job")
	awaitStats(t, s, "nothing", func(st store.Stats) bool { return st == store.Stats{} })
	stop()

	add(t, s, store.Job{ID: "j", Challenge: "c", Step: 3})
	if n := snatch(t, client, s); n != 1 {
		t.Fatalf("the dead worker took %d jobs, want 1", n)
	}
	died := time.Now()
	stop = work(t, s, 1, forward(jobs))
	j := receive(t, jobs, patience, "the job of the dead worker")
	if took := time.Since(died); took > 5*time.Second || took < 3*time.Second {
		t.Errorf("it came %v after its worker had died, want 3 to 5 s", took)
	}
	if j.ID != "j" || j.Challenge != "c" || j.Step != 3 || j.Attempt != 2 {
		t.Errorf("job %+v, want j with Attempt 2", j)
	}
	stop()

	add(t, s, store.Job{ID: "late", Expires: time.Now().Add(2 * time.Second)}, store.Job{ID: "poison"})
	snatch(t, client, s)
	stop = work(t, s, 1, func(_ context.Context, j store.Job) error {
		if j.ID == "poison" {
			return errors.New("fails")
		}
		t.Errorf("job %+v came after it had expired", j)
		return nil
	})
	awaitStats(t, s, "two dead letters", func(st store.Stats) bool { return st == store.Stats{Dead: 2} })
	stop()
	dead, err := s.Dead(t.Context(), 10)
	if err != nil || len(dead) != 2 {
		t.Fatalf("dead letters %+v, error %v; want 2", dead, err)
	}
	for i, want := range []store.DeadLetter{
		{Job: store.Job{ID: "poison", Attempt: 2}, Reason: store.Failed},
		{Job: store.Job{ID: "late", Attempt: 1}, Reason: store.Late},
	} {
		if d := dead[i]; d.Job.ID != want.Job.ID || d.Reason != want.Reason || d.Job.Attempt != want.Job.Attempt {
			t.Errorf("dead letter %+v, want %+v", d, want)
		}
	}
}

// TestRealRedisQueueTidies checks that Run removes the consumers of processes that
// died, while it runs, and none that has a job.
func TestRealRedisQueueTidies(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	s.Tidy(time.Second, 2*time.Second)
	jobs, release := make(chan store.Job, 10), make(chan struct{})
	work(t, s, 1, func(_ context.Context, j store.Job) error {
		jobs <- j
		<-release
		return nil
	})
	add(t, s, store.Job{ID: "j"})
	receive(t, jobs, patience, "the job")
	stream := s.prefix + "{queue}normal"
	if err := client.XGroupCreateConsumer(t.Context(), stream, "jobs", "dead").Err(); err != nil {
		t.Fatal(err)
	}
	var there []redis.XInfoConsumer
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if there, err = client.XInfoConsumers(t.Context(), stream, "jobs").Result(); err != nil || len(there) < 2 {
			break
		}
	}
	if err != nil || len(there) != 1 || there[0].Name == "dead" || there[0].Pending != 1 {
		t.Errorf("consumers %+v, error %v; want the one that has a job", there, err)
	}
	close(release)
	awaitStats(t, s, "a job done", func(st store.Stats) bool { return st == store.Stats{} })
	if len(jobs) > 0 {
		t.Errorf("job %+v came once more", <-jobs)
	}
}

// TestRealRedisQueueLastDeath checks that a job whose last worker died is a
// dead letter, and is not handed out for ever.
func TestRealRedisQueueLastDeath(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client, JobAttempts: 1})
	jobs := make(chan store.Job, 10)
	add(t, s, store.Job{ID: "j"})
	if err := client.XGroupCreate(t.Context(), s.prefix+"{queue}normal", "jobs", "0").Err(); err != nil {
		t.Fatal(err)
	}
	snatch(t, client, s)
	work(t, s, 1, forward(jobs))
	awaitStats(t, s, "a dead letter", func(st store.Stats) bool { return st == store.Stats{Dead: 1} })
	if len(jobs) > 0 {
		t.Errorf("job %+v came once more", <-jobs)
	}
}

// TestRealRedisQueueHeartbeat checks that a job is with one worker as long as
// that works at it.
func TestRealRedisQueueHeartbeat(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	jobs := make(chan store.Job, 10)
	slow := func(_ context.Context, j store.Job) error {
		jobs <- j
		<-time.After(6 * time.Second)
		return nil
	}
	work(t, s, 1, slow)
	work(t, s, 1, slow)
	add(t, s, store.Job{ID: "slow"})
	receive(t, jobs, patience, "the job")
	awaitStats(t, s, "a job done", func(st store.Stats) bool { return st == store.Stats{} })
	if len(jobs) > 0 {
		t.Errorf("job %+v came while its worker was at it", <-jobs)
	}
}

// TestRealRedisQueueDrains checks that Run gives back at its end what it has
// not begun, keeps what runs meanwhile, and ends at once.
func TestRealRedisQueueDrains(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redisstore.Config{Client: dial(t, server.Addr), Timeout: 10 * time.Second})
	add(t, s, store.Job{ID: "a"}, store.Job{ID: "b"}, store.Job{ID: "c", Priority: store.High})
	if err := server.Pause(); err != nil { // so that ctx ends while Run fetches
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, 2, func(_ context.Context, j store.Job) error {
			t.Errorf("job %+v was begun after the end", j)
			return nil
		})
	}()
	<-time.After(100 * time.Millisecond)
	cancel()
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done, patience, "the end of Run"); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.High != 1 || st.Normal != 2 || st.Running != 0 {
		t.Errorf("Stats %+v, error %v; want all given back", st, err)
	}
	jobs := make(chan store.Job, 10)
	stop := work(t, s, 2, forward(jobs))
	for range 3 {
		if j := receive(t, jobs, patience, "a job given back"); j.Attempt != 1 {
			t.Errorf("job %+v, want Attempt 1", j)
		}
	}
	awaitStats(t, s, "nothing", func(st store.Stats) bool { return st == store.Stats{} })
	idle := time.Now() // Run waits for the bell now
	stop()
	if took := time.Since(idle); took > 700*time.Millisecond {
		t.Errorf("an idle Run took %v to end", took)
	}
}

func TestRealRedisQueueFull(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr), MaxJobs: 3})
	add(t, s, store.Job{ID: "a"}, store.Job{ID: "b", Priority: store.Low},
		store.Job{ID: "c", NotBefore: time.Now().Add(time.Minute)})
	more := store.Job{ID: "d", Expires: time.Now().Add(time.Hour)}
	if err := s.Enqueue(t.Context(), more); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Enqueue in a full queue: error %v, want ErrFull", err)
	}
	add(t, s, store.Job{ID: "a"}) // is known
	jobs := make(chan store.Job, 10)
	work(t, s, 1, forward(jobs))
	receive(t, jobs, patience, "a job")
	receive(t, jobs, patience, "a job")
	awaitStats(t, s, "room", func(st store.Stats) bool { return st == store.Stats{Delayed: 1} })
	add(t, s, more)
	if j := receive(t, jobs, patience, "the job that there had been no room for"); j.ID != "d" {
		t.Errorf("job %+v, want d", j)
	}
}

// TestRealRedisQueueSlowEnqueue checks that an ID stands for another job once the
// first has expired, however late the server was told of that.
func TestRealRedisQueueSlowEnqueue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redisstore.Config{Client: dial(t, server.Addr), Timeout: 10 * time.Second})
	add(t, s, store.Job{ID: "warm"})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, func() { _ = server.Resume() })
	expires := time.Now().Add(time.Second)
	add(t, s, store.Job{ID: "j", Expires: expires})
	<-time.After(time.Until(expires))
	add(t, s, store.Job{ID: "j"})
	if st, err := s.Stats(t.Context()); err != nil || st.Normal != 3 {
		t.Errorf("%+v, error %v; want 3 jobs", st, err)
	}
}

// TestRealRedisQueueLostReplies checks that a reply that is lost, after which
// the client asks again, costs no job and makes no second.
func TestRealRedisQueueLostReplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	direct := open(t, redisstore.Config{Client: dial(t, server.Addr)})
	lossy := open(t, redisstore.Config{Client: dial(t, proxy.Addr), Prefix: direct.prefix})
	add(t, lossy, store.Job{ID: "warm"}) // the script is there

	proxy.LoseReplies(1, "evalsha")
	add(t, lossy, store.Job{ID: "j"})
	if n := proxy.Lost(); n != 1 {
		t.Fatalf("%d replies were lost, want 1", n)
	}
	awaitStats(t, direct, "two jobs", func(st store.Stats) bool { st.Oldest = 0; return st == store.Stats{Normal: 2} })

	// Of the replies that Run awaits, each is lost in its turn.
	jobs := make(chan store.Job, 1000)
	work(t, lossy, 4, forward(jobs))
	proxy.LoseEvery(3, "evalsha")
	const n = 100
	for i := range n {
		add(t, direct, store.Job{ID: fmt.Sprint(i)})
	}
	seen := map[string]int{}
	for range n + 2 {
		j := receive(t, jobs, patience, "a job")
		if seen[j.ID]++; seen[j.ID] > 1 || j.Attempt != 1 {
			t.Errorf("job %+v came %d times", j, seen[j.ID])
		}
	}
	proxy.LoseReplies(0)
	awaitStats(t, direct, "nothing", func(st store.Stats) bool { return st == store.Stats{} })
	if len(jobs) > 0 {
		t.Errorf("%d jobs came twice", len(jobs))
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
	stop := work(t, s, 8, func(_ context.Context, j store.Job) error {
		<-time.After(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		seen[j.ID]++
		return nil
	})
	var adding sync.WaitGroup
	for w := range 4 {
		adding.Go(func() {
			for i := range n / 4 {
				j := store.Job{ID: fmt.Sprint(w, "/", i), Challenge: "c", Expires: time.Now().Add(time.Hour)}
				for end := time.Now().Add(patience); s.Enqueue(t.Context(), j) != nil && time.Now().Before(end); {
					<-time.After(10 * time.Millisecond)
				}
			}
		})
	}
	for _, part := range []int{n / 4, n / 2} {
		for end := time.Now().Add(patience); handled() < part && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		server.Kill()
		<-time.After(100 * time.Millisecond)
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	adding.Wait()
	awaitStats(t, s, "nothing", func(st store.Stats) bool { return st == store.Stats{} })
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

// TestRealRedisQueueHeals takes from under Run what it relies on.
func TestRealRedisQueueHeals(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	jobs := make(chan store.Job, 10)
	work(t, s, 2, forward(jobs))
	for i, harm := range []func() error{
		func() error { return nil },
		func() error { return client.ScriptFlush(t.Context()).Err() },
		func() error { return client.XGroupDestroy(t.Context(), s.prefix+"{queue}normal", "jobs").Err() },
		func() error { return client.FlushAll(t.Context()).Err() },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		add(t, s, store.Job{ID: fmt.Sprint(i)})
		if j := receive(t, jobs, patience, "a job"); j.ID != fmt.Sprint(i) {
			t.Errorf("job %+v, want %d", j, i)
		}
		awaitStats(t, s, "nothing", func(st store.Stats) bool { return st == store.Stats{} })
	}
}

// TestRealRedisQueueLives checks that, in any state of a job, each key has a life
// that ends a minute or more after it is needed.
func TestRealRedisQueueLives(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client, JobAttempts: 1})
	check := func(when string, want ...string) {
		t.Helper()
		all := lives(client, s.prefix)
		for key, d := range all {
			if d < time.Minute || d > 26*time.Hour {
				t.Errorf("%s: key %s lives for %v", when, key, d)
			}
		}
		for _, name := range want {
			if _, ok := all[s.prefix+"{queue}"+name]; !ok {
				t.Errorf("%s: there is no key %s: %v", when, name, all)
			}
		}
	}
	release := make(chan struct{})
	begun := make(chan store.Job, 10)
	add(t, s, store.Job{ID: "to-come", NotBefore: time.Now().Add(time.Minute)})
	soon := time.Now().Add(40 * time.Second)
	add(t, s, store.Job{ID: "short", NotBefore: soon.Add(-time.Second), Expires: soon})
	check("to come", "delayed", "wake", "id:short") // who watches the clock must know
	add(t, s, store.Job{ID: "due", Priority: store.Low})
	check("added", "delayed", "low", "wake", "id:due", "id:to-come")
	stop := work(t, s, 4, func(_ context.Context, j store.Job) error {
		begun <- j
		<-release
		return errors.New("fails")
	})
	receive(t, begun, patience, "the job")
	check("running", "low")
	close(release)
	awaitStats(t, s, "a dead letter", func(st store.Stats) bool { return st == store.Stats{Delayed: 2, Dead: 1} })
	stop()
	check("ended", "dead", "delayed")
}

// TestRealRedisQueueStalls checks that a server that says nothing does not keep
// Run for longer than it says.
func TestRealRedisQueueStalls(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: 500 * time.Millisecond})
	jobs, release := make(chan store.Job, 1), make(chan struct{})
	stop := work(t, s, 2, func(_ context.Context, j store.Job) error {
		jobs <- j
		<-release
		return nil
	})
	add(t, s, store.Job{ID: "j"})
	receive(t, jobs, patience, "the job")
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

// TestRealRedisQueueBacklog checks that a backlog which has expired is buried
// in parts: the server answers others in between.
func TestRealRedisQueueBacklog(t *testing.T) {
	t.Parallel()
	ctx, client := t.Context(), dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	const backlog = 5000
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range backlog { // as Enqueue would have, an hour ago
			job := redisstore.EncodeJob(store.Job{ID: strconv.Itoa(i), Challenge: "c", Expires: time.Now()}, 1)
			p.XAdd(ctx, &redis.XAddArgs{Stream: s.prefix + "{queue}normal", Values: []any{"job", job}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	add(t, s, store.Job{ID: "live"})
	jobs := make(chan store.Job, 10)
	work(t, s, 4, forward(jobs))
	if j := receive(t, jobs, patience, "the job behind the backlog"); j.ID != "live" {
		t.Errorf("job %+v", j)
	}
	awaitStats(t, s, "a thousand dead letters", func(st store.Stats) bool { return st == store.Stats{Dead: 1000} })
	info, err := client.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var scripts int
	for _, command := range []string{"cmdstat_eval", "cmdstat_evalsha"} {
		var n int
		_, _ = fmt.Sscanf(info["Commandstats"][command], "calls=%d", &n)
		scripts += n
	}
	if scripts < backlog/250 {
		t.Errorf("%d jobs were buried by %d scripts", backlog, scripts)
	}
}

// TestRealRedisQueueCrowd checks that nobody waits for longer than Timeout,
// however many add jobs to a server that says nothing, and that it is not told
// of their jobs when it is back.
func TestRealRedisQueueCrowd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 10 * time.Second, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: 500 * time.Millisecond})
	add(t, s, store.Job{ID: "warm"})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var crowd sync.WaitGroup
	began := time.Now()
	for i := range 2000 {
		crowd.Go(func() {
			j := store.Job{ID: fmt.Sprint(i), Expires: time.Now().Add(time.Hour)}
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
	awaitStats(t, s, "an answer", func(store.Stats) bool { return true })
	add(t, s, store.Job{ID: "last"})
	if st, err := s.Stats(t.Context()); err != nil || st.Normal > 2+2*128 {
		t.Errorf("%+v, error %v: jobs were added that nobody waited for", st, err)
	}
}
