package follow

import (
	"container/heap"
	"context"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// An entry is the known state of a message. Follower.mu guards it.
type entry struct {
	id, messageID string
	expires       time.Time
	followed      bool          // by Follow, not only reported
	final         bool          // nothing more is to be asked
	interval      time.Duration // before the next poll
	told          channel.State // the furthest state that Receipt has accepted
	code          string        // the provider's last word
	at            time.Time     // of code
	last          bool          // Receipt has accepted the state at the expiry

	// untold is a polled state that Receipt has not accepted yet.
	untold *Update

	// telling is closed when the callback that runs for this message returns;
	// nil: none runs.
	telling chan struct{}

	due, late, forget place // late: when it gets the latest known state, asked or not
}

// A place is where an entry stands in a schedule.
type place struct {
	time  time.Time
	index int // -1: not in it
}

// tell passes an update on if it is news. Of one message one callback runs at
// a time, because only its outcome says whether the next is news.
func (f *Follower) tell(ctx context.Context, e *entry, u Update) error {
	f.mu.Lock()
	for e.telling != nil {
		running := e.telling
		f.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		f.mu.Lock()
	}
	if !e.learn(u) {
		f.conclude(e, u)
		f.mu.Unlock()
		return nil
	}
	running := make(chan struct{})
	e.telling = running
	r := e.receipt(u)
	f.mu.Unlock()

	accepted := false
	defer func() { // also where the callback panics
		f.mu.Lock()
		defer f.mu.Unlock()
		close(running)
		e.telling = nil
		if accepted {
			e.told = max(e.told, u.State)
			f.conclude(e, u)
		}
	}()
	err := f.config.Receipt(ctx, r)
	accepted = err == nil
	return err
}

// learn notes the provider's word and reports whether it is to be told.
func (e *entry) learn(u Update) bool {
	if u.State >= e.told && u.Code != "" {
		e.code, e.at = u.Code, u.At
	}
	if e.messageID == "" {
		e.messageID = u.MessageID
	}
	return u.State > e.told
}

func (e *entry) receipt(u Update) channel.Receipt {
	r := channel.Receipt{
		ProviderID: e.id, MessageID: e.messageID, State: u.State, Class: u.Class, Code: u.Code, At: u.At,
	}
	if u.MessageID != "" {
		r.MessageID = u.MessageID
	}
	if r.At.IsZero() {
		r.At = time.Now()
	}
	return r
}

// conclude ends the polling of a message whose fate is known.
func (f *Follower) conclude(e *entry, u Update) {
	if u.Final || u.State >= channel.Failed || e.told >= channel.Failed {
		e.final = true
		e.untold = nil
		f.unschedule(e)
	}
}

// A schedule is a heap of entries, the earliest first. Follower.mu guards it.
type schedule struct {
	at      func(*entry) *place
	entries []*entry
}

func (s *schedule) Len() int { return len(s.entries) }

func (s *schedule) Less(i, j int) bool {
	return s.at(s.entries[i]).time.Before(s.at(s.entries[j]).time)
}

func (s *schedule) Swap(i, j int) {
	s.entries[i], s.entries[j] = s.entries[j], s.entries[i]
	s.at(s.entries[i]).index, s.at(s.entries[j]).index = i, j
}

// Push and Pop are called by container/heap.
func (s *schedule) Push(x any) {
	e, _ := x.(*entry)
	s.at(e).index = len(s.entries)
	s.entries = append(s.entries, e)
}

// Pop removes the last entry.
func (s *schedule) Pop() any {
	n := len(s.entries) - 1
	e := s.entries[n]
	s.entries[n] = nil
	s.entries = s.entries[:n]
	s.at(e).index = -1
	return e
}

func (s *schedule) first() *entry {
	if len(s.entries) == 0 {
		return nil
	}
	return s.entries[0]
}

func (s *schedule) set(e *entry, t time.Time) {
	p := s.at(e)
	p.time = t
	if p.index >= 0 {
		heap.Fix(s, p.index)
		return
	}
	heap.Push(s, e)
}

func (s *schedule) remove(e *entry) {
	if i := s.at(e).index; i >= 0 {
		heap.Remove(s, i)
	}
}
