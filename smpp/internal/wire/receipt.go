package wire

import (
	"strings"
)

// A Receipt holds the fields of a delivery receipt's text (SMPP 3.4, Appendix
// B) as they were written. Dates are kept as text: SMSCs use different forms
// and give no zone.
type Receipt struct {
	ID, Sub, Dlvrd       string
	SubmitDate, DoneDate string
	Stat, Err, Text      string
}

// receiptKeys are tried in this order, so that "submit date" comes before
// "sub".
var receiptKeys = [...]string{"submit date", "submit_date", "submitdate", "done date", "done_date", "donedate",
	"dlvrd", "status", "state", "stat", "text", "sub", "err", "id"}

// ParseReceipt reads a receipt's text: fields in any order and case, some
// missing, blanks after the colon, dates in any form. It reports whether it
// found an id or a state. The text after "text:" quotes the message and is
// never searched for fields.
func ParseReceipt(text string) (Receipt, bool) {
	var r Receipt
	head, tail := splitText(text)
	r.parse(head)
	r.Text = tail
	return r, r.ID != "" || r.Stat != ""
}

// splitText cuts a receipt at its "text:".
func splitText(s string) (head, tail string) {
	for i := range len(s) {
		if key, n := keyAt(s, i); key == "text" {
			return s[:i], strings.Trim(s[i+n:], " \r\n\t\x00")
		}
	}
	return s, ""
}

// parse takes every field of s, the first of each name.
func (r *Receipt) parse(s string) {
	for i := 0; i < len(s); {
		key, n := keyAt(s, i)
		if n == 0 {
			i++
			continue
		}
		i += n
		value, end := valueAt(s, i)
		if field := r.field(key); field != nil && *field == "" {
			*field = value
		}
		i = end
	}
}

func (r *Receipt) field(key string) *string {
	switch key {
	case "id":
		return &r.ID
	case "sub":
		return &r.Sub
	case "dlvrd":
		return &r.Dlvrd
	case "stat", "status", "state":
		return &r.Stat
	case "err":
		return &r.Err
	case "submit date", "submit_date", "submitdate":
		return &r.SubmitDate
	case "done date", "done_date", "donedate":
		return &r.DoneDate
	}
	return nil
}

// keyAt returns the key at s[i:], and its length with the colon. A key begins a
// word.
func keyAt(s string, i int) (key string, n int) {
	if i > 0 && isWord(s[i-1]) {
		return "", 0
	}
	rest := s[i:]
	for _, key := range receiptKeys {
		if len(rest) > len(key) && rest[len(key)] == ':' && strings.EqualFold(rest[:len(key)], key) {
			return key, len(key) + 1
		}
	}
	return "", 0
}

// valueAt returns the word at or after s[i:], unless a key comes first.
func valueAt(s string, i int) (value string, end int) {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	if _, n := keyAt(s, i); n > 0 && i > 0 && isBlank(s[i-1]) {
		return "", i
	}
	end = i
	for end < len(s) && !isBlank(s[end]) {
		end++
	}
	return s[i:end], end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 }

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '-'
}

// String writes the receipt in the form of Appendix B.
func (r Receipt) String() string {
	return "id:" + r.ID + " sub:" + r.Sub + " dlvrd:" + r.Dlvrd + " submit date:" + r.SubmitDate +
		" done date:" + r.DoneDate + " stat:" + r.Stat + " err:" + r.Err + " text:" + r.Text
}
