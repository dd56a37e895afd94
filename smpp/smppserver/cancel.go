package smppserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A CancelRequest is a cancel_sm for one message (SMPP 3.4, section 4.9). If it
// is printed or logged, it does not show its addresses.
//
// Config.Cancel answers it. A nil error means that the message is withdrawn and
// will not be delivered. Cancel must check that SystemID itself submitted the
// message, and that the addresses are the message's. If the error's tree has a
// [channel.Error], its class decides the answer: Temporary and Misconfigured
// are ESME_RSYSERR, Throttled is ESME_RTHROTTLED. Otherwise the answer is the
// [smpp.Status] in the tree. Any other error is ESME_RCANCELFAIL.
//
// Cancel is called as a [Handler] is: concurrently, with a ctx that ends with the
// connection and after Config.HandlerTimeout.
type CancelRequest struct {
	Session  *Session
	SystemID string
	Sequence uint32 // sequence_number

	ID      string // message_id; never empty
	From    string // source_addr
	FromTON uint8
	To      string // destination_addr as in a Submit; empty: not given
	ToTON   uint8
}

// String identifies the request without its addresses.
func (r CancelRequest) String() string {
	return fmt.Sprintf("cancel_sm %d of %q for %q", r.Sequence, r.SystemID, r.ID)
}

// GoString keeps addresses out of %#v.
func (r CancelRequest) GoString() string { return "smppserver.CancelRequest{" + r.String() + "}" }

// LogValue keeps addresses out of logs.
func (r CancelRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r CancelRequest) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// withdraw checks a cancel_sm and hands it to Config.Cancel.
func (s *Session) withdraw(f wire.Frame) {
	c, h := &s.server.config, f.Header
	if c.Cancel == nil {
		s.refuse(h)
		return
	}
	s.touch()
	r, status := s.acceptCancel(f)
	if status != smpp.StatusOK {
		s.respond(h, status)
		return
	}
	s.handlers.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, c.HandlerTimeout)
		defer cancel()
		status := statusOr(c.Cancel(ctx, r), smpp.StatusCancelFailed)
		s.uncount()
		s.respond(h, status)
		s.checkUnbound()
	})
}

// acceptCancel returns the request of f, counted as outstanding, or the status
// that refuses it.
func (s *Session) acceptCancel(f wire.Frame) (*CancelRequest, smpp.Status) {
	if !s.takes() {
		return nil, smpp.StatusInvalidBindStatus
	}
	if !s.rate.take(time.Now()) {
		return nil, smpp.StatusThrottled
	}
	v, err := wire.DecodeCancel(f.Body)
	switch {
	case err != nil:
		return nil, smpp.StatusInvalidCmdLength
	case len(v.ServiceType) > wire.MaxServiceType:
		return nil, smpp.StatusInvalidServiceType
	case len(v.ID) > wire.MaxMessageID:
		return nil, smpp.StatusInvalidMessageID
	case len(v.Source.Digits) > maxAddress:
		return nil, smpp.StatusInvalidSource
	case len(v.Dest.Digits) > maxAddress:
		return nil, smpp.StatusInvalidDestination
	case v.ID == "":
		return nil, smpp.StatusCancelFailed
	case !s.count():
		return nil, smpp.StatusThrottled
	}
	return &CancelRequest{
		Session: s, SystemID: s.bind.SystemID, Sequence: f.Seq,
		ID: v.ID, From: v.Source.Digits, FromTON: v.Source.TON, To: v.Dest.Number(), ToTON: v.Dest.TON,
	}, smpp.StatusOK
}

// statusOr returns the answer for an error of Config.Cancel or Config.Query;
// other is the answer for errors without a class. A Status from another SMSC is
// not passed on; its class is.
func statusOr(err error, other smpp.Status) smpp.Status {
	if err == nil {
		return smpp.StatusOK
	}
	if e, ok := errors.AsType[*channel.Error](err); !ok || e == nil {
		if s, ok := errors.AsType[smpp.Status](err); ok && s != smpp.StatusOK {
			return s
		}
		return other
	}
	switch class := channel.ClassOf(err); class {
	case channel.Temporary, channel.Misconfigured, channel.Throttled:
		return StatusOfClass(class)
	}
	return other
}
