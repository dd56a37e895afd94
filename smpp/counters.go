package smpp

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// Counters count the traffic of a bind, or of all binds of a client, since the
// client began. submit_sm and cancel_sm count alike.
type Counters struct {
	Submitted  uint64                  // requests given to a connection
	Answered   map[Status]uint64       // responses, by command_status; nil: none
	Unanswered uint64                  // requests without a response within ResponseTimeout
	Receipts   map[MessageState]uint64 // delivery receipts by state, unknown words as "OTHER"; nil: none
	Unmatched  uint64                  // receipts for no message of this client; see EventUnmatched
	Collisions uint64                  // responses with the message_id of another message; see EventCollision
	Throttled  uint64                  // responses of class channel.Throttled
	Rebinds    uint64                  // accepted binds, without the first

	WindowUsed int     // requests that await their response now
	PerSecond  float64 // requests in the last whole second
}

// maxStatuses is the number of statuses outside the standard with counts of their
// own. The others count as StatusUnknownError.
const maxStatuses = 256

// A bindCounters counts the traffic of one link.
type bindCounters struct {
	submitted, unanswered, accepted, throttled atomic.Uint64
	unmatched, collisions, binds               atomic.Uint64
	receipts                                   [messageStates]atomic.Uint64

	mu      sync.Mutex
	refused map[Status]uint64
}

// answered counts a response.
func (n *bindCounters) answered(status Status, class channel.Class) {
	if status == StatusOK {
		n.accepted.Add(1)
		return
	}
	if class == channel.Throttled {
		n.throttled.Add(1)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refused == nil {
		n.refused = make(map[Status]uint64)
	}
	if _, ok := n.refused[status]; !ok && len(n.refused) >= maxStatuses {
		status = StatusUnknownError
	}
	n.refused[status]++
}

// read returns the counts, without the session's.
func (n *bindCounters) read() Counters {
	c := Counters{
		Submitted: n.submitted.Load(), Unanswered: n.unanswered.Load(), Unmatched: n.unmatched.Load(),
		Collisions: n.collisions.Load(), Throttled: n.throttled.Load(),
		Rebinds: max(n.binds.Load(), 1) - 1,
	}
	n.mu.Lock()
	c.Answered = maps.Clone(n.refused)
	n.mu.Unlock()
	if accepted := n.accepted.Load(); accepted > 0 {
		c.Answered = increase(c.Answered, StatusOK, accepted)
	}
	for state := range n.receipts {
		if count := n.receipts[state].Load(); count > 0 {
			c.Receipts = increase(c.Receipts, MessageState(state), count)
		}
	}
	return c
}

func increase[K comparable](m map[K]uint64, key K, by uint64) map[K]uint64 {
	if m == nil {
		m = make(map[K]uint64)
	}
	m[key] += by
	return m
}

// add adds the counts of another bind.
func (c *Counters) add(other Counters) {
	c.Submitted += other.Submitted
	c.Unanswered += other.Unanswered
	c.Unmatched += other.Unmatched
	c.Collisions += other.Collisions
	c.Throttled += other.Throttled
	c.Rebinds += other.Rebinds
	c.WindowUsed += other.WindowUsed
	c.PerSecond += other.PerSecond
	for status, n := range other.Answered {
		c.Answered = increase(c.Answered, status, n)
	}
	for state, n := range other.Receipts {
		c.Receipts = increase(c.Receipts, state, n)
	}
}

// A secondRate counts events by the second.
type secondRate struct {
	began          time.Time // of the present second
	count, earlier int       // in it, and in the second before
}

// add counts an event.
func (r *secondRate) add(now time.Time) {
	r.turn(now)
	r.count++
}

// turn begins a new second if the present one is over.
func (r *secondRate) turn(now time.Time) {
	switch passed := now.Sub(r.began); {
	case passed < time.Second:
	case passed < 2*time.Second:
		r.began, r.earlier, r.count = r.began.Add(time.Second), r.count, 0
	default:
		r.began, r.earlier, r.count = now, 0, 0
	}
}

// rate returns the number of events in the last whole second.
func (r *secondRate) rate(now time.Time) float64 {
	r.turn(now)
	return float64(r.earlier)
}
