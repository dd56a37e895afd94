package otp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTyped bounds what is looked at of a typed code, in octets: ten characters
// of four octets each, with separators between them.
const maxTyped = 128

// normalize returns typed as length characters of alphabet.
func normalize(typed, alphabet string, length int) (string, bool) {
	code, ok := clean(typed)
	if !ok || len(code) != length {
		return "", false
	}
	switch {
	case alphabet == strings.ToUpper(alphabet):
		code = strings.ToUpper(code)
	case alphabet == strings.ToLower(alphabet):
		code = strings.ToLower(code)
	}
	for i := range len(code) {
		if strings.IndexByte(alphabet, code[i]) < 0 {
			return "", false
		}
	}
	return code, true
}

// clean drops white space, dashes and invisible format characters, and turns
// digits of any script and full-width letters into ASCII. It reports false for
// anything that is neither, for nothing at all, and for more than maxTyped.
func clean(typed string) (string, bool) {
	if len(typed) > maxTyped || !utf8.ValidString(typed) {
		return "", false
	}
	out := make([]byte, 0, 16)
	for _, r := range typed {
		switch {
		case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z': // nearly always
			out = append(out, byte(r))
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), unicode.Is(unicode.Cf, r), r == '\u2212': // minus sign
		case unicode.IsDigit(r):
			out = append(out, '0'+digitValue(r))
		case 'Ａ' <= r && r <= 'Ｚ', 'ａ' <= r && r <= 'ｚ':
			out = append(out, byte(r-0xFEE0))
		default:
			return "", false
		}
	}
	return string(out), len(out) > 0
}

// digitValue relies on Unicode's promise that the digits of a script (general
// category Nd) stand together, in order, from a zero.
func digitValue(r rune) byte {
	for _, rg := range unicode.Nd.R16 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return byte((r - rune(rg.Lo)) % 10)
		}
	}
	for _, rg := range unicode.Nd.R32 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return byte((r - rune(rg.Lo)) % 10)
		}
	}
	return 0
}
