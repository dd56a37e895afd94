package sms

import (
	"unicode/utf16"
	"unicode/utf8"
)

func encodeUCS2(text string) ([]byte, error) {
	b := make([]byte, 0, 2*utf8.RuneCountInString(text))
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !validAt(text, i):
			return nil, unencodable(text, i, r, UCS2)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			b = append(b, byte(high>>8), byte(high), byte(low>>8), byte(low))
		default:
			b = append(b, byte(r>>8), byte(r))
		}
	}
	return b, nil
}

func decodeUCS2(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", &Error{Reason: Malformed, Encoding: UCS2, Offset: len(b) - 1}
	}
	text := make([]byte, 0, len(b))
	for len(b) > 0 {
		r := unit(b)
		b = b[2:]
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(b) > 0 {
				pair = utf16.DecodeRune(r, unit(b))
			}
			if pair != utf8.RuneError {
				b = b[2:]
			}
			r = pair
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text), nil
}

// unit returns the first UTF-16 unit of b.
func unit(b []byte) rune {
	return rune(b[0])<<8 | rune(b[1])
}

// isLatin1 reports whether r is a graphic character of ISO 8859-1, a line feed
// or a carriage return.
func isLatin1(r rune) bool {
	return r >= 0x20 && r <= 0x7E || r >= 0xA0 && r <= 0xFF || r == '\n' || r == '\r'
}

func encodeLatin1(text string) ([]byte, error) {
	b := make([]byte, 0, len(text))
	for i, r := range text {
		if !isLatin1(r) {
			return nil, unencodable(text, i, r, Latin1)
		}
		b = append(b, byte(r))
	}
	return b, nil
}

func decodeLatin1(b []byte) string {
	text := make([]byte, 0, len(b))
	for _, octet := range b {
		text = utf8.AppendRune(text, rune(octet))
	}
	return string(text)
}
