package inbound_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

func TestReadAnswersRequestsThatItRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		method string
		body   io.Reader
		status int
		allow  string
	}{
		"as it must be": {http.MethodPost, strings.NewReader("12345678"), 0, ""},
		"another method": {
			http.MethodGet, strings.NewReader("12345678"), http.StatusMethodNotAllowed, http.MethodPost,
		},
		"one octet more":   {http.MethodPost, strings.NewReader("123456789"), http.StatusRequestEntityTooLarge, ""},
		"broken off early": {http.MethodPost, iotest.ErrReader(io.ErrUnexpectedEOF), http.StatusBadRequest, ""},
	} {
		w := httptest.NewRecorder()
		body, ok := inbound.Read(w, httptest.NewRequest(row.method, "/", row.body), http.MethodPost, 8)
		if ok != (row.status == 0) || ok && string(body) != "12345678" {
			t.Errorf("%s: %q, %t", name, body, ok)
		}
		if !ok && (w.Code != row.status || w.Header().Get("Allow") != row.allow) {
			t.Errorf("%s: status %d, Allow %q", name, w.Code, w.Header().Get("Allow"))
		}
	}
}

// A client that sends a body slowly, or not at all, is cut off, and one that has sent
// it has no deadline any more, which would end the context of what the request causes.
func TestBodyHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		if _, ok := inbound.Read(w, httptest.NewRequest(http.MethodPost, "/", w), http.MethodPost, 8); ok {
			t.Error("a body that never comes was read")
		}
		if took := time.Since(began); took != 10*time.Second || w.Code != http.StatusBadRequest {
			t.Errorf("status %d after %v", w.Code, took)
		}
		if !w.deadline.IsZero() {
			t.Error("the deadline was left")
		}
	})
}

// A deadlined is a connection whose body never comes.
type deadlined struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error {
	d.deadline = t
	return nil
}

func (d *deadlined) Read([]byte) (int, error) {
	time.Sleep(time.Until(d.deadline))
	return 0, os.ErrDeadlineExceeded
}

func TestSignedByOneOfTheKeys(t *testing.T) {
	t.Parallel()
	h := hmac.New(sha256.New, []byte("new"))
	h.Write([]byte("body1760000000"))
	mac, data := h.Sum(nil), [][]byte{[]byte("body"), []byte("1760000000")}
	for _, row := range []struct {
		keys []string
		mac  []byte
		want bool
	}{
		{[]string{"new"}, mac, true},
		{[]string{"old", "new"}, mac, true},
		{[]string{"old"}, mac, false},
		{nil, mac, false},
		{[]string{"new"}, mac[:16], false},
		{[]string{"new"}, nil, false},
	} {
		if got := inbound.Signed(row.keys, sha256.New, row.mac, data...); got != row.want {
			t.Errorf("keys %q, mac of %d octets: %t", row.keys, len(row.mac), got)
		}
	}
}

func TestOneOfTheSecrets(t *testing.T) {
	t.Parallel()
	secrets := []string{"new", "old"}
	for given, want := range map[string]bool{"new": true, "old": true, "ol": false, "older": false, "": false} {
		if got := inbound.OneOf(secrets, given); got != want {
			t.Errorf("%q: %t", given, got)
		}
	}
	if inbound.OneOf(nil, "") {
		t.Error("without secrets, none is given")
	}
}
