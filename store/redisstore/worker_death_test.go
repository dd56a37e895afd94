package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// snatch takes the jobs that are due, as a worker that dies at once.
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
	stop := queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.Add(t, s, store.Job{Challenge: "first"}) // so that there is a group
	queuetest.Receive(t, jobs, queuetest.Patience, "the first job")
	queuetest.AwaitStats(t, s, "nothing", queuetest.Nothing)
	stop()

	queuetest.Add(t, s, store.Job{Challenge: "j"})
	if n := snatch(t, client, s); n != 1 {
		t.Fatalf("the dead worker took %d jobs, want 1", n)
	}
	died := time.Now()
	stop = queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	j := queuetest.Receive(t, jobs, queuetest.Patience, "the job of the dead worker")
	if took := time.Since(died); took > 5*time.Second || took < 3*time.Second {
		t.Errorf("it came %v after its worker had died, want 3 to 5 s", took)
	}
	if j.Challenge != "j" {
		t.Errorf("job %+v, want j", j)
	}
	stop()

	late := store.Job{Challenge: "late", Expires: time.Now().Add(2 * time.Second)}
	queuetest.Add(t, s, late, store.Job{Challenge: "poison"})
	snatch(t, client, s)
	stop = queuetest.Work(t, s, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		if j.Challenge == "poison" {
			return time.Time{}, errors.New("fails")
		}
		t.Errorf("job %+v came after it had expired", j)
		return time.Time{}, nil
	})
	queuetest.AwaitStats(t, s, "two dead letters", queuetest.Are(store.Stats{Dead: 2}))
	stop()
	dead, err := s.Dead(t.Context(), 10)
	if err != nil || len(dead) != 2 {
		t.Fatalf("dead letters %+v, error %v; want 2", dead, err)
	}
	for i, want := range []store.DeadLetter{
		{Job: store.Job{Challenge: "poison"}, Attempts: 2, Reason: store.Failed},
		{Job: store.Job{Challenge: "late"}, Attempts: 1, Reason: store.Late},
	} {
		if d := dead[i]; d.Job.Challenge != want.Job.Challenge || d.Reason != want.Reason ||
			d.Attempts != want.Attempts {
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
	queuetest.Work(t, s, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-release
		return time.Time{}, nil
	})
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	stream := s.prefix + "{queue}normal"
	if err := client.XGroupCreateConsumer(t.Context(), stream, "jobs", "dead").Err(); err != nil {
		t.Fatal(err)
	}
	var there []redis.XInfoConsumer
	var err error
	for end := time.Now().Add(queuetest.Patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if there, err = client.XInfoConsumers(t.Context(), stream, "jobs").Result(); err != nil || len(there) < 2 {
			break
		}
	}
	if err != nil || len(there) != 1 || there[0].Name == "dead" || there[0].Pending != 1 {
		t.Errorf("consumers %+v, error %v; want the one that has a job", there, err)
	}
	close(release)
	queuetest.AwaitStats(t, s, "a job done", queuetest.Nothing)
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
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	if err := client.XGroupCreate(t.Context(), s.prefix+"{queue}normal", "jobs", "0").Err(); err != nil {
		t.Fatal(err)
	}
	snatch(t, client, s)
	queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.AwaitStats(t, s, "a dead letter", queuetest.Are(store.Stats{Dead: 1}))
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
	slow := func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-time.After(6 * time.Second)
		return time.Time{}, nil
	}
	queuetest.Work(t, s, 1, slow)
	queuetest.Work(t, s, 1, slow)
	queuetest.Add(t, s, store.Job{Challenge: "slow"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	queuetest.AwaitStats(t, s, "a job done", queuetest.Nothing)
	if len(jobs) > 0 {
		t.Errorf("job %+v came while its worker was at it", <-jobs)
	}
}

// TestRealRedisQueueDrains checks that Run gives back at its end what it has
// not begun, keeps what runs meanwhile, and ends at once.
func TestRealRedisQueueDrains(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := dial(t, server.Addr)
	s := open(t, redisstore.Config{Client: client, Timeout: 10 * time.Second})
	queuetest.Add(t, s, store.Job{Challenge: "a"}, store.Job{Challenge: "b"},
		store.Job{Challenge: "c", Priority: store.High})
	if err := server.Pause(); err != nil { // so that ctx ends while Run fetches
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, 2, func(_ context.Context, j store.Job) (time.Time, error) {
			t.Errorf("job %+v was begun after the end", j)
			return time.Time{}, nil
		})
	}()
	<-time.After(100 * time.Millisecond)
	cancel()
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := queuetest.Receive(t, done, queuetest.Patience, "the end of Run"); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.High != 1 || st.Normal != 2 || st.Running != 0 {
		t.Errorf("Stats %+v, error %v; want all given back", st, err)
	}
	for _, stream := range []string{"high", "normal"} {
		waiting, err := client.XRange(t.Context(), s.prefix+"{queue}"+stream, "-", "+").Result()
		if err != nil || len(waiting) == 0 {
			t.Fatalf("%d jobs wait in %s, error %v", len(waiting), stream, err)
		}
		for _, m := range waiting {
			if _, attempts, err := redisstore.DecodeJob(m.Values["job"].(string)); err != nil || attempts != 0 {
				t.Errorf("a job given back counts %d attempts, error %v, want none", attempts, err)
			}
		}
	}
	jobs := make(chan store.Job, 10)
	stop := queuetest.Work(t, s, 2, queuetest.Forward(jobs))
	for range 3 {
		queuetest.Receive(t, jobs, queuetest.Patience, "a job given back")
	}
	queuetest.AwaitStats(t, s, "nothing", queuetest.Nothing)
	idle := time.Now() // Run waits for the wake key now
	stop()
	if took := time.Since(idle); took > 700*time.Millisecond {
		t.Errorf("an idle Run took %v to end", took)
	}
}
