package smtp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	maxAge       = 5 * time.Minute        // of a connection, so that changed addresses of a relay take effect
	quitTimeout  = 100 * time.Millisecond // for the QUIT of a closed connection
	leaveTimeout = 500 * time.Millisecond // for a server to close after the QUIT
	maxRefusals  = 3                      // in a row, after which the pool leaves a connection
	firstRegrow  = time.Second            // before another try to open a connection after a refusal
	slowestGrow  = time.Minute            // the longest such pause, after several refusals
	growthFactor = 2                      // of the pause, with each refusal
)

// errNoOthers ends the wait for other messages' connections.
var errNoOthers = errors.New("no other connection to the relay is left")

// A pool keeps connections between messages, and counts them. A message holds a
// slot while it uses, opens or closes a connection. The pool learns its limit,
// the largest number of slots and idle connections together. If the relay
// refuses a connection while others work, their number is the limit until the
// next try.
type pool struct {
	maxConns    int
	idleTimeout time.Duration

	mu      sync.Mutex
	idle    []*conn // the last used last
	slots   int     // held by messages, and by closing connections
	opening int     // of slots, those without an open connection yet
	limit   int
	waiting []*waiter // in the order of arrival

	learned int           // the last limit that the relay has shown; zero: none
	regrow  time.Time     // when limit may rise by one
	pause   time.Duration // before the next rise
	left    time.Time     // when a connection was last left, without waiting for the relay
	grower  *time.Timer   // wakes waiting messages at that time; nil: limit was never below maxConns

	closed  bool
	closing sync.WaitGroup // counts connections that close in the background
}

// A waiter is a message that waits for a slot.
type waiter struct {
	granted chan grant // of capacity 1
	refused bool       // the relay has refused this message a connection of its own
}

// A grant is a slot, with or without a connection, or an error.
type grant struct {
	conn *conn
	err  error
}

func newPool(maxConns int, idleTimeout time.Duration) *pool {
	return &pool{maxConns: maxConns, idleTimeout: idleTimeout, limit: maxConns}
}

// acquire takes a slot, with the connection used last or with nil. If it is nil,
// the caller must open one. The slot must be returned to release or retire.
// refused says that the relay has refused this message a connection while others
// worked. The message then waits only as long as there are others.
func (p *pool) acquire(ctx context.Context, refused bool) (*conn, error) {
	if ctx.Err() != nil { // select would choose at random
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	g, ok := p.grant()
	if ok {
		p.mu.Unlock()
		return g.conn, nil
	}
	w := &waiter{granted: make(chan grant, 1), refused: refused}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	select {
	case g = <-w.granted:
		return g.conn, g.err
	case <-ctx.Done():
		p.abandon(w)
		return nil, context.Cause(ctx)
	}
}

// abandon ends a wait. If a slot was granted meanwhile, it goes to the next
// waiter.
func (p *pool) abandon(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	g := <-w.granted
	if g.err != nil {
		return
	}
	if g.conn == nil {
		p.opening--
	}
	p.free(g.conn)
}

// grant returns a slot if there is one. p.mu is held.
func (p *pool) grant() (g grant, ok bool) {
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		if c.expire != nil { // nil: a connection on its way from one message to the next
			c.expire.Stop() // too late, its drop will not find c
			c.expire = nil
		}
		p.slots++
		return grant{conn: c}, true
	}
	if p.slots >= p.limit && p.limit < p.maxConns && !time.Now().Before(p.regrow) {
		p.limit++
		p.regrow = time.Now().Add(p.pause)
	}
	if p.slots >= p.limit {
		return grant{}, false
	}
	p.slots++
	p.opening++
	return grant{}, true
}

// opened notes that the connection of a slot is open.
func (p *pool) opened() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
}

// reopen notes that a slot's connection is lost, and the caller opens another.
func (p *pool) reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening++
}

// hasOthers reports whether other connections are open than the caller's.
func (p *pool) hasOthers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots-p.opening+len(p.idle) > 0
}

// refused notes that the relay has refused a connection, for which the caller
// still holds its slot. If there are others, their number is the limit now.
// Otherwise the relay refuses all connections, and the waiting messages fail.
func (p *pool) refused(isOpening, isPassing bool) (limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isOpening {
		p.opening--
	}
	others := p.slots - 1 + len(p.idle)
	if others == 0 && isPassing && time.Since(p.left) < leaveTimeout { // the relay may still count that connection
		others = 1
	}
	if others > 0 {
		p.learn(others)
		return others
	}
	p.limit, p.learned = p.maxConns, 0
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if w.refused {
			w.granted <- grant{err: errNoOthers}
		}
		return w.refused
	})
	return 0
}

// learn sets the limit until one more connection is tried. If the relay has
// shown this limit before, the pause is twice as long as before. p.mu is held.
func (p *pool) learn(limit int) {
	p.pause = min(growthFactor*p.pause, slowestGrow)
	if limit != p.learned {
		p.pause = firstRegrow
	}
	p.limit, p.learned = min(p.limit, limit), limit
	p.regrow = time.Now().Add(p.pause)
	if p.grower == nil {
		p.grower = time.AfterFunc(p.pause, p.grow)
	} else {
		p.grower.Reset(p.pause)
	}
}

// grow lets a waiting message try one more connection.
func (p *pool) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.serve()
	}
}

// release returns a slot: with a connection to keep, or with nil after its end.
func (p *pool) release(c *conn) {
	if c != nil && (c.uses >= c.maxUses || c.refusals >= maxRefusals || time.Since(c.opened) >= maxAge) {
		p.retire(c)
		return
	}
	p.mu.Lock()
	closed := p.closed
	if closed {
		p.free(nil)
	} else {
		p.free(c)
	}
	p.mu.Unlock()
	if closed && c != nil {
		c.quit()
	}
}

// free passes a slot on, or ends it. p.mu is held.
func (p *pool) free(c *conn) {
	p.slots--
	if c != nil {
		p.idle = append(p.idle, c)
	}
	if p.serve() || c == nil {
		return
	}
	c.expire = time.AfterFunc(min(p.idleTimeout, maxAge-time.Since(c.opened)), func() { p.drop(c) })
}

// serve gives slots to waiting messages, and reports whether one of them took
// the only idle connection. p.mu is held.
func (p *pool) serve() (taken bool) {
	for len(p.waiting) > 0 {
		g, ok := p.grant()
		if !ok {
			break
		}
		taken = taken || g.conn != nil
		w := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		w.granted <- g
	}
	return taken
}

// retire ends a connection, and then returns its slot. If the relay counts
// connections, it does so in the background, once the relay has read the QUIT.
func (p *pool) retire(c *conn) {
	if p.leaves() {
		c.quit()
		p.release(nil)
		return
	}
	p.closing.Go(func() {
		c.leave()
		p.release(nil)
	})
}

// leaves reports whether a connection is left without waiting for the relay.
func (p *pool) leaves() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.learned == 0 {
		p.left = time.Now()
	}
	return p.learned == 0
}

// drop closes c, unless a message took it first.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i < 0 {
		p.mu.Unlock()
		return
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	p.slots++
	p.closing.Add(1)
	p.mu.Unlock()
	defer p.closing.Done()
	p.retire(c)
}

// close closes the idle connections, and every connection released later.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.grower != nil {
		p.grower.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.expire.Stop()
		c.quit()
	}
	p.closing.Wait()
}
