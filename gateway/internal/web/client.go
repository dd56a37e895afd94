package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// maxBody is the most that is read of a response's body, in octets.
const maxBody = 1 << 20

// staleTries is how often a request is made where each connection turns out to
// be closed.
const staleTries = 3

// Config describes a client.
type Config struct {
	// HTTP makes the requests. It is copied: redirects are never followed,
	// because they would take credentials and the message elsewhere. Default: a
	// client with the system's roots, TLS 1.2 or later and the environment's
	// proxy.
	HTTP *http.Client

	// Plaintext permits http URLs. Default false.
	Plaintext bool
}

// A Client makes requests. It is safe for concurrent use.
type Client struct {
	http      http.Client
	plaintext bool
	own       *http.Transport // nil: the embedder's
}

// New returns a client.
func New(c Config) *Client {
	client := &Client{plaintext: c.Plaintext}
	if c.HTTP != nil {
		client.http = *c.HTTP
	} else {
		client.own = transport()
		client.http.Transport = client.own
	}
	client.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

func transport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if std, ok := http.DefaultTransport.(*http.Transport); ok {
		t = std.Clone()
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 64, 32 // all requests go to one host
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// Close closes the idle connections of a client that New has made itself.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// A Response is a server's answer.
type Response struct {
	Status int
	Header http.Header

	// Body is the body as far as it came, at most 1 MiB.
	Body []byte

	// Cut: the body was longer, or broke off. The status counts nevertheless: a
	// server that answered 202 has taken the message.
	Cut bool
}

// OK reports whether the status is 2xx.
func (r Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

var (
	errPlaintext = errors.New("http is not permitted, only https")
	errScheme    = errors.New("the URL is neither http nor https")
)

// Do makes a request, whose context is replaced by ctx, and reads the answer.
// Any status is an answer. An error is an *[channel.Error] with op as its Op:
//
//   - Misconfigured: http where only https is permitted, a certificate that is
//     not trusted, ours included, no TLS
//   - Temporary: nothing of the request's body, or of its header where there is
//     none, was written: not connected in time, say
//   - Unknown: the request, or a part, was written, but not answered
//
// Its text says neither the URL nor anything that the server has said. A body
// must be one that [http.NewRequest] knows how to rewind, in memory: a request is
// then made again on another connection where an idle one turns out to be closed
// and nothing was written.
func (c *Client) Do(ctx context.Context, op string, req *http.Request) (Response, error) {
	if err := c.permits(req.URL); err != nil {
		return Response{}, &channel.Error{Class: channel.Misconfigured, Op: op, Err: err}
	}
	for try := 1; ; try++ {
		var w written
		resp, err := c.http.Do(w.watch(ctx, req)) //nolint:bodyclose // read closes it
		switch {
		case err == nil:
			return read(resp), nil
		case try == staleTries || w.yes.Load() || !w.reused.Load() || ctx.Err() != nil || !rewind(req):
			return Response{}, w.failure(ctx, op, err)
		}
		// The connection had been closed while it was idle. net/http does not
		// dare to repeat a POST then, though it has written nothing.
	}
}

// rewind prepares a request to be made again, and reports whether it can be.
func rewind(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	req.Body = body
	return err == nil
}

func (c *Client) permits(u *url.URL) error {
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if c.plaintext {
			return nil
		}
		return errPlaintext
	}
	return errScheme
}

func read(resp *http.Response) Response {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	r := Response{Status: resp.StatusCode, Header: resp.Header, Body: body, Cut: err != nil}
	if len(body) > maxBody {
		r.Body, r.Cut = body[:maxBody], true
	}
	return r
}

// Share returns a context that ends after a part of the time that ctx has left,
// so that a request which is not answered leaves time for another.
func Share(ctx context.Context, parts time.Duration) (context.Context, context.CancelFunc) {
	until, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(until)/parts)
}

// Once keeps net/http from repeating a request that has no body, which it does
// by itself with a GET: when a connection that was used before breaks off, the
// server may have acted on it. It is for requests that submit a message.
func Once(req *http.Request) {
	req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil // a body that cannot be rewound
}

// written watches whether the other side may have read the request.
type written struct {
	yes    atomic.Bool
	reused atomic.Bool // the last connection was used before
}

// watch returns a copy of req that reports what is written. A server acts on a
// whole request, so where there is a body the first read of it counts: nothing
// of it is on the wire before.
func (w *written) watch(ctx context.Context, req *http.Request) *http.Request {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { w.reused.Store(i.Reused) }}
	if req.Body == nil || req.Body == http.NoBody {
		trace.WroteHeaders = func() { w.yes.Store(true) }
		return req.WithContext(httptrace.WithClientTrace(ctx, trace))
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	req.Body = &watched{req.Body, w}
	if rewind := req.GetBody; rewind != nil {
		repeats := repeatable(req.Header)
		req.GetBody = func() (io.ReadCloser, error) {
			// net/http asks for the body again where the server has certainly
			// not acted on it: nothing was written, or HTTP/2 said so.
			if !repeats {
				w.yes.Store(false)
			}
			body, err := rewind()
			return &watched{body, w}, err
		}
	}
	return req
}

// repeatable reports whether a header makes net/http repeat a request that may
// have been acted on.
func repeatable(h http.Header) bool {
	_, plain := h["Idempotency-Key"]
	_, x := h["X-Idempotency-Key"]
	return plain || x
}

type watched struct {
	io.ReadCloser
	w *written
}

func (b *watched) Read(p []byte) (int, error) {
	b.w.yes.Store(true)
	return b.ReadCloser.Read(p)
}

// ParseURL checks a base URL of a configuration: absolute, https or, if
// plaintext, http, with a host and without credentials, query and fragment. The
// error does not repeat it.
func ParseURL(raw string, plaintext bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New("is not an absolute URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("is neither https nor http")
	case u.Scheme == "http" && !plaintext:
		return nil, errors.New("is http, which shows codes and credentials to anyone on the way")
	case u.User != nil:
		return nil, errors.New("holds credentials")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has a query or a fragment")
	}
	return u, nil
}
