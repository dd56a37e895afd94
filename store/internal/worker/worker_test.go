package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 300, time.UTC) // not in whole microseconds

// later returns the whole microsecond after now+d.
func later(d time.Duration) time.Time { return now.Add(d - 300 + time.Microsecond) }

func crewOf(attempts int, handle store.Handler) *Crew[int] {
	return NewCrew[int]("test", slog.New(slog.DiscardHandler), attempts, handle)
}

// TestResults: what becomes of a job, by how its handler ended.
func TestResults(t *testing.T) {
	t.Parallel()
	type result = Result[int]
	hour := now.Add(time.Hour)
	for name, c := range map[string]struct {
		again    time.Time
		failed   bool
		attempts int
		expires  time.Time
		want     result
	}{
		"done":            {time.Time{}, false, 1, hour, result{End: Done}},
		"in a minute":     {now.Add(time.Minute), false, 1, hour, result{End: Again, Due: later(time.Minute)}},
		"a minute ago":    {now.Add(-time.Minute), false, 1, hour, result{End: Again, Due: later(0)}},
		"at its end":      {hour, false, 1, hour, result{End: Done}},
		"after its end":   {hour.Add(time.Hour), false, 1, hour, result{End: Done}},
		"just before":     {hour.Add(-1000), false, 1, hour, result{End: Again, Due: later(time.Hour - 1000)}},
		"one failure":     {time.Time{}, true, 1, hour, result{End: Again, Due: later(time.Second), Attempts: 1}},
		"three":           {time.Time{}, true, 3, hour, result{End: Again, Due: later(4 * time.Second), Attempts: 3}},
		"eight":           {time.Time{}, true, 8, hour, result{End: Again, Due: later(32 * time.Second), Attempts: 8}},
		"the last":        {time.Time{}, true, 9, hour, result{End: Failed, Attempts: 9}},
		"the last, late":  {time.Time{}, true, 9, now, result{End: Failed, Attempts: 9}},
		"the last, again": {hour, true, 9, hour, result{End: Failed, Attempts: 9}},
		"too late":        {time.Time{}, true, 1, now.Add(time.Second), result{End: Late, Attempts: 1}},
		"late in pausing": {time.Time{}, true, 2, now.Add(time.Second), result{End: Late, Attempts: 2}},
	} {
		j := Job[int]{Job: store.Job{Expires: c.expires}, Hold: 4711, Form: "form", Attempts: c.attempts}
		got := crewOf(9, nil).result(j, c.again, c.failed, now)
		if got.End == Done || got.End == Late || got.End == Failed {
			got.Due = time.Time{}
		}
		c.want.Hold, c.want.Form = 4711, "form"
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestAttempts: a job that always fails is not given up before a code of 30 min has ended.
func TestAttempts(t *testing.T) {
	t.Parallel()
	var waited time.Duration
	for n := 1; n < Attempts; n++ {
		waited += Pause(n)
	}
	if waited != 31*time.Minute+27*time.Second {
		t.Errorf("%d attempts take %v", Attempts, waited)
	}
}

// TestCalls: Call tells the end of a handler once, also after a panic, and does not log the
// value of a panic.
func TestCalls(t *testing.T) {
	t.Parallel()
	type key struct{}
	over, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
	cancel()
	for name, c := range map[string]struct {
		handle store.Handler
		logged string
	}{
		"works":  {func(context.Context, store.Job) (time.Time, error) { return now, nil }, ""},
		"fails":  {func(context.Context, store.Job) (time.Time, error) { return now, errors.New("sad") }, "sad"},
		"panics": {func(context.Context, store.Job) (time.Time, error) { panic("123456") }, "panicked with a string"},
		"exits": {func(context.Context, store.Job) (time.Time, error) { runtime.Goexit(); return now, nil },
			"ended its goroutine"},
		"context": {func(ctx context.Context, _ store.Job) (time.Time, error) {
			if ctx.Err() != nil || ctx.Value(key{}) != 1 {
				return now, errors.New("the context has ended, or has no values")
			}
			return now, nil
		}, ""},
	} {
		var log strings.Builder
		var ends []bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			Call(over, slog.New(slog.NewTextHandler(&log, nil)), "test", c.handle, store.Job{Challenge: "c"}, 3,
				func(_ time.Time, failed bool) { ends = append(ends, failed) })
		}()
		<-done
		if !slices.Equal(ends, []bool{c.logged != ""}) || !strings.Contains(log.String(), c.logged) ||
			(log.Len() > 0) != (c.logged != "") || strings.Contains(log.String(), "123456") {
			t.Errorf("%s: told %v, log %q", name, ends, &log)
		}
	}
}

// TestCrew: jobs begin until ctx ends, later ones go back, and each result is recorded
// once, after failures of the server, too.
func TestCrew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		c := crewOf(9, func(context.Context, store.Job) (time.Time, error) { <-release; return time.Time{}, nil })
		begin := func(h int) {
			c.Begin(ctx, Job[int]{Job: store.Job{Expires: time.Now().Add(time.Hour)}, Hold: h, Attempts: 5})
		}
		for h := range 3 {
			begin(h)
		}
		cancel()
		begin(3)
		c.Drop(4)
		var mu sync.Mutex
		var all []Result[int]
		recorded := func() []Result[int] { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
		fails := 2
		recording := make(chan struct{})
		go func() {
			defer close(recording)
			c.Record(t.Context(), t.Context(), 2, func(_ context.Context, batch []Result[int]) error {
				if fails > 0 {
					fails--
					return errors.New("the server is down")
				}
				if len(batch) > 2 {
					t.Errorf("%d results at a time", len(batch))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, batch...)
				return nil
			})
		}()
		synctest.Wait()
		if c.Running() != 3 || len(c.Held()) != 5 || len(recorded()) != 0 {
			t.Errorf("%d running, held %v, recorded %v", c.Running(), c.Held(), recorded())
		}
		<-time.After(time.Second)
		synctest.Wait()
		if got := recorded(); len(got) != 2 || got[0].End != Back || got[0].Attempts != 4 || got[1].End != Done {
			t.Errorf("recorded %+v, want the job that went back and the dropped one", got)
		}
		close(release)
		c.End()
		<-recording
		if len(recorded()) != 5 || c.Running() != 0 || len(c.Held()) != 0 {
			t.Errorf("%d running, held %v, recorded %+v", c.Running(), c.Held(), recorded())
		}
	})
}

