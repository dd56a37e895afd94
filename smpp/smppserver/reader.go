package smppserver

import (
	"errors"
	"fmt"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// send queues a response or an unbind. If more than 1 MiB of them wait, the
// session ends, because the peer does not read. Receipts have a limit of their
// own. After the end the frame is dropped.
func (s *Session) send(frame func([]byte) []byte) {
	if owed, _ := s.out.Respond(frame); owed > wire.MaxBacklog {
		s.end(errUnread)
	}
}

// respond answers without a body.
func (s *Session) respond(h wire.Header, status smpp.Status) {
	s.send(func(b []byte) []byte { return wire.AppendEmpty(b, h.Response(), uint32(status), h.Seq) })
}

// nextSeq returns the next free sequence number. s.mu is held.
func (s *Session) nextSeq() uint32 {
	for {
		s.seq = s.seq%wire.MaxSequence + 1
		if s.pending[s.seq] == nil {
			return s.seq
		}
	}
}

// read handles frames until the connection fails.
func (s *Session) read() error {
	in := wire.NewReader(s.conn)
	in.Limit = wire.HeaderLen + s.server.config.MaxMessage + maxFields
	for {
		f, err := in.Next()
		switch {
		case errors.Is(err, wire.ErrFrameLength):
			s.respond(wire.Header{ID: pdu.GenericNackID}, smpp.StatusInvalidCmdLength)
			s.finish(err)
			<-s.ended
			return err
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		if in.Skipped() {
			s.handleLong(f)
		} else {
			s.handle(f)
		}
		if s.finished {
			<-s.ended
			return errUnbinding
		}
	}
}

// maxFields is the largest size of a PDU without its message, in octets: mandatory
// fields and other TLVs.
const maxFields = 4 << 10

// handleLong answers a PDU that is too long for memory. Unless it is a message,
// the PDU is handled as if it had no body.
func (s *Session) handleLong(f wire.Frame) {
	if f.ID != pdu.SubmitSmID && f.ID != pdu.DataSmID {
		s.handle(f)
		return
	}
	s.touch()
	status := smpp.StatusInvalidMsgLength
	if !s.takes() {
		status = smpp.StatusInvalidBindStatus
	}
	s.respond(f.Header, status)
}

func (s *Session) handle(f wire.Frame) {
	switch f.ID {
	case pdu.BindTransceiverID, pdu.BindTransmitterID, pdu.BindReceiverID:
		s.handleBind(f)
	case pdu.SubmitSmID, pdu.DataSmID:
		s.touch()
		s.submit(f)
	case pdu.QuerySmID:
		s.query(f)
	case pdu.CancelSmID:
		s.withdraw(f)
	case pdu.EnquireLinkID:
		s.touch()
		s.respond(f.Header, smpp.StatusOK)
	case pdu.UnbindID:
		s.handleUnbind(f.Header)
	case pdu.UnbindRespID:
		s.mu.Lock()
		s.unbindAnswered = true // before the server has unbound, it is remembered
		s.mu.Unlock()
		s.peerUnbound()
	case pdu.DeliverSmRespID, pdu.DataSmRespID, pdu.GenericNackID:
		s.answered(f.Header)
	default:
		if f.IsResponse() { // never answered: two peers could answer each other without end
			return
		}
		s.refuseUnsupported(f.Header)
	}
}

// refuse answers a command that the server does not know.
func (s *Session) refuse(h wire.Header) {
	s.server.config.Logger.Debug("smppserver: unexpected request", "session", s.number, "command_id",
		fmt.Sprintf("0x%08X", uint32(h.ID)))
	s.respond(wire.Header{ID: pdu.GenericNackID, Seq: h.Seq}, smpp.StatusInvalidCmdID)
}

// finish closes the connection once every queued frame is written. Nothing more is
// read: after a refused bind the peer must not send the next guess. Only the
// reader calls it.
func (s *Session) finish(cause error) {
	s.finished = true
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	s.mu.Unlock()
	s.out.Finish()
}

// touch notes that the peer is active.
func (s *Session) touch() { s.active.Store(int64(time.Since(s.opened))) }

func (s *Session) handleUnbind(h wire.Header) {
	if s.state.Load() == stateOpen { // only the connection must end
		s.respond(h, smpp.StatusOK)
		s.finish(errPeerLeft)
		return
	}
	s.mu.Lock()
	s.peerUnbind = &h
	s.mu.Unlock()
	s.unbind(errPeerLeft)
	s.peerUnbound()
}
