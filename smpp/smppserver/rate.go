package smppserver

import (
	"sync"
	"time"
)

const maxTPS = 100_000

// rates holds the rate of each system_id that is bound.
type rates struct {
	mu   sync.Mutex
	byID map[string]*rate
}

func newRates() *rates { return &rates{byID: make(map[string]*rate)} }

// bind returns the rate that all sessions of a system_id share, or nil if it has
// none. release must follow.
func (r *rates) bind(systemID string, tps int) *rate {
	if tps <= 0 {
		return nil
	}
	tps = min(tps, maxTPS)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(time.Now())
	l := r.byID[systemID]
	if l == nil {
		l = &rate{}
		r.byID[systemID] = l
	}
	l.sessions++
	l.set(tps)
	return l
}

func (r *rates) release(l *rate) {
	if l == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.sessions--
	r.sweep(time.Now())
}

// sweep forgets system_ids that are not bound any more, but not within a second
// of the last message: binding again must not begin a fresh second. r.mu is held.
func (r *rates) sweep(now time.Time) {
	for systemID, l := range r.byID {
		if l.sessions == 0 && l.idle(now) {
			delete(r.byID, systemID)
		}
	}
}

// A rate lets so many messages through in any one second: it remembers the time
// of each of the last ones.
type rate struct {
	sessions int // number of bound sessions; guarded by rates.mu

	mu   sync.Mutex
	went []time.Time // times of the last messages, a ring
	next int         // index of the oldest, which the next message replaces
}

// set changes how many messages go in a second.
func (l *rate) set(tps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tps == len(l.went) {
		return
	}
	// The latest stay, so that binding again does not begin a fresh second.
	ordered := append(append([]time.Time(nil), l.went[l.next:]...), l.went[:l.next]...)
	l.went = make([]time.Time, tps)
	keep := ordered[max(0, len(ordered)-tps):]
	copy(l.went[tps-len(keep):], keep)
	l.next = 0
}

// take reports whether a message may go now, and counts it if so.
func (l *rate) take(now time.Time) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.went[l.next]) < time.Second {
		return false
	}
	l.went[l.next] = now
	l.next = (l.next + 1) % len(l.went)
	return true
}

// idle reports whether no message went within the last second.
func (l *rate) idle(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.went[(l.next+len(l.went)-1)%len(l.went)]
	return now.Sub(last) >= time.Second
}
