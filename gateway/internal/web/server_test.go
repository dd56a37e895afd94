package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "s3cr3t-582037"
	most   = 1 << 20 // octets of a body
)

func post(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url,
		strings.NewReader(`{"text":"`+secret+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("user", secret)
	return req
}

func quiet(s *httptest.Server) *httptest.Server {
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// wantError requires a class, and that neither the URL nor what the server said
// is shown.
func wantError(t *testing.T, err error, class channel.Class) {
	t.Helper()
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || e.Class != class || e.Op != "carrier: test" {
		t.Errorf("error %v, want class %v", err, class)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if s := fmt.Sprintf("%v %#v", inner, inner); strings.Contains(s, secret) ||
			strings.Contains(s, "447700900123") {
			t.Errorf("the error shows a secret: %s", s)
		}
	}
}

// raw is a server whose connections are handled by f, once each has read a
// request.
func raw(t *testing.T, f func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(n, c, bufio.NewReader(c))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func readRequest(r *bufio.Reader) {
	if req, err := http.ReadRequest(r); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}
