package smpp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A call is a request that waits for a slot of the window, and then for its
// response. From begin until its completion it is in session.calls and
// session.open.
type call struct {
	cancels    string // as in its request
	message    string // as in its request
	seq        uint32
	batch      uint64 // of the writer
	deadline   time.Time
	prev, next *call
	holds      bool          // the call has a slot of the window
	left       bool          // its sender does not await the outcome any more
	granted    chan struct{} // of capacity 1; signals that a waiting call has a slot
	done       chan outcome  // of capacity 1
}

func newCall() *call { return &call{granted: make(chan struct{}, 1), done: make(chan outcome, 1)} }

// errWindowFull is the error of a call that must wait for a slot.
var errWindowFull = errors.New("window is full")

// An outcome is the result of a call: a message id, or an error.
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

// response returns the command_id of the call's response.
func (c *call) response() pdu.CommandID {
	if c.cancels != "" {
		return pdu.CancelSmRespID
	}
	return pdu.SubmitSmRespID
}

// append appends the call's PDU.
func (c *call) append(b []byte, m *wire.Message) []byte {
	if c.cancels != "" {
		return wire.AppendCancel(b, c.seq, wire.Cancel{ID: c.cancels, Source: m.Source, Dest: m.Dest})
	}
	return wire.AppendMessage(b, pdu.SubmitSmID, c.seq, m)
}

// submit registers a request and then queues it, so that no response can come too
// early. It takes a slot of the window, unless c holds one. The slot is returned
// when the call is completed, or if submit returns an error.
func (s *session) submit(c *call, m *wire.Message, now time.Time) error {
	s.mu.Lock()
	alone, err := s.begin(c, m, now)
	s.mu.Unlock()
	if alone && err == nil {
		s.out.Flush()
	}
	return err
}

// begin is submit without the write of a message that goes alone. If nothing is
// outstanding and no other caller is about to send, the peer should have read
// everything. The caller itself then writes. If the peer does not read, the caller
// waits for the write, even if its ctx ends; see Send. s.mu is held.
func (s *session) begin(c *call, m *wire.Message, now time.Time) (alone bool, err error) {
	if s.state != sessionBound {
		s.release(c)
		return false, errRetired
	}
	if !c.holds && !s.take(c) {
		return false, errWindowFull
	}
	c.seq = s.nextSeq()
	c.deadline = now.Add(s.config.ResponseTimeout)
	frame := func(b []byte) []byte { return c.append(b, m) }
	alone = s.open.first == nil && s.load.Load() <= 1
	if alone {
		c.batch, err = s.out.Add(frame)
	} else {
		c.batch, err = s.out.Append(frame)
	}
	if err != nil {
		s.release(c)
		return false, errRetired
	}
	s.count.submitted.Add(1)
	s.rate.add(now)
	s.calls[c.seq] = c
	s.open.push(c)
	if !s.armed {
		s.armed = true
		s.expiry.Reset(s.config.ResponseTimeout)
	}
	return alone, nil
}

// take takes a slot for c if one is free. s.mu is held.
func (s *session) take(c *call) bool {
	c.holds = s.slots > 0
	if c.holds {
		s.slots--
	}
	return c.holds
}

// release gives c's slot to the call that waits longest. s.mu is held.
func (s *session) release(c *call) {
	if !c.holds {
		return
	}
	c.holds = false
	next := s.waiting.first
	if next == nil {
		s.slots++
		return
	}
	s.waiting.unlink(next)
	next.holds = true
	next.granted <- struct{}{}
}

