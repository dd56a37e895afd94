package smtp

import (
	"sync"
	"time"
)

// BreakerConfig sets how the channel treats a relay that is down.
type BreakerConfig struct {
	// Failures is the number of failures in a row that opens the breaker, at least
	// 1. A refused message is no failure. If the recipient was named before the
	// failures, they must concern two recipients: one person's address never closes
	// a relay for everybody. Default 5.
	Failures int

	// Open is the longest pause of an open breaker. The first pause is a quarter of
	// a second, or Open if that is shorter. After each pause one message tries the
	// relay. If it fails, the next pause is twice as long, so that a restart costs
	// little more than its own time. Default 5 s.
	Open time.Duration
}

const firstPause = 250 * time.Millisecond // of a breaker

// A verdict is the result of an attempt for the breaker.
type verdict uint8

const (
	works      verdict = iota // the relay works, whatever it replies about a message
	notCounted                // the attempt shows nothing about the relay
	faulty                    // the relay failed before it knew the recipient
	faultyFor                 // the relay failed after it knew the recipient
)

// A breakerState says whether messages may try the relay.
//
//	closed ─Failures─► open ─pause over─► probing ─works─► closed
//	                    ▲                   │
//	                    └─────faulty────────┘
type breakerState uint8

const (
	breakerClosed  breakerState = iota
	breakerOpen                 // no message may try before the end of the pause
	breakerProbing              // one message tries
)

// A breaker keeps messages from waiting for a dead relay. It is safe for
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
// allow returns the rest of the pause.
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
