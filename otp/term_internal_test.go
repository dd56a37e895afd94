package otp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A term is what context.WithDeadline returns, whether somebody waits for it or not.
func TestTerm(t *testing.T) {
	t.Parallel()
	type ctxKey struct{}
	for name, wait := range map[string]bool{"looked at": false, "waited for": true} {
		for want, happens := range map[error]func(end, endParent context.CancelFunc){
			context.DeadlineExceeded: func(_, _ context.CancelFunc) { time.Sleep(time.Second) },
			context.Canceled:         func(end, _ context.CancelFunc) { end() },
			errors.New("the parent"): func(_, endParent context.CancelFunc) { endParent() },
		} {
			t.Run(name+", "+want.Error(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					parent, endParent := context.WithTimeout(context.WithValue(t.Context(), ctxKey{}, 1), time.Hour)
					defer endParent()
					c, end := withTerm(parent, time.Now().Add(time.Second))
					defer end()
					inner, stop := context.WithCancel(context.Background())
					defer stop()
					if wait {
						inner, stop = context.WithCancel(c)
						defer stop()
					}
					at, ok := c.Deadline()
					if !ok || time.Until(at) != time.Second || c.Err() != nil || inner.Err() != nil ||
						c.Value(ctxKey{}) != 1 {
						t.Fatalf("before its end: %v %v %v %v", at, ok, c.Err(), inner.Err())
					}
					happens(end, endParent)
					synctest.Wait()
					if !errors.Is(want, context.DeadlineExceeded) {
						want = context.Canceled
					}
					if !errors.Is(c.Err(), want) || wait && !errors.Is(inner.Err(), want) {
						t.Errorf("at its end: %v, and of one made of it: %v", c.Err(), inner.Err())
					}
					<-c.Done()
					if !errors.Is(c.Err(), want) {
						t.Errorf("after its end: %v", c.Err())
					}
				})
			})
		}
	}
}

// A term ends no later than its parent.
func TestTermOfTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outer, end := withTerm(t.Context(), time.Now().Add(time.Second))
		defer end()
		inner, endInner := withTerm(outer, time.Now().Add(time.Hour))
		defer endInner()
		<-inner.Done()
		synctest.Wait()
		if !errors.Is(inner.Err(), context.DeadlineExceeded) || !errors.Is(outer.Err(), context.DeadlineExceeded) {
			t.Errorf("got %v and %v", inner.Err(), outer.Err())
		}
	})
}

// A call of the store that does not wait starts no timer.
func TestTermIsCheap(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		c, end := withTerm(context.Background(), time.Now().Add(time.Second))
		defer end()
		if c.Err() != nil {
			t.Error(c.Err())
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
