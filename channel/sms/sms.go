package sms

import (
	"fmt"
	"unicode/utf8"
)

// Encoding is how the characters of a message become octets. In SMPP it
// chooses data_coding (SMPP 3.4, section 5.2.19).
type Encoding uint8

const (
	// GSM7 is the GSM 7-bit default alphabet with its default extension
	// table, unpacked: one septet to an octet, as SMPP carries data_coding 0.
	GSM7 Encoding = iota
	// UCS2 is UTF-16, big-endian, without a byte order mark (data_coding 8).
	// Characters beyond the BMP are surrogate pairs: the standard knows only
	// UCS-2, but phones read UTF-16.
	UCS2
	// Latin1 is ISO 8859-1 (data_coding 3), for an SMSC that requires it.
	// Detect never chooses it.
	Latin1
)

func (e Encoding) String() string {
	switch e {
	case GSM7:
		return "GSM-7"
	case UCS2:
		return "UCS-2"
	case Latin1:
		return "Latin-1"
	}
	return fmt.Sprintf("Encoding(%d)", uint8(e))
}

// width returns how many units a valid r takes, or 0 if e does not have it. A
// segment counts units: septets, UTF-16 units, or octets of Latin-1.
func (e Encoding) width(r rune) int {
	switch e {
	case GSM7:
		switch code := septet(r); {
		case code == notGSM7:
			return 0
		case code&extended != 0:
			return 2
		}
		return 1
	case UCS2:
		if r > 0xFFFF {
			return 2
		}
		return 1
	case Latin1:
		if isLatin1(r) {
			return 1
		}
	}
	return 0
}

// Detect returns the cheaper of GSM7 and UCS2 that can encode text.
func Detect(text string) Encoding {
	for _, r := range text {
		if septet(r) == notGSM7 {
			return UCS2
		}
	}
	return GSM7
}

// Encode returns text in e. If a character does not fit, the [*Error] names the
// first such character and its offset.
func Encode(text string, e Encoding) ([]byte, error) {
	switch e {
	case GSM7:
		return encodeGSM7(text)
	case UCS2:
		return encodeUCS2(text)
	case Latin1:
		return encodeLatin1(text)
	}
	return nil, &Error{Reason: UnknownEncoding, Encoding: e}
}

// Decode returns the text of b, which must be in e. Like a phone, Decode shows
// as much as possible. An escape with a septet that the extension table lacks
// becomes the character of the default alphabet (3GPP TS 23.038, section
// 6.2.1.1). An escape at the end becomes a space, and half a surrogate pair
// becomes U+FFFD. Decode refuses an octet over 0x7F in GSM7 and an odd length
// in UCS2: b is then in another encoding.
//
// Join the parts of a message before decoding it: some senders cut a surrogate
// pair or an escape in two.
func Decode(b []byte, e Encoding) (string, error) {
	switch e {
	case GSM7:
		return decodeGSM7(b)
	case UCS2:
		return decodeUCS2(b)
	case Latin1:
		return decodeLatin1(b), nil
	}
	return "", &Error{Reason: UnknownEncoding, Encoding: e}
}

// Reason says why a text was refused.
type Reason uint8

// The reasons.
const (
	Unencodable     Reason = iota + 1 // Encode: the encoding lacks a character
	NotUTF8                           // Encode: the text is not valid UTF-8
	Malformed                         // Decode: the octets are not in that encoding
	TooLong                           // Split: more than MaxParts parts
	UnknownEncoding                   // not one of the constants
)

// Error is the type of every error of this package.
type Error struct {
	Reason   Reason
	Encoding Encoding
	Offset   int  // in bytes from the start of the input, for the first three reasons
	Char     rune // the character, for Unencodable
}

func (e *Error) Error() string {
	switch e.Reason {
	case Unencodable:
		return fmt.Sprintf("sms: %U at offset %d is not in %v", e.Char, e.Offset, e.Encoding)
	case NotUTF8:
		return fmt.Sprintf("sms: text is not UTF-8 at offset %d", e.Offset)
	case Malformed:
		return fmt.Sprintf("sms: octets are not %v at offset %d", e.Encoding, e.Offset)
	case TooLong:
		return fmt.Sprintf("sms: text needs more than %d parts in %v", MaxParts, e.Encoding)
	}
	return fmt.Sprintf("sms: unknown encoding %d", uint8(e.Encoding))
}

// unencodable returns the error for r at offset of text.
func unencodable(text string, offset int, r rune, e Encoding) *Error {
	if r == utf8.RuneError && !validAt(text, offset) {
		return &Error{Reason: NotUTF8, Encoding: e, Offset: offset}
	}
	return &Error{Reason: Unencodable, Encoding: e, Offset: offset, Char: r}
}

// validAt reports whether the U+FFFD at offset is a character of the text.
// Otherwise it stands for an invalid byte.
func validAt(text string, offset int) bool {
	_, size := utf8.DecodeRuneInString(text[offset:])
	return size > 1
}
