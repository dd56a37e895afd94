package peertest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A Closer is a client or a server.
type Closer interface {
	Close() error
	Shutdown(ctx context.Context) error
}

// closings are the ways to close.
var closings = map[string]func(Closer) error{
	"Close":    func(c Closer) error { return c.Close() },
	"Shutdown": func(c Closer) error { return c.Shutdown(context.Background()) },
}

// ClosesItself runs callback in a bubble, once. Closing within it must return
// an error in time, because it would wait for itself, and everything must end
// then.
func ClosesItself(t *testing.T, most time.Duration, start func(t *testing.T, callback func()) Closer) {
	for name, end := range closings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var c Closer
				started, told := make(chan struct{}), make(chan error, 1)
				called := make(chan struct{}, 1)
				called <- struct{}{}
				c = start(t, func() {
					select {
					case <-called:
					default:
						return
					}
					<-started
					told <- end(c)
				})
				began := time.Now()
				close(started)
				if err := <-told; err == nil {
					t.Errorf("%s in a callback returned no error", name)
				}
				if took := time.Since(began); took > most {
					t.Errorf("%s in a callback took %v, want at most %v", name, took, most)
				}
				synctest.Wait()
				if err := c.Close(); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}
