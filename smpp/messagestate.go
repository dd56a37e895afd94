package smpp

import (
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A MessageState is a message_state (SMPP 3.4, section 5.2.28): the progress of
// a message at the SMSC.
type MessageState uint8

// The states. The comment is the word of a receipt's text.
const (
	MessageScheduled     MessageState = iota // SCHEDULED, of SMPP 5.0
	MessageEnroute                           // ENROUTE
	MessageDelivered                         // DELIVRD
	MessageExpired                           // EXPIRED
	MessageDeleted                           // DELETED
	MessageUndeliverable                     // UNDELIV
	MessageAccepted                          // ACCEPTD
	MessageUnknown                           // UNKNOWN
	MessageRejected                          // REJECTD
	MessageSkipped                           // SKIPPED, of SMPP 5.0
	messageOther                             // a word or number of the SMSC's own
	messageStates
)

// String returns the word for a receipt's text, for example "DLVRD", or "OTHER"
// for a state outside the standard.
func (s MessageState) String() string {
	if s < messageOther {
		return wire.States[s]
	}
	return "OTHER"
}

// A receiptState is the state in a receipt.
type receiptState struct {
	word   string // as the SMSC writes it; the word of Appendix B for the states of the standard
	number MessageState
}

// meanings are indexed by MessageState. If this route could not deliver a
// message, another may: the class is Unreachable. A receipt never makes a number
// invalid, because error codes differ among SMSCs. A message in state UNKNOWN
// may have been delivered. An SMSC's own state is not final.
var meanings = [messageStates]struct {
	state channel.State
	class channel.Class
}{
	MessageScheduled:     {channel.Sent, 0},
	MessageEnroute:       {channel.Sent, 0},
	MessageDelivered:     {channel.Delivered, 0},
	MessageExpired:       {channel.Failed, channel.Unreachable},
	MessageDeleted:       {channel.Failed, channel.Unreachable},
	MessageUndeliverable: {channel.Failed, channel.Unreachable},
	MessageAccepted:      {channel.Sent, 0},
	MessageUnknown:       {channel.Failed, channel.Unknown},
	MessageRejected:      {channel.Failed, channel.Unreachable},
	MessageSkipped:       {channel.Failed, channel.Unreachable},
	messageOther:         {channel.Sent, 0},
}

// writtenOut are other spellings of the standard's words, in upper case and
// without "_" and "-".
var writtenOut = map[string]receiptState{
	"DELIVERED":     {"DELIVRD", MessageDelivered},
	"DELIVERD":      {"DELIVRD", MessageDelivered},
	"UNDELIVERABLE": {"UNDELIV", MessageUndeliverable},
	"UNDELIVERED":   {"UNDELIV", MessageUndeliverable},
	"UNDELIVRD":     {"UNDELIV", MessageUndeliverable},
	"NOTDELIVERED":  {"UNDELIV", MessageUndeliverable},
	"FAILED":        {"FAILED", MessageUndeliverable},
	"REJECTED":      {"REJECTD", MessageRejected},
	"ACCEPTED":      {"ACCEPTD", MessageAccepted},
	"ENROUTE":       {"ENROUTE", MessageEnroute},
}

// stateKey returns the form for comparing the keys of Config.ReceiptStates:
// upper case, and no leading zeros of a number.
func stateKey(word string) string {
	word = strings.ToUpper(strings.TrimSpace(word))
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return word
}

// stateOfWord returns the state for a word or number in a receipt's text.
// Config.ReceiptStates takes precedence over the standard and its other
// spellings.
func (c *Config) stateOfWord(word string) (st receiptState, known bool) {
	key := stateKey(word)
	if n, ok := c.ReceiptStates[key]; ok {
		return receiptState{plain(strings.ToUpper(word)), n}, true
	}
	if st, ok := standardState(key); ok {
		return st, true
	}
	return receiptState{plain(strings.ToUpper(word)), messageOther}, false
}

// standardState returns the state for a stateKey of the standard, or of another
// spelling.
func standardState(key string) (receiptState, bool) {
	if n, ok := wire.StateOf(key); ok {
		return receiptState{wire.States[n], MessageState(n)}, true
	}
	if st, ok := writtenOut[strings.NewReplacer("_", "", "-", "").Replace(key)]; ok {
		return st, true
	}
	if n, err := strconv.ParseUint(key, 10, 8); err == nil && n < uint64(messageOther) {
		return receiptState{wire.States[n], MessageState(n)}, true
	}
	return receiptState{}, false
}

// stateOfTLV returns the state for the value of message_state. The value is a
// number of one or more octets, or, against the standard, a word or the digits
// of a number.
func (c *Config) stateOfTLV(v []byte) (receiptState, bool) {
	if len(v) == 0 || len(v) > 16 {
		return receiptState{}, false
	}
	if n, ok := number(v); ok {
		if own, ok := c.ReceiptStates[strconv.FormatUint(n, 10)]; ok {
			return receiptState{strconv.FormatUint(n, 10), own}, true
		}
		if n < uint64(messageOther) {
			return receiptState{wire.States[n], MessageState(n)}, true
		}
	}
	text := strings.Trim(string(v), "\x00 ")
	if text == "" || plain(text) == "" && len(text) <= 10 {
		return receiptState{}, false
	}
	return c.stateOfWord(text)
}

// number reads v as a number of at most four octets.
func number(v []byte) (n uint64, ok bool) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n, len(v) <= 4
}
