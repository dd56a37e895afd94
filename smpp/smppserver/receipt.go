package smppserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A DeliveryReceipt reports to an ESME the state of a message that it
// submitted. It is sent as deliver_sm with the TLVs receipted_message_id and
// message_state, and with the text of SMPP 3.4, Appendix B. If it is printed or
// logged, its addresses are masked.
type DeliveryReceipt struct {
	// ID is the message_id of the submit_sm_resp. Required.
	ID string

	// From is the message's destination and To its sender, as in Submit.To and
	// Submit.From: the receipt goes in the other direction.
	From, To string
	ToTON    uint8

	// Stat is the state in the words of Appendix B. Default "DELIVRD".
	Stat string

	// Err is the error code in the text. It may have 3 characters. Default
	// "000".
	Err string

	// Submitted and Done are the dates in the text, to the minute, in UTC.
	// Default: when the receipt is sent.
	Submitted, Done time.Time

	// TextOnly leaves out the TLVs, and TLVOnly the text. An ESME with an
	// interface_version before 3.4 gets only text, by deliver_sm.
	TextOnly, TLVOnly bool

	// DataSM sends data_sm instead of deliver_sm, with the text as
	// message_payload.
	DataSM bool
}

// String identifies the receipt.
func (r DeliveryReceipt) String() string {
	return fmt.Sprintf("receipt %s %s for %s", r.ID, r.Stat, channel.Mask(r.From))
}

// GoString keeps addresses out of %#v.
func (r DeliveryReceipt) GoString() string { return "smppserver.DeliveryReceipt{" + r.String() + "}" }

// LogValue keeps addresses out of logs.
func (r DeliveryReceipt) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r DeliveryReceipt) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// validate returns an error that names the first invalid field. The error does
// not hold its value.
func (r *DeliveryReceipt) validate() error {
	v := transport.Validate("smppserver: DeliveryReceipt.")
	v.Check(r.ID != "", "ID", "is required")
	for _, f := range []struct {
		name, value string
		most        int
		blanks      bool // allowed: the field is not in the text
	}{
		{"ID", r.ID, wire.MaxMessageID, false},
		{"From", r.From, maxAddress + 1, true}, // with its "+"
		{"To", r.To, maxAddress, true},
		{"Stat", r.Stat, 16, false},
		{"Err", r.Err, 3, false},
	} {
		v.Error(f.name, wire.CheckCString(f.value, f.most))
		v.Check(f.blanks || !strings.ContainsAny(f.value, " \r\n\t"), f.name, "holds a blank")
	}
	return v.Err()
}

func (r *DeliveryReceipt) report(c *Config, systemID string, err error) {
	if c.OnReceipt != nil {
		c.OnReceipt(systemID, *r, err)
	}
}

// message returns the receipt as it goes over the wire. A version before 3.4 has
// neither TLVs nor data_sm.
func (r *DeliveryReceipt) message(now time.Time, version uint8) (m *wire.Message, byDataSM bool) {
	v := *r
	if version < wire.Version34 {
		v.TextOnly, v.TLVOnly, v.DataSM = true, false, false
	}
	return v.encode(now), v.DataSM
}

func (r *DeliveryReceipt) encode(now time.Time) *wire.Message {
	stat, code := r.Stat, r.Err
	if stat == "" {
		stat = wire.States[wire.StateDelivered]
	}
	if code == "" {
		code = "000"
	}
	text := wire.Receipt{
		ID: r.ID, Sub: "001", Dlvrd: "000", SubmitDate: receiptDate(r.Submitted, now),
		DoneDate: receiptDate(r.Done, now),
		Stat:     stat, Err: code,
	}
	if stat == wire.States[wire.StateDelivered] {
		text.Dlvrd = "001"
	}
	m := &wire.Message{Source: phone(r.From), Dest: address(r.To, r.ToTON), EsmClass: wire.EsmReceipt}
	if !r.TextOnly {
		m.TLVs = m.TLVs.Append(pdu.TagReceiptedMessageID, append([]byte(r.ID), 0))
		if state, ok := wire.StateOf(stat); ok {
			m.TLVs = m.TLVs.Append(pdu.TagMessageState, []byte{state})
		}
	}
	switch {
	case r.TLVOnly:
	case r.DataSM:
		m.TLVs = m.TLVs.Append(pdu.TagMessagePayload, []byte(text.String()))
	default:
		m.Short = []byte(text.String())
	}
	return m
}

func receiptDate(t, now time.Time) string {
	if t.IsZero() {
		t = now
	}
	return t.UTC().Format("0601021504")
}

