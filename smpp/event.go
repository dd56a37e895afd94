package smpp

import (
	"time"
)

// An EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	EventBound      EventKind = iota + 1 // a bind stands
	EventLost                            // a bind ended; the client replaces it
	EventRefused                         // the SMSC answered a bind with an error
	EventThrottled                       // the SMSC wants fewer messages; the client slows down
	EventUnanswered                      // Config.MaxUnanswered was reached; EventLost follows
	EventUnmatched                       // a receipt belongs to no message of this client
	EventCollision                       // the SMSC gave one message_id to two messages
)

// String returns "bound", "lost", "refused", "throttled", "unanswered",
// "unmatched" or "collision".
func (k EventKind) String() string {
	switch k {
	case EventBound:
		return "bound"
	case EventLost:
		return "lost"
	case EventRefused:
		return "refused"
	case EventThrottled:
		return "throttled"
	case EventUnanswered:
		return "unanswered"
	case EventUnmatched:
		return "unmatched"
	case EventCollision:
		return "collision"
	}
	return "unknown"
}

// A Refusal says whether a refused bind blames the credentials or the address of
// the client.
type Refusal uint8

// The refusals.
const (
	// RefusedForNow blames neither, for example ESME_RALYBND or ESME_RSYSERR.
	// The client tries again after the pauses between failed connections.
	RefusedForNow Refusal = iota + 1

	// RefusedAccepted blames the credentials or the address, but the SMSC has
	// accepted the same credentials from this client before. The SMSC may be
	// starting up, may allow fewer binds, or another process may still hold the
	// account. The client tries again after 4 s, then after longer pauses, up to
	// a third of Config.RefusedWait. If another bind to the host stands, the
	// pauses begin at 10 s and end at RefusedWait.
	RefusedAccepted

	// RefusedCredentials blames credentials that the SMSC never accepted since
	// the client began or Config.Credentials changed them. The client waits for
	// Config.RefusedWait. An operator must act.
	RefusedCredentials
)

// String returns "for now", "accepted before" or "never accepted".
func (r Refusal) String() string {
	switch r {
	case RefusedForNow:
		return "for now"
	case RefusedAccepted:
		return "accepted before"
	case RefusedCredentials:
		return "never accepted"
	}
	return "none"
}

// An Event is a change of a client's binds or of its rate.
type Event struct {
	Kind     EventKind
	Addr     string    // of the SMSC; empty for EventThrottled, which concerns all binds
	Receiver bool      // the bind is the receiver of Config.Pair
	At       time.Time // when it happened
	Refusal  Refusal   // EventRefused: its meaning
	Err      error     // EventLost: the cause, also ErrClosed. EventRefused: a channel.Error with the Status.
	Rate     float64   // EventThrottled: messages per second from now on

	// MessageID is the message_id of EventUnmatched and EventCollision, masked.
	//
	// If several processes share a SystemID, each gets receipts of the others'
	// messages. They are unmatched, but nothing is wrong. After EventCollision
	// the client may match a receipt to the wrong message: nodes of the SMSC
	// number messages alike, and each node needs a Client of its own.
	MessageID string

	Hint string // EventUnmatched: the probable reason
}

// A State holds a client's binds and its rate at one moment.
type State struct {
	Sessions []Session // one for each bind, in the order of Config.Addr and Addrs, repeated
	Rate     float64   // messages per second that may be sent now; 0: no limit
	Total    Counters  // of all binds
}

// A Session is the state of one bind, bound or not.
type Session struct {
	Addr        string
	Receiver    bool      // the receiver of Config.Pair: no messages go over it
	Standby     bool      // to one of Config.StandbyAddrs
	Bound       bool      // it takes messages, or receipts
	Since       time.Time // time of the last change; zero: the first bind is under way
	Outstanding int       // messages that await the window or their response
	Err         error     // the reason if it is not bound
	Count       Counters  // of this bind, over all its sessions
}

// State returns the binds and the rate.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := State{Rate: c.pace.rate()}
	for _, l := range c.links {
		v := Session{
			Addr: l.host.addr, Receiver: !l.submits(), Standby: l.standby, Since: l.since, Err: l.failure,
			Count: l.count.read(),
		}
		if l.session != nil {
			v.Bound, v.Outstanding = true, int(l.session.load.Load())
			v.Count.WindowUsed, v.Count.PerSecond = l.session.use()
		}
		st.Total.add(v.Count)
		st.Sessions = append(st.Sessions, v)
	}
	return st
}

// use returns how many requests await their response, and how many were sent in
// the last second.
func (s *session) use() (window int, perSecond float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls), s.rate.rate(time.Now())
}

// maxEvents is the largest number of events that may wait for Config.Event.
const maxEvents = 256

// emit queues an event. It never blocks: if Config.Event hangs, events are lost,
// and messages are not delayed.
func (c *Client) emit(e Event) {
	if c.config.Event == nil {
		return
	}
	e.At = time.Now()
	select {
	case c.events <- e:
	default:
		c.log().Warn("smpp: Config.Event is too slow, an event is lost", "kind", e.Kind.String())
	}
}

// runEvents calls Config.Event until run closes the queue.
func (c *Client) runEvents() {
	for e := range c.events {
		c.config.Event(e)
	}
}
