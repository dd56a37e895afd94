package smppserver

import (
	"encoding/binary"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// handleBind answers a bind. It runs in the reader: nothing else is read before
// the bind is answered.
func (s *Session) handleBind(f wire.Frame) {
	b, err := wire.DecodeBind(f.Body)
	r := BindRequest{
		Session: s, SystemID: b.SystemID, Password: b.Password, SystemType: b.SystemType, Version: b.Version,
		RemoteAddr: s.RemoteAddr(),
		CanSubmit:  f.ID != pdu.BindReceiverID, CanReceive: f.ID != pdu.BindTransmitterID,
	}
	status := smpp.StatusInvalidCmdLength
	switch {
	case s.state.Load() != stateOpen:
		status = smpp.StatusAlreadyBound
	case err == nil:
		status = s.checkBind(r)
		if status == smpp.StatusOK && !s.server.enterBound(s, r.SystemID) {
			status = smpp.StatusAlreadyBound
		}
	}
	s.answerBind(f.Header, r, status)
}

func (s *Session) answerBind(h wire.Header, r BindRequest, status smpp.Status) {
	c := &s.server.config
	if c.OnBind != nil {
		c.OnBind(r, status)
	}
	if status != smpp.StatusOK {
		c.Logger.Warn("smppserver: bind refused", "session", s.number, "bind", r, "status", status.Code())
		s.respond(h, status)
		if s.state.Load() == stateOpen {
			s.finish(errBindRefused)
		}
		return
	}
	if !s.enter(h, r) {
		return
	}
	c.Logger.Info("smppserver: bound", "session", s.number, "bind", r)
	if r.CanReceive {
		s.server.receipts.enter(s)
	}
}

// enter makes the session bound and answers the bind, unless the session has
// ended meanwhile. The answer must be the first PDU to the bound session,
// before any unbind.
func (s *Session) enter(h wire.Header, r BindRequest) bool {
	r.Password = ""
	var limit *rate
	if tps := s.server.config.TPS; tps != nil {
		limit = s.server.rates.bind(r.SystemID, tps(r.SystemID))
	}
	alphabets := s.server.config.alphabets(r.SystemID)
	s.touch()
	s.mu.Lock()
	s.bind, s.rate, s.alphabets = r, limit, alphabets
	entered := s.state.CompareAndSwap(stateOpen, stateBound)
	if entered {
		_, _ = s.out.Append(func(b []byte) []byte { return appendBindResp(b, h, r.Version, s.server.config.SystemID) })
	}
	s.mu.Unlock()
	if !entered {
		s.server.rates.release(limit)
		return false
	}
	s.wakeKeeper()
	return true
}

// checkBind returns the answer to a bind. It checks, in this order, the list of
// allowed addresses, the blocked addresses, and the system_id and password.
func (s *Session) checkBind(r BindRequest) smpp.Status {
	c := &s.server.config
	exact, source := bindSource(r.RemoteAddr)
	if !c.allows(exact) || !s.server.guard.begin(s.ctx, source) {
		return smpp.StatusBindFailed
	}
	status := smpp.StatusSystemError // for the guard, if Authenticate panics
	defer func() { s.server.guard.end(source, status) }()
	switch {
	case len(r.SystemID) > wire.MaxSystemID:
		status = smpp.StatusInvalidSystemID
	case len(r.Password) > wire.MaxPassword:
		status = smpp.StatusInvalidPassword
	default:
		status = c.Authenticate(s.ctx, r)
	}
	return status
}

// appendBindResp appends the answer to an accepted bind, with the TLV
// sc_interface_version (SMPP 3.4, section 5.3.2.25) unless the peer's version
// has no TLVs (section 3.4).
func appendBindResp(b []byte, h wire.Header, version uint8, systemID string) []byte {
	at := len(b)
	b = wire.AppendID(b, h.Response(), 0, h.Seq, systemID)
	if version < wire.Version34 {
		return b
	}
	b = append(b, wire.TLVs(nil).Append(pdu.TagScInterfaceVersion, []byte{wire.Version34})...)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}
