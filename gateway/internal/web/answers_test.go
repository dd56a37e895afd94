package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := 0
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", most+1))
		case "/cut":
			w.Header().Set("Content-Length", "50")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "half")
		default:
			w.Header().Set("X-Test", "yes")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.Copy(w, r.Body)
		}
	}))
	defer quiet(s).Close()
	c := web.New(web.Config{HTTP: s.Client()})
	for _, row := range []struct {
		path   string
		status int
		length int
		cut    bool
	}{
		{"/", 202, len(secret) + 11, false},
		{"/redirect", 307, 0, false},
		{"/long", 200, most, true},
		{"/cut", 202, 4, true},
	} {
		r, err := c.Do(t.Context(), "carrier: test", post(t, s.URL+row.path))
		if err != nil || r.Status != row.status || len(r.Body) != row.length || r.Cut != row.cut {
			t.Errorf("%s: status %d, body of %d, cut %t, error %v", row.path, r.Status, len(r.Body), r.Cut, err)
		}
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
}

// A body without end costs no more than its bound.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	wrote := make(chan int, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for chunk := make([]byte, 64<<10); n < 64<<20; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		wrote <- n
	}))
	defer quiet(s).Close()
	c := web.New(web.Config{HTTP: s.Client()})
	r, err := c.Do(t.Context(), "carrier: test", post(t, s.URL))
	if err != nil || !r.Cut || len(r.Body) != most {
		t.Errorf("body of %d, cut %t, %v", len(r.Body), r.Cut, err)
	}
	if n := <-wrote; n >= 64<<20 {
		t.Errorf("all %d octets were read", n)
	}
}
