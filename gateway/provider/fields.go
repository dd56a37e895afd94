package provider

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/channel/sms"
)

// fieldProviderID is the only field of a poll that is no value.
const fieldProviderID = "provider_id"

// messageFields are the fields of a send, and whether they may be named at all.
var messageFields = map[string]bool{
	"to": true, "digits": true, "country": true, "text": true, "code": true, "spoken": true, "spoken_text": true,
	"sender": true, "language": true, "purpose": true, "id": true, "ttl": true, "ttl_minutes": true, "expires": true,
	"ucs2": true,
}

// needed are the fields that a message must have where a template names them:
// an SMS without its text is worse than none.
var needed = map[string]bool{
	"to": true, "digits": true, "text": true, "code": true, "spoken": true, "spoken_text": true, "id": true,
}

// messageLookup returns the fields of a message at a time, and the values.
func messageLookup(m *channel.Message, now time.Time, languages, values map[string]string) lookup {
	return func(name string) (string, error) {
		if !messageFields[name] {
			return values[name], nil
		}
		value, err := messageField(m, now, languages, name)
		if err == nil && value == "" && needed[name] {
			err = fmt.Errorf("the message has no %s", name)
		}
		return value, err
	}
}

func messageField(m *channel.Message, now time.Time, languages map[string]string, name string) (string, error) {
	switch name {
	case "to":
		return m.To.Phone, nil
	case "digits":
		return strings.TrimPrefix(m.To.Phone, "+"), nil
	case "country":
		region, _ := phone.Region(m.To.Phone)
		return region, nil
	case "text":
		return m.Text, nil
	case "code":
		return m.Code, nil
	case "spoken":
		return spoken(m.Code)
	case "spoken_text":
		return spokenText(m)
	case "sender":
		return m.Sender, nil
	case "language":
		return language(m.Language, languages), nil
	case "purpose":
		return m.Purpose, nil
	case "id":
		return m.ID, nil
	case "ucs2":
		if m.Text != "" && sms.Detect(m.Text) != sms.GSM7 {
			return "1", nil
		}
		return "", nil
	}
	return lifeField(m.Expires, now, name), nil
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
