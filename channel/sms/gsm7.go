package sms

import "unicode/utf8"

// escape is the septet before a septet of the extension table.
const escape = 0x1B

// alphabet is the default alphabet by septet (3GPP TS 23.038, section 6.2.1).
// The escape itself has no character.
var alphabet = [128]rune{
	'@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
	'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', -1, 'Æ', 'æ', 'ß', 'É',
	' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
	'¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
	'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
	'¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
}

// extension is the default extension table by the septet after the escape (3GPP
// TS 23.038, section 6.2.1.1); 0: no character.
var extension = [128]rune{
	0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
	0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
}

const (
	extended = 0x80 // set in a result of septet: an escape comes first
	notGSM7  = 0xFF

	euro       = '€' // the only character of the tables after the Greek letters
	euroSeptet = 0x65
)

// septets inverts the two tables up to the last Greek letter, so that nearly
// every lookup is one index.
var septets = func() (t ['Ω' + 1]byte) {
	for i := range t {
		t[i] = notGSM7
	}
	for code, r := range alphabet {
		if r >= 0 {
			t[r] = byte(code)
		}
	}
	for code, r := range extension {
		if r != 0 && r != euro {
			t[r] = byte(code) | extended
		}
	}
	return t
}()

// septet returns the code of r, with the extended bit if it is of the
// extension table, or notGSM7.
func septet(r rune) byte {
	if uint32(r) < uint32(len(septets)) {
		return septets[r]
	}
	if r == euro {
		return euroSeptet | extended
	}
	return notGSM7
}

func encodeGSM7(text string) ([]byte, error) {
	b := make([]byte, 0, len(text))
	for i, r := range text {
		code := septet(r)
		switch {
		case code == notGSM7:
			return nil, unencodable(text, i, r, GSM7)
		case code&extended != 0:
			b = append(b, escape, code&^extended)
		default:
			b = append(b, code)
		}
	}
	return b, nil
}

func decodeGSM7(b []byte) (string, error) {
	text := make([]byte, 0, len(b)+len(b)/8)
	escaped := false
	for i, code := range b {
		if code > 0x7F {
			return "", &Error{Reason: Malformed, Encoding: GSM7, Offset: i}
		}
		r := alphabet[code]
		switch {
		case escaped && code == escape: // reserved for another table: a space
			r = ' '
		case escaped && extension[code] != 0:
			r = extension[code]
		case code == escape:
			escaped = true
			continue
		}
		escaped = false
		text = utf8.AppendRune(text, r)
	}
	if escaped {
		text = append(text, ' ')
	}
	return string(text), nil
}
