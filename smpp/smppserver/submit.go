package smppserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Handler answers a message. If the error is nil, the message is accepted
// under the returned message_id (at most 64 characters; empty: a new random
// one). Otherwise the answer is [StatusOf] the error.
//
// A Handler is called concurrently, in a goroutine for each message. Its ctx
// ends after Config.HandlerTimeout, at Submit.Expires, and with the connection.
// The message may have been sent by then. It must return soon after its ctx
// ends.
type Handler func(ctx context.Context, m *Submit) (id string, err error)

// An AsyncHandler answers a message by a call of answer, at any time and from
// any goroutine, with the results of a [Handler]. Only the first call counts. A
// message without an answer keeps its place in the window as long as the session
// lasts.
//
// The goroutine that reads the session calls the AsyncHandler, for one message
// after the other in the order of their arrival. It must not block, because the
// session then reads nothing else. Its ctx ends with the connection. It must not
// deliver a message after Submit.Expires.
type AsyncHandler func(ctx context.Context, m *Submit, answer func(id string, err error))

// A Submit is a submit_sm or data_sm that passed the server's checks, or, with
// Config.Assemble, a complete message. If it is printed or logged, it shows
// neither text nor addresses.
//
// A long message comes in parts, by user data header or by the TLVs sar_…, each
// with a message_id of its own. Without Assemble each part is a Submit.
//
// With Assemble, the last part to come produces the Submit, and the handler's
// answer answers that part. Any earlier part is answered with ESME_ROK at once,
// because its sender may wait for the answer. If the handler asks for another
// try (a Status of class Temporary or Throttled), the server keeps the other
// parts, because the ESME repeats only the last. If a part comes again while its
// message is with the handler, it is answered with ESME_RTHROTTLED. If a message
// is not complete after 5 minutes, its parts are forgotten. If 1000 messages of
// one system_id are incomplete, the first part of another is answered with
// ESME_RMSGQFUL.
//
// Text is decoded by data_coding:
//
//	0x00                   Config.Alphabet, or Config.Alphabets
//	0x01                   IA5 (ASCII) or GSM 03.38, whichever it can be, or Config.Alphabets
//	0x02, 0x04             UTF-8 if the octets are valid, else Latin-1
//	0x03                   Latin-1
//	0x05, 0x09, 0x0A, 0x0D ISO-2022-JP, JIS X 0208, Shift JIS or EUC-JP, whichever it is
//	0x06, 0x07             ISO 8859-5, ISO 8859-8
//	0x08                   UCS-2 with surrogates; little-endian if a mark or Latin text shows it
//	0x0E                   KS C 5601 (EUC-KR)
//	0x10 and above         as in 3GPP TS 23.038, section 4: with a message class,
//	                       for deletion, message waiting; the alphabet of 0x00, UCS-2 or octets
//
// If the octets are not valid in their data_coding, they are read as UTF-8 or
// Latin-1.
type Submit struct {
	Session  *Session
	SystemID string
	Sequence uint32 // sequence_number

	From    string // source_addr
	FromTON uint8
	To      string // destination_addr, with a "+" if its TON is international
	ToTON   uint8

	Text       string // decoded
	Data       []byte // the received octets of the text, without its user data header
	DataCoding uint8  // with Assemble the last part's

	Part, Parts int      // 1 of 1 unless this is a part
	Reference   int      // of the long message, its sender's number for it
	PartIDs     []string // message_ids of the earlier parts; with Assemble only

	// Expires is the end of the message's validity_period, relative or absolute;
	// with Assemble the earliest of its parts. Zero: none. The message must not
	// be delivered later. Validity is the time from the arrival to Expires.
	Expires  time.Time
	Validity time.Duration

	Receipt     bool  // a delivery receipt is requested; see WantsReceipt
	Registered  uint8 // registered_delivery; with Assemble the requests of all parts
	ServiceType string
	ProtocolID  uint8
	Priority    uint8

	tlvs     wire.TLVs
	receipts []DeliveryReceipt
	long     *concat.Message // the assembled message; nil: it came whole
}

// TLV returns the value of an optional parameter. The caller must not change it.
func (m *Submit) TLV(tag uint16) ([]byte, bool) { return m.tlvs.Get(pdu.TagID(tag)) }

// Deliver queues a receipt for the system_id that submitted the message, by
// [Server.Deliver], once the message is answered with ESME_ROK. If r.ID is
// empty, the receipt is for this message: one for each of its parts, from its
// destination to its sender, if WantsReceipt is true for r.Stat. The handler
// must call Deliver before it answers.
func (m *Submit) Deliver(r DeliveryReceipt) { m.receipts = append(m.receipts, r) }

// String identifies the message without its content.
func (m Submit) String() string {
	return fmt.Sprintf("submit_sm %d of %q to %s", m.Sequence, m.SystemID, channel.Mask(m.To))
}

