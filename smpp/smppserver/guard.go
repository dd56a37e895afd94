package smppserver

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// maxSuspects is the largest number of remembered addresses with failed binds.
// Beyond it the oldest are forgotten.
const maxSuspects = 10_000

// A bindGuard blocks addresses after failed binds. A bind is charged before it
// is checked, and the charge is refunded if it succeeds. So the guard never
// checks more guesses than the limit, however many come at once.
//
// A successful bind does not clear earlier failures. Otherwise an attacker with
// one account could guess the password of another without end. Failures are
// forgotten only with time.
type bindGuard struct {
	limit int // negative: none
	block time.Duration

	mu    sync.Mutex
	known map[netip.Addr]*suspect
	order list.List // of *suspect without running binds, the oldest in front
}

// A suspect is an address with failed binds, or with a running bind.
type suspect struct {
	addr     netip.Addr
	failures int
	checking int           // running binds
	until    time.Time     // the time at which the failures are forgotten
	changed  chan struct{} // closed and replaced when checking falls
	place    *list.Element // in order; nil while binds are running
}

func newBindGuard(limit int, block time.Duration) *bindGuard {
	return &bindGuard{limit: limit, block: block, known: make(map[netip.Addr]*suspect)}
}

// begin reports whether a bind from addr may be checked. If so, end must follow.
// If one more running bind could exceed the limit, should they all fail, begin
// waits for their answers.
func (g *bindGuard) begin(ctx context.Context, addr netip.Addr) bool {
	if g.limit < 0 {
		return true
	}
	for {
		wait, ok := g.tryBegin(addr)
		if wait == nil {
			return ok
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return false
		}
	}
}

func (g *bindGuard) tryBegin(addr netip.Addr) (wait <-chan struct{}, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.known[addr]
	if s == nil {
		s = &suspect{addr: addr, changed: make(chan struct{})}
		g.known[addr] = s
	}
	if s.failures > 0 && !time.Now().Before(s.until) {
		s.failures = 0
	}
	switch {
	case s.failures >= g.limit:
		return nil, false
	case s.failures+s.checking >= g.limit:
		return s.changed, false
	}
	s.checking++
	if s.place != nil {
		g.order.Remove(s.place)
		s.place = nil
	}
	return nil, true
}

// end records the answer to the bind.
func (g *bindGuard) end(addr netip.Addr, status smpp.Status) {
	if g.limit < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.known[addr]
	s.checking--
	close(s.changed)
	s.changed = make(chan struct{})
	if wire.RefusesBind(uint32(status)) {
		s.failures++
		s.until = time.Now().Add(g.block)
	}
	if s.checking > 0 {
		return
	}
	if s.failures == 0 {
		delete(g.known, addr)
		return
	}
	s.place = g.order.PushBack(s)
	if g.order.Len() > maxSuspects {
		oldest := g.order.Remove(g.order.Front()).(*suspect)
		delete(g.known, oldest.addr)
	}
}

// blocks reports whether binds from addr are refused unchecked.
func (g *bindGuard) blocks(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.known[addr]
	return s != nil && g.limit >= 0 && s.failures >= g.limit && time.Now().Before(s.until)
}

// bars reports whether no bind from an address can succeed.
func (s *Server) bars(a net.Addr) bool {
	exact, source := bindSource(a)
	return !s.config.allows(exact) || s.guard.blocks(source)
}

// bindSource returns the address to compare with Config.Allow, and the address
// to block: in IPv6 its /64, because one peer usually has all addresses of it.
// Both are invalid if the connection has no IP address, as a pipe in tests.
func bindSource(a net.Addr) (exact, blocked netip.Addr) {
	if a == nil {
		return netip.Addr{}, netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}, netip.Addr{}
	}
	exact = ap.Addr().Unmap().WithZone("")
	blocked = exact
	if p, err := exact.Prefix(64); err == nil && exact.Is6() {
		blocked = p.Addr()
	}
	return exact, blocked
}

// allows reports whether an address may bind.
func (c *Config) allows(a netip.Addr) bool {
	for _, p := range c.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return len(c.Allow) == 0
}
