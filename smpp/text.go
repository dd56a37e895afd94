package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Coding is a data_coding and its meaning for the SMSC (SMPP 3.4, section
// 5.2.19). 0 is the SMSC's own alphabet: usually GSM 03.38, sometimes Latin-1.
type Coding struct {
	DataCoding uint8
	Encoding   sms.Encoding
}

// A LongForm is the form of a text that does not fit in one short message.
type LongForm uint8

// The forms.
const (
	LongUDH     LongForm = iota // parts with a user data header
	LongSAR                     // parts with the parameters sar_msg_ref_num, sar_total_segments and sar_segment_seqnum
	LongPayload                 // one submit_sm with the parameter message_payload: the SMSC makes the parts
)

// A TLV is an optional parameter of submit_sm (SMPP 3.4, section 3.2.4), for
// example India's DLT entity id 0x1400 and template id 0x1401. The value is sent
// unchanged: a C-octet string must end in NUL.
type TLV struct {
	Tag   uint16
	Value []byte
}

// maxTLVs is the largest size of the parameters of one message, in octets.
const maxTLVs = 16 << 10

// ownTags are the parameters that the client sets itself.
var ownTags = []pdu.TagID{
	pdu.TagMessagePayload, pdu.TagSarMsgRefNum, pdu.TagSarTotalSegments, pdu.TagSarSegmentSeqnum,
}

// appendTLVs appends parameters to t. It does not write to the memory of t.
func appendTLVs(t wire.TLVs, all []TLV) (wire.TLVs, error) {
	t = slices.Clip(t)
	for _, v := range all {
		if slices.Contains(ownTags, pdu.TagID(v.Tag)) {
			return nil, fmt.Errorf("parameter 0x%04X is set by the client itself", v.Tag)
		}
		if len(t)+len(v.Value) > maxTLVs {
			return nil, fmt.Errorf("parameters have more than %d octets", maxTLVs)
		}
		t = t.Append(pdu.TagID(v.Tag), v.Value)
	}
	return t, nil
}

// A composed message is ready to be sent.
type composed struct {
	submit wire.Message // common fields of the parts
	parts  []sms.Part   // nil: submit is the only part
	tlvs   wire.TLVs    // of each part
	sar    uint16       // sar_msg_ref_num of the parts; valid if bySAR
	bySAR  bool
	cost   int // of each part, in messages: more than one if the SMSC makes the parts
}

// count returns the number of parts.
func (c *composed) count() int { return max(len(c.parts), 1) }

// part returns the submit_sm of one part. It is valid until the next call.
func (c *composed) part(i int) *wire.Message {
	m := &c.submit
	if c.parts == nil {
		return m
	}
	m.UDH, m.Short = c.parts[i].UDH, c.parts[i].Data
	if c.bySAR {
		m.UDH = nil
		m.TLVs = slices.Clip(c.tlvs).
			Append(pdu.TagSarMsgRefNum, binary.BigEndian.AppendUint16(nil, c.sar)).
			Append(pdu.TagSarTotalSegments, []byte{byte(len(c.parts))}).
			Append(pdu.TagSarSegmentSeqnum, []byte{byte(i + 1)})
	}
	return m
}

// encode fills in the text.
func (c *composed) encode(text string, config *Config, ref uint32) error {
	if len(config.Codings) == 0 && isPlainText(text) { // most codes: no check of each character's encoding
		c.submit.Text, c.cost = text, 1
		return nil
	}
	reference := sms.Ref8(uint8(ref))
	if config.Long == LongSAR {
		reference, c.sar = sms.Ref16(uint16(ref)), uint16(ref)
	}
	coding, parts, err := config.split(text, reference)
	if err != nil {
		return submitError(channel.Misconfigured, err)
	}
	c.submit.DataCoding, c.parts, c.cost = coding.DataCoding, parts, 1
	if len(parts) == 1 {
		return nil
	}
	switch config.Long {
	case LongSAR:
		c.bySAR, c.tlvs = true, c.submit.TLVs
	case LongPayload:
		data, err := sms.Encode(text, coding.Encoding)
		if err != nil {
			return submitError(channel.Misconfigured, err)
		}
		c.submit.TLVs = slices.Clip(c.submit.TLVs).Append(pdu.TagMessagePayload, data)
		c.parts, c.cost = []sms.Part{{}}, len(parts)
	default:
		c.submit.EsmClass |= wire.EsmUDHI
	}
	return nil
}

// maxPlain is the largest number of GSM 03.38 characters of one short message.
const maxPlain = 160

// isPlainText reports whether text fits in one short message, and each character is
// one octet with the same code in GSM 03.38 and ASCII.
func isPlainText(text string) bool {
	if len(text) > maxPlain {
		return false
	}
	for i := range len(text) {
		if !plainOctets[text[i]] {
			return false
		}
	}
	return true
}

// plainOctets are the octets with the same meaning in ASCII and in GSM 03.38.
var plainOctets = func() (same [256]bool) {
	for _, c := range "\n\r !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		same[c] = true
	}
	return same
}()

// split encodes text in the first coding that can hold it.
func (c *Config) split(text string, ref sms.Reference) (Coding, []sms.Part, error) {
	if len(c.Codings) == 0 {
		coding := Coding{wire.CodingDefault, sms.Detect(text)}
		if coding.Encoding == sms.UCS2 {
			coding.DataCoding = wire.CodingUCS2
		}
		parts, err := sms.Split(text, coding.Encoding, ref)
		return coding, parts, err
	}
	var failure error
	for _, coding := range c.Codings {
		parts, err := sms.Split(text, coding.Encoding, ref)
		if err == nil {
			return coding, parts, nil
		}
		failure = err
		if e, ok := errors.AsType[*sms.Error](err); !ok || e.Reason != sms.Unencodable {
			break
		}
	}
	return Coding{}, nil, failure
}
