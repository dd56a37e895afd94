package smpp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// An Inbound is a message from a person (mobile originated), for example STOP. It
// prints without its text and with its numbers masked.
type Inbound struct {
	From, To string // as the SMSC writes them; international numbers begin with "+"
	Text     string // of all parts
}

// String masks the message.
func (m Inbound) String() string {
	return "SMS from " + channel.Mask(m.From) + " to " + channel.Mask(m.To)
}

// GoString masks the message.
func (m Inbound) GoString() string { return "smpp.Inbound{" + m.String() + "}" }

// LogValue masks the message.
func (m Inbound) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalJSON is String: it keeps the addresses and the text out of logs.
func (m Inbound) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// receive takes a deliver_sm or data_sm. It never blocks, because the reader
// must not stop. Each must be answered, because an SMSC repeats an unanswered
// one without end.
func (s *session) receive(f wire.Frame) {
	decode := wire.DecodeMessage
	if f.ID == pdu.DataSmID {
		decode = wire.DecodeDataSM
	}
	m, err := decode(f.Body)
	if err != nil && f.ID == pdu.DeliverSmID {
		if whole, failure := wire.DecodeUncounted(f.Body); failure == nil {
			if _, isReceipt := s.config.receipt(whole); isReceipt {
				m, err = whole, nil
			}
		}
	}
	if err != nil {
		s.log.Warn("smpp: malformed message from the SMSC", idAttr(f), slog.Any("error", err))
		s.respond(f.Response(), StatusInvalidCmdLength, f.Seq)
		return
	}
	d := incoming{response: f.Response(), seq: f.Seq}
	r, isReceipt := s.config.receipt(m)
	d.receipt = r.Receipt
	if isReceipt {
		s.count.receipts[r.state].Add(1)
	}
	switch {
	case !isReceipt && s.config.Inbound != nil && m.EsmClass&wire.EsmTypeMask == 0:
		d.message = m
		s.enqueue(d)
		return
	case !isReceipt:
		s.log.Debug("smpp: message dropped that is no delivery receipt", idAttr(f))
	case d.receipt.ProviderID == "":
		s.log.Warn("smpp: delivery receipt without a message id", "code", d.receipt.Code)
	case s.config.Receipt != nil:
		d.receipt.MessageID = s.ledger.message(d.receipt.ProviderID)
		s.ledger.match(unmatched{
			id: d.receipt.ProviderID, at: time.Now(), counted: s.count, host: s.host,
		}, s.inbox.spawn)
		s.enqueue(d)
		return
	}
	s.respond(f.Response(), StatusOK, f.Seq)
}

func (s *session) handOverOne(ctx context.Context, d incoming, long *concat.Reassembler) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.ResponseTimeout)
	defer cancel()
	if d.message == nil {
		return s.config.Receipt(ctx, d.receipt)
	}
	data, done, err := reassemble(long, d.message)
	if data == nil { // other parts are missing
		return err
	}
	err = s.config.Inbound(ctx, Inbound{
		From: d.message.Source.Number(), To: d.message.Dest.Number(),
		Text: wire.DecodeText(data, s.config.encoding(d.message.DataCoding)),
	})
	done(err == nil)
	return err
}

// inboundLimits bound the parts of incomplete messages from people. All parts
// have one owner, and one person cannot use up the limit.
var inboundLimits = concat.Limits{
	Life: 10 * time.Minute, PerOwner: 256, PerSender: 8, Octets: 255 * wire.MaxShortMessage,
}

// reassemble takes a message from a person, or a part of one. If the message is
// complete, it returns the message's octets, not nil, and a function for the
// outcome. If the outcome is a refusal, the message waits for its last part
// again.
func reassemble(r *concat.Reassembler, m *wire.Message) (data []byte, done func(taken bool), err error) {
	udh, text := m.Payload()
	h, ok := concat.ReadHeader(udh, m.TLVs)
	if !ok || len(text) > wire.MaxShortMessage {
		return append([]byte{}, text...), func(bool) {}, nil
	}
	key := concat.Key{From: m.Source.Digits, To: m.Dest.Digits, Reference: h.Reference, Parts: h.Parts}
	long, _, err := r.Add(key, h.Part, concat.Part{Text: text})
	switch {
	case errors.Is(err, concat.ErrTooLong): // a repetition would have the same length
		return nil, nil, nil
	case long == nil:
		return nil, nil, err
	}
	return long.Text(), func(taken bool) {
		if taken {
			r.Forget(long)
		} else {
			r.Retry(long)
		}
	}, nil
}

// encoding returns the encoding of a message from the SMSC: the last of Codings
// with its data_coding decides. An unknown data_coding is read as Latin-1.
func (c *Config) encoding(coding uint8) sms.Encoding {
	for _, own := range slices.Backward(c.Codings) {
		if own.DataCoding == coding {
			return own.Encoding
		}
	}
	if coding == wire.CodingDefault {
		return sms.GSM7
	}
	return wire.Encoding(coding, sms.Latin1)
}
