package otp_test

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var (
	errDown    = errors.New("connection refused")
	errNoQueue = errors.New("no queue")
)

// faulty is a backend whose n-th call fails, or all of one name: before they are
// done, or after, so that only the answer is lost. It stands for one process's
// view of the backend.
type faulty struct {
	backend
	mu    sync.Mutex
	calls int
	fail  int  // the call that fails, from 1; 0: none
	also  int  // how many after it fail too
	after bool // only the answer is lost
	what  string

	opens bool // it is a store.Opener, too: see newRig

	down string            // the calls that fail, by name
	err  error             // what they fail with; default errDown
	pre  func(what string) // at the start of each
	done map[string]int    // how many calls of each name were done
	dead bool              // the process has died: each call ends its goroutine
	kill func()            // ends Work
	hook func(what string) // at the end of each
}

// hooks sets pre and hook while calls may be under way.
func (f *faulty) hooks(pre, hook func(what string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pre, f.hook = pre, hook
}

// failed returns which calls have failed by their number.
func (f *faulty) failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.what
}

// heal has no further call fail, and returns which did.
func (f *faulty) heal() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.down = 0, ""
	return f.what
}

func (f *faulty) setDown(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = what
}

// die is the death of the process: none of its calls begins or returns any more.
func (f *faulty) die() {
	f.mu.Lock()
	f.dead = true
	kill := f.kill
	f.mu.Unlock()
	if kill != nil {
		kill()
	}
}

// calledOf returns how many calls of that name were done.
func (f *faulty) calledOf(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done[what]
}

func (f *faulty) mourn() {
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

func (f *faulty) Run(ctx context.Context, workers int, handle store.Handler) error {
	f.mu.Lock()
	ctx, f.kill = context.WithCancel(ctx)
	f.mu.Unlock()
	return f.backend.Run(ctx, workers, handle)
}

func (f *faulty) call(what string, do func() error) error {
	f.mourn()
	defer f.mourn()
	f.mu.Lock()
	pre, hook := f.pre, f.hook
	f.mu.Unlock()
	if pre != nil {
		pre(what)
	}
	f.mu.Lock()
	f.calls++
	nth := f.fail > 0 && f.calls >= f.fail && f.calls <= f.fail+f.also
	if nth {
		f.what += what
	}
	fails := nth || what == f.down || f.down == "everything"
	err := cmp.Or(f.err, errDown)
	f.mu.Unlock()
	if hook != nil {
		defer hook(what)
	}
	if fails && !f.after {
		return err
	}
	done := do()
	f.mu.Lock()
	if f.done == nil {
		f.done = map[string]int{}
	}
	f.done[what]++
	f.mu.Unlock()
	if fails {
		return err
	}
	return done
}

func (f *faulty) record(what string, do func() (*store.Record, error)) (r *store.Record, err error) {
	failed := f.call(what, func() error { r, err = do(); return err })
	if failed != nil && !errors.Is(err, failed) { // ours, not the backend's
		return nil, failed
	}
	return r, failed
}

func (f *faulty) Create(ctx context.Context, r *store.Record, now time.Time) error {
	return f.call("Create", func() error { return f.backend.Create(ctx, r, now) })
}

func (f *faulty) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return f.record("Get", func() (*store.Record, error) { return f.backend.Get(ctx, id, now) })
}

func (f *faulty) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	return f.record("Attempt", func() (*store.Record, error) { return f.backend.Attempt(ctx, id, t, now) })
}

func (f *faulty) Finish(ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time) (*store.Record,
	error) {
	return f.record("Finish", func() (*store.Record, error) { return f.backend.Finish(ctx, id, o, t, now) })
}

func (f *faulty) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record,
	error) {
	return f.record("Update", func() (*store.Record, error) {
		return f.backend.Update(ctx, id, revision, delivery,
			now)
	})
}

func (f *faulty) CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error {
	return f.call("CancelAll", func() error { return f.backend.CancelAll(ctx, bucket, subject, group, until, now) })
}

func (f *faulty) Take(ctx context.Context, now time.Time, limits ...store.Limit) (d store.Decision, err error) {
	err = f.call("Take", func() error { d, err = f.backend.Take(ctx, now, limits...); return err })
	return d, err
}

func (f *faulty) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	return f.call("Give", func() error { return f.backend.Give(ctx, taken, now, limits...) })
}

func (f *faulty) Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error) {
	err = f.call("Track", func() error { early, err = f.backend.Track(ctx, key, message, expires, now); return err })
	return early, err
}

func (f *faulty) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string,
	err error) {
	err = f.call("Match", func() error { message, err = f.backend.Match(ctx, key, receipt, expires, now); return err })
	return message, err
}

func (f *faulty) Enqueue(ctx context.Context, j store.Job) error {
	return f.call("Enqueue", func() error { return f.backend.Enqueue(ctx, j) })
}
