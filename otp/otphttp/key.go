package otphttp

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// The header fields of requests.
const (
	idempotencyKey = "Idempotency-Key"
	requestID      = "Request-Id"
	subjectField   = "Otp-Subject"
)

// maxKey is the most characters of an Idempotency-Key.
const maxKey = 255

// keyOf reads the Idempotency-Key of a caller's request: a String of structured
// fields (RFC 9651 §3.3.3), or its characters without quotation marks, as most
// clients send it. It returns one of the caller's own for the Service, whose keys
// all callers share; "" if the request has none.
func keyOf(r *http.Request, c *Caller) (string, *Problem) {
	values := r.Header.Values(idempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key, ok := parseKey(values[0])
	if !ok || len(values) > 1 {
		return "", wrong(FieldError{Header: idempotencyKey,
			Detail: "it must be one string of 1 to 255 printable ASCII characters"})
	}
	sum := sha256.Sum256([]byte(c.ID + "\x00" + key)) // a key has no NUL
	return hex.EncodeToString(sum[:]), nil
}

func parseKey(s string) (key string, ok bool) {
	s = strings.Trim(s, " \t")
	if inner, quoted := strings.CutPrefix(s, `"`); quoted {
		if s, ok = unquote(inner); !ok {
			return "", false
		}
	}
	outside := strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
	return s, s != "" && len(s) <= maxKey && !outside
}

// unquote reads up to the closing quotation mark, which must be the end.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}