// TestRecordGivesUp: if the server does not come back, Record returns when last ends.
func TestRecordGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		last, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		c := crewOf(9, nil)
		c.Drop(1)
		c.End()
		began, tries := time.Now(), 0
		c.Record(t.Context(), last, 2, func(context.Context, []Result[int]) error {
			tries++
			return errors.New("the server is down")
		})
		if took := time.Since(began); took != 3*time.Second || tries < 5 || len(c.Held()) != 1 {
			t.Errorf("%d tries in %v, held %v", tries, took, c.Held())
		}
	})
}

// TestLink: the first failure and the last success are logged, once each, and the pauses
// grow to a second.
func TestLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		l := Link{name: "test", logger: slog.New(slog.NewTextHandler(&log, nil))}
		l.Works(t.Context(), Fetching)
		began := time.Now()
		for range 8 {
			if !l.Failed(t.Context(), Fetching, errors.New("down"), nil) {
				t.Error("Failed: false")
			}
			l.Failed(t.Context(), Beating, errors.New("down"), nil)
		}
		if took := time.Since(began); took != 2*(20+40+80+160+320+640+1000+1000)*time.Millisecond {
			t.Errorf("16 pauses took %v", took)
		}
		l.Works(t.Context(), Fetching)
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines:\n%s", lines, &log)
		}
		l.Works(t.Context(), Beating)
		l.Works(t.Context(), Beating)
		if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "reached again") {
			t.Errorf("%d lines:\n%s", lines, &log)
		}
		stop := make(chan struct{})
		close(stop)
		if l.Failed(t.Context(), Fetching, errors.New("down"), stop) {
			t.Error("Failed after stop: true")
		}
	})
}
