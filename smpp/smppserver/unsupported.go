package smppserver

import (
	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// version50 is SMPP 5.0 as interface_version.
const version50 = 0x50

// unsupported holds the commands that the server knows but does not serve: the
// version of SMPP that introduced each, and the status that refuses it (SMPP 5.0,
// section 4.7.6).
var unsupported = map[pdu.CommandID]struct {
	since  uint8
	status smpp.Status
}{
	pdu.SubmitMultiID: {0, smpp.StatusSubmitFailed},
	pdu.ReplaceSmID:   {0, smpp.StatusReplaceFailed},
	0x111:             {version50, 0x10C}, // broadcast_sm, ESME_RBCASTFAIL
	0x112:             {version50, 0x10D}, // query_broadcast_sm, ESME_RBCASTQUERYFAIL
	0x113:             {version50, 0x10E}, // cancel_broadcast_sm, ESME_RBCASTCANCELFAIL
}

// refuseUnsupported answers a command that the server does not serve. If the
// peer's version of SMPP has the command, the answer is its status in
// unsupported; otherwise the command is unknown.
func (s *Session) refuseUnsupported(h wire.Header) {
	v, known := unsupported[h.ID]
	switch {
	case !known, v.since > s.version():
		s.refuse(h)
	case !s.takes():
		s.respond(h, smpp.StatusInvalidBindStatus)
	default:
		s.respond(h, v.status)
	}
}

// version returns the interface_version of the bind; 0 before it.
func (s *Session) version() uint8 {
	if s.state.Load() == stateOpen {
		return 0
	}
	return s.bind.Version
}
