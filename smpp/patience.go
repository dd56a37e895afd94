package smpp

import (
	"errors"
	"sync"
	"time"
)

var errCallbackRuns = errors.New("smpp: close: a callback has not returned yet")

// A patience is how long Close waits for goroutines that run callbacks of the
// user's. It is counted from the first Close: a callback may be deaf to its ctx,
// or be what calls Close, which would wait for itself, and there may be many.
type patience struct {
	once sync.Once
	ends time.Time
}

func (p *patience) await(done <-chan struct{}, d time.Duration) error {
	p.once.Do(func() { p.ends = time.Now().Add(d) })
	t := time.NewTimer(time.Until(p.ends))
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
	}
	select {
	case <-done:
		return nil
	default:
		return errCallbackRuns
	}
}
