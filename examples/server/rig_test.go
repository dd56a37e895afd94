package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" { // a test has started this program as a server
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "-count" { // a test has started this program to count
		count(os.Args[2:])
		return
	}
	redis.SetLogger(silent{}) // of connections to servers that the tests have ended
	code := m.Run()
	pgtest.StopShared()
	err := goleak.Find(goleak.IgnoreAnyFunction(
		"github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")) // ends by itself
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// document reads openapi.yaml.
var document = sync.OnceValues(func() (routers.Router, error) {
	d, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	if err := d.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(d)
})

// checked is a transport that holds every answer to openapi.yaml, and each request
// that was not refused for its form.
type checked struct {
	t    testing.TB
	base http.RoundTripper
}

func (c *checked) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := c.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return resp, err
	}
	described := strings.HasPrefix(r.URL.Path, "/v1/") ||
		r.URL.Path == "/oauth/token" && resp.StatusCode != http.StatusNotFound
	if described && resp.StatusCode != http.StatusMethodNotAllowed {
		if err := fits(r, sent, resp.StatusCode, resp.Header, body); err != nil {
			c.t.Errorf("%s %s: %d %s does not fit openapi.yaml: %v", r.Method, r.URL.Path, resp.StatusCode, body, err)
		}
	}
	return resp, nil
}

// fits holds a request and its answer to openapi.yaml.
func fits(r *http.Request, sent []byte, status int, header http.Header, body []byte) error {
	router, err := document()
	if err != nil {
		return err
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		return err
	}
	q := r.Clone(r.Context())
	q.Body = io.NopCloser(bytes.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{Request: q, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if status < 400 {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			return err
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header,
		Options: in.Options}
	out.SetBodyBytes(body)
	return openapi3filter.ValidateResponse(r.Context(), out)
}

// A rig is a running server with two applications and people with phones.
type rig struct {
	t      testing.TB
	s      *server
	people *phones
	shop   *client
	bank   *client
	watch  *client
	log    *syncBuffer
	keys   otp.Keyring
	open   opener
	stop   func() error // ends the server, once
}

// syncBuffer is a log that tests read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs the demo's configuration, changed by change, which may be nil.
func start(t testing.TB, change func(*config)) *rig {
	t.Helper()
	return startWith(t, change, func(p *phones) opener { return p.open })
}

// startWith has an opener of its own.
func startWith(t testing.TB, change func(*config), open func(*phones) opener) *rig {
	t.Helper()
	c, shopKey, bankKey, err := demoConfig()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	if err := c.validate(os.Getenv); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, people: &phones{codes: map[string]string{}}, keys: otp.NewKeyring()}
	r.open = open(r.people)
	r.shop, r.bank = &client{key: shopKey}, &client{key: bankKey}
	return r.serve(c)
}

// serve starts another server for the same applications and people.
func (r *rig) serve(c *config) *rig {
	t, log := r.t, &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	if _, ok := t.(*testing.B); ok {
		logger = slog.New(slog.DiscardHandler)
	}
	s, err := newServer(t.Context(), c, r.keys, r.open, logger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	transport := &http.Transport{}
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-ended
		transport.CloseIdleConnections()
		return err
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	h := &http.Client{Transport: &checked{t, transport}}
	return &rig{t: t, s: s, people: r.people, keys: r.keys, open: r.open, log: log, stop: stop,
		shop: &client{s.url(), r.shop.key, h}, bank: &client{s.url(), r.bank.key, h},
		watch: &client{s.adminURL(), "", h}}
}

// request is a request of a client.
func (r *rig) request(c *client, method, path, body string) *http.Request {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+c.key)
	q.Header.Set("Content-Type", "application/json")
	return q
}

func decodeInto(t testing.TB, resp *http.Response, into any) {
	t.Helper()
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// want makes a request and holds the answer to its one line.
func (r *rig) want(c *client, want, method, path, body string, fields ...string) *answer {
	r.t.Helper()
	a, err := c.ask(r.t.Context(), method, path, body, fields...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.String() != want {
		r.t.Fatalf("%s %s: got %s, want %s", method, path, a, want)
	}
	return a
}

const annsLogin = `{"subject":"ann","purpose":"login","to":{"phone":"+447912345601","email":"ann@example.com"}}`

func checkBody(code string) string {
	return `{"subject":"ann","purpose":"login","code":"` + code + `"}`
}
