package provider

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // providers ask for it; nothing here relies on it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
)

// The filters that other files name.
const (
	filterNumber = "number"
	filterXML    = "xml"
	filterJSON   = "json"
	filterURL    = "url"
	filterHMAC   = "hmac" // the only one with two operands, the key and the content
)

// filters change the value of a field. Digests are in lower-case hexadecimal.
var filters = map[string]func(string) (string, error){
	filterNumber: func(s string) (string, error) {
		if !isNumber(s) {
			return "", errors.New("is not a number")
		}
		return s, nil
	},
	filterXML: func(s string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	},
	filterJSON: func(s string) (string, error) {
		quoted, err := json.Marshal(s)
		if err != nil {
			return "", err
		}
		return string(quoted[1 : len(quoted)-1]), nil
	},
	filterURL: always(url.QueryEscape),
	"base64":  always(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
	"hex":     always(func(s string) string { return hex.EncodeToString([]byte(s)) }),
	"sha256": always(func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}),
	"md5": always(func(s string) string {
		sum := md5.Sum([]byte(s)) //nolint:gosec // see the import
		return hex.EncodeToString(sum[:])
	}),
}

// always makes a filter that does not fail.
func always(f func(string) string) func(string) (string, error) {
	return func(s string) (string, error) { return f(s), nil }
}

// hmacFilter is the HMAC-SHA-256 of a content, in hexadecimal.
func hmacFilter(key, content string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(content))
	return hex.EncodeToString(h.Sum(nil))
}
