package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

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
		own := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		_, err := web.New(web.Config{HTTP: own, Plaintext: true}).Do(t.Context(), "carrier: test", post(t, url))
		wantError(t, err, channel.Unknown)
	})
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
