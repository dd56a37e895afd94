package smpptest

import (
	"context"
	"slices"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A Cancel is a received cancel_sm.
type Cancel struct {
	Conn     int    // number of the connection, from 1
	Sequence uint32 // sequence_number

	ID      string // message_id
	From    string // source_addr
	FromTON uint8
	To      string // destination_addr, with a "+" if its TON is international

	Status smpp.Status // the answer
}

// Cancels returns every cancel_sm received so far, with the refused ones.
//
// Without NextCancels the answer depends on the message. It is ESME_RINVMSGID if
// there is no message with that id, source and destination (which may be missing).
// It is ESME_RCANCELFAIL if the receipt has been sent or the message was withdrawn
// before. Otherwise it is ESME_ROK.
func (s *Server) Cancels() []Cancel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.cancels)
}

// A storedMessage is an accepted message, for cancel_sm.
type storedMessage struct {
	from, to    string
	withdrawn   bool
	receiptSent bool // its receipt has been sent, or is about to be
}

// sendsReceipt notes that the receipt of a message is sent now, and reports whether
// the message was delivered. A withdrawn message was not.
func (s *Server) sendsReceipt(id string) (delivered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.stored[id]
	if m == nil {
		return true
	}
	m.receiptSent = true
	return !m.withdrawn
}

// cancel answers a cancel_sm.
func (s *Server) cancel(ctx context.Context, r *smppserver.CancelRequest) error {
	plan := s.decide(r)
	done := make(chan error, 1)
	stall := func() {
		connOf(r.Session).fail(r.Sequence, Reply{Stall: true})
		done <- smpp.StatusSystemError
	}
	if plan.Hangup {
		connOf(r.Session).fail(r.Sequence, plan)
	}
	if plan.Stall {
		stall()
	} else {
		s.hold(r.Session, plan, func() { done <- status(plan.Status) }, stall)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// status keeps StatusOK from being an error.
func status(v smpp.Status) error {
	if v == smpp.StatusOK {
		return nil
	}
	return v
}

// decide returns the answer to a cancel_sm, and records it.
func (s *Server) decide(r *smppserver.CancelRequest) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	var plan Reply
	if len(s.nextCancels) > 0 {
		plan, s.nextCancels = s.nextCancels[0], s.nextCancels[1:]
	} else {
		plan.Status = s.withdraw(r)
	}
	s.cancels = append(s.cancels, Cancel{
		Conn: int(r.Session.Number()), Sequence: r.Sequence,
		ID: r.ID, From: r.From, FromTON: r.FromTON, To: r.To, Status: plan.Status,
	})
	return plan
}

// withdraw withdraws a message if it is stored and not delivered. s.mu is held.
func (s *Server) withdraw(r *smppserver.CancelRequest) smpp.Status {
	m := s.stored[r.ID]
	switch {
	case m == nil, m.from != r.From, r.To != "" && m.to != r.To:
		return smpp.StatusInvalidMessageID
	case m.withdrawn, m.receiptSent:
		return smpp.StatusCancelFailed
	}
	m.withdrawn = true
	return smpp.StatusOK
}