// address returns the address of an ESME.
func address(digits string, ton uint8) wire.Addr {
	a := wire.Addr{TON: ton, Digits: digits}
	if ton == wire.TONInternational {
		a.NPI = wire.NPIE164
	}
	return a
}

// phone returns the address for a number with or without its "+".
func phone(s string) wire.Addr {
	if digits, ok := strings.CutPrefix(s, "+"); ok {
		return wire.Addr{TON: wire.TONInternational, NPI: wire.NPIE164, Digits: digits}
	}
	return wire.Addr{Digits: s}
}

// A pendingReceipt is a receipt that awaits its answer.
type pendingReceipt struct {
	seq      uint32
	deadline time.Time
	over     bool // answered, or given up; guarded by Session.mu
	done     func(smpp.Status, error)
}

func (d *pendingReceipt) finish(status smpp.Status, err error) {
	if d.done != nil {
		d.done(status, err)
	}
}

// Reasons why a receipt has no answer.
var (
	errSessionEnded = errors.New("smppserver: session has ended")
	errNotReceiver  = errors.New("smppserver: session is not bound as receiver or transceiver")
	errUnanswered   = errors.New("smppserver: receipt was not answered in time")
	errNoRoom       = errors.New("smppserver: too many receipts await an answer")
)

// maxPending is the largest number of receipts that may await an answer in one
// session.
const maxPending = 10_000

// Deliver sends a receipt over this session, once; [Server.Deliver] repeats. It
// does not wait. Later answered is called with the peer's answer, unless
// answered is nil. If no answer came within Config.ReceiptTimeout, or if the
// session ended, it is called with an error. answered must not block. If
// Deliver returns an error, answered is not called. The error is an
// ErrUndelivered, unless r itself cannot be sent.
func (s *Session) Deliver(r DeliveryReceipt, answered func(smpp.Status, error)) error {
	if err := r.validate(); err != nil {
		return err
	}
	if err := s.deliver(&r, answered); err != nil {
		return fmt.Errorf("%w: %w", ErrUndelivered, err)
	}
	return nil
}

// deliver is Deliver for any valid outgoing.
func (s *Session) deliver(v outgoing, answered func(smpp.Status, error)) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pending == nil || s.state.Load() != stateBound:
		return errSessionEnded
	case !s.bind.CanReceive:
		return errNotReceiver
	case len(s.pending) >= maxPending || s.out.Queued() > wire.MaxBacklog:
		return errNoRoom
	}
	m, byDataSM := v.message(now, s.bind.Version)
	d := &pendingReceipt{seq: s.nextSeq(), deadline: now.Add(s.server.config.ReceiptTimeout), done: answered}
	_, err := s.out.Append(func(b []byte) []byte {
		if byDataSM {
			return wire.AppendDataSM(b, d.seq, m)
		}
		return wire.AppendMessage(b, pdu.DeliverSmID, d.seq, m)
	})
	if err != nil {
		return errSessionEnded
	}
	s.pending[d.seq] = d
	s.order = append(s.order, d)
	if len(s.order) == 1 {
		s.wakeKeeper()
	}
	return nil
}

// answered handles the answer to a receipt. A peer that answers receipts is
// active, even if it sends nothing else, as a receiver.
func (s *Session) answered(h wire.Header) {
	s.mu.Lock()
	d := s.pending[h.Seq]
	if d != nil {
		delete(s.pending, h.Seq)
		d.over = true
		s.trim()
	}
	s.mu.Unlock()
	if d == nil {
		return
	}
	s.touch()
	status := smpp.Status(h.Status)
	if h.ID == pdu.GenericNackID && status == smpp.StatusOK {
		status = smpp.StatusUnknownError
	}
	d.finish(status, nil)
}

// trim drops answered receipts from the front of order. s.mu is held.
func (s *Session) trim() {
	for len(s.order) > 0 && s.order[0].over {
		s.order[0] = nil
		s.order = s.order[1:]
	}
}

// overdue ends the receipts without an answer in time, and returns the time
// until the next would end.
func (s *Session) overdue(now time.Time) time.Duration {
	var late []*pendingReceipt
	left := s.server.config.MaxSession
	s.mu.Lock()
	for s.trim(); len(s.order) > 0; s.trim() {
		d := s.order[0]
		if left = d.deadline.Sub(now); left > 0 {
			break
		}
		d.over = true
		delete(s.pending, d.seq)
		late = append(late, d)
		left = s.server.config.MaxSession
	}
	s.mu.Unlock()
	for _, d := range late {
		d.finish(0, errUnanswered)
	}
	return left
}
