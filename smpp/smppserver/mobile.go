package smppserver

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A MobileMessage is a message from a phone to an ESME (mobile-originated), for
// example an answer to a message, or STOP. It is sent as deliver_sm, a long text in
// parts with a user data header. If it is printed or logged, it shows neither text
// nor addresses.
type MobileMessage struct {
	From  string // the phone's number, with a "+" if it is international. Required.
	To    string // the ESME's number, such as a short code. Required.
	ToTON uint8  // type of number of To (SMPP 3.4, section 5.2.5). Default 0, unknown.

	// Text is sent in the encoding of data_coding 0 for the system_id, or in UCS-2 if
	// that lacks a character. It may have 255 parts.
	Text string
}

// String identifies the message without its content.
func (m MobileMessage) String() string {
	return "message from " + channel.Mask(m.From) + " to " + channel.Mask(m.To)
}

// GoString keeps the text and the addresses out of %#v.
func (m MobileMessage) GoString() string { return "smppserver.MobileMessage{" + m.String() + "}" }

// LogValue keeps the text and the addresses out of logs.
func (m MobileMessage) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalJSON is String: it keeps the text and the addresses out of logs.
func (m MobileMessage) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// DeliverMessage queues a message for a system_id and returns at once. The server
// sends it as a receipt, see [Server.Deliver]: over any receiving session, and again
// until it is acknowledged. So an ESME may receive it, or a part of it, twice.
// Shutdown and Close call Config.OnMessage for each undelivered message.
func (s *Server) DeliverMessage(systemID string, m MobileMessage) error {
	if err := m.validate(); err != nil {
		return err
	}
	coding, parts, err := m.split(s.config.alphabets(systemID).zero, sms.Ref8(uint8(s.messages.Add(1))))
	if err != nil {
		return fmt.Errorf("smppserver: MobileMessage.Text: %w", err)
	}
	whole := &mobileMessage{MobileMessage: m, coding: coding, left: len(parts)}
	all := make([]outgoing, len(parts))
	for i, p := range parts {
		all[i] = &mobilePart{whole: whole, part: p}
	}
	return s.receipts.add(systemID, all...)
}

func (m *MobileMessage) validate() error {
	v := transport.Validate("smppserver: MobileMessage.")
	v.Check(m.From != "", "From", "is required")
	v.Check(m.To != "", "To", "is required")
	v.Error("From", wire.CheckCString(m.From, maxAddress+1)) // with its "+"
	v.Error("To", wire.CheckCString(m.To, maxAddress))
	return v.Err()
}

// split returns the parts of the text and their data_coding.
func (m *MobileMessage) split(zero sms.Encoding, ref sms.Reference) (uint8, []sms.Part, error) {
	if zero != sms.UCS2 {
		if parts, err := sms.Split(m.Text, zero, ref); err == nil {
			return wire.CodingDefault, parts, nil
		}
	}
	parts, err := sms.Split(m.Text, sms.UCS2, ref)
	return wire.CodingUCS2, parts, err
}

// A mobileMessage is a MobileMessage under way.
type mobileMessage struct {
	MobileMessage
	coding uint8

	mu     sync.Mutex
	left   int   // number of parts without an end yet
	failed error // of the first part that the server gave up
}

// A mobilePart is a part of a message, or all of it.
type mobilePart struct {
	whole *mobileMessage
	part  sms.Part
}

// LogValue keeps the text and the addresses out of logs.
func (p *mobilePart) LogValue() slog.Value { return p.whole.LogValue() }

func (p *mobilePart) message(time.Time, uint8) (m *wire.Message, byDataSM bool) {
	m = &wire.Message{
		Source: phone(p.whole.From), Dest: address(p.whole.To, p.whole.ToTON),
		DataCoding: p.whole.coding, UDH: p.part.UDH, Short: p.part.Data,
	}
	if p.part.UDH != nil {
		m.EsmClass = wire.EsmUDHI
	}
	return m, false
}

// report reports the end of the message after the end of its last part.
func (p *mobilePart) report(c *Config, systemID string, err error) {
	w := p.whole
	w.mu.Lock()
	if w.failed == nil {
		w.failed = err
	}
	w.left--
	last, err := w.left == 0, w.failed
	w.mu.Unlock()
	if last && c.OnMessage != nil {
		c.OnMessage(systemID, w.MobileMessage, err)
	}
}
