package wire

import (
	"bytes"
	"encoding/binary"

	"github.com/ajankovic/smpp/pdu"
)

// DecodeUncounted decodes the body of a deliver_sm whose sm_length is too large:
// short_message is the rest. If another field is incomplete, it returns an error.
func DecodeUncounted(body []byte) (*Message, error) {
	d := decoder{rest: bytes.Clone(body)}
	m := d.message()
	length := d.octet()
	if d.err == nil {
		m.Short = d.take(min(int(length), len(d.rest)))
	}
	m.TLVs = d.rest
	return m, d.err
}

// maxUncounted is the largest number of octets between short_message and the
// parameters.
const maxUncounted = 512

// receiptTags are the parameters of a receipt.
var receiptTags = [...]pdu.TagID{
	pdu.TagReceiptedMessageID, pdu.TagMessageState, pdu.TagNetworkErrorCode, pdu.TagMessagePayload,
}

// CutUncounted returns the octets after short_message that are neither counted by
// its sm_length nor parameters: the rest of the text, or a NUL. If the parameters
// of a receipt follow, they become m.TLVs. Use it only if the SMSC marks the
// message as a receipt, because a text could imitate parameters.
func (m *Message) CutUncounted() []byte {
	all := m.TLVs
	if len(all) == 0 || all.whole() {
		return nil
	}
	for i := 1; i < min(len(all), maxUncounted); i++ {
		if rest := all[i:]; rest.beginsReceipt() && rest.whole() {
			m.TLVs = rest
			return all[:i]
		}
	}
	if all.beginsReceipt() { // damaged after its first parameter
		return nil
	}
	return all[:min(len(all), maxUncounted)]
}

// whole reports whether t ends with a parameter, or with NULs after one.
func (t TLVs) whole() bool {
	for len(t) >= 4 {
		n := int(binary.BigEndian.Uint16(t[2:]))
		if n > len(t)-4 {
			return false
		}
		t = t[4+n:]
	}
	return len(bytes.Trim(t, "\x00")) == 0
}

func (t TLVs) beginsReceipt() bool {
	if len(t) < 4 {
		return false
	}
	tag := pdu.TagID(binary.BigEndian.Uint16(t))
	for _, known := range receiptTags {
		if tag == known {
			return true
		}
	}
	return false
}
