package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
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

func TestNotWritten(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer quiet(s).Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer quiet(plain).Close()
	closed := httptest.NewTLSServer(http.NotFoundHandler())
	closed.Close()
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word of TLS
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	old := s.Client().Transport.(*http.Transport).Clone()
	old.TLSClientConfig.InsecureSkipVerify = true
	old.TLSClientConfig.MaxVersion = tls.VersionTLS11
	old.TLSClientConfig.MinVersion = tls.VersionTLS10

	for name, row := range map[string]struct {
		client *http.Client
		url    string
		class  channel.Class
	}{
		"refused":          {s.Client(), closed.URL, channel.Temporary},
		"no TLS handshake": {s.Client(), "https://" + deaf.Addr().String(), channel.Temporary},
		"certificate":      {nil, s.URL, channel.Misconfigured},
		"plaintext behind TLS": {
			s.Client(), "https://" + strings.TrimPrefix(plain.URL, "http://"), channel.Misconfigured,
		},
		"old TLS":   {&http.Client{Transport: old}, s.URL, channel.Misconfigured},
		"plaintext": {s.Client(), plain.URL, channel.Misconfigured},
		"no scheme": {s.Client(), "ftp://127.0.0.1", channel.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			c := web.New(web.Config{HTTP: row.client})
			defer c.Close()
			timeout := 30 * time.Second
			if name == "no TLS handshake" {
				timeout = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := c.Do(ctx, "carrier: test", post(t, row.url+"/"+secret+"?to=447700900123"))
			wantError(t, err, row.class)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = web.New(web.Config{HTTP: s.Client()}).Do(ctx, "carrier: test", post(t, s.URL))
	wantError(t, err, channel.Temporary)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not tell why", err)
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

func TestWritten(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"closed":    "",
		"garbage":   secret + " 447700900123\r\n\r\n",
		"status":    "HTTP/1.1 " + secret + " 447700900123\r\n\r\n",
		"length":    "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"cut":       "HTTP/1.1 200",
		"long head": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
				readRequest(r)
				_, _ = io.WriteString(c, answer)
			})
			c := web.New(web.Config{Plaintext: true})
			defer c.Close()
			_, err := c.Do(t.Context(), "carrier: test", post(t, url+"/447700900123?code="+secret))
			wantError(t, err, channel.Unknown)
			get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Do(t.Context(), "carrier: test", get)
			wantError(t, err, channel.Unknown)
		})
	}
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		read, end := make(chan struct{}), make(chan struct{})
		url := raw(t, func(_ int, _ net.Conn, r *bufio.Reader) {
			readRequest(r)
			close(read)
			<-end
		})
		defer close(end)
		c := web.New(web.Config{Plaintext: true})
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-read; cancel() }()
		_, err := c.Do(ctx, "carrier: test", post(t, url))
		wantError(t, err, channel.Unknown)
	})
	t.Run("client timeout", func(t *testing.T) {
		t.Parallel()
		end := make(chan struct{})
		url := raw(t, func(_ int, _ net.Conn, r *bufio.Reader) { readRequest(r); <-end })
		defer close(end)
		own := &http.Client{Timeout: 50 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
		_, err := web.New(web.Config{HTTP: own, Plaintext: true}).Do(t.Context(), "carrier: test", post(t, url))
		wantError(t, err, channel.Unknown)
	})
}

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

func TestParseURL(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://api.sms-gate.app/3rdparty/v1": true, "https://host": true, "http://host": false, "host": false,
		"":                                 false,
		"https://user:" + secret + "@host": false, "https://host?key=" + secret: false, "https://host#x": false,
		"https://": false, "ftp://host": false, "https:host": false, "https://ho st/" + secret: false,
	} {
		_, err := web.ParseURL(raw, false)
		if (err == nil) != ok {
			t.Errorf("%s: error %v", raw, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
	if _, err := web.ParseURL("http://192.0.2.1:8080", true); err != nil {
		t.Error(err)
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

// In TLS 1.3 a server refuses a client's certificate after the client has
// written its request, and before it reads it.
func TestClientCertificateRequired(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the request was served")
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
	quiet(s).StartTLS()
	defer s.Close()
	c := web.New(web.Config{HTTP: s.Client()})
	for range 100 {
		_, err := c.Do(t.Context(), "carrier: test", post(t, s.URL))
		if err != nil && strings.Contains(err.Error(), "certificate required") {
			wantError(t, err, channel.Misconfigured)
			return
		}
		wantError(t, err, channel.Unknown) // the connection was reset before the alert was read
	}
	t.Error("the alert was never read")
}
