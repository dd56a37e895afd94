package smtp

import (
	"context"
	"sync"
	"time"
)

const (
	maxUses     = 1000                   // messages on one connection; a relay may close it before
	maxAge      = 5 * time.Minute        // of a connection, so that a relay's addresses may change
	quitTimeout = time.Millisecond * 100 // for the QUIT of a connection that is closed
)

// A pool keeps connections between messages. Each one in use holds a slot, and
// new ones are opened only while none is idle, so the slots bound the idle
// ones as well.
type pool struct {
	slots       chan struct{}
	idleTimeout time.Duration

	mu      sync.Mutex
	idle    []*conn // the last used last
	closed  bool
	closing sync.WaitGroup // of idle connections that time out
}

func newPool(maxConns int, idleTimeout time.Duration) *pool {
	return &pool{slots: make(chan struct{}, maxConns), idleTimeout: idleTimeout}
}

// acquire takes a slot, and release gives it back.
func (p *pool) acquire(ctx context.Context) error {
	if ctx.Err() != nil { // where both are ready, select would choose either
		return context.Cause(ctx)
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) release() { <-p.slots }

// take returns the connection used last, nil if none is idle.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	c.expire.Stop() // too late, its drop will not find c
	return c
}

// put keeps c for the next message, or closes it with QUIT.
func (p *pool) put(c *conn) {
	if c.uses >= maxUses || time.Since(c.opened) >= maxAge || !p.keep(c) {
		c.quit()
	}
}

func (p *pool) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, c)
	c.expire = time.AfterFunc(min(p.idleTimeout, maxAge-time.Since(c.opened)), func() { p.drop(c) })
	return true
}

// drop closes c, unless someone took it first.
func (p *pool) drop(c *conn) {
	if p.remove(c) {
		c.quit()
		p.closing.Done()
	}
}

func (p *pool) remove(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.idle {
		if other == c {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.closing.Add(1)
			return true
		}
	}
	return false
}

// close closes the idle connections, and any that is put later.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.expire.Stop()
		c.quit()
	}
	p.closing.Wait()
}
