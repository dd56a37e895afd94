package smpp

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// An IDFormat is the form in which an SMSC writes message ids. Some SMSCs write the
// id of one message in hexadecimal in the response and in decimal in the receipt.
// Config.SubmitIDs and ReceiptIDs convert both to one decimal number.
type IDFormat uint8

// The formats.
const (
	IDText    IDFormat = iota // any text; only surrounding blanks are ignored
	IDHex                     // a hexadecimal number; case and leading zeros are ignored
	IDDecimal                 // a decimal number; leading zeros are ignored
)

// canonical returns the form for comparing ids. An id in another format is
// unchanged.
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

// A report is a delivery receipt in the SMSC's words.
type report struct {
	channel.Receipt
	state MessageState
}

// receipt reads m as a delivery receipt. The TLVs receipted_message_id and
// message_state take precedence over the text. Without them, the text is trusted
// only if the SMSC marks the message as a receipt, or if
// Config.ReceiptsInPlainMessages is set: anyone can send "id:1 stat:DELIVRD" from a
// phone.
func (c *Config) receipt(m *wire.Message) (report, bool) {
	kind := m.EsmClass & wire.EsmTypeMask
	var uncounted []byte
	if kind != 0 || c.ReceiptsInPlainMessages {
		uncounted = m.CutUncounted()
	}
	id := m.TLVs.String(pdu.TagReceiptedMessageID)
	value, _ := m.TLVs.Get(pdu.TagMessageState)
	marked := kind == wire.EsmIntermediate || kind&wire.EsmReceipt != 0
	if !marked && id == "" && value == nil && kind != wire.EsmAcknowledged &&
		(kind != 0 || !c.ReceiptsInPlainMessages) {
		return report{}, false
	}
	text := readReceipt(m, uncounted)
	if !marked && id == "" && (text.ID == "" || text.Stat == "" && value == nil) {
		return report{}, false
	}
	if id == "" {
		id = text.ID
	}
	st, known := c.stateOfTLV(value)
	if !known {
		st, _ = c.stateOfWord(text.Stat)
	}
	meaning := meanings[st.number]
	if kind == wire.EsmIntermediate && meaning.state == channel.Failed { // not final: the SMSC continues to try
		meaning = meanings[MessageEnroute]
	}
	return report{channel.Receipt{
		ProviderID: c.ReceiptIDs.canonical(id),
		State:      meaning.state,
		Class:      meaning.class,
		Code:       receiptCode(st.word, text.Err, m.TLVs),
		At:         time.Now(),
	}, st.number}, true
}

// readReceipt reads the text of a receipt, whatever its data_coding and sm_length
// say. It tries several readings, and takes the first that finds the most of id and
// state.
func readReceipt(m *wire.Message, uncounted []byte) wire.Receipt {
	_, b := m.Payload()
	readings := [][]byte{b}
	if m.EsmClass&wire.EsmUDHI != 0 { // perhaps without a header
		readings = append(readings, m.Short)
	}
	if len(uncounted) > 0 {
		readings = append(readings, slices.Concat(b, uncounted))
	}
	if payload, ok := m.TLVs.Get(pdu.TagMessagePayload); ok && len(m.Short) > 0 {
		readings = append(readings, payload)
	}
	decodings := [...]func([]byte) string{asOctets, asUCS2, asUCS2LittleEndian, asPackedGSM7}
	order := [...]int{0, 1, 2, 3}
	if m.DataCoding&^0x03 == wire.CodingUCS2 { // with any message class
		order = [...]int{1, 0, 2, 3}
	}
	var best wire.Receipt
	found := -1
	for _, octets := range readings {
		for _, i := range order {
			r, n := readText(decodings[i](octets))
			if n > found {
				best, found = r, n
			}
			if found == 2 {
				return best
			}
		}
	}
	return best
}

// readText reads a text, and returns how many of id and state it has. If a text is
// only the word of a state, it has that state.
func readText(text string) (r wire.Receipt, found int) {
	r, _ = wire.ParseReceipt(text)
	if word := strings.Trim(text, " \t\r\n\x00"); r.ID == "" && r.Stat == "" && len(word) <= 20 {
		if _, known := standardState(stateKey(word)); known && !isDigits(word) {
			r.Stat = word
		}
	}
	if r.ID != "" {
		found++
	}
	if r.Stat != "" {
		found++
	}
	return r, found
}

func asOctets(b []byte) string { return string(b) }

func asUCS2(b []byte) string {
	s, err := sms.Decode(b[:len(b)&^1], sms.UCS2)
	if err != nil {
		return ""
	}
	return s
}

func asUCS2LittleEndian(b []byte) string {
	swapped := make([]byte, len(b)&^1)
	for i := range swapped {
		swapped[i] = b[i^1]
	}
	return asUCS2(swapped)
}

// asPackedGSM7 reads eight characters in seven octets (3GPP TS 23.038, section
// 6.1.2.1). The letters, digits and colons of a receipt have the codes of ASCII.
func asPackedGSM7(b []byte) string {
	septets := make([]byte, 0, len(b)*8/7)
	bits, n := uint(0), 0
	for _, octet := range b {
		bits |= uint(octet) << n
		for n += 8; n >= 7; n -= 7 {
			septets = append(septets, byte(bits&0x7F))
			bits >>= 7
		}
	}
	s, err := sms.Decode(septets, sms.GSM7)
	if err != nil {
		return ""
	}
	return s
}

// receiptCode returns the state, and the error code of the SMSC or of the network
// if there is one, for example "UNDELIV err:001".
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
