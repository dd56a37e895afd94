package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func TestRealRedisQueueFull(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr), MaxJobs: 3})
	queuetest.Add(t, s, store.Job{Challenge: "a"}, store.Job{Challenge: "b", Priority: store.Low},
		store.Job{Challenge: "c", NotBefore: time.Now().Add(time.Minute)})
	more := store.Job{Challenge: "d", Expires: time.Now().Add(time.Hour)}
	if err := s.Enqueue(t.Context(), more); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Enqueue in a full queue: error %v, want ErrFull", err)
	}
	jobs := make(chan store.Job, 10)
	queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.Receive(t, jobs, queuetest.Patience, "a job")
	queuetest.Receive(t, jobs, queuetest.Patience, "a job")
	queuetest.AwaitStats(t, s, "room", queuetest.Are(store.Stats{Delayed: 1}))
	queuetest.Add(t, s, more)
	if j := queuetest.Receive(t, jobs, queuetest.Patience, "the job that had no room"); j.Challenge != "d" {
		t.Errorf("job %+v, want d", j)
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
	queuetest.Add(t, s, store.Job{Challenge: "to-come", NotBefore: time.Now().Add(time.Minute)})
	soon := time.Now().Add(40 * time.Second)
	queuetest.Add(t, s, store.Job{Challenge: "short", NotBefore: soon.Add(-time.Second), Expires: soon})
	check("to come", "delayed", "wake") // a Run that waits for the next due job must know
	queuetest.Add(t, s, store.Job{Challenge: "due", Priority: store.Low})
	check("added", "delayed", "low", "wake")
	stop := queuetest.Work(t, s, 4, func(_ context.Context, j store.Job) (time.Time, error) {
		begun <- j
		<-release
		return time.Time{}, errors.New("fails")
	})
	queuetest.Receive(t, begun, queuetest.Patience, "the job")
	check("running", "low")
	close(release)
	queuetest.AwaitStats(t, s, "a dead letter", queuetest.Are(store.Stats{Delayed: 2, Dead: 1}))
	stop()
	check("ended", "dead", "delayed")
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
			job := redisstore.EncodeJob(store.Job{Challenge: strconv.Itoa(i), Expires: time.Now()}, 1)
			p.XAdd(ctx, &redis.XAddArgs{Stream: s.prefix + "{queue}normal", Values: []any{"job", job}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	queuetest.Add(t, s, store.Job{Challenge: "live"})
	jobs := make(chan store.Job, 10)
	queuetest.Work(t, s, 4, queuetest.Forward(jobs))
	if j := queuetest.Receive(t, jobs, queuetest.Patience, "the job behind the backlog"); j.Challenge != "live" {
		t.Errorf("job %+v", j)
	}
	queuetest.AwaitStats(t, s, "a thousand dead letters", queuetest.Are(store.Stats{Dead: 1000}))
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
