package smpp

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// read handles frames until the connection fails.
func (s *session) read() error {
	for _, f := range s.early {
		s.handleRequest(f)
	}
	s.early = nil
	var arrived time.Time // time of the last read of the connection
	for {
		waits := s.in.Waits()
		f, err := s.in.Next()
		if waits {
			arrived = time.Now()
		}
		switch {
		case errors.Is(err, wire.ErrFrameLength):
			s.respond(pdu.GenericNackID, StatusInvalidCmdLength, 0)
			s.retire(err)
			s.out.Finish()
			<-s.ended
			return err
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		s.trace.received(f)
		s.pinged.Store(false)
		if f.IsResponse() {
			s.handleResponse(f, arrived)
		} else {
			s.handleRequest(f)
		}
	}
}

func (s *session) handleResponse(f wire.Frame, arrived time.Time) {
	switch f.ID {
	case pdu.SubmitSmRespID, pdu.CancelSmRespID, pdu.GenericNackID:
		// The SMSC would refuse any later message, too. A response to cancel_sm
		// does not mean that.
		if Status(f.Status) == StatusInvalidBindStatus && f.ID != pdu.CancelSmRespID {
			s.retire(errNotBoundThere)
		}
		o := s.outcome(f)
		s.pace.note(arrived, o, congestion(f))
		s.countAnswer(Status(f.Status), o)
		ok := s.complete(f.ID, f.Seq, o)
		if s.lateFor != "" && o.id != "" {
			s.reportLate(o.id, s.lateFor)
		}
		if !ok {
			s.log.Debug("smpp: response to nothing outstanding", "seq", f.Seq, "status", Status(f.Status).Code())
		}
	case pdu.UnbindRespID: // earlier receipts are still answered
		s.out.Finish()
	case pdu.EnquireLinkRespID:
	default: // never answered: two peers could answer each other without end
		s.log.Debug("smpp: unexpected response", idAttr(f))
	}
}

// countAnswer counts a response, and notes its message_id.
func (s *session) countAnswer(status Status, o outcome) {
	if o.err != nil {
		s.count.answered(status, o.err.Class)
		return
	}
	s.count.answered(StatusOK, 0)
	if s.ledger != nil && o.id != "" && s.ledger.add(o.id) {
		s.count.collisions.Add(1)
		s.log.Warn("smpp: SMSC gives one message_id to several messages", "id", maskID(o.id))
		s.onCollision(o.id)
	}
}

// reportLate hands over a message_id that came after the message's Send returned,
// as a receipt with the state Sent.
func (s *session) reportLate(id, message string) {
	if s.ledger == nil {
		return
	}
	s.ledger.addLate(id, message)
	s.enqueue(incoming{receipt: channel.Receipt{
		ProviderID: id, MessageID: message, State: channel.Sent, Code: StatusOK.Code(), At: time.Now(),
	}})
}

// congestion returns the congestion_state of a response, or 0 if it has none.
func congestion(f wire.Frame) uint8 {
	tlvs := f.Body
	if f.ID != pdu.CancelSmRespID {
		end := bytes.IndexByte(tlvs, 0) // of message_id
		if end < 0 || end == len(tlvs)-1 {
			return 0
		}
		tlvs = tlvs[end+1:]
	}
	state, _ := wire.TLVs(tlvs).Uint8(tagCongestionState)
	return state
}

const tagCongestionState = 0x0428 // SMPP 5.0, section 4.8.4.18

// outcome returns the outcome of a request from its response.
func (s *session) outcome(f wire.Frame) outcome {
	status := Status(f.Status)
	switch {
	case status != StatusOK:
		err := refused(opSubmit, status)
		if class, ok := s.config.Classes[status]; ok {
			err.Class = class
		}
		return outcome{err: err}
	case f.ID == pdu.GenericNackID:
		return outcome{err: submitError(channel.Unknown, errNacked)}
	}
	return outcome{id: s.config.SubmitIDs.canonical(wire.DecodeID(f.Body))}
}

func (s *session) handleRequest(f wire.Frame) {
	switch f.ID {
	case pdu.DeliverSmID, pdu.DataSmID:
		s.receive(f)
	case pdu.EnquireLinkID:
		s.respond(f.Response(), StatusOK, f.Seq)
	case pdu.UnbindID:
		s.respond(f.Response(), StatusOK, f.Seq)
		s.peerUnbound.Store(true)
		s.retire(errPeerUnbound)
	case pdu.AlertNotificationID, pdu.OutbindID: // have no response
	default:
		s.log.Debug("smpp: unexpected request", idAttr(f))
		s.respond(pdu.GenericNackID, StatusInvalidCmdID, f.Seq)
	}
}

func idAttr(f wire.Frame) slog.Attr {
	return slog.String("command_id", fmt.Sprintf("0x%08X", uint32(f.ID)))
}
