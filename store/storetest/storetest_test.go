package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNaive(t *testing.T) {
	Run(t, Harness{
		Live:    func(backend any, now time.Time) int { return backend.(*naive).live(now) },
		Store:   func(*testing.T) store.Store { return newNaive() },
		Limiter: func(*testing.T) store.Limiter { return newNaive() },
		Tracker: func(*testing.T) store.Tracker { return newNaive() },
		Queue:   func(*testing.T) store.Queue { return newNaive() },
		Process: func(_ *testing.T, q store.Queue) Process { return openNaive(q) },
		Virtual: true,

		Credentials: func(*testing.T) store.Credentials { return newNaive() },
	})
}

// A recorder is a tester that remembers whether its case failed.
type recorder struct {
	ctx    context.Context
	count  func(now time.Time) int
	others processes
	mu     sync.Mutex
	log    []string // of failures
	logged []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return "recorder" }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) processes() processes     { return r.others }
func (r *recorder) virtual() bool            { return true }

func (r *recorder) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = append(r.logged, fmt.Sprintf(format, args...))
}

func (r *recorder) live(now time.Time) int { return r.count(now) }

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
			b := broken()
			r := &recorder{ctx: t.Context(), count: any(b).(interface{ live(time.Time) int }).live,
				others: processes{openNaive, naiveTakeover}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				conduct(r, cases[i], b)
			}()
			<-done
			<-time.After(time.Hour) // for a backend that goes on
			r.mu.Lock()
			defer r.mu.Unlock()
			failures = r.log
		})
	}
	if failures == nil {
		t.Fatalf("case %q passes a backend that breaks its rule: %s", name, cases[i].rule)
	}
	t.Log("caught:", failures[0])
}

func TestKeyWithoutLife(t *testing.T) {
	keeps := testCase[store.Store]{name: "no key without a life", rule: "after each case all expires"}
	keeps.run = func(t tester, s store.Store) {
		r := newRecord("subject", start(), expires(start().Add(2*horizon)))
		if err := s.Create(t.Context(), r, start()); err != nil {
			t.Fatalf("Create: %v", err)
		}
	}
	catches(t, []testCase[store.Store]{keeps}, keeps.name, func() store.Store { return newNaive() })
}
