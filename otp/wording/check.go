package wording

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

const (
	maxBrand   = 32
	minCode    = 4
	maxCode    = 32
	maxMinutes = 7 * 24 * 60
	maxTry     = 99
	maxDetails = 200
	maxPurpose = 64
	maxID      = 128
	maxLink    = 2000
	maxHost    = 253 // RFC 1035 section 2.3.4, as text
	maxLabel   = 63
)

func (c *Config) check() error {
	bad := func(field, reason string) error { return &Error{Field: "Config." + field, Reason: reason} }
	switch {
	case c.Brand == "":
		return bad("Brand", "is required")
	case c.Brand != strings.TrimSpace(c.Brand):
		return bad("Brand", "begins or ends with a space")
	case c.AppHash != "" && !isAppHash(c.AppHash):
		return bad("AppHash", "is not 11 characters of base64")
	case c.Origin != "" && !isHost(c.Origin):
		return bad("Origin", "is not a host name such as example.com (no scheme, port or path; IDN as xn--…)")
	}
	if fault := line(c.Brand, maxBrand); fault != "" {
		return bad("Brand", fault)
	}
	return nil
}

func (d *Data) check() error {
	bad := func(field, reason string) error {
		return &Error{Language: d.Language, Field: "Data." + field, Reason: reason}
	}
	switch {
	case len(d.Code) < minCode || len(d.Code) > maxCode:
		return bad("Code", "is not 4 to 32 characters long")
	case !isGraphic(d.Code):
		return bad("Code", "contains other characters than printable ASCII without spaces")
	case d.Minutes < 1 || d.Minutes > maxMinutes:
		return bad("Minutes", "is not 1 to 10080")
	case d.Try < 0 || d.Try > maxTry:
		return bad("Try", "is not 0 to 99")
	case len(d.ChallengeID) > maxID || !isGraphic(d.ChallengeID):
		return bad("ChallengeID", "is not at most 128 characters of printable ASCII without spaces")
	}
	if d.Details == "" {
		return nil
	}
	if strings.TrimSpace(plain(d.Details)) == "" {
		return bad("Details", "is blank")
	}
	if fault := line(plain(d.Details), maxDetails); fault != "" {
		return bad("Details", fault)
	}
	if !balanced(d.Details) {
		return bad("Details", "has an isolate without its end, or an end without its isolate")
	}
	return nil
}

// line returns the reason why s must not stand in a line of a text, or "". A
// control character could forge a header or a last line. A bidirectional
// control could show another amount or payee than was sent. (Details may have
// isolates: their order ends with them.)
func line(s string, most int) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	if utf8.RuneCountInString(s) > most {
		return "is too long"
	}
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return "contains a control character or a line break"
		case unicode.Is(unicode.Bidi_Control, r):
			return "contains a bidirectional control character"
		}
	}
	return ""
}

func isPrintable(s string) bool { return isGraphic(strings.ReplaceAll(s, " ", "")) }

func isGraphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isLatin(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || isLatin(c)
}

func isSign(r rune) bool { return r >= utf8.RuneSelf || !isAlphanumeric(byte(r)) }

func isHost(s string) bool {
	if len(s) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isAlphanumeric(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

// canonical returns the key of a tag in a Set.
func canonical(s string) (language.Tag, string, error) {
	if len(s) > maxTag {
		return language.Und, "", errTooLong
	}
	tag, err := language.Parse(s)
	if err != nil {
		return language.Und, "", err
	}
	// The macrolanguage "no" is used for Bokmål.
	if base, _ := tag.Base(); base.String() == "no" {
		tag = language.Make("nb" + strings.TrimPrefix(tag.String(), "no"))
	}
	return tag, tag.String(), nil
}

var errTooLong = errors.New("tag is too long")
