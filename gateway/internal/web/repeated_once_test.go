package web_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// A connection that the server has closed while it was idle costs nothing, and
// one that is closed after it has read the request is never repeated.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	requests := make(chan int, 8)
	closed := make(chan struct{}, 8)
	url := raw(t, func(n int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		requests <- n
		_, _ = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
		if n == 2 {
			readRequest(r) // and hang up without an answer
			requests <- n
		}
		c.Close()
		closed <- struct{}{}
	})
	c := web.New(web.Config{Plaintext: true})
	defer c.Close()
	for i := range 2 {
		if r, err := c.Do(t.Context(), "carrier: test", post(t, url)); err != nil || r.Status != 202 {
			t.Fatalf("request %d: %d, %v", i, r.Status, err)
		}
		if i == 0 {
			<-closed
		}
	}
	_, err := c.Do(t.Context(), "carrier: test", post(t, url))
	wantError(t, err, channel.Unknown)
	<-closed
	if n := len(requests); n != 3 {
		t.Errorf("the server has read %d requests, want 3", n)
	}
}

// net/http repeats a GET by itself when a connection that was used before
// breaks off, though the server may have acted on it. A GET that does
// something is not repeated, and its fate is not known.
func TestGetOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		mark func(*http.Request)
		want int32
	}{
		"asks":  {func(*http.Request) {}, 2},
		"sends": {web.Once, 1},
	} {
		var got atomic.Int32
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.ContentLength != 0 || len(r.TransferEncoding) != 0 {
				t.Errorf("%s: the request has a body: %d %v", name, r.ContentLength, r.TransferEncoding)
			}
			if r.URL.Path == "/first" {
				return
			}
			if got.Add(1) == 1 {
				panic(http.ErrAbortHandler)
			}
		}))
		c := web.New(web.Config{HTTP: quiet(s).Client()})
		get := func(path string) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			row.mark(req)
			_, err = c.Do(t.Context(), "carrier: test", req)
			return err
		}
		if err := get("/first"); err != nil {
			t.Fatal(err)
		}
		err := get("/second")
		if n := got.Load(); n != row.want {
			t.Errorf("%s: the server was asked %d times, want %d", name, n, row.want)
		}
		if row.want == 1 {
			wantError(t, err, channel.Unknown)
		}
		s.Close()
	}
}

// A transport that reports nothing has written the request all the same.
func TestGetOnceUntraced(t *testing.T) {
	t.Parallel()
	c := web.New(web.Config{HTTP: &http.Client{Transport: untraced{}}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://provider.example/send", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	web.Once(req)
	_, err = c.Do(t.Context(), "carrier: test", req)
	wantError(t, err, channel.Unknown)
}

type untraced struct{}

func (untraced) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

// A connection that was closed while it was idle costs nothing: what was not
// written is written to another.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		transport stale
		tries     int
		class     channel.Class // with an error
		ok        bool
	}{
		"idle":        {stale{left: 2, reused: true}, 3, 0, true},
		"all":         {stale{left: 9, reused: true}, 3, channel.Temporary, false},
		"fresh":       {stale{left: 1}, 1, channel.Temporary, false},
		"was written": {stale{left: 1, reused: true, reads: true}, 1, channel.Unknown, false},
	} {
		c := web.New(web.Config{HTTP: &http.Client{Transport: &row.transport}})
		_, err := c.Do(t.Context(), "carrier: test", post(t, "https://provider.example"))
		if n := row.transport.tries; n != row.tries || row.ok != (err == nil) {
			t.Errorf("%s: tried %d times, want %d; error %v", name, n, row.tries, err)
		}
		if !row.ok {
			wantError(t, err, row.class)
		}
	}
}

// stale is a transport some of whose connections have been closed.
type stale struct {
	left, tries   int
	reused, reads bool
}

func (s *stale) RoundTrip(r *http.Request) (*http.Response, error) {
	s.tries++
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Reused: s.reused})
	defer r.Body.Close()
	if s.left--; s.left >= 0 {
		if s.reads {
			_, _ = r.Body.Read(make([]byte, 1))
		}
		return nil, errors.New("http: server closed idle connection")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(body), secret) {
		return nil, errors.New("the body is not there")
	}
	return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody, Request: r}, nil
}
