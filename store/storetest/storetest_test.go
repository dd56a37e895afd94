package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNaive(t *testing.T) {
	Run(t, Harness{
		Store:   func(*testing.T) store.Store { return newNaive() },
		Limiter: func(*testing.T) store.Limiter { return newNaive() },
		Tracker: func(*testing.T) store.Tracker { return newNaive() },
		Queue:   func(*testing.T) store.Queue { return newNaive() },
		Virtual: true,
	})
}

// A recorder is a tester that remembers whether its case failed.
type recorder struct {
	ctx context.Context
	mu  sync.Mutex
	log []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(string, ...any)      {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// catches runs the named case on a backend that breaks its rule, in virtual
// time, and checks that it fails. A fault that takes a race to show gets
// several tries.
func catches[C any](t *testing.T, cases []testCase[C], name string, broken func() C) {
	t.Helper()
	i := slices.IndexFunc(cases, func(c testCase[C]) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	var failures []string
	for try := 0; try < 20 && failures == nil; try++ {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{ctx: t.Context()}
			done := make(chan struct{})
			go func() {
				defer close(done)
				cases[i].run(r, broken())
			}()
			<-done
			failures = r.log
		})
	}
	if failures == nil {
		t.Fatalf("case %q passes a backend that breaks its rule: %s", name, cases[i].rule)
	}
	t.Log("caught:", failures[0])
}

func TestKeyWithoutLife(t *testing.T) {
	n := newNaive() // never forgets
	if err := n.Create(t.Context(), newRecord("subject", start()), start()); err != nil {
		t.Fatal(err)
	}
	r := &recorder{ctx: t.Context()}
	if noneLive(r, len(n.recs)); r.log == nil {
		t.Error("a record that is kept for ever is not noticed")
	}
}
