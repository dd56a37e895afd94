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
	"time"
)

// bodyTime is how long a body may take: what phones and providers post is short.
const bodyTime = 10 * time.Second

// Read reads the body of a request. If the method is another, or [Body] refuses the
// body, Read answers 405 or Body's status itself and returns false.
func Read(w http.ResponseWriter, r *http.Request, method string, most int64) (body []byte, ok bool) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil, false
	}
	body, status := Body(w, r, most)
	if status != 0 {
		w.WriteHeader(status)
	}
	return body, status == 0
}

// Body reads the body of a request. A status other than zero refuses the request: 413
// if the body is longer than most octets, 400 if it broke off or took over 10 s.
func Body(w http.ResponseWriter, r *http.Request, most int64) (body []byte, status int) {
	// A w without deadlines is not a server's, and waits on no network.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	_ = connection.SetReadDeadline(time.Time{}) // else it would end the request's context
	if err == nil {
		return body, 0
	}
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return nil, http.StatusRequestEntityTooLarge
	}
	return nil, http.StatusBadRequest
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
