package smpp

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// An IDFormat is the form in which an SMSC writes message ids. Some SMSCs write the
// id of one message in hexadecimal in the response and in decimal in the receipt.
// Config.SubmitIDs and ReceiptIDs make both the same decimal number.
type IDFormat uint8

// The formats.
const (
	IDText    IDFormat = iota // any text; only surrounding blanks are ignored
	IDHex                     // a hexadecimal number: case and leading zeros do not count
	IDDecimal                 // a decimal number: leading zeros do not count
)

// canonical returns the form in which ids are compared. An id that is not in the
// format stays as it is.
func (f IDFormat) canonical(id string) string {
	id = strings.Trim(id, " \t\r\n\x00")
	base := 10
	switch f {
	case IDText:
		return id
	case IDHex:
		base = 16
		if len(id) > 2 && strings.EqualFold(id[:2], "0x") {
			id = id[2:]
		}
	}
	if len(id) > 64 || strings.ContainsAny(id, "+-_") {
		return id
	}
	n, ok := new(big.Int).SetString(id, base)
	if !ok {
		return id
	}
	return n.String()
}

// A receiptState is the state that a receipt names, and its meaning.
type receiptState struct {
	word  string // of Appendix B
	state channel.State
	class channel.Class
}

// meanings are indexed by message_state. A message that this route could not
// deliver may be deliverable over another: Unreachable. A receipt never rules a
// number out, since error codes differ among SMSCs. A message in state UNKNOWN
// may have been delivered.
var meanings = [len(wire.States)]struct {
	state channel.State
	class channel.Class
}{
	0: {channel.Sent, 0},
	1: {channel.Sent, 0},
	2: {channel.Delivered, 0},
	3: {channel.Failed, channel.Unreachable},
	4: {channel.Failed, channel.Unreachable},
	5: {channel.Failed, channel.Unreachable},
	6: {channel.Sent, 0},
	7: {channel.Failed, channel.Unknown},
	8: {channel.Failed, channel.Unreachable},
	9: {channel.Failed, channel.Unreachable},
}

// stateOf returns the state for a message_state.
func stateOf(n uint8) receiptState {
	return receiptState{wire.States[n], meanings[n].state, meanings[n].class}
}

// stateOfWord returns the state for a word. Some SMSCs write words out or have
// their own. An unknown word is not final.
func stateOfWord(word string) receiptState {
	word = strings.ToUpper(word)
	switch word {
	case "DELIVERED":
		return stateOf(wire.StateDelivered)
	case "UNDELIVERABLE", "UNDELIVERED":
		return stateOf(wire.StateUndeliverable)
	case "FAILED":
		return receiptState{word, channel.Failed, channel.Unreachable}
	case "REJECTED":
		return stateOf(wire.StateRejected)
	}
	if n, ok := wire.StateOf(word); ok {
		return stateOf(n)
	}
	return receiptState{plain(word), channel.Sent, 0}
}

// receipt reads m as a delivery receipt. If m has the TLVs receipted_message_id and
// message_state, they replace the text. The text is trusted only if the SMSC marks
// the message as a receipt, as anyone can send "id:1 stat:DELIVRD" from a phone.
func (c *Config) receipt(m *wire.Message) (channel.Receipt, bool) {
	id := m.TLVs.String(pdu.TagReceiptedMessageID)
	kind := m.EsmClass & wire.EsmTypeMask
	if kind != wire.EsmReceipt && kind != wire.EsmIntermediate && id == "" {
		return channel.Receipt{}, false
	}
	text, _ := wire.ParseReceipt(receiptText(m))
	if id == "" {
		id = text.ID
	}
	st := stateOfWord(text.Stat)
	if n, ok := m.TLVs.Uint8(pdu.TagMessageState); ok && int(n) < len(wire.States) {
		st = stateOf(n)
	}
	if kind == wire.EsmIntermediate && st.state == channel.Failed { // so far: the SMSC goes on trying
		st.state, st.class = channel.Sent, 0
	}
	return channel.Receipt{
		ProviderID: c.ReceiptIDs.canonical(id),
		State:      st.state,
		Class:      st.class,
		Code:       receiptCode(st.word, text.Err, m.TLVs),
		At:         time.Now(),
	}, true
}

func receiptText(m *wire.Message) string {
	_, b := m.Payload()
	if m.DataCoding == wire.CodingUCS2 {
		if s, err := sms.Decode(b, sms.UCS2); err == nil {
			return s
		}
	}
	return string(b)
}

// receiptCode returns the state, and the error code of the SMSC or of the network if
// there is one: "UNDELIV err:001".
func receiptCode(word, errCode string, t wire.TLVs) string {
	code := word
	if e := plain(errCode); e != "" {
		return strings.TrimSpace(code + " err:" + e)
	}
	if v, ok := t.Get(pdu.TagNetworkErrorCode); ok && len(v) == 3 { // SMPP 3.4, section 5.3.2.31
		code += fmt.Sprintf(" net:%d/%d", v[0], int(v[1])<<8|int(v[2]))
	}
	return strings.TrimSpace(code)
}

// plain returns s if it can only be a code, else "": a receipt's text may quote the
// message.
func plain(s string) string {
	if len(s) > 10 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return ""
	}
	return s
}
