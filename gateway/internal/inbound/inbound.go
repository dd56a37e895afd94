// Package inbound checks the requests that phones and providers make to us:
// webhooks and polls. It reads bodies of bounded length, verifies signatures
// and compares secrets.
package inbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
)

// Read reads the body of a request. If the method is another, or the body
// longer than most octets or broken off, Read answers 405, 413 or 400 itself
// and returns false.
func Read(w http.ResponseWriter, r *http.Request, method string, most int64) (body []byte, ok bool) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil {
		return body, true
	}
	status := http.StatusBadRequest
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		status = http.StatusRequestEntityTooLarge
	}
	w.WriteHeader(status)
	return nil, false
}

// Signed reports whether mac is the HMAC of the joined data under one of the
// keys.
func Signed(keys []string, hash func() hash.Hash, mac []byte, data ...[]byte) bool {
	for _, key := range keys {
		h := hmac.New(hash, []byte(key))
		for _, d := range data {
			_, _ = h.Write(d)
		}
		if hmac.Equal(h.Sum(nil), mac) {
			return true
		}
	}
	return false
}

// OneOf reports whether given is one of the secrets. The time it takes tells
// nothing but their number.
func OneOf(secrets []string, given string) bool {
	sum := sha256.Sum256([]byte(given))
	for _, s := range secrets {
		want := sha256.Sum256([]byte(s))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			return true
		}
	}
	return false
}
