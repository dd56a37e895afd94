package provider

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/channel/sms"
)

// fieldProviderID is a field of polls and cancellations: the provider's id.
const fieldProviderID = "provider_id"

// messageFields are the fields of a send, and whether they may be named at all.
var messageFields = map[string]bool{
	"to": true, "digits": true, "country": true, "calling_code": true, "national": true,
	"email": true, "push": true, "chat": true,
	"text": true, "code": true, "spoken": true, "spoken_text": true, "subject": true, "body": true, "html": true,
	"sender": true, "language": true, "purpose": true, "id": true, "ttl": true, "ttl_minutes": true, "expires": true,
	"now": true, "alphabet": true, "ucs2_hex": true,
}

// needed are the fields that a message must have where a template names them:
// an SMS without its text is worse than none.
var needed = map[string]bool{
	"to": true, "digits": true, "calling_code": true, "national": true, "email": true, "push": true, "chat": true,
	"text": true, "code": true, "spoken": true, "spoken_text": true, "subject": true, "body": true, "id": true,
}

// A messageSource holds what the fields of a message are made of.
type messageSource struct {
	*channel.Message
	now    time.Time
	spec   *profileSpec
	values values
}

// lookup returns a field of the message, or a value.
func (s messageSource) lookup(name string) (string, error) {
	if !messageFields[name] {
		value := s.values.of(name, s.Message)
		if dflt, known := s.spec.Values[name]; value == "" && known && dflt == nil {
			return "", fmt.Errorf("no variant of %s is for the message", valuesField(name))
		}
		return value, nil
	}
	value, err := s.field(name)
	if err == nil && value == "" && needed[name] {
		err = fmt.Errorf("the message has no %s", name)
	}
	return value, err
}

func (s messageSource) field(name string) (string, error) {
	m := s.Message
	switch name {
	case "text":
		return m.Text, nil
	case "code":
		return m.Code, nil
	case "spoken":
		return spoken(m.Code)
	case "spoken_text":
		return spokenText(m)
	case "subject":
		return m.Subject, nil
	case "body":
		return m.Body, nil
	case "html":
		return m.HTML, nil
	case "sender":
		return m.Sender, nil
	case "language":
		return language(m.Language, s.spec.Languages), nil
	case "purpose":
		return m.Purpose, nil
	case "id":
		return m.ID, nil
	case "now":
		return strconv.FormatInt(s.now.Unix(), 10), nil
	case "alphabet":
		return s.spec.Alphabets[alphabetOf(m.Text)], nil
	case "ucs2_hex":
		if alphabetOf(m.Text) == alphabetUCS2 {
			return ucs2Hex(m.Text), nil
		}
		return "", nil
	case "ttl", "ttl_minutes", "expires":
		return lifeField(m.Expires, s.now, name), nil
	}
	return addressField(m.To, name), nil
}

// addressField returns the fields that are made of a recipient's address.
func addressField(to channel.Recipient, name string) string {
	digits := strings.TrimPrefix(to.Phone, "+")
	switch name {
	case "to":
		return to.Phone
	case "digits":
		return digits
	case "email":
		return to.Email
	case "push":
		return to.Push
	case "chat":
		return to.Chat
	}
	region, known := phone.Region(to.Phone)
	if !known {
		return ""
	}
	code := strconv.Itoa(phone.CallingCode(region))
	switch name {
	case "country":
		return region
	case "calling_code":
		return code
	}
	return strings.TrimPrefix(digits, code)
}

// The alphabets of an SMS, as a profile's alphabets names them.
const (
	alphabetGSM  = "gsm"
	alphabetUCS2 = "ucs2"
)

func alphabetOf(text string) string {
	if text == "" || sms.Detect(text) == sms.GSM7 {
		return alphabetGSM
	}
	return alphabetUCS2
}

// ucs2Hex is text in UTF-16, big-endian, in hexadecimal.
func ucs2Hex(text string) string {
	units := utf16.Encode([]rune(text))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return strings.ToUpper(hex.EncodeToString(b))
}

// lifeField returns the fields about the end of a code's life, all empty where
// it has none.
func lifeField(expires, now time.Time, name string) string {
	if expires.IsZero() {
		return ""
	}
	left := expires.Sub(now)
	switch name {
	case "ttl":
		return strconv.FormatInt(int64(left/time.Second), 10)
	case "ttl_minutes":
		return strconv.FormatInt(max(int64((left+time.Minute/2)/time.Minute), 1), 10)
	}
	return expires.UTC().Format(time.RFC3339)
}

var errSpoken = errors.New("the code has other characters than letters and digits, and cannot be spelled")

// spoken spells a code: "1, 2, 3". The commas make synthetic voices pause.
func spoken(code string) (string, error) {
	letters := strings.Split(code, "")
	for _, l := range letters {
		if len(l) != 1 || (l[0] < '0' || l[0] > '9') && (l[0]|0x20 < 'a' || l[0]|0x20 > 'z') {
			return "", errSpoken
		}
	}
	return strings.Join(letters, ", "), nil
}

// spokenText is the text with its code spelled. A voice would read the code of
// another text as a number.
func spokenText(m *channel.Message) (string, error) {
	if m.Code == "" || !strings.Contains(m.Text, m.Code) {
		return "", errors.New("the message's text does not hold its code")
	}
	spelled, err := spoken(m.Code)
	return strings.ReplaceAll(m.Text, m.Code, spelled), err
}

// language returns a provider's name for a language: that of the tag, of its
// language alone, of "*", or else the tag.
func language(tag string, languages map[string]string) string {
	alone, _, _ := strings.Cut(tag, "-")
	for _, key := range []string{tag, alone, "*"} {
		if name, ok := languages[key]; ok {
			return name
		}
	}
	return tag
}
