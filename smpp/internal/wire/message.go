package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ajankovic/smpp/pdu"
)

// Bits of esm_class (SMPP 3.4, section 5.2.12).
const (
	EsmTypeMask     = 0x3C
	EsmReceipt      = 0x04 // SMSC delivery receipt
	EsmAcknowledged = 0x08 // delivery acknowledgement of the recipient's device
	EsmIntermediate = 0x20 // intermediate delivery notification
	EsmUDHI         = 0x40 // short_message begins with a user data header
)

// Values of data_coding (SMPP 3.4, section 5.2.19).
const (
	CodingDefault = 0 // the SMSC's own alphabet
	CodingLatin1  = 3
	CodingUCS2    = 8
)

// Longest values, without their NUL (SMPP 3.4, sections 4.4.1 and 5.2). The
// standard allows 15 and 8 characters for system_id and password, but some
// SMSCs issue longer ones.
const (
	MaxSystemID     = 64
	MaxPassword     = 64
	MaxSystemType   = 12
	MaxServiceType  = 5
	MaxAddress      = 20
	MaxTime         = 16
	MaxShortMessage = 254
	MaxAlphanumeric = 11 // source_addr of an alphanumeric sender (3GPP TS 23.040, section 9.1.2.5)
	MaxMessageID    = 64 // section 5.2.23
	MaxAddressRange = 40 // section 5.2.7
)

// ReceiptWanted is the value of registered_delivery that requests a delivery
// receipt for any outcome (SMPP 3.4, section 5.2.17).
const ReceiptWanted = 0x01

// Other values and bits of registered_delivery.
const (
	ReceiptMask        = 0x03
	ReceiptOnFailure   = 0x02
	ReceiptOnSuccess   = 0x03 // SMPP 5.0, section 4.7.21; reserved in 3.4
	IntermediateWanted = 0x10
)

// ErrTruncated is the error of a PDU that ends within a mandatory field.
var ErrTruncated = errors.New("smpp: PDU is truncated")

// A Message is the body of submit_sm and deliver_sm. data_sm has some of its
// fields.
type Message struct {
	ServiceType  string
	Source, Dest Addr
	EsmClass     uint8
	ProtocolID   uint8
	Priority     uint8
	Schedule     string
	Validity     string
	Life         time.Duration // when sending, a relative Validity; if not positive, Validity is sent
	Registered   uint8
	Replace      uint8
	DataCoding   uint8
	DefaultMsgID uint8
	UDH          []byte // when sending, sent before Short
	Short        []byte // when decoded, with any UDH
	Text         string // when sending, in place of Short: a text with the octets of its data_coding
	TLVs         TLVs
}

// Check returns an error for the first field that cannot be sent. The error
// names the field but not its value.
func (m *Message) Check() error {
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"service_type", m.ServiceType, MaxServiceType},
		{"source_addr", m.Source.Digits, MaxAddress},
		{"destination_addr", m.Dest.Digits, MaxAddress},
		{"schedule_delivery_time", m.Schedule, MaxTime},
		{"validity_period", m.Validity, MaxTime},
	} {
		if err := CheckCString(f.value, f.most); err != nil {
			return fmt.Errorf("%s %w", f.name, err)
		}
	}
	if n := m.length(); n > MaxShortMessage {
		return fmt.Errorf("short_message has %d octets, at most %d fit", n, MaxShortMessage)
	}
	return nil
}

// length returns the sm_length of a message to send.
func (m *Message) length() int { return len(m.UDH) + len(m.Short) + len(m.Text) }

// CheckCString returns an error if s cannot be a C-string field of that many
// characters. The error does not include s.
func CheckCString(s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("is longer than %d characters", most)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return errNUL
	}
	return nil
}

var errNUL = errors.New("holds a NUL")