// GoString keeps text and addresses out of %#v.
func (m Submit) GoString() string { return "smppserver.Submit{" + m.String() + "}" }

// LogValue keeps text and addresses out of logs.
func (m Submit) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalJSON is String: it keeps the text and the addresses out of logs.
func (m Submit) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// StatusOf returns the answer for a handler's error: the [smpp.Status] in its
// tree, or StatusOfClass of its class.
//
// If the tree has a [channel.Error] too, its class decides, and a Status of
// another class is not used. For example, if some parts of a message were
// accepted, its class is Unknown. The Status that refused the rest must not make
// the ESME send the message again. A Status that refused a bind to an SMSC
// behind the server is not used either.
func StatusOf(err error) smpp.Status {
	if err == nil {
		return smpp.StatusOK
	}
	class := channel.ClassOf(err)
	s, ok := errors.AsType[smpp.Status](err)
	if !ok || s == smpp.StatusOK {
		return StatusOfClass(class)
	}
	if e, ok := errors.AsType[*channel.Error](err); ok && e != nil &&
		(s.Class() != class || wire.RefusesBind(uint32(s))) {
		return StatusOfClass(class)
	}
	return s
}

// StatusOfClass returns the status for a class. Its Class is the same class
// again, with two exceptions: Misconfigured is answered with ESME_RSYSERR,
// because the peer's configuration is right, and Expired with ESME_RINVEXPIRY.
func StatusOfClass(c channel.Class) smpp.Status {
	switch c {
	case channel.Temporary, channel.Misconfigured:
		return smpp.StatusSystemError
	case channel.Throttled:
		return smpp.StatusThrottled
	case channel.Unreachable:
		return smpp.StatusSubmitFailed
	case channel.InvalidRecipient:
		return smpp.StatusInvalidDestination
	case channel.Expired:
		return smpp.StatusInvalidExpiry
	}
	return smpp.StatusUnknownError
}

// submit checks a submit_sm or data_sm and passes it on.
func (s *Session) submit(f wire.Frame) {
	m, status := s.accept(f)
	if status != smpp.StatusOK {
		s.respond(f.Header, status)
		return
	}
	if s.server.config.Assemble && m.Parts > 1 {
		var id string
		if m, id, status = s.server.assemble(m, time.Now()); m == nil {
			s.uncount()
			s.answer(f.Header, id, status)
			s.checkUnbound()
			return
		}
	}
	s.dispatch(f.Header, m)
}

// accept returns the message of f, counted as outstanding, or the status that
// refuses it.
func (s *Session) accept(f wire.Frame) (*Submit, smpp.Status) {
	if !s.takes() {
		return nil, smpp.StatusInvalidBindStatus
	}
	now := time.Now()
	if !s.rate.take(now) {
		return nil, smpp.StatusThrottled
	}
	m, err := decodeSubmit(f)
	if err != nil {
		return nil, smpp.StatusInvalidCmdLength
	}
	c := &s.server.config
	if status := c.check(m); status != smpp.StatusOK {
		return nil, status
	}
	expires, ok := expiry(f.ID, m, now)
	switch {
	case !ok:
		return nil, smpp.StatusInvalidExpiry
	case !s.count():
		return nil, smpp.StatusThrottled
	}
	v := s.describe(m)
	v.Session, v.SystemID, v.Sequence = s, s.bind.SystemID, f.Seq
	v.expire(expires, now)
	return v, smpp.StatusOK
}

func decodeSubmit(f wire.Frame) (*wire.Message, error) {
	if f.ID == pdu.DataSmID {
		return wire.DecodeDataSM(f.Body)
	}
	return wire.DecodeMessage(f.Body)
}

// expiry returns the end of a message's validity_period, or of the TLV
// qos_time_to_live, which data_sm has instead. It is zero if there is none.
// expiry returns false if the time has passed or cannot be read: the server
// refuses a code that may be out of date.
func expiry(id pdu.CommandID, m *wire.Message, now time.Time) (time.Time, bool) {
	if ttl, has := m.TLVs.Get(pdu.TagQosTimeToLive); has && id == pdu.DataSmID {
		if len(ttl) != 4 {
			return time.Time{}, false
		}
		seconds := binary.BigEndian.Uint32(ttl)
		return now.Add(time.Duration(seconds) * time.Second), seconds > 0
	}
	if m.Validity == "" {
		return time.Time{}, true
	}
	t, ok := wire.ParseTime(m.Validity, now)
	return t, ok && now.Before(t)
}

// expire sets the end of the message's life.
func (m *Submit) expire(t, now time.Time) {
	m.Expires, m.Validity = t, 0
	if !t.IsZero() {
		m.Validity = t.Sub(now)
	}
}

// isExpired reports whether the message must no longer be delivered.
func (m *Submit) isExpired(now time.Time) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