// wait waits until c holds a slot, or the end of r.
func (s *session) wait(ctx context.Context, c *call, r request) error {
	s.mu.Lock()
	if !s.take(c) {
		s.waiting.push(c)
	}
	holds := c.holds
	s.mu.Unlock()
	if holds {
		return nil
	}
	var over <-chan time.Time
	end, cause := r.end()
	if !end.IsZero() {
		t := time.NewTimer(time.Until(end))
		defer t.Stop()
		over = t.C
	}
	var err error
	select {
	case <-c.granted:
		return nil
	case <-s.retired:
		err = errRetired
	case <-ctx.Done():
		err = submitError(channel.Temporary, fmt.Errorf("waiting for the window: %w", ctx.Err()))
	case <-over:
		err = submitError(endClass(cause), fmt.Errorf("waiting for the window: %w", cause))
	}
	s.giveBack(c)
	return err
}

// giveBack removes c from the waiting calls, or returns its unused slot.
func (s *session) giveBack(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.holds {
		s.waiting.unlink(c)
		return
	}
	select {
	case <-c.granted: // came in the meantime
	default:
	}
	s.release(c)
}

// complete ends the call with this sequence number. It reports false if there is
// no such call, or if id is not its response. Only the reader may call it: it sets
// lateFor.
func (s *session) complete(id pdu.CommandID, seq uint32, o outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lateFor = ""
	c := s.calls[seq]
	switch {
	case c == nil:
		s.lateFor = s.expired[seq]
		delete(s.expired, seq)
		s.silent = 0
		return false
	case id != c.response() && id != pdu.GenericNackID:
		return false
	case c.left:
		s.lateFor = c.message
	}
	s.silent = 0
	s.finish(c, o)
	return true
}

// leave notes that nobody awaits the outcome of c any more. If the outcome is
// there already, leave returns it.
func (s *session) leave(c *call) (o outcome, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case o = <-c.done:
		return o, true
	default:
		c.left = true
		return o, false
	}
}

// maxExpired is the number of expired calls that a session remembers, in case
// their response comes.
const maxExpired = 1000

// remember keeps the Message.ID of an expired call. s.mu is held.
func (s *session) remember(c *call) {
	if s.ledger == nil || c.message == "" {
		return
	}
	if s.expired == nil {
		s.expired = make(map[uint32]string)
	}
	s.expired[c.seq] = c.message
	s.expiredSeqs = append(s.expiredSeqs, c.seq)
	if len(s.expiredSeqs) > maxExpired {
		delete(s.expired, s.expiredSeqs[0])
		s.expiredSeqs = s.expiredSeqs[1:]
	}
}

// finish ends a call. s.mu is held.
func (s *session) finish(c *call, o outcome) {
	delete(s.calls, c.seq)
	s.open.unlink(c)
	s.release(c)
	c.done <- o // from here on c belongs to send
	s.checkDrained()
}

// expire ends the calls past their deadline and arms the timer for the next. It
// returns how many calls in a row had no response.
func (s *session) expire() (silent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for c := s.open.first; c != nil && !c.deadline.After(now); c = s.open.first {
		s.silent++
		s.count.unanswered.Add(1)
		s.remember(c)
		s.finish(c, outcome{err: submitError(channel.Unknown, errNoResponse)})
	}
	s.armed = s.open.first != nil
	if s.armed {
		s.expiry.Reset(s.open.first.deadline.Sub(now))
	}
	return s.silent
}

// abandon ends every call, and admits no more, after the connection is closed. If
// a message was given to the connection, it may have arrived; otherwise it was not
// sent.
func (s *session) abandon(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(sessionEnded)
	for s.open.first != nil {
		err := submitError(channel.Unknown, cause)
		if !s.out.Handed(s.open.first.batch) {
			err = submitError(channel.Temporary, fmt.Errorf("%w: %w", errNotWritten, cause))
		}
		s.finish(s.open.first, outcome{err: err})
	}
}

// nextSeq returns the next free sequence number. s.mu is held.
func (s *session) nextSeq() uint32 {
	for {
		s.seq = s.seq%wire.MaxSequence + 1
		if s.calls[s.seq] == nil {
			return s.seq
		}
	}
}

// A callList is a list of calls. A call is in one list at most.
type callList struct{ first, last *call }

func (l *callList) push(c *call) {
	c.prev, c.next = l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
}

func (l *callList) unlink(c *call) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}
