package smppserver

import (
	"sync"
	"time"
)

const maxTPS = 100_000

// rates holds the rate of each bound system_id.
type rates struct {
	mu   sync.Mutex
	byID map[string]*rate
}

func newRates() *rates { return &rates{byID: make(map[string]*rate)} }

// bind returns the rate for all sessions of a system_id, or nil if it is
// unlimited. release must follow.
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

// sweep forgets system_ids that are no longer bound, but not within a second of
// the last message: a new bind must not begin a fresh second. r.mu is held.
func (r *rates) sweep(now time.Time) {
	for systemID, l := range r.byID {
		if l.sessions == 0 && l.idle(now) {
			delete(r.byID, systemID)
		}
	}
}

// A rate limits the messages of any one second: it remembers the times of the
// last messages.
type rate struct {
	sessions int // number of bound sessions; guarded by rates.mu

	mu   sync.Mutex
	went []time.Time // times of the last messages, a ring
	next int         // index of the oldest, which the next message replaces
}

// set changes the number of messages for a second.
func (l *rate) set(tps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tps == len(l.went) {
		return
	}
	// The latest stay, so that a new bind does not begin a fresh second.
	ordered := append(append([]time.Time(nil), l.went[l.next:]...), l.went[:l.next]...)
	l.went = make([]time.Time, tps)
	keep := ordered[max(0, len(ordered)-tps):]
	copy(l.went[tps-len(keep):], keep)
	l.next = 0
}

// take reports whether a message may be sent now, and counts it if so.
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

// idle reports whether no message was sent within the last second.
func (l *rate) idle(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.went[(l.next+len(l.went)-1)%len(l.went)]
	return now.Sub(last) >= time.Second
}
