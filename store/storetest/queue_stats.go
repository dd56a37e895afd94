package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func inspectorCases() []testCase[store.Queue] {
	return []testCase[store.Queue]{
		{"stats", "Stats counts jobs by what they are, and says how long the first has been due", stats},
		{"late", "a job that expires unhandled is a dead letter; one that never could be due is none", late},
		{"failures", "a job that has failed as often as it may, in any Runs, is a dead letter, and does not come again",
			failures},
		{"dead letters", "the newest 1000 dead letters are kept", deadLetters},
	}
}

// inspector returns w's queue as an Inspector, or nil: a Queue need not be one.
func inspector(w *workshop) store.Inspector {
	in, ok := w.Queue.(store.Inspector)
	if !ok {
		w.Logf("not a store.Inspector: nothing to test")
	}
	return in
}

// wantStats waits for want, apart from Oldest, and returns the last Stats.
func wantStats(w *workshop, in store.Inspector, want store.Stats) store.Stats {
	w.Helper()
	for {
		got, err := in.Stats(w.ctx)
		if err != nil {
			w.Fatalf("Stats: %v, and not what is wanted: %+v", err, want)
		}
		want.Oldest = got.Oldest
		if got == want {
			return got
		}
		timer := time.NewTimer(10 * time.Millisecond)
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			w.Fatalf("Stats %+v, want %+v", got, want)
		}
	}
}

func stats(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	in := inspector(w)
	if in == nil {
		return
	}
	if st := wantStats(w, in, store.Stats{}); st.Oldest != 0 {
		w.Errorf("Oldest is %v when no job is due", st.Oldest)
	}
	begin := time.Now()
	for _, p := range []store.Priority{store.High, store.Normal, store.Normal, store.Low, store.Low, store.Low} {
		w.enqueue(newJob(func(j *store.Job) { j.Priority = p }))
	}
	later := newJob(func(j *store.Job) { j.Priority, j.NotBefore = store.High, start().Add(time.Minute) })
	w.enqueue(later)
	st := wantStats(w, in, store.Stats{High: 1, Normal: 2, Low: 3, Delayed: 1})
	if longest := time.Since(begin) + time.Millisecond; st.Oldest > longest {
		w.Errorf("a job has been due for %v, which was added %v ago", st.Oldest, longest)
	}
	w.pause(time.Now().Add(300 * time.Millisecond))
	if st := wantStats(w, in, st); st.Oldest < 200*time.Millisecond {
		w.Errorf("a job has been due for %v, which was added more than 300ms ago", st.Oldest)
	}

	release, begun := make(chan struct{}), make(chan struct{}, 10)
	stop := w.run(2, func(context.Context, store.Job) (time.Time, error) {
		begun <- struct{}{}
		<-release
		return done, nil
	})
	defer stop()
	proceed := sync.OnceFunc(func() { close(release) })
	defer proceed()
	receive(w, begun, "a job")
	receive(w, begun, "a second job")
	st = wantStats(w, in, store.Stats{Normal: 1, Low: 3, Delayed: 1, Running: 2})
	if st.Oldest < 200*time.Millisecond {
		w.Errorf("a job that waits has been due for %v, and was added more than 300ms ago", st.Oldest)
	}
	proceed()
	if st := wantStats(w, in, store.Stats{Delayed: 1}); st.Oldest != 0 {
		w.Errorf("Oldest is %v when no job is due", st.Oldest)
	}
}

// wantDead waits until there are dead letters like want, of jobs in this order, the
// newest first, and checks them.
func wantDead(w *workshop, in store.Inspector, begin time.Time, like store.DeadLetter, jobs ...store.Job) {
	w.Helper()
	wantStats(w, in, store.Stats{Dead: len(jobs)})
	dead, err := in.Dead(w.ctx, 10)
	if err != nil || len(dead) != len(jobs) {
		w.Fatalf("dead letters %+v, error %v; want %d", dead, err, len(jobs))
	}
	for i, d := range dead {
		w.is(d.Job, jobs[i])
		if d.Reason != like.Reason || d.Attempts != like.Attempts {
			w.Errorf("dead letter after %d attempts, %v; want %d, %v", d.Attempts, d.Reason, like.Attempts, like.Reason)
		}
		if d.At.Before(begin.Add(-time.Millisecond)) || time.Until(d.At) > time.Second {
			w.Errorf("dead letter of %v, want one of between %v and now", d.At, begin)
		}
	}
	if dead, err = in.Dead(w.ctx, 1); err != nil || len(dead) != 1 || dead[0].Job.Challenge != jobs[0].Challenge {
		w.Errorf("dead letters %+v, error %v; want only the newest", dead, err)
	}
}

func late(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	in := inspector(w)
	if in == nil {
		return
	}
	begin := start()
	soon := begin.Add(200 * time.Millisecond)
	older := newJob(func(j *store.Job) { j.Priority, j.Expires = store.High, soon })
	never := newJob(func(j *store.Job) { j.Expires, j.NotBefore = soon, soon })
	w.enqueue(older, never)
	w.pause(soon.Add(20 * time.Millisecond))
	wantNone(w)
	wantStats(w, in, store.Stats{Dead: 1})

	soon = start().Add(200 * time.Millisecond)
	newer := newJob(func(j *store.Job) { j.Priority, j.Expires = store.Low, soon })
	w.enqueue(newer)
	w.pause(soon.Add(20 * time.Millisecond))
	wantNone(w)
	wantDead(w, in, begin, store.DeadLetter{Reason: store.Late}, newer, older)
}

// failures goes on until a dead letter comes, however many attempts a job has.
func failures(t tester, q store.Queue) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	w := &workshop{t, q, ctx}
	in := inspector(w)
	if in == nil {
		return
	}
	begin := start()
	fail := func(int) (time.Time, error) { return done, errJob }
	before, stop := w.visits(fail)
	j := newJob()
	w.enqueue(j)
	wantStats(w, in, store.Stats{Delayed: 1}) // it has failed once
	stop()
	visits, stop := w.visits(fail)
	defer stop()
	wantStats(w, in, store.Stats{Dead: 1})
	attempts := len(before) + len(visits)
	wantDead(w, in, begin, store.DeadLetter{Reason: store.Failed, Attempts: attempts}, j)
	w.pause(time.Now().Add(100 * time.Millisecond))
	if wantStats(w, in, store.Stats{Dead: 1}); len(before)+len(visits) != attempts {
		w.Errorf("a job that had failed for good came again")
	}
}

func deadLetters(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	in := inspector(w)
	if in == nil {
		return
	}
	const kept, adders = 1000, 8
	soon := start().Add(8 * time.Second) // all are added by then
	parallel(adders, func(int) {
		for range kept / adders {
			if err := w.Enqueue(w.ctx, newJob(func(j *store.Job) { j.Expires = soon })); err != nil {
				w.Errorf("Enqueue: %v", err)
			}
		}
	})
	w.pause(soon.Add(20 * time.Millisecond))
	wantNone(w)
	wantStats(w, in, store.Stats{Dead: kept})
	dead, err := in.Dead(w.ctx, 2*kept)
	if err != nil || len(dead) != kept {
		w.Fatalf("%d dead letters, error %v, want %d", len(dead), err, kept)
	}
	seen := map[string]bool{}
	for _, d := range dead {
		seen[d.Job.Challenge] = true
	}
	if len(seen) != kept {
		w.Errorf("%d dead letters are of %d jobs", kept, len(seen))
	}
}