func (s *Session) count() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outstanding >= s.server.config.Window {
		return false
	}
	s.outstanding++
	return true
}

func (s *Session) uncount() {
	s.mu.Lock()
	s.outstanding--
	s.mu.Unlock()
}

// dispatch passes m to the handler.
func (s *Session) dispatch(h wire.Header, m *Submit) {
	c := &s.server.config
	if c.AsyncHandler != nil {
		var answered atomic.Bool
		c.AsyncHandler(s.ctx, m, func(id string, err error) {
			if answered.CompareAndSwap(false, true) {
				s.complete(h, m, id, err)
			}
		})
		return
	}
	s.handlers.Go(func() {
		by := time.Now().Add(c.HandlerTimeout)
		if !m.Expires.IsZero() && m.Expires.Before(by) {
			by = m.Expires
		}
		ctx, cancel := context.WithDeadline(s.ctx, by)
		defer cancel()
		id, err := c.Handler(ctx, m)
		s.complete(h, m, id, err)
	})
}

// complete answers a message after its handler.
func (s *Session) complete(h wire.Header, m *Submit, id string, err error) {
	status := StatusOf(err)
	if id == "" {
		id = newMessageID()
	}
	if len(id) > wire.MaxMessageID || strings.IndexByte(id, 0) >= 0 {
		s.server.config.Logger.Error("smppserver: handler returned a message_id that cannot be sent")
		status = smpp.StatusSystemError
	}
	if m.long != nil { // before the answer, after which the last part may come again
		s.server.assembled(m.long, status)
	}
	s.uncount()
	s.answer(h, id, status)
	if status == smpp.StatusOK {
		s.server.deliverAll(m, id)
	}
	s.checkUnbound()
}

func (s *Session) answer(h wire.Header, id string, status smpp.Status) {
	if status != smpp.StatusOK {
		s.respond(h, status)
		return
	}
	s.send(func(b []byte) []byte { return wire.AppendID(b, h.Response(), 0, h.Seq, id) })
}

func newMessageID() string { return strings.ToLower(rand.Text()[:20]) } // 100 bits

// maxAddress is the longest accepted address: one character more than SMPP 3.4
// allows without the NUL, as in OTP Blue's integration guide.
const maxAddress = 21

// check returns the status that refuses a message, or StatusOK.
func (c *Config) check(m *wire.Message) smpp.Status {
	udh, data := m.Payload()
	switch {
	case !isWhole(m.TLVs):
		return smpp.StatusInvalidTLVStream
	case len(m.ServiceType) > wire.MaxServiceType:
		return smpp.StatusInvalidServiceType
	case len(m.Source.Digits) > maxAddress, m.Source.TON == wire.TONAlphanumeric &&
		len(m.Source.Digits) > wire.MaxAlphanumeric:
		return smpp.StatusInvalidSource
	case !c.checkDest(m.Dest):
		return smpp.StatusInvalidDestination
	case m.Schedule != "": // now would be too early
		return smpp.StatusInvalidSchedule
	case m.EsmClass&wire.EsmUDHI != 0 && udh == nil:
		return smpp.StatusInvalidEsmClass
	case len(data) > c.MaxMessage:
		return smpp.StatusInvalidMsgLength
	}
	return smpp.StatusOK
}

// isWhole reports whether every TLV is complete. Trailing NULs are no TLV.
func isWhole(t wire.TLVs) bool {
	for len(t) >= 4 {
		n := 4 + int(t[2])<<8 + int(t[3])
		if n > len(t) {
			return false
		}
		t = t[n:]
	}
	return len(bytes.Trim(t, "\x00")) == 0
}

func (c *Config) checkDest(a wire.Addr) bool {
	if len(a.Digits) == 0 || len(a.Digits) > maxAddress {
		return false
	}
	if !c.RequireE164 {
		return true
	}
	number := channel.Recipient{Phone: "+" + strings.TrimPrefix(a.Digits, "+")}
	return a.TON <= wire.TONInternational && number.Validate() == nil
}

// describe returns the message for the handler.
func (s *Session) describe(m *wire.Message) *Submit {
	udh, data := m.Payload()
	v := &Submit{
		From: m.Source.Digits, FromTON: m.Source.TON, To: m.Dest.Number(), ToTON: m.Dest.TON,
		Data: data, DataCoding: m.DataCoding, Text: s.alphabets.decode(data, m.DataCoding),
		Part: 1, Parts: 1,
		Registered: m.Registered, Receipt: m.Registered&wire.ReceiptMask != 0,
		ServiceType: m.ServiceType, ProtocolID: m.ProtocolID, Priority: m.Priority,
		tlvs: m.TLVs,
	}
	if h, ok := concat.ReadHeader(udh, m.TLVs); ok {
		v.Reference, v.Parts, v.Part = h.Reference, h.Parts, h.Part
	}
	return v
}