// AppendMessage appends a submit_sm or deliver_sm. The message must pass Check.
func AppendMessage(b []byte, id pdu.CommandID, seq uint32, m *Message) []byte {
	at := len(b)
	b = begin(b, id, 0, seq)
	b = appendCString(b, m.ServiceType)
	b = appendAddr(b, m.Source)
	b = appendAddr(b, m.Dest)
	b = append(b, m.EsmClass, m.ProtocolID, m.Priority)
	b = appendCString(b, m.Schedule)
	b = appendValidity(b, m)
	b = append(b, m.Registered, m.Replace, m.DataCoding, m.DefaultMsgID, byte(m.length()))
	b = append(b, m.UDH...)
	b = append(b, m.Short...)
	b = append(b, m.Text...)
	b = append(b, m.TLVs...)
	return finish(b, at)
}

func appendValidity(b []byte, m *Message) []byte {
	if m.Life <= 0 {
		return appendCString(b, m.Validity)
	}
	return append(appendRelativeTime(b, m.Life), 0)
}

// AppendDataSM appends a data_sm, which has only some of the fields (SMPP 3.4,
// section 4.7.1).
func AppendDataSM(b []byte, seq uint32, m *Message) []byte {
	at := len(b)
	b = begin(b, pdu.DataSmID, 0, seq)
	b = appendCString(b, m.ServiceType)
	b = appendAddr(b, m.Source)
	b = appendAddr(b, m.Dest)
	b = append(b, m.EsmClass, m.Registered, m.DataCoding)
	b = append(b, m.TLVs...)
	return finish(b, at)
}

func appendAddr(b []byte, a Addr) []byte {
	return appendCString(append(b, a.TON, a.NPI), a.Digits)
}

// DecodeMessage decodes the body of a submit_sm or deliver_sm.
func DecodeMessage(body []byte) (*Message, error) {
	d := decoder{rest: bytes.Clone(body)}
	m := d.message()
	m.Short = d.take(int(d.octet()))
	m.TLVs = d.rest
	return m, d.err
}

// message reads the fields before sm_length.
func (d *decoder) message() *Message {
	m := &Message{ServiceType: d.cString(), Source: d.addr(), Dest: d.addr()}
	m.EsmClass, m.ProtocolID, m.Priority = d.octet(), d.octet(), d.octet()
	m.Schedule, m.Validity = d.cString(), d.cString()
	m.Registered, m.Replace, m.DataCoding, m.DefaultMsgID = d.octet(), d.octet(), d.octet(), d.octet()
	return m
}

// DecodeDataSM decodes the body of a data_sm.
func DecodeDataSM(body []byte) (*Message, error) {
	d := decoder{rest: bytes.Clone(body)}
	m := &Message{ServiceType: d.cString(), Source: d.addr(), Dest: d.addr()}
	m.EsmClass, m.Registered, m.DataCoding = d.octet(), d.octet(), d.octet()
	m.TLVs = d.rest
	return m, d.err
}

// DecodeID returns the C-string at the beginning of a response's body. It is
// empty if an error has no body.
func DecodeID(body []byte) string { return cString(body) }

// Payload returns the user data header and the text of the message: short_message,
// or message_payload if that is empty.
func (m *Message) Payload() (udh, text []byte) {
	text = m.Short
	if len(text) == 0 {
		text, _ = m.TLVs.Get(pdu.TagMessagePayload)
	}
	if m.EsmClass&EsmUDHI == 0 || len(text) == 0 || len(text) < 1+int(text[0]) {
		return nil, text
	}
	n := 1 + int(text[0])
	return text[:n], text[n:]
}

// A decoder reads fields from a body. After the first incomplete field, err is
// set and every result is zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.rest, d.err = nil, ErrTruncated
		return nil
	}
	v := d.rest[:n]
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) octet() byte {
	v := d.take(1)
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// cString reads up to a NUL. It does not check the length: real peers send
// addresses of 21 characters and time fields in odd forms.
func (d *decoder) cString() string {
	n := bytes.IndexByte(d.rest, 0)
	if n < 0 {
		d.rest, d.err = nil, ErrTruncated
		return ""
	}
	return string(d.take(n + 1)[:n])
}

func (d *decoder) addr() Addr {
	return Addr{TON: d.octet(), NPI: d.octet(), Digits: d.cString()}
}

func cString(b []byte) string {
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return string(b)
}
