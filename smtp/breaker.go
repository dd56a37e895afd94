package smtp

import (
	"sync"
	"time"
)

// BreakerConfig sets when a relay that is down is left alone.
type BreakerConfig struct {
	// Failures is how many failures in a row open the breaker, from 1. A refused
	// message is no failure. Failures after a recipient was named must be of two
	// recipients at least: one person's address never closes a relay for everybody.
	// Default 5.
	Failures int

	// Open is the longest time that an open breaker leaves the relay alone. The first
	// pause is a quarter of a second, or Open if that is shorter. After each pause one
	// message tries the relay; if that fails, the next pause is twice as long, so that
	// a restart costs little more than its own time. Default 5 s.
	Open time.Duration
}

const firstPause = 250 * time.Millisecond // of a breaker

// A verdict is the result of an attempt as the breaker counts it.
type verdict uint8

const (
	works      verdict = iota // the relay works, whatever it replies about a message
	notCounted                // the attempt shows nothing about the relay
	faulty                    // the relay failed before it knew the recipient
	faultyFor                 // the relay failed after it was given the recipient
)

// A breakerState says whether messages may try the relay.
//
//	closed ─Failures─► open ─pause over─► probing ─works─► closed
//	                    ▲                   │
//	                    └─────faulty────────┘
type breakerState uint8

const (
	breakerClosed  breakerState = iota
	breakerOpen                 // no message may try before the pause is over
	breakerProbing              // one message tries
)

// A breaker keeps messages from waiting for a relay that is down. It is safe for
// concurrent use.
type breaker struct {
	BreakerConfig

	mu       sync.Mutex
	state    breakerState
	until    time.Time // end of the pause
	pause    time.Duration
	failed   int        // attempts in a row
	surely   bool       // one of them failed before it named a recipient
	suspects recipients // of the others
}

// allow begins an attempt, which must end with report. If the breaker is open,
// allow returns how much longer.
func (b *breaker) allow() (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case breakerClosed:
		return 0, true
	case breakerOpen:
		if wait = time.Until(b.until); wait > 0 {
			return wait, false
		}
		b.state = breakerProbing
		return 0, true
	case breakerProbing:
	}
	return b.pause, false
}

// report ends an attempt for the recipient to.
func (b *breaker) report(v verdict, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case v == works:
		b.reset()
	case v == notCounted && b.state == breakerProbing:
		b.state = breakerOpen // the next message tries
	case v == notCounted:
	case b.state == breakerProbing && v == faultyFor: // perhaps for this recipient only
		b.open(firstPause)
	case b.state == breakerProbing:
		b.open(2 * b.pause)
	default:
		b.count(v, to)
	}
}

// reset closes the breaker. b.mu is held.
func (b *breaker) reset() {
	if b.failed == 0 && b.state == breakerClosed {
		return
	}
	b.state, b.failed, b.surely = breakerClosed, 0, false
	b.suspects.clear()
}

func (b *breaker) count(v verdict, to string) {
	b.failed++
	if v == faulty {
		b.surely = true
	} else {
		b.suspects.add(to)
	}
	if b.failed >= b.Failures && (b.surely || b.suspects.people() > 1) && b.state == breakerClosed {
		b.open(firstPause)
	}
}

func (b *breaker) open(pause time.Duration) {
	b.pause = min(pause, b.Open)
	b.state, b.until = breakerOpen, time.Now().Add(b.pause)
}
