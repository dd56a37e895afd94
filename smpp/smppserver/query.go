package smppserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A QueryRequest is a query_sm, which asks for the state of one message (SMPP 3.4,
// section 4.8). If it is printed or logged, it does not show its address.
//
// Config.Query answers it. It must check that SystemID itself submitted the
// message. If the error's tree has a channel.Error, its class decides the answer:
// Temporary and Misconfigured are ESME_RSYSERR, Throttled is ESME_RTHROTTLED.
// Otherwise the answer is the [smpp.Status] in the tree. Any other error is
// ESME_RQUERYFAIL.
//
// Query is called as a [Handler] is: concurrently, with a ctx that ends with the
// connection and after Config.HandlerTimeout.
type QueryRequest struct {
	Session  *Session
	SystemID string
	Sequence uint32 // sequence_number

	ID      string // message_id; never empty
	From    string // source_addr
	FromTON uint8
}

// String identifies the request without its address.
func (r QueryRequest) String() string {
	return fmt.Sprintf("query_sm %d of %q for %q", r.Sequence, r.SystemID, r.ID)
}

// GoString keeps the address out of %#v.
func (r QueryRequest) GoString() string { return "smppserver.QueryRequest{" + r.String() + "}" }

// LogValue keeps the address out of logs.
func (r QueryRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r QueryRequest) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// A QueryResult is the state of a message.
type QueryResult struct {
	Stat      string    // the state in the words of SMPP 3.4, Appendix B, for example "DELIVRD"
	Final     time.Time // when it became final; zero: it is not final
	ErrorCode uint8     // of the network; 0: none
}

// query checks a query_sm and hands it to Config.Query.
func (s *Session) query(f wire.Frame) {
	c, h := &s.server.config, f.Header
	s.touch()
	r, status := s.acceptQuery(f)
	if status != smpp.StatusOK {
		s.respond(h, status)
		return
	}
	s.handlers.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, c.HandlerTimeout)
		defer cancel()
		result, err := c.Query(ctx, r)
		s.uncount()
		s.answerQuery(h, r, result, statusOr(err, smpp.StatusQueryFailed))
		s.checkUnbound()
	})
}

func (s *Session) answerQuery(h wire.Header, r *QueryRequest, result QueryResult, status smpp.Status) {
	state, known := wire.StateOf(result.Stat)
	if status == smpp.StatusOK && !known {
		s.server.config.Logger.Error("smppserver: Config.Query returned an unknown Stat", "stat", result.Stat)
		status = smpp.StatusQueryFailed
	}
	if status != smpp.StatusOK {
		s.respond(h, status)
		return
	}
	v := wire.QueryResp{ID: r.ID, State: state, ErrorCode: result.ErrorCode}
	if !result.Final.IsZero() {
		v.FinalDate = wire.AbsoluteTime(result.Final)
	}
	s.send(func(b []byte) []byte { return wire.AppendQueryResp(b, h.Seq, v) })
}

// acceptQuery returns the request of f, counted as outstanding, or the status that
// refuses it.
func (s *Session) acceptQuery(f wire.Frame) (*QueryRequest, smpp.Status) {
	if !s.takes() {
		return nil, smpp.StatusInvalidBindStatus
	}
	if s.server.config.Query == nil {
		return nil, smpp.StatusQueryFailed
	}
	if !s.rate.take(time.Now()) {
		return nil, smpp.StatusThrottled
	}
	v, err := wire.DecodeQuery(f.Body)
	switch {
	case err != nil:
		return nil, smpp.StatusInvalidCmdLength
	case v.ID == "", len(v.ID) > wire.MaxMessageID:
		return nil, smpp.StatusInvalidMessageID
	case len(v.Source.Digits) > maxAddress:
		return nil, smpp.StatusInvalidSource
	case !s.count():
		return nil, smpp.StatusThrottled
	}
	return &QueryRequest{
		Session: s, SystemID: s.bind.SystemID, Sequence: f.Seq,
		ID: v.ID, From: v.Source.Digits, FromTON: v.Source.TON,
	}, smpp.StatusOK
}
