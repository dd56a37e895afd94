package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	lineLimit = 76 // of an encoded body (RFC 2045 §6.7, §6.8) and of a header line with encoded words (RFC 2047 §2)
	wordLimit = 75 // of an encoded word (RFC 2047 §2)
	hexDigits = "0123456789ABCDEF"
)

// appendCanonical appends text with CRLF in place of each line end (CRLF, CR or
// LF), and one at the end.
func appendCanonical(dst []byte, text string) []byte {
	returns := strings.IndexByte(text, '\r') >= 0
	for len(text) > 0 {
		end := strings.IndexByte(text, '\n')
		if returns {
			end = strings.IndexAny(text, "\r\n")
		}
		if end < 0 {
			dst = append(dst, text...)
			break
		}
		dst = append(dst, text[:end]...)
		if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
			end++
		}
		dst = append(dst, '\r', '\n')
		text = text[end+1:]
	}
	if !bytes.HasSuffix(dst, []byte("\r\n")) {
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// appendBody appends the transfer encoding's header, an empty line and the
// encoded text: quoted-printable, or base64 if that is shorter. Every line ends
// in CRLF and has at most 76 octets. No line begins with a dot or with "From ",
// because some relays would change it and so break a signature.
func appendBody(dst []byte, text string) []byte {
	canonical := appendCanonical(make([]byte, 0, len(text)+len(text)/16+2), text)
	high := 0
	for _, b := range canonical {
		high += int(b >> 7)
	}
	if 2*high > len(canonical)/3 { // quoted-printable adds 2 octets for each, base64 a third to all
		return appendBase64(append(dst, "Content-Transfer-Encoding: base64\r\n\r\n"...), canonical)
	}
	return appendQuotedPrintable(append(dst, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"...), canonical)
}

func appendBase64(dst, canonical []byte) []byte {
	const octets = lineLimit / 4 * 3
	for len(canonical) > 0 {
		line := canonical[:min(len(canonical), octets)]
		canonical = canonical[len(line):]
		dst = base64.StdEncoding.AppendEncode(dst, line)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// appendQuotedPrintable follows RFC 2045 §6.7. The text's lines end in CRLF.
func appendQuotedPrintable(dst, text []byte) []byte {
	column := 0
	for len(text) > 0 {
		if n := literal(text, lineLimit-1-column, column == 0); n > 0 {
			dst = append(dst, text[:n]...)
			text = text[n:]
			column += n
			continue
		}
		switch b := text[0]; {
		case b == '\r': // only as CRLF
			dst = append(dst, '\r', '\n')
			text = text[2:]
			column = 0
		case column+3 >= lineLimit:
			dst = append(dst, "=\r\n"...)
			column = 0
		default:
			dst = append(dst, '=', hexDigits[b>>4], hexDigits[b&15])
			text = text[1:]
			column += 3
		}
	}
	return dst
}

// literal returns how many octets at the start of text, up to room, need no
// encoding.
func literal(text []byte, room int, lineStart bool) int {
	if lineStart && (text[0] == '.' || bytes.HasPrefix(text, []byte("From "))) {
		return 0
	}
	n := 0
	for n < room && text[n] >= ' ' && text[n] <= '~' && text[n] != '=' {
		n++ // stops at the CRLF at the latest
	}
	if n > 0 && text[n-1] == ' ' && text[n] == '\r' {
		n--
	}
	return n
}

// column returns the length of the last line of b, in octets.
func column(b []byte) int { return len(b) - 1 - bytes.LastIndexByte(b, '\n') }

// appendEncodedWords appends text to a header as encoded words of RFC 2047,
// folded. Each word has whole characters.
func appendEncodedWords(dst []byte, text string) []byte {
	const overhead = len("=?utf-8?q??=")
	column := column(dst)
	asBase64 := base64IsShorter(text)
	for {
		room := min(wordLimit, lineLimit-column) - overhead
		taken := fit(text, room, asBase64)
		if taken == 0 { // the line is nearly full: begin another
			dst = append(dst, "\r\n "...)
			column = 1
			continue
		}
		dst = appendEncodedWord(dst, text[:taken], asBase64)
		text = text[taken:]
		if text == "" {
			return dst
		}
		dst = append(dst, "\r\n "...)
		column = 1
	}
}

func base64IsShorter(text string) bool {
	quoted := 0
	for i := range len(text) {
		quoted += quotedWidth(text[i])
	}
	return quoted > base64.StdEncoding.EncodedLen(len(text))
}

// fit returns how many octets of text, in whole characters, fit in room octets
// after encoding.
func fit(text string, room int, asBase64 bool) int {
	taken, width := 0, 0
	for taken < len(text) {
		_, size := utf8.DecodeRuneInString(text[taken:])
		if asBase64 {
			width = base64.StdEncoding.EncodedLen(taken + size)
		} else {
			for i := range size {
				width += quotedWidth(text[taken+i])
			}
		}
		if width > room {
			break
		}
		taken += size
	}
	return taken
}

func appendEncodedWord(dst []byte, text string, asBase64 bool) []byte {
	if asBase64 {
		dst = append(dst, "=?utf-8?b?"...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(text))
		return append(dst, "?="...)
	}
	dst = append(dst, "=?utf-8?q?"...)
	for i := range len(text) {
		switch b := text[i]; {
		case b == ' ':
			dst = append(dst, '_')
		case quotedWidth(b) == 1:
			dst = append(dst, b)
		default:
			dst = append(dst, '=', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return append(dst, "?="...)
}

// quotedWidth is the width of b in the "Q" encoding in a phrase (RFC 2047 §5
// rule 3), the strictest place.
func quotedWidth(b byte) int {
	switch {
	case b == ' ', '0' <= b && b <= '9', 'a' <= b|0x20 && b|0x20 <= 'z':
		return 1
	case b == '!', b == '*', b == '+', b == '-', b == '/':
		return 1
	}
	return 3
}
