package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func againCases() []testCase[store.Queue] {
	return []testCase[store.Queue]{
		{"again", "a job whose handler returns a time comes again then: not before, and each time", again},
		{"again holds up none", "a job that waits to come again holds up no other, and counts as delayed",
			againHoldsUpNone},
		{"again at once", "a job whose handler returns a time that has come is due at once", againAtOnce},
		{"again at the end", "a job whose handler returns a time while its Run ends is left to another Run",
			againAtEnd},
		{"again past Expires", "a time that is not before Expires ends the job, which is no dead letter",
			againPastExpires},
		{"again after failures",
			"a job that comes again by its handler's word has not failed yet: count and pause start anew",
			againAfterFailures},
		{"again with an error", "a time that comes with an error means nothing: the job has failed", againWithError},
	}
}

func again(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	due := make(chan time.Time, 10)
	visits, stop := w.visits(func(n int) (time.Time, error) {
		if n == 5 {
			return done, nil
		}
		at := time.Now().Add(time.Duration(n) * 50 * time.Millisecond)
		due <- at
		return at, nil
	})
	defer stop()
	j := newJob(func(j *store.Job) { j.Priority, j.NotBefore = store.High, start().Add(-time.Second) })
	w.enqueue(j)
	receive(w, visits, "the job")
	for n := 2; n <= 5; n++ {
		at := receive(w, due, "the handler's answer")
		v := receive(w, visits, fmt.Sprint("delivery ", n))
		if early := at.Sub(v.at); early > 0 {
			w.Errorf("a job came %v before the time that its handler had returned", early)
		}
		w.is(v.Job, j)
	}
	w.pause(time.Now().Add(200 * time.Millisecond))
	if len(visits) > 0 {
		w.Errorf("a job came again when it was done")
	}
}

func againHoldsUpNone(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	waiting := newJob(func(j *store.Job) { j.Priority = store.High })
	jobs := make(chan store.Job, 10)
	defer w.run(1, func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		if j.Challenge == waiting.Challenge {
			return time.Now().Add(10 * time.Minute), nil
		}
		return done, nil
	})()
	w.enqueue(waiting)
	w.is(receive(w, jobs, "the job that is to come again"), waiting)
	other := newJob()
	w.enqueue(other)
	w.is(receive(w, jobs, "another job"), other)
	if in := inspector(w); in != nil {
		wantStats(w, in, store.Stats{Delayed: 1})
	}
}

func againAtOnce(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	answers := []time.Time{time.Now(), start().Add(-time.Hour), time.Unix(0, 0), time.Unix(-1e9, 0), done}
	visits, stop := w.visits(func(n int) (time.Time, error) { return answers[n-1], nil })
	defer stop()
	w.enqueue(newJob())
	for n := range answers {
		receive(w, visits, fmt.Sprint("delivery ", n+1))
	}
}

func againAtEnd(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	w.leftToAnother(func() (time.Time, error) { return time.Now().Add(50 * time.Millisecond), nil })
}

func againPastExpires(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	expires := start().Add(1500 * time.Millisecond)
	var visits atomic.Int64
	stop := w.run(1, func(context.Context, store.Job) (time.Time, error) {
		return expires.Add(time.Duration(visits.Add(1)-1) * 10 * time.Millisecond), nil // at Expires, and after
	})
	defer stop()
	for range 3 {
		w.enqueue(newJob(func(j *store.Job) { j.Expires = expires }))
	}
	w.pause(expires.Add(100 * time.Millisecond))
	if n := visits.Load(); n != 3 {
		w.Errorf("3 jobs came %d times, want once each", n)
	}
	if in := inspector(w); in != nil {
		wantStats(w, in, store.Stats{})
	}
}

// againAfterFailures compares a job that fails and then comes again with one that
// only fails.
func againAfterFailures(t tester, q store.Queue) {
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Minute)
	defer cancel()
	w := &workshop{t, q, ctx}
	failing, renewed := newJob(later(2*time.Hour)), newJob(later(2*time.Hour))
	visits := make(chan visit, 1000)
	var n atomic.Int64
	stop := w.run(1, func(_ context.Context, j store.Job) (time.Time, error) {
		if j.Challenge == failing.Challenge {
			return done, errJob
		}
		visits <- visit{j, time.Now()}
		if n.Add(1) == 3 {
			return time.Now(), nil
		}
		return done, errJob
	})
	defer stop()
	w.enqueue(failing, renewed)
	var v [6]visit
	for n := 1; n <= 5; n++ {
		v[n] = receive(w, visits, fmt.Sprint("delivery ", n))
	}
	if before, anew := v[3].after(v[2]), v[5].after(v[4]); anew >= before {
		w.Errorf("the pause is %v after a second failure, and %v after the first since a success; want it shorter",
			before, anew)
	}
	in := inspector(w)
	if in == nil {
		return
	}
	wantStats(w, in, store.Stats{Dead: 2})
	dead, err := in.Dead(w.ctx, 10)
	if err != nil || len(dead) != 2 {
		w.Fatalf("dead letters %+v, error %v; want 2", dead, err)
	}
	if dead[0].Job.Challenge != renewed.Challenge {
		dead[0], dead[1] = dead[1], dead[0]
	}
	may := dead[1].Attempts
	if got := len(visits) + 2; got != may || dead[0].Attempts != may {
		w.Errorf("after a success a job failed %d times, and its letter says %d; want %d, as of one that only failed",
			got, dead[0].Attempts, may)
	}
}

func later(d time.Duration) func(*store.Job) {
	return func(j *store.Job) { j.Expires = start().Add(d) }
}

func againWithError(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	visits, stop := w.visits(func(n int) (time.Time, error) {
		switch n {
		case 1:
			return time.Now().Add(30 * time.Minute), errJob // comes sooner
		case 2:
			return time.Now(), errJob // comes later
		}
		return done, nil
	})
	defer stop()
	w.enqueue(newJob())
	var v [4]visit
	for n := 1; n <= 3; n++ {
		v[n] = receive(w, visits, fmt.Sprint("delivery ", n))
	}
	if first, second := v[2].after(v[1]), v[3].after(v[2]); first <= 0 || second <= first {
		w.Errorf("pauses %v and %v, want them to grow", first, second)
	}
}
