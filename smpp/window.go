package smpp

import (
	"fmt"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A call is a submit_sm that awaits its response. It is in session.calls and in
// the list of session.oldest until it is completed, which happens once.
type call struct {
	seq        uint32
	batch      uint64 // of the writer
	deadline   time.Time
	prev, next *call
	done       chan outcome // holds one
}

// An outcome is how a call ended: a message id, or an error.
type outcome struct {
	id  string
	err *channel.Error
}

// result keeps a nil *channel.Error from becoming an error.
func (o outcome) result() (string, error) {
	if o.err != nil {
		return "", o.err
	}
	return o.id, nil
}

// submit registers a submit_sm and then queues it, so that no response can
// come too early. The caller holds a slot of the window, which the call's
// completion gives back.
func (s *session) submit(m *wire.Message) (*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retiring {
		return nil, errRetired
	}
	c := s.newCall()
	c.seq = s.nextSeq()
	c.deadline = time.Now().Add(s.config.ResponseTimeout)
	batch, err := s.out.Append(func(b []byte) []byte {
		return wire.AppendMessage(b, pdu.SubmitSmID, c.seq, m)
	})
	if err != nil {
		return nil, errRetired
	}
	c.batch = batch
	s.calls[c.seq] = c
	s.push(c)
	if !s.armed {
		s.armed = true
		s.expiry.Reset(s.config.ResponseTimeout)
	}
	return c, nil
}

// complete ends the call with this sequence number, if there is one.
func (s *session) complete(seq uint32, o outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[seq]
	if c == nil {
		return false
	}
	s.finish(c, o)
	return true
}

// finish ends a call. s.mu is held.
func (s *session) finish(c *call, o outcome) {
	delete(s.calls, c.seq)
	s.unlink(c)
	c.done <- o
	s.slots <- struct{}{}
	s.checkDrained()
}

// expire ends the calls whose time is up and arms the timer for the next.
func (s *session) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for c := s.oldest; c != nil && !c.deadline.After(now); c = s.oldest {
		s.finish(c, outcome{err: submitError(channel.Unknown, errNoResponse)})
	}
	s.armed = s.oldest != nil
	if s.armed {
		s.expiry.Reset(s.oldest.deadline.Sub(now))
	}
}

// abandon ends every call after the connection is gone. What was given to the
// connection may have arrived; the rest was certainly not sent.
func (s *session) abandon(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopIntake()
	for s.oldest != nil {
		err := submitError(channel.Unknown, cause)
		if !s.out.Handed(s.oldest.batch) {
			err = submitError(channel.Temporary, fmt.Errorf("%w: %w", errNotWritten, cause))
		}
		s.finish(s.oldest, outcome{err: err})
	}
}

// nextSeq returns the next sequence number that no call uses. s.mu is held.
func (s *session) nextSeq() uint32 {
	for {
		s.seq = s.seq%wire.MaxSequence + 1
		if s.calls[s.seq] == nil {
			return s.seq
		}
	}
}

// newCall takes a used call where there is one. s.mu is held.
func (s *session) newCall() *call {
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free = s.free[:n-1]
		return c
	}
	return &call{done: make(chan outcome, 1)}
}

// recycle lets a call whose outcome was received be used again.
func (s *session) recycle(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, c)
}

func (s *session) push(c *call) {
	c.prev, c.next = s.newest, nil
	if s.newest == nil {
		s.oldest = c
	} else {
		s.newest.next = c
	}
	s.newest = c
}

func (s *session) unlink(c *call) {
	if c.prev == nil {
		s.oldest = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		s.newest = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}
